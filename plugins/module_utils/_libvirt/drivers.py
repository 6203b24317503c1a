# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each hypervisor can do through libvirt, one table each, and what is therefore refused before any change. Pure.

Sources: https://libvirt.org/hvsupport.html, the pages of the drivers, and trials with libvirt 9.0.
VirtualBox, Hyper-V and HVF are rendered and unit-tested, not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from .._converge.desired import quote
from .capabilities import Capabilities, read

NATIVE = "native"


@dataclass(frozen=True)
class Driver:
    """One hypervisor: how it is called, and what it can do."""

    name: str
    title: str
    # The domain type for each way to run a guest; NATIVE is a hypervisor's only one.
    accels: tuple[tuple[str, str], ...]
    # What a new machine gets when nothing is said.
    disk_bus: str = "virtio"
    disk_format: str = "qcow2"
    nic: str = "virtio"
    # "user" is one that needs nothing of the host: QEMU speaks for the guest, and forwards ports to it.
    interfaces: tuple[str, ...] = ("network", "bridge", "user")
    buses: tuple[str, ...] = ("virtio", "scsi", "sata")
    firmwares: tuple[str, ...] = ("bios", "efi")
    # Architectures with their domain types, from the capabilities; empty when nobody asked.
    offers: tuple[tuple[str, str], ...] = ()
    # Choices of the board.
    cpu_models: bool = True
    machine_types: bool = True
    kernel_boot: bool = True
    # Less than the maximum now, more later, while it runs.
    headroom: bool = True
    # An existing definition can be written anew.
    redefine: bool = True
    attach: bool = True
    detach: bool = True
    update: bool = True
    autostart: bool = True
    # What can go along with a definition.
    undefine: tuple[str, ...] = ("MANAGED_SAVE", "SNAPSHOTS_METADATA", "CHECKPOINTS_METADATA", "NVRAM")
    # Labels can be kept in the domain.
    metadata: bool = True
    agent: bool = True
    # Folders of the host can be handed to a guest.
    folders: bool = True
    # Storage: pools at all, overlays on a base, bytes sent through libvirt, growing.
    pools: bool = True
    overlays: bool = True
    upload: bool = True
    resize: bool = True
    # Networks of libvirt's own, and where the address of a machine can be asked.
    networks: bool = True
    addresses: tuple[str, ...] = ("lease", "agent", "arp")
    snapshots: bool = True
    domain_capabilities: bool = True
    events: bool = True

    def archs(self, accel: str = "auto") -> tuple[str, ...]:
        """Return the architectures of its guests, of those run in this way when one is given."""
        kind = self.domain_type(accel) if accel != "auto" else ""
        return tuple(sorted({arch for arch, offered in self.offers if kind in ("", offered)}))

    def domain_type(self, accel: str) -> str:
        """Return the domain type for a way to run a guest; empty when there is no such way."""
        return dict(self.accels).get(accel, dict(self.accels).get(NATIVE, ""))


QEMU_SYSTEM = Driver("qemu_system", "QEMU", (("kvm", "kvm"), ("tcg", "qemu")))
QEMU_SESSION = replace(
    QEMU_SYSTEM,
    name="qemu_session",
    title="A session of QEMU",
    interfaces=("user", "bridge"),
    networks=False,
    addresses=("agent",),
)
HVF = replace(
    QEMU_SYSTEM,
    name="hvf",
    title="QEMU on macOS",
    accels=(("hvf", "hvf"), ("tcg", "qemu")),
    interfaces=("user",),
    networks=False,
    addresses=("agent",),
)
VBOX = Driver(
    "vbox",
    "VirtualBox",
    ((NATIVE, "vbox"),),
    disk_bus="sata",
    disk_format="vdi",
    nic="82540EM",
    interfaces=("network", "bridge"),
    buses=("sata", "scsi", "ide"),
    firmwares=("bios",),
    offers=(("x86_64", "vbox"),),
    cpu_models=False,
    machine_types=False,
    kernel_boot=False,
    headroom=False,
    redefine=False,
    autostart=False,
    undefine=("SNAPSHOTS_METADATA",),
    metadata=False,
    agent=False,
    folders=False,
    overlays=False,
    upload=False,
    resize=False,
    addresses=(),
    domain_capabilities=False,
    events=False,
)
HYPERV = Driver(
    "hyperv",
    "Hyper-V",
    ((NATIVE, "hyperv"),),
    disk_bus="scsi",
    disk_format="vhdx",
    nic="netvsc",
    interfaces=("bridge",),
    buses=("scsi", "ide"),
    firmwares=("bios",),
    offers=(("x86_64", "hyperv"),),
    cpu_models=False,
    machine_types=False,
    kernel_boot=False,
    headroom=False,
    redefine=False,
    detach=False,
    update=False,
    undefine=(),
    metadata=False,
    agent=False,
    folders=False,
    pools=False,
    overlays=False,
    upload=False,
    resize=False,
    networks=False,
    addresses=(),
    snapshots=False,
    domain_capabilities=False,
    events=False,
)
TEST = Driver(
    "test",
    "libvirt's test hypervisor",
    ((NATIVE, "test"),),
    interfaces=("network", "bridge"),
    attach=False,
    detach=False,
    update=False,
    undefine=("MANAGED_SAVE", "SNAPSHOTS_METADATA"),
    agent=False,
    folders=False,
    upload=False,
    resize=False,
    addresses=(),
    domain_capabilities=False,
)
DRIVERS = {driver.name: driver for driver in (QEMU_SYSTEM, QEMU_SESSION, HVF, VBOX, HYPERV, TEST)}


