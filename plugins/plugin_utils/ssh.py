# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments with which ssh takes one host key and no other."""

from __future__ import annotations

import re
import shlex
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import host_key as host_keys

HOP = re.compile(r"(?:[A-Za-z0-9_.-]+@)?(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")


def host_key(text: str) -> str:
    """A public key without its comment; empty when it is none. It comes from a label, and goes to a command line."""
    if len(text.strip().splitlines()) != 1:
        return ""
    try:
        return host_keys.pinned(" ".join(text.split()[:2]))
    except SlipwayError:
        return ""


def variables(key: str, jump: str = "") -> dict[str, Any]:
    """Host variables by which Ansible pins the key, and goes by another host."""
    pinned: dict[str, Any] = host_keys.ansible_variables(key)
    if jump:
        pinned["ansible_ssh_common_args"] = shlex.join(["-o", f"ProxyJump={jump}"])
    return pinned


def is_hop(text: str) -> bool:
    """Whether this is one or more hosts as ProxyJump has them: [user@]host[:port], separated by commas."""
    return all(HOP.fullmatch(hop) for hop in text.split(","))


def hop_of(uri: str) -> str:
    """The hypervisor's host as ProxyJump has it; empty when the URI does not go by SSH."""
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2]
    return parts.netloc if transport in ("ssh", "libssh", "libssh2") else ""
