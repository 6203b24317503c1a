# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a machine is made: its root disk, its seed, its definition, and what goes when it goes. Pure: steps, not calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._converge.action import Phase
from .._converge.desired import Resource
from .._converge.errors import SpecError
from .._converge.kind import Step
from .._converge.observed import Observed, World
from . import address, image, names, values


def generation(world: World, resource: Resource) -> int:
    """Which root disk this machine is at: 1 for the first, one more with each rebuild. A label may be lost, the disk's name is not."""
    observed = world.get(resource.key)
    if observed is None:
        return 1
    volume = names.volume_of((observed.raw.get("Root") or {}).get("Path") or "", world.facts["project"])
    return (volume.generation if volume else 0) or int((observed.raw.get("Labels") or {}).get(names.GENERATION) or 1)


class Place:
    """Where a machine's files are."""

    def __init__(self, resource: Resource, world: World) -> None:
        self.directory = world.facts["pools"][resource.intent["pool"]]
        self.project, self.machine = world.facts["project"], resource.name

    def volume(self, part: str, form: str) -> str:
        """The path of one of its volumes."""
        return f"{self.directory}/{names.volume(self.project, self.machine, part, form)}"

    def image(self, digest: str, form: str) -> str:
        """The path of a base image."""
        return f"{self.directory}/{names.image(digest, form)}"


def root_document(resource: Resource, world: World, generation: int) -> dict[str, Any]:
    place = Place(resource, world)
    return {"Path": place.volume(f"{names.ROOT}{generation}", "qcow2"), "Format": "qcow2"}


def make_root(resource: Resource, world: World, generation: int, phase: Phase | None = None) -> Step:
    place = Place(resource, world)
    root = root_document(resource, world, generation)
    said = resource.intent["said"]["image"]
    payload = {
        **root,
        "capacity": resource.fields.get("size"),
        "backing": place.image(resource.body["Image"], said["format"]),
        "backing_format": said["format"],
        "digest": resource.body["Image"],
    }
    words = f"make the root disk of {resource.name} from the image {resource.fields['image'][: image.SHORT]}"
    undo = ("remove_volume", f"remove the root disk of {resource.name}", {"path": root["Path"]})
    return Step("make_root", words, payload, undo, phase)


def write_seed(resource: Resource, world: World) -> Step:
    """The seed is made with a new host key, so a new one makes cloud-init take the machine for a new one."""
    path = Place(resource, world).volume(names.SEED, "iso")
    payload = {"path": path, "seed": resource.intent.get("seed") or {}, "hostname": resource.name}
    undo = ("remove_volume", f"remove the seed of {resource.name}", {"path": path})
    return Step("write_seed", f"write the seed of {resource.name}", payload, undo)


def making(resource: Resource, world: World) -> Iterator[Step]:
    """What comes before its definition. A root disk that is there already, of a machine that is gone, is kept."""
    if "image" in resource.fields and not kept_root(resource, world):
        yield make_root(resource, world, 1)
    yield write_seed(resource, world)
    for place, card in (resource.fields.get("networks") or {}).items():
        if card.get("Address"):
            yield reserve(resource, world, place, card)


def kept_root(resource: Resource, world: World) -> Mapping[str, Any]:
    """The root disk that a machine has left behind which is itself gone; empty when there is none."""
    remains = world.remains.get(resource.key)
    root = (remains.raw.get("Root") if remains else None) or {}
    if root and names.digest_of(root["Backing"]) != resource.body.get("Image"):
        raise SpecError(
            [
                f"{resource.place}: the machine is gone, and its root disk {root['Path']} is there and made from another image; "
                f"say state: absent to remove what is left of it, or give it the image it had"
            ]
        )
    return root


def reserve(resource: Resource, world: World, place: str, card: Mapping) -> Step:
    payload = {
        "network": card["Source"],
        "mac": card.get("Mac") or names.mac(identity(resource, world), place),
        "address": card["Address"],
        "name": resource.name,
    }
    words = f"reserve {card['Address']} for {resource.name} in the network {card['Source']}"
    return Step("reserve", words, payload, ("release", f"release {card['Address']}", payload))


def identity(resource: Resource, world: World) -> str:
    observed = world.get(resource.key)
    return (
        observed.raw["UUID"]
        if observed is not None
        else names.identity(world.facts["host"], "machine", world.facts["project"], resource.name)
    )


