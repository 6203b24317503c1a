# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""plan(desired, world, policy) -> Plan: what to do, in which order, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import order
from .action import Action, Change, Line, Phase, Reason, Symbol, show
from .chain import Chain
from .compare import compare, peers_match, reaches, unclaimed
from .desired import Resource, join, quote
from .errors import SpecError
from .graph import topological
from .kind import Kind, Replace
from .observed import Observed, World
from .option import Option, dig
from .ownership import labels_of
from .policy import ASIDE, BESIDE, FAIL, RESTART, RUNNING_STATES, START_FIRST, Policy
from .removal import Removals
from .secret import secrets_in


@dataclass(frozen=True)
class Plan:
    """What will be done: lines for people, actions for the engine, each action belonging to one line or to none.

    ``basis``: what the plan takes for granted and does not show: (reference, ID of the object that it stands for now).
    """

    lines: tuple[Line, ...] = ()
    actions: tuple[Action, ...] = ()
    orphans: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    basis: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lines)

    def text(self) -> list[str]:
        """The plan as printed, reasons aligned."""
        width = max((len(line.label) for line in self.lines), default=0)
        return [line.text(width) for line in self.lines]


def plan(desired: Sequence[Resource], world: World, policy: Policy) -> Plan:
    """Compare and decide; raise SpecError when the world forbids what is desired, before anything is touched."""
    planner = _Planner(desired, world, policy)
    planner.run()
    planner.mistakes.refuse()
    return planner.result()


