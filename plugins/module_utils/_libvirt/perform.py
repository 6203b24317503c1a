# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One action, one call, as far as libvirt has one call for it. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._converge.action import Action
from .hypervisor import Hypervisor
from .perform_device import Devices
from .perform_machine import Machines
from .perform_network import Networks
from .perform_storage import Storage


class Performer:
    """Carries out actions on one hypervisor; call it with an action."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor
        storage, networks, devices = Storage(hypervisor), Networks(hypervisor), Devices(hypervisor)
        machines = Machines(hypervisor, storage)
        self.verbs: Mapping[tuple[str, str], Callable[[Action], Any]] = {
            ("pool", "create"): storage.create_pool,
            ("pool", "remove"): storage.remove_pool,
            ("image", "fetch"): storage.fetch,
            ("image", "remove"): storage.remove_volume,
            ("disk", "create"): storage.create_disk,
            ("disk", "grow"): storage.grow,
            ("disk", "remove"): storage.remove_volume,
            ("network", "create"): networks.create,
            ("network", "remove"): networks.remove,
            ("network", "start"): networks.start,
            ("network", "stop"): networks.stop,
            ("network", "autostart"): networks.autostart,
            ("machine", "reserve"): networks.reserve,
            ("machine", "release"): networks.release,
            ("machine", "make_root"): storage.make_root,
            ("machine", "grow"): storage.grow,
            ("machine", "remove_volume"): storage.remove_volume,
            ("machine", "write_seed"): machines.write_seed,
            ("machine", "create"): machines.create,
            ("machine", "define"): machines.define,
            ("machine", "label"): machines.label,
            ("machine", "autostart"): machines.autostart,
            ("machine", "remove"): machines.remove,
            ("machine", "start"): machines.start,
            ("machine", "resume"): machines.start,
            ("machine", "stop"): machines.stop,
            ("machine", "restart"): machines.restart,
            ("machine", "pause"): machines.pause,
            ("machine", "unpause"): machines.unpause,
            ("machine", "wait"): machines.wait,
            ("machine", "set_memory"): devices.set_memory,
            ("machine", "set_cpus"): devices.set_cpus,
            ("machine", "attach_disk"): devices.attach_disk,
            ("machine", "detach_disk"): devices.detach_disk,
            ("machine", "attach_card"): devices.attach_card,
            ("machine", "detach_card"): devices.detach_card,
            ("machine", "eject_seed"): devices.eject_seed,
        }

    def ready(self) -> bool:
        """Wait, within bounds, until there is a hypervisor to talk to; False when there is none."""
        return self.hypervisor.answers()

    def tidy(self) -> None:
        """Nothing is left outside the hypervisor."""

    def __call__(self, action: Action) -> Any:
        return self.hypervisor.call(self.verbs[(action.kind, action.verb)], action)
