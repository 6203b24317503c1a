# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the parts of a performer have in common."""

from __future__ import annotations

from typing import Any

from .._converge.action import Action
from .._converge.errors import EngineError, EngineLost
from .hypervisor import Hypervisor


class Part:
    """Carries out some of the verbs on one hypervisor: a method each, called with the action."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor
        self.libvirt = hypervisor.libvirt
        self.change = hypervisor.change

    def domain(self, action: Action) -> Any:
        """The domain that an action is about; EngineError with status 404 when there is none."""
        return self.hypervisor.domain(action.target)

    def both(self, domain: Any) -> int:
        """Flags of a change that holds at once, when it runs, and from the next start on."""
        return self.libvirt.VIR_DOMAIN_AFFECT_CONFIG | (self.libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0)

    def turn_off(self, domain: Any) -> None:
        """Turn a domain off, unless it is, or ends by itself that very moment."""
        if not domain.isActive():
            return
        try:
            self.change("turn off", domain.destroy)
        except EngineLost:
            raise
        except EngineError:
            if domain.isActive():
                raise
