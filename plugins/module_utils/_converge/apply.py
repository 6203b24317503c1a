# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Walk the plan in parallel, keep a journal, and undo it when an action fails."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from .action import Action, Phase
from .errors import SlipwayError
from .journal import DONE, FAILED, STUCK, UNDONE, Entry, Journal

Perform = Callable[[Action], Any]


def apply(
    actions: Sequence[Action],
    perform: Perform,
    *,
    parallelism: int = 8,
    rollback: bool = True,
    journal: Journal | None = None,
) -> Journal:
    """Perform the actions, each after its needs and phase by phase.

    The first failure stops new work; what is under way ends; then, with ``rollback``, what was done is undone backwards.
    An action that failed may have happened all the same (a lost answer), so its own inverse is tried first. A failure
    in the final phase undoes nothing: the new state stands, something old is left over.
    """
    journal = journal or Journal()
    for phase in Phase:
        batch = [action for action in actions if action.phase is phase]
        _walk(batch, perform, parallelism, lambda action, seconds, error: _note(journal, action, seconds, error))
        if journal.failed:
            break
    if journal.failed and not journal.committed and rollback:
        _undo(journal, perform, parallelism)
    return journal


def _note(journal: Journal, action: Action, seconds: float, error: Exception | None) -> bool:
    journal.write(Entry(action, FAILED if error else DONE, seconds, _words(error)))
    return error is None


def _words(error: Exception | None) -> str:
    if error is None:
        return ""
    return str(error) if isinstance(error, SlipwayError) else f"{type(error).__name__}: {error}"


def _undo(journal: Journal, perform: Perform, parallelism: int) -> None:
    """Run the inverses, dependents first; a step that cannot be undone does not keep the others from being undone."""
    tried = {entry.action.id: entry for entry in journal.of(DONE, FAILED)}
    for phase in (Phase.SWITCH, Phase.PREPARE):
        entries = [entry for entry in tried.values() if entry.action.phase is phase and entry.action.undo]
        names = {entry.action.id for entry in entries}
        inverses = [
            replace(entry.action.undo, needs=frozenset(_dependents(entry.action, tried.values(), names)))
            for entry in entries
        ]
        doubtful = {entry.action.undo.id for entry in entries if entry.outcome == FAILED}

        def note(action: Action, seconds: float, error: Exception | None, doubtful: set = doubtful) -> bool:
            if error is None:
                journal.write(Entry(action, UNDONE, seconds))
            elif action.id not in doubtful:
                journal.write(Entry(action, STUCK, seconds, _words(error)))
            return True

        _walk(inverses, perform, parallelism, note)


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


def _walk(
    actions: Sequence[Action],
    perform: Perform,
    parallelism: int,
    note: Callable[[Action, float, Exception | None], bool],
) -> None:
    """Perform each action after its needs among ``actions``; stop giving out work once ``note`` says no."""
    if not actions:
        return
    names = {action.id for action in actions}
    missing = {action.id: {need for need in action.needs if need in names} for action in actions}
    dependents: dict[str, list[Action]] = {}
    for action in actions:
        for need in missing[action.id]:
            dependents.setdefault(need, []).append(action)
    ready: queue.SimpleQueue = queue.SimpleQueue()
    ended: queue.SimpleQueue = queue.SimpleQueue()

    def attempt(action: Action) -> None:
        began = time.monotonic()
        error: Exception | None = None
        try:
            perform(action)
        except Exception as caught:  # the walk must see every failure, or it would wait for ever
            error = caught
        ended.put((action, time.monotonic() - began, error))

    def work() -> None:
        while (action := ready.get()) is not None:
            attempt(action)

    def give_out(action: Action) -> int:
        if action.waits:  # it only watches: a thread of its own, so that it keeps no worker from working
            threading.Thread(target=attempt, args=(action,), daemon=True).start()
        else:
            ready.put(action)
        return 1

    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(parallelism, len(actions)))]
    for worker in workers:
        worker.start()
    running = sum(give_out(action) for action in actions if not missing[action.id])
    going = True
    while running:
        action, seconds, error = ended.get()
        running -= 1
        going = note(action, seconds, error) and going
        if not going:
            running -= _take_back(ready)
            continue
        for dependent in dependents.get(action.id, ()):
            missing[dependent.id].discard(action.id)
            if not missing[dependent.id]:
                running += give_out(dependent)
    for _ in workers:
        ready.put(None)


def _take_back(ready: queue.SimpleQueue) -> int:
    """Withdraw what no worker has begun."""
    count = 0
    while True:
        try:
            ready.get_nowait()
        except queue.Empty:
            return count
        count += 1
