# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was done, in the order in which it ended, and what was undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .action import Action, Phase

DONE, FAILED, UNDONE, STUCK = "done", "failed", "undone", "could not be undone"


@dataclass
class Entry:
    """One action that was tried: its outcome, how long it took and, when it failed, why.

    ``doubtful``: it failed without a clear refusal, so it may have happened all the same.
    """

    action: Action
    outcome: str
    seconds: float
    error: str = ""
    doubtful: bool = False


@dataclass
class Journal:
    """What happened, in the order in which it ended. ``listener`` is told of each entry as it is made.

    ``aside``: resources that were taken out of the run because one that they need failed. ``stopped``: the run ended
    before its plan did. ``interrupted``: by whom, when it was not a failure. ``unreachable``: there was nothing to talk
    to when something was to be undone.
    """

    entries: list[Entry] = field(default_factory=list)
    listener: Callable[[Entry], None] | None = None
    aside: set[tuple] = field(default_factory=set)
    stopped: bool = False
    interrupted: str = ""
    unreachable: bool = False

    def write(self, entry: Entry) -> None:
        """Add an entry and tell the listener."""
        self.entries.append(entry)
        if self.listener:
            self.listener(entry)

    def of(self, *outcomes: str) -> list[Entry]:
        """The entries with one of these outcomes."""
        return [entry for entry in self.entries if entry.outcome in outcomes]

    @property
    def failed(self) -> Entry | None:
        """The first failure, None when there is none."""
        return next(iter(self.of(FAILED)), None)

    @property
    def whole(self) -> bool:
        """Whether the plan was carried out to its end."""
        return not (self.failed or self.stopped)

    @property
    def committed(self) -> bool:
        """Whether all but the final removals was done, so that nothing is undone."""
        return self.stopped and bool(self.failed) and all(item.action.phase is Phase.FINAL for item in self.of(FAILED))

    @property
    def standing(self) -> set[str]:
        """Ids of the actions that were done and not undone, less those that only watch."""
        undone = {entry.action.id for entry in self.of(UNDONE)}
        return {
            entry.action.id
            for entry in self.of(DONE)
            if not entry.action.waits and not (entry.action.undo and entry.action.undo.id in undone)
        }


def seconds_of(journal: Journal) -> Mapping[str, float]:
    """Seconds each action took, by its id."""
    return {entry.action.id: entry.seconds for entry in journal.entries}
