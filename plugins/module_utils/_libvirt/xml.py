# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine as a document, a plain dictionary, and as libvirt's XML. Pure.

document(text) reads, render(document) writes a new domain, patch(text, changes) changes an existing one in places:
addresses, aliases, UUID, and what others wrote stay as libvirt gave them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from .host_xml import (  # one place to ask for XML
    host_xml,
    network_document,
    network_xml,
    pool_xml,
    volume_document,
    volume_xml,
)
from .markup import Element, parse, root_of
from .metadata import labels_in, set_labels

__all__ = [
    "KEYS",
    "alias_of",
    "controller_xml",
    "devices",
    "disk_xml",
    "document",
    "family",
    "free_target",
    "host_xml",
    "interface_xml",
    "network_document",
    "network_xml",
    "patch",
    "pool_xml",
    "render",
    "root_xml",
    "seed_xml",
    "volume_document",
    "volume_xml",
]

NAMESPACE = "urn:slipway.docker:machine:1"
AGENT = "org.qemu.guest_agent.0"
# Each disk and interface takes a port of its own, and ports cannot be plugged into a machine that runs.
SPARE_PORTS = 8
# https://libvirt.org/formatdomain.html#memory-allocation
UNITS = {"b": 1, "bytes": 1, "": 1 << 10}
UNITS.update({letter + unit: 1 << power for letter, power in zip("kmgt", (10, 20, 30, 40)) for unit in ("", "ib")})
UNITS.update({letter + "b": 10**power for letter, power in zip("kmgt", (3, 6, 9, 12))})
PREFIXES = {"virtio": "vd", "ide": "hd", "fdc": "fd"}
SOURCES = {"network": "network", "bridge": "bridge", "direct": "dev"}
# What libvirt writes into a domain whose CPU nobody chose.
FILLED_IN = ("qemu64", "kvm64", "cortex-a15")
ALIAS = re.compile(r"ua-[a-zA-Z0-9_-]+")
EXPRESS = ("q35", "virt")
# Our volumes carry their part in their name, which remains where aliases and serials do not (vbox, hyperv).
VOLUME = re.compile(r"(?:^|[/\\])slipway\.[^./\\]+\.[^./\\]+\.(root|seed|disk-[a-z0-9-]+)\.[a-z0-9]+$")
EVENTS = {"poweroff": "destroy", "reboot": "restart", "crash": "destroy"}
FORMATS = ("qcow2", "vdi", "vmdk", "vhd", "vhdx")


@dataclass(frozen=True)
class Style:
    """How the devices of a hypervisor are written."""

    root: str = "virtio"
    # A disk and not a CD-ROM: cloud kernels of Debian have no AHCI, and a virtio disk can be taken out while it runs.
    seed: tuple[str, str] = ("disk", "virtio")
    qemu: bool = True


STYLES = {
    # https://libvirt.org/drvvbox.html
    "vbox": Style("sata", ("cdrom", "sata"), qemu=False),
    # A first-generation machine boots from IDE alone. https://libvirt.org/drvhyperv.html
    "hyperv": Style("ide", ("cdrom", "ide"), qemu=False),
}


def style_of(kind: str) -> Style:
    """Return how a domain of this type is written."""
    return STYLES.get(kind) or Style()


# --- Reading -----------------------------------------------------------------------------------------------------------


def document(text: str) -> dict[str, Any]:
    """Read a domain's XML."""
    domain = root_of(parse(text))
    if domain.tag != "domain":
        raise ValueError(f"<{domain.tag}> is not a domain")
    disks = _disks(domain)
    interfaces = _interfaces(domain)
    cpus_max = int(domain.said("vcpu") or 1)
    return {
        "Name": domain.said("name"),
        "UUID": domain.said("uuid"),
        "Type": domain.get("type"),
        "Arch": domain.said("os/type", "arch"),
        "MachineType": family(domain.said("os/type", "machine")),
        "Memory": _bytes(domain.find("currentMemory") or domain.find("memory")),
        "MemoryMax": _bytes(domain.find("memory")),
        "Cpus": int(domain.said("vcpu", "current") or cpus_max),
        "CpusMax": cpus_max,
        "Cpu": _cpu(domain),
        "Firmware": _firmware(domain),
        "Boot": _boot(domain),
        "Root": _root(disks.get("root")),
        "Disks": {key[5:]: _disk(element) for key, element in disks.items() if key.startswith("disk-")},
        "Seed": _path(disks["seed"]) if "seed" in disks else "",
        "Interfaces": {key: _interface(element) for key, element in interfaces.items()},
        "Agent": _agent(domain) is not None,
        "Serial": _serial(domain),
        "Labels": labels_in(domain, NAMESPACE),
    }


