# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a hypervisor has beside machines, as libvirt's XML: volumes, pools, networks. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from .markup import Element, parse, root_of
from .metadata import labels_in, set_labels

NAMESPACE = "urn:slipway.docker:network:1"
FORWARDED = ("nat", "route", "bridge")


def volume_xml(
    name: str, capacity: int, form: str, backing: Mapping[str, str] | None = None, mode: str = "0600"
) -> str:
    """Write a volume of this many bytes; backing, with Path and Format, makes it an overlay on that file."""
    permissions = Element("permissions", None, Element("mode", None, mode))
    volume = Element(
        "volume",
        None,
        Element("name", None, name),
        Element("capacity", {"unit": "bytes"}, str(capacity)),
        Element("target", None, Element("format", {"type": form}), permissions),
    )
    if backing:
        source = Element("path", None, backing["Path"]), Element("format", {"type": backing["Format"]})
        volume.parts.append(Element("backingStore", None, *source))
    return _text(volume)


def volume_document(text: str) -> dict[str, Any]:
    """Read a volume's XML: where it is, how large, and the file that it lies on."""
    volume = root_of(parse(text))
    return {
        "Name": volume.said("name"),
        "Path": volume.said("target/path"),
        "Format": volume.said("target/format", "type"),
        "Capacity": int(volume.said("capacity") or 0),
        "Allocation": int(volume.said("allocation") or 0),
        "Backing": volume.said("backingStore/path"),
    }


def pool_xml(name: str, path: str) -> str:
    """Write a pool whose volumes are the files of a directory."""
    target = Element("target", None, Element("path", None, path))
    return _text(Element("pool", {"type": "dir"}, Element("name", None, name), target))


def pool_path(text: str) -> str:
    """Read from a pool's XML where its volumes are; empty when they are in no directory."""
    return root_of(parse(text)).said("target/path")


def network_xml(wanted: Mapping[str, Any]) -> str:
    """Write a document as a network."""
    network = Element("network", None, Element("name", None, wanted["Name"]))
    if wanted.get("UUID"):
        network.parts.append(Element("uuid", None, wanted["UUID"]))
    if wanted["Mode"] in FORWARDED:
        network.parts.append(Element("forward", {"mode": wanted["Mode"]}))
    if wanted["Bridge"]:
        # A bridge of the host is not ours to set; one of libvirt's need not listen before it forwards.
        own = {} if wanted["Mode"] == "bridge" else {"stp": "on", "delay": 0}
        network.parts.append(Element("bridge", {"name": wanted["Bridge"], **own}))
    if wanted["Domain"]:
        network.parts.append(Element("domain", {"name": wanted["Domain"], "localOnly": "yes"}))
    if wanted["Address"]:
        network.parts.append(_ip_element(wanted))
    network.indent(0)
    set_labels(network, NAMESPACE, wanted["Labels"])
    return f"{network}\n"


def _ip_element(wanted: Mapping[str, Any]) -> Element:
    address, _, prefix = wanted["Address"].partition("/")
    dhcp = []
    if wanted["Dhcp"]:
        hosts = (_host_element(mac, host) for mac, host in sorted(wanted["Hosts"].items()))
        span = Element("range", {"start": wanted["Dhcp"]["Start"], "end": wanted["Dhcp"]["End"]})
        dhcp = [Element("dhcp", None, span, *hosts)]
    return Element("ip", {"address": address, "prefix": prefix}, *dhcp)


def host_xml(mac: str, host: Mapping[str, str]) -> str:
    """Write one reservation, as an update of a network wants it."""
    return _text(_host_element(mac, host))


def _host_element(mac: str, host: Mapping[str, str]) -> Element:
    said = {"mac": mac, "name": host.get("Name"), "ip": host.get("Ip")}
    return Element("host", {name: value for name, value in said.items() if value})


def network_document(text: str) -> dict[str, Any]:
    """Read a network's XML."""
    network = root_of(parse(text))
    if network.tag != "network":
        raise ValueError(f"<{network.tag}> is not a network")
    ip = next((one for one in network.children("ip") if one.get("family", "ipv4") == "ipv4"), Element("ip"))
    span = ip.find("dhcp/range")
    dhcp = ip.find("dhcp")
    forward = network.find("forward")
    return {
        "Name": network.said("name"),
        "UUID": network.said("uuid"),
        "Mode": "isolated" if forward is None else forward.get("mode", "nat"),
        "Bridge": network.said("bridge", "name"),
        "Domain": network.said("domain", "name"),
        "Address": _address(ip),
        "Dhcp": {"Start": span.get("start"), "End": span.get("end")} if span is not None else {},
        "Hosts": {
            host.get("mac").lower(): {"Ip": host.get("ip"), "Name": host.get("name")}
            for host in (dhcp.children("host") if dhcp is not None else [])
            if host.get("mac")
        },
        "Labels": labels_in(network, NAMESPACE),
    }


def _address(ip: Element) -> str:
    if not ip.get("address"):
        return ""
    width = ip.get("prefix") or ip.get("netmask") or "32"
    return ipaddress.ip_interface(f"{ip.get('address')}/{width}").with_prefixlen


def _text(element: Element) -> str:
    element.indent(0)
    return f"{element}\n"
