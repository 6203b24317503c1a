# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run that is cut off anywhere leaves nothing that the next run cannot put right."""

from __future__ import annotations

import pytest
from harness.engine import Engine
from harness.proxy import RecordingProxy
from harness.run import Killed
from harness.task import STAYS, Task

BOX = {"image": "slipway-test/busybox:1", "command": STAYS}
SHOP = {
    "project": "shop",
    "networks": [{"name": "back"}],
    "volumes": [{"name": "data"}],
    "containers": [{**BOX, "name": "web", "networks": [{"name": "back"}], "volumes": ["data:/data"]}],
}
CHANGED = {**SHOP, "containers": [{**SHOP["containers"][0], "env": {"ROUND": "2"}}]}
WHEN = {"before": "call", "after": "lost"}


def run_and_kill(task: Task, proxy: RecordingProxy, when: str, nth: int, **spec: object) -> bool:
    """Kill the module before the engine hears of its nth mutating call, or when it has answered; False when it made fewer."""
    proxy.fault(WHEN[when], task.runner.kill, mutating=True, nth=nth)
    try:
        task("containers", **spec)
    except Killed:
        proxy.drain()
        return True
    finally:
        proxy.heal()
    return False


def as_it_should_be(task: Task, engine: Engine, spec: dict) -> None:
    """One more run, and all is there, and nothing else."""
    task("containers", **spec).ok()
    task.settled("containers", **spec)
    assert (engine.names("container"), engine.names("network"), engine.names("volume")) == (
        ["web"],
        ["back"],
        ["data"],
    )
    assert engine.inspect("container", "web")["State"]["Running"]


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
def test_killed_at_any_call_from_nothing(task: Task, engine: Engine, proxy: RecordingProxy, when: str) -> None:
    nth = 1
    while run_and_kill(task, proxy, when, nth, **SHOP):
        as_it_should_be(task, engine, SHOP)
        engine.clean()
        nth += 1
    assert nth > 3, "the run made fewer calls than it has objects"


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
def test_killed_at_any_call_of_a_change(task: Task, engine: Engine, proxy: RecordingProxy, when: str) -> None:
    """Killed, nobody is there to take anything back; yet a service is down only if it happened between its stop and its start."""
    down = []
    nth = 1
    while True:
        task("containers", **SHOP).ok()
        if not run_and_kill(task, proxy, when, nth, **CHANGED):
            break
        if not engine.api("GET", "/containers/json"):  # the old one may run under its other name
            down.append(nth)
        as_it_should_be(task, engine, CHANGED)
        engine.clean()
        nth += 1
    assert nth > 5, "a replacement takes more calls than that"
    assert len(down) <= 1, f"killed at these calls, nothing ran: {down}"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop", "lost"])
def test_cut_off_at_any_call_from_nothing(task: Task, engine: Engine, proxy: RecordingProxy, fault: str) -> None:
    nth = 1
    while True:
        rule = proxy.fault(fault, mutating=True, nth=nth)
        result = task("containers", **SHOP)
        reached = rule.seen >= nth
        proxy.heal()
        assert "Traceback" not in f"{result.msg}{result.stderr}{result.get('exception', '')}"
        if not reached:
            assert not result.failed
            return
        as_it_should_be(task, engine, SHOP)
        engine.clean()
        nth += 1
