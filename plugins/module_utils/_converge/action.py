# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action, Change, Reason, Line: the vocabulary of a plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from .secret import HIDDEN, mask


class Reason(Enum):
    """Why a line is in the plan; each is said in the plan as it stands here."""

    MISSING = "missing"
    CHANGED = "changed"
    DRIFTED = "drifted"
    DROPPED = "dropped"
    IMAGE_UPDATED = "image updated"
    DEPENDENCY_REPLACED = "dependency replaced"
    ORPHANED = "orphaned"
    REQUESTED = "requested"
    UNUSED = "unused"
    LEFTOVER = "leftover of an interrupted run"


class Symbol:
    """The first character of a line."""

    CREATE = "+"
    UPDATE = "~"
    REPLACE = "±"
    REMOVE = "-"


class Phase(IntEnum):
    """A phase begins when every action of the one before has ended."""

    PREPARE = 0  # nothing that runs is touched: pull, build, create; most errors of the engine surface here
    SWITCH = 1  # what runs changes, and can be changed back
    FINAL = 2  # what cannot be undone comes last


@dataclass(frozen=True)
class Change:
    """One field's way from what is to what is said. ``after`` None with ``dropped`` set: no longer said."""

    field: str
    before: Any
    after: Any
    in_place: bool = False
    dropped: bool = False
    reason: Reason = Reason.CHANGED
    secret: bool = False
    option: str = ""

    def __str__(self) -> str:
        before, after = (HIDDEN, HIDDEN) if self.secret else (show(self.before), show(self.after))
        if self.dropped:
            return f"{self.field}: {before} -> no longer said"
        return f"{self.field}: {before} -> {after}"


def show(value: Any) -> str:
    """Write a value on one line as a person would."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, Mapping):
        if all(not item for item in value.values()):
            return "[" + ", ".join(sorted(map(str, value))) + "]"
        return "{" + ", ".join(f"{key}: {show(value[key])}" for key in sorted(value, key=str)) + "}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ", ".join(show(item) for item in value) + "]"
    return json.dumps(value, default=str)


@dataclass(frozen=True)
class Action:
    """One call to the engine.

    ``target`` is what the engine is called with (a name or an ID), ``step`` the call in words, ``undo`` the inverse or None.
    ``needs``: ids of the actions without which it makes no sense; ``after``: ids of those whose end, good or bad, it awaits.
    ``waits``: it only watches, so it takes no worker. ``resource`` is the key whose line it belongs to.
    """

    id: str
    verb: str
    resource: tuple
    target: str
    step: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    needs: frozenset = frozenset()
    phase: Phase = Phase.PREPARE
    undo: Action | None = None
    waits: bool = False
    after: frozenset = frozenset()

    @property
    def kind(self) -> str:
        """The kind of the object acted upon."""
        return self.payload.get("kind", self.resource[0])


@dataclass(frozen=True)
class Line:
    """One line of a plan: what happens to one resource, why, and by which actions."""

    symbol: str
    resource: tuple
    reason: Reason
    changes: tuple[Change, ...] = ()
    note: str = ""
    actions: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The resource as `kind/name`."""
        return "/".join(self.resource)

    @property
    def why(self) -> str:
        """The reason in words."""
        words = [self.note] if self.note else []
        words += [str(change) for change in self.changes if change.secret or change.before != change.after]
        if not self.changes or self.reason in (Reason.DRIFTED, Reason.DEPENDENCY_REPLACED, Reason.IMAGE_UPDATED):
            words.insert(0, self.reason.value)
        return "; ".join(words)

    def text(self, width: int = 0) -> str:
        """The line as printed; ``width`` aligns the reasons of a whole plan."""
        return f"{self.symbol} {self.label.ljust(width)}   {self.why}"
