# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes one by one never has a neighbour of its kind, and everything is run once, however long each part takes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xdist.scheduler import loadscope

from harness.lanes import EARLY, MOLECULE, ONE_BY_ONE, Lanes, in_order, one_by_one

ROOT = Path(__file__).parents[2]
SCENARIOS = [
    f"tests/molecule/test_scenarios.py::test_scenario[{path.parent.name}]" for path in MOLECULE.glob("*/molecule.yml")
]
PLACES = [*ONE_BY_ONE, "tests/unit/", "tests/integration/network/", *sorted(SCENARIOS)]


class Worker:
    """Runs what it is sent; the last of it only when it is told that nothing follows, or what."""

    def __init__(self) -> None:
        self.queue: list[int] = []
        self.shutting_down = False
        self.gateway = SimpleNamespace(id="worker")

    def send_runtest_some(self, indices: list[int]) -> None:
        """Be given more."""
        self.queue += indices

    def shutdown(self) -> None:
        """Hear that nothing follows."""
        self.shutting_down = True

    def ready(self) -> bool:
        """Say whether it can run a test."""
        return len(self.queue) > (0 if self.shutting_down else 1)


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> type[Lanes]:
    monkeypatch.setattr(loadscope, "parse_tx_spec_config", lambda _config: [1, 2])
    return Lanes


def names_of(sizes: list[tuple[str, int]]) -> list[str]:
    """So many tests in so many files; a scenario is one."""
    found = []
    for number, (place, size) in enumerate(sizes):
        if "[" in place:
            found.append(place)
        else:
            file = place if place.endswith(".py") else f"{place}test_{number}.py"
            found += [f"{file}::test_{number}_{test}" for test in range(size)]
    return sorted(dict.fromkeys(found), key=in_order)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.integers(1, 5)), min_size=1, max_size=25), st.data())
def test_one_by_one(scheduler: type[Lanes], sizes: list[tuple[str, int]], data: st.DataObject) -> None:
    tests = names_of(sizes)
    workers = [Worker(), Worker()]
    config = SimpleNamespace(option=SimpleNamespace(loadscopereorder=False))
    lanes = scheduler(config)  # type: ignore[arg-type]
    for worker in workers:
        lanes.add_node(worker)  # type: ignore[arg-type]
        lanes.add_node_collection(worker, tests)  # type: ignore[arg-type]
    lanes.schedule()
    done: dict[int, Worker] = {}
    while len(done) < len(tests):
        busy = [worker for worker in workers if worker.queue]
        assert all(worker.ready() for worker in busy), "one waits for the other"
        worker = data.draw(st.sampled_from(busy))
        number = worker.queue.pop(0)
        assert number not in done
        done[number] = worker
        lanes.mark_test_complete(worker, number)  # type: ignore[arg-type]
        if lanes.tests_finished:
            for other in workers:
                other.shutdown()
    assert len({id(worker) for number, worker in done.items() if one_by_one(tests[number])}) <= 1


def test_scenarios_with_machines_go_one_by_one() -> None:
    names = {name.partition("[")[2].rstrip("]"): one_by_one(name) for name in SCENARIOS}
    assert names["toolbox"] and names["desktop"] and names["virtualization_host"]
    assert not names["native"]


@pytest.mark.parametrize("place", [*ONE_BY_ONE, *EARLY])
def test_every_place_is_there(place: str) -> None:
    assert (ROOT / place).exists()
