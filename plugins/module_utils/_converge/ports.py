# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The notation of published ports, as the docker CLI and Compose have it. Pure; bad input raises ValueError."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from .desired import quote

PROTOCOLS = ("tcp", "udp", "sctp")


def address(value: str, version: int = 0) -> str:
    """An IP address in its canonical spelling. An engine may turn a typo into 0.0.0.0, so we are strict."""
    try:
        parsed = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"{quote(value)} is not an IP address; write 127.0.0.1 or ::1") from None
    if version and parsed.version != version:
        raise ValueError(f"{quote(value)} is not an IPv{version} address")
    return str(parsed)


def numbers(text: str, whole: str) -> range:
    """The ports of `80` or `80-90`; ``whole`` is what a mistake shows."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if not match:
        raise ValueError(f"{quote(whole)} is not a port; write 8080:80, 127.0.0.1:8080:80/tcp or 8000-8010:80-90")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= 65535 or not 1 <= last <= 65535:
        raise ValueError(f"{quote(whole)} is outside the ports from 1 to 65535")
    if last < first:
        raise ValueError(f"{quote(whole)} has a range that ends before it begins; write {last}-{first}")
    return range(first, last + 1)


def split(text: str, whole: str) -> tuple[str, str]:
    """What comes before the protocol, and the protocol; ``whole`` is what a mistake shows."""
    port, _slash, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in PROTOCOLS:
        raise ValueError(f"{quote(whole)} has no known protocol; write /tcp, /udp or /sctp")
    return port, protocol


def published(value: Sequence[str]) -> list[tuple[str, str, str]]:
    """(inner port/protocol, host IP, host port) of each binding, sorted; ranges are spread out.

    An empty host IP is every address of the host, an empty host port one that the engine chooses, as in the docker CLI.
    """
    found: set[tuple[str, str, str]] = set()
    for item in value:
        text = str(item).strip()
        if text != str(item) or not text:
            raise ValueError(f"{quote(item)} has spaces around it; take them out")
        found |= set(_published(text))
    return sorted(found, key=order)


def order(binding: tuple[str, str, str]) -> tuple:
    """What bindings are sorted by: the port inside first."""
    port, protocol = binding[0].split("/")
    return (int(port), protocol, binding[1], binding[2])


def _published(text: str) -> Iterable[tuple[str, str, str]]:
    rest, protocol = split(text, text)
    bracketed = re.fullmatch(r"\[([^\]]*)\]:(.*)", rest)
    host = ""
    if bracketed:
        host, rest = address(bracketed[1], 6), bracketed[2]
    elif rest.count(":") == 2:
        host, rest = rest.split(":", 1)
        host = address(host, 4) if host else ""
    elif rest.count(":") > 2:
        raise ValueError(f"{quote(text)} is not a port; put an IPv6 address in brackets: [::1]:8080:80")
    host_ports, _colon, inner = rest.rpartition(":")
    inside = numbers(inner, text)
    if not host_ports:
        return [(f"{port}/{protocol}", host, "") for port in inside]
    outside = numbers(host_ports, text)
    if len(outside) != len(inside):
        if len(inside) == 1:  # the engine takes one free port of the range
            return [(f"{inside[0]}/{protocol}", host, f"{outside[0]}-{outside[-1]}")]
        raise ValueError(
            f"{quote(text)} has {len(outside)} host ports for {len(inside)} ports inside; make the ranges equally long"
        )
    return [(f"{port}/{protocol}", host, str(outer)) for port, outer in zip(inside, outside)]


def with_host(text: str, ip: str) -> str:
    """Put a host address before a published port that has none."""
    if text.startswith("[") or text.count(":") >= 2:
        return text
    host = f"[{ip}]" if ":" in ip else ip
    return f"{host}:{text}" if ":" in text else f"{host}::{text}"


def shown(binding: tuple[str, str, str]) -> str:
    """A binding as a user writes it, the shortest way."""
    port, ip, number = binding
    bare = port[:-4] if port.endswith("/tcp") else port
    host = f"[{ip}]" if ":" in ip else ip
    return ":".join([host, number, bare] if host else [number, bare] if number else [bare])


def overlap(one: str, other: str) -> bool:
    """Whether two host addresses share a listener: an empty or unspecified one covers every address of its family."""
    if one == other or not one or not other:
        return True
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return first.version == second.version and (first.is_unspecified or second.is_unspecified)
