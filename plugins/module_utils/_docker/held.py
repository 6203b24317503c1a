# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What two running containers cannot hold at once: a port of the host, an address on a network. Pure.

Each is a pair: the network, or nothing for the host, and what is held there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .._converge.desired import Resource
from .._converge.observed import Observed
from .._converge.option import dig


def wanted(resource: Resource) -> set[tuple[str, str]]:
    """What a container takes when it starts, or is connected."""
    addresses = {
        (name, ip) for name, settings in resource.peers.items() for ip in (settings.get("IPAMConfig") or {}).values()
    }
    return addresses | set(_ports(resource.body))


def held(observed: Observed) -> set[tuple[str, str]]:
    """What a container has while it runs."""
    if not observed.running:
        return set()
    networks = dig(observed.raw, "NetworkSettings.Networks") or {}
    addresses = {
        (name, settings[key])
        for name, settings in networks.items()
        for key in ("IPAddress", "GlobalIPv6Address")
        if settings and settings.get(key)
    }
    return addresses | set(_ports(observed.raw))


def _ports(document: Mapping) -> Iterable[tuple[str, str]]:
    """Whatever the address of the host: that two containers share a port on different ones is rare, and waiting does no harm."""
    for port, hosts in (dig(document, "HostConfig.PortBindings") or {}).items():
        for host in hosts or ():
            if host.get("HostPort"):
                yield "", f"{host['HostPort']}/{port.rpartition('/')[2]}"
