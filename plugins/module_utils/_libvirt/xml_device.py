# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One device at a time as libvirt's XML: for a new domain, or to be plugged into one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .markup import Element, parse, root_of
from .xml_domain import AGENT, SOURCES, alias_of, elements_of, style_of

PREFIXES = {"virtio": "vd", "ide": "hd", "fdc": "fd"}


def disk_xml(name: str, disk: Mapping[str, str], target: str, kind: str = "qemu") -> str:
    """Write a data disk for a domain of this type; free_target() says where it goes."""
    return _alone(disk_element(f"disk-{name}", disk, target, kind))


def root_xml(root: Mapping[str, str], target: str, kind: str = "qemu") -> str:
    """Write the root disk."""
    return _alone(root_element(root, target, kind))


def seed_xml(path: str, target: str, kind: str = "qemu") -> str:
    """Write the seed."""
    return _alone(seed_element(path, target, kind))


def interface_xml(position: str, interface: Mapping[str, str], kind: str = "qemu") -> str:
    """Write a network interface."""
    return _alone(interface_element(str(position), interface, kind))


def controller_xml(text: str, bus: str) -> str:
    """Write the controller that a disk on this bus needs before it can be attached; empty when the domain has it.

    Left alone, libvirt plugs in a SCSI controller of a model that PCI Express has no slot for.
    """
    domain = root_of(parse(text))
    if bus != "scsi" or has_scsi(domain):
        return ""
    return _alone(scsi_controller(domain.get("type")))


def has_scsi(domain: Element) -> bool:
    """Whether a domain has a SCSI controller."""
    return any(controller.get("type") == "scsi" for controller in elements_of(domain, "controller"))


def scsi_controller(kind: str) -> Element:
    """Make a SCSI controller; QEMU has the choice of a model."""
    model = {"model": "virtio-scsi"} if style_of(kind).qemu else {}
    return Element("controller", {"type": "scsi", "index": 0, **model})


def free_target(text: str, bus: str) -> str:
    """Return the first device name on this bus that no disk of a domain has."""
    return next_target(bus, targets(root_of(parse(text))))


def _alone(element: Element) -> str:
    element.indent(0)
    return f"{element}\n"


def targets(domain: Element) -> set[str]:
    """Return the device names of a domain's disks."""
    return {element.said("target", "dev") for element in elements_of(domain, "disk")}


def next_target(bus: str, used: Iterable[str]) -> str:
    """Return the first device name on a bus that is not used."""
    prefix, number = PREFIXES.get(bus, "sd"), 0
    while prefix + _letters(number) in used:
        number += 1
    return prefix + _letters(number)


def _letters(number: int) -> str:
    rest, last = divmod(number, 26)
    return (_letters(rest - 1) if rest else "") + chr(ord("a") + last)


def disk_element(name: str, disk: Mapping[str, str], target: str, kind: str, device: str = "disk") -> Element:
    """Make a disk under one of our names: root, seed, disk-NAME."""
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
    if style_of(kind).qemu:
        parts.append(Element("alias", {"name": alias_of(name)}))
    return Element("disk", {"type": "file", "device": device}, *parts)


def root_element(root: Mapping[str, str], target: str, kind: str) -> Element:
    """Make the root disk."""
    style = style_of(kind)
    disk = {**root, "Bus": style.root, "Serial": "root" if style.qemu else ""}
    return disk_element("root", disk, target, kind)


def seed_element(path: str, target: str, kind: str) -> Element:
    """Make the seed, which nobody writes to."""
    device, bus = style_of(kind).seed
    return disk_element("seed", {"Path": path, "Format": "raw", "Bus": bus}, target, kind, device)


def interface_element(position: str, interface: Mapping[str, str], kind: str) -> Element:
    """Make the interface at a position."""
    parts = [Element("mac", {"address": interface["Mac"]})] if interface.get("Mac") else []
    if interface["Type"] in SOURCES:
        parts.append(Element("source", {SOURCES[interface["Type"]]: interface["Source"]}))
    if interface.get("Model"):
        parts.append(Element("model", {"type": interface["Model"]}))
    if style_of(kind).qemu:
        parts.append(Element("alias", {"name": alias_of(f"net-{position}")}))
    return Element("interface", {"type": interface["Type"]}, *parts)


def agent_element() -> Element:
    """Make the channel that a guest agent answers on."""
    target = Element("target", {"type": "virtio", "name": AGENT})
    return Element("channel", {"type": "unix"}, target, Element("alias", {"name": "ua-agent"}))


def log_elements(path: str) -> list[Element]:
    """Make the file that a serial port is logged to, emptied at each start; none without a path."""
    return [Element("log", {"file": path, "append": "off"})] if path else []


def serial_elements(path: str, arch: str) -> list[Element]:
    """Make the first serial port, and the console that it is known as."""
    isa = {"type": "isa-serial"} if arch in ("x86_64", "i686") else {}
    return [
        Element("serial", {"type": "pty"}, *log_elements(path), Element("target", {**isa, "port": 0})),
        Element("console", {"type": "pty"}, *log_elements(path), Element("target", {"type": "serial", "port": 0})),
    ]
