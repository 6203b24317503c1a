# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A domain's XML as a document, and its devices by their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import names
from .markup import Element, parse, root_of
from .metadata import labels_in
from .xml_folder import folders_of
from .xml_user import user_cards

NAMESPACE = "urn:slipway.docker:machine:1"
AGENT = "org.qemu.guest_agent.0"
# https://libvirt.org/formatdomain.html#memory-allocation
UNITS = {"b": 1, "bytes": 1, "": 1 << 10}
UNITS.update({letter + unit: 1 << power for letter, power in zip("kmgt", (10, 20, 30, 40)) for unit in ("", "ib")})
UNITS.update({letter + "b": 10**power for letter, power in zip("kmgt", (3, 6, 9, 12))})
SOURCES = {"network": "network", "bridge": "bridge", "direct": "dev"}
# What libvirt writes into a domain whose CPU nobody chose.
FILLED_IN = ("qemu64", "kvm64", "cortex-a15")
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


def document(text: str) -> dict[str, Any]:
    """Read a domain's XML."""
    domain = root_of(parse(text))
    if domain.tag != "domain":
        raise ValueError(f"<{domain.tag}> is not a domain")
    disks = disks_of(domain)
    interfaces = interfaces_of(domain)
    cpus_max = int(domain.said("vcpu") or 1)
    return {
        "Name": domain.said("name"),
        "UUID": domain.said("uuid"),
        "Type": domain.get("type"),
        "Arch": domain.said("os/type", "arch"),
        "MachineType": domain.said("os/type", "machine"),
        "Memory": size_of(domain.find("currentMemory") or domain.find("memory")),
        "MemoryMax": size_of(domain.find("memory")),
        "Cpus": int(domain.said("vcpu", "current") or cpus_max),
        "CpusMax": cpus_max,
        "Cpu": _cpu(domain),
        "Firmware": _firmware(domain),
        "Boot": _boot(domain),
        "Root": _root(disks.get("root")),
        "Disks": {key[5:]: _disk(element) for key, element in disks.items() if key.startswith("disk-")},
        "Seed": path_of(disks["seed"]) if "seed" in disks else "",
        "Interfaces": _by_number({**{key: interface_of(one) for key, one in interfaces.items()}, **user_cards(domain)}),
        "Folders": folders_of(domain),
        "FreePages": domain.said("devices/memballoon", "freePageReporting") == "on",
        "Agent": agent_of(domain) is not None,
        "Serial": _serial(domain),
        "Labels": labels_in(domain, NAMESPACE),
    }


def size_of(element: Element | None) -> int:
    """Return the bytes of a memory element; 0 when it says nothing."""
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
    boot = {key: domain.said(f"os/{key}") for key in ("kernel", "initrd", "cmdline")}
    return boot if boot["kernel"] else {}


def disks_of(domain: Element) -> dict[str, Element]:
    """Return the disks under root, seed and disk-NAME: by our alias, else serial, else file, else place.

    A CD that does not say it is our seed is somebody's, and no part of the machine as we know it.
    """
    found: dict[str, Element] = {}
    nameless = []
    for element in elements_of(domain, "disk"):
        if element.get("device", "disk") not in ("disk", "cdrom"):
            continue
        key = _alias(element) or _by_serial(element) or _by_file(element)
        if key and key not in found:
            found[key] = element
        elif element.get("device") != "cdrom":
            nameless.append(element)
    # In a domain of ours, the first disk that is not ours is a stranger, and no root.
    qemu = style_of(domain.get("type")).qemu
    ours = qemu and any(_alias(element) or _by_file(element) for element in found.values())
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
    """By the name of our volume, which remains where aliases and serials do not (vbox, hyperv)."""
    return names.device_of(path_of(element))


def path_of(element: Element) -> str:
    """Return the file or device behind a disk."""
    source = element.find("source")
    return (source.get("file") or source.get("dev") or source.get("name")) if source is not None else ""


def format_of(element: Element) -> str:
    """Return the format of a disk: as said, else by the file's ending."""
    said = element.said("driver", "type")
    ending = path_of(element).rpartition(".")[2]
    return said or (ending if ending in FORMATS else "raw")


def _root(element: Element | None) -> dict[str, str]:
    return {"Path": path_of(element), "Format": format_of(element)} if element is not None else {}


def _disk(element: Element) -> dict[str, str]:
    return {
        "Path": path_of(element),
        "Format": format_of(element),
        "Bus": element.said("target", "bus"),
        "Serial": element.said("serial"),
    }


def interfaces_of(domain: Element) -> dict[str, Element]:
    """Return the interfaces by our alias, else by their place among those that have no other; sorted."""
    found: dict[str, Element] = {}
    others, nameless = user_cards(domain), []
    for place, element in enumerate(elements_of(domain, "interface")):
        alias = _alias(element)
        if re.fullmatch(r"net-\d+", alias) and alias[4:] not in found:
            found[alias[4:]] = element
        else:
            nameless.append((place, element))
    for place, element in nameless:
        while str(place) in found or str(place) in others:
            place += 1
        found[str(place)] = element
    return _by_number(found)


def _by_number(found: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def interface_of(element: Element) -> dict[str, str]:
    """Return an interface as the document has it."""
    kind = element.get("type")
    return {
        "Type": kind,
        "Source": element.said("source", SOURCES[kind]) if kind in SOURCES else "",
        "Mac": element.said("mac", "address").lower(),
        "Model": element.said("model", "type"),
    }


def agent_of(domain: Element) -> Element | None:
    """Return the channel of the guest agent."""
    channels = elements_of(domain, "channel")
    return next((element for element in channels if element.said("target", "name") == AGENT), None)


def _serial(domain: Element) -> str:
    serial = next(iter(elements_of(domain, "serial")), None)
    return serial.said("log", "file") if serial is not None else ""


def elements_of(domain: Element, tag: str) -> list[Element]:
    """Return the devices of one tag."""
    devices = domain.find("devices")
    return devices.children(tag) if devices is not None else []


def devices(text: str) -> dict[str, str]:
    """Return the XML of each device that has a name, under it (root, seed, disk-NAME, net-N, agent), as a detach wants it."""
    domain = root_of(parse(text))
    channel = agent_of(domain)
    found = {**devices_of(domain), **({"agent": channel} if channel is not None else {})}
    return {key: str(element) for key, element in found.items()}


def devices_of(domain: Element) -> dict[str, Element]:
    """Return the disks and interfaces by their names."""
    return {**disks_of(domain), **{f"net-{key}": element for key, element in interfaces_of(domain).items()}}


def alias_of(name: str) -> str:
    """Return the alias of a device by its name in devices()."""
    return f"ua-{name}"