def family(machine: str) -> str:
    """Return the name that a versioned machine type is found under: pc-q35-7.2 is a q35."""
    if machine.startswith("pc-q35"):
        return "q35"
    if machine.startswith("pc-"):
        return "pc"
    return re.sub(r"-\d+(\.\d+)*$", "", machine)


def _bytes(element: Element | None) -> int:
    if element is None or not element.text.strip():
        return 0
    return int(element.text) * UNITS[element.get("unit").lower()]


def _cpu(domain: Element) -> str:
    cpu = domain.find("cpu")
    if cpu is None:
        return ""
    mode, model = cpu.get("mode"), cpu.said("model")
    if mode in ("", "custom"):
        return "" if cpu.get("check") == "none" and model in FILLED_IN else model
    return mode


def _firmware(domain: Element) -> str:
    chosen = domain.said("os", "firmware") == "efi" or domain.said("os/loader", "type") == "pflash"
    return "efi" if chosen else "bios"


def _boot(domain: Element) -> dict[str, str]:
    boot = {key: domain.said(f"os/{key.lower()}") for key in ("Kernel", "Initrd", "Cmdline")}
    return boot if boot["Kernel"] else {}


def _disks(domain: Element) -> dict[str, Element]:
    """Return the disks under root, seed and disk-NAME: by our alias, else serial, else file, else place.

    A CD that does not say it is our seed is somebody's, and no part of the machine as we know it.
    """
    found: dict[str, Element] = {}
    nameless = []
    for element in _all(domain, "disk"):
        if element.get("device", "disk") not in ("disk", "cdrom"):
            continue
        key = _alias(element) or _by_serial(element) or _by_file(element)
        if key and key not in found:
            found[key] = element
        elif element.get("device") != "cdrom":
            nameless.append(element)
    # In a domain of ours, the first disk that is not ours is a stranger, and no root.
    ours = any(_alias(element) or _by_file(element) for element in found.values())
    for element in nameless:
        if "root" not in found and not ours:
            found["root"] = element
        else:
            found[f"disk-{element.said('target', 'dev')}"] = element
    return found


def _alias(element: Element) -> str:
    name = element.said("alias", "name")
    return name[3:] if name.startswith("ua-") else ""


def _by_serial(element: Element) -> str:
    serial = element.said("serial")
    if not serial or element.get("device") == "cdrom":
        return ""
    return serial if serial == "root" else f"disk-{serial}"


def _by_file(element: Element) -> str:
    match = VOLUME.search(_path(element))
    return match[1] if match else ""


def _path(element: Element) -> str:
    source = element.find("source")
    return (source.get("file") or source.get("dev") or source.get("name")) if source is not None else ""


def _format(element: Element) -> str:
    said = element.said("driver", "type")
    ending = _path(element).rpartition(".")[2]
    return said or (ending if ending in FORMATS else "raw")


def _root(element: Element | None) -> dict[str, str]:
    return {"Path": _path(element), "Format": _format(element)} if element is not None else {}


def _disk(element: Element) -> dict[str, str]:
    return {
        "Path": _path(element),
        "Format": _format(element),
        "Bus": element.said("target", "bus"),
        "Serial": element.said("serial"),
    }


def _interfaces(domain: Element) -> dict[str, Element]:
    """Return the interfaces by our alias, else by their place; sorted."""
    found: dict[str, Element] = {}
    nameless = []
    for place, element in enumerate(_all(domain, "interface")):
        alias = _alias(element)
        if re.fullmatch(r"net-\d+", alias) and alias[4:] not in found:
            found[alias[4:]] = element
        else:
            nameless.append((place, element))
    for place, element in nameless:
        while str(place) in found:
            place += 1
        found[str(place)] = element
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def _interface(element: Element) -> dict[str, str]:
    kind = element.get("type")
    return {
        "Type": kind,
        "Source": element.said("source", SOURCES[kind]) if kind in SOURCES else "",
        "Mac": element.said("mac", "address").lower(),
        "Model": element.said("model", "type"),
    }


