# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every file in cases/ is a sentence: what is desired, what is observed, and the plan as it is read aloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError
from ansible_collections.slipway.docker.plugins.module_utils._converge.observed import Observed, World
from ansible_collections.slipway.docker.plugins.module_utils._converge.option import dig
from ansible_collections.slipway.docker.plugins.module_utils._converge.ownership import (
    KEY,
    MANAGED,
    PROJECT,
    managed_of,
    owner_of,
)
from ansible_collections.slipway.docker.plugins.module_utils._converge.plan import plan
from ansible_collections.slipway.docker.plugins.module_utils._docker import snapshot, spec

CASES = sorted((Path(__file__).parent / "cases").glob("*.yml"))


def observed(key: str, raw: dict[str, Any]) -> Observed:
    """An object from what inspect shows of it; ``managed`` beside it is short for our labels."""
    kind, _slash, name = key.partition("/")
    managed = raw.pop("managed", None)
    labels = (raw.setdefault("Config", {}) if kind == "container" else raw).setdefault("Labels", {})
    if managed is not None:
        labels.update({PROJECT: "shop", KEY: name, MANAGED: json.dumps(managed)})
    raw = {"Id": f"{name:0<64}", "Name": name, **raw}
    if kind == "container":
        raw.setdefault("State", {"Status": "running"})
        return snapshot.observe_container({**raw, "Name": "/" + raw["Name"]}, name, "shop", {})
    owner = owner_of(dig(raw, "Labels"))
    return Observed(
        spec.KINDS[kind], name, raw["Id"], raw, raw["Name"], owner, owner.endswith(" shop"), managed_of(labels)
    )


def world_of(case: dict[str, Any]) -> World:
    found = [observed(key, dict(raw or {})) for key, raw in (case.get("observed") or {}).items()]
    images = case.get("images") or {}
    attached = {tuple(key.split("/")): users for key, users in (case.get("attached") or {}).items()}
    orphans = [observed(key, dict(raw or {})) for key, raw in (case.get("orphans") or {}).items()]
    leftovers = []
    for key, raw in (case.get("leftovers") or {}).items():
        leftovers.append(observed(key, dict(raw or {})))
    facts = case.get("facts") or {}
    return World({item.key: item for item in found}, leftovers, orphans, attached, images, facts)


def params_of(case: dict[str, Any]) -> dict[str, Any]:
    """The task: objects by key, and options of the task itself under ``task``."""
    params: dict[str, Any] = {"project": "shop", **(case.get("task") or {})}
    for key, options in (case.get("desired") or {}).items():
        kind, _slash, name = key.partition("/")
        params.setdefault(kind + "s", []).append({"name": name, **(options or {})})
    return params


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    try:
        task = spec.read_lists(params_of(case), ())
        found = plan(task.desired, world_of(case), task.policy)
    except SpecError as error:
        assert error.mistakes == case.get("refused"), "refused"
        return
    if "refused" in case:
        pytest.fail(f"not refused: {found.text()}")
    assert found.text() == (case["plan"] or "").splitlines()
    if "steps" in case:
        assert [action.step for action in found.actions] == case["steps"]
    by_id = {action.id: action.step for action in found.actions}
    for step, needed in (case.get("needs") or {}).items():
        (action,) = (item for item in found.actions if item.step == step)
        assert set(needed) <= {by_id[need] for need in action.needs}
    if "notes" in case:
        assert list(found.notes) == case["notes"]
    if "orphaned" in case:
        assert list(found.orphans) == case["orphaned"]


def test_there_are_cases() -> None:
    assert len(CASES) > 20
