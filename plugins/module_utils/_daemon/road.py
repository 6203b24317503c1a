# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a daemon gets from one configuration to another: by a reload where it can, else by a restart that containers do not notice. Pure.

Two things a reload does not do by itself are done by a file that stands for a moment only:

- A key that is gone from the file keeps its value in the running daemon (daemon/reload.go asks IsValueSet), so the default is said first.
- A daemon that is to restart is told live-restore first, and told off again when it is back, so that containers outlive the restart
  also where live-restore is not declared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import flags as flag
from .document import Document, differing
from .flags import Flag
from .keys import KEYS, LIVE_FEATURES, NOTHING, STICKY, UNRESTORABLE

LIVE = "live-restore"
NOTHING_DONE, WRITTEN, RELOAD, RESTART, START = "nothing", "written", "reload", "restart", "start"


@dataclass(frozen=True)
class Stage:
    """The file holds a document; then the daemon is told (``how``: written, reload or restart). ``step`` says it in words."""

    document: Document
    how: str
    step: str


@dataclass(frozen=True)
class Running:
    """The daemon: whether it is ``alive``, its ``flags``, whether ``live`` restore is on, how many ``containers`` run, whether in a ``swarm``."""

    alive: bool = False
    flags: Sequence[Flag] = ()
    live: bool = False
    containers: int = 0
    swarm: bool = False

    @property
    def can_be_told(self) -> bool:
        """Whether live-restore can be switched: not where a flag has the say, and not in a swarm."""
        return not self.swarm and flag.of_key(self.flags, LIVE) is None


@dataclass(frozen=True)
class Road:
    """``stages`` to the end, ``applied``: what it takes in a word, ``because``: the keys that need a restart, ``down``: containers go down."""

    stages: tuple[Stage, ...]
    applied: str
    because: tuple[str, ...] = ()
    down: int = 0


def needs_restart(before: Document, after: Document, changed: Collection[str], flags: Sequence[Flag] = ()) -> list[str]:
    """The changed keys of which a reload does not bring the new value."""
    found = [name for name in changed if not _reloads(name, before, after)]
    if not found and changed and "runtimes" in after and flag.values_of(flags, "add-runtime"):
        return ["runtimes"]  # a reload takes those of the file for all, and forgets those of the flags
    if "runtimes" in changed and flag.values_of(flags, "add-runtime"):
        found.append("runtimes")
    return sorted(set(found))


def _reloads(name: str, before: Document, after: Document) -> bool:
    if name not in KEYS or not KEYS[name].reload or (name in STICKY and name not in after):
        return False
    if name == "features":
        one, other = (doc.get(name) if isinstance(doc.get(name), Mapping) else {} for doc in (before, after))
        return all(feature in LIVE_FEATURES for feature in differing(one, other))
    return True


def resets(before: Collection[str], after: Document) -> dict[str, Any]:
    """What has to be said for the moment of a reload, for keys that are gone from the file."""
    gone = [name for name in before if name not in after and name in KEYS and KEYS[name].reload]
    return {name: KEYS[name].reset for name in sorted(gone) if KEYS[name].reset is not NOTHING}


def road(
    here: Document,
    proven: Document,
    after: Document,
    running: Running,
    unfinished: bool = False,
    start: bool = False,
    broken: bool = False,
    unread: Collection[str] = (),
) -> Road:
    """The way from the document that is ``here`` to the one ``after``.

    ``proven``: what the daemon is known to run with, which is another document than ``here`` when a run was killed (``unfinished``).
    ``start``: a daemon that does not run is to. ``broken``: what is there is no document, so nobody knows what a daemon has of it.
    ``unread``: keys whose files it has yet to read, which takes a restart.
    """
    changed = sorted({*differing(here, after), *differing(proven, after)})
    writes = bool(changed) or broken
    if not running.alive:
        if unfinished:
            return Road((Stage(after, RESTART, "start the daemon"),), RESTART, tuple(changed))
        if start:
            step = "write the file and start the daemon" if writes else "start the daemon"
            return Road((Stage(after, RESTART, step),), START)
        return Road((Stage(after, WRITTEN, "write the file"),) if writes else (), WRITTEN if writes else NOTHING_DONE)
    because = needs_restart(proven, after, differing(proven, after), running.flags)
    because = sorted({*because, *needs_restart(here, after, differing(here, after), running.flags), *unread})
    if because or broken:
        stages = restarting(after, running)
        down = running.containers if not _outlive(running) else 0
        return Road(tuple(stages), RESTART, tuple(because), down)
    if not changed and not unfinished:
        return Road((), NOTHING_DONE)
    # A run that was killed may have left live-restore on.
    names = {*here, *proven, *([LIVE] if running.live and running.can_be_told else ())}
    return Road(tuple(reloading(names, after)), RELOAD)


def reloading(names: Collection[str], after: Document) -> list[Stage]:
    """Stages by which a running daemon takes a document; ``names``: the keys of those before."""
    said = resets(names, after)
    if not said:
        return [Stage(after, RELOAD, "write the file and reload the daemon")]
    return [
        Stage({**after, **said}, RELOAD, f"write the file with the default of {', '.join(said)} and reload the daemon"),
        Stage(after, WRITTEN, "write the file"),
    ]


def _outlive(running: Running) -> bool:
    return running.live or running.can_be_told


def restarting(after: Document, running: Running) -> list[Stage]:
    """Stages by which another daemon takes a document, with containers that run on where that can be."""
    whole = [Stage(after, RESTART, "write the file and restart the daemon")]
    if not running.containers or not running.can_be_told:
        return whole
    stages = []
    if not running.live:
        stages.append(Stage({**after, LIVE: True}, RELOAD, "have the daemon keep its containers, by a reload"))
    if after.get(LIVE):
        return stages + whole
    return [*stages, *returning(after)]


def returning(after: Document) -> list[Stage]:
    """Stages by which a daemon comes back to containers that live-restore has kept, though the document does not say live-restore."""
    stages = [
        Stage({**after, LIVE: True}, RESTART, "write the file and restart the daemon, its containers kept"),
        Stage({**after, LIVE: False}, RELOAD, "have the daemon keep its containers no longer, by a reload"),
    ]
    return stages if LIVE in after else [*stages, Stage(after, WRITTEN, "write the file")]


def unrestorable(changed: Collection[str]) -> list[str]:
    """The changed keys with which live-restore may not find its way back."""
    return [name for name in changed if name in UNRESTORABLE]
