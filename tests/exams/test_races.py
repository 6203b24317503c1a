# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two runs at once, and runs that are told to stop: one after the other, wholly or not at all."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness.engine import Engine, wait_for
from harness.promises import crashed
from harness.proxy import Call, RecordingProxy, until_called
from harness.run import Killed, Result, Runner
from harness.task import Task

from .exam import Dice, Exam, Example
from .faults_run import debris, standing
from .scenarios import box

PROJECT = "sc"


@pytest.fixture
def rival(engine: Engine) -> Iterator[Task]:
    """A second controller: a process of its own, which reaches the same engine at another address."""
    other = Runner()
    with RecordingProxy(engine.socket) as proxy:
        yield Task(other, proxy, engine)
    other.close()


class Racer(threading.Thread):
    """One run in the background."""

    def __init__(self, task: Task, spec: dict, wait: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.task, self.spec, self.wait = task, spec, wait
        self.result: Result | None = None
        self.seconds = 0.0
        self.start()

    def run(self) -> None:
        time.sleep(self.wait)
        began = time.monotonic()
        try:
            self.result = self.task("containers", **self.spec)
        except (Killed, AssertionError):  # it ended without a result
            self.result = None
        self.seconds = time.monotonic() - began

    def end(self, seconds: float = 120) -> Result | None:
        """Wait for its end; what it returned, None when it was killed."""
        self.join(seconds)
        assert not self.is_alive(), "it hangs"
        return self.result


# -- two at once -------------------------------------------------------------------------------------------------------


def application(dice: Dice, number: int) -> dict[str, Any]:
    """One of the things that two controllers may both want."""
    names = dice.some(["web", "api", "store", "jobs"], 2, 3)
    networks = dice.some(["front", "back"], 1)
    volumes = dice.some(["data", "logs"])
    containers = [
        box(
            name,
            env={"ROUND": str(number)},
            networks=[{"name": item} for item in networks],
            **({"volumes": [f"{volumes[0]}:/data"]} if volumes else {}),
            **({"memory": dice.choice(["64m", "96m"])} if dice.likely(0.5) else {}),
        )
        for name in names
    ]
    return {
        "project": PROJECT,
        "orphans": "remove",
        "networks": [{"name": name} for name in networks],
        "volumes": [{"name": name} for name in volumes],
        "containers": containers,
    }


def race(task: Task, rival: Task, engine: Engine, example: Example) -> None:
    dice = example.dice
    one = application(dice, 1)
    other = one if dice.likely(0.5) else application(dice, 2)
    if dice.likely(0.5):
        task("containers", **application(dice, 0)).ok()
    patience = {"lock_timeout": 0.3} if dice.likely(0.3) else {}
    example.tell("one", one)
    example.tell("other", other)
    first = Racer(task, one, dice.choice([0.0, 0.0, 0.05, 0.2]))
    second = Racer(rival, {**other, **patience}, dice.choice([0.0, 0.05, 0.2, 0.5]))
    results = [first.end(), second.end()]
    for result in results:
        assert result is not None and not crashed(result)
        assert not result.failed or ("locked by" in result.msg and " since " in result.msg), result.msg
    example.series.count("waited in vain", sum(result.failed for result in results if result))
    assert not results[0].failed or not results[1].failed, "both gave way"
    found = debris(engine, PROJECT)
    assert not found, found
    # Volumes are data: they outlive the state that wanted them. All else is one of the two, and nothing of the other.
    whole = [not task("containers", check=True, **spec).ok()["plan"] for spec in (one, other)]
    assert any(whole), "the state is neither the one nor the other"


@pytest.mark.slow
def test_two_controllers(task: Task, rival: Task, engine: Engine, exam: Exam) -> None:
    for example in exam.sample("races that ended in one of the two states, wholly", 20, least=4):
        with example:
            race(task, rival, engine, example)
        engine.clean()


# -- the lock ----------------------------------------------------------------------------------------------------------

ROUND = [{"project": PROJECT, "containers": [box("web", env={"ROUND": str(number)})]} for number in range(4)]


def held(task: Task, spec: dict, seconds: float = 4.0) -> Racer:
    """A run that has the lock and is slow about it."""
    task.proxy.forget()
    task.proxy.fault("delay", seconds, method="POST", path="/containers/create")
    racer = Racer(task, spec)
    until_called(task.proxy, lambda call: call.path == "/containers/create")
    return racer


def test_who_does_not_want_to_wait_is_told_for_whom(task: Task, rival: Task) -> None:
    first = held(task, ROUND[1])
    second = rival("containers", **ROUND[2], lock_timeout=0.2)
    assert second.failed and not rival.mutating
    assert "locked by process" in second.msg and " since 20" in second.msg
    first.end().ok()
    rival("containers", **ROUND[2], lock_timeout=0).ok()


def test_who_waits_looks_again(task: Task, rival: Task) -> None:
    """What the other has done meanwhile is not done twice."""
    first = held(task, ROUND[1], 2.0)
    second = Racer(rival, ROUND[1])
    first.end().ok()
    result = second.end()
    assert not result.ok().changed and not rival.mutating


def test_another_project_does_not_wait(task: Task, rival: Task) -> None:
    first = held(task, ROUND[1])
    other = {"project": "other", "containers": [{**box("elsewhere"), "name": "elsewhere"}]}
    rival("containers", **other, lock_timeout=0).ok()
    assert first.is_alive()
    first.end().ok()


def test_check_mode_does_not_wait(task: Task, rival: Task) -> None:
    first = held(task, ROUND[1])
    rival("containers", check=True, **ROUND[2], lock_timeout=0).ok()
    assert first.is_alive()
    first.end().ok()


def test_the_lock_of_the_dead_is_free(task: Task, rival: Task, engine: Engine) -> None:
    first = held(task, ROUND[1], 20.0)
    task.runner.kill()
    assert first.end() is None
    began = time.monotonic()
    rival("containers", **ROUND[2], lock_timeout=5).ok()
    assert time.monotonic() - began <= 5
    assert not debris(engine, PROJECT)


# -- told to stop ------------------------------------------------------------------------------------------------------


def interrupting(task: Task, number: int) -> Callable[[Call], None]:
    return lambda _call: task.runner.signal(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=["TERM", "INT", "HUP"])
def test_told_to_stop_in_the_middle_of_a_replacement(
    task: Task, engine: Engine, proxy: RecordingProxy, number: int
) -> None:
    task("containers", **ROUND[1]).ok()
    before = standing(engine)
    proxy.fault("call", interrupting(task, number), method="POST", path="/start$")
    began = time.monotonic()
    result = task("containers", **ROUND[2], min_healthy_time=30)
    assert time.monotonic() - began < 15
    proxy.heal()
    assert result.failed and f"interrupted by {signal.Signals(number).name}" in result.msg
    assert standing(engine) == before
    task("containers", **ROUND[2]).ok()
    task.settled("containers", **ROUND[2])


@pytest.mark.slow
def test_told_to_stop_at_any_call(task: Task, engine: Engine, proxy: RecordingProxy, exam: Exam) -> None:
    """Before its work or after it, a run that is told to stop leaves the old state or the new one, and nothing between."""
    task("containers", **ROUND[0]).ok()
    task("containers", **ROUND[1]).ok()
    calls = len(proxy.calls)
    stride = 7 if calls % 7 else 5
    for example in exam.sample("runs told to stop that left one state or the other", calls, least=6):
        with example:
            # A stride that meets every call in the end, and the early and the late ones soon.
            tell_to_stop(task, engine, proxy, 1 + example.number * stride % calls, example)


def tell_to_stop(task: Task, engine: Engine, proxy: RecordingProxy, index: int, example: Example) -> None:
    task("containers", **ROUND[1]).ok()
    before = engine.inspect("container", "web")["Id"]
    rule = proxy.fault("call", interrupting(task, signal.SIGTERM), nth=index)
    try:
        result = task("containers", **ROUND[2])
    except AssertionError as error:  # it ended without a word
        assert "exit -15" in str(error), error
        result = None
    proxy.heal()
    example.tell("call", rule.met)
    now = engine.inspect("container", "web")
    assert now["State"]["Running"] and engine.names("container") == ["web"]
    assert result is not None, "it ended without a word"
    assert not crashed(result)
    if result.failed:
        assert "interrupted by SIGTERM" in result.msg, result.msg
        assert now["Id"] == before or "stays" in result.msg, result.msg
    else:
        assert now["Id"] != before
    task("containers", **ROUND[2]).ok()
    task.settled("containers", **ROUND[2])


def test_told_to_stop_while_it_waits_for_the_lock(task: Task, rival: Task) -> None:
    first = held(task, ROUND[1], 3.0)
    second = Racer(rival, ROUND[2])
    until_called(rival.proxy, lambda call: call.path == "/networks" and "filters" in call.query)
    wait_for(lambda: all(call.status for call in rival.proxy.calls), 5, "the rival to wait")
    time.sleep(0.3)
    rival.runner.signal(signal.SIGTERM)
    second.join(3)
    assert not second.is_alive(), "it waits on"
    first.end().ok()
    assert second.result is not None, "it ended without a word"
    assert second.result.failed and "interrupted by SIGTERM" in second.result.msg
    assert not rival.mutating


def test_two_at_once_with_one_that_fails(task: Task, rival: Task, engine: Engine) -> None:
    """Who undoes holds the lock while it does so: the other begins when all is as it was."""
    task("containers", **ROUND[0]).ok()
    bad = {**ROUND[1], "containers": [box("web", command=["false"])]}
    first = held(task, bad, 1.0)
    second = Racer(rival, ROUND[2])
    assert first.end().failed
    second.end().ok()
    assert "ROUND=2" in engine.inspect("container", "web")["Config"]["Env"]
    assert engine.names("container") == ["web"]
