# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file as a document: merged, compared and shown."""

from __future__ import annotations

import json

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._daemon import document
from ansible_collections.slipway.docker.plugins.module_utils._daemon.document import Broken, Wanted


@pytest.mark.parametrize(
    ("before", "wanted", "managed", "after"),
    [
        ({}, Wanted({"debug": True}), (), {"debug": True}),
        ({"icc": False}, Wanted({"debug": True}), (), {"icc": False, "debug": True}),
        ({"icc": False, "debug": True}, Wanted({}), ("debug",), {"icc": False}),
        ({"icc": False, "debug": True}, Wanted({"debug": False}, exclusive=True), (), {"debug": False}),
        ({"log-opts": {"a": "1", "b": "2"}}, Wanted({"log-opts": {"a": "1"}}), (), {"log-opts": {"a": "1"}}),
        ({"icc": False, "debug": True}, Wanted({}, absent=True), ("debug",), {"icc": False}),
        ({"icc": False, "debug": True}, Wanted({"icc": True}, absent=True), ("debug",), {}),
        ({"icc": False}, Wanted({}, exclusive=True, absent=True), (), {}),
    ],
)
def test_merge(before: dict, wanted: Wanted, managed: tuple[str, ...], after: dict) -> None:
    found = document.merge(before, wanted, managed)
    assert found == after and list(found) == list(after)


def test_keys_keep_their_place() -> None:
    found = document.merge({"b": 1, "a": 2}, Wanted({"a": 3, "c": 4}), ())
    assert list(found.items()) == [("b", 1), ("a", 3), ("c", 4)]


def test_differing_knows_true_from_one() -> None:
    assert document.differing({"a": True, "b": 1, "c": None}, {"a": 1, "b": 1}) == ["a", "c"]
    assert document.differing({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}) == []


@pytest.mark.parametrize(
    ("before", "after", "managed", "lines"),
    [
        (
            {"log-opts": {"max-size": "10m", "max-file": "5"}},
            {"log-opts": {"max-size": "20m", "max-file": "5"}},
            (),
            ["log-opts.max-size: 10m -> 20m"],
        ),
        ({"debug": True}, {}, ("debug",), ["debug: true -> no longer said"]),
        ({"debug": True}, {}, (), ["debug: true -> none"]),
        ({}, {"log-opts": {"a": "1", "b": "2"}}, (), ["log-opts.a: none -> 1", "log-opts.b: none -> 2"]),
        ({}, {"log-opts": {}}, (), ["log-opts: none -> []"]),
        (
            {"proxies": {"http-proxy": "http://me:old@x"}},
            {"proxies": {"http-proxy": "http://me:new@x"}},
            (),
            ["proxies.http-proxy: ****** -> ******"],
        ),
        ({}, {"proxies": {"http-proxy": "http://me:new@x"}}, (), ["proxies.http-proxy: none -> http://me:******@x"]),
        ({}, {"log-opts": {"splunk-token": "abcd"}}, (), ["log-opts.splunk-token: ****** -> ******"]),
    ],
)
def test_changes_as_a_plan_shows_them(before: dict, after: dict, managed: tuple[str, ...], lines: list[str]) -> None:
    assert [str(change) for change in document.changes(before, after, managed)] == lines


@pytest.mark.parametrize("content", [None, b"", b" \n", b"{}", b"\xef\xbb\xbf{}"])
def test_what_counts_as_empty(content: bytes | None) -> None:
    assert document.parse(content) == {}


@pytest.mark.parametrize(
    ("content", "message"), [(b"{", "line 1"), (b"[]", "not a JSON object"), (b"\xff", "is not JSON")]
)
def test_what_is_broken(content: bytes, message: str) -> None:
    with pytest.raises(Broken, match=message):
        document.parse(content)


def test_what_is_written_can_be_read() -> None:
    values = {"labels": ["ort=K\u00f6ln"], "debug": True}
    assert document.parse(document.encode(values)) == values
    assert json.loads(document.encode(values)) == values
    assert document.flat({"a": {"b": {"c": 1}}, "d": 2}) == {"c": 1, "d": 2}
