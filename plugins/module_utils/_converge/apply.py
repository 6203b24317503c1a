# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Walk the plan in parallel, keep a journal, and undo when an action fails."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .action import Action, Phase
from .errors import EngineError, SlipwayError
from .journal import DONE, FAILED, STUCK, UNDONE, Entry, Journal
from .policy import KEEP, PAUSE, ROLLBACK

Perform = Callable[[Action], Any]


@dataclass
class Run:
    """One walk through a plan's actions.

    - ``parallelism``: how many actions are performed at once; those that only watch do not count.
    - ``max_failures``: so many resources may fail and are undone by themselves, together with what needs them, while the
      others go on. One failure more stops the run: nothing new begins, and what is under way ends.
    - ``on_failure``: what then becomes of it. ``rollback`` undoes all that was done; ``pause`` keeps the resources that are
      through and undoes the others; ``keep`` undoes nothing.
    - ``ready``: asked before something is undone: waits until there is something to talk to, False when there is not.

    An action that failed without a clear refusal may have happened all the same (a lost answer), so its own inverse is
    tried too. A failure of the final phase undoes nothing: the new state stands, something old is left over. An undo is
    never undone.
    """

    perform: Perform
    parallelism: int = 8
    on_failure: str = ROLLBACK
    max_failures: int = 0
    ready: Callable[[], bool] = lambda: True
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        self._ended: queue.SimpleQueue = queue.SimpleQueue()
        self._out: set[tuple] = set()  # resources that failed, or need one that did

    def interrupt(self, why: str) -> None:
        """Stop as after a failure; may be called from a signal handler or another thread."""
        self._ended.put(_Ended(None, 0.0, SlipwayError(why)))

    def __call__(self, actions: Sequence[Action]) -> Journal:
        """Perform the actions, each after its needs and phase by phase; return the journal."""
        self._actions = actions
        for phase in Phase:
            batch = [action for action in actions if action.phase is phase and action.resource not in self._out]
            if not self._walk(batch):
                self.journal.stopped = True
                self._after_stop(phase)
                break
        return self.journal

    # -- the walk ----------------------------------------------------------------------------------------------

    def _walk(self, batch: Sequence[Action]) -> bool:
        """Perform a batch; False when it was stopped."""
        walk = _Walk(batch, self.perform, self.parallelism, self._ended)
        with walk:
            while walk.busy:
                ended = self._ended.get()
                if ended.action is None and ended.error:
                    self.journal.interrupted = str(ended.error)
                    walk.stop()
                    continue
                if not walk.take(ended):
                    continue
                if ended.action is not None:
                    self._note(ended)
                if ended.error is None:
                    walk.release(ended)
                elif walk.going and self._tolerates(ended):
                    self._set_aside(walk, ended.action.resource)
                else:
                    walk.stop()
        return walk.going

    def _note(self, ended: _Ended) -> None:
        self.journal.write(Entry(ended.action, FAILED if ended.error else DONE, ended.seconds, *_told(ended.error)))

    def _tolerates(self, ended: _Ended) -> bool:
        failed = {entry.action.resource for entry in self.journal.of(FAILED)}
        return ended.action.phase is not Phase.FINAL and len(failed) <= self.max_failures

    def _set_aside(self, walk: _Walk, resource: tuple) -> None:
        """Take a resource and all that needs it out of the run, and undo them once nothing of theirs is under way."""
        out = self._needing(resource) - self._out
        self._out |= out
        self.journal.aside |= out - {resource}
        walk.drop(out, lambda: self._take_back(out))

    def _needing(self, resource: tuple) -> set[tuple]:
        """The resource and, however far, the resources with an action that needs one of theirs."""
        by_id = {action.id: action for action in self._actions}
        found = {resource}
        while True:
            more = {
                action.resource
                for action in self._actions
                if action.resource not in found and any(by_id[need].resource in found for need in action.needs if need in by_id)
            }  # fmt: skip
            if not more:
                return found
            found |= more

    # -- after a stop ------------------------------------------------------------------------------------------

    def _after_stop(self, phase: Phase) -> None:
        if phase is Phase.FINAL or self.on_failure == KEEP:
            return
        tried = {entry.action.resource for entry in self.journal.of(DONE, FAILED)} - self._out
        through = self._through() if self.on_failure == PAUSE else set()
        self._take_back(tried - through)
        if through and not self.journal.unreachable:
            self._walk(self._finals(through))

    def _through(self) -> set[tuple]:
        """Resources of which all was done but the final phase."""
        done = {entry.action.id for entry in self.journal.of(DONE)}
        missing = {
            action.resource for action in self._actions if action.phase is not Phase.FINAL and action.id not in done
        }
        return {entry.action.resource for entry in self.journal.of(DONE)} - missing

    def _finals(self, resources: set[tuple]) -> list[Action]:
        """Final actions of resources that are through, as far as what they need is done or among them."""
        known = {action.id for action in self._actions}
        good = {entry.action.id for entry in self.journal.of(DONE)}
        found = []
        for action in self._actions:
            if action.phase is Phase.FINAL and action.resource in resources and not (action.needs & known) - good:
                good.add(action.id)
                found.append(action)
        return found

    def _take_back(self, resources: Collection[tuple]) -> None:
        """Run the inverses, dependents first; what cannot be undone does not keep the rest from being undone."""
        if not self.ready():
            self.journal.unreachable = True
            return
        tried = {
            entry.action.id: entry
            for entry in self.journal.of(DONE, FAILED)
            if entry.action.resource in resources and (entry.outcome == DONE or entry.doubtful)
        }
        for phase in (Phase.SWITCH, Phase.PREPARE):
            self._undo_phase(
                tried, [item for item in tried.values() if item.action.phase is phase and item.action.undo]
            )

    def _undo_phase(self, tried: dict[str, Entry], entries: list[Entry]) -> None:
        names = {entry.action.id for entry in entries}
        inverses = [
            replace(entry.action.undo, needs=frozenset(_dependents(entry.action, tried.values(), names)))
            for entry in entries
        ]
        doubtful = {entry.action.undo.id for entry in entries if entry.outcome == FAILED}
        ended: queue.SimpleQueue = queue.SimpleQueue()
        with _Walk(inverses, self.perform, self.parallelism, ended) as walk:
            while walk.busy:
                item = ended.get()
                walk.take(item)
                if item.error is None:
                    self.journal.write(Entry(item.action, UNDONE, item.seconds))
                elif item.action.id not in doubtful:
                    self.journal.write(Entry(item.action, STUCK, item.seconds, *_told(item.error)))
                walk.release(item)


