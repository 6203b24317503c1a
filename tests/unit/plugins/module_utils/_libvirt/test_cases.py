# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every file in cases/ is a sentence: what was made, what was done to it by hand, what is desired, and the plan as it is read aloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError
from ansible_collections.slipway.docker.plugins.module_utils._converge.provider import Task
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import machine
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.session import CONNECTION, HypervisorSession
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.spec import read_lists, read_one
from ansible_collections.slipway.docker.plugins.modules.machine import OPTIONS

from .fake_hypervisor import FakeHypervisor

CASES = sorted((Path(__file__).parent / "cases").glob("*.yml"))


def params_of(case: dict[str, Any], objects: dict[str, Any]) -> dict[str, Any]:
    """A task: objects by kind and name, and options of the task itself."""
    params: dict[str, Any] = {"project": "shop", "pool_path": "/pool", **(case.get("task") or {})}
    for key, options in objects.items():
        kind, _slash, name = key.partition("/")
        params.setdefault(kind + "s", []).append({"name": name, **(options or {})})
    return params


def made(case: dict[str, Any]) -> FakeHypervisor:
    """A hypervisor that has what a case made, and what was done to it by hand."""
    hypervisor = FakeHypervisor(kvm=case.get("kvm", False))
    if case.get("made"):
        before = read_lists(params_of({}, case["made"]), CONNECTION)
        planned, _world = HypervisorSession(hypervisor).look(before)
        hypervisor.make(planned.actions)
    for place, values in (case.get("by_hand") or {}).items():
        hypervisor.change(place, values)
    for path, backing in (case.get("volumes") or {}).items():
        hypervisor.add_volume(path, backing=backing)
    hypervisor.uri = case.get("uri", hypervisor.uri)
    hypervisor.in_use = case.get("in_use") or {}
    hypervisor.asked.clear()
    return hypervisor


def task_of(case: dict[str, Any]) -> Task:
    """What is desired, of the module for lists or, with ``one``, of that for one machine."""
    if "one" in case:
        return read_one(machine.KIND, OPTIONS, {"project": "shop", "pool_path": "/pool", **case["one"]}, CONNECTION)
    return read_lists(params_of(case, case.get("desired") or {}), CONNECTION)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    hypervisor = made(case)
    try:
        task = task_of(case)
        found, _world = HypervisorSession(hypervisor).look(task)
    except SpecError as error:
        assert error.mistakes == case.get("refused"), "refused"
        if case.get("unasked"):
            assert not hypervisor.asked, "it is told before the snapshot"
        return
    if "refused" in case:
        pytest.fail(f"not refused: {found.text()}")
    assert found.text() == (case["plan"] or "").splitlines()
    if "steps" in case:
        assert [action.step for action in found.actions] == case["steps"]
    assert list(found.notes) == (case.get("notes") or [])


def test_there_are_cases() -> None:
    assert len(CASES) > 12
