# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A card in user mode, as arguments for QEMU in a domain's XML. Pure.

libvirt's own ``<interface type='user'>`` forwards no port unless passt carries it, which libvirt has from 9.0 on where it was built with it.
What QEMU takes: https://www.qemu.org/docs/master/system/invocation.html#hxtool-5; how it is said to libvirt:
https://libvirt.org/drvqemu.html#pass-through-of-arbitrary-qemu-commands. Arguments of others are left where they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .._converge import ports
from .markup import Element

NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
COMMANDLINE, ARGUMENT = "qemu:commandline", "qemu:arg"
NAME = re.compile(r"slipway-net-(\d+)")
FORWARD = re.compile(r"(tcp|udp):([0-9.]*):(\d+)-[0-9.]*:(\d+)")
DEVICES = {"virtio": "virtio-net-pci"}  # where libvirt's name of a model is not QEMU's name of the device
# libvirt does not know of this device when it gives out slots. It begins at the lowest, and on a board with PCI Express it takes ports instead.
SLOT = "0x10"


def is_ours(interface: Mapping[str, Any]) -> bool:
    """Whether an interface of a document is such a card."""
    return interface["Type"] == "user" and "Ports" in interface


def user_cards(domain: Element) -> dict[str, dict[str, Any]]:
    """Return the cards by their positions, as the document has them."""
    said = [element.get("value") for element in _arguments(domain)]
    backs: dict[str, list[str]] = {}
    fronts: dict[str, dict[str, str]] = {}
    for flag, value in zip(said, said[1:]):
        kind, found = _pairs(value)
        if flag == "-netdev" and kind == "user" and _number(found, "id"):
            backs[_number(found, "id")] = [text for name, text in found if name == "hostfwd"]
        elif flag == "-device" and _number(found, "netdev"):
            fronts[_number(found, "netdev")] = {"model": kind, **dict(found)}
    return {number: _card(forwards, fronts.get(number) or {}) for number, forwards in backs.items()}


def set_user_cards(domain: Element, cards: Mapping[str, Mapping[str, Any]]) -> None:
    """Make these the cards in user mode; a card that is there as it should be stays where it is."""
    there = user_cards(domain)
    stays = {number for number, card in cards.items() if there.get(number) == _shown(card)}
    _take_out(domain, set(there) - stays)
    missing = sorted(set(cards) - stays, key=int)
    if missing and domain.find(COMMANDLINE) is None:
        domain.set("xmlns:qemu", NAMESPACE)
        domain.add(Element(COMMANDLINE))
    for number in missing:
        for value in _written(number, cards[number]):
            domain.need(COMMANDLINE).add(Element(ARGUMENT, {"value": value}), ARGUMENT)


def _arguments(domain: Element) -> list[Element]:
    commandline = domain.find(COMMANDLINE)
    return commandline.children(ARGUMENT) if commandline is not None else []


def _take_out(domain: Element, numbers: set[str]) -> None:
    """Each of our values goes with the flag before it."""
    elements = _arguments(domain)
    for flag, value in zip(elements, elements[1:]):
        found = _pairs(value.get("value"))[1]
        key = {"-netdev": "id", "-device": "netdev"}.get(flag.get("value"), "")
        if key and _number(found, key) in numbers:
            domain.need(COMMANDLINE).remove(flag, value)
    commandline = domain.find(COMMANDLINE)
    if commandline is not None and not commandline.children():
        domain.remove(commandline)


def _pairs(value: str) -> tuple[str, list[tuple[str, str]]]:
    """What stands first in QEMU's `kind,name=value,...`, and the rest as pairs."""
    kind, *rest = value.split(",")
    return kind, [(name, text) for name, _equals, text in (word.partition("=") for word in rest)]


def _number(found: Sequence[tuple[str, str]], key: str) -> str:
    """The position of the card whose name is said under this key; empty when it is none of ours."""
    match = NAME.fullmatch(next((text for name, text in found if name == key), ""))
    return match[1] if match else ""


def _card(forwards: Sequence[str], front: Mapping[str, str]) -> dict[str, Any]:
    matches = [FORWARD.fullmatch(text) for text in forwards]
    bindings = [(f"{match[4]}/{match[1]}", match[2], match[3]) for match in matches if match]
    device = front.get("model", "")
    return {
        "Type": "user",
        "Source": "",
        "Mac": front.get("mac", "").lower(),
        "Model": next((model for model, name in DEVICES.items() if name == device), device),
        "Ports": [ports.shown(binding) for binding in sorted(bindings, key=ports.order)],
    }


def _shown(card: Mapping[str, Any]) -> dict[str, Any]:
    return {**{key: card.get(key, "") for key in ("Type", "Source", "Mac", "Model")}, "Ports": list(card["Ports"])}


def _written(number: str, card: Mapping[str, Any]) -> list[str]:
    name = f"slipway-net-{number}"
    forwards = "".join(
        f",hostfwd={port.partition('/')[2]}:{ip}:{outer}-:{port.partition('/')[0]}"
        for port, ip, outer in ports.published(card["Ports"])
    )
    device = DEVICES.get(card["Model"], card["Model"])
    return [
        "-netdev",
        f"user,id={name}{forwards}",
        "-device",
        f"{device},netdev={name},id={name},mac={card['Mac']},addr={SLOT}",
    ]