def _told(error: Exception | None) -> tuple[str, bool]:
    """(words, whether the action may have happened all the same)."""
    if error is None:
        return "", False
    if isinstance(error, EngineError):
        return str(error), not 400 <= error.status < 500
    return (str(error) if isinstance(error, SlipwayError) else f"{type(error).__name__}: {error}"), True


def _dependents(action: Action, entries: Iterable[Entry], undoable: set[str]) -> set[str]:
    """Ids of the inverses that must have run before the action's own: those of all that needed it, however far."""
    by_need: dict[str, list[Action]] = {}
    for entry in entries:
        for need in entry.action.needs:
            by_need.setdefault(need, []).append(entry.action)
    found: set[str] = set()
    stack = [action]
    seen: set[str] = set()
    while stack:
        for dependent in by_need.get(stack.pop().id, ()):
            if dependent.id in seen:
                continue
            seen.add(dependent.id)
            if dependent.id in undoable:
                found.add(dependent.undo.id)
            else:
                stack.append(dependent)
    return found


@dataclass(frozen=True)
class _Ended:
    """What a worker says at the end of an action; without an action, a resource's undoing is over (or, with an error, an interruption)."""

    action: Action | None
    seconds: float = 0.0
    error: Exception | None = None
    released: tuple[str, ...] = ()


