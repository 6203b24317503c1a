# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What machine_info says of machines and their hypervisor, without a call that could change anything."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import info
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.session import CONNECTION, HypervisorSession
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.spec import read_lists

from .fake_hypervisor import EMULATED, FakeHypervisor

IMAGE = {"source": "/srv/debian.qcow2", "checksum": "a" * 64}
WEB = {
    "name": "web",
    "image": IMAGE,
    "memory": "1g",
    "memory_max": "2g",
    "networks": [{"network": "back", "address": "192.168.90.10"}, {"bridge": "br0"}],
    "disks": [{"name": "data", "size": "1g"}],
    "labels": {"role": "front"},
    "seed": {"user": "debian"},
}
BACK = {"name": "back", "address": "192.168.90.1/24", "dhcp": {"start": "192.168.90.100", "end": "192.168.90.199"}}


@pytest.fixture
def hypervisor() -> FakeHypervisor:
    """One machine of the project shop, one of lab, and one that nobody owns."""
    found = FakeHypervisor()
    for project, machines, networks in (
        ("shop", [WEB], [BACK]),
        ("lab", [{"name": "db", "image": IMAGE, "memory": "1g", "state": "stopped", "wait_for": "running"}], []),
        ("shop", [{"name": "old", "image": IMAGE, "memory": "1g", "wait_for": "running", "accel": "kvm"}], []),
    ):
        params = {
            "project": project,
            "pool_path": "/pool",
            "machines": machines,
            "networks": networks,
            "orphans": "ignore",
        }
        found.capabilities = found.capabilities.replace("</arch></guest>", "<domain type='kvm'/></arch></guest>")
        session = HypervisorSession(found)
        found.make(session.look(read_lists({key: item for key, item in params.items() if item}, CONNECTION))[0].actions)
    found.change("machine/old", {"Labels": {}})
    return found


def only(hypervisor: FakeHypervisor, **which: Any) -> dict[str, Any]:
    (one,) = info.machines(hypervisor, **which)
    return one


def test_one_those_of_a_project_or_all(hypervisor: FakeHypervisor) -> None:
    assert [item["name"] for item in info.machines(hypervisor)] == ["db", "old", "web"]
    assert [item["name"] for item in info.machines(hypervisor, project="shop")] == ["web"]
    assert info.machines(hypervisor, name="web", project="lab") == []
    assert info.machines(hypervisor, name="nobody") == []
    assert only(hypervisor, name="old")["project"] == ""


def test_a_machine_says_how_it_is_and_how_to_reach_it(hypervisor: FakeHypervisor) -> None:
    web = only(hypervisor, name="web")
    assert (web["state"], web["state_reason"], web["project"]) == ("running", "booted", "shop")
    assert (web["accel"], web["accel_reason"]) == ("tcg", EMULATED)
    assert (web["address"], web["needs_restart"]) == ("192.168.90.10", [])
    assert web["networks"] == ["back", "br0"]
    assert web["labels"] == {"role": "front"}
    assert web["connection"]["ansible_host"] == "192.168.90.10"
    assert web["connection"]["ansible_user"] == "debian"
    assert "console" not in web
    hypervisor.found["machine"]["web"]["Labels"]["slipway.host-key"] = "ssh-ed25519 AAAA"
    assert only(hypervisor, name="web")["connection"] == {}, "an altered key pins nothing"
    assert web["storage"] == {
        "root": {
            "path": "/pool/slipway.shop.web.root-1.qcow2",
            "format": "qcow2",
            "capacity": 1 << 30,
            "allocation": 4096,
            "backing": f"/pool/slipway.image.{'a' * 64}.qcow2",
        },
        "disks.data": {
            "path": "/pool/slipway.shop.web.disk-data.qcow2",
            "format": "qcow2",
            "capacity": 1 << 30,
            "allocation": 4096,
            "backing": None,
        },
    }


def test_a_machine_that_is_off_says_why(hypervisor: FakeHypervisor) -> None:
    hypervisor.change("machine/db", {"Reason": 5})
    db = only(hypervisor, name="db")
    assert (db["state"], db["state_reason"], db["addresses"], db["needs_restart"]) == ("stopped", "saved", [], [])
    hypervisor.change("machine/db", {"Reason": 99})
    assert only(hypervisor, name="db")["state_reason"] == "", "a reason of a newer libvirt"


def test_how_a_machine_is_run_may_have_been_said(hypervisor: FakeHypervisor) -> None:
    old = only(hypervisor, name="old")
    assert (old["accel"], old["accel_reason"]) == ("kvm", "it was said")


