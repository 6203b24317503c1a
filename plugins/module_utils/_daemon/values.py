# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the user declared -> values as daemon.json has them; every mistake with its place, its value and the way out. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Any

from .._converge.desired import FALSE, TRUE, Mistakes, quote
from .._converge.secret import looks_secret
from .keys import ELSEWHERE, KEYS, LOG_OPTS, Key

PLACE = "config"


def read(
    declared: Mapping[str, Any],
    version: tuple[int, int] | None,
    flags: Collection[str],
    mistakes: Mistakes,
) -> dict[str, Any]:
    """The declared keys in the types of the table.

    ``version``: of the engine that will read them, None where there is none yet. ``flags``: what that engine says it knows, so that a
    key which is newer than the table can be declared all the same.
    """
    found: dict[str, Any] = {}
    for name, value in declared.items():
        key = KEYS.get(name)
        if not isinstance(name, str):
            mistakes.add(PLACE, f"{quote(name)} is not the name of a key")
        elif key is None and known_by_itself(name, flags):
            found[name] = value
        elif key is None:
            mistakes.add(f"{PLACE}.{name}", unknown(name, version))
        elif not in_time(key, version):
            mistakes.add(f"{PLACE}.{name}", out_of_time(key, version))
        else:
            _read_one(key, value, found, mistakes)
    return found


def known_by_itself(name: str, flags: Collection[str]) -> bool:
    """Whether an engine has a flag that fits a key of which the table knows nothing: its name, or that name in the singular."""
    return name not in ELSEWHERE and (name in flags or (name.endswith("s") and name[:-1] in flags))


def in_time(key: Key, version: tuple[int, int] | None) -> bool:
    """Whether a version of the engine knows a key."""
    return version is None or key.since <= version < key.until


def out_of_time(key: Key, version: tuple[int, int] | None) -> str:
    """What to say of a key that another version knows."""
    here = _dotted(version or (0, 0))
    if version and version < key.since:
        return f"engines know it from {_dotted(key.since)} on, and this is {here}; leave it out, or upgrade the engine first"
    return f"engines know it no more since {_dotted(key.until)}, and this is {here}; {key.help or 'leave it out'}"


def unknown(name: str, version: tuple[int, int] | None) -> str:
    """What to say of a key that no version knows."""
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    usable = [key.name for key in KEYS.values() if in_time(key, version)]
    close = difflib.get_close_matches(name.replace("_", "-"), usable, n=1, cutoff=0.7)
    singular = next((key for key in usable if KEYS[key].flag == name.lstrip("-")), "")
    hint = singular or (close[0] if close else "")
    if hint:
        return f"there is no such key; did you mean {hint}?"
    return "there is no such key; docs.docker.com/reference/cli/dockerd lists what this file can say"


def _read_one(key: Key, value: Any, found: dict[str, Any], mistakes: Mistakes) -> None:
    place = f"{PLACE}.{key.name}"
    before = len(mistakes.lines)
    converted = convert(key.type, value, place, mistakes)
    if len(mistakes.lines) > before:
        return
    try:
        if key.check:
            key.check(converted)
    except ValueError as error:
        mistakes.add(place, str(error))
        return
    found[key.name] = converted


def convert(kind: str, value: Any, place: str, mistakes: Mistakes) -> Any:
    """A value as its type; what clearly means one is taken for one, for templates make text of everything."""
    if kind.startswith("list"):
        if not isinstance(value, (list, tuple)):
            mistakes.add(place, f"{_shown(place, value)} is not a list; write [{_shown(place, value)}]")
            return None
        element = kind.partition(" of ")[2] or "str"
        return [convert(element, item, f"{place}[{index}]", mistakes) for index, item in enumerate(value)]
    if kind.startswith("map") or kind == "flags":
        if not isinstance(value, Mapping):
            mistakes.add(place, f"{_shown(place, value)} is not a dictionary; write name: value pairs")
            return None
        element = "bool" if kind == "flags" else kind.partition(" of ")[2] or "text"
        return {str(name): convert(element, item, f"{place}.{name}", mistakes) for name, item in value.items()}
    try:
        return CONVERTERS[kind](value)
    except ValueError as error:
        mistakes.add(place, f"{_shown(place, value)} is not {error}")
        return None


def _shown(place: str, value: Any) -> str:
    return "the value (not shown)" if looks_secret(place.rpartition(".")[2]) else quote(value)


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text; write it in quotes")
    return value


def _text(value: Any) -> str:
    """Text where the daemon wants text and people write numbers: log-opts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return json.dumps(value)
    return _str(value)


def _bool(value: Any) -> bool:
    known = value.lower().strip() if isinstance(value, str) else value
    if isinstance(known, bool) or (isinstance(known, str) and known in (*TRUE, *FALSE)):
        return known in TRUE
    raise ValueError("true or false")


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("a whole number")
    try:
        return int(value)
    except ValueError:
        raise ValueError("a whole number") from None


def _dict(value: Any) -> dict:
    if not isinstance(value, Mapping):
        raise ValueError("a dictionary; write name: value pairs")
    return dict(value)


CONVERTERS = {"str": _str, "text": _text, "bool": _bool, "int": _int, "dict": _dict}


def check_log_opts(document: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Note options that the log driver of a document does not know, as far as the driver is one that the table knows."""
    driver = document.get("log-driver") or "json-file"
    options = document.get("log-opts")
    if driver not in LOG_OPTS or not isinstance(options, Mapping):
        return
    for name in options:
        if name in LOG_OPTS[driver] or name.startswith("cache-"):
            continue
        close = difflib.get_close_matches(name, LOG_OPTS[driver], n=1, cutoff=0.6)
        hint = f"did you mean {close[0]}?" if close else f"it knows {', '.join(LOG_OPTS[driver])}"
        mistakes.add(f"{PLACE}.log-opts.{name}", f"the log driver {driver} knows no such option; {hint}")


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
