# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Data goes only when the spec says so by its name."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from harness.engine import Engine
from harness.task import Task

from . import specs
from .exam import Dice, Exam
from .hands import meddle

STEPS = 5  # transitions in one history


def test_no_volume_is_lost(exam: Exam, task: Task, engine: Engine) -> None:
    for example in exam.sample("no volume is lost that destroy does not name, over random transitions", 100 // STEPS):
        with example:
            engine.clean()
            spec = specs.spec(example.dice)
            for number in range(STEPS):
                before = set(engine.names("volume"))
                example.tell(f"transition {number + 1}", spec)
                result = task("containers", **spec)
                # One that is removed and made again has lost its data too.
                removed = {call.path.rpartition("/")[2] for call in task.proxy.matching("DELETE", "^/volumes/")}
                lost = sorted(before - set(engine.names("volume")) | removed)
                named = (spec.get("destroy") or {}).get("volumes", [])
                assert set(lost) <= set(named), f"lost {lost}; {named} were named"
                if result.failed:
                    example.series.count("of them refused")
                    example.tell("refused", result.msg)
                    assert not task.mutating, f"it failed half way: {result.msg}"
                example.passed()
                spec = riskier(example.dice, spec)
                if example.dice.likely(0.3):
                    example.tell("by hand", meddle(example.dice, engine))


def riskier(dice: Dice, before: Mapping) -> dict:
    """Another spec that puts volumes at risk: changed options, dropped, absent, destroyed by name, all of it absent."""
    after = specs.changed(
        dice, {key: value for key, value in copy.deepcopy(dict(before)).items() if key not in ("destroy", "state")}
    )
    for item in after["volumes"]:
        if dice.likely(0.3):
            option = dice.choice(list(specs.VOLUME_OPTIONS))
            item[option] = specs.VOLUME_OPTIONS[option][1](dice)
    if dice.likely(0.25):
        after["destroy"] = {"volumes": dice.some((*specs.VOLUMES, "undeclared"), 1)}
    if dice.likely(0.15):
        after["state"] = "absent"
    return after
