# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes in the XML of an existing domain: what is not meant stays as libvirt gave it, addresses and all. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Callable

from . import names
from .markup import Element, parse, root_of
from .metadata import set_labels
from .xml_device import (
    agent_element,
    disk_element,
    has_scsi,
    interface_element,
    log_elements,
    next_target,
    root_element,
    scsi_controller,
    seed_element,
    serial_elements,
    targets,
)
from .xml_domain import (
    NAMESPACE,
    agent_of,
    alias_of,
    devices_of,
    disks_of,
    document,
    elements_of,
    format_of,
    interface_of,
    interfaces_of,
    path_of,
    size_of,
    style_of,
)
from .xml_folder import set_folders
from .xml_render import SPARE_PORTS, balloon_element, by_position, controllers, cpu_elements, kib
from .xml_user import is_ours, set_user_cards

ALIAS = re.compile(r"ua-[a-zA-Z0-9_-]+")


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
    for name, element in devices_of(domain).items():
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
    for controller in controllers(names.family(machine), len(devices.children()) + SPARE_PORTS):
        if controller.get("type") == "pci":
            devices.add(controller, "controller")


def _patch_memory(domain: Element, size: int) -> None:
    _set_size(domain.need("currentMemory", "memory"), size)


def _patch_memory_max(domain: Element, size: int) -> None:
    """What is there now stays what it is, which without a word of its own it would not."""
    memory = domain.need("memory")
    if domain.find("currentMemory") is None:
        _set_size(domain.need("currentMemory", "memory"), size_of(memory))
    _set_size(memory, size)


def _set_size(element: Element, size: int) -> None:
    element.set("unit", "KiB")
    element.text = kib(size)


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
    new = next(iter(cpu_elements(cpu)), None)
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
        value = boot.get(key, "")
        if value:
            os.need(key, "type", "kernel", "initrd").text = value
        else:
            _drop(os, key)


def _patch_root(domain: Element, root: Mapping[str, str]) -> None:
    kind = domain.get("type")
    bus = style_of(kind).root
    element = disks_of(domain).get("root")
    if not root:
        _remove_disk(domain, element)
    elif element is None:
        _add_disk(domain, root_element(root, next_target(bus, targets(domain)), kind))
    else:
        _set_source(element, root["Path"], root["Format"])


def _patch_disks(domain: Element, disks: Mapping[str, Any]) -> None:
    kind = domain.get("type")
    there = {key[5:]: element for key, element in disks_of(domain).items() if key.startswith("disk-")}
    for name in sorted(set(there) - set(disks)):
        _remove_disk(domain, there[name])
    for name, disk in sorted(disks.items()):
        if name in there:
            _set_disk(domain, there[name], disk)
        else:
            target = next_target(disk["Bus"], targets(domain))
            _add_disk(domain, disk_element(f"disk-{name}", disk, target, kind))
        if disk["Bus"] == "scsi" and not has_scsi(domain):
            domain.need("devices").add(scsi_controller(kind), "controller")


def _patch_seed(domain: Element, path: str) -> None:
    """A CD-ROM keeps its drive when its medium goes; a disk goes itself."""
    kind = domain.get("type")
    element = disks_of(domain).get("seed") or _empty_drive(domain)
    if element is not None and element.get("device") == "cdrom":
        if path:
            _set_source(element, path, "raw")
        else:
            _drop(element, "source", "backingStore")
    elif not path:
        _remove_disk(domain, element)
    elif element is None:
        target = next_target(style_of(kind).seed[1], targets(domain))
        _add_disk(domain, seed_element(path, target, kind))
    else:
        _set_source(element, path, "raw")


def _empty_drive(domain: Element) -> Element | None:
    """Return the drive whose medium was ours, where no alias is kept that would say so."""
    if style_of(domain.get("type")).qemu:
        return None
    drives = (element for element in elements_of(domain, "disk") if element.get("device") == "cdrom")
    return next((element for element in drives if not path_of(element)), None)


def _add_disk(domain: Element, element: Element) -> None:
    domain.need("devices").add(element, "disk", "emulator")


def _remove_disk(domain: Element, element: Element | None) -> None:
    domain.need("devices").remove(element)


def _set_source(element: Element, path: str, form: str) -> None:
    """Another file has another chain of backing files."""
    if path != path_of(element):
        _drop(element, "backingStore")
        source = element.need("source", "driver")
        for name in ("dev", "name", "startupPolicy", "index"):
            source.set(name, None)
        source.set("file", path)
        element.set("type", "file")
    if form != format_of(element):
        element.need("driver").set("type", form)


def _set_disk(domain: Element, element: Element, disk: Mapping[str, str]) -> None:
    _set_source(element, disk["Path"], disk["Format"])
    target = element.need("target", "source")
    if disk["Bus"] != target.get("bus"):
        target.set("dev", next_target(disk["Bus"], targets(domain)))
        target.set("bus", disk["Bus"])
        _drop(element, "address")
    if disk.get("Serial", "") != element.said("serial"):
        if disk.get("Serial"):
            element.need("serial", "target").text = disk["Serial"]
        else:
            _drop(element, "serial")


def _patch_interfaces(domain: Element, wanted: Mapping[str, Any]) -> None:
    """Those in user mode last, for an interface that has no name yet is known by where they are."""
    devices, there, kind = domain.need("devices"), interfaces_of(domain), domain.get("type")
    interfaces = {key: card for key, card in wanted.items() if not is_ours(card)}
    for key in set(there) - set(interfaces):
        devices.remove(there[key])
    for key, interface in by_position(interfaces):
        if key not in there:
            devices.add(interface_element(key, interface, kind), "interface", "controller", "disk")
        elif interface != interface_of(there[key]):
            _set_interface(there[key], interface_element(key, interface, kind))
    set_user_cards(domain, {key: card for key, card in wanted.items() if is_ours(card)})


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


def _patch_folders(domain: Element, folders: Mapping[str, Any]) -> None:
    if style_of(domain.get("type")).qemu:
        set_folders(domain, folders)


def _patch_free_pages(domain: Element, free_pages: bool) -> None:
    devices = domain.need("devices")
    balloon = devices.find("memballoon") or devices.add(balloon_element(free_pages))
    balloon.set("freePageReporting", "on" if free_pages else None)


def _patch_agent(domain: Element, agent: bool) -> None:
    if agent:
        domain.need("devices").add(agent_element(), "channel", "console", "serial")
    else:
        domain.need("devices").remove(agent_of(domain))


def _patch_serial(domain: Element, path: str) -> None:
    """The console is the first serial port under another name, and must say the same."""
    devices = domain.need("devices")
    if not devices.children("serial"):
        for element in serial_elements(path, domain.said("os/type", "arch")):
            if element.tag == "serial" or not devices.children("console"):
                devices.add(element, "serial", "interface", "controller")
        return
    consoles = [one for one in devices.children("console") if one.said("target", "type") == "serial"]
    for element in (*devices.children("serial")[:1], *consoles[:1]):
        _drop(element, "log")
        for log in log_elements(path):
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
    "Folders": _patch_folders,
    "FreePages": _patch_free_pages,
    "Agent": _patch_agent,
    "Serial": _patch_serial,
    "Labels": _patch_labels,
}
KEYS = tuple(PATCHES)