def _agent(domain: Element) -> Element | None:
    channels = _all(domain, "channel")
    return next((element for element in channels if element.said("target", "name") == AGENT), None)


def _serial(domain: Element) -> str:
    serial = next(iter(_all(domain, "serial")), None)
    return serial.said("log", "file") if serial is not None else ""


def _all(domain: Element, tag: str) -> list[Element]:
    devices = domain.find("devices")
    return devices.children(tag) if devices is not None else []


def devices(text: str) -> dict[str, str]:
    """Return the XML of each device that has a name, under it (root, seed, disk-NAME, net-N, agent), as a detach wants it."""
    domain = root_of(parse(text))
    found = {**_disks(domain), **{f"net-{key}": element for key, element in _interfaces(domain).items()}}
    agent = _agent(domain)
    if agent is not None:
        found["agent"] = agent
    return {key: str(element) for key, element in found.items()}


def alias_of(name: str) -> str:
    """Return the alias of a device by its name in devices()."""
    return f"ua-{name}"


# --- Writing devices ---------------------------------------------------------------------------------------------------


def disk_xml(name: str, disk: Mapping[str, str], target: str, kind: str = "qemu") -> str:
    """Write a data disk for a domain of this type; free_target() says where it goes."""
    return _alone(_disk_element(f"disk-{name}", disk, target, kind))


def root_xml(root: Mapping[str, str], target: str, kind: str = "qemu") -> str:
    """Write the root disk."""
    return _alone(_root_element(root, target, kind))


def seed_xml(path: str, target: str, kind: str = "qemu") -> str:
    """Write the seed."""
    return _alone(_seed_element(path, target, kind))


def interface_xml(position: str, interface: Mapping[str, str]) -> str:
    """Write a network interface."""
    return _alone(_interface_element(str(position), interface))


def controller_xml(text: str, bus: str) -> str:
    """Write the controller that a disk on this bus needs before it can be attached; empty when the domain has it.

    Left alone, libvirt plugs in a SCSI controller of a model that PCI Express has no slot for.
    """
    domain = root_of(parse(text))
    if bus != "scsi" or _has_scsi(domain):
        return ""
    return _alone(_scsi_controller(domain.get("type")))


def _has_scsi(domain: Element) -> bool:
    return any(controller.get("type") == "scsi" for controller in _all(domain, "controller"))


def free_target(text: str, bus: str) -> str:
    """Return the first device name on this bus that no disk of a domain has."""
    return _next_target(bus, _targets(root_of(parse(text))))


def _alone(element: Element) -> str:
    element.indent(0)
    return f"{element}\n"


def _targets(domain: Element) -> set[str]:
    return {element.said("target", "dev") for element in _all(domain, "disk")}


def _next_target(bus: str, used: Iterable[str]) -> str:
    prefix, number = PREFIXES.get(bus, "sd"), 0
    while prefix + _letters(number) in used:
        number += 1
    return prefix + _letters(number)


def _letters(number: int) -> str:
    rest, last = divmod(number, 26)
    return (_letters(rest - 1) if rest else "") + chr(ord("a") + last)


def _disk_element(name: str, disk: Mapping[str, str], target: str, kind: str, device: str = "disk") -> Element:
    parts: list[Element] = []
    if style_of(kind).qemu:
        driver = {"name": "qemu", "type": disk["Format"]}
        # What the guest no longer needs is given back to the host.
        parts.append(
            Element("driver", driver if device == "cdrom" or name == "seed" else {**driver, "discard": "unmap"})
        )
    parts.append(Element("source", {"file": disk["Path"]}))
    parts.append(Element("target", {"dev": target, "bus": disk["Bus"]}))
    if name == "seed":
        parts.append(Element("readonly"))
    if disk.get("Serial"):
        parts.append(Element("serial", None, disk["Serial"]))
    parts.append(Element("alias", {"name": alias_of(name)}))
    return Element("disk", {"type": "file", "device": device}, *parts)


def _root_element(root: Mapping[str, str], target: str, kind: str) -> Element:
    disk = {**root, "Bus": style_of(kind).root, "Serial": "root"}
    return _disk_element("root", disk, target, kind)


