# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes: what is asked to be absent, orphans, data that is named, debris; and what must not go, for something uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .action import Line, Phase, Reason, Symbol
from .chain import Chain
from .desired import Resource, quote
from .draft import Draft
from .observed import Observed
from .policy import ASIDE


class Removals(Draft):
    """Decides what goes."""

    def leftovers(self) -> None:
        """Debris goes before anything needs its name; what was well once goes last, for it may yet be needed."""
        for observed in sorted(self.world.leftovers, key=lambda item: item.called):
            chain = Chain(self.actions, observed, tag=observed.called)
            safe_copy = observed.called.endswith(ASIDE)
            chain.phase = Phase.FINAL if safe_copy else Phase.PREPARE
            chain.add("remove", observed.id, f"remove {observed.kind.name} {observed.called}", {"force": True})
            if not safe_copy:
                self.clearing.setdefault(observed.key, set()).update(chain.ids)
            self.removals[chain.ids[-1]] = observed.kind.runs
            key = (observed.kind.name, observed.called)
            self.lines.append(
                Line(Symbol.REMOVE, key, Reason.LEFTOVER, before={"id": observed.id}, actions=tuple(chain.ids))
            )

    def absent(self, resource: Resource) -> None:
        """A declared object goes; where the whole project does, data stays unless it is named."""
        observed = self.world.get(resource.key) or self.world.remains.get(resource.key)
        if resource.kind.holds_data and resource.key not in self.policy.destroy and self.policy.absent:
            return
        if resource.kind.steps and self.policy.absent and resource.key not in self.policy.destroy:
            return
        if resource.key in self.done or observed is None or not self.may_touch(resource, observed):
            return
        self.gone(observed, Reason.REQUESTED, resource.intent)

    def orphans(self) -> None:
        """What nobody declares any more goes where that is asked for, unless it holds data."""
        if self.policy.orphans != "remove" and not self.policy.absent:
            return
        for observed in sorted(self.world.orphans, key=lambda item: (item.kind.name, item.name)):
            if not observed.kind.holds_data:
                self.gone(observed, Reason.REQUESTED if self.policy.absent else Reason.ORPHANED)

    def destroy(self) -> None:
        """Data that the user named goes, unless it is declared and stays as it is, or something that stays needs it."""
        for key in sorted(key for key in {*self.world.objects, *self.world.remains} if self.policy.destroys(key)):
            observed = self.world.get(key) or self.world.remains.get(key)
            declared = self.by_key.get(key)
            implied = declared is not None and declared.intent.get("implicit") and not self._needing(key)
            if observed is None or (declared is not None and not implied and not self.policy.absent):
                continue
            if observed.owner and not observed.ours and self.policy.adopt != "any":
                self.mistakes.add(
                    f"destroy.{key[0]}s", f"{quote(key[1])} belongs to {observed.owner}; take it out, or say adopt: any"
                )
                continue
            self.gone(observed, Reason.REQUESTED)

    def gone(self, observed: Observed, reason: Reason, intent: Mapping[str, Any] | None = None) -> None:
        """One object goes, once, with what belongs to it."""
        if observed.key in self.leaving:
            return
        self.leaving.add(observed.key)
        chain = Chain(self.actions, observed)
        chain.phase = Phase.SWITCH
        if observed.kind.runs and observed.running:
            chain.stop(observed, f"stop {observed.kind.name} {observed.called}")
        if observed.key not in self.world.remains:
            self.remove(chain, observed, observed.called, force=bool((intent or {}).get("force")))
        chain.phase = Phase.FINAL
        for step in observed.kind.removing(observed):
            chain.step(step)
        self.finish(chain, Line(Symbol.REMOVE, observed.key, reason, before={"id": observed.id}))

    def check_users(self) -> None:
        """Nothing that a container uses, and will go on using, is taken from under it."""
        for key in sorted(self.leaving):
            declared = self.by_key.get(key)
            users = self._users_after(key)
            if users and not (declared and declared.intent.get("force")):
                place = (
                    declared.place
                    if declared
                    else f"destroy.{key[0]}s"
                    if key in self.policy.destroy
                    else "/".join(key)
                )
                self.mistakes.add(
                    place, f"the {key[0]} {quote(key[1])} is in use by {', '.join(users)}; remove what uses it first"
                )

    def _users_after(self, key: tuple) -> list[str]:
        """Who uses something when all that is planned is done: neither what goes or is exchanged, nor what steps off."""
        removed = {action.target for action in self.actions.values() if action.verb == "remove"}
        off = {
            action.target
            for action in self.actions.values()
            if action.verb == "disconnect" and action.payload["peer"] == key[1]
        }
        gone = {item.called for item in self.world.everything if item.id in removed | off}
        staying = set(self.world.attached.get(key, ())) - gone
        return sorted(staying | self._needing(key))

    def _needing(self, key: tuple) -> set[str]:
        """Names of what is declared to stay and needs something."""
        return {
            item.name
            for item in self.by_key.values()
            if not self.policy.absent and item.intent.get("state") != "absent" and any(n.key == key for n in item.needs)
        }
