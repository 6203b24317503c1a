# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The small languages of a machine's options. Pure; bad input raises ValueError, whose sentence follows the value's place."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .._converge import ports
from .._converge.desired import quote
from .._converge.units import size
from . import disk, image, names

ACCELERATORS = {"kvm": "kvm", "tcg": "qemu", "hvf": "hvf"}
P9, VIRTIOFS = "9p", "virtiofs"
LEAST_MEMORY = 32 << 20
MODEL = re.compile(r"[a-z0-9][a-z0-9-]*")
MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")


def memory(value: Any) -> int:
    number = size(value)
    if number < LEAST_MEMORY:
        raise ValueError(f"{quote(value)} is less than any system needs; write 512m or 2g")
    return -(-number // 1024) * 1024


def count(value: int) -> int:
    if not 1 <= value <= 512:
        raise ValueError(f"{value} is not a number of processors from 1 to 512")
    return value


def boot(value: Mapping) -> dict[str, str]:
    found = {"kernel": image.digest(value["kernel"]["checksum"])}
    if value.get("initrd"):
        found["initrd"] = image.digest(value["initrd"]["checksum"])
    if value["cmdline"].split():
        found["cmdline"] = " ".join(value["cmdline"].split())
    return found


def boot_back(value: Mapping | None) -> dict[str, str]:
    """With digests as short as they are shown."""
    return {key: text if key == "cmdline" else short(text) for key, text in (value or {}).items() if text}


def short(digest: str | None) -> str | None:
    """A digest as short as it is shown."""
    return digest[: image.SHORT] if digest else digest


def disks(items: Sequence[Mapping]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for item in items:
        name = names.label(item["name"])
        if name in found:
            raise ValueError(f"{quote(name)} is there twice; give each disk its own name")
        disk.capacity(item["size"])
        found[name] = {"Bus": item["bus"], "Format": item["format"]}
    return found


def disks_back(value: Mapping | None) -> dict[str, dict]:
    return {name: {key: item.get(key) for key in ("Bus", "Format")} for name, item in (value or {}).items()}


def cards(items: Sequence[Mapping]) -> dict[str, dict]:
    found = {str(index): _card(f"card {index}", item) for index, item in enumerate(items)}
    in_user_mode = [index for index, card in found.items() if card["Type"] == "user"]
    if len(in_user_mode) > 1:
        raise ValueError(
            f"card {in_user_mode[1]} is in user mode as card {in_user_mode[0]} is, and a machine has one such card; give that one all ports"
        )
    return found


def _card(which: str, item: Mapping) -> dict[str, Any]:
    kinds = [kind for kind in ("network", "bridge", "user") if item.get(kind)]
    if len(kinds) != 1:
        raise ValueError(f"{which} needs either a network, a bridge or user; write network: default, or user: true")
    kind = kinds[0]
    card: dict[str, Any] = {"Type": kind, "Source": "" if kind == "user" else item[kind], "Model": item["model"]}
    if item.get("mac"):
        card["Mac"] = item["mac"].lower()
        if not MAC.fullmatch(card["Mac"]) or int(card["Mac"][:2], 16) & 1:
            raise ValueError(f"{quote(item['mac'])} is not a card's address; write 52:54:00:12:34:56, or leave mac out")
    if item.get("address"):
        if kind != "network":
            raise ValueError(f"address is given by the network's DHCP; it goes with network, not with {kind}")
        card["Address"] = address(item["address"])
    if kind == "user":
        if not MODEL.fullmatch(item["model"]):
            raise ValueError(f"{quote(item['model'])} is not a model of a card; write virtio or e1000")
        card["Ports"] = forwards(item.get("ports") or ())
    elif item.get("ports"):
        raise ValueError(f"ports go with user: true; a machine on a {kind} is reached at its own address")
    return card


def forwards(items: Sequence[str]) -> list[str]:
    """Ports of the host that QEMU hands on, each as it is shown. https://gitlab.freedesktop.org/slirp/libslirp: TCP and UDP."""
    bindings = ports.published(items)
    for binding in bindings:
        port, ip, number = binding
        text = quote(ports.shown(binding))
        if not number.isdigit():
            raise ValueError(
                f"{text} leaves the port of the host to be chosen, and QEMU chooses none; write 127.0.0.1:60022:22"
            )
        if ":" in ip:
            raise ValueError(f"{text} has an IPv6 address, and QEMU forwards from IPv4 alone; write 127.0.0.1:60022:22")
        if port.endswith("/sctp"):
            raise ValueError(f"{text} is SCTP, and QEMU forwards TCP and UDP alone; take it out")
        clash = next((other for other in bindings if other is not binding and meet(binding, other)), None)
        if clash:
            raise ValueError(f"{text} and {quote(ports.shown(clash))} are the same port of the host; give each its own")
    return [ports.shown(binding) for binding in bindings]


def meet(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    """Whether two bindings want the same port of the host."""
    same = (one[2], one[0].partition("/")[2]) == (other[2], other[0].partition("/")[2])
    return same and ports.overlap(one[1], other[1])


def taken(card: Mapping) -> list[tuple[str, str, str]]:
    """The bindings of a card in user mode; none of another one."""
    return ports.published(card.get("Ports") or ())


def address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{quote(value)} is not an address; write 192.168.90.10") from None


def cards_match(desired: Mapping, observed: Mapping | None) -> bool:
    """The same cards in the same places, each with what was said of it."""
    observed = observed or {}
    return set(desired) == set(observed) and not any(card_differs(desired[place], observed[place]) for place in desired)


def card_differs(desired: Mapping, observed: Mapping) -> bool:
    return any(observed.get(key) != value for key, value in desired.items())


def same_card(before: Mapping | None, after: Mapping) -> bool:
    """Whether a card can stay plugged in; its MAC is another one only when that was said."""
    return before is not None and all(
        before.get(key) == after[key]
        for key in ("Type", "Source", "Mac", "Model", "Ports")
        if after.get(key) not in (None, "")
    )


def cards_back(value: Mapping | None) -> dict[str, dict]:
    """That a card has no ports is said too."""
    kept = ("Type", "Source", "Mac", "Model", "Address", "Ports")
    return {
        place: {key: card[key] for key in kept if card.get(key) not in (None, "")}
        for place, card in (value or {}).items()
    }


def defined(card: Mapping) -> dict[str, Any]:
    """What a definition says of a card."""
    return {
        **{key: card.get(key, "") for key in ("Type", "Source", "Mac", "Model")},
        **({"Ports": card["Ports"]} if "Ports" in card else {}),
    }


def folders(items: Sequence[Mapping]) -> dict[str, dict]:
    """By where the guest has them."""
    found: dict[str, dict] = {}
    for item in items:
        source = _folder(item["source"])
        target = _folder(item.get("target") or source)
        if target == "/":
            raise ValueError(
                f'"/" is the whole of the guest; write where it is to have the folder {quote(source)}, such as /srv/site'
            )
        if target in found:
            raise ValueError(f"{quote(target)} is there twice; give each folder its own target")
        found[target] = {"Source": source, "ReadOnly": item["read_only"]}
    return found


def _folder(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise ValueError(f"{quote(path)} is not the absolute path of a folder; write /home/ana/site")
    return posixpath.normpath(path).replace("//", "/")


def folders_back(value: Mapping | None) -> dict[str, dict]:
    """How one is handed in is not the user's to say."""
    return {target: {key: one[key] for key in ("Source", "ReadOnly")} for target, one in (value or {}).items()}


def handed_in(said: Mapping[str, Mapping], there: Mapping[str, Mapping], way: str) -> dict[str, dict]:
    """Folders as a definition has them: one that is there as it was said stays as it is.

    libvirt 9 has no virtiofs that the guest could only read, and it is not for the guest to keep to that.
    """
    before = folders_back(there)
    found = {
        target: there[target] if before.get(target) == one else {**one, "Way": P9 if one["ReadOnly"] else way}
        for target, one in said.items()
    }
    return dict(sorted(found.items()))


def labels(value: Mapping) -> dict[str, str]:
    for key in value:
        if str(key).startswith(names.OWN):
            raise ValueError(f"{quote(key)} begins with {names.OWN}, which is kept for ourselves; use another name")
    return {str(key): str(item) for key, item in value.items()}


def own_labels_out(value: Mapping | None) -> dict[str, str]:
    return {key: item for key, item in (value or {}).items() if not key.startswith(names.OWN)}


def accelerator(value: str) -> str:
    return ACCELERATORS.get(value, value)


def accelerator_matches(desired: str, observed: str) -> bool:
    return desired in ("auto", observed)
