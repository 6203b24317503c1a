# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from .._converge import ports
from .._converge.desired import Resource, quote
from .._converge.kind import Kind, Replace
from .._converge.observed import Observed
from .._converge.option import Option, dig
from .._converge.ownership import without_ours
from .._converge.secret import looks_secret
from . import values
from .fields import PREDEFINED_NETWORKS

IPAM_OPTIONS = (
    Option("subnet"),
    Option("gateway"),
    Option("iprange", aliases=("ip_range",)),
    Option("aux_addresses", "dict"),
)


def usable(text: str, whole: Any) -> bool:
    """Whether an address is one that a host can have in a subnet."""
    ip = ipaddress.ip_address(text)
    if ip not in whole:
        return False
    return ip.version == 6 or whole.prefixlen > 30 or ip not in (whole.network_address, whole.broadcast_address)


# https://github.com/moby/moby/blob/v26.1.0/libnetwork/drivers/bridge/bridge_linux.go
NUMBERS = ("com.docker.network.driver.mtu",)
FLAGS = tuple(f"com.docker.network.bridge.{name}" for name in ("enable_icc", "enable_ip_masquerade", "default_bridge"))
ADDRESSES = ("com.docker.network.bridge.host_binding_ipv4",)


def _encode_driver_options(value: Mapping) -> dict[str, str]:
    found = values.texts(value)
    for key, item in found.items():
        if key in NUMBERS and not item.isdigit():
            raise ValueError(f"{quote(item)} of {key} is not a number; write 1500")
        if key in FLAGS and item.lower() not in ("true", "false", "1", "0", "t", "f"):
            raise ValueError(f'{quote(item)} of {key} is neither "true" nor "false"')
        if key in ADDRESSES:
            ports.address(item, 4)
    return found


def _encode_ipam(items: list[Mapping]) -> list[dict]:
    encoded = []
    for item in items:
        block: dict[str, Any] = {}
        if item.get("subnet"):
            block["Subnet"] = values.subnet(item["subnet"])
        if item.get("iprange"):
            block["IPRange"] = values.subnet(item["iprange"])
        if item.get("gateway"):
            block["Gateway"] = ports.address(item["gateway"])
        if item.get("aux_addresses"):
            block["AuxiliaryAddresses"] = {
                key: ports.address(ip) for key, ip in values.texts(item["aux_addresses"]).items()
            }
        _inside(block)
        _apart(block, encoded)
        encoded.append(block)
    return encoded


def _apart(block: Mapping, others: Iterable[Mapping]) -> None:
    for other in others:
        if block.get("Subnet") and other.get("Subnet"):
            one, two = ipaddress.ip_network(block["Subnet"]), ipaddress.ip_network(other["Subnet"])
            if one.version == two.version and one.overlaps(two):
                raise ValueError(f"{quote(block['Subnet'])} overlaps {quote(other['Subnet'])}; choose another subnet")


def _inside(block: Mapping) -> None:
    if not block.get("Subnet"):
        if block:
            raise ValueError("has a gateway, range or address but no subnet; add subnet")
        return
    whole = ipaddress.ip_network(block["Subnet"])
    known = {"gateway": block.get("Gateway"), **(block.get("AuxiliaryAddresses") or {})}
    for name, text in known.items():
        if text and not usable(text, whole):
            raise ValueError(
                f"the address {quote(text)} ({name}) is not in the subnet {block['Subnet']}, or no host may have it"
            )
    if block.get("IPRange"):
        part = ipaddress.ip_network(block["IPRange"])
        if part.version != whole.version or not part.subnet_of(whole):
            raise ValueError(f"the range {quote(block['IPRange'])} is not in the subnet {block['Subnet']}")


def _decode_ipam(blocks: Iterable[Mapping] | None) -> tuple[dict, ...]:
    decoded = []
    for block in blocks or ():
        said = {
            "subnet": block.get("Subnet"),
            "gateway": (block.get("Gateway") or "").partition("/")[0],
            "iprange": block.get("IPRange"),
            "aux_addresses": block.get("AuxiliaryAddresses"),
        }
        decoded.append({key: value for key, value in said.items() if value})
    return tuple(sorted(decoded, key=lambda block: block.get("subnet", "")))


def _ipam_matches(desired: tuple, observed: tuple) -> bool:
    """The same blocks, and in each what was said: an engine chooses a gateway where none was given."""
    if len(desired or ()) != len(observed or ()):
        return False
    return all(theirs.get(key) == value for ours, theirs in zip(desired, observed) for key, value in ours.items())


def _check(spec: Mapping) -> Iterable[tuple[str, str]]:
    try:
        values.name(spec["name"])
    except ValueError as error:
        yield "name", str(error)
    if spec["name"] in PREDEFINED_NETWORKS:
        yield "name", f"{quote(spec['name'])} is a network of the engine itself; use another name"
    if spec.get("driver") in ("host", "null", "none"):
        yield "driver", f"{quote(spec['driver'])} is the engine's own; write bridge, macvlan, ipvlan or overlay"


def _wanted(resource: Resource) -> set[tuple[str, str]]:
    """Its subnets are its own."""
    return {("", block["subnet"]) for block in resource.fields.get("ipam_config") or () if block.get("subnet")}


def _held(observed: Observed) -> set[tuple[str, str]]:
    return {("", block["Subnet"]) for block in dig(observed.raw, "IPAM.Config") or () if block.get("Subnet")}


OPTIONS = (
    Option("name", required=True),
    Option("state", choices=("present", "absent"), default="present"),
    Option("driver", "str", "Driver", values.plugin, unset="bridge"),
    Option("driver_options", "dict", "Options", _encode_driver_options, lambda value: dict(value or {}), keyed=True, hides=looks_secret),
    Option("internal", "bool", "Internal", decode=bool, unset=False),
    Option("attachable", "bool", "Attachable", decode=bool, unset=False),
    Option("enable_ipv6", "bool", "EnableIPv6", decode=bool, unset=False),
    Option("ipam_driver", "str", "IPAM.Driver", unset="default"),
    Option("ipam_config", "list", "IPAM.Config", _encode_ipam, _decode_ipam, matches=_ipam_matches, suboptions=IPAM_OPTIONS, elements="dict"),
    Option("labels", "dict", "Labels", values.texts, without_ours, keyed=True, hides=looks_secret),
)  # fmt: skip

KIND = Kind("network", OPTIONS, replace=Replace.IN_PLACE, labels="Labels", check=_check, wanted=_wanted, held=_held)
