# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The values of a context: its name, and the addresses that the docker CLI can use."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import SplitResult, urlsplit

from .._converge.desired import quote

RESERVED = "default"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+")  # the CLI's own rule
SCHEMES = ("unix", "tcp", "ssh", "npipe")
WAYS = "unix:///var/run/docker.sock, tcp://host:2376, ssh://user@host or npipe:////./pipe/docker_engine"


def name(value: str) -> str:
    """A context's name as the CLI takes it."""
    if value == RESERVED:
        raise ValueError(
            f"{quote(value)} is the CLI's own, for which nothing is stored; use another name. To go back to it, say "
            f"current: false of the context that is current"
        )
    if not NAME.fullmatch(value):
        raise ValueError(
            f"{quote(value)} is not a context's name; use two or more letters, digits, hyphens, dots, plus signs and "
            f"underscores, the first one a letter or a digit"
        )
    return value


def host(value: str) -> str:
    """An engine's address as the CLI stores it in a context."""
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in SCHEMES or not rest or value != value.strip() or not value.isprintable():
        raise ValueError(f"{quote(value)} is not an engine's address; write {WAYS}")
    if scheme == "unix" and not rest.startswith("/"):
        raise ValueError(f"{quote(value)} names no absolute path; write unix:///{rest}")
    if scheme in ("tcp", "ssh"):
        _check_network(value, scheme)
    return value


def _check_network(value: str, scheme: str) -> None:
    try:
        parts = urlsplit(value)
        port, there = parts.port, parts.hostname
    except ValueError as error:
        raise ValueError(f"{quote(value)} has no usable host and port ({error}); write {scheme}://host:port") from None
    if not there or there.startswith("-"):
        raise ValueError(f"{quote(value)} names no host; write {scheme}://host{':2376' if scheme == 'tcp' else ''}")
    if parts.password is not None:
        raise ValueError(
            f"{quote(value)} holds a password, which would be stored for all to read; take it out, and use a key or an agent"
        )
    if parts.path or "?" in value or "#" in value:
        what = (
            "a path after the host, which older docker CLIs refuse" if parts.path else "a query, which the CLI refuses"
        )
        raise ValueError(f"{quote(value)} has {what}; write {_bare(parts)}")
    if scheme == "tcp" and parts.username is not None:
        raise ValueError(f"{quote(value)} names a user, which tcp has not; write {_bare(parts)}")
    if scheme == "tcp" and port is None:
        raise ValueError(f"{quote(value)} has no port, and the CLI knows none by itself; write {_bare(parts)}:2376")


def _bare(parts: SplitResult) -> str:
    place = parts.netloc.rpartition("@")[2] if parts.scheme == "tcp" else parts.netloc
    return f"{parts.scheme}://{place}"


def scheme(url: str) -> str:
    """How an address is reached."""
    return url.partition("://")[0]


def is_loopback(url: str) -> bool:
    """Whether an address of tcp is this host's own, which nobody else reaches."""
    there = urlsplit(url).hostname or ""
    try:
        return there == "localhost" or ipaddress.ip_address(there).is_loopback
    except ValueError:
        return False


def file(value: str) -> str:
    """The path of a file of the client; empty for none."""
    if not value:
        return ""
    path = os.path.expanduser(value)
    if not os.path.isabs(path):
        raise ValueError(f"{quote(value)} is not an absolute path; write one, such as /etc/docker/tls/{value}")
    return path
