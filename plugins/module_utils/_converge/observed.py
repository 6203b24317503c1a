# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the engine shows -> resources, through the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .kind import Kind
from .option import Option, dig


@dataclass(frozen=True)
class Observed:
    """What one object is.

    ``name`` is its key in the plan, ``called`` its name on the engine now (they differ after an interrupted replacement
    or a rename by hand). ``owner`` says in words who made it, empty when nobody did; ``ours`` whether it is this project.
    ``managed`` names what an earlier run managed; None when no such label is there. ``origin`` is the configuration of
    the image it was made from, whose values stand where nothing was said.
    """

    kind: Kind
    name: str
    id: str
    raw: Mapping[str, Any]
    called: str = ""
    owner: str = ""
    ours: bool = False
    managed: tuple[str, ...] | None = None
    status: str = ""
    health: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple:
        """The object's identity in a plan."""
        return (self.kind.name, self.name)

    @property
    def running(self) -> bool:
        """Whether it has processes now (a paused container has)."""
        return self.status in ("running", "paused", "restarting")

    def value(self, option: Option) -> Any:
        """Return the canonical value of one field."""
        return option.observe(self.raw)

    def unset(self, option: Option) -> Any:
        """Return the canonical value the field would have, had nothing been said."""
        if option.inherits and self.origin:
            inherited = option.decode(dig(self.origin, option.inherits))
            if inherited is not None:
                return inherited
        return option.unset


@dataclass(frozen=True)
class World:
    """One moment of an engine.

    ``objects``: what matters to this run, by (kind, name). ``leftovers``: debris of an interrupted run, each ours.
    ``orphans``: what carries this project's label and is no longer said. ``attached``: who uses a network or a volume,
    by key: names on the engine. ``remains``: what objects have left behind that are themselves gone, by key. ``images``: reference -> image ID here. ``facts``: about the engine itself.
    """

    objects: Mapping[tuple, Observed] = field(default_factory=dict)
    leftovers: Sequence[Observed] = ()
    orphans: Sequence[Observed] = ()
    attached: Mapping[tuple, Sequence[str]] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    remains: Mapping[tuple, Observed] = field(default_factory=dict)

    @property
    def everything(self) -> tuple[Observed, ...]:
        """All objects that are known, whatever they are to this run."""
        return (*self.objects.values(), *self.orphans, *self.leftovers)

    def get(self, key: tuple) -> Observed | None:
        """Return the object of that key, None when it is absent."""
        return self.objects.get(tuple(key))
