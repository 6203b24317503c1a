# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A volume holds data: it is made as said, and nothing of it changes unless the user names it."""

from __future__ import annotations

from harness.engine import Engine
from harness.task import STAYS, Task

TMPFS = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}


def test_it_is_made_as_said(task: Task, engine: Engine) -> None:
    task.change("volume", name="data", driver="local", driver_options=TMPFS, labels={"a": "1"})
    shown = engine.inspect("volume", "data")
    assert (shown["Driver"], shown["Options"], shown["Labels"]["a"]) == ("local", TMPFS, "1")


def test_a_difference_is_an_error_that_says_how_to_allow_it(task: Task, engine: Engine) -> None:
    task("volume", name="data", labels={"a": "1"}).ok()
    engine.run_cli("run", "--rm", "-v", "data:/data", "slipway-test/busybox:1", "sh", "-c", "echo precious >/data/file")
    for options in ({"driver_options": TMPFS, "labels": {"a": "1"}}, {"labels": {"a": "2"}}):
        message = task.refused("volume", name="data", **options)
        assert "data" in message and "destroy" in message
    assert (
        engine.run_cli("run", "--rm", "-v", "data:/data", "slipway-test/busybox:1", "cat", "/data/file") == "precious"
    )


def test_it_is_remade_when_named(task: Task, engine: Engine) -> None:
    task("containers", project="shop", volumes=[{"name": "data"}]).ok()
    spec = {"project": "shop", "volumes": [{"name": "data", "labels": {"a": "1"}}], "destroy": {"volumes": ["data"]}}
    task.change("containers", **spec)
    assert engine.inspect("volume", "data")["Labels"]["a"] == "1"


def test_absent_is_asked_for_by_name(task: Task, engine: Engine) -> None:
    task("volume", name="data").ok()
    task.change("volume", name="data", state="absent")
    assert engine.names("volume") == []


def test_a_volume_in_use_stays(task: Task, engine: Engine) -> None:
    task("volume", name="data").ok()
    engine.run_cli("run", "-d", "--name", "user", "-v", "data:/data", "slipway-test/busybox:1", *STAYS)
    result = task("volume", name="data", state="absent")
    assert result.failed and "user" in result.msg
    assert engine.names("volume") == ["data"]
