# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks, and the addresses that they reserve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._converge.action import Action
from .._converge.errors import EngineError, EngineLost
from . import xml
from .perform_part import Part

# libvirt's words for an address that an interface of the host has.
TAKEN = re.compile(r"already in use by interface (\S+)")

# What a new network has where nothing was said.
BLANK: Mapping[str, Any] = {"Bridge": "", "Domain": "", "Address": "", "Dhcp": {}, "Hosts": {}}


class Networks(Part):
    """Carries out what is done to networks."""

    def network(self, action: Action) -> Any:
        """The network that an action is about."""
        return self.hypervisor.network(action.resource[1])

    def create(self, action: Action) -> None:
        body = {**BLANK, **action.payload["body"]}
        network = self.change("define the network", self.hypervisor.connection.networkDefineXML, xml.network_xml(body))
        try:
            self._start(network)
            self.change("autostart the network", network.setAutostart, True)
        except EngineError:
            self._take_down(network)
            raise

    def remove(self, action: Action) -> None:
        network = self.hypervisor.find_network(action.resource[1])
        if network is not None:
            self._take_down(network)

    def _take_down(self, network: Any) -> None:
        if network.isActive():
            self.change("stop the network", network.destroy)
        self.change("undefine the network", network.undefine)

    def start(self, action: Action) -> None:
        self._start(self.network(action))

    def _start(self, network: Any) -> None:
        try:
            self.change("start the network", network.create)
        except EngineError as error:
            taken = TAKEN.search(str(error))
            if not taken:
                raise
            way_out = f"if no other network has it, a libvirtd that died has left it behind: `ip link delete {taken[1]}` on that host"
            raise EngineError(f"{error}; {way_out}", error.status) from None

    def stop(self, action: Action) -> None:
        self.change("stop", self.network(action).destroy)

    def autostart(self, action: Action) -> None:
        self.change("autostart", self.network(action).setAutostart, action.payload["on"])

    # -- reservations ------------------------------------------------------------------------------------------

    def reserve(self, action: Action) -> None:
        """What a run that was cut off has reserved for this card is kept, or replaced."""
        payload = action.payload
        there = self._reservations(action).get(payload["mac"])
        if there and there.get("Ip") == payload["address"] and there.get("Name") == payload["name"]:
            return
        if there:
            self._remove_reservation(action, there)
        self._update_reservation(action, self.libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST)

    def release(self, action: Action) -> None:
        """A reservation that is gone, or whose network is, needs no release. It may have got another address or name."""
        there = self._reservations(action).get(action.payload["mac"])
        if not there:
            return
        try:
            self._remove_reservation(action, there)
        except EngineError as error:
            if isinstance(error, EngineLost) or action.payload["mac"] in self._reservations(action):
                raise

    def _reservations(self, action: Action) -> Mapping[str, Any]:
        """MAC -> Ip and Name of what a network reserves; a network that is not there reserves nothing."""
        network = self.hypervisor.find_network(action.payload["network"])
        text = self.hypervisor.if_there(network.XMLDesc, 0) if network is not None else None
        return xml.network_document(text)["Hosts"] if text else {}

    def _remove_reservation(self, action: Action, there: Mapping[str, Any]) -> None:
        """Remove what is reserved for this card, as it is there: libvirt compares all of it."""
        old = {**action.payload, "address": there.get("Ip") or "", "name": there.get("Name") or ""}
        self._update_reservation(replace(action, payload=old), self.libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE)

    def _update_reservation(self, action: Action, command: int) -> None:
        payload = action.payload
        network = self.hypervisor.network(payload["network"])
        host = xml.host_xml(payload["mac"], {"Ip": payload["address"], "Name": payload["name"]})
        active = self.hypervisor.read(network.isActive)  # between look-up and this another step may have removed it
        flags = self.libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG | (
            self.libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE if active else 0
        )
        self.change(
            "update the network",
            network.update,
            command,
            self.libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST,
            -1,
            host,
            flags,
        )
