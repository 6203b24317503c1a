# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Folders of the host in a domain's XML: a file system that goes in under a tag, by 9p or virtiofs, and where the guest is to have it. Pure.

The guest is told by an OEM string of its SMBIOS tables, which systemd (>= 254) reads as lines of fstab: https://systemd.io/CREDENTIALS/ and
https://www.freedesktop.org/software/systemd/man/latest/systemd-fstab-generator.html. Strings, lines and file systems of others stay.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from .markup import Element

CREDENTIAL = "io.systemd.credential.binary:fstab.extra="
TAG = re.compile(r"folder-[0-9a-f]{12}")
# https://www.kernel.org/doc/html/latest/filesystems/9p.html: more bytes in a message than its least, for the sake of speed.
OPTIONS = {"9p": "trans=virtio,version=9p2000.L,msize=262144,", "virtiofs": ""}
ESCAPES = {"\\": "\\134", " ": "\\040", "\t": "\\011", "\n": "\\012"}  # fstab(5)
ESCAPE = re.compile(r"\\([0-7]{3})")


def tag_of(target: str) -> str:
    """The tag of a folder by where the guest has it: 9p has 31 bytes for one."""
    return "folder-" + sha256(target.encode()).hexdigest()[:12]


def folders_of(domain: Element) -> dict[str, dict[str, Any]]:
    """Return the folders by where the guest has them: Source, ReadOnly, and the Way they go in.

    One that the guest is not told of stands under its tag, and one that it is told of and cannot find has no source: neither is as declared.
    """
    there, told = _systems(domain), _told(domain)
    found = {told.get(tag, tag): _folder(element) for tag, element in there.items()}
    found.update(
        {target: {"Source": "", "ReadOnly": False, "Way": "9p"} for tag, target in told.items() if tag not in there}
    )
    return dict(sorted(found.items()))


def set_folders(domain: Element, folders: Mapping[str, Mapping[str, Any]]) -> None:
    """Make these the folders."""
    if folders_of(domain) == dict(folders):
        return
    wanted = {tag_of(target): folder for target, folder in sorted(folders.items())}
    there, devices = _systems(domain), domain.need("devices")
    stays = {tag for tag, folder in wanted.items() if tag in there and _folder(there[tag]) == folder}
    devices.remove(*(element for tag, element in there.items() if tag not in stays))
    for tag, folder in wanted.items():
        if tag not in stays:
            devices.add(_element(tag, folder), "filesystem", "controller", "disk", "emulator")
    _share_memory(domain, any(folder["Way"] == "virtiofs" for folder in wanted.values()))
    lines = [_line(tag_of(target), target, folder) for target, folder in sorted(folders.items())]
    _tell(domain, [*(line for line in _lines(domain) if not _is_ours(line)), *lines])


def _systems(domain: Element) -> dict[str, Element]:
    """File systems with a tag of ours."""
    devices = domain.find("devices")
    elements = devices.children("filesystem") if devices is not None else []
    return {tag: one for one in elements for tag in [one.said("target", "dir")] if TAG.fullmatch(tag)}


def _folder(element: Element) -> dict[str, Any]:
    return {
        "Source": element.said("source", "dir"),
        "ReadOnly": element.find("readonly") is not None,
        "Way": "virtiofs" if element.said("driver", "type") == "virtiofs" else "9p",
    }


def _element(tag: str, folder: Mapping[str, Any]) -> Element:
    """By 9p, what the guest writes belongs to whoever runs QEMU, and a folder may reach over more than one file system of the host."""
    virtiofs = folder["Way"] == "virtiofs"
    how = {"accessmode": "passthrough"} if virtiofs else {"accessmode": "squash", "multidevs": "remap"}
    return Element(
        "filesystem",
        {"type": "mount", **how},
        *([Element("driver", {"type": "virtiofs"})] if virtiofs else []),
        Element("source", {"dir": folder["Source"]}),
        Element("target", {"dir": tag}),
        *([Element("readonly")] if folder["ReadOnly"] else []),
    )


def _share_memory(domain: Element, shared: bool) -> None:
    """What serves virtiofs reads and writes in the guest's memory: https://libvirt.org/kbase/virtiofs.html.

    Memory that is shared and need not be is in nobody's way, so that which says more than this stays as it is.
    """
    backing = domain.find("memoryBacking")
    if shared:
        backing = domain.need("memoryBacking", "memory", "currentMemory", "memtune")
        if backing.find("source") is None and backing.find("hugepages") is None:
            backing.add(Element("source", {"type": "memfd"}), "locked", "nosharepages")
        backing.need("access", "source", "hugepages").set("mode", "shared")
    elif backing is not None and sorted(str(part).strip() for part in backing.children()) == [
        "<access mode='shared'/>",
        "<source type='memfd'/>",
    ]:
        domain.remove(backing)


# -- what the guest is told ------------------------------------------------------------------------------------


def _line(tag: str, target: str, folder: Mapping[str, Any]) -> str:
    place = "".join(ESCAPES.get(letter, letter) for letter in target)
    return f"{tag} {place} {folder['Way']} {OPTIONS[folder['Way']]}{'ro,' if folder['ReadOnly'] else ''}nofail 0 0"


def _is_ours(line: str) -> bool:
    return bool(TAG.fullmatch(line.partition(" ")[0]))


def _told(domain: Element) -> dict[str, str]:
    """Where the guest is to have what has a tag of ours."""
    pairs = [line.split(" ")[:2] for line in _lines(domain) if _is_ours(line)]
    return {pair[0]: ESCAPE.sub(lambda match: chr(int(match[1], 8)), pair[1]) for pair in pairs if len(pair) == 2}


def _entry(domain: Element) -> Element | None:
    """The string that says it, in the first list there is."""
    for info in domain.children("sysinfo"):
        for strings in info.children("oemStrings") if info.get("type") == "smbios" else []:
            for entry in strings.children("entry"):
                if entry.text.strip().startswith(CREDENTIAL):
                    return entry
    return None


def _lines(domain: Element) -> list[str]:
    """Lines of fstab that the guest is told, of ours and of others."""
    entry = _entry(domain)
    if entry is None:
        return []
    try:
        return base64.b64decode(entry.text.strip()[len(CREDENTIAL) :], validate=True).decode().splitlines()
    except (binascii.Error, UnicodeDecodeError):
        return []


def _tell(domain: Element, lines: list[str]) -> None:
    entry = _entry(domain)
    if not lines:
        _say_nothing(domain, entry)
        return
    if entry is None:
        info = next((one for one in domain.children("sysinfo") if one.get("type") == "smbios"), None)
        info = info or domain.add(Element("sysinfo", {"type": "smbios"}), "resource", "vcpu")
        entry = info.need("oemStrings", "bios", "system", "baseBoard", "chassis").add(Element("entry"))
    entry.text = CREDENTIAL + base64.b64encode("".join(f"{line}\n" for line in lines).encode()).decode()
    domain.need("os").need("smbios", "type", "loader", "nvram", "kernel", "initrd", "cmdline", "boot").set(
        "mode", "sysinfo"
    )


def _say_nothing(domain: Element, entry: Element | None) -> None:
    """Take our string out, and what held it when nothing else is in it."""
    for info in domain.children("sysinfo") if entry is not None else []:
        for strings in info.children("oemStrings"):
            strings.remove(entry)
            if not strings.children():
                info.remove(strings)
        if info.get("type") == "smbios" and not info.children():
            domain.remove(info)
            board = domain.find("os/smbios")
            if board is not None and board.get("mode") == "sysinfo":
                domain.need("os").remove(board)
