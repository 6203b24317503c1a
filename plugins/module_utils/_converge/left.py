# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan was to remove, against what is there afterwards. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .action import Symbol
from .observed import Observed, World
from .option import dig
from .plan import Plan


def left(plan: Plan, before: World, after: World) -> list[str]:
    """What is still there of the objects that a plan has removed, in words; empty when all of it is gone.

    An object that somebody has made anew under the same name is another one, and no concern of this run.
    """
    found = (
        words
        for line in plan.lines
        if line.symbol == Symbol.REMOVE
        for observed in _known(before)
        if line.resource in _names(observed) and line.before.get("id") == observed.id
        for words in _left_of(observed, after)
    )
    return list(dict.fromkeys(found))


def _known(world: World) -> tuple[Observed, ...]:
    return (*world.everything, *world.remains.values())


def _names(observed: Observed) -> tuple[tuple, tuple]:
    """Under which of its names an object may stand in a plan: debris of a replacement is called what it is called now."""
    return observed.key, (observed.kind.name, observed.called)


def _left_of(observed: Observed, after: World) -> Iterator[str]:
    if any(_same(observed, item) for item in after.everything if after.remains.get(item.key) is not item):
        yield f"the {observed.kind.name} {observed.called}"
    for part in observed.kind.left(observed, after):
        yield f"{part} of the {observed.kind.name} {observed.called}"


def _same(one: Observed, other: Observed) -> bool:
    """Whether two looks met one object. Where the ID is no more than the name, the time at which it was made tells it from a later one."""
    born = one.kind.born
    return (one.key, one.id) == (other.key, other.id) and (not born or dig(one.raw, born) == dig(other.raw, born))


def message(found: list[str]) -> str:
    """Say what is left and what to do."""
    return (
        f"all was done, yet this is left: {', '.join(found)}. Run again, which removes what is still there; "
        "when it is there once more, something else keeps it or makes it: see to that first, or remove it by hand"
    )
