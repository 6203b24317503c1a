# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a provider is to a module: where it is reached, what a task of it asks for, and a session with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from .desired import Resource
from .kind import Kind
from .observed import World
from .option import Option
from .plan import Plan
from .policy import Policy


@dataclass(frozen=True)
class Task:
    """``desired`` resources, the ``policy``, ``settings`` of the run, ``warnings`` to give, and what else the result ``tells``."""

    desired: Sequence[Resource]
    policy: Policy
    settings: Mapping[str, Any]
    warnings: Sequence[str] = ()
    tells: Mapping[str, Any] = field(default_factory=dict)


class Session:
    """A connection to what is converged. Each provider has its own.

    ``called``: what is at the other end, in a word. ``kinds``: the kinds of resources, by name.
    """

    called = ""
    kinds: Mapping[str, Kind] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""

    @property
    def identity(self) -> str:
        """What tells the other end from every other one, however it is reached."""
        raise NotImplementedError

    def snapshot(self, task: Task) -> World:
        """What is there now, as far as the task is concerned."""
        raise NotImplementedError

    def look(self, task: Task) -> tuple[Plan, World]:
        """What is there, and what is to be done; raises SpecError when that cannot be done."""
        raise NotImplementedError

    def performer(self, task: Task, world: World) -> Any:
        """What carries out actions: called with one; ``ready()`` and ``tidy()`` as Run and its caller want them."""
        raise NotImplementedError

    def warnings(self, world: World) -> Iterable[str]:
        """What the user should know of what was seen."""
        return ()

    def describe(self, world: World, keys: Iterable[tuple]) -> dict[str, dict]:
        """{"kind/name": facts} of the objects of these keys that are there."""
        raise NotImplementedError


@dataclass(frozen=True)
class Provider:
    """``connection`` and ``task``: rows of a module's options; ``open(params)`` begins a session, ``read_one(kind, own, params)``
    and ``read_lists(params)`` read a task or raise SpecError with every mistake. ``options(kind)``: its rows that are the user's."""

    connection: Sequence[Option]
    task: Sequence[Option]
    open: Callable[[Mapping[str, Any]], Session]
    read_one: Callable[[Kind, Sequence[Option], Mapping[str, Any]], Task]
    read_lists: Callable[[Mapping[str, Any]], Task]
    options: Callable[[Kind], Sequence[Option]] = attrgetter("options")
