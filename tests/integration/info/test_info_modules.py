# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The info modules say what inspect says, change nothing, and hide what looks secret."""

from __future__ import annotations

import json

import pytest
from harness.engine import Engine
from harness.task import STAYS, Task

IMAGE = "slipway-test/busybox:1"


@pytest.fixture
def populated(task: Task, engine: Engine) -> None:
    engine.run_cli("run", "-d", "--name", "foreign", "-e", "DB_PASSWORD=hunter2-canary", IMAGE, *STAYS)
    web = {"name": "web", "image": IMAGE, "command": STAYS}
    task("containers", project="shop", networks=[{"name": "back"}], volumes=[{"name": "data"}], containers=[web]).ok()


@pytest.mark.parametrize(
    ("kind", "name"), [("container", "web"), ("network", "back"), ("volume", "data"), ("image", IMAGE)]
)
def test_one(task: Task, engine: Engine, populated: None, kind: str, name: str) -> None:
    for check in (False, True):
        found = task(f"{kind}_info", name=name, check=check).ok()
        assert not found.changed and not task.mutating
        assert found["exists"] is True
        assert found[kind] == engine.inspect(kind, name)
        assert found[f"{kind}s"] == [found[kind]]


@pytest.mark.parametrize("kind", ["container", "network", "volume", "image"])
def test_none(task: Task, kind: str) -> None:
    found = task(f"{kind}_info", name="nobody").ok()
    assert (found["exists"], found[kind], found[f"{kind}s"]) == (False, None, [])


@pytest.mark.parametrize(("kind", "name"), [("container", "web"), ("network", "back"), ("volume", "data")])
def test_all_of_a_project(task: Task, engine: Engine, populated: None, kind: str, name: str) -> None:
    assert task(f"{kind}_info", project="shop").ok()[f"{kind}s"] == [engine.inspect(kind, name)]


def test_all(task: Task, engine: Engine, populated: None) -> None:
    found = task("container_info").ok()["containers"]
    assert sorted(item["Name"] for item in found) == ["/foreign", "/web"]
    assert len(task("image_info").ok()["images"]) == len(engine.names("image"))
    assert "hunter2-canary" not in json.dumps(found)
    assert "DB_PASSWORD" in json.dumps(found)


def test_the_engine(task: Task, engine: Engine) -> None:
    facts = task("engine_info").ok()["engine"]
    about = engine.api("GET", "/version")
    assert (facts["version"], facts["max_api_version"]) == (about["Version"], about["ApiVersion"])
    assert not task.mutating
