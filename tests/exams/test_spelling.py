# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Order and spelling do not matter: an equivalent spec finds nothing to do."""

from __future__ import annotations

from harness.engine import Engine
from harness.task import Task

from ansible_collections.slipway.docker.plugins.module_utils._docker.container import KIND

from . import specs
from .exam import Exam
from .spelling import ALIASES, rewritten

REWRITES = 5  # of one spec, so that it has to be applied only once


def test_an_equivalent_spec_changes_nothing(exam: Exam, task: Task, engine: Engine) -> None:
    for example in exam.sample("an equivalent spelling makes no mutating call", 200 // REWRITES):
        with example:
            engine.clean()
            engine.run_cli("tag", "slipway-test/busybox:1", "slipway-test/busybox:latest")
            spec = specs.spec(example.dice)
            for item in spec["containers"]:
                if item["image"] == "slipway-test/busybox:1":
                    item["image"] = "slipway-test/busybox:latest"
            example.tell("spec", spec)
            task("containers", **spec).ok()
            for _ in range(REWRITES):
                other = rewritten(example.dice, spec)
                example.tell("in other words", other)
                task.settled("containers", **other)
                example.passed()


def test_every_alias_is_tried() -> None:
    aliases = {option.name: option.aliases for option in KIND.options if option.aliases}
    assert aliases == ALIASES
