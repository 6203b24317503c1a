# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments with which ssh takes one host key and no other."""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from urllib.parse import urlsplit

KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+={0,2})(?: .*)?")
HOP = re.compile(r"(?:[A-Za-z0-9_.-]+@)?(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")


def host_key(text: str) -> str:
    """A public key without its comment; empty when it is none. It comes from a label, and goes to a command line."""
    match = KEY.fullmatch(text.strip())
    if not match:
        return ""
    kind, blob = match.groups()
    try:
        content = base64.b64decode(blob, validate=True)
    except binascii.Error:
        return ""
    return f"{kind} {blob}" if content.startswith(len(kind).to_bytes(4, "big") + kind.encode()) else ""


def arguments(key: str, jump: str = "") -> str:
    """Arguments for ssh, scp and sftp, as one text. Needs OpenSSH 8.5 or newer; leaves no line in any known_hosts."""
    options = [
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        f"KnownHostsCommand=/bin/echo %H {key}",
    ]
    if jump:
        options.append(f"ProxyJump={jump}")
    return " ".join(f"-o {shlex.quote(option)}" for option in options)


def is_hop(text: str) -> bool:
    """Whether this is one or more hosts as ProxyJump has them: [user@]host[:port], separated by commas."""
    return all(HOP.fullmatch(hop) for hop in text.split(","))


def hop_of(uri: str) -> str:
    """The hypervisor's host as ProxyJump has it; empty when the URI does not go by SSH."""
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2]
    return parts.netloc if transport in ("ssh", "libssh", "libssh2") else ""