def test_what_counts_from_the_next_start_on_is_told(hypervisor: FakeHypervisor) -> None:
    defined = hypervisor.found["machine"]["web"]
    hypervisor.change("machine/web", {"Live": {**defined["Live"], "MemoryMax": 1 << 30, "Cpu": "Skylake"}})
    assert only(hypervisor, name="web")["needs_restart"] == ["memory_max", "cpu"]
    hypervisor.change("machine/web", {"Cpu": "host-model"})
    hypervisor.leases = ["192.168.90.77"]
    web = only(hypervisor, name="web")
    assert web["needs_restart"] == ["memory_max", "networks"], "it has another address than the reserved one"
    assert web["addresses"] == ["192.168.90.77"]


def test_a_port_of_the_host_is_the_way_to_a_machine_whose_card_is_in_user_mode(hypervisor: FakeHypervisor) -> None:
    card = {
        "Type": "user",
        "Source": "",
        "Mac": "52:54:00:00:00:09",
        "Model": "virtio",
        "Ports": ["60022:22", "8080:80"],
    }
    defined = hypervisor.found["machine"]["web"]
    more = {"Interfaces": {**defined["Interfaces"], "2": card}}
    hypervisor.change("machine/web", more)
    assert only(hypervisor, name="web")["needs_restart"] == ["networks"], "it was not started with it"
    assert only(hypervisor, name="web")["port"] == 22
    hypervisor.change("machine/web", {"Live": {**defined["Live"], **more}})
    web = only(hypervisor, name="web")
    assert (web["address"], web["port"], web["addresses"], web["needs_restart"]) == (
        "127.0.0.1",
        60022,
        ["127.0.0.1"],
        [],
    )
    assert (web["connection"]["ansible_host"], web["connection"]["ansible_port"]) == ("127.0.0.1", 60022)
    assert web["networks"] == ["back", "br0", ""]


def test_the_end_of_a_console_without_what_looks_secret(hypervisor: FakeHypervisor) -> None:
    path = hypervisor.found["machine"]["web"]["Serial"]
    hypervisor.consoles[path] = b"one\r\ntwo\r\npassword=hunter22\r\nlogin: \xff"
    shown = only(hypervisor, name="web", console_lines=3)["console"]
    assert [shown[0], shown[2]] == ["two", "login: \ufffd"]
    assert "hunter22" not in shown[1]
    assert only(hypervisor, name="db", console_lines=3)["console"] == []


def test_a_hypervisor_says_what_it_can_do() -> None:
    fake = FakeHypervisor()
    facts = info.facts(fake, HypervisorSession(fake).driver)
    assert (facts["driver"], facts["accels"], facts["accel"]) == ("qemu_system", ["auto", "tcg"], "tcg")
    assert facts["accel_reason"] == EMULATED
    assert facts["capabilities"]["attach"] is True
    assert all(isinstance(value, bool) for value in facts["capabilities"].values())


LOG = """\
2026-01-02 03:04:05.678+0000: starting up libvirt version: 9.0.0, qemu version: 7.2.0, hostname: old
/usr/bin/qemu-system-x86_64 \\
-name guest=web
2026-01-02T03:05:00.000000Z qemu-system-x86_64: of the start before
2026-01-03 03:04:05.678+0000: starting up libvirt version: 9.0.0, qemu version: 7.2.0, hostname: new
LC_ALL=C \\
/usr/bin/qemu-system-x86_64 \\
-name guest=web
2026-01-03T03:05:00.000000Z qemu-system-x86_64: terminating on signal 15
2026-01-03 03:05:01.000+0000: shutting down, reason=crashed
"""


def test_what_qemu_said_since_it_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("libvirt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with closing(Hypervisor("test:///default")) as hypervisor:
        hypervisor.uri = "qemu:///session"
        assert hypervisor.last_words("web") == ""
        log = tmp_path / "libvirt/qemu/log/web.log"
        log.parent.mkdir(parents=True)
        log.write_text(LOG)
        assert hypervisor.last_words("web") == (
            "2026-01-03T03:05:00.000000Z qemu-system-x86_64: terminating on signal 15 | 2026-01-03 03:05:01.000+0000: shutting down, reason=crashed"
        )
        hypervisor.uri = "qemu+ssh://ana@host/session"
        assert hypervisor.last_words("web") == ""


def test_libvirts_own_imitation_is_read_and_nothing_of_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("libvirt")
    monkeypatch.setattr(Hypervisor, "change", lambda *_what: pytest.fail("it only reads"))
    with HypervisorSession(Hypervisor("test:///default")) as session:
        (machine,) = info.machines(session.hypervisor, name="test", console_lines=5)
        facts = info.facts(session.hypervisor, session.driver)
    assert (machine["state"], machine["networks"], machine["console"]) == ("running", ["default"], [])
    assert (facts["driver"], facts["accels"]) == ("test", ["auto"])
