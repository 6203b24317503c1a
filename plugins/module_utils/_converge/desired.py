# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""User input -> resources. Every mistake is reported at once, each with its place, its value and the way out."""

from __future__ import annotations

import json
import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import SpecError
from .graph import find_cycle
from .kind import Kind
from .option import Option
from .secret import hide, looks_secret

Key = tuple  # (kind name, resource name)

TRUE = (True, 1, "1", "true", "yes", "on", "t", "y")
FALSE = (False, 0, "0", "false", "no", "off", "f", "n")


@dataclass(frozen=True)
class Resource:
    """What one object should be.

    ``fields`` holds the canonical value of each field that was said, ``body`` the create document in the API's form,
    ``intent`` what steers the run (state, pull, comparisons ...), ``peers`` the settings of what it is
    connected to, in the API's form, ``place`` where the user wrote it.
    """

    kind: Kind
    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    intent: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple = ()
    peers: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""

    @property
    def key(self) -> Key:
        """The resource's identity in a plan."""
        return (self.kind.name, self.name)

    @property
    def managed(self) -> tuple[str, ...]:
        """Names of what was said: options, and the keys of keyed dictionaries. Names only, never values."""
        names = []
        for name, value in self.fields.items():
            names.append(name)
            if self.kind.option(name).keyed:
                names.extend(f"{name}.{key}" for key in value)
        return tuple(sorted(names))


class Mistakes:
    """Collects what is wrong with the input, so that it is all said at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, place: str, sentence: str) -> None:
        """Note one mistake at a place such as `containers.web.memory`."""
        self.lines.append(f"{place}: {sentence}" if place else sentence)

    def __bool__(self) -> bool:
        return bool(self.lines)

    def refuse(self) -> None:
        """Raise SpecError with all of them, when there are any."""
        if self.lines:
            raise SpecError(self.lines)


def join(place: str, name: str) -> str:
    """Extend a place by one step."""
    return f"{place}.{name}" if place else name


def quote(value: Any, limit: int = 60) -> str:
    """Show a user's value in a message, on one line and not too long: a text by both its ends, for those of paths tell most."""
    try:
        text = json.dumps(hide(value), ensure_ascii=False, sort_keys=True)
    except TypeError:
        text = json.dumps(str(value), ensure_ascii=False)
    if len(text) <= limit:
        return text
    end = limit // 2 if isinstance(value, str) else 0
    return text[: limit - 3 - end] + "..." + text[len(text) - end :]


def read(kind: Kind, params: Mapping, place: str, mistakes: Mistakes) -> Resource | None:
    """Turn the user's options for one object into a resource; None when the mistakes leave no room for one."""
    before = len(mistakes.lines)
    spec = convert_options(kind.options, params, place, mistakes)
    name = spec.get(kind.key)
    fields: dict[str, Any] = {}
    body: dict[str, Any] = {}
    peers: dict[str, Any] = {}
    for option in kind.fields:
        if spec.get(option.name) is None or (option.attach and not spec[option.name]):
            continue
        try:
            encoded = option.encode(spec[option.name])
            fields[option.name] = option.decode(encoded)
            option.put(body, encoded)
            if option.attach:
                peers = encoded
        except ValueError as error:
            mistakes.add(join(place, option.name), _hide(option, str(error)))
    if len(mistakes.lines) == before:
        for option_name, sentence in kind.check(spec):
            mistakes.add(join(place, option_name), sentence)
    if len(mistakes.lines) > before:
        return None
    intent = {option.name: spec.get(option.name) for option in kind.options if not option.is_field}
    return Resource(kind, kind.naming(name), fields, body, intent, tuple(kind.needs(spec)), peers, place)


def _hide(option: Option, sentence: str) -> str:
    return "the value (not shown) is not valid" if option.no_log else sentence


def convert_options(
    options: Sequence[Option], params: Any, place: str, mistakes: Mistakes, hidden: bool = False
) -> dict:
    """Give every option the type its row asks for; unknown names, missing ones and wrong types become mistakes."""
    if not isinstance(params, Mapping):
        shown = "the value (not shown)" if hidden else quote(params)
        mistakes.add(place, f"{shown} is not a dictionary; write name: value pairs")
        return {}
    names = {name: option for option in options for name in (option.name, *option.aliases)}
    spec: dict[str, Any] = {}
    for given, value in params.items():
        option = names.get(given)
        if option is None:
            mistakes.add(join(place, str(given)), f"there is no such option; {_nearest(given, names)}")
        elif value is not None:
            if option.name in spec:
                mistakes.add(join(place, str(given)), f"is another name of {option.name}, which is there too; keep one")
            spec[option.name] = convert(option, value, join(place, str(given)), mistakes)
    for option in options:
        if spec.get(option.name) is None:
            if option.required and not any(
                name in params and params[name] is not None for name in (option.name, *option.aliases)
            ):
                mistakes.add(join(place, option.name), f"is missing; every {_singular(place)} needs it")
            elif option.default is not None and option.name not in spec:
                spec[option.name] = option.default
    return spec


def read_options(options: Sequence[Option], params: Mapping[str, Any]) -> dict[str, Any]:
    """The values of these rows among a task's options; raise SpecError with every mistake."""
    mistakes = Mistakes()
    names = {name for option in options for name in (option.name, *option.aliases)}
    values = convert_options(options, {key: value for key, value in params.items() if key in names}, "", mistakes)
    mistakes.refuse()
    return values


