# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of secrets are there exactly as long as a container that mounts them, whatever fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.apply import Run
from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError
from ansible_collections.slipway.docker.plugins.module_utils._converge.journal import Journal
from ansible_collections.slipway.docker.plugins.module_utils._converge.plan import Plan, plan
from ansible_collections.slipway.docker.plugins.module_utils._converge.report import report
from ansible_collections.slipway.docker.plugins.module_utils._converge.secret import mask
from ansible_collections.slipway.docker.plugins.module_utils._docker import secret_files, spec
from ansible_collections.slipway.docker.plugins.module_utils._docker.perform import Performer
from ansible_collections.slipway.docker.plugins.module_utils._docker.secret_store import Store
from ansible_collections.slipway.docker.plugins.module_utils._docker.snapshot import snapshot

from ..fake_engine import Address, FakeEngine, Fault

WORD = {"name": "word", "value": "first"}
OWNER = {"uid": os.geteuid(), "gid": os.getegid()}


def params(place: Path, *values: str, image: str = "app:1", **options: Any) -> dict:
    """A project of one container per value."""
    return {
        "project": "shop",
        "min_healthy_time": 0,
        "secrets_dir": str(place),
        "containers": [
            {"name": f"c{number}", "image": image, "secrets": [{"name": "word", "value": value, **OWNER}]}
            for number, value in enumerate(values)
        ],
        **options,
    }


def converge(engine: FakeEngine, options: dict) -> tuple[Plan, Journal]:
    """Plan and apply as a module does."""
    task = spec.read_lists(options, ())
    world = snapshot(engine, task.desired, task.policy)
    planned = plan(task.desired, world, task.policy)
    perform = Performer(engine, Store(engine, task.policy.project, task.settings["secrets_dir"], world))
    journal = Run(perform, 1)(planned.actions)
    perform.tidy()
    return planned, journal


def kept(place: Path) -> list[str]:
    """Paths of the files that are there."""
    return sorted(str(path) for path in place.rglob("*") if path.is_file())


def mounted(engine: FakeEngine, *states: str) -> list[str]:
    """Paths of the files that containers mount."""
    found = [item for item in engine.containers.values() if not states or item["State"]["Status"] in states]
    return sorted(mount["Source"] for item in found for mount in item["HostConfig"].get("Mounts") or ())


def test_what_the_engine_gets_has_no_value(tmp_path: Path) -> None:
    engine = FakeEngine()
    planned, journal = converge(engine, params(tmp_path / "kept", "first-value"))
    assert journal.whole and kept(tmp_path / "kept") == mounted(engine)
    assert "first-value" not in repr(engine.containers) + repr(report(planned, journal, spec.KINDS))
    assert Path(mounted(engine)[0]).read_text() == "first-value"
    assert not converge(engine, params(tmp_path / "kept", "first-value"))[0]


@pytest.mark.parametrize("how", ["refuse", "lose"])
@pytest.mark.parametrize("number", range(14))
def test_a_failure_anywhere_leaves_what_is_mounted(tmp_path: Path, how: str, number: int) -> None:
    engine, place = FakeEngine(), tmp_path / "kept"
    converge(engine, params(place, "one", "two"))
    engine.calls.clear()
    engine.fault = Fault(number, how)
    converge(engine, params(place, "other", "two", image="app:2"))
    engine.fault = None
    assert set(mounted(engine, "running")) <= set(kept(place)) <= set(mounted(engine))
    assert len(mounted(engine, "running")) == 2
    converge(engine, params(place, "other", "two", image="app:2"))
    assert kept(place) == mounted(engine) and len(kept(place)) == 2
    converge(engine, params(place, state="absent"))
    assert list(tmp_path.rglob("*")) == [place]


@pytest.mark.parametrize("project", ["..", ".", "a/b", "../../x", "%2E", "straße", "a b"])
def test_a_project_is_one_directory_whatever_it_is_called(tmp_path: Path, project: str) -> None:
    place = tmp_path / "kept"
    engine = FakeEngine()
    converge(engine, params(place, "one", project=project))
    assert [path.parent for path in place.iterdir()] == [place] and len(kept(tmp_path)) == 1
    converge(engine, params(place, project=project, state="absent"))
    assert kept(tmp_path) == []


def test_another_project_and_another_engine_are_left_alone(tmp_path: Path) -> None:
    engine, other, place = FakeEngine(), FakeEngine(identity="other"), tmp_path / "kept"
    converge(engine, params(place, "one"))
    converge(engine, params(place, project="second") | {"containers": []})
    converge(other, params(place, "two"))
    converge(other, params(place, state="absent"))
    assert kept(place) == mounted(engine)


def test_a_place_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(SpecError, match="others may write"):
        converge(FakeEngine(), params(place, "one"))


def test_an_engine_elsewhere_is_refused_before_it_is_asked_anything(tmp_path: Path) -> None:
    engine = FakeEngine(address=Address(url="ssh://root@far", scheme="ssh"))
    with pytest.raises(SpecError, match="it is at ssh://root@far"):
        converge(engine, params(tmp_path, "one"))
    converge(engine, params(tmp_path, "one", state="absent"))


@pytest.mark.parametrize(
    "content", ["plain", "with spaces  in it", "several\nlines of text\n\nand more", "\n", "ends with a line\n"]
)
def test_what_a_container_tells_of_it_is_masked(content: str) -> None:
    found = secret_files.encode([{**WORD, "value": content, "uid": 0, "gid": 0, "mode": "0400"}])
    told = " | ".join(line.strip() for line in f"before\n{content}\nafter".splitlines() if line.strip())
    masked = mask(told, secret_files.texts(found))
    assert masked.startswith("before | ") and masked.endswith("| after")
    assert all(line not in masked for line in content.splitlines() if len(line) > 3)