class _Walk:
    """Workers on one batch: what is ready, what is under way, what waits for what."""

    def __init__(self, batch: Sequence[Action], perform: Perform, parallelism: int, ended: queue.SimpleQueue) -> None:
        self.batch, self.perform, self.ended = batch, perform, ended
        self.going = True
        self.ready: queue.SimpleQueue = queue.SimpleQueue()
        names = {action.id for action in batch}
        self.waiting = {action.id: action for action in batch}
        self.missing = {action.id: {item for item in action.needs | action.after if item in names} for action in batch}
        self.dependents: dict[str, list[str]] = {}
        for identity, missing in self.missing.items():
            for need in missing:
                self.dependents.setdefault(need, []).append(identity)
        self.under_way: dict[str, Action] = {}
        self.undoing: list[tuple[set[tuple], tuple[str, ...], Callable[[], None]]] = []
        self.jobs = 0
        self.count = min(parallelism, len(batch))

    def __enter__(self) -> _Walk:
        for _ in range(self.count):
            threading.Thread(target=self._work, daemon=True).start()
        for identity in [name for name, missing in self.missing.items() if not missing]:
            self._give_out(identity)
        return self

    def __exit__(self, *_error: object) -> None:
        for _ in range(self.count):
            self.ready.put(None)

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return bool(self.under_way or self.jobs)

    def take(self, ended: _Ended) -> bool:
        """Note that something has ended; False when nobody waits for it any more."""
        if ended.action is None:
            self.jobs -= 1
        elif self.under_way.pop(ended.action.id, None) is None:
            return False
        self._begin_undoing()
        return True

    def release(self, ended: _Ended) -> None:
        """Give out what has waited for this end."""
        for identity in ended.released or ((ended.action.id,) if ended.action else ()):
            for dependent in self.dependents.get(identity, ()):
                self.missing[dependent].discard(identity)
                if not self.missing[dependent] and dependent in self.waiting and self.going:
                    self._give_out(dependent)

    def stop(self) -> None:
        """Begin nothing more; what only watches is not waited for."""
        self.going = False
        self._withdraw(lambda _action: True)
        self._abandon(lambda _action: True)

    def drop(self, resources: set[tuple], undo: Callable[[], None]) -> None:
        """Begin nothing more of these resources, and undo them once nothing of theirs is under way."""
        self._withdraw(lambda action: action.resource in resources)
        self._abandon(lambda action: action.resource in resources)
        gone = tuple(item.id for item in self.batch if item.resource in resources)
        for identity in gone:
            self.waiting.pop(identity, None)
        self.undoing.append((resources, gone, undo))
        self._begin_undoing()

    def _begin_undoing(self) -> None:
        for item in list(self.undoing):
            resources, gone, undo = item
            if any(action.resource in resources for action in self.under_way.values()):
                continue
            self.undoing.remove(item)
            self.jobs += 1
            threading.Thread(target=self._undo, args=(gone, undo), daemon=True).start()

    def _undo(self, gone: tuple[str, ...], undo: Callable[[], None]) -> None:
        try:
            undo()
        finally:
            self.ended.put(_Ended(None, released=gone))

    def _give_out(self, identity: str) -> None:
        action = self.under_way[identity] = self.waiting.pop(identity)
        if action.waits:  # it only watches: a thread of its own, so that it keeps no worker from working
            threading.Thread(target=self._attempt, args=(action,), daemon=True).start()
        else:
            self.ready.put(action)

    def _withdraw(self, chosen: Callable[[Action], bool]) -> None:
        """Take back what no worker has begun."""
        kept = []
        while True:
            try:
                action = self.ready.get_nowait()
            except queue.Empty:
                break
            if chosen(action):
                del self.under_way[action.id]
            else:
                kept.append(action)
        for action in kept:
            self.ready.put(action)

    def _abandon(self, chosen: Callable[[Action], bool]) -> None:
        for action in list(self.under_way.values()):
            if action.waits and chosen(action):
                del self.under_way[action.id]

    def _work(self) -> None:
        while (action := self.ready.get()) is not None:
            self._attempt(action)

    def _attempt(self, action: Action) -> None:
        began = time.monotonic()
        error: Exception | None = None
        try:
            self.perform(action)
        except Exception as caught:  # the walk must see every failure, or it would wait for ever
            error = caught
        self.ended.put(_Ended(action, time.monotonic() - began, error))
