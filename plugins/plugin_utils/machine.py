# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine of ours as its hypervisor describes it: read from a domain's XML."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from ansible_collections.slipway.docker.plugins.module_utils._converge import ownership
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import address, names, xml

AGENT = "org.qemu.guest_agent.0"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*\$?")

# virDomainState, https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainState; "blocked" waits for a disk, and runs.
STATES = ("unknown", "running", "running", "paused", "stopping", "stopped", "crashed", "suspended")
RUNNING = "running"


def machine(text: str, state: int) -> dict[str, Any] | None:
    """Read what is known of a machine; None when the domain is not ours."""
    found = xml.document(text)
    labels = found["Labels"]
    if not (labels.get(ownership.PROJECT) and labels.get(ownership.KEY)):
        return None
    user = labels.get(names.USER, "")
    cards = found["Interfaces"]
    return {
        "name": found["Name"],
        "uuid": found["UUID"],
        "state": STATES[state] if state < len(STATES) else STATES[0],
        "project": labels[ownership.PROJECT],
        "labels": {name: value for name, value in labels.items() if not name.startswith(names.OWN)},
        "image": labels.get(names.IMAGE, ""),
        "host_key": labels.get(names.HOST_KEY, ""),
        "user": user if USER.fullmatch(user) else "",
        "memory": found["Memory"],
        "cpus": found["Cpus"],
        # An address behind a ``user`` network cannot be reached from outside.
        "interfaces": [
            {"type": cards[place]["Type"], "source": cards[place]["Source"], "mac": cards[place]["Mac"]}
            for place in sorted(cards, key=int)
        ],
        "forwarded": address.forwarded(cards),
        "agent": _agent(ElementTree.fromstring(text)),
    }


def _agent(root: ElementTree.Element) -> bool:
    """Whether the guest agent has opened its end of the channel."""
    targets = root.iterfind("devices/channel/target")
    return any(target.get("name") == AGENT and target.get("state") == "connected" for target in targets)
