# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file as a document: read, written, merged with what is declared, and compared key by key. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .._converge.action import Change, Reason
from .._converge.secret import looks_secret, mask

Document = Mapping[str, Any]
# Keys whose dictionaries are shown entry by entry.
DEEP = ("log-opts", "proxies", "features")


class Broken(Exception):
    """The file is not a JSON object; the message says where it ends to be one."""


def parse(content: bytes | None) -> dict[str, Any]:
    """The document in a file's content; none, and nothing, is an empty one, as the daemon has it."""
    if content is None or not content.strip():
        return {}
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}" if hasattr(error, "lineno") else str(error)
        raise Broken(f"is not JSON ({where})") from None
    if not isinstance(document, dict):
        raise Broken("is not a JSON object")
    return document


def readable(content: bytes | None) -> dict[str, Any]:
    """The document in a file's content, an empty one where it is broken: a daemon started with that at least comes up."""
    try:
        return parse(content)
    except Broken:
        return {}


def encode(document: Document) -> bytes:
    """A document as the content of a file, in the order of its keys."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Wanted:
    """What the task asks of the file: ``declared`` keys, whether it holds nothing else, whether our keys are to go."""

    declared: Document
    exclusive: bool = False
    absent: bool = False


def merge(before: Document, wanted: Wanted, managed: Collection[str]) -> dict[str, Any]:
    """The document as it should be. A key is ours whole; keys keep their place, new ones come behind.

    ``managed``: the keys that were declared before, of which those that are not any more go.
    """
    if wanted.absent:
        gone = {*managed, *wanted.declared}
        return {} if wanted.exclusive else {name: value for name, value in before.items() if name not in gone}
    dropped = set(before) if wanted.exclusive else set(managed)
    kept = {name: value for name, value in before.items() if name in wanted.declared or name not in dropped}
    return {**kept, **wanted.declared}


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; unlike in Python, true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def differing(before: Document, after: Document) -> list[str]:
    """The keys whose values differ, sorted."""
    return sorted(
        name
        for name in {*before, *after}
        if (name in before) != (name in after) or not same(before.get(name), after.get(name))
    )


def changes(before: Document, after: Document, managed: Collection[str]) -> tuple[Change, ...]:
    """What differs, as a plan shows it; ``managed``: keys of ours, which are dropped where others are just removed."""
    return tuple(change for name in differing(before, after) for change in _of_key(name, before, after, managed))


def _of_key(name: str, before: Document, after: Document, managed: Collection[str]) -> Iterator[Change]:
    old, new = before.get(name), after.get(name)
    if name in DEEP and isinstance(old or {}, Mapping) and isinstance(new or {}, Mapping) and name in after:
        entries = {*(old or {}), *(new or {})}
        found = [(f"{name}.{entry}", (old or {}).get(entry), (new or {}).get(entry)) for entry in sorted(entries)]
        found = [item for item in found if not same(item[1], item[2])] or [(name, old, new)]
    else:
        found = [(name, old, new)]
    dropped = name not in after and name in managed
    for field, one, other in found:
        yield Change(
            field=field,
            before=one,
            after=other,
            dropped=dropped,
            reason=Reason.DROPPED if dropped else Reason.CHANGED,
            secret=_hides(field, one, other),
            option=name,
        )


def _hides(field: str, one: Any, other: Any) -> bool:
    """Whether values are secret by their name, or differ in nothing else than what is masked."""
    if looks_secret(field.rpartition(".")[2]):
        return True
    return one is not None and other is not None and mask(json.dumps(one)) == mask(json.dumps(other))


def flat(document: Document) -> dict[str, Any]:
    """All values by their own names, however deep."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        found.update(flat(value) if isinstance(value, Mapping) else {name: value})
    return found
