# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole suite in two lanes side by side (`-n 2`): in one what must have no neighbour of its kind, in the other the rest, part by part.

Two machines without KVM at once would take the processors from one another, so all that emulates is in one lane, one after the other. So is what
holds a stopwatch to the engine: it never runs beside an emulated processor. And so are those that share a place on this machine.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

MOLECULE = Path(__file__).parents[2] / "molecule"
ONE_BY_ONE = (
    "tests/exams/test_faults.py",  # a stopwatch, as in the next three
    "tests/exams/test_races.py",
    "tests/exams/test_replacement.py",
    "tests/exams/test_restart.py",
    "tests/harness/test_guest.py",  # emulates
    "tests/harness/test_hypervisor.py",  # emulates
    "tests/integration/container/test_container_states.py",  # a stopwatch
    "tests/integration/desktop/",  # stopwatches, and /run/sshd
    "tests/integration/machine/",  # emulates
    "tests/integration/ssh/",  # /run/sshd
)
MACHINES = ("/hypervisor/create.yml", "/workstation/prepare.yml")  # what a Molecule scenario with machines names
EMULATES = {"session_hypervisor", "user_machines"}  # fixtures
# Galaxy's importer gives ansible-lint three minutes, so it comes before the first guest.
EARLY = ("tests/unit/", "tests/galaxy/", "tests/molecule/", "tests/quickstart/", "tests/integration/playbook/")


@cache
def one_by_one(nodeid: str) -> bool:
    """Say whether a test, or a part, has its turn in the one lane; a Molecule scenario when it has a machine."""
    if nodeid.startswith("tests/molecule/"):
        said = [path.read_text() for path in (MOLECULE / nodeid.partition("[")[2].rstrip("]")).glob("*.yml")]
        return not said or any(place in text for text in said for place in MACHINES)
    return nodeid.startswith(ONE_BY_ONE)


def part(nodeid: str) -> str:
    """What a test is handed out with, and reported with: its file; a Molecule scenario is one by itself."""
    return nodeid if nodeid.startswith("tests/molecule/") else nodeid.partition("::")[0]


def in_order(nodeid: str) -> int:
    """Sorts the tests: the longest lane begins at once; of the others what says most in a minute is first, and what takes minutes is not last."""
    if one_by_one(nodeid):
        return 0
    return next((number for number, place in enumerate(EARLY, 1) if nodeid.startswith(place)), len(EARLY) + 1)


class Lanes(LoadScopeScheduling):
    """Hands out part by part: all that go one by one to the first worker, who does others when they are done."""

    _split_scope = staticmethod(part)  # type: ignore[assignment]

    def _next(self, node: Any) -> str | None:
        """The part that a worker takes up next; None when what is left is the first one's."""
        if node is not self.nodes[0]:
            return next((name for name in self.workqueue if not one_by_one(name)), None)
        return min(self.workqueue, key=lambda name: not one_by_one(name), default=None)

    def _assign_work_unit(self, node: Any) -> None:
        name = self._next(node)
        if name is not None:
            self.workqueue.move_to_end(name, last=False)
            super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        if self.workqueue and not node.shutting_down and self._next(node) is None:
            node.shutdown()  # when it has done what it has
        else:
            super()._reschedule(node)
