# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hypervisor as the controller's plugins see it: the one place there that imports libvirt; its errors become ours here."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import address

from . import machine

try:
    import libvirt
    import libvirt_qemu
except ImportError as error:
    libvirt = libvirt_qemu = None
    MISSING = str(error)

# https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainInterfaceAddressesSource
FROM_AGENT, FROM_ARP = 1, 2

# https://libvirt.org/html/libvirt-virterror.html#virErrorNumber
NO_DOMAIN, OPERATION_INVALID = 42, 55
NO_SUCH_DRIVER = (3, 5, 67)
AGENT_ABSENT = (74, 86, 97)  # no channel, no answer, not in step

NO_AGENT = (
    "install qemu-guest-agent in the guest and start it; the machine needs `agent: true`, which gives it the channel"
)
BLOCKED = (
    "the guest's own policy forbids it: take {command} out of the blocked RPCs of its qemu-guest-agent (BLOCK_RPCS or FILTER_RPC_ARGS in "
    "/etc/sysconfig/qemu-ga, block-rpcs in /etc/qemu/qemu-ga.conf), or use SSH"
)


class Hypervisor:
    """An open connection to a hypervisor."""

    def __init__(self, uri: str, connection: Any) -> None:
        self.uri = uri
        self._connection = connection

    def machines(self, project: str = "", only_running: bool = False) -> list[dict[str, Any]]:
        """Machines of ours, with their addresses, in the order of their names."""
        with ours(f"list the machines of {self.uri}"):
            domains = self._connection.listAllDomains(0)
        found = (self._machine(domain, project, only_running) for domain in domains)
        return sorted((known for known in found if known), key=lambda known: known["name"])

    def _machine(self, domain: Any, project: str, only_running: bool) -> dict[str, Any] | None:
        try:
            known = machine.machine(domain.XMLDesc(0), domain.state(0)[0])
        except libvirt.libvirtError as error:
            if error.get_error_code() == NO_DOMAIN:  # it went after the list was made
                return None
            raise SlipwayError(f"read a machine of {self.uri}: {error}") from error
        if known is None or project not in ("", known["project"]):
            return None
        if only_running and known["state"] != machine.RUNNING:
            return None
        found, way = self._addresses(domain, known), known.pop("forwarded")
        if way:
            found = [way[0], *(one for one in found if one != way[0])]
        return {**known, "uri": self.uri, "addresses": found, "port": way[1] if way else address.SSH}

    def _addresses(self, domain: Any, known: dict[str, Any]) -> list[str]:
        cards = [card for card in known["interfaces"] if card["type"] != "user"]
        names = sorted({card["source"] for card in cards if card["type"] == "network"})
        sources = [lambda: self._by_network(names, lambda network: address.reserved(network.XMLDesc(0)))]
        if known["state"] == machine.RUNNING:
            now = time.time()
            sources.append(
                lambda: self._by_network(names, lambda network: address.leased(network.DHCPLeases() or (), now))
            )
            if known["agent"]:
                sources.append(lambda: _told(domain, FROM_AGENT))
            sources.append(lambda: _told(domain, FROM_ARP))
        return address.addresses([card["mac"] for card in cards], sources)

    def _by_network(self, names: list[str], read: Callable[[Any], address.Known]) -> address.Known:
        known: dict[str, Any] = {}
        for name in names:
            try:
                known.update(read(self._connection.networkLookupByName(name)))
            except libvirt.libvirtError:
                continue  # a network or driver that does not know; the next source is asked
        return known

    def agent(self, name: str, timeout: int) -> Callable[[str], str]:
        """How the guest agent of a machine is asked: a command as JSON, the reply as JSON."""
        with ours(f"find the machine {name} at {self.uri}"):
            try:
                domain = self._connection.lookupByName(name)
            except libvirt.libvirtError as error:
                if error.get_error_code() == NO_DOMAIN:
                    raise SlipwayError(
                        f"there is no machine {name} at {self.uri}; name it by slipway_machine_name, and its hypervisor by slipway_machine_uri"
                    ) from error
                raise

        def ask(command: str) -> str:
            try:
                return libvirt_qemu.qemuAgentCommand(domain, command, timeout, 0)
            except libvirt.libvirtError as error:
                raise _agent_error(name, error) from error

        return ask

    def close(self) -> None:
        """Close the connection; one that is broken already is as good."""
        with suppress(libvirt.libvirtError):
            self._connection.close()


class AgentUnreachable(SlipwayError):
    """The agent of a guest cannot be asked, or not for what a connection needs."""


def _agent_error(name: str, error: Any) -> SlipwayError:
    """What a failed question to the agent means, and what to do about it."""
    text, code = str(error), error.get_error_code()
    if code in AGENT_ABSENT:
        return AgentUnreachable(f"the guest agent of {name} does not answer ({text}); {NO_AGENT}")
    if code in (NO_DOMAIN, OPERATION_INVALID):
        return AgentUnreachable(f"the machine {name} does not run ({text}); start it first, `state: running` does")
    command = next((word for word in ("guest-exec-status", "guest-exec", "guest-file-open") if word in text), "it")
    if any(words in text for words in ("disabled", "has not been found", "not allowed")):
        return AgentUnreachable(f"the guest agent of {name} refuses ({text}); {BLOCKED.format(command=command)}")
    if "guest-exec-status" in text:  # it has forgotten the process: it was started anew
        return AgentUnreachable(
            f"the guest agent of {name} no longer knows the command it was given ({text}); did the guest restart?"
        )
    return SlipwayError(f"the guest agent of {name}: {text}")


def _told(domain: Any, source: int) -> address.Known:
    try:
        return address.told(domain.interfaceAddresses(source, 0))
    except libvirt.libvirtError:
        return {}


@contextmanager
def ours(what: str) -> Iterator[None]:
    """An error of libvirt becomes one sentence of ours."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise SlipwayError(f"{what}: {error}") from error


def connect(uri: str) -> Hypervisor:
    """Connect to a hypervisor; whoever does closes it again."""
    if libvirt is None:
        raise SlipwayError(
            f"libvirt for Python is not there for {sys.executable} ({MISSING}); install python3-libvirt and use the system's Python, "
            f"or `pip install libvirt-python` into this one, which needs libvirt-dev, pkg-config and a C compiler"
        )
    libvirt.registerErrorHandler(_quiet, None)
    try:
        return Hypervisor(uri, libvirt.open(uri))
    except libvirt.libvirtError as error:
        way = (
            "this libvirt was built without that driver; see docs/machines.md for the URIs"
            if error.get_error_code() in NO_SUCH_DRIVER
            else "does libvirtd run there, and is this user in the group libvirt?"
        )
        raise SlipwayError(f"the hypervisor {uri} cannot be reached: {error}; {way}") from error


def _quiet(_context: Any, _error: Any) -> None:
    """Every error is raised, so libvirt need not print it as well."""


@contextmanager
def connected(uri: str) -> Iterator[Hypervisor]:
    """A connection that is closed in the end."""
    hypervisor = connect(uri)
    try:
        yield hypervisor
    finally:
        hypervisor.close()
