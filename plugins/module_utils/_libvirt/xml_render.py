# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A document as the XML of a new domain. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import names
from .markup import Element
from .metadata import set_labels
from .xml_device import (
    agent_element,
    disk_element,
    interface_element,
    next_target,
    root_element,
    scsi_controller,
    seed_element,
    serial_elements,
)
from .xml_domain import NAMESPACE, style_of
from .xml_folder import set_folders
from .xml_user import is_ours, set_user_cards

# Each disk and interface takes a port of its own, and ports cannot be plugged into a machine that runs.
SPARE_PORTS = 8
EXPRESS = ("q35", "virt")
EVENTS = {"poweroff": "destroy", "reboot": "restart", "crash": "destroy"}


def render(wanted: Mapping[str, Any]) -> str:
    """Write a document as a new domain."""
    kind, qemu = wanted["Type"], style_of(wanted["Type"]).qemu
    domain = Element("domain", {"type": kind}, Element("name", None, wanted["Name"]))
    if wanted["UUID"]:
        domain.parts.append(Element("uuid", None, wanted["UUID"]))
    domain.parts += [
        Element("memory", {"unit": "KiB"}, str(kib(wanted["MemoryMax"]))),
        Element("currentMemory", {"unit": "KiB"}, str(kib(wanted["Memory"]))),
        Element("vcpu", _current(wanted), str(wanted["CpusMax"])),
        _os_element(wanted),
        *_features(wanted),
        *cpu_elements(wanted["Cpu"]),
        _clock(wanted),
        *(Element(f"on_{event}", None, then) for event, then in EVENTS.items()),
        Element("devices", None, *_device_elements(wanted)),
    ]
    domain.indent(0)
    set_user_cards(domain, {key: card for key, card in wanted["Interfaces"].items() if is_ours(card)})
    if qemu:
        set_folders(domain, wanted["Folders"])
        set_labels(domain, NAMESPACE, wanted["Labels"])
    return f"{domain}\n"


def kib(size: int) -> int:
    """Count in KiB, as libvirt does, and rather more than less."""
    return -(-size // 1024)


def _current(wanted: Mapping[str, Any]) -> dict[str, Any]:
    current = {} if wanted["Cpus"] == wanted["CpusMax"] else {"current": wanted["Cpus"]}
    return {"placement": "static", **current}


def _os_element(wanted: Mapping[str, Any]) -> Element:
    machine = {"machine": wanted["MachineType"]} if wanted["MachineType"] else {}
    boot = wanted["Boot"]
    return Element(
        "os",
        {"firmware": "efi"} if wanted["Firmware"] == "efi" else {},
        Element("type", {"arch": wanted["Arch"], **machine}, "hvm"),
        *(Element(key, None, boot[key]) for key in ("kernel", "initrd", "cmdline") if boot.get(key)),
        Element("boot", {"dev": "hd"}),
    )


def _features(wanted: Mapping[str, Any]) -> list[Element]:
    """Without ACPI a machine cannot be asked to shut down; on ARM it needs UEFI."""
    if wanted["Type"] == "hyperv":
        return []
    intel = wanted["Arch"] in ("x86_64", "i686")
    names = [name for name, has in (("acpi", intel or wanted["Firmware"] == "efi"), ("apic", intel)) if has]
    return [Element("features", None, *(Element(name) for name in names))] if names else []


def cpu_elements(cpu: str) -> list[Element]:
    """Make the CPU of this name; none leaves the choice to the hypervisor."""
    if not cpu:
        return []
    if cpu in ("maximum", "host-passthrough", "host-model"):
        return [Element("cpu", {"mode": cpu})]
    model = Element("model", {"fallback": "forbid"}, cpu)
    return [Element("cpu", {"mode": "custom", "match": "exact", "check": "partial"}, model)]


def _clock(wanted: Mapping[str, Any]) -> Element:
    timers = []
    if wanted["Type"] == "kvm" and wanted["Arch"] in ("x86_64", "i686"):
        # A guest whose ticks were lost catches up; an HPET would wake an idle one all the time.
        timers = [{"name": "rtc", "tickpolicy": "catchup"}, {"name": "pit", "tickpolicy": "delay"}]
        timers.append({"name": "hpet", "present": "no"})
    return Element("clock", {"offset": "utc"}, *(Element("timer", timer) for timer in timers))


def _device_elements(wanted: Mapping[str, Any]) -> list[Element]:
    kind = wanted["Type"]
    disks = _disk_elements(wanted)
    cards = [(key, card) for key, card in by_position(wanted["Interfaces"]) if not is_ours(card)]
    interfaces = [interface_element(key, card, kind) for key, card in cards]
    if not style_of(kind).qemu:
        return [*disks, *_plain_controllers(wanted), *interfaces]
    others = [
        *([agent_element()] if wanted["Agent"] else []),
        balloon_element(wanted["FreePages"]),
        Element("rng", {"model": "virtio"}, Element("backend", {"model": "random"}, "/dev/urandom")),
    ]
    scsi = [scsi_controller(kind)] if any(disk["Bus"] == "scsi" for disk in wanted["Disks"].values()) else []
    # The agent's channel hangs on a virtio-serial controller, a device as any other.
    ports = len(disks) + len(interfaces) + len(wanted["Folders"]) + len(others) + SPARE_PORTS
    return [
        *disks,
        *controllers(names.family(wanted["MachineType"]), ports),
        *scsi,
        *interfaces,
        *serial_elements(wanted["Serial"], wanted["Arch"]),
        *others,
    ]


def balloon_element(free_pages: bool) -> Element:
    """Make the balloon, through which memory can be taken and, as pages that are free, is given back by the guest itself."""
    return Element("memballoon", {"model": "virtio", **({"freePageReporting": "on"} if free_pages else {})})


def by_position(interfaces: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return interfaces as pairs, sorted by their positions."""
    return sorted(interfaces.items(), key=lambda item: int(item[0]))


def _disk_elements(wanted: Mapping[str, Any]) -> list[Element]:
    """Return the root first, so that it is the first in the guest, and the seed last, so that it leaves no gap."""
    kind, elements = wanted["Type"], []
    used: list[str] = []

    def target(bus: str) -> str:
        used.append(next_target(bus, used))
        return used[-1]

    if wanted["Root"]:
        elements.append(root_element(wanted["Root"], target(style_of(kind).root), kind))
    for name, disk in sorted(wanted["Disks"].items()):
        elements.append(disk_element(f"disk-{name}", disk, target(disk["Bus"]), kind))
    if wanted["Seed"]:
        elements.append(seed_element(wanted["Seed"], target(style_of(kind).seed[1]), kind))
    return elements


def controllers(machine: str, ports: int) -> list[Element]:
    """Make the controllers of a board, with this many ports where each device needs one of its own."""
    usb = Element("controller", {"type": "usb", "model": "none"})
    if machine not in EXPRESS:
        return [usb]
    root = Element("controller", {"type": "pci", "index": 0, "model": "pcie-root"})
    return [root, *(Element("controller", {"type": "pci", "model": "pcie-root-port"}) for _ in range(ports)), usb]


def _plain_controllers(wanted: Mapping[str, Any]) -> list[Element]:
    style = style_of(wanted["Type"])
    buses = {style.root, style.seed[1], *(disk["Bus"] for disk in wanted["Disks"].values())}
    return [Element("controller", {"type": bus, "index": 0}) for bus in sorted(buses)]
