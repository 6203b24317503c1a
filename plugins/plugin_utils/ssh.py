# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments with which ssh takes one host key and no other."""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from typing import Any
from urllib.parse import urlsplit

TYPE = "ssh-ed25519"  # of the keys that we make
HEAD = b"\0\0\0\x0b" + TYPE.encode() + b"\0\0\0\x20"
HOP = re.compile(r"(?:[A-Za-z0-9_.-]+@)?(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")

# What Ansible passes to ssh when nobody says otherwise; ours comes before it.
ANSIBLE_ARGUMENTS = ("-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s")


def host_key(text: str) -> str:
    """A public key without its comment; empty when it is none. It comes from a label, and goes to a command line."""
    kind, _space, rest = text.strip().partition(" ")
    body = rest.partition(" ")[0]
    try:
        blob = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return ""
    whole = kind == TYPE and blob.startswith(HEAD) and len(blob) == len(HEAD) + 32
    return f"{TYPE} {base64.b64encode(blob).decode()}" if whole else ""


def arguments(key: str) -> list[str]:
    """Arguments by which ssh, scp and sftp (OpenSSH >= 8.5) accept this one key and no other, and note it nowhere.

    Of two that disagree ssh takes the first, so they belong before all others. KnownHostsCommand is run without a shell.
    """
    options = (
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "VerifyHostKeyDNS=no",  # else a record of the network's name server could vouch for another key
        "NoHostAuthenticationForLocalhost=no",  # a port that is forwarded from a guest is on localhost
        f"HostKeyAlgorithms={TYPE}",
        f"KnownHostsCommand=/bin/echo %H {key}",
    )
    return [word for option in options for word in ("-o", option)]


def variables(key: str, jump: str = "") -> dict[str, Any]:
    """Host variables by which Ansible pins the key, and goes by another host.

    Ansible puts ansible_ssh_args first, host_key_checking second and ansible_ssh_common_args last, so that in the last one the pin
    would lose to an ansible.cfg with host_key_checking=false or StrictHostKeyChecking=no in ssh_args.
    """
    pinned: dict[str, Any] = {
        "ansible_ssh_args": shlex.join([*arguments(key), *ANSIBLE_ARGUMENTS]),
        "ansible_host_key_checking": True,
    }
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
