# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Desired against observed, field by field, through the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .action import Change, Reason
from .desired import Resource
from .observed import Observed, World
from .option import Option, dig

MODES = ("strict", "allow_more_present", "ignore")


def compare(resource: Resource, observed: Observed, world: World) -> list[Change]:
    """Return what differs, in the order of the rows."""
    modes: Mapping[str, str] = resource.intent.get("comparisons") or {}
    managed = observed.managed or ()
    changes: list[Change] = []
    for option in resource.kind.fields:
        mode = _mode(option, modes)
        if mode == "ignore":
            continue
        if option.name in resource.fields:
            changes += _said(option, resource.fields[option.name], observed, world, mode)
        elif option.name in managed:
            changes += _dropped(option, observed)
    return changes


def _mode(option: Option, modes: Mapping[str, str]) -> str:
    for name in (option.name, *option.aliases, "*"):
        if name in modes:
            return modes[name]
    return ""


def _said(option: Option, desired: Any, observed: Observed, world: World, mode: str) -> Iterator[Change]:
    current = observed.value(option)
    if option.keyed:
        yield from _keys(option, desired, current or {}, observed, mode)
    elif option.refers:
        yield from _reference(option, desired, current, observed, world)
    elif mode == "allow_more_present" and isinstance(desired, (list, tuple, dict)):
        if not _within(desired, current):
            yield _change(option, current, desired)
    elif option.attach:
        if not peers_match(option, desired, current or {}, observed):
            which = set(desired) != set(current or ())  # which peers, or how it is connected to them
            before, after = (dict.fromkeys(current or ()), dict.fromkeys(desired)) if which else (current, desired)
            yield _change(option, before, after)
    elif not option.matches(desired, current):
        yield _change(option, current, desired)


def peers_match(option: Option, desired: Mapping, current: Mapping, observed: Observed) -> bool:
    """Whether an object is connected as desired. Where we made the connections, what is not said is not there;
    where we did not, what was never said is left alone.
    """
    if option.name in (observed.managed or ()):
        return dict(desired) == dict(current)
    return option.matches(desired, current)


def _within(desired: Any, current: Any) -> bool:
    if isinstance(desired, dict):
        return all(key in (current or {}) and current[key] == value for key, value in desired.items())
    return all(item in (current or ()) for item in desired)


def _keys(option: Option, desired: Mapping, current: Mapping, observed: Observed, mode: str) -> Iterator[Change]:
    for key in sorted(desired):
        if key not in current or current[key] != desired[key]:
            yield _change(option, current.get(key), desired[key], key=key)
    yield from _lost_keys(option, desired, current, observed, everything=mode == "strict")


def _lost_keys(
    option: Option, desired: Mapping, current: Mapping, observed: Observed, everything: bool
) -> Iterator[Change]:
    """Keys that were managed, or all when the comparison is strict, and are no longer said."""
    prefix = option.name + "."
    candidates = (
        current if everything else [name[len(prefix) :] for name in observed.managed or () if name.startswith(prefix)]
    )
    lost = sorted(key for key in candidates if key not in desired and key in current)
    standing = (observed.unset(option) or {}) if lost else {}
    for key in lost:
        if current[key] != standing.get(key):
            yield _change(option, current[key], standing.get(key), key=key, dropped=True)


def _dropped(option: Option, observed: Observed) -> Iterator[Change]:
    current = observed.value(option)
    if option.keyed:
        yield from _lost_keys(option, {}, current or {}, observed, everything=False)
        return
    standing = observed.unset(option)
    if standing is None and observed.kind.updates:
        return  # nothing says what it was before, and the object need not be made anew to find out
    if option.refers or (not current and not standing) or option.matches(standing, current):
        return
    # Peers cannot be taken away in place: what then remains is the engine's default, which only creation gives.
    yield _change(option, current, standing, dropped=True, attached=False)


def _reference(option: Option, desired: str, current: str, observed: Observed, world: World) -> Iterator[Change]:
    """Compare objects, not their names: the desired name must stand for the very object that is in use."""
    here = world.images.get(desired)
    if here is None:
        if desired != current:
            yield _change(option, current, desired)
        return
    used = dig(observed.raw, option.identity)
    if here != used and desired != current:
        yield _change(option, current, desired)
    elif here != used:
        yield _change(option, short_id(used), short_id(here), reason=Reason.IMAGE_UPDATED)


def unclaimed(resource: Resource, observed: Observed) -> Iterator[tuple[Option, Any]]:
    """Fields of our object that were changed on the living object and that nothing declares.

    Where an update cannot rewrite the label that names what is managed, a limit that was added in place and then dropped
    looks like one that somebody else set. It is left alone, and said.
    """
    if not observed.ours or observed.managed is None or resource.kind.relabels:
        return
    for option in resource.kind.fields:
        if (
            option.update
            and not option.derived
            and option.name not in resource.fields
            and option.name not in observed.managed
        ):
            value = observed.value(option)
            if value != option.unset:
                yield option, value


def short_id(identity: str | None) -> str:
    """The first twelve digits of an ID, as the docker CLI shows it."""
    return (identity or "").rpartition(":")[2][:12]


def _change(
    option: Option,
    before: Any,
    after: Any,
    *,
    key: str = "",
    dropped: bool = False,
    attached: bool = True,
    reason: Reason | None = None,
) -> Change:
    secret = option.no_log or bool(option.hides and key and option.hides(key))
    return Change(
        field=f"{option.name}.{key}" if key else option.name,
        before=before,
        after=after,
        in_place=(option.update and reaches(option, after)) or (option.attach and attached),
        dropped=dropped,
        reason=reason or (Reason.DROPPED if dropped else Reason.CHANGED),
        secret=secret,
        option=option.name,
    )


def reaches(option: Option, value: Any) -> bool:
    """Whether an update can bring a field to a value: engines take a limit's zero in an update for "leave it"."""
    return option.resets or value != option.unset
