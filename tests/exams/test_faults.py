# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whatever happens to whatever call, the service runs, the next run puts everything right, and nothing is left over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.engine import Engine, busybox_tar
from harness.figures import show
from harness.proxy import RecordingProxy
from harness.registry import Registry
from harness.run import Runner
from harness.task import Task

from .exam import SCALE
from .faults_run import KILLS, KINDS, LASTING, Driver, Figures, examine, sample
from .scenarios import Scenario, scenarios

pytestmark = pytest.mark.slow
NAMES = list(scenarios("", Path()))


@pytest.fixture(scope="session")
def counted() -> Figures:
    """Counts over the whole session."""
    return Figures()


@pytest.fixture
def figures(request: pytest.FixtureRequest, counted: Figures) -> Iterator[Figures]:
    """The counts, shown as they are after the last test."""
    yield counted
    for label, figure in counted.lines():
        show(request.node, "faults", label, figure)


@pytest.fixture(scope="session")
def scenario_set(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scenario]:
    """The scenarios, with a registry that has the image which one of them pulls."""
    registry.push("slipway-test/busybox:1", "sc/pulled:1")
    archive = tmp_path_factory.mktemp("archive") / "root.tar"
    archive.write_bytes(busybox_tar())
    return scenarios(registry.address, archive)


@pytest.fixture
def driver(engine: Engine, proxy: RecordingProxy, runner: Runner, figures: Figures) -> Iterator[Driver]:
    """Drives runs against the engine behind the proxy."""
    return Driver(Task(runner, proxy, engine), engine, proxy, figures)


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_at_any_call(driver: Driver, scenario_set: dict[str, Scenario], name: str) -> None:
    scenario = scenario_set[name]
    calls, usual = driver.count(scenario)
    wrong: list[str] = []
    down: dict[str, set[int]] = {}
    for index, kind in sample(calls, KINDS, SCALE, offset=NAMES.index(name)):
        for text in examine(driver, scenario, index, kind, usual):
            if text.endswith("the service is down (killed)"):
                down.setdefault(kind, set()).add(index)
                print(text)  # shown when it fails: which calls these were
            else:
                wrong.append(text)
    # Killed between the stop of the old one and the start of the new one, nobody is there to start anything.
    wrong += [
        f"{name}, {kind}: down after a kill at the calls {sorted(down[kind])}"
        for kind in KILLS
        if len(down.get(kind, ())) > scenario.replaced
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["replace under a port", "remake a network", "from nothing", "three, one by one"])
def test_an_engine_that_refuses_from_some_call_on(driver: Driver, scenario_set: dict[str, Scenario], name: str) -> None:
    """It cannot be undone either; but the run says so, and the next one puts everything right."""
    scenario = scenario_set[name]
    _calls, usual = driver.count(scenario)
    calls = len(driver.proxy.mutating)
    wrong: list[str] = []
    for index, kind in sample(calls, (LASTING,), SCALE * 4, offset=calls // 2):
        wrong += examine(driver, scenario, index, kind, usual)
    assert not wrong, "\n".join(wrong)
