# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The provider libvirt, as modules use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from .._converge.desired import Mistakes, convert_options, join
from .._converge.errors import SpecError
from .._converge.observed import World
from .._converge.option import Option
from .._converge.plan import Plan, plan
from .._converge.provider import Provider, Session, Task
from . import describe, drivers, machine, network, spec
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
        _refuse(self.driver, task)
        world = self.snapshot(task)
        planned = plan(task.desired, world, task.policy)
        _check(planned, task, world, self.driver)
        return replace(planned, notes=(*planned.notes, *_notes(planned, task, world))), world

    def performer(self, task: Task, world: World) -> Any:
        from .perform import Performer

        return Performer(self.hypervisor)

    def warnings(self, world: World) -> Iterator[str]:
        return iter(())

    def describe(self, world: World, keys: Iterable[tuple]) -> dict[str, dict]:
        return describe.resources(self.hypervisor, world, keys)


def _refuse(driver: drivers.Driver, task: Task) -> None:
    """What this hypervisor cannot do, told before anything is asked of it."""
    mistakes = Mistakes()
    for resource in () if task.policy.absent else task.desired:
        found: list[tuple[str, str]] = []
        if resource.kind is machine.KIND:
            found = drivers.refuse(driver, resource.intent["said"])
        elif resource.kind is network.KIND and resource.intent["state"] != "absent":
            found = drivers.refuse_network(driver)
        for option, sentence in found:
            mistakes.add(join(resource.place, option) if option else resource.place, sentence)
    if mistakes:
        raise SpecError(mistakes.lines)


def _notes(planned: Plan, task: Task, world: World) -> Iterator[str]:
    """Why new machines are emulated that may be run in any way."""
    said = {resource.key: (resource.place, resource.fields.get("accel", "auto")) for resource in task.desired}
    places = sorted(
        said[action.resource][0] or action.resource[1]
        for action in planned.actions
        if (action.kind, action.verb) == ("machine", "create")
        and said[action.resource][1] == "auto"
        and action.payload["body"]["Type"] == "qemu"
    )
    if places:
        yield f"{', '.join(places)}: {world.facts['accelerator_reason']}"


def _check(planned: Plan, task: Task, world: World, driver: drivers.Driver) -> None:
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
        if action.verb == "define" and observed is not None:
            for option, sentence in drivers.refuse_changes(driver, observed.raw["Defined"], action.payload["changes"]):
                mistakes.add(join(places.get(action.resource, ""), option), sentence)
    if mistakes:
        raise SpecError(mistakes.lines)


def _check_new(action: Any, place: str, world: World, mistakes: Mistakes) -> None:
    body = action.payload["body"]
    if not body["Root"] and not body["Boot"]:
        mistakes.add(join(place, "image"), "is missing; a machine starts from an image, or from a kernel named in boot")
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