def fill(document: dict, resource: Resource, world: World) -> dict:
    """The whole of a new machine: what was said, and for the rest what suits."""
    place = Place(resource, world)
    identity = names.identity(world.facts["host"], "machine", world.facts["project"], resource.name)
    boot = document.get("Boot") or {}
    accelerator = document.get("Type") or "auto"
    filled = {
        **document,
        "Name": resource.name,
        "UUID": identity,
        "Type": world.facts["accelerator"] if accelerator == "auto" else accelerator,
        "Arch": world.facts["arch"],
        "MachineType": document.get("MachineType") or world.facts["machine_type"],
        "MemoryMax": document.get("MemoryMax") or document.get("Memory"),
        "CpusMax": document.get("CpusMax") or document.get("Cpus", 1),
        "Cpus": document.get("Cpus", 1),
        "Firmware": document.get("Firmware", "bios"),
        "Boot": {**boot, **{key: place.image(boot[key], "raw") for key in ("kernel", "initrd") if boot.get(key)}},
        "Root": {},
        "Disks": {
            name: disk_document(resource, world, name, said) for name, said in (document.get("Disks") or {}).items()
        },
        "Seed": place.volume(names.SEED, "iso"),
        "Interfaces": {
            number: {**card, "Mac": card.get("Mac") or names.mac(identity, number)}
            for number, card in (document.get("Interfaces") or {}).items()
        },
        "Folders": values.handed_in(document.get("Folders") or {}, {}, world.facts["folder_way"]),
        "FreePages": world.facts["free_pages"],
        "Agent": document.get("Agent", True),
        "Serial": place.volume(names.CONSOLE, "log"),
    }
    filled["Cpu"] = document.get("Cpu") or ("maximum" if filled["Type"] == "qemu" else "host-passthrough")
    generation = 1
    if "image" in resource.fields:
        kept = kept_root(resource, world)
        filled["Root"] = {key: kept[key] for key in ("Path", "Format")} if kept else root_document(resource, world, 1)
        generation = names.volume_of(filled["Root"]["Path"], place.project).generation
    filled["Labels"] = {**(document.get("Labels") or {}), **facts_as_labels(resource, generation)}
    return filled


def facts_as_labels(resource: Resource, generation: int) -> dict[str, str]:
    found = {names.USER: (resource.intent.get("seed") or {}).get("user") or "root", names.GENERATION: str(generation)}
    if "image" in resource.fields:
        found[names.IMAGE] = "sha256:" + resource.body["Image"]
    if resource.fields.get("protect"):
        found[names.PROTECT] = "true"
    return found


def disk_document(resource: Resource, world: World, name: str, said: Mapping) -> dict[str, Any]:
    path = Place(resource, world).volume(f"{names.DISK}{name}", said["Format"])
    return {"Path": path, "Format": said["Format"], "Bus": said["Bus"], "Serial": name}


def _first_start_lies_ahead(resource: Resource, world: World) -> bool:
    observed = world.get(resource.key)
    if observed is None or observed.health == "starting":
        return True
    return _is_remade(resource, observed)


def _is_remade(resource: Resource, observed: Observed) -> bool:
    return "image" in resource.fields and observed.raw.get("Image") != resource.body["Image"]


def settling(resource: Resource, world: World) -> Iterator[Step]:
    """The seed holds secrets, so it goes as soon as it has done its work. A system that runs from RAM needs it at every start."""
    if rung(resource, world) == "ssh" and "image" in resource.fields and _first_start_lies_ahead(resource, world):
        path = Place(resource, world).volume(names.SEED, "iso")
        yield Step("eject_seed", f"take the seed out of {resource.name}", {"path": path}, phase=Phase.FINAL)
        yield Step("remove_volume", f"remove the seed of {resource.name}", {"path": path}, phase=Phase.FINAL)


def removing(observed: Observed) -> Iterator[Step]:
    for path in observed.raw.get("Volumes") or ():
        yield Step("remove_volume", f"remove {path.rpartition('/')[2]}", {"path": path})
    for card in (observed.raw.get("Interfaces") or {}).values():
        if card.get("Address"):
            payload = {"network": card["Source"], "mac": card["Mac"], "address": card["Address"], "name": observed.name}
            yield Step("release", f"release {card['Address']} in the network {card['Source']}", payload)


def left(observed: Observed, world: World) -> Iterator[str]:
    """Of what goes with a machine, see removing, what is there all the same. The card's address may be another machine's by now."""
    for path in observed.raw.get("Volumes") or ():
        if path in world.facts["volumes"]:
            yield f"the volume {path}"
    for card in (observed.raw.get("Interfaces") or {}).values():
        reserved = (world.facts["reservations"].get(card.get("Source")) or {}).get(card.get("Mac")) or {}
        if card.get("Address") and (reserved.get("Ip"), reserved.get("Name")) == (card["Address"], observed.name):
            yield f"the reservation of {card['Address']} in the network {card['Source']}"


def rung(resource: Resource, world: World) -> str:
    """How far a machine is waited for: as it was said, else until SSH where there is a way in and a host key of ours that proves it."""
    if resource.intent.get("wait_for"):
        return str(resource.intent["wait_for"])
    observed = world.get(resource.key)
    raw = observed.raw if observed is not None else {}
    cards = resource.fields.get("networks") or raw.get("Interfaces") or {}
    way_in = address.outside(cards) or address.forwarded(cards)
    keyed = observed is None or _is_remade(resource, observed) or names.HOST_KEY in (raw.get("Labels") or {})
    return "ssh" if way_in and keyed else "running"


def awaited(resource: Resource, world: World) -> dict[str, Any]:
    last = rung(resource, world)
    words = {"none": "is started", "running": "runs", "address": "has an address", "ssh": "answers on SSH"}[last]
    cards = resource.fields.get("networks") or {}
    return {
        "words": words,
        "rung": last,
        "deadline": resource.intent.get("timeout"),
        "addresses": [card["Address"] for card in cards.values() if card.get("Address")],
        "console": Place(resource, world).volume(names.CONSOLE, "log"),
    }
