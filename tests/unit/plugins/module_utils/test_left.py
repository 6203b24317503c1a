# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was removed is gone, or the task fails and names what is left."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils import _module
from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import EngineLost
from ansible_collections.slipway.docker.plugins.module_utils._converge.provider import Session, Task
from ansible_collections.slipway.docker.plugins.module_utils._docker import spec as docker_spec
from ansible_collections.slipway.docker.plugins.module_utils._docker.session import EngineSession
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import spec as libvirt_spec
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.session import HypervisorSession

from ._libvirt.fake_hypervisor import FakeHypervisor
from .fake_engine import FakeEngine

BACK = {"name": "back", "address": "192.168.90.1/24"}
IMAGE = {"source": "/srv/debian.qcow2", "checksum": "sha256:" + "5d9e1f0c7a3b2e4d" * 4}
WEB = {
    "name": "web",
    "image": IMAGE,
    "memory": "1g",
    "networks": [{"network": "back", "address": "192.168.90.10"}],
    "disks": [{"name": "data", "size": "1g"}],
}
ALL = {"machines": ["web"], "disks": ["web/data"], "images": [IMAGE["checksum"]]}


class Failed(Exception):
    """The module has failed with this message."""


class Module:
    """As much of a module as a change needs."""

    check_mode = False

    def __init__(self) -> None:
        self.warned: list[str] = []
        self.warn = self.warned.append

    def fail(self, message: str, **_result: Any) -> None:
        raise Failed(message)


class Obedient:
    """Does what it is told, on a hypervisor in memory."""

    def __init__(self, hypervisor: FakeHypervisor) -> None:
        self.perform = hypervisor.perform

    def __call__(self, action: Any) -> None:
        self.perform(action)

    def ready(self) -> bool:
        return True

    def tidy(self) -> None:
        pass


class Machines(HypervisorSession):
    """A session with a hypervisor in memory."""

    def performer(self, _task: Task, _world: Any) -> Obedient:
        return Obedient(self.hypervisor)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_module, "TIDYING", 0.0)


def change(session: Session, task: Task) -> tuple[dict[str, Any], list[str]]:
    """Carry out a task as a module does: its result and its warnings."""
    module = Module()
    _planned, _world, result = _module._change(module, session, task, SimpleNamespace(run=None))
    return result, module.warned


def machines(**options: Any) -> Task:
    return libvirt_spec.read_lists({"project": "shop", "pool_path": "/pool", **options}, ())


@pytest.fixture
def hypervisor() -> FakeHypervisor:
    """A hypervisor with a machine, its data disk and its network."""
    found = FakeHypervisor()
    session = Machines(found)
    change(session, machines(machines=[WEB], networks=[BACK]))
    return found


def removed(hypervisor: FakeHypervisor) -> Task:
    return machines(state="absent", machines=[WEB], networks=[BACK], destroy=ALL)


def test_when_all_is_gone_the_task_ends_well(hypervisor: FakeHypervisor) -> None:
    result, warned = change(Machines(hypervisor), removed(hypervisor))
    assert [line.split()[1] for line in result["plan"]] == [
        "machine/web", "network/back", "disk/web/data", "image/5d9e1f0c7a3b"
    ]  # fmt: skip
    assert hypervisor.found == {"machine": {}, "network": {}, "volume": {}}
    assert not warned


@pytest.mark.parametrize(
    ("step", "left"),
    [
        ("remove machine web", "the machine web"),
        ("remove slipway.shop.web.root-1.qcow2", "the volume /pool/slipway.shop.web.root-1.qcow2 of the machine web"),
        ("remove network back", "the network back"),
        ("remove disk web/data", "the disk web/data"),
        ("remove image 5d9e1f0c7a3b", "the image 5d9e1f0c7a3b"),
    ],
)
def test_what_is_left_is_named(hypervisor: FakeHypervisor, step: str, left: str) -> None:
    hypervisor.deaf_to = {step}
    with pytest.raises(Failed, match=f"^all was done, yet this is left: {left}\\. Run again"):
        change(Machines(hypervisor), removed(hypervisor))


def test_a_reservation_that_is_left_is_named_and_goes_with_the_next_run(hypervisor: FakeHypervisor) -> None:
    gone = machines(machines=[{"name": "web", "state": "absent"}])
    others = {"52:54:00:00:00:01": {"Ip": "192.168.90.20", "Name": "others"}}
    hypervisor.found["network"]["back"]["Hosts"].update(others)
    hypervisor.deaf_to = {"release 192.168.90.10 in the network back"}
    with pytest.raises(
        Failed, match=r"left: the reservation of 192\.168\.90\.10 in the network back of the machine web"
    ):
        change(Machines(hypervisor), gone)
    hypervisor.deaf_to = set()
    result, _warned = change(Machines(hypervisor), gone)
    assert result["plan"] == ["- machine/web   requested"] and result["steps"] == [
        "release 192.168.90.10 in the network back"
    ]
    assert hypervisor.found["network"]["back"]["Hosts"] == others


