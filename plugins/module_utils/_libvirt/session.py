# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The provider libvirt, as modules use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from .._converge.desired import read_options
from .._converge.errors import SpecError
from .._converge.observed import World
from .._converge.option import Option
from .._converge.plan import Plan, plan
from .._converge.provider import Provider, Session, Task
from . import describe, drivers, precheck, spec
from .hypervisor import Hypervisor
from .snapshot import snapshot

URI = "qemu:///system"
CONNECTION = (Option("uri", "str", default=URI),)


class HypervisorSession(Session):
    """A session with one hypervisor."""

    called = "hypervisor"
    kinds = spec.KINDS

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor

    def close(self) -> None:
        self.hypervisor.close()

    @property
    def identity(self) -> str:
        return f"{self.hypervisor.host} {self.hypervisor.uri.partition('?')[0]}"

    def snapshot(self, task: Task) -> World:
        return snapshot(self.hypervisor, task.desired, task.policy)

    @cached_property
    def driver(self) -> drivers.Driver:
        """What this hypervisor can do."""
        try:
            return drivers.driver_of(self.hypervisor.uri, self.hypervisor.capabilities)
        except ValueError as error:
            raise SpecError([f"uri: {error}"]) from None

    def look(self, task: Task) -> tuple[Plan, World]:
        precheck.refuse(self.driver, task)
        world = self.snapshot(task)
        precheck.refuse_pools(task, world)
        planned = plan(task.desired, world, task.policy)
        precheck.check(self.hypervisor, self.driver, planned, task, world)
        return replace(planned, notes=(*planned.notes, *precheck.notes(planned, task, world))), world

    def performer(self, task: Task, world: World) -> Any:
        from .perform import Performer

        return Performer(self.hypervisor)

    def warnings(self, world: World) -> Iterator[str]:
        return iter(())

    def describe(self, world: World, keys: Iterable[tuple]) -> dict[str, dict]:
        return describe.resources(self.hypervisor, world, keys)


def uri(params: Mapping[str, Any]) -> str:
    """The hypervisor's address from a task's options."""
    return read_options(CONNECTION, params)["uri"]


LIBVIRT = Provider(
    connection=CONNECTION,
    task=spec.TASK,
    options=spec.options_of,
    open=lambda params: HypervisorSession(Hypervisor(uri(params))),
    read_one=lambda kind, own, params: spec.read_one(kind, own, params, CONNECTION),
    read_lists=lambda params: spec.read_lists(params, CONNECTION),
)
