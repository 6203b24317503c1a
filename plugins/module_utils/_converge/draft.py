# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan in the making: what is compared, and what has been decided so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .action import Action, Line, Phase
from .chain import Chain
from .desired import Mistakes, Resource, quote
from .observed import Observed, World
from .policy import Policy


@dataclass
class Draft:
    """``desired``, ``world`` and ``policy`` are what a plan follows from; all else is the plan as far as it is made."""

    desired: Sequence[Resource]
    world: World
    policy: Policy
    lines: list[Line] = field(default_factory=list)
    actions: dict[str, Action] = field(default_factory=dict)
    done: dict[tuple, tuple[str, ...]] = field(default_factory=dict)  # resource -> ids whose end others wait for
    remade: set = field(default_factory=set)
    leaving: set = field(default_factory=set)
    removals: dict[str, bool] = field(default_factory=dict)  # ids of final removals -> whether the object runs
    clearing: dict[tuple, set] = field(default_factory=dict)  # resource -> removals that free its names
    detached: set = field(default_factory=set)  # (resource, peer) that a remade peer has let go
    turns: list[str] = field(default_factory=list)  # last ids of the exchanges so far, for those that take turns
    notes: list[str] = field(default_factory=list)
    basis: set = field(default_factory=set)
    mistakes: Mistakes = field(default_factory=Mistakes)

    def __post_init__(self) -> None:
        self.by_key = {resource.key: resource for resource in sorted(self.desired, key=lambda item: item.key)}

    def may_touch(self, resource: Resource, observed: Observed) -> bool:
        """Whether an object is ours, or may be taken over; where not, it is a mistake."""
        if observed.ours or not resource.kind.labels:
            return True
        if self.policy.adopt == "any" or (self.policy.adopt == "unowned" and not observed.owner):
            return True
        whose = f"belongs to {observed.owner}" if observed.owner else "exists and nobody owns it"
        way_out = "adopt: any takes it over" if observed.owner else "adopt: unowned takes it over"
        self.mistakes.add(
            resource.place, f"the {resource.kind.name} {quote(observed.called)} {whose}; use another name, or {way_out}"
        )
        return False

    def adopted(self, observed: Observed) -> str:
        """What a line says of an object that is not ours yet."""
        if observed.ours:
            return ""
        return f"taken over from {observed.owner}" if observed.owner else "adopted, nobody owned it"

    def remove(self, chain: Chain, observed: Observed, called: str, force: bool = False) -> None:
        """Remove an object, last of all."""
        chain.phase = Phase.FINAL
        target = observed.name if observed.kind.steps else observed.id
        chain.add(
            "remove",
            target,
            f"remove {observed.kind.name} {called}",
            {"force": force or observed.kind.runs},
        )
        self.removals[chain.ids[-1]] = observed.kind.runs

    def finish(self, chain: Chain, line: Line) -> None:
        """Put a line into the plan, with its actions; who needs its resource waits for the last that is not final."""
        ends = [item for item in chain.ids if self.actions[item].phase is not Phase.FINAL]
        self.done[line.resource] = (*self.done.get(line.resource, ()), *ends[-1:])
        self.lines.append(replace(line, actions=tuple(chain.ids)))