def test_running_again_removes_what_was_left(hypervisor: FakeHypervisor) -> None:
    hypervisor.deaf_to = {"remove slipway.shop.web.root-1.qcow2"}
    gone = machines(machines=[{"name": "web", "state": "absent"}])
    with pytest.raises(Failed):
        change(Machines(hypervisor), gone)
    hypervisor.deaf_to = set()
    result, _warned = change(Machines(hypervisor), gone)
    assert result["plan"] == ["- machine/web   requested"]
    assert [path for path in hypervisor.found["volume"] if "root" in path] == []


def test_what_an_orphan_has_left_is_named_once_and_not_taken_for_the_machine(hypervisor: FakeHypervisor) -> None:
    root = "slipway.shop.web.root-1.qcow2"
    hypervisor.deaf_to = {f"remove {root}"}
    others = machines(orphans="remove", networks=[BACK])
    for _run in range(2):  # the second one finds no more than the file
        with pytest.raises(Failed, match=rf"left: the volume /pool/{root} of the machine web\. Run"):
            change(Machines(hypervisor), others)


def test_what_takes_a_moment_to_go_is_waited_for(hypervisor: FakeHypervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = "/pool/slipway.shop.web.root-1.qcow2"
    hypervisor.deaf_to = {"remove slipway.shop.web.root-1.qcow2"}
    monkeypatch.setattr(_module, "TIDYING", 60.0)
    monkeypatch.setattr(_module.time, "sleep", lambda _seconds: hypervisor.found["volume"].pop(kept))
    change(Machines(hypervisor), removed(hypervisor))
    assert kept not in hypervisor.found["volume"]


def test_a_hypervisor_that_cannot_be_asked_again_is_a_warning(hypervisor: FakeHypervisor) -> None:
    session = Machines(hypervisor)
    looks = iter((session.snapshot,))

    def once(task: Task) -> Any:
        look = next(looks, None)
        if look is None:
            raise EngineLost("gone")
        return look(task)

    session.snapshot = once
    _result, warned = change(session, removed(hypervisor))
    assert warned == [
        "all was done; resources shows how it was before, for the hypervisor could not be asked again: gone"
    ]


# -- Docker ----------------------------------------------------------------------------------------------------


class Engine(FakeEngine):
    """An engine in memory; ``afterwards`` is done to it after each removal."""

    afterwards: Callable[[Engine, str, dict], None] = staticmethod(lambda *_anything: None)

    def _change(self, method: str, path: str, query: dict, body: Any) -> Any:
        before = copy.deepcopy({"containers": self.containers, "volumes": self.volumes})
        result = super()._change(method, path, query, body)
        if method == "DELETE":
            self.afterwards(self, path, before)
        return result


def containers(**options: Any) -> Task:
    return docker_spec.read_lists(
        {
            "project": "shop",
            "min_healthy_time": 0,
            "volumes": [{"name": "data"}],
            "containers": [{"name": "web", "image": "app:1", "volumes": ["data:/data"]}],
            **options,
        },
        (),
    )


def gone_from(engine: Engine) -> dict[str, Any]:
    task = containers(state="absent", destroy={"volumes": ["data"]})
    return change(EngineSession(engine), task)[0]


@pytest.fixture
def engine() -> Engine:
    """An engine with a container and its volume."""
    found = Engine()
    change(EngineSession(found), containers())
    for volume in found.volumes.values():
        volume["CreatedAt"] = "2026-01-01T00:00:00Z"
    return found


def test_a_volume_that_an_engine_keeps_is_named(engine: Engine) -> None:
    engine.afterwards = lambda self, _path, before: self.volumes.update(before["volumes"])
    with pytest.raises(Failed, match=r"^all was done, yet this is left: the volume data\. Run again"):
        gone_from(engine)


def test_a_container_that_an_engine_keeps_is_named(engine: Engine) -> None:
    engine.afterwards = lambda self, path, before: (
        "/containers/" in path and self.containers.update(before["containers"])
    )
    with pytest.raises(Failed, match="left: the container web"):
        gone_from(engine)


def test_what_somebody_made_anew_meanwhile_is_not_left(engine: Engine) -> None:
    def again(self: Engine, path: str, before: dict) -> None:
        if "/containers/" in path:
            self.containers = {
                f"{key}-again": {**item, "Id": f"{key}-again"} for key, item in before["containers"].items()
            }
        else:
            self.volumes = {
                name: {**item, "CreatedAt": "2026-01-01T00:00:09Z"} for name, item in before["volumes"].items()
            }

    engine.afterwards = again
    result = gone_from(engine)
    assert result["changed"]
    assert [item["Name"] for item in engine.containers.values()] == ["/web"] and set(engine.volumes) == {"data"}
