# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine of ours as its hypervisor describes it: read from a domain's XML."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

NAMESPACE = "{urn:slipway.docker:machine:1}"
AGENT = "org.qemu.guest_agent.0"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*\$?")

# virDomainState, https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainState; "blocked" waits for a disk, and runs.
STATES = ("unknown", "running", "running", "paused", "stopping", "stopped", "crashed", "suspended")
RUNNING = "running"

# https://libvirt.org/formatdomain.html#memory-allocation
UNITS = {"b": 1, "bytes": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def machine(text: str, state: int) -> dict[str, Any] | None:
    """Read what is known of a machine; None when the domain is not ours."""
    root = ElementTree.fromstring(text)
    labels = _labels(root)
    if not (labels.get("slipway.project") and labels.get("slipway.key")):
        return None
    user = labels.get("slipway.user", "")
    return {
        "name": root.findtext("name", ""),
        "uuid": root.findtext("uuid", ""),
        "state": STATES[state] if state < len(STATES) else STATES[0],
        "project": labels["slipway.project"],
        "labels": {name: value for name, value in labels.items() if not name.startswith("slipway.")},
        "image": labels.get("slipway.image", ""),
        "host_key": labels.get("slipway.host-key", ""),
        "user": user if USER.fullmatch(user) else "",
        "memory": _memory(root),
        "cpus": _cpus(root),
        "interfaces": _interfaces(root),
        "agent": _agent(root),
    }


def _labels(root: ElementTree.Element) -> dict[str, str]:
    labels = root.iterfind(f"metadata/{NAMESPACE}machine/{NAMESPACE}label")
    return {label.get("name", ""): label.text or "" for label in labels}


def _memory(root: ElementTree.Element) -> int:
    """The memory it has now, in bytes."""
    for name in ("currentMemory", "memory"):
        element = root.find(name)
        if element is not None:
            unit = element.get("unit", "KiB").lower()
            scale = 1000 ** "kmgt".index(unit[0]) * 1000 if unit in ("kb", "mb", "gb", "tb") else 0
            return int(element.text or 0) * (scale or UNITS.get(unit.removesuffix("ib"), 1 << 10))
    return 0


def _cpus(root: ElementTree.Element) -> int:
    element = root.find("vcpu")
    return int(element.get("current") or element.text or 0) if element is not None else 0


def _interfaces(root: ElementTree.Element) -> list[dict[str, str]]:
    """The network cards in their order; an address behind a ``user`` network cannot be reached from outside."""
    found = []
    for element in root.iterfind("devices/interface"):
        kind = element.get("type", "")
        source, mac = element.find("source"), element.find("mac")
        found.append(
            {
                "type": kind,
                "source": source.get(kind, "") if source is not None else "",
                "mac": mac.get("address", "").lower() if mac is not None else "",
            }
        )
    return found


def _agent(root: ElementTree.Element) -> bool:
    """Whether the guest agent has opened its end of the channel."""
    targets = root.iterfind("devices/channel/target")
    return any(target.get("name") == AGENT and target.get("state") == "connected" for target in targets)
