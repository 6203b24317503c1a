# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A valid spec never crashes; after one run everything is as was asked, and a second run only looks."""

from __future__ import annotations

from harness.engine import Engine
from harness.task import Task

from . import specs
from .asked import SHOWN, differences
from .exam import Exam
from .spelling import rewritten


def test_a_second_run_only_looks(exam: Exam, task: Task, engine: Engine) -> None:
    for example in exam.sample("a second run makes no mutating call and few reads, over random specs", 200):
        with example:
            engine.clean()
            spec = specs.spec(example.dice)
            written = rewritten(example.dice, spec)  # in no special words
            example.tell("spec", written)
            task("containers", **written).ok()
            wrong = differences(engine, spec)
            assert not wrong, f"what was asked is not what is: {wrong}"
            task.settled("containers", **written)
            kinds = sum(bool(spec.get(kind)) for kind in ("networks", "volumes", "containers")) + 1  # and images
            most = 3 + kinds + len(spec["containers"])
            reads = [str(call) for call in task.calls]
            assert len(reads) <= most, f"{len(reads)} reads, {most} are enough: {reads}"


def test_every_option_is_read_back() -> None:
    """An option that specs can say is one that can be read back."""
    assert set(specs.OPTIONS) - {"state", "depends_on", "pull", "comparisons", "update_order"} == set(SHOWN)
