# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The provider Docker, as modules use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._converge.desired import read_options
from .._converge.observed import World
from .._converge.plan import Plan, plan
from .._converge.provider import Provider, Session, Task
from . import connection, describe, spec
from .engine import Engine
from .snapshot import snapshot


class EngineSession(Session):
    """A session with one engine."""

    called = "engine"
    kinds = spec.KINDS

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def close(self) -> None:
        self.engine.close()

    @property
    def identity(self) -> str:
        return self.engine.identity

    def snapshot(self, task: Task) -> World:
        return snapshot(self.engine, task.desired, task.policy)

    def look(self, task: Task) -> tuple[Plan, World]:
        world = self.snapshot(task)
        planned = plan(task.desired, world, task.policy)
        if planned.actions:
            from . import precheck

            precheck.check(self.engine, planned, task.desired, world)
        return planned, world

    def performer(self, task: Task, world: World) -> Any:
        from .perform import Performer
        from .secret_store import Store

        return Performer(self.engine, Store(self.engine, task.policy.project, task.settings.get("secrets_dir"), world))

    def warnings(self, world: World) -> Iterator[str]:
        for reference, why in (world.facts.get("unasked") or {}).items():
            if ("image", reference) in world.objects:
                yield f"the registry could not be asked for {reference}, so the image that is here counts: {why}"

    def describe(self, world: World, keys: Iterable[tuple]) -> dict[str, dict]:
        return describe.resources(world, keys)


def address(params: Mapping[str, Any]) -> connection.Address:
    """The engine's address from a task's options."""
    return connection.resolve(read_options(connection.OPTIONS, params))


DOCKER = Provider(
    connection=connection.OPTIONS,
    task=spec.TASK,
    open=lambda params: EngineSession(Engine(address(params))),
    read_one=lambda kind, own, params: spec.read_one(kind, own, params, connection.OPTIONS),
    read_lists=lambda params: spec.read_lists(params, connection.OPTIONS),
)
