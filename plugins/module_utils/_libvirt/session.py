# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The provider libvirt, as modules use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._converge.desired import Mistakes, convert_options, join
from .._converge.errors import SpecError
from .._converge.observed import World
from .._converge.option import Option
from .._converge.plan import Plan, plan
from .._converge.provider import Provider, Session, Task
from . import describe, machine, spec
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

    def look(self, task: Task) -> tuple[Plan, World]:
        world = self.snapshot(task)
        planned = plan(task.desired, world, task.policy)
        _check(planned, task, world)
        return planned, world

    def performer(self, task: Task, world: World) -> Any:
        from .perform import Performer

        return Performer(self.hypervisor)

    def warnings(self, world: World) -> Iterator[str]:
        return iter(())

    def describe(self, world: World, keys: Iterable[tuple]) -> dict[str, dict]:
        return describe.resources(self.hypervisor, world, keys)


def _check(planned: Plan, task: Task, world: World) -> None:
    """What can be told before anything is touched, and only from what is there."""
    mistakes = Mistakes()
    places = {resource.key: resource.place for resource in task.desired}
    for action in planned.actions:
        observed = world.get(action.resource)
        if (
            action.verb == "remove"
            and observed is not None
            and observed.kind is machine.KIND
            and observed.raw.get("Protect")
        ):
            mistakes.add(
                places.get(action.resource) or "/".join(action.resource),
                "is protected; run once with protect: false before it goes",
            )
        if action.verb == "fetch" and not action.payload["source"]:
            mistakes.add(
                join(places.get(action.resource, ""), "source"),
                f"is missing; the image {action.resource[1]} is not on this hypervisor yet, so say where it comes from",
            )
        if action.verb == "create" and action.kind == "machine":
            _check_new(action, places.get(action.resource, ""), world, mistakes)
    if mistakes:
        raise SpecError(mistakes.lines)


def _check_new(action: Any, place: str, world: World, mistakes: Mistakes) -> None:
    body = action.payload["body"]
    addresses = [card["Source"] for card in body["Interfaces"].values() if card.get("Address")]
    for source in addresses:
        known = world.get(("network", source))
        if known is not None and not known.raw.get("Dhcp"):
            mistakes.add(
                join(place, "networks"),
                f"the network {source} gives no addresses by DHCP, so none can be reserved; leave address out",
            )


def uri(params: Mapping[str, Any]) -> str:
    """The hypervisor's address from a task's options."""
    mistakes = Mistakes()
    values = convert_options(CONNECTION, {key: params[key] for key in ("uri",) if key in params}, "", mistakes)
    if mistakes:
        raise SpecError(mistakes.lines)
    return values["uri"]


LIBVIRT = Provider(
    connection=CONNECTION,
    task=spec.TASK,
    open=lambda params: HypervisorSession(Hypervisor(uri(params))),
    read_one=lambda kind, own, params: spec.read_one(kind, own, params, CONNECTION),
    read_lists=lambda params: spec.read_lists(params, CONNECTION),
)
