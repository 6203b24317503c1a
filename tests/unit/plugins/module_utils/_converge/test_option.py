# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows check themselves."""

from __future__ import annotations

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.desired import Mistakes, convert
from ansible_collections.slipway.docker.plugins.module_utils._converge.kind import Kind
from ansible_collections.slipway.docker.plugins.module_utils._converge.option import Option, looks_secret


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "string"},
        {"type": "int", "choices": ("a",)},
        {"keyed": True},
        {"read": dict},
        {"path": "A", "read": dict, "write": dict},
        {"path": "A", "default": 1},
        {"refers": "image"},
        {"type": "list", "elements": "str", "suboptions": (Option("x"),)},
    ],
)
def test_a_wrong_row_is_not_built(fields: dict) -> None:
    with pytest.raises(TypeError, match="option odd"):
        Option("odd", **fields)


def test_a_name_is_there_once() -> None:
    with pytest.raises(TypeError, match="twice"):
        Kind("thing", (Option("a"), Option("b", aliases=("a",))))


def test_rows_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Option("a").name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "token", "AWS_SECRET_ACCESS_KEY", "ApiKey", "private-key", "SSH_KEY", "PGPASS_PWD"]
)
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["KEYBOARD", "PASSENGERS_COUNT", "PATH", "MONKEY", "COMPASS"])
def test_others_are_shown(name: str) -> None:
    assert not looks_secret(name)


def test_a_path_may_start_at_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    one, many = Option("source", "path"), Option("files", "list", elements="path")
    assert convert(one, "~/image.qcow2", "source", Mistakes()) == "/home/ada/image.qcow2"
    assert convert(many, ["~", "/srv/~x"], "files", Mistakes()) == ["/home/ada", "/srv/~x"]
