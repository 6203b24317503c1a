# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which published ports are to be forwarded, and what is said of those that cannot be. Pure."""

from __future__ import annotations

import errno
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

LOOPBACK, LOOPBACK_6 = "127.0.0.1", "::1"
# Where a port that is bound to every address of the guest is reached in it.
REACHED = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": LOOPBACK_6}
UNPRIVILEGED = "net.ipv4.ip_unprivileged_port_start"


class Forward(NamedTuple):
    """A port of this workstation, and the address in the guest to whose same port it leads."""

    address: str
    port: int
    target: str

    @property
    def here(self) -> str:
        """Where it is on this workstation."""
        return f"{_bracketed(self.address)}:{self.port}"

    @property
    def there(self) -> str:
        """Where it leads to in the guest."""
        return f"{_bracketed(self.target)}:{self.port}"

    @property
    def spec(self) -> str:
        """As -L of ssh takes it."""
        return f"{self.here}:{self.there}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


class Wanted(NamedTuple):
    """What is to be forwarded, with the containers' names; ports of which another has the number; what ssh cannot carry."""

    forwards: dict[Forward, str]
    doubled: dict[str, str]
    notes: dict[str, str]


def wanted(containers: Iterable[Mapping[str, Any]], addresses: Sequence[str]) -> Wanted:
    """What /containers/json asks for: each published TCP port at each address; what makes no sense in it is passed over."""
    by_port: dict[int, dict[str, str]] = {}
    notes = {}
    for container in containers:
        name = name_of(container)
        for port, kind, address in _published(container):
            if kind == "tcp":
                by_port.setdefault(port, {})[REACHED.get(address, address)] = name
            else:
                notes[f"{kind} {port}"] = (
                    f"port {port}/{kind} of {name} is not forwarded: ssh carries TCP only; reach it at the guest's address"
                )
    forwards, doubled = {}, {}
    for port, targets in sorted(by_port.items()):
        chosen, *others = sorted(targets, key=lambda target: (target != LOOPBACK, target != LOOPBACK_6, target))
        forwards.update({Forward(address, port, chosen): targets[chosen] for address in addresses})
        for other in others:
            # Of a port that is bound to all addresses of both families, one way in is enough.
            if not (targets[other] == targets[chosen] and {chosen, other} == {LOOPBACK, LOOPBACK_6}):
                doubled[f"port {port} at {other}"] = (
                    f"port {port} of {targets[other]} at the guest's {other} is not forwarded:"
                    f" here it leads to {targets[chosen]}; publish one of them under another number"
                )
    return Wanted(forwards, doubled, notes)


def _published(container: Mapping[str, Any]) -> Iterable[tuple[int, str, str]]:
    """Number, protocol and address of each. What a guest says ends up in a command line, so nothing passes unread."""
    ports = container.get("Ports")
    for entry in ports if isinstance(ports, list) else ():
        if isinstance(entry, dict):
            port, kind, address = entry.get("PublicPort"), entry.get("Type", "tcp"), entry.get("IP") or ""
            # By type, since True is a number too.
            if type(port) is int and 0 < port < 65536 and kind in ("tcp", "udp", "sctp") and _is_address(address):
                yield port, kind, address


def _is_address(address: Any) -> bool:
    """Say whether it is a plain address, or none; one with a scope has free text in it."""
    try:
        return address == "" or (isinstance(address, str) and "%" not in str(ipaddress.ip_address(address)))
    except ValueError:
        return False


def name_of(container: Mapping[str, Any]) -> str:
    """Its own name; beside it there may be those that links give it, with a second slash."""
    names = [str(name)[1:] for name in container.get("Names") or () if str(name).count("/") == 1]
    name = names[0] if names else str(container.get("Id", ""))[:12]
    return re.sub(r"[^A-Za-z0-9_.-]", "?", name)


def difference(have: Iterable[Forward], want: Iterable[Forward]) -> tuple[list[Forward], list[Forward]]:
    """What is to be cancelled, and then what is to be added."""
    have, want = set(have), set(want)
    return sorted(have - want), sorted(want - have)


def refused(forward: Forward, name: str, code: int | None, said: str) -> str:
    """Why a port is not there: by the error that this workstation gives for it, or else by what ssh said."""
    which = f"port {forward.port} of {name} is not forwarded: "
    if code == errno.EADDRINUSE:
        return f"{which}{forward.here} is taken on this workstation; end what has it, or publish another number"
    if code == errno.EACCES:
        return (
            f"{which}this user may not take ports below 1024;"
            f" have root write `{UNPRIVILEGED}={forward.port}` to a file in /etc/sysctl.d and call `sysctl --system`, or publish another number"
        )
    if code == errno.EADDRNOTAVAIL:
        return f"{which}{forward.address} is not an address of this workstation; see `addresses`"
    return f"{which}{said or 'ssh did not take it'}"
