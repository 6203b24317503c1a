# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would fail on the way is said before anything is touched."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from .._converge import ports
from .._converge.action import Action
from .._converge.desired import Mistakes, Resource, join, quote
from .._converge.errors import EngineError
from .._converge.observed import World
from .._converge.plan import Plan
from .._converge.provider import Task
from . import drivers, image, machine, network, pool, values
from .hypervisor import Hypervisor


def refuse(driver: drivers.Driver, task: Task) -> None:
    """What this hypervisor cannot do, told before anything is asked of it."""
    mistakes = Mistakes()
    for resource in () if task.policy.absent else task.desired:
        found: list[tuple[str, str]] = []
        if resource.kind is machine.KIND:
            found = drivers.refuse(driver, resource.intent["said"])
        elif resource.kind is network.KIND and resource.intent["state"] != "absent":
            found = drivers.refuse_network(driver)
        elif (
            resource.kind is image.KIND and not resource.intent.get("implicit") and resource.intent["state"] != "absent"
        ):
            found = drivers.refuse_image(driver)
        for option, sentence in found:
            mistakes.add(join(resource.place, option) if option else resource.place, sentence)
    mistakes.refuse()


def refuse_pools(task: Task, world: World) -> None:
    """A pool that is to be made somewhere that nobody here can know."""
    mistakes = Mistakes()
    for resource in task.desired:
        if resource.kind is pool.KIND and not resource.fields.get("path") and world.get(resource.key) is None:
            mistakes.add(
                "pool_path",
                "is missing; a session on another host keeps its files in a home that is not known here, "
                "so write /home/NAME/.local/share/libvirt/images/slipway",
            )
    mistakes.refuse()


def notes(planned: Plan, task: Task, world: World) -> Iterator[str]:
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


def check(hypervisor: Hypervisor, driver: drivers.Driver, planned: Plan, task: Task, world: World) -> None:
    """What can be told before anything is touched, and only from what is there."""
    mistakes = Mistakes()
    desired = {resource.key: resource for resource in task.desired}
    places = {key: resource.place for key, resource in desired.items()}
    known = {item.key: item for item in reversed(world.everything)}  # what is said no more is protected all the same
    for action in planned.actions:
        observed = known.get(action.resource)
        if (
            action.verb in ("remove", "make_root")
            and observed is not None
            and observed.kind is machine.KIND
            and observed.raw.get("Protect")
        ):
            mistakes.add(
                places.get(action.resource) or "/".join(action.resource),
                "is protected; run once with protect: false before it goes, or its root disk does",
            )
        if action.verb == "fetch":
            _check_source(hypervisor, action, join(places.get(action.resource, ""), "source"), mistakes)
        if action.verb == "make_root" and action.payload["capacity"]:
            _check_size(hypervisor, action, desired[action.resource], world, mistakes)
        if action.verb == "create" and action.kind == "machine":
            _check_new(action, places.get(action.resource, ""), world, mistakes)
        if action.verb == "define" and observed is not None:
            for option, sentence in drivers.refuse_changes(driver, observed.raw["Defined"], action.payload["changes"]):
                mistakes.add(join(places.get(action.resource, ""), option), sentence)
    starting = {action.resource for action in planned.actions if action.verb == "start"}
    touched = starting | {action.resource for action in planned.actions if action.verb in ("create", "define")}
    for resource in task.desired:
        if resource.key in starting:
            _check_ports(hypervisor, resource, world.facts["published"], mistakes)
        if resource.key in touched and resource.kind is machine.KIND:
            _check_networks(resource, desired, world, resource.key in starting, mistakes)
            for folder in (resource.fields.get("folders") or {}).values():
                refusal = hypervisor.refusal_of_folder(folder["Source"], folder["ReadOnly"])
                if refusal:
                    mistakes.add(join(resource.place, "folders"), f"{quote(folder['Source'])} {refusal}")
    mistakes.refuse()


def _check_ports(
    hypervisor: Hypervisor, resource: Resource, published: Mapping[str, Sequence[tuple]], mistakes: Mistakes
) -> None:
    """Ports of the host that a machine which starts cannot have; what it has already is its own."""
    for number, card in (resource.fields.get("networks") or {}).items():
        place = join(resource.place, f"networks[{number}].ports")
        for binding in values.taken(card):
            holders = [
                name for name, bindings in published.items() if any(values.meet(binding, item) for item in bindings)
            ]
            if resource.name in holders:
                continue
            text = quote(ports.shown(binding))
            refusal = "" if holders else hypervisor.refusal(binding)
            if holders:
                mistakes.add(
                    place,
                    f"{text} is a port of the host that the machine {holders[0]} has; choose another, or change that one first",
                )
            elif refusal:
                mistakes.add(place, f"{text} is a port of the host that {refusal}")


def _check_networks(
    resource: Resource, desired: Mapping[tuple, Resource], world: World, starts: bool, mistakes: Mistakes
) -> None:
    """Networks that nobody declares and that are off, and addresses that their networks do not have."""
    for number, card in (resource.fields.get("networks") or {}).items():
        if card["Type"] != "network":
            continue
        key = ("network", card["Source"])
        known, said = world.get(key), desired.get(key)
        place = join(resource.place, f"networks[{number}]")
        if starts and said is None and known is not None and not known.raw["Active"]:
            mistakes.add(
                f"{place}.network",
                f"the network {quote(card['Source'])} is not active; run virsh net-start {card['Source']}, or declare it in networks",
            )
        host = (said.fields.get("address") if said else "") or (known.raw["Address"] if known is not None else "")
        if card.get("Address") and host:
            whole = ipaddress.ip_interface(host).network
            if ipaddress.ip_address(card["Address"]) not in whole:
                mistakes.add(
                    f"{place}.address",
                    f"{quote(card['Address'])} is not in the network {card['Source']}, which has {whole}; write one that is",
                )


def _check_source(hypervisor: Hypervisor, action: Action, place: str, mistakes: Mistakes) -> None:
    source, wanted = action.payload["source"], action.payload["digest"]
    if not source:
        mistakes.add(
            place,
            f"is missing; the image {action.resource[1]} is not on this hypervisor yet, so say where it comes from",
        )
        return
    try:
        found = hypervisor.digest(source)
    except EngineError as error:
        mistakes.add(place, f"{error}; write the path of a file on the host where this task runs, or a URL")
        return
    if found not in ("", wanted):
        mistakes.add(
            place,
            f"{quote(source)} has the checksum sha256:{found}, not the one that was said; get the right file, or correct checksum",
        )


def _check_size(hypervisor: Hypervisor, action: Action, resource: Resource, world: World, mistakes: Mistakes) -> None:
    """A root disk that is smaller than what it is made from, as far as that is known before it is fetched."""
    said, held = resource.intent["said"]["image"], world.get(("image", action.payload["digest"][: image.SHORT]))
    if held is not None:
        least = held.raw["Capacity"]
    else:
        try:
            least = hypervisor.capacity_of(said["source"], said["format"]) if said.get("source") else 0
        except EngineError:
            return  # said of the source already
    if action.payload["capacity"] < least:
        mistakes.add(join(resource.place, "size"), image.too_small(action.payload["capacity"], least))


def _check_new(action: Action, place: str, world: World, mistakes: Mistakes) -> None:
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
