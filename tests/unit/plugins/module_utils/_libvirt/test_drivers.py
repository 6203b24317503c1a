# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a hypervisor cannot do is said before any change, with the way out."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import drivers, xml
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.drivers import DRIVERS, driver_of, refuse

from .documents import ELSEWHERE, MACHINES

GUESTS = {
    "linux": (("i686", "qemu"), ("x86_64", "qemu"), ("x86_64", "kvm"), ("aarch64", "qemu")),
    "emulated": (("x86_64", "qemu"),),
    "mac": (("aarch64", "qemu"), ("aarch64", "hvf"), ("x86_64", "qemu")),
}


def capabilities(name: str) -> str:
    guests = "".join(
        f"<guest><os_type>hvm</os_type><arch name='{arch}'><wordsize>64</wordsize><domain type='{kind}'/></arch></guest>"
        for arch, kind in GUESTS[name]
    )
    return f"<capabilities><host/>{guests}</capabilities>"


@pytest.mark.parametrize(
    ("uri", "guests", "name"),
    [
        ("qemu:///system", "", "qemu_system"),
        ("qemu+ssh://root@host/system", "linux", "qemu_system"),
        ("qemu+unix:///system?socket=/run/x", "emulated", "qemu_system"),
        ("qemu:///session", "linux", "qemu_session"),
        ("qemu:///session", "mac", "hvf"),
        ("vbox:///session", "", "vbox"),
        ("vbox+ssh://user@host/session", "", "vbox"),
        ("hyperv://host/?transport=http", "", "hyperv"),
        ("test:///default", "", "test"),
        ("test+unix:///default?socket=/run/x", "", "test"),
    ],
)
def test_a_uri_names_its_driver(uri: str, guests: str, name: str) -> None:
    assert driver_of(uri, capabilities(guests) if guests else "").name == name


@pytest.mark.parametrize("uri", ["", "xen:///system", "qemu:///embed?root=/x", "lxc:///system", "qemu", "/system"])
def test_another_uri_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="is no hypervisor that machines know; write qemu:///system"):
        driver_of(uri)


