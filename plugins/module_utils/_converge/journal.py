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
    """One action that was tried: its outcome, how long it took and, when it failed, why."""

    action: Action
    outcome: str
    seconds: float
    error: str = ""


@dataclass
class Journal:
    """What happened, in the order in which it ended. ``listener`` is told of each entry as it is made."""

    entries: list[Entry] = field(default_factory=list)
    listener: Callable[[Entry], None] | None = None

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
        """The first failure, None when all went well."""
        return next(iter(self.of(FAILED)), None)

    @property
    def committed(self) -> bool:
        """Whether all but the final removals was done, so that nothing is undone."""
        failed = self.failed
        return failed is None or failed.action.phase is Phase.FINAL


def seconds_of(journal: Journal) -> Mapping[str, float]:
    """Seconds each action took, by its id."""
    return {entry.action.id: entry.seconds for entry in journal.entries}
