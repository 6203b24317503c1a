# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a hypervisor's network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._converge.action import Change
from .._converge.desired import Resource, quote
from .._converge.kind import Kind, Replace, Step
from .._converge.observed import Observed, World
from .._converge.option import Option
from . import names

MODES = ("nat", "isolated", "bridge")
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
BRIDGE = re.compile(r"[a-zA-Z0-9_.-]{1,15}")
DHCP = (Option("start", required=True), Option("end", required=True))


def interface(value: str) -> str:
    """The address of the host in the network, with the network's length."""
    if "/" not in value:
        raise ValueError(f"{quote(value)} says nothing of the network's length; write 192.168.90.1/24")
    try:
        found = ipaddress.ip_interface(value)
    except ValueError:
        raise ValueError(f"{quote(value)} is not an address; write 192.168.90.1/24") from None
    if found.version == 4 and found.ip == found.network.network_address:
        raise ValueError(
            f"{quote(value)} is the network itself; write the host's own address in it, {found.network[1]}/{found.network.prefixlen}"
        )
    return str(found)


def _bridge(value: str) -> str:
    if not BRIDGE.fullmatch(value):
        raise ValueError(
            f"{quote(value)} is not the name of a bridge, which has at most 15 characters; write virbr-shop"
        )
    return value


def _range(value: Mapping) -> dict[str, str]:
    start, end = (_address(value[key]) for key in ("start", "end"))
    if ipaddress.ip_address(start) > ipaddress.ip_address(end):
        raise ValueError(f"{start} comes after {end}; write the smaller one as start")
    return {"Start": start, "End": end}


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{quote(value)} is not an address; write 192.168.90.10") from None


def _check(spec: Mapping) -> Iterable[tuple[str, str]]:
    if not NAME.fullmatch(spec["name"]):
        yield "name", f"{quote(spec['name'])} is not a name; use letters, digits, hyphens, dots and underscores"
    mode = spec.get("mode") or "nat"
    if mode == "bridge" and not spec.get("bridge"):
        yield "bridge", "is missing; mode: bridge needs the name of a bridge that is there"
    if mode == "bridge" and (spec.get("address") or spec.get("dhcp")):
        yield "address", "is given by whoever runs the bridge; leave address and dhcp out with mode: bridge"
    if spec.get("dhcp") and not spec.get("address"):
        yield "dhcp", "needs the address of the network; add address: 192.168.90.1/24"
    if spec.get("dhcp") and spec.get("address"):
        whole = ipaddress.ip_interface(interface(spec["address"])).network
        for key in ("start", "end"):
            if ipaddress.ip_address(_address(spec["dhcp"][key])) not in whole:
                yield "dhcp", f"{quote(spec['dhcp'][key])} ({key}) is not in {whole}"


def _fill(document: dict, resource: Resource, world: World) -> dict:
    """Its UUID says whose it is, as its labels do."""
    identity = names.identity(world.facts["host"], "network", world.facts["project"], resource.name)
    return {"Mode": "nat", **document, "Name": resource.name, "UUID": identity}


def _updates(
    resource: Resource, observed: Observed, changes: Sequence[Change], world: World, live: bool
) -> Iterable[Step]:
    for change in changes:
        if change.option == "active":
            yield Step("start", f"start network {resource.name}", {}, ("stop", f"stop network {resource.name}", {}))
        elif change.option == "autostart":
            words = (
                f"start network {resource.name} with the host"
                if change.after
                else f"let network {resource.name} stay down when the host starts"
            )
            yield Step(
                "autostart",
                words,
                {"on": change.after},
                ("autostart", f"put back autostart of network {resource.name}", {"on": change.before}),
            )


def _dhcp_back(value: Any) -> Any:
    return value or None


OPTIONS = (
    Option("name", required=True),
    Option("state", choices=("present", "absent"), default="present"),
    Option("mode", "str", "Mode", choices=MODES),
    Option("bridge", "str", "Bridge", _bridge),
    Option("domain", "str", "Domain"),
    Option("address", "str", "Address", interface),
    Option("dhcp", "dict", "Dhcp", _range, _dhcp_back, suboptions=DHCP),
    Option("active", "bool", "Active", update=True, resets=True),
    Option("autostart", "bool", "Autostart", update=True, resets=True),
)

KIND = Kind("network", OPTIONS, replace=Replace.UNUSED, check=_check, fill=_fill, updates=_updates, labels="Labels")