def _seed_element(path: str, target: str, kind: str) -> Element:
    device, bus = style_of(kind).seed
    return _disk_element("seed", {"Path": path, "Format": "raw", "Bus": bus}, target, kind, device)


def _interface_element(position: str, interface: Mapping[str, str]) -> Element:
    parts = [Element("mac", {"address": interface["Mac"]})] if interface.get("Mac") else []
    if interface["Type"] in SOURCES:
        parts.append(Element("source", {SOURCES[interface["Type"]]: interface["Source"]}))
    if interface.get("Model"):
        parts.append(Element("model", {"type": interface["Model"]}))
    parts.append(Element("alias", {"name": alias_of(f"net-{position}")}))
    return Element("interface", {"type": interface["Type"]}, *parts)


def _agent_element() -> Element:
    target = Element("target", {"type": "virtio", "name": AGENT})
    return Element("channel", {"type": "unix"}, target, Element("alias", {"name": "ua-agent"}))


def _log_elements(path: str) -> list[Element]:
    return [Element("log", {"file": path, "append": "off"})] if path else []


def _serial_elements(path: str, arch: str) -> list[Element]:
    isa = {"type": "isa-serial"} if arch in ("x86_64", "i686") else {}
    return [
        Element("serial", {"type": "pty"}, *_log_elements(path), Element("target", {**isa, "port": 0})),
        Element("console", {"type": "pty"}, *_log_elements(path), Element("target", {"type": "serial", "port": 0})),
    ]


# --- A new domain ------------------------------------------------------------------------------------------------------


def render(wanted: Mapping[str, Any]) -> str:
    """Write a document as a new domain."""
    kind, qemu = wanted["Type"], style_of(wanted["Type"]).qemu
    domain = Element("domain", {"type": kind}, Element("name", None, wanted["Name"]))
    if wanted["UUID"]:
        domain.parts.append(Element("uuid", None, wanted["UUID"]))
    domain.parts += [
        Element("memory", {"unit": "KiB"}, str(_kib(wanted["MemoryMax"]))),
        Element("currentMemory", {"unit": "KiB"}, str(_kib(wanted["Memory"]))),
        Element("vcpu", _current(wanted), str(wanted["CpusMax"])),
        _os_element(wanted),
        *_features(wanted),
        *_cpu_elements(wanted["Cpu"]),
        _clock(wanted),
        *(Element(f"on_{event}", None, then) for event, then in EVENTS.items()),
        Element("devices", None, *_device_elements(wanted)),
    ]
    domain.indent(0)
    if qemu:
        set_labels(domain, NAMESPACE, wanted["Labels"])
    return f"{domain}\n"


def _kib(size: int) -> int:
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
        *(Element(key.lower(), None, boot[key]) for key in ("Kernel", "Initrd", "Cmdline") if boot.get(key)),
        Element("boot", {"dev": "hd"}),
    )


def _features(wanted: Mapping[str, Any]) -> list[Element]:
    """Without ACPI a machine cannot be asked to shut down; on ARM it needs UEFI."""
    if wanted["Type"] == "hyperv":
        return []
    intel = wanted["Arch"] in ("x86_64", "i686")
    names = [name for name, has in (("acpi", intel or wanted["Firmware"] == "efi"), ("apic", intel)) if has]
    return [Element("features", None, *(Element(name) for name in names))] if names else []


def _cpu_elements(cpu: str) -> list[Element]:
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
    interfaces = [_interface_element(key, interface) for key, interface in _by_position(wanted["Interfaces"])]
    if not style_of(kind).qemu:
        return [*disks, *_plain_controllers(wanted), *interfaces]
    others = [
        *([_agent_element()] if wanted["Agent"] else []),
        Element("memballoon", {"model": "virtio"}),
        Element("rng", {"model": "virtio"}, Element("backend", {"model": "random"}, "/dev/urandom")),
    ]
    scsi = [_scsi_controller(kind)] if any(disk["Bus"] == "scsi" for disk in wanted["Disks"].values()) else []
    # The agent's channel hangs on a virtio-serial controller, a device as any other.
    ports = len(disks) + len(interfaces) + len(others) + SPARE_PORTS
    return [
        *disks,
        *_controllers(wanted["MachineType"], ports),
        *scsi,
        *interfaces,
        *_serial_elements(wanted["Serial"], wanted["Arch"]),
        *others,
    ]


