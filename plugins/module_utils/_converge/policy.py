# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the user allows and asks for, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass

ASIDE = "-slipway-old"  # what a replaced object is called until the new one is well
BESIDE = "-slipway-new"  # what its successor is called until it takes over

ROLLBACK, PAUSE, KEEP = ON_FAILURE = ("rollback", "pause", "keep")
STOP_FIRST, START_FIRST = ORDERS = ("stop-first", "start-first")

RESTART, DEFER, FAIL = RESTARTS = ("restart", "defer", "fail")

RUNNING_STATES = ("started", "running", "healthy", "restarted")


@dataclass(frozen=True)
class Policy:
    """What the user allows and asks for beside the resources themselves.

    ``destroy``: keys (kind, name) of data that may go. ``watch``: seconds a started object must stay up;
    ``deadline``: seconds until it must be well. ``at_once``: how many running objects may be exchanged or restarted at
    a time, 0 for all. ``start_first``: whether the new one runs before the old one stops, unless a resource says otherwise.
    ``restarts``: what becomes of a change in place for which a running object must be stopped.
    """

    project: str = "default"
    absent: bool = False
    orphans: str = "report"
    adopt: str = "unowned"
    destroy: frozenset = frozenset()
    watch: float = 3.0
    deadline: float = 300.0
    at_once: int = 0
    start_first: bool = False
    restarts: str = FAIL

    def destroys(self, key: tuple) -> bool:
        """Whether an object's data may go: it is named, or all that belongs to what its name begins with is, as (kind, owner/*)."""
        kind, name = key
        return (kind, name) in self.destroy or (kind, f"{name.partition('/')[0]}/*") in self.destroy

    @property
    def wants_orphans(self) -> bool:
        """Whether it matters what else is the project's."""
        return self.absent or self.orphans != "ignore"