def test_each_way_to_run_a_guest_has_a_type() -> None:
    system = driver_of("qemu:///system", capabilities("linux"))
    assert [system.domain_type(accel) for accel in ("kvm", "tcg", "hvf")] == ["kvm", "qemu", ""]
    assert driver_of("qemu:///system", capabilities("emulated")).domain_type("kvm") == ""
    assert DRIVERS["vbox"].domain_type("auto") == "vbox"
    assert system.archs() == ("aarch64", "i686", "x86_64")
    assert system.archs("kvm") == ("x86_64",)


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("vbox", {"autostart": True}, "autostart", "VirtualBox cannot start machines at boot; leave out autostart"),
    ("vbox", {"agent": True}, "agent", "leave out agent"),
    ("vbox", {"folders": [{"source": "/x"}]}, "folders", "VirtualBox is handed no folders of the host through libvirt; leave out folders"),
    ("vbox", {"image": {"checksum": "00"}}, "image", "makes no disk from an image through libvirt; make the machine there by other means"),
    ("vbox", {"seed": {"user_data": "x"}}, "seed", "leave out seed"),
    ("vbox", {"size": "10g"}, "size", "leave out size"),
    ("vbox", {"firmware": "efi"}, "firmware", "leave out firmware"),
    ("vbox", {"boot": {"kernel": "/k"}}, "boot", "use an image with a boot loader"),
    ("vbox", {"cpus": 1, "cpus_max": 2}, "cpus_max", "leave out cpus_max"),
    ("vbox", {"memory": "1g", "memory_max": "2g"}, "memory_max", "leave out memory_max"),
    ("vbox", {"disks": [{"name": "data", "bus": "virtio"}]}, "disks", 'no disks on "virtio" for "data"; write bus: sata, scsi or ide'),
    ("vbox", {"arch": "aarch64"}, "arch", "write x86_64"),
    ("hyperv", {"image": {"checksum": "00"}}, "image", "leave out image here"),
    ("hyperv", {"disks": [{"name": "data", "size": "1g"}]}, "disks", 'no storage pools to make "data" in'),
    ("hyperv", {"networks": [{"network": "lab"}]}, "networks[0]", "Hyper-V has no networks of libvirt's; write bridge: NAME"),
    ("hyperv", {"cpu": "host-model"}, "cpu", "leave out cpu"),
    ("hyperv", {"machine_type": "q35"}, "machine_type", "leave out machine_type"),
    ("hyperv", {"accel": "kvm"}, "accel", 'Hyper-V has no "kvm" here; write auto'),
    ("test", {"image": {"checksum": "00"}}, "image", "keeps no bytes"),
    ("test", {"boot": {"kernel": {}}}, "boot", "keeps no bytes"),
    ("test", {"seed": {"user_data": "x"}}, "seed", "keeps no bytes"),
    ("qemu_session", {"networks": [{"bridge": "br0"}, {"network": "lab"}]}, "networks[1]", "write bridge: NAME"),
    ("hvf", {"networks": [{"bridge": "br0"}]}, "networks[0]", "QEMU on macOS has no bridges; write user: true"),
    ("vbox", {"networks": [{"user": True}]}, "networks[0]", "VirtualBox has no cards in user mode; write network: NAME, or bridge: NAME"),
    ("hyperv", {"networks": [{"user": True}]}, "networks[0]", "Hyper-V has no cards in user mode; write bridge: NAME"),
    ("test", {"networks": [{"user": True, "ports": ["1:1"]}]}, "networks[0]", "no cards in user mode; write network: NAME"),
    ("hvf", {"accel": "kvm"}, "accel", "write auto, hvf or tcg"),
    ("qemu_system", {"accel": "hvf"}, "accel", 'QEMU has no "hvf" here; write auto, kvm or tcg'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wants", "option", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_is_refused_once_with_the_way_out(name: str, wants: dict, option: str, words: str) -> None:
    [(place, sentence)] = refuse(DRIVERS[name], {"name": "web", "state": "running", **wants})
    assert place == option
    assert words in sentence
    assert refuse(DRIVERS[name], {**wants, "state": "absent"}) == [], "what is to go needs nothing"


def test_the_capabilities_say_what_is_here() -> None:
    emulated = driver_of("qemu:///system", capabilities("emulated"))
    assert refuse(emulated, {"accel": "kvm"}) == [("accel", 'QEMU has no "kvm" here; write auto or tcg')]
    assert refuse(emulated, {"arch": "aarch64"}) == [("arch", 'QEMU has no guests of "aarch64" here; write x86_64')]
    mac = driver_of("qemu:///session", capabilities("mac"))
    assert refuse(mac, {"arch": "x86_64"}) == []
    assert [place for place, _ in refuse(mac, {"arch": "x86_64", "accel": "hvf"})] == ["arch"]


ALLOWED: list[tuple[str, dict[str, Any]]] = [
    ("qemu_system", {"image": "debian-12", "size": "8g", "cpus": 1, "cpus_max": 2, "memory": "1g", "memory_max": "2g", "cpu": "maximum", "arch": "aarch64",
                     "firmware": "efi", "accel": "auto", "autostart": True, "agent": True, "seed": {"user_data": ""}, "boot": {"kernel": "/k"},
                     "disks": [{"name": "a", "bus": "scsi", "size": "1g"}], "networks": [{"network": "lab"}, {"bridge": "br0"}]}),
    ("qemu_session", {"image": {"checksum": "00"}, "autostart": True, "networks": [{"bridge": "br0"}, {"user": True}]}),
    ("hvf", {"networks": [{"user": True, "ports": ["60022:22"]}], "folders": [{"source": "/x"}]}),
    ("hvf", {"accel": "hvf", "image": {"checksum": "00"}, "networks": []}),
    ("vbox", {"autostart": False, "agent": False, "accel": "auto", "cpus": 2, "cpus_max": 2, "disks": [{"name": "a"}]}),
    ("hyperv", {"autostart": True, "networks": [{"bridge": "x"}], "cpu": None, "seed": None}),
    ("test", {"autostart": True, "networks": [{"network": "default"}], "disks": [{"name": "a", "size": "1g"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wants"), ALLOWED, ids=lambda value: str(value)[:40])
def test_what_can_be_is_not_refused(name: str, wants: dict) -> None:
    assert refuse(DRIVERS[name], {"name": "web", "state": "running", **wants}) == []


def test_a_definition_that_cannot_be_written_anew_changes_where_it_can() -> None:
    now = ELSEWHERE["hyperv"]
    more = {"Disks": {**now["Disks"], "new": {"Path": r"C:\n.vhdx", "Format": "vhdx", "Bus": "scsi", "Serial": ""}}}
    changed = drivers.refuse_changes
    assert changed(DRIVERS["hyperv"], now, {"Memory": 1 << 30, "MemoryMax": 1 << 30, "Cpus": 1, **more}) == []
    assert changed(DRIVERS["hyperv"], {**now, "Disks": {}}, more) == []
    assert [place for place, _ in changed(DRIVERS["hyperv"], now, {"Disks": {}, "Root": {}, "Seed": now["Seed"]})] == [
        "disks",
        "image",
    ]
    [(_, sentence)] = changed(DRIVERS["hyperv"], now, {"Interfaces": {}})
    assert (
        sentence
        == "Hyper-V cannot change networks of a machine that is there; leave out networks, or make the machine anew"
    )
    assert changed(DRIVERS["vbox"], ELSEWHERE["vbox"], {"Disks": {}}) == []
    assert changed(DRIVERS["qemu_system"], MACHINES["q35"], {"Root": {}, "Firmware": "efi"}) == []


def test_what_a_driver_takes_by_default_is_what_is_rendered_for_it() -> None:
    for name in ("vbox", "hyperv", "hvf-intel"):
        wanted = ELSEWHERE[name]
        driver = next(one for one in DRIVERS.values() if wanted["Type"] in dict(one.accels).values())
        assert all(one["Bus"] == driver.disk_bus for one in wanted["Disks"].values())
        assert all(one["Model"] == driver.nic for one in wanted["Interfaces"].values())
        assert driver.metadata or not xml.document(xml.render({**wanted, "Labels": {"a": "b"}}))["Labels"]