def _by_position(interfaces: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(interfaces.items(), key=lambda item: int(item[0]))


def _disk_elements(wanted: Mapping[str, Any]) -> list[Element]:
    """Return the root first, so that it is the first in the guest, and the seed last, so that it leaves no gap."""
    kind, elements = wanted["Type"], []
    used: list[str] = []

    def target(bus: str) -> str:
        used.append(_next_target(bus, used))
        return used[-1]

    if wanted["Root"]:
        elements.append(_root_element(wanted["Root"], target(style_of(kind).root), kind))
    for name, disk in sorted(wanted["Disks"].items()):
        elements.append(_disk_element(f"disk-{name}", disk, target(disk["Bus"]), kind))
    if wanted["Seed"]:
        elements.append(_seed_element(wanted["Seed"], target(style_of(kind).seed[1]), kind))
    return elements


def _controllers(machine: str, ports: int) -> list[Element]:
    usb = Element("controller", {"type": "usb", "model": "none"})
    if machine not in EXPRESS:
        return [usb]
    root = Element("controller", {"type": "pci", "index": 0, "model": "pcie-root"})
    return [root, *(Element("controller", {"type": "pci", "model": "pcie-root-port"}) for _ in range(ports)), usb]


def _scsi_controller(kind: str) -> Element:
    model = {"model": "virtio-scsi"} if style_of(kind).qemu else {}
    return Element("controller", {"type": "scsi", "index": 0, **model})


def _plain_controllers(wanted: Mapping[str, Any]) -> list[Element]:
    style = style_of(wanted["Type"])
    buses = {style.root, style.seed[1], *(disk["Bus"] for disk in wanted["Disks"].values())}
    return [Element("controller", {"type": bus, "index": 0}) for bus in sorted(buses)]


# --- Changes in an existing one ----------------------------------------------------------------------------------------


def patch(text: str, changes: Mapping[str, Any]) -> str:
    """Change these keys of the document in a domain's XML, and nothing else."""
    now = document(text)
    unknown = sorted(set(changes) - set(KEYS))
    if unknown:
        raise ValueError(f"{unknown[0]} is no key of a machine; it has {', '.join(KEYS)}")
    whole = parse(text)
    domain = root_of(whole)
    differing = [key for key in PATCHES if key in changes and changes[key] != now[key]]
    if {"Root", "Disks", "Seed", "Interfaces"} & set(differing):
        _name_devices(domain)
    for key in differing:
        PATCHES[key](domain, changes[key])
    return str(whole)


def _name_devices(domain: Element) -> None:
    """Give the devices their aliases, so that they are still known when others come before them or go."""
    if not style_of(domain.get("type")).qemu:
        return
    devices = {**_disks(domain), **{f"net-{key}": element for key, element in _interfaces(domain).items()}}
    for name, element in devices.items():
        if element.find("alias") is None and ALIAS.fullmatch(alias_of(name)):
            element.add(Element("alias", {"name": alias_of(name)}))


def _patch_name(domain: Element, name: str) -> None:
    domain.need("name").text = name


def _patch_uuid(domain: Element, uuid: str) -> None:
    domain.need("uuid", "name").text = uuid


def _patch_type(domain: Element, kind: str) -> None:
    domain.set("type", kind)


def _patch_arch(domain: Element, arch: str) -> None:
    """An emulator is made for one architecture; libvirt finds the new one."""
    domain.need("os").need("type").set("arch", arch)
    _drop(domain.find("devices"), "emulator")


def _patch_machine_type(domain: Element, machine: str) -> None:
    """Another board has other slots: what libvirt laid out for the old one is laid out anew."""
    domain.need("os").need("type").set("machine", machine)
    devices = domain.need("devices")
    for element in devices.children():
        kind, model = element.get("type"), element.get("model")
        if element.tag == "controller" and (kind in ("pci", "sata", "ide") or (kind == "usb" and model != "none")):
            devices.remove(element)
            continue
        address = element.find("address")
        if address is not None and address.get("type") in ("pci", "drive"):
            element.remove(address)
    for controller in _controllers(family(machine), len(devices.children()) + SPARE_PORTS):
        if controller.get("type") == "pci":
            devices.add(controller, "controller")


def _patch_memory(domain: Element, size: int) -> None:
    _set_size(domain.need("currentMemory", "memory"), size)


def _patch_memory_max(domain: Element, size: int) -> None:
    """What is there now stays what it is, which without a word of its own it would not."""
    memory = domain.need("memory")
    if domain.find("currentMemory") is None:
        _set_size(domain.need("currentMemory", "memory"), _bytes(memory))
    _set_size(memory, size)


def _set_size(element: Element, size: int) -> None:
    element.set("unit", "KiB")
    element.text = _kib(size)


def _patch_cpus(domain: Element, cpus: int) -> None:
    vcpu = domain.need("vcpu")
    vcpu.set("current", None if str(cpus) == vcpu.text.strip() else cpus)
    _drop(domain, "vcpus")


def _patch_cpus_max(domain: Element, cpus: int) -> None:
    """A topology for another number of processors, and a list of them, would no longer be true."""
    vcpu = domain.need("vcpu")
    current = vcpu.get("current") or vcpu.text.strip() or "1"
    vcpu.text = cpus
    vcpu.set("current", None if current == str(cpus) else current)
    _drop(domain, "vcpus")
    _drop(domain.find("cpu"), "topology")


def _patch_cpu(domain: Element, cpu: str) -> None:
    """Topology and NUMA stay: they are not what is asked about."""
    new = next(iter(_cpu_elements(cpu)), None)
    element = domain.find("cpu")
    if element is None:
        if new is not None:
            domain.add(new, "features", "os", "vcpu")
        return
    _drop(element, "model", "vendor", "feature")
    for name in ("mode", "match", "check", "migratable"):
        element.set(name, new.attributes.get(name) if new is not None else None)
    for model in new.children() if new is not None else []:
        element.add(model)
    if new is None and not element.parts:
        domain.remove(element)


def _patch_firmware(domain: Element, firmware: str) -> None:
    os = domain.need("os")
    _drop(os, "firmware", "loader", "nvram")
    os.set("firmware", "efi" if firmware == "efi" else None)
    if firmware == "efi":
        domain.need("features", "os").need("acpi")


def _patch_boot(domain: Element, boot: Mapping[str, str]) -> None:
    os = domain.need("os")
    for key in ("kernel", "initrd", "cmdline"):
        value = boot.get(key.capitalize(), "")
        if value:
            os.need(key, "type", "kernel", "initrd").text = value
        else:
            _drop(os, key)


def _patch_root(domain: Element, root: Mapping[str, str]) -> None:
    kind = domain.get("type")
    bus = style_of(kind).root
    element = _disks(domain).get("root")
    if not root:
        _remove_disk(domain, element)
    elif element is None:
        _add_disk(domain, _root_element(root, _next_target(bus, _targets(domain)), kind))
    else:
        _set_source(element, root["Path"], root["Format"])


def _patch_disks(domain: Element, disks: Mapping[str, Any]) -> None:
    kind = domain.get("type")
    there = {key[5:]: element for key, element in _disks(domain).items() if key.startswith("disk-")}
    for name in sorted(set(there) - set(disks)):
        _remove_disk(domain, there[name])
    for name, disk in sorted(disks.items()):
        if name in there:
            _set_disk(domain, there[name], disk)
        else:
            target = _next_target(disk["Bus"], _targets(domain))
            _add_disk(domain, _disk_element(f"disk-{name}", disk, target, kind))
        if disk["Bus"] == "scsi" and not _has_scsi(domain):
            domain.need("devices").add(_scsi_controller(kind), "controller")


def _patch_seed(domain: Element, path: str) -> None:
    """A CD-ROM keeps its drive when its medium goes; a disk goes itself."""
    kind = domain.get("type")
    element = _disks(domain).get("seed") or _empty_drive(domain)
    if element is not None and element.get("device") == "cdrom":
        if path:
            _set_source(element, path, "raw")
        else:
            _drop(element, "source", "backingStore")
    elif not path:
        _remove_disk(domain, element)
    elif element is None:
        target = _next_target(style_of(kind).seed[1], _targets(domain))
        _add_disk(domain, _seed_element(path, target, kind))
    else:
        _set_source(element, path, "raw")


def _empty_drive(domain: Element) -> Element | None:
    """Return the drive whose medium was ours, where no alias is kept that would say so."""
    if style_of(domain.get("type")).qemu:
        return None
    drives = (element for element in _all(domain, "disk") if element.get("device") == "cdrom")
    return next((element for element in drives if not _path(element)), None)


def _add_disk(domain: Element, element: Element) -> None:
    domain.need("devices").add(element, "disk", "emulator")


def _remove_disk(domain: Element, element: Element | None) -> None:
    domain.need("devices").remove(element)


def _set_source(element: Element, path: str, form: str) -> None:
    """Another file has another chain of backing files."""
    if path != _path(element):
        _drop(element, "backingStore")
        source = element.need("source", "driver")
        for name in ("dev", "name", "startupPolicy", "index"):
            source.set(name, None)
        source.set("file", path)
        element.set("type", "file")
    if form != _format(element):
        element.need("driver").set("type", form)


def _set_disk(domain: Element, element: Element, disk: Mapping[str, str]) -> None:
    _set_source(element, disk["Path"], disk["Format"])
    target = element.need("target", "source")
    if disk["Bus"] != target.get("bus"):
        target.set("dev", _next_target(disk["Bus"], _targets(domain)))
        target.set("bus", disk["Bus"])
        _drop(element, "address")
    if disk.get("Serial", "") != element.said("serial"):
        if disk.get("Serial"):
            element.need("serial", "target").text = disk["Serial"]
        else:
            _drop(element, "serial")


def _patch_interfaces(domain: Element, interfaces: Mapping[str, Any]) -> None:
    devices, there = domain.need("devices"), _interfaces(domain)
    for key in set(there) - set(interfaces):
        devices.remove(there[key])
    for key, interface in _by_position(interfaces):
        if key not in there:
            devices.add(_interface_element(key, interface), "interface", "controller", "disk")
        elif interface != _interface(there[key]):
            _set_interface(there[key], _interface_element(key, interface))


def _set_interface(element: Element, new: Element) -> None:
    """Take over what we say; link, limits and address of the card stay unless the card is another."""
    if element.get("type") != new.get("type") or element.said("model", "type") != new.said("model", "type"):
        _drop(element, "address")
    if element.get("type") != new.get("type"):
        _drop(element, "source", "backend", "portForward")
    element.set("type", new.get("type"))
    for tag in ("mac", "source", "model"):
        part = new.find(tag)
        if part is None:
            _drop(element, tag)
            continue
        for name, value in part.attributes.items():
            element.need(tag, "mac", "source").set(name, value)


def _patch_agent(domain: Element, agent: bool) -> None:
    if agent:
        domain.need("devices").add(_agent_element(), "channel", "console", "serial")
    else:
        domain.need("devices").remove(_agent(domain))


def _patch_serial(domain: Element, path: str) -> None:
    """The console is the first serial port under another name, and must say the same."""
    devices = domain.need("devices")
    if not devices.children("serial"):
        for element in _serial_elements(path, domain.said("os/type", "arch")):
            if element.tag == "serial" or not devices.children("console"):
                devices.add(element, "serial", "interface", "controller")
        return
    consoles = [one for one in devices.children("console") if one.said("target", "type") == "serial"]
    for element in (*devices.children("serial")[:1], *consoles[:1]):
        _drop(element, "log")
        for log in _log_elements(path):
            element.add(log, "source", "protocol")


def _patch_labels(domain: Element, labels: Mapping[str, str]) -> None:
    if style_of(domain.get("type")).qemu:
        set_labels(domain, NAMESPACE, labels)


def _drop(element: Element | None, *tags: str) -> None:
    if element is not None:
        element.remove(*element.children(*tags))


# In this order: the board before what is put on it, the maximum before what is there now.
PATCHES: dict[str, Callable[[Element, Any], None]] = {
    "Name": _patch_name,
    "UUID": _patch_uuid,
    "Type": _patch_type,
    "Arch": _patch_arch,
    "MachineType": _patch_machine_type,
    "MemoryMax": _patch_memory_max,
    "Memory": _patch_memory,
    "CpusMax": _patch_cpus_max,
    "Cpus": _patch_cpus,
    "Cpu": _patch_cpu,
    "Firmware": _patch_firmware,
    "Boot": _patch_boot,
    "Root": _patch_root,
    "Disks": _patch_disks,
    "Seed": _patch_seed,
    "Interfaces": _patch_interfaces,
    "Agent": _patch_agent,
    "Serial": _patch_serial,
    "Labels": _patch_labels,
}
KEYS = tuple(PATCHES)
