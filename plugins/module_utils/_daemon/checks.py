# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What values of keys have to look like; each raises ValueError with what is wrong and what to write. Pure.

The daemon finds some of these only when it starts, and one of them (a mirror) only when somebody pulls.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._converge.desired import quote

Check = Callable[[Any], None]
SIZE = re.compile(r"\d+(?:\.\d+)?\s?(?:[kKmMgGtTpP]i?[bB]?|[bB])")
SCHEMES = ("unix", "tcp", "fd", "npipe")


def one_of(*choices: str) -> Check:
    """A check for one of some words."""

    def check(value: str) -> None:
        if value not in choices:
            raise ValueError(f"{quote(value)} is not one of {', '.join(choices)}")

    return check


def at_least(least: int) -> Check:
    """A check for a number from one on."""

    def check(value: int) -> None:
        if value < least:
            raise ValueError(f"{value} is less than {least}")

    return check


def between(least: int, most: int) -> Check:
    """A check for a number within bounds."""

    def check(value: int) -> None:
        if not least <= value <= most:
            raise ValueError(f"{value} is not a number from {least} to {most}")

    return check


def size(value: str) -> None:
    """A size with its unit, which the daemon wants in the file."""
    if not SIZE.fullmatch(value):
        raise ValueError(f'{quote(value)} is not a size with its unit; write "64M" or "1G"')


def absolute(value: str) -> None:
    """A path from the root."""
    if not value.startswith("/"):
        raise ValueError(f"{quote(value)} is not a path from the root; write one that begins with /")


def address(value: str) -> None:
    """An IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"{quote(value)} is not an IP address; write one such as 192.168.90.1") from None


def addresses(values: Sequence[str]) -> None:
    """IP addresses."""
    for value in values:
        address(value)


def interface(version: int) -> Check:
    """A check for an address with the length of its network's prefix."""
    example = "172.26.0.1/16" if version == 4 else "fd00:26::1/64"

    def check(value: str) -> None:
        if not value:
            return
        try:
            found = ipaddress.ip_interface(value)
        except ValueError:
            raise ValueError(f"{quote(value)} is not an address with a prefix; write one such as {example}") from None
        if found.version != version or "/" not in value:
            raise ValueError(
                f"{quote(value)} is not an IPv{version} address with a prefix; write one such as {example}"
            )
        if found.ip == found.network.network_address and found.network.prefixlen < found.max_prefixlen - 1:
            raise ValueError(f"{quote(value)} is the network itself, not an address in it; write one such as {example}")

    return check


def network(version: int) -> Check:
    """A check for a network with its prefix."""
    example = "172.26.8.0/24" if version == 4 else "fd00:26::/64"

    def check(value: str) -> None:
        if not value:
            return
        try:
            found = ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"{quote(value)} is not a network; write one such as {example}") from None
        if found.version != version:
            raise ValueError(f"{quote(value)} is not an IPv{version} network; write one such as {example}")

    return check


def pools(values: Sequence[Mapping[str, Any]]) -> None:
    """Pools from which networks are cut: a base, and the size of each cut as the length of its prefix."""
    example = '{base: "172.30.0.0/16", size: 24}'
    for value in values:
        if set(value) != {"base", "size"} or not isinstance(value["base"], str):
            raise ValueError(f"{quote(value)} is not a pool; write {example}")
        try:
            base = ipaddress.ip_network(value["base"], strict=False)
        except ValueError:
            raise ValueError(f"{quote(value['base'])} is not a network; write {example}") from None
        cut = value["size"]
        if isinstance(cut, bool) or not isinstance(cut, int) or not base.prefixlen <= cut <= base.max_prefixlen:
            raise ValueError(
                f"size {quote(cut)} does not fit {value['base']}: it is the length of a prefix, from {base.prefixlen} "
                f"to {base.max_prefixlen}; write {example}"
            )


def hosts(values: Sequence[str]) -> None:
    """Where the daemon listens."""
    for value in values:
        scheme, separator, rest = value.partition("://")
        if not separator or scheme not in SCHEMES or (scheme != "fd" and not rest):
            raise ValueError(
                f"{quote(value)} is nothing to listen at; write unix:///var/run/docker.sock, fd:// or tcp://ADDRESS:2376"
            )
        port = rest.rpartition(":")[2].rstrip("/") if scheme == "tcp" and ":" in rest.rpartition("]")[2] else ""
        if port and not (port.isdigit() and int(port) <= 65535):
            raise ValueError(f"{quote(value)} has no usable port; write tcp://ADDRESS:2376")


def labels(values: Sequence[str]) -> None:
    """Labels of the engine, NAME=value, each name once."""
    seen: dict[str, str] = {}
    for value in values:
        name, separator, text = value.partition("=")
        if not separator or not name:
            raise ValueError(f"{quote(value)} is not a label; write NAME=value")
        if seen.setdefault(name, text) != text:
            raise ValueError(f"{quote(name)} is there with two values; keep one")


def pairs(values: Sequence[str]) -> None:
    """Options NAME=value."""
    for value in values:
        name, separator, text = value.partition("=")
        if not separator or not name.strip() or not text.strip():
            raise ValueError(f"{quote(value)} is not an option with its value; write NAME=value")


def mirrors(values: Sequence[str]) -> None:
    """Mirrors of the hub: a scheme and a host, and nothing behind it."""
    for value in values:
        scheme, separator, rest = value.partition("://")
        host, _slash, behind = rest.partition("/")
        if not separator or scheme not in ("http", "https") or not host:
            raise ValueError(f"{quote(value)} is not a mirror's address; write https://HOST")
        if behind or "?" in rest or "#" in rest:
            raise ValueError(
                f"{quote(value)} has something behind the host, which a mirror must not; write {scheme}://{host}"
            )
        if "@" in host:
            raise ValueError(
                f"{quote(value)} has a user in it, which a mirror must not; write {scheme}://{host.rpartition('@')[2]}"
            )


def registries(values: Sequence[str]) -> None:
    """Registries or networks of them, without a scheme."""
    for value in values:
        _scheme, separator, rest = value.partition("://")
        if separator:
            raise ValueError(
                f"{quote(value)} has a scheme, which a registry's name has not; write {rest or 'HOST:PORT'}"
            )


def proxies(values: Mapping[str, str]) -> None:
    """The daemon's proxies."""
    known = ("http-proxy", "https-proxy", "no-proxy")
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"{quote(name)} is not one of {', '.join(known)}")
        if name != "no-proxy" and value and "://" not in value:
            raise ValueError(f"{name} {quote(value)} has no scheme; write http://HOST:PORT")


def ulimits(values: Mapping[str, Mapping[str, Any]]) -> None:
    """Limits of containers: Name, Soft and Hard, by name."""
    example = "nofile: {Name: nofile, Soft: 64000, Hard: 64000}"
    for name, value in values.items():
        lowered = {key.lower(): item for key, item in value.items()}
        numbers = [lowered.get("soft"), lowered.get("hard")]
        if set(lowered) - {"name", "soft", "hard"} or any(
            isinstance(n, bool) or not isinstance(n, int) for n in numbers
        ):
            raise ValueError(f"{name} {quote(value)} is not a limit; write {example}")
        if numbers[1] != -1 and (numbers[0] > numbers[1] or numbers[0] == -1):
            raise ValueError(f"{name}: Soft {numbers[0]} is more than Hard {numbers[1]}")