def _singular(place: str) -> str:
    """What stands at a place, in a word: containers.web.networks[0] is a network."""
    return place.rpartition(".")[2].partition("[")[0].rstrip("s") or "object"


def _nearest(name: Any, names: Mapping[str, Option]) -> str:
    import difflib  # here, for only a mistake needs it

    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return "the options are " + ", ".join(sorted({option.name for option in names.values()}))


def convert(option: Option, value: Any, place: str, mistakes: Mistakes) -> Any:
    """Return ``value`` as the row's type, or None with a mistake noted."""
    if value is False and "no" in option.choices:  # YAML reads a bare `no` as false
        value = "no"
    try:
        converted = CONVERTERS[option.type](value)
    except (ValueError, TypeError) as error:
        shown = "the value (not shown)" if option.no_log or looks_secret(option.name) else quote(value)
        mistakes.add(place, f"{shown} is not {error}")
        return None
    if option.choices:
        for item in converted if option.type == "list" else (converted,):
            if item not in option.choices:
                mistakes.add(place, f"{quote(item)} is not one of {', '.join(option.choices)}")
                return None
    if option.type == "list":
        return _convert_elements(option, converted, place, mistakes)
    if option.type == "dict" and option.suboptions:
        before = len(mistakes.lines)
        whole = convert_options(option.suboptions, converted, place, mistakes)
        return whole if len(mistakes.lines) == before else None
    return converted


def _convert_elements(option: Option, items: list, place: str, mistakes: Mistakes) -> list | None:
    """The items as their type; None when one of them cannot be."""
    before = len(mistakes.lines)
    element = Option("element", option.elements or "str")
    converted = [
        convert_options(option.suboptions, item, f"{place}[{index}]", mistakes, hidden=looks_secret(option.name))
        if option.suboptions
        else convert(element, item, f"{place}[{index}]", mistakes)
        for index, item in enumerate(items)
    ]
    return converted if len(mistakes.lines) == before else None


def _to_str(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise ValueError("text; put it in quotes to say which text is meant")
    if isinstance(value, (int, float)):
        return str(value)
    raise ValueError("text")


def _to_int(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError("a whole number")
    if isinstance(value, float) and value != int(value):
        raise ValueError("a whole number")
    try:
        return int(value)
    except (ValueError, TypeError):
        raise ValueError("a whole number") from None


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("a number")
    try:
        number = float(value)
    except (ValueError, TypeError):
        raise ValueError("a number") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError("a finite number")
    return number


def _to_bool(value: Any) -> bool:
    known = value.lower().strip() if isinstance(value, str) else value
    if isinstance(known, (str, int, bool)):
        if known in TRUE:
            return True
        if known in FALSE:
            return False
    raise ValueError("true or false")


def _to_list(value: Any) -> list:
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str):
        return [item.strip() for item in value.split(",")] if value else []
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [str(value)]
    raise ValueError("a list")


def _to_dict(value: Any) -> dict:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str) and value.strip().startswith("{"):
        try:
            parsed = json.loads(value)
        except ValueError:
            raise ValueError("a dictionary; the JSON in it is broken") from None
        if isinstance(parsed, dict):
            return parsed
    raise ValueError("a dictionary; write name: value pairs")


CONVERTERS = {
    "str": _to_str,
    "path": lambda value: os.path.expanduser(_to_str(value)),  # as Ansible does with its own options of this type
    "int": _to_int,
    "float": _to_float,
    "bool": _to_bool,
    "list": _to_list,
    "dict": _to_dict,
    "raw": lambda value: value,
}


def read_all(kinds: Mapping[str, Kind], lists: Mapping[str, Sequence], mistakes: Mistakes) -> list[Resource]:
    """Read the lists of a task (networks, volumes, images, containers) and check them against one another."""
    resources: list[Resource] = []
    for plural, kind in kinds.items():
        seen: dict[str, str] = {}
        for index, params in enumerate(lists.get(plural) or ()):
            place = f"{plural}[{index}]"
            given = params.get(kind.key) if isinstance(params, Mapping) else None
            if isinstance(given, str) and given:
                place = f"{plural}.{given}"
                if given in seen:
                    mistakes.add(
                        f"{plural}[{index}].{kind.key}",
                        f"{quote(given)} is there twice, first at {seen[given]}; give each its own",
                    )
                    continue
                seen[given] = f"{plural}[{index}]"
            resource = read(kind, params, place, mistakes)
            if resource is not None:
                resources.append(resource)
    check_cycles(resources, mistakes)
    return resources


def check_cycles(resources: Sequence[Resource], mistakes: Mistakes) -> None:
    """Note a mistake when resources need one another in a circle."""
    declared = {resource.key for resource in resources}
    edges = {resource.key: [need.key for need in resource.needs if need.key in declared] for resource in resources}
    cycle = find_cycle(edges)
    if cycle:
        path = " -> ".join(name for _kind, name in cycle)
        first = next(resource for resource in resources if resource.key == cycle[0])
        mistakes.add(first.place, f"depends on itself: {path}; take one of these dependencies out")
