# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices of a machine, and how much of the host it has: what changes while it runs."""

from __future__ import annotations

import time

from .._converge.action import Action
from .._converge.errors import EngineError
from . import xml
from .perform_part import Part

GONE = 20.0  # seconds for a guest to let go of a device


class Devices(Part):
    """Carries out what is done to a machine's devices."""

    def set_memory(self, action: Action) -> None:
        domain = self.domain(action)
        self.change("set the memory", domain.setMemoryFlags, action.payload["value"] >> 10, self.both(domain))

    def set_cpus(self, action: Action) -> None:
        """A busy guest takes longer to let go of a processor than the few seconds that libvirt waits for it."""
        domain, wanted = self.domain(action), action.payload["value"]
        try:
            self.change("set the processors", domain.setVcpusFlags, wanted, self.both(domain))
        except EngineError as error:
            if "timed out" not in str(error):
                raise
            deadline = time.monotonic() + GONE
            while self.hypervisor.read(domain.vcpusFlags, self.libvirt.VIR_DOMAIN_AFFECT_LIVE) != wanted:
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"the guest has not let go of its processors after {GONE:g} s; leave cpus as it was, or change it while the machine is stopped",
                        500,
                    ) from None
                time.sleep(0.1)
            self.change("set the processors", domain.setVcpusFlags, wanted, self.libvirt.VIR_DOMAIN_AFFECT_CONFIG)

    def attach_disk(self, action: Action) -> None:
        domain = self.domain(action)
        text = self.hypervisor.read(domain.XMLDesc, 0)
        said = action.payload["disk"]
        controller = xml.controller_xml(text, said["Bus"])
        if controller:
            self.change("attach the controller", domain.attachDeviceFlags, controller, self.both(domain))
        device = xml.disk_xml(
            action.payload["name"], said, xml.free_target(text, said["Bus"]), xml.document(text)["Type"]
        )
        self.change("attach the disk", domain.attachDeviceFlags, device, self.both(domain))

    def attach_card(self, action: Action) -> None:
        domain = self.domain(action)
        device = xml.interface_xml(action.payload["number"], action.payload["card"])
        self.change("attach the card", domain.attachDeviceFlags, device, self.both(domain))

    def detach_disk(self, action: Action) -> None:
        self._detach(action, f"disk-{action.payload['name']}")

    def detach_card(self, action: Action) -> None:
        self._detach(action, f"net-{action.payload['number']}")

    def eject_seed(self, action: Action) -> None:
        self._detach(action, "seed")

    def _detach(self, action: Action, name: str) -> None:
        """Detach a device and wait until the guest has let go of it: that is asynchronous."""
        domain = self.hypervisor.find_domain(action.target)
        if domain is None:
            return
        lib = self.libvirt
        inactive = xml.devices(self.hypervisor.definition(domain)).get(name)
        if inactive:
            self.change("detach the device", domain.detachDeviceFlags, inactive, lib.VIR_DOMAIN_AFFECT_CONFIG)
        deadline, asked = time.monotonic() + GONE, 0.0
        while domain.isActive():
            live = xml.devices(self.hypervisor.read(domain.XMLDesc, 0)).get(name)
            if not live:
                return
            if time.monotonic() > deadline:
                raise EngineError(
                    f"the guest has not let go of {name} after {GONE:g} s; restart the machine to have it gone", 500
                )
            if time.monotonic() - asked > 5:
                asked = time.monotonic()
                self.change("detach the device", domain.detachDeviceFlags, live, lib.VIR_DOMAIN_AFFECT_LIVE)
            time.sleep(0.1)
