# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is secret is masked, and what is not is left to be read."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.secret import hide, mask, secrets_in


@pytest.mark.parametrize(
    ("text", "secrets", "masked"),
    [
        ("said hunter2 | again hunter2", ["hunter2"], "said ****** | again ******"),
        ("one two | three", ["one  two\nthree"], "****** | ******"),
        ("a key: line-1 | line-2", ["line-1\nline-2"], "a key: ****** | ******"),
        ("short and shorter", ["short", "shorter"], "****** and ******"),
        ("at postgres://shop:pw@db/shop", [], "at postgres://shop:******@db/shop"),
        ("data: username=me,password=pw no", [], "data: username=me,password=****** no"),
        ("API_TOKEN=abc HOME=/root", [], "API_TOKEN=****** HOME=/root"),
        ("http://10.0.0.1:8080/path?x=1", [], "http://10.0.0.1:8080/path?x=1"),
        ("user@host said a=b", [], "user@host said a=b"),
    ],
)
def test_texts(text: str, secrets: list[str], masked: str) -> None:
    assert mask(text, secrets) == masked


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ({"env": {"DB_PASSWORD": "x", "LEVEL": "info"}}, {"env": {"DB_PASSWORD": "******", "LEVEL": "info"}}),
        ({"env": {"API_TOKEN": {"a": "x"}}}, {"env": {"API_TOKEN": "******"}}),
        (["DB_PASSWORD=x, y", "A=1", "DB_PASSWORD x", "API_TOKEN: x"], ["DB_PASSWORD=******", "A=1", "DB_PASSWORD ******", "API_TOKEN: ******"]),
        ({"o": "username=me,password=x"}, {"o": "username=me,password=******"}),
        ({"secret": True, "token": None, "n": 1}, {"secret": True, "token": None, "n": 1}),
    ],
)  # fmt: skip
def test_options(value: Any, hidden: Any) -> None:
    assert hide(value) == hidden


def test_what_is_secret_in_pairs() -> None:
    pairs = {"DB_PASSWORD": "one", "URL": "amqp://u:two@h", "LEVEL": "info", "EMPTY_TOKEN": ""}
    assert secrets_in(pairs) == ["one", "two"]
