# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices of a machine, and how much of the host it has: what changes while it runs."""

from __future__ import annotations

import time
from typing import Any

from .._converge.action import Action
from .._converge.errors import EngineError
from . import values, xml
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
        now, said = xml.document(text), action.payload["disk"]
        controller = xml.controller_xml(text, said["Bus"])
        if controller:
            self.change("attach the controller", domain.attachDeviceFlags, controller, self.both(domain))
        device = xml.disk_xml(action.payload["name"], said, xml.free_target(text, said["Bus"]), now["Type"])
        there = now["Disks"].get(action.payload["name"])
        same = there is not None and (there["Path"], there["Bus"]) == (said["Path"], said["Bus"])
        self._attach(domain, "disk", f"disk-{action.payload['name']}", device, same)

    def attach_card(self, action: Action) -> None:
        domain, card = self.domain(action), action.payload["card"]
        there = xml.document(self.hypervisor.read(domain.XMLDesc, 0))["Interfaces"].get(action.payload["number"])
        device = xml.interface_xml(action.payload["number"], card)
        self._attach(domain, "card", f"net-{action.payload['number']}", device, values.same_card(there, card))

    def _attach(self, domain: Any, what: str, name: str, device: str, same: bool) -> None:
        """Attach a device where it is missing: in the definition, in the running machine, or in both.

        A run that was killed while the guest let go of a device leaves it in the machine alone. ``same``: what the machine has under this name, if
        anything, is what is wanted.
        """
        lib, flags = self.libvirt, 0
        if name not in xml.devices(self.hypervisor.definition(domain)):
            flags |= lib.VIR_DOMAIN_AFFECT_CONFIG
        if domain.isActive() and not same:
            if not self._let_go(domain, name):
                raise EngineError(_held(name), 500)
            flags |= lib.VIR_DOMAIN_AFFECT_LIVE
        if flags:
            self.change(f"attach the {what}", domain.attachDeviceFlags, device, flags)

    def detach_disk(self, action: Action) -> None:
        self._detach(action, f"disk-{action.payload['name']}")

    def detach_card(self, action: Action) -> None:
        self._detach(action, f"net-{action.payload['number']}")

    def eject_seed(self, action: Action) -> None:
        self._detach(action, "seed")

    def _detach(self, action: Action, name: str) -> None:
        """Detach a device; one that the guest does not let go of stays in the definition too."""
        domain = self.hypervisor.find_domain(action.target)
        if domain is None:
            return
        config = self.libvirt.VIR_DOMAIN_AFFECT_CONFIG
        defined = xml.devices(self.hypervisor.definition(domain)).get(name)
        if defined:
            self.change("detach the device", domain.detachDeviceFlags, defined, config)
        if not self._let_go(domain, name):
            if defined:
                self.change("attach the device again", domain.attachDeviceFlags, defined, config)
            raise EngineError(_held(name), 500)

    def _let_go(self, domain: Any, name: str) -> bool:
        """Take a device from a running machine, and say whether the guest has let go of it in time: that is asynchronous."""
        deadline, asked = time.monotonic() + GONE, 0.0
        while domain.isActive():
            live = xml.devices(self.hypervisor.read(domain.XMLDesc, 0)).get(name)
            if not live:
                break
            if time.monotonic() > deadline:
                return False
            if time.monotonic() - asked > 5:
                asked = time.monotonic()
                self.change("detach the device", domain.detachDeviceFlags, live, self.libvirt.VIR_DOMAIN_AFFECT_LIVE)
            time.sleep(0.1)
        return True


def _held(name: str) -> str:
    return f"the guest has not let go of {name} after {GONE:g} s, so it stays; see that nothing in the guest uses it and run again, or change it while the machine is stopped"
