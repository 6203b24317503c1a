# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What CONFIG.json says, and every mistake in it at once. Pure, but for reading the file."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REMOTE_SOCKET = "/run/docker.sock"
# The path of a unix socket holds 107 bytes, and ssh makes its control socket under a longer name first (muxserver_listen in its mux.c).
LONGEST_SOCKET, LONGEST_CONTROL = 107, 107 - 17
KEYS = ("name", "ssh", "directory", "socket", "remote_socket", "machine", "addresses")
NEEDED = ("name", "ssh", "directory", "socket")
OURS = ("canary", "lock", "log", "log.old", "ssh", "status.json")  # beside the socket in the directory
# ssh gives these characters a meaning in a path: fields of -L, tokens, variables, escapes.
SPECIAL = re.compile(r"[:%$\\\"'\x00-\x1f\x7f]")


class ConfigWrong(Exception):
    """What the file says cannot be done; the message has a line for each mistake."""


@dataclass(frozen=True)
class Config:
    """One engine in a machine, and where it appears on this workstation."""

    name: str
    ssh: str
    directory: Path
    socket: Path
    remote_socket: str = REMOTE_SOCKET
    addresses: tuple[str, ...] = ("127.0.0.1",)
    uri: str = ""
    domain: str = ""

    @property
    def control(self) -> Path:
        """The control socket of ssh."""
        return self.directory / "ssh"

    @property
    def canary(self) -> Path:
        """A socket that leads to nothing in the guest: as long as ssh lives, a connection to it is closed at once."""
        return self.directory / "canary"


def read(path: Path) -> Config:
    """The configuration in a file; ConfigWrong has all that is wrong with it."""
    try:
        given = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigWrong(f"{path} cannot be read: {error}") from None
    wrong = list(mistakes(given))
    if wrong:
        raise ConfigWrong("\n".join(f"{path}: {line}" for line in wrong))
    machine = given.get("machine") or {}
    return Config(
        name=given["name"],
        ssh=given["ssh"],
        directory=Path(given["directory"]),
        socket=Path(given["socket"]),
        remote_socket=given.get("remote_socket", REMOTE_SOCKET),
        addresses=tuple(dict.fromkeys(given.get("addresses", Config.addresses))),
        uri=machine.get("uri", ""),
        domain=machine.get("domain", ""),
    )


def mistakes(given: Any) -> Iterator[str]:
    """What is wrong with a configuration, each with its place, its value and the way out."""
    if not isinstance(given, dict):
        yield "is not an object"
        return
    yield from (f"{key} is not known; there are {', '.join(KEYS)}" for key in given if key not in KEYS)
    yield from (f"{key} is missing" for key in NEEDED if key not in given)
    for key, pattern, form in (
        ("name", r"[A-Za-z0-9][A-Za-z0-9_.-]*", "letters, digits and _.- after a letter or digit"),
        ("ssh", r"[A-Za-z0-9_][A-Za-z0-9_.@:-]*", "a Host of the ssh configuration"),
    ):
        if key in given and not _is(pattern, given[key]):
            yield f"{key}: {given[key]!r} is not {form}"
    for key in ("directory", "socket", "remote_socket"):
        if key in given and not (_is(r"/.*", given[key]) and not SPECIAL.search(given[key])):
            yield f"{key}: {given[key]!r} is not an absolute path without : % $ \\ and quotes"
    if given.get("socket") in [f"{given.get('directory')}/{name}" for name in OURS]:
        yield f"socket: {given['socket']!r} is needed for something else; take {given['directory']}/docker.sock"
    yield from _too_long(given)
    yield from _wrong_machine(given.get("machine"))
    yield from _wrong_addresses(given.get("addresses", Config.addresses))


def _is(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None


def _too_long(given: dict[str, Any]) -> Iterator[str]:
    for key, path, longest in (
        ("socket", given.get("socket"), LONGEST_SOCKET),
        ("remote_socket", given.get("remote_socket"), LONGEST_SOCKET),
        ("directory", f"{given.get('directory')}/canary", LONGEST_CONTROL),
    ):
        if isinstance(path, str) and len(path.encode(errors="replace")) > longest:
            yield f"{key}: {given[key]!r} is too long for a socket, whose path holds {longest} bytes; take a shorter one"


def _wrong_machine(machine: Any) -> Iterator[str]:
    if machine is None:
        return
    if not isinstance(machine, dict) or set(machine) != {"uri", "domain"}:
        yield f"machine: {machine!r} is not an object of uri and domain; leave it out when the machine is not started from here"
        return
    yield from (
        f"machine.{key}: {value!r} is not the text that virsh knows it by"
        for key, value in machine.items()
        if not _is(r"[^\x00-\x1f-][^\x00-\x1f]*", value)
    )


def _wrong_addresses(addresses: Any) -> Iterator[str]:
    if not isinstance(addresses, (list, tuple)) or not addresses:
        yield f'addresses: {addresses!r} is not a list of addresses of this workstation; write ["127.0.0.1"]'
        return
    for address in addresses:
        try:
            ipaddress.ip_address(address if isinstance(address, str) else "")
        except ValueError:
            yield f"addresses: {address!r} is not an address; write 127.0.0.1 or ::1"
