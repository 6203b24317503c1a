# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A kind of resource: its rows, what else it needs, and how it may be changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Callable

from .action import Phase
from .option import Option, same


class Replace(Enum):
    """How an object is exchanged for one that differs in a field which cannot change in place."""

    BESIDE = "beside"  # the new one is made beside the old one, takes its name, and the old one goes last
    IN_PLACE = "in place"  # two cannot stand side by side: peers are detached, the object is remade, peers come back
    NEVER = "never"  # it holds data: only when the user names it
    UNUSED = "unused"  # as in place, but only while nobody uses it


@dataclass(frozen=True)
class Need:
    """What must be there first.

    ``strict``: it must be declared or observed, else it is a mistake at ``option``. ``to_start``: it is needed to
    start, not to be made.
    """

    kind: str
    name: str
    strict: bool = False
    to_start: bool = False
    option: str = ""

    @property
    def key(self) -> tuple:
        """The identity of what is needed."""
        return (self.kind, self.name)


@dataclass(frozen=True)
class Step:
    """One call that a kind asks for itself, where create and update do not fit (images are pulled, built, tagged)."""

    verb: str
    words: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    undo: tuple | None = None  # (verb, words, payload)
    phase: Phase | None = None  # None: the phase of what it belongs to


def _nothing(*_args: Any) -> Iterable:
    return ()


def _unconnected(*_args: Any) -> Mapping:
    return {}


def _never(*_args: Any) -> bool:
    return False


def _at_once(*_args: Any) -> float:
    return 0.0


def _unchanged(document: dict, *_args: Any) -> dict:
    return document


@dataclass(frozen=True)
class Kind:
    """A kind of resource.

    - ``labels``: the path of the labels in the create document; ownership is written there. Empty: it can carry none.
    - ``relabels``: the labels of an object that is there are rewritten when what is managed of it changes.
    - ``naming``: the canonical spelling of a name (of an image reference).
    - ``must``: options without which no object can be created.
    - ``needs(spec)`` yields the Needs of one object.
    - ``check(spec)`` yields (option name, sentence) for mistakes that one option alone does not show.
    - ``steps(resource, observed, policy)``: for kinds that are not created and updated: yields (symbol, reason, changes, [Step]).
    - ``runs``: objects of this kind are started and stopped.
    - ``carry(document, observed)``: what a replacement takes over from the old object (anonymous volumes).
    - ``endpoint(observed, peer)``: the settings with which an object is connected to a peer, as a connect takes them.
    - ``grace(observed)``: seconds the object is given to end when it is told to.
    - ``wanted(resource)`` and ``held(observed)``: what only one can hold at a time, as (peer or nothing, what): who takes it waits for
      who gives it up.
    - ``disposable``: removing the object itself loses nothing that its declaration does not bring back.
    - ``making(resource, world)``, ``settling(resource, world)`` and ``removing(observed)``: Steps before an object is created, once it
      is there (of what runs: once it runs and is well), and after it is removed.
    - ``left(observed, world)``: what a later look still shows of what goes with a removed object, in words. ``born``: the path of the time at which
      an object was made, for kinds whose IDs are names.
    - ``fill(document, resource, world)``: the create document with what only the other end can say.
    - ``updates(resource, observed, changes, world, live)``: the Steps that change an object in place, instead of one update; ``live``:
      it runs meanwhile. ``stops(resource, observed, change)``: whether it must not run meanwhile.
    - ``awaited(resource, world)``: what a wait for it must know.
    - ``complete(document, observed)``: fields the engine wants beside those that change in an update.
    - ``fields``: the rows that are sent and compared; ``by_name``: all rows by their names.
    """

    name: str
    options: tuple[Option, ...]
    key: str = "name"
    replace: Replace = Replace.BESIDE
    runs: bool = False
    labels: str = ""
    relabels: bool = False
    naming: Callable[[str], str] = same
    must: tuple[str, ...] = ()
    needs: Callable[[Mapping], Iterable[Need]] = _nothing
    check: Callable[[Mapping], Iterable[tuple[str, str]]] = _nothing
    steps: Callable | None = None
    carry: Callable[..., dict] = _unchanged
    endpoint: Callable[..., Mapping] = _unconnected
    complete: Callable[..., dict] = _unchanged
    disposable: bool = False
    making: Callable[..., Iterable[Step]] = _nothing
    settling: Callable[..., Iterable[Step]] = _nothing
    removing: Callable[..., Iterable[Step]] = _nothing
    left: Callable[[Any, Any], Iterable[str]] = _nothing
    born: str = ""
    fill: Callable[..., dict] = _unchanged
    updates: Callable[..., Iterable[Step]] | None = None
    stops: Callable[..., bool] = _never
    awaited: Callable[..., Mapping] = _unconnected
    grace: Callable[..., float] = _at_once
    wanted: Callable[..., Iterable[tuple]] = _nothing
    held: Callable[..., Iterable[tuple]] = _nothing
    fields: tuple[Option, ...] = field(init=False, repr=False, compare=False, default=())
    by_name: Mapping[str, Option] = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        table: dict[str, Option] = {}
        for option in self.options:
            for name in (option.name, *option.aliases):
                if name in table:
                    raise TypeError(f"kind {self.name}: {name} is there twice")
                table[name] = option
        object.__setattr__(self, "by_name", table)
        object.__setattr__(self, "fields", tuple(option for option in self.options if option.is_field))

    def option(self, name: str) -> Option:
        """Return the row of that name."""
        return self.by_name[name]

    @property
    def holds_data(self) -> bool:
        """Whether something is lost with an object that nothing brings back."""
        return self.replace is Replace.NEVER and not self.disposable

    @property
    def plural(self) -> str:
        """The name of the list of such resources in a task."""
        return self.name + "s"
