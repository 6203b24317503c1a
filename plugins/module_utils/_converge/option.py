# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One row knows an option end to end: its type, where the engine keeps it, how it is written, read and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from .secret import looks_secret

TYPES = ("str", "int", "float", "bool", "list", "dict", "path", "raw")


def same(value: Any) -> Any:
    """Encode or decode nothing."""
    return value


def equal(desired: Any, observed: Any) -> bool:
    """Match when both canonical values are the same."""
    return desired == observed


def any_order(desired: Any, observed: Any) -> bool:
    """Match two lists whose order the engine ignores."""
    return sorted(desired or (), key=repr) == sorted(observed or (), key=repr)


@dataclass(frozen=True)
class Option:
    """A row of a kind.

    ``encode`` turns what the user wrote (already of ``type``) into what the API takes and raises ValueError with a
    sentence that says what is wrong and what to write instead. ``decode`` turns what the API shows into the canonical
    value, so that ``decode(encode(x))`` of ours can be compared with ``decode`` of theirs.

    - ``path``: dotted path in the inspect document; the create document is the same. Empty for an option that steers
      the run and is no field of the object (state, pull, comparisons).
    - ``read`` / ``write``: for the few fields that do not live at one path.
    - ``keyed``: a dictionary whose keys are managed one by one: keys that were never said are left alone.
    - ``update``: the engine can change it on a living object with one ``update`` call; ``resets``: even back to ``unset``.
    - ``derived``: the engine fills it in by itself from another field.
    - ``attach``: a dictionary of peers, changed by connecting and disconnecting them one by one.
    - ``unset``: the canonical value of an object for which nothing was said, reached again when the option is dropped.
    - ``inherits``: the path in the observed object's origin (an image's configuration) whose value stands instead.
    - ``refers``: the value names an object of that kind, whose ID the document shows at ``identity``; two names of one
      object are equal.
    - ``hides``: says of a key of a dictionary whether its value is a secret; ``no_log`` hides the whole value.
    - ``texts``: what of a value must not show up in any message, where names do not say it.
    """

    name: str
    type: str = "str"
    path: str = ""
    encode: Callable[[Any], Any] = same
    decode: Callable[[Any], Any] = same
    matches: Callable[[Any, Any], bool] = equal
    read: Callable[[Mapping], Any] | None = None
    write: Callable[[dict, Any], None] | None = None
    keyed: bool = False
    update: bool = False
    resets: bool = False
    derived: bool = False
    attach: bool = False
    refers: str = ""
    identity: str = ""
    unset: Any = None
    inherits: str = ""
    elements: str = ""
    suboptions: tuple[Option, ...] = ()
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    no_log: bool = False
    hides: Callable[[str], bool] | None = None
    texts: Callable[[Any], Iterable[str]] | None = None

    def __post_init__(self) -> None:
        problems = [
            (self.type not in TYPES, f"type {self.type!r} is not one of {', '.join(TYPES)}"),
            (self.choices and self.type not in ("str", "list"), "choices are for str and list"),
            (self.keyed and self.type not in ("dict", "list"), "keyed is for what becomes a dictionary"),
            (bool(self.refers) != bool(self.identity), "refers and identity come as a pair"),
            (bool(self.read) != bool(self.write), "read and write come as a pair"),
            (bool(self.path) and bool(self.read), "either a path or a pair of functions"),
            (self.is_field and self.default is not None, "a field has no default: not said, not ours"),
            (bool(self.suboptions) and self.elements not in ("", "dict"), "suboptions are for dictionaries"),
        ]
        for wrong, why in problems:
            if wrong:
                raise TypeError(f"option {self.name}: {why}")

    @property
    def is_field(self) -> bool:
        """Whether the option is a field of the object, sent and compared."""
        return bool(self.path or self.read)

    def canonical(self, value: Any) -> Any:
        """Return the comparable form of what the user wrote; raise ValueError when it cannot be."""
        return self.decode(self.encode(value))

    def observe(self, raw: Mapping) -> Any:
        """Return the comparable form of what the engine shows in ``raw``."""
        return self.decode(self.read(raw) if self.read else dig(raw, self.path))

    def put(self, document: dict, encoded: Any) -> None:
        """Place an encoded value in a create or update document."""
        if self.write:
            self.write(document, encoded)
            return
        *parents, last = self.path.split(".")
        for parent in parents:
            document = document.setdefault(parent, {})
        document[last] = encoded

    def spec(self) -> dict:
        """Return the option's entry in an Ansible argument_spec."""
        entry = {"type": self.type}
        for key in ("elements", "default"):
            if getattr(self, key) not in ("", None):
                entry[key] = getattr(self, key)
        if self.type == "list" and "elements" not in entry:
            entry["elements"] = "str"
        if self.suboptions:
            entry["options"] = argument_spec(self.suboptions)
        if self.choices:
            entry["choices"] = list(self.choices)
        if self.aliases:
            entry["aliases"] = list(self.aliases)
        if self.required:
            entry["required"] = True
        if self.no_log:
            entry["no_log"] = True
        elif looks_secret(self.name):
            entry["no_log"] = False
        return entry


def argument_spec(options: tuple[Option, ...]) -> dict:
    """Return the Ansible argument_spec of some rows."""
    return {option.name: option.spec() for option in options}


def dig(raw: Any, path: str) -> Any:
    """Follow a dotted path into nested mappings; None where it ends early."""
    for part in path.split("."):
        if not isinstance(raw, Mapping):
            return None
        raw = raw.get(part)
    return raw