class _Planner(Removals):
    """Decides what comes, what changes, and with its ancestor what goes."""

    # -- the whole ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        start = sorted(self.by_key, key=lambda key: (_rank(self.by_key[key].kind), key))
        edges = {key: [need.key for need in self.by_key[key].needs] for key in start}
        found = topological(edges)
        self.leftovers()
        if self.policy.absent:
            for key in reversed(found):
                self.absent(self.by_key[key])
        else:
            for key in found:
                resource = self.by_key[key]
                if resource.intent.get("state") == "absent":
                    self.absent(resource)
                elif not resource.intent.get("implicit") or resource.intent.get("pull") == "always":
                    self._present(resource)
        self.orphans()
        self.destroy()
        self.check_users()
        order.claims(self.actions, self.world, self.by_key)
        # What is removed waits for those that used it, however they came to be removed.
        order.removals(self.actions, self.removals)

    def result(self) -> Plan:
        actions = tuple(sorted(self.actions.values(), key=lambda action: action.phase))
        orphans: tuple[str, ...] = ()
        if self.policy.orphans != "ignore":
            orphans = tuple(sorted("/".join(item.key) for item in self.world.orphans if item.key not in self.leaving))
        return Plan(tuple(self.lines), actions, orphans, tuple(self.notes), tuple(sorted(self.basis)))

    # -- one resource ------------------------------------------------------------------------------------------

    def _present(self, resource: Resource) -> None:
        if resource.key in self.done:
            return
        self.done[resource.key] = ()
        for need in resource.needs:
            if need.strict and need.key not in self.by_key and self.world.get(need.key) is None:
                self.mistakes.add(
                    join(resource.place, need.option),
                    f"the {need.kind} {quote(need.name)} is neither declared in {need.kind}s nor on this {self.world.facts.get('called', 'engine')}; declare it, or create it first",
                )
        observed = self.world.get(resource.key)
        if observed is not None and not self.may_touch(resource, observed):
            return
        if resource.kind.steps:
            self._steps(resource, observed)
        elif observed is None:
            self._create(resource)
        else:
            self._converge(resource, observed)

    def _converge(self, resource: Resource, observed: Observed) -> None:
        changes = self._changes(resource, observed)
        reason = Reason.CHANGED
        if any(
            need.key in self.remade and not need.to_start and need.kind == resource.kind.name for need in resource.needs
        ):
            reason = Reason.DEPENDENCY_REPLACED
        elif resource.intent.get("recreate"):
            reason = Reason.REQUESTED
        if reason is not Reason.CHANGED or any(not change.in_place for change in changes):
            if changes and reason is Reason.CHANGED and len({change.reason for change in changes}) == 1:
                reason = changes[0].reason
            self._replace(resource, observed, changes, reason)
            return
        for option, value in unclaimed(resource, observed):
            self.notes.append(
                f"{join(resource.place, option.name)}: is {show(value)} on the engine and nothing declares it, so it is left alone; "
                f"write {option.name}: {show(option.unset)} to reset it"
            )
        self._update(resource, observed, changes)

    def _changes(self, resource: Resource, observed: Observed) -> list[Change]:
        """What differs; an image that this run makes anew is a change, though the engine does not know it yet."""
        changes = compare(resource, observed, self.world)
        for option in resource.kind.fields:
            name = resource.fields.get(option.name)
            if (
                option.refers
                and (option.refers, name) in self.remade
                and not any(c.option == option.name for c in changes)
            ):
                current = observed.value(option)
                change = Change(
                    option.name,
                    current,
                    name,
                    reason=Reason.IMAGE_UPDATED if current == name else Reason.CHANGED,
                    option=option.name,
                )
                changes = [*changes, change]
        return changes

    # -- roads: create, replace, update, remove ----------------------------------------------------------------

    def _create(self, resource: Resource) -> None:
        chain = Chain(self.actions, resource)
        chain.needs |= self._ready(resource)
        chain.phase = Phase.SWITCH if self._contested(resource) else self._phase_of(chain.needs)
        self._make(chain, resource, resource.name)
        if resource.kind.runs and resource.intent.get("state") in RUNNING_STATES:
            self._start(chain, resource, resource.name)
        elif not resource.kind.runs:
            for step in resource.kind.settling(resource, self.world):
                chain.step(step)
        self.finish(chain, Line(Symbol.CREATE, resource.key, Reason.MISSING, after=resource.fields))

    def _make(self, chain: Chain, resource: Resource, name: str, observed: Observed | None = None) -> None:
        """Create an object under a name and connect it to its further peers."""
        kind = resource.kind
        for option in kind.must:
            if option not in resource.fields:
                self.mistakes.add(
                    join(resource.place, option), f"is missing; a {kind.name} cannot be created without it"
                )
        for option in kind.fields:
            reference = resource.fields.get(option.name)
            if option.refers and reference:
                self.basis.add((reference, self.world.images.get(reference, "")))
        for step in kind.making(resource, self.world):
            chain.step(step)
        document = kind.fill(_copy(resource.body), resource, self.world)
        if observed is not None:
            document = kind.carry(document, observed)
        if kind.labels:
            _put(
                document,
                kind.labels,
                {**(dig(document, kind.labels) or {}), **labels_of(resource, self.policy.project)},
            )
        chain.add(
            "create", name, f"create {kind.name} {name}", {"body": document},
            undo=("remove", name, f"remove {kind.name} {name}", {"force": True}),
        )  # fmt: skip
        for peer in list(resource.peers)[1:]:
            chain.connect(kind, peer, name, resource.peers[peer])

    def _replace(self, resource: Resource, observed: Observed, changes: list[Change], reason: Reason) -> None:
        if resource.kind.replace is Replace.IN_PLACE:
            self._remake(resource, observed, changes, reason)
            return
        if resource.kind.replace is Replace.NEVER and resource.key not in self.policy.destroy:
            what = "; ".join(map(str, changes))
            self.mistakes.add(
                resource.place,
                f"{what} cannot change without losing the {resource.kind.name}'s data; "
                f"put it back, or name it in destroy: {{{resource.kind.plural}: [{resource.name}]}}",
            )
            return
        if resource.kind.replace is Replace.NEVER and resource.kind.updates:
            self._update(resource, observed, changes)
            return
        if resource.kind.replace is Replace.NEVER:
            self._remake(resource, observed, changes, reason)
            return
        self._exchange(resource, observed, changes, reason)

    def _exchange(self, resource: Resource, observed: Observed, changes: list[Change], reason: Reason) -> None:
        """The new one is made beside the old one, takes its name and its work; the old one goes when the new one is well."""
        name, kind = resource.name, resource.kind.name
        state = resource.intent.get("state")
        runs = resource.kind.runs and (state in RUNNING_STATES or (state == "present" and observed.running))
        chain = Chain(self.actions, resource)
        chain.needs |= self._ready(resource)
        chain.phase = self._phase_of(chain.needs)
        aside, beside = name + ASIDE, name + BESIDE
        self._make(chain, resource, beside, observed)
        chain.phase = Phase.SWITCH
        self._take_turn(chain)
        overlaps = runs and observed.running and self._starts_first(resource)
        if overlaps:
            self._start(chain, resource, beside)
        if observed.called != aside:
            chain.rename(observed.id, observed.called, aside)
        chain.rename(beside, beside, name)
        if observed.running:
            chain.stop(observed, f"stop {kind} {aside}")
        if runs and not overlaps:
            self._start(chain, resource, name)
        self.turns.append(chain.ids[-1])
        self.remove(chain, observed, aside)
        self.remade.add(resource.key)
        line = Line(Symbol.REPLACE, resource.key, reason, tuple(changes), note=self.adopted(observed))
        self.finish(chain, line)

    def _starts_first(self, resource: Resource) -> bool:
        order = resource.intent.get("update_order")
        return order == START_FIRST if order else self.policy.start_first

    def _take_turn(self, chain: Chain) -> None:
        """Where only so many may be exchanged at a time, wait until the one that many places before is through."""
        if 0 < self.policy.at_once <= len(self.turns):
            chain.after.add(self.turns[-self.policy.at_once])

    def _remake(self, resource: Resource, observed: Observed, changes: list[Change], reason: Reason) -> None:
        """Two of its kind cannot stand side by side: peers step off, the object is made anew, peers come back."""
        attached = self.world.attached.get(resource.key, ())
        peers = [item for item in self.world.everything if item.kind.runs and item.called in attached]
        strangers = sorted(set(attached) - {item.called for item in peers})
        strangers += sorted(item.called for item in peers if not item.ours and not self._will_adopt(item))
        if strangers or (attached and resource.kind.replace is not Replace.IN_PLACE):
            users = ", ".join(strangers or sorted(attached))
            self.mistakes.add(
                resource.place,
                f"{'; '.join(map(str, changes))} cannot change while {users} uses it; remove or disconnect what uses it first",
            )
            return
        chain = Chain(self.actions, resource)
        chain.phase = Phase.SWITCH
        reconnect = []
        for peer in sorted(peers, key=lambda item: item.called):
            settings = peer.kind.endpoint(peer, resource.name)
            chain.disconnect(peer.kind, resource.name, peer.id, settings, peer.called)
            wanted = self.by_key.get(peer.key)
            leaves = wanted and wanted.peers and resource.name not in wanted.peers
            if leaves or (wanted and self._connects_itself(wanted, peer, resource.name)):
                self.detached.add((peer.key, resource.name))
            else:
                reconnect.append(
                    (peer, (wanted.peers.get(resource.name) if wanted and wanted.peers else None) or settings)
                )
        kind = resource.kind.name
        undo = None
        if resource.kind.replace is not Replace.NEVER:  # data does not come back by making its vessel again
            undo = ("create", resource.name, f"create {kind} {resource.name} as it was", {"body": observed.raw})
        chain.add("remove", observed.id, f"remove {kind} {resource.name}", {}, undo=undo)
        self._make(chain, resource, resource.name)
        for peer, settings in reconnect:
            chain.connect(peer.kind, resource.name, peer.id, settings, peer.called)
        self.remade.add(resource.key)
        self.finish(chain, Line(Symbol.REPLACE, resource.key, reason, tuple(changes), note=self.adopted(observed)))

    def _connects_itself(self, wanted: Resource, observed: Observed, peer: str) -> bool:
        """Whether what is connected to a peer changes its connection in place in this run, and so needs no one to do it."""
        changes = self._changes(wanted, observed)
        if wanted.intent.get("recreate") or any(not change.in_place for change in changes) or peer not in wanted.peers:
            return False
        options = [wanted.kind.by_name[change.option] for change in changes if change.option]
        return any(option.attach and peer not in _kept(wanted, observed, option) for option in options)

    def _will_adopt(self, observed: Observed) -> bool:
        return observed.key in self.by_key and (
            self.policy.adopt == "any" or (self.policy.adopt == "unowned" and not observed.owner)
        )

    def _update(self, resource: Resource, observed: Observed, changes: list[Change]) -> None:
        """Everything that can change on the living object: name, limits, peers, and whether it runs."""
        chain = Chain(self.actions, resource)
        chain.phase = Phase.SWITCH
        chain.needs |= self._ready(resource, making=bool(changes) and bool(resource.kind.updates))
        changes = list(changes)
        if observed.called != resource.name:
            changes.insert(0, Change("name", observed.called, resource.name, True, reason=Reason.DRIFTED))
            chain.rename(observed.id, observed.called, resource.name)
        if resource.kind.updates:
            self._update_by_steps(chain, resource, observed, changes)
            return
        fields = [change for change in changes if change.option and resource.kind.by_name[change.option].update]
        lasting = [change for change in fields if not reaches(resource.kind.by_name[change.option], change.before)]
        self._update_fields(chain, resource, observed, [change for change in fields if change not in lasting])
        for option in resource.kind.fields:
            if option.attach and any(change.option == option.name for change in changes):
                self._repeer(chain, resource, observed, option)
        if resource.kind.runs:
            changes += self._run_state(chain, resource, observed)
        if lasting:
            chain.phase = Phase.FINAL  # the first limit of its kind cannot be taken back in place
            self._update_fields(chain, resource, observed, lasting)
        if changes:
            note = self.adopted(observed)
            self.finish(chain, Line(Symbol.UPDATE, resource.key, changes[0].reason, tuple(changes), note=note))
        else:
            self.done[resource.key] = tuple(chain.ids)  # a silent wait, when there is one

    def _update_by_steps(self, chain: Chain, resource: Resource, observed: Observed, changes: list[Change]) -> None:
        """Changes for which a kind has calls of its own: what can be prepared first, then, where it must, without it running."""
        kind, state = resource.kind, resource.intent.get("state")
        stays = observed.running and (state in RUNNING_STATES or state == "present")
        halting = [change for change in changes if observed.running and kind.stops(resource, observed, change)]
        if halting and stays and self.policy.restarts == FAIL:
            for change in halting:
                self.mistakes.add(
                    join(resource.place, change.field),
                    f"{show(change.before)} -> {show(change.after)} needs a restart of the {kind.name}, which runs; say on_restart_required: restart to have "
                    f"it now, or defer to have it at its next start",
                )
            return
        through = bool(halting) and stays and self.policy.restarts == RESTART
        if halting and stays and not through:
            self.notes.append(
                f"{resource.place}: {', '.join(change.field for change in halting)} takes effect at the next start"
            )
        live = stays and not through
        try:
            steps = list(kind.updates(resource, observed, changes, self.world, live)) if changes else []
        except SpecError as error:
            self.mistakes.lines += error.mistakes
            return
        for step in steps:
            if step.phase is Phase.PREPARE:
                chain.step(step)
        if through:
            self._take_turn(chain)
            chain.stop(observed, f"stop {kind.name} {resource.name}")
        else:
            changes += self._run_state(chain, resource, observed) if not stays and observed.running else []
        for step in steps:
            if step.phase in (None, Phase.SWITCH):
                chain.step(step)
        if through:
            self._start(chain, resource, observed.id)
            self.turns.append(chain.ids[-1])
        elif stays or not observed.running:
            changes += self._run_state(chain, resource, observed)
        for step in steps:
            if step.phase is Phase.FINAL:
                chain.step(step)
        if changes:
            self.finish(
                chain,
                Line(Symbol.UPDATE, resource.key, changes[0].reason, tuple(changes), note=self.adopted(observed)),
            )

    def _update_fields(self, chain: Chain, resource: Resource, observed: Observed, changes: Sequence[Change]) -> None:
        after: dict[str, Any] = {}
        before: dict[str, Any] = {}
        for change in changes:
            option = resource.kind.by_name[change.option]
            option.put(after, option.unset if change.dropped else dig(resource.body, option.path))
            was = dig(observed.raw, option.path)
            option.put(before, option.unset if was is None else was)
        if after:
            kind = resource.kind
            undo = None
            if chain.phase is not Phase.FINAL:
                undo = (
                    "update",
                    observed.id,
                    f"put back {kind.name} {resource.name}",
                    {"body": kind.complete(before, observed)},
                )
            chain.add(
                "update",
                observed.id,
                f"update {kind.name} {resource.name}",
                {"body": kind.complete(after, observed)},
                undo=undo,
            )

    def _repeer(self, chain: Chain, resource: Resource, observed: Observed, option: Option) -> None:
        current, said = observed.value(option) or {}, resource.fields.get(option.name) or {}
        kept = _kept(resource, observed, option)
        for peer in sorted(set(current) - kept):
            if (observed.key, peer) in self.detached:
                continue
            chain.disconnect(observed.kind, peer, observed.id, observed.kind.endpoint(observed, peer), resource.name)
        for peer in said:
            if peer not in kept:
                chain.connect(observed.kind, peer, observed.id, resource.peers[peer], resource.name)

    def _run_state(self, chain: Chain, resource: Resource, observed: Observed) -> list[Change]:
        state, kind, name = resource.intent.get("state"), resource.kind.name, resource.name

        def changed(before: str, after: str, reason: Reason = Reason.DRIFTED) -> list[Change]:
            return [Change("state", before, after, True, reason=reason)]

        if state in RUNNING_STATES:
            after = "healthy" if state == "healthy" else "running"
            if observed.status == "paused":
                chain.add(
                    "unpause",
                    observed.id,
                    f"unpause {kind} {name}",
                    {},
                    undo=("pause", observed.id, f"pause {kind} {name}", {}),
                )
                return changed("paused", after)
            if not observed.running:
                self._start(chain, resource, observed.id)
                return changed(observed.status or "stopped", after)
            if state == "restarted" or (state == "healthy" and observed.health == "unhealthy"):
                self._take_turn(chain)
                chain.add("restart", observed.id, f"restart {kind} {name}", {"grace": resource.kind.grace(observed)})
                self._wait(chain, resource, observed.id)
                self.turns.append(chain.ids[-1])
                reason = Reason.REQUESTED if state == "restarted" else Reason.DRIFTED
                return changed(
                    observed.health or observed.status, "restarted" if state == "restarted" else after, reason
                )
            if observed.health == "starting" and any(True for _ in resource.kind.settling(resource, self.world)):
                self._wait(chain, resource, observed.id)
                return [Change("first start", "not finished", "finished", True, reason=Reason.DRIFTED)]
            if state == "healthy" and observed.health == "starting":
                self._wait(chain, resource, observed.id)
        elif state == "stopped" and observed.running:
            chain.stop(observed, f"stop {kind} {name}")
            return changed(observed.status, "stopped")
        return []

    def _contested(self, resource: Resource) -> bool:
        """Whether another of its kind has what it takes by being there, so that it cannot be made before that one changes."""
        wanted = () if resource.kind.runs else set(resource.kind.wanted(resource))
        others = (
            item for item in self.world.objects.values() if item.kind is resource.kind and item.key != resource.key
        )
        return bool(wanted) and any(wanted & set(item.kind.held(item)) for item in others)

    # -- pieces ------------------------------------------------------------------------------------------------

    def _start(self, chain: Chain, resource: Resource, target: str) -> None:
        kind = resource.kind.name
        chain.phase = Phase.SWITCH
        chain.needs |= self._started(resource)
        chain.add(
            "start",
            target,
            f"start {kind} {resource.name}",
            {},
            undo=("stop", target, f"stop {kind} {resource.name}", {"timeout": 1, "grace": 1}),
        )
        self._wait(chain, resource, target)

    def _wait(self, chain: Chain, resource: Resource, target: str) -> None:
        healthy = resource.intent.get("state") == "healthy"
        words = "is healthy" if healthy else "stays up"
        deadline = resource.intent.get("healthy_wait_timeout") or self.policy.deadline
        payload = {"healthy": healthy, "watch": self.policy.watch, "deadline": deadline, "hidden": _secrets(resource)}
        payload.update(resource.kind.awaited(resource, self.world))
        words = payload.get("words", words)
        chain.add("wait", target, f"wait until {resource.kind.name} {resource.name} {words}", payload, waits=True)
        for step in resource.kind.settling(resource, self.world):
            chain.step(step)

    def _steps(self, resource: Resource, observed: Observed | None) -> None:
        try:
            found = list(resource.kind.steps(resource, observed, self.world))
        except SpecError as error:
            self.mistakes.lines += error.mistakes
            return
        for symbol, reason, changes, steps in found:
            chain = Chain(self.actions, resource)
            chain.needs |= self._ready(resource)
            for step in steps:
                self.basis.add((resource.name, str(step.payload.get("source") or "")))
                chain.step(step)
            self.remade.add(resource.key)
            self.finish(chain, Line(symbol, resource.key, reason, tuple(changes)))

    def _ready(self, resource: Resource, making: bool = True) -> set[str]:
        """Ids that must have ended before the object can be made (or changed)."""
        ids: set[str] = set(self.clearing.get(resource.key, ()))
        for need in resource.needs:
            if need.to_start:
                continue
            needed = self.by_key.get(need.key)
            if needed is not None and making and need.key not in self.done:
                self._present(needed)  # an image that nobody declared is fetched only when something is made from it
            ids |= set(self.done.get(need.key, ()))
        return ids

    def _started(self, resource: Resource) -> set[str]:
        return {action for need in resource.needs if need.to_start for action in self.done.get(need.key, ())}

    def _phase_of(self, ids: Iterable[str]) -> Phase:
        return max((self.actions[item].phase for item in ids), default=Phase.PREPARE)


def _kept(resource: Resource, observed: Observed, option: Option) -> set[str]:
    """Peers to which an object is connected as it should be."""
    current, said = observed.value(option) or {}, resource.fields.get(option.name) or {}
    return {
        peer
        for peer in current
        if peer in said and peers_match(option, {peer: said[peer]}, {peer: current[peer]}, observed)
    }


def _rank(kind: Kind) -> int:
    """What is fetched comes first, what runs last."""
    return 0 if kind.steps else 2 if kind.runs else 1


def _secrets(resource: Resource) -> tuple[str, ...]:
    """Values that must not show up in a message about this resource."""
    found: list[str] = []
    for option in resource.kind.fields:
        value = resource.fields.get(option.name)
        if option.texts and value:
            found += option.texts(value)
        elif isinstance(value, Mapping):
            found += secrets_in(value)
    return tuple(found)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value


def _put(document: dict, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value
