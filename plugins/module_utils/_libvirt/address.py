# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a machine can be reached: the sources of addresses, the surest first, told apart by MAC; and a port of the host that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from xml.etree import ElementTree

from .._converge import ports

Known = Mapping[str, Sequence[str]]  # MAC -> addresses
SSH = 22

# Networks of the guest's own, which nobody outside reaches.
INNER = ("lo", "docker", "br-", "veth", "virbr", "cni", "podman")


def usable(value: Any) -> str:
    """An address in its common form; empty when it is none, or one that is good on its own link only.

    A guest says what it likes here: what comes out of this is an address and nothing else.
    """
    try:
        address = ip_address(str(value))
    except ValueError:
        return ""
    inner = address.is_link_local or address.is_loopback or address.is_unspecified or address.is_multicast
    return "" if inner or getattr(address, "scope_id", None) else str(address)


def reserved(text: str) -> dict[str, list[str]]:
    """Addresses that the DHCP server of a network keeps for a MAC: read from the network's XML."""
    hosts = ElementTree.fromstring(text).iterfind("ip/dhcp/host")
    return _by_mac((host.get("mac"), host.get("ip")) for host in hosts)


def leased(leases: Iterable[Mapping[str, Any]], now: float) -> dict[str, list[str]]:
    """Addresses that are leased to a MAC at this time, the newest lease first; a lease may outlive its machine."""
    live = [lease for lease in leases if not lease.get("expirytime") or lease["expirytime"] > now]
    live.sort(key=lambda lease: lease.get("expirytime") or float("inf"), reverse=True)
    return _by_mac((lease.get("mac"), lease.get("ipaddr")) for lease in live)


def told(interfaces: Mapping[str, Mapping[str, Any]] | None) -> dict[str, list[str]]:
    """Addresses by a reply of interfaceAddresses, from the guest agent or the ARP table."""
    return _by_mac(
        (interface.get("hwaddr"), address.get("addr"))
        for name, interface in (interfaces or {}).items()
        if name not in INNER and not name.startswith(INNER[1:])
        for address in interface.get("addrs") or ()
    )


def _by_mac(pairs: Iterable[tuple[Any, Any]]) -> dict[str, list[str]]:
    """IPv4 first, for it is what most can reach."""
    known: dict[str, list[str]] = {}
    for mac, value in pairs:
        address = usable(value)
        if mac and address and address not in known.setdefault(str(mac).lower(), []):
            known[str(mac).lower()].append(address)
    return {mac: sorted(addresses, key=lambda address: ":" in address) for mac, addresses in known.items()}


def addresses(macs: Iterable[str], sources: Iterable[Callable[[], Known]]) -> list[str]:
    """Addresses of the cards, the surest first; a source is asked only while a card has none."""
    missing = [mac for mac in macs if mac]
    found: list[str] = []
    for source in sources:
        if not missing:
            break
        known = source()
        for mac in [mac for mac in missing if known.get(mac)]:
            missing.remove(mac)
            found.extend(address for address in known[mac] if address not in found)
    return found


def forwarded(cards: Mapping[str, Mapping[str, Any]]) -> tuple[str, int] | None:
    """Address and port of the hypervisor's host that lead to SSH in a guest, by the cards of its document; None when none do.

    They are known before the guest is: a card in user mode has them in its definition.
    """
    for number in sorted(cards, key=int):
        for port, ip, outer in ports.published(cards[number].get("Ports") or ()):
            if port == f"{SSH}/tcp":
                return (ip if ip not in ("", "0.0.0.0") else "127.0.0.1"), int(outer)
    return None


def outside(cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """MACs of the cards whose addresses others can reach; one in user mode has an address that only QEMU knows."""
    return [cards[number].get("Mac", "") for number in sorted(cards, key=int) if cards[number]["Type"] != "user"]