def driver_of(uri: str, capabilities: str = "") -> Driver:
    """Return the driver behind a URI; the hypervisor's capabilities say which ways to run a guest it has."""
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    known = read(capabilities)
    if scheme == "qemu":
        driver = {"/system": QEMU_SYSTEM, "/session": QEMU_SESSION}.get(parts.path)
        if driver is not None:
            return _with(HVF if "hvf" in known.kinds() else driver, known)
    elif scheme in ("vbox", "hyperv", "test"):
        return DRIVERS[scheme]
    raise ValueError(
        f"{quote(uri)} is no hypervisor that machines know; write qemu:///system, qemu:///session, "
        "vbox:///session, hyperv://HOST or test:///default"
    )


def _with(driver: Driver, known: Capabilities) -> Driver:
    if not known.offers:
        return driver
    kinds = known.kinds()
    accels = tuple((accel, kind) for accel, kind in driver.accels if kind in kinds)
    return replace(driver, accels=accels, offers=known.offers)


# --- What is refused ---------------------------------------------------------------------------------------------------


def refuse(driver: Driver, wants: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what this driver cannot do of a machine's options, each with a sentence that names the way out."""
    said = {name: value for name, value in wants.items() if value is not None}
    if said.get("state") == "absent":
        return []
    checks = (_boards, _sizes, _storage, _devices, _services)
    return [mistake for check in checks for mistake in check(driver, said)]


def _boards(driver: Driver, said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    title, accel = driver.title, said.get("accel", "auto")
    ways = [name for name, _kind in driver.accels]
    if accel not in ("auto", *ways):
        only = [] if ways == [NATIVE] else ways
        yield "accel", f"{title} has no {quote(accel)} here; write {_either(['auto', *only])}"
    archs, arch = driver.archs(accel if accel in ways else "auto"), said.get("arch")
    if arch and archs and arch not in archs:
        how = f" with accel: {accel}" if accel in ways else ""
        yield "arch", f"{title} has no guests of {quote(arch)} here{how}; write {_either(archs)}"
    if said.get("machine_type") and not driver.machine_types:
        yield "machine_type", f"{title} has one kind of machine; leave out machine_type"
    if said.get("cpu") and not driver.cpu_models:
        yield "cpu", f"{title} shows its guests the host's CPU; leave out cpu"
    if said.get("firmware", "bios") not in driver.firmwares:
        yield "firmware", f"{title} boots through libvirt with {_either(driver.firmwares)} alone; leave out firmware"
    if said.get("boot") and not driver.kernel_boot:
        yield "boot", f"{title} cannot boot a kernel from the host; leave out boot and use an image with a boot loader"
    elif said.get("boot") and not driver.upload:
        yield "boot", f"{title} keeps no bytes, so no kernel; leave out boot"


def _sizes(driver: Driver, said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if driver.headroom:
        return
    for name in ("cpus", "memory"):
        maximum = said.get(f"{name}_max")
        if maximum is not None and maximum != said.get(name, maximum):
            yield f"{name}_max", f"{driver.title} has no maximum beside what a machine has; leave out {name}_max"


def _storage(driver: Driver, said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    title = driver.title
    if said.get("image") and not (driver.pools and driver.overlays and driver.upload):
        why = "keeps no bytes" if driver is TEST else "makes no disk from an image through libvirt"
        yield "image", f"{title} {why}; make the machine there by other means, and leave out image here"
    if said.get("size") and not driver.resize:
        yield "size", f"{title} cannot grow a disk through libvirt; leave out size"
    if said.get("seed") and not driver.upload:
        where = "keeps no bytes" if driver is TEST else "takes no files through libvirt"
        yield "seed", f"{title} {where}, so no seed; leave out seed and use an image that is set up"
    for disk in said.get("disks") or ():
        bus, named = disk.get("bus"), quote(str(disk.get("name", "")))
        if bus and bus not in driver.buses:
            yield "disks", f"{title} has no disks on {quote(bus)} for {named}; write bus: {_either(driver.buses)}"
        elif not driver.pools:
            sentence = f"{title} has no storage pools to make {named} in; make it on the host, and leave it out here"
            yield "disks", sentence


# What a card is on: what that is called, and how it is said.
WAYS = {
    "network": ("networks of libvirt's", "network: NAME"),
    "bridge": ("bridges", "bridge: NAME"),
    "user": ("cards in user mode", "user: true"),
}


def _devices(driver: Driver, said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, card in enumerate(said.get("networks") or ()):
        kind = next((way for way in WAYS if card.get(way)), "network")
        if kind not in driver.interfaces:
            ways = [text for way, (_what, text) in WAYS.items() if way in driver.interfaces]
            way_out = f"write {', or '.join(ways)}" if ways else "leave out networks"
            yield (
                f"networks[{number}]",
                f"{driver.title} has no {WAYS[kind][0]}; {way_out}",
            )


def _services(driver: Driver, said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if said.get("autostart") and not driver.autostart:
        yield "autostart", f"{driver.title} cannot start machines at boot; leave out autostart"
    if said.get("folders") and not driver.folders:
        yield "folders", f"{driver.title} is handed no folders of the host through libvirt; leave out folders"
    if said.get("agent") and not driver.agent:
        yield "agent", f"{driver.title} has no channel for the guest agent; leave out agent"


def refuse_network(driver: Driver) -> list[tuple[str, str]]:
    """Return why this driver cannot have a network of its own; empty when it can."""
    ways = [WAYS[way][1] for way in ("user", "bridge") if way in driver.interfaces]
    way_out = f"leave out networks, and give the machines {' or '.join(ways)}" if ways else "leave it out"
    return [] if driver.networks else [("", f"{driver.title} has no networks of libvirt's; {way_out}")]


def refuse_image(driver: Driver) -> list[tuple[str, str]]:
    """Return why this driver cannot keep a base image; empty when it can."""
    can = driver.pools and driver.upload
    return [] if can else [("", f"{driver.title} takes no files through libvirt, so it keeps no images; leave it out")]


# What can change in a machine that is there although its definition cannot be written anew.
IN_PLACE = ("Memory", "MemoryMax", "Cpus", "CpusMax")
DEVICES = ("Disks", "Interfaces")
OPTIONS = {
    "Name": "name",
    "Arch": "arch",
    "MachineType": "machine_type",
    "Memory": "memory",
    "MemoryMax": "memory_max",
    "Cpus": "cpus",
    "CpusMax": "cpus_max",
    "Cpu": "cpu",
    "Firmware": "firmware",
    "Boot": "boot",
    "Root": "image",
    "Disks": "disks",
    "Seed": "seed",
    "Interfaces": "networks",
    "Folders": "folders",
    "Agent": "agent",
}


def refuse_changes(driver: Driver, now: Mapping[str, Any], changes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return which changes of an existing document this driver cannot make, under the names of the options."""
    if driver.redefine:
        return []
    return [
        (OPTIONS.get(key, "name"), _cannot_change(driver, key))
        for key, value in changes.items()
        if value != now.get(key) and key not in IN_PLACE and not _pluggable(driver, key, now.get(key), value)
    ]


def _cannot_change(driver: Driver, key: str) -> str:
    option = OPTIONS.get(key, key)
    return f"{driver.title} cannot change {option} of a machine that is there; leave out {option}, or make the machine anew"


def _pluggable(driver: Driver, key: str, now: Mapping | None, value: Mapping) -> bool:
    """Whether the devices become what is wanted by attaching and detaching alone."""
    if key not in DEVICES:
        return False
    stays = {name for name, device in (now or {}).items() if value.get(name) == device}
    return (driver.attach or not set(value) - stays) and (driver.detach or not set(now or {}) - stays)


def _either(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
