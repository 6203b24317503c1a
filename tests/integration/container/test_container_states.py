# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States of a container: what runs, what does not, and what only seems to."""

from __future__ import annotations

import time

import pytest
from harness.engine import Engine
from harness.task import STAYS, Task

BOX = {"name": "box", "image": "slipway-test/busybox:1", "command": STAYS}


def status(engine: Engine, name: str = "box") -> str:
    shown = engine.inspect("container", name)
    return shown["State"]["Status"] if shown else "absent"


def test_from_nothing_to_running_to_stopped_to_absent(task: Task, engine: Engine) -> None:
    for state, shown in (
        ("present", "created"),
        ("started", "running"),
        ("stopped", "exited"),
        ("started", "running"),
        ("absent", "absent"),
    ):
        task.change("container", **BOX, state=state)
        assert status(engine) == shown


def test_stopped_from_nothing_is_made_and_not_started(task: Task, engine: Engine) -> None:
    task.change("container", **BOX, state="stopped")
    assert status(engine) == "created"


def test_absent_when_there_is_none_is_no_change(task: Task) -> None:
    task.settled("container", name="box", state="absent")


def test_present_leaves_a_running_and_a_stopped_one_alone(task: Task, engine: Engine) -> None:
    task("container", **BOX, state="started").ok()
    task.settled("container", **BOX, state="present")
    engine.run_cli("stop", "-t", "0", "box")
    task.settled("container", **BOX, state="present")


@pytest.mark.parametrize("meddle", [("stop", "-t", "0"), ("kill",), ("pause",)], ids=lambda item: item[0])
def test_what_somebody_stopped_runs_again(task: Task, engine: Engine, meddle: tuple) -> None:
    task("container", **BOX).ok()
    before = engine.inspect("container", "box")["Id"]
    engine.run_cli(*meddle, "box")
    task.change("container", **BOX)
    assert (status(engine), engine.inspect("container", "box")["Id"]) == ("running", before)


def test_what_somebody_removed_or_renamed_is_made_again(task: Task, engine: Engine) -> None:
    task("container", **BOX).ok()
    engine.run_cli("rm", "-f", "box")
    task.change("container", **BOX)
    assert status(engine) == "running"


def test_restarted_restarts_each_time(task: Task, engine: Engine) -> None:
    task("container", **BOX).ok()
    seen = {engine.inspect("container", "box")["State"]["StartedAt"]}
    for _ in range(2):
        foretold = task.foretell("container", **BOX, state="restarted")
        done = task("container", **BOX, state="restarted").ok()
        assert done["plan"] == foretold["plan"] == [action["line"] for action in done["actions"]]
        seen.add(engine.inspect("container", "box")["State"]["StartedAt"])
    assert len(seen) == 3


def test_recreate_makes_a_new_one_though_nothing_differs(task: Task, engine: Engine) -> None:
    task("container", **BOX).ok()
    before = engine.inspect("container", "box")["Id"]
    done = task("container", **BOX, recreate=True).ok()
    assert engine.inspect("container", "box")["Id"] != before
    assert done["plan"] == ["± container/box   requested"]
    assert engine.names("container") == ["box"]


HEALTHY = {"test": "test -e /tmp/well", "interval": "100ms", "timeout": "1s", "retries": 100}


def test_healthy_waits_until_it_is(task: Task, engine: Engine) -> None:
    late = {
        **BOX,
        "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 0.5; touch /tmp/well; sleep 1000 & wait"],
        "healthcheck": HEALTHY,
        "state": "healthy",
    }
    task("container", **late).ok()
    assert engine.inspect("container", "box")["State"]["Health"]["Status"] == "healthy"
    task.settled("container", **late)


def test_unhealthy_is_said_with_what_the_check_said(task: Task) -> None:
    check = {"test": "echo the page is missing; exit 1", "interval": "100ms", "timeout": "1s", "retries": 2}
    result = task("container", **BOX, healthcheck=check, state="healthy")
    assert result.failed
    assert "unhealthy" in result.msg and "the page is missing" in result.msg
    assert "Traceback" not in result.msg


def test_never_healthy_ends_at_the_deadline(task: Task) -> None:
    began = time.monotonic()
    result = task("container", **BOX, healthcheck=HEALTHY, state="healthy", deadline=1)
    assert result.failed and time.monotonic() - began < 6


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["sh", "-c", "echo cannot open the store; exit 3"], ("3", "cannot open the store")),
        (["true"], ("0",)),
        (["sh", "-c", "sleep 0.1; exit 4"], ("4",)),
    ],
    ids=["fails at once", "ends at once", "fails soon"],
)
def test_started_is_not_said_of_what_has_died(task: Task, engine: Engine, command: list, said: tuple) -> None:
    result = task("container", **{**BOX, "command": command}, min_healthy_time=0.5)
    assert result.failed
    for words in said:
        assert words in result.msg
    assert engine.names("container") == [], "a first start that failed leaves nothing behind"


def test_on_failure_keep_leaves_the_failed_one_to_look_at(task: Task, engine: Engine) -> None:
    assert task("container", **{**BOX, "command": ["false"]}, on_failure="keep").failed
    assert status(engine) == "exited"


def test_a_container_that_ends_by_design_is_present(task: Task, engine: Engine) -> None:
    task.change("container", **{**BOX, "command": ["true"]}, state="present")
    engine.run_cli("start", "box")
    task.settled("container", **{**BOX, "command": ["true"]}, state="present")
