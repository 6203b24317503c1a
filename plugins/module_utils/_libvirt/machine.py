# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a machine: a virtual machine with its root disk, seed and address, and how each of its fields may change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._converge.action import Change, Phase
from .._converge.desired import Resource, join, quote
from .._converge.errors import SpecError
from .._converge.kind import Kind, Need, Replace, Step
from .._converge.observed import Observed, World
from .._converge.option import Option
from .._converge.ownership import labels_of
from .._converge.units import size
from . import disk, image, names

OWN = "slipway."  # labels of ours begin so
IMAGE, USER, HOST_KEY, GENERATION, PROTECT = (
    OWN + word for word in ("image", "user", "host-key", "generation", "protect")
)
ACCELERATORS = {"kvm": "kvm", "tcg": "qemu", "hvf": "hvf"}
BUSES = ("virtio", "scsi", "sata")
WAITS = ("none", "running", "address", "ssh")
LEAST_MEMORY = 32 << 20
MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
BOOT_IMAGE = (Option("source", "path"), Option("checksum", required=True))
BOOT = (
    Option("kernel", "dict", suboptions=BOOT_IMAGE, required=True),
    Option("initrd", "dict", suboptions=BOOT_IMAGE),
    Option("cmdline", "str", default=""),
)
IMAGE_OF = (*BOOT_IMAGE, Option("format", choices=image.FORMATS, default="qcow2"))
DISK = (
    Option("name", required=True),
    Option("size", "str", required=True),
    Option("bus", choices=BUSES, default="virtio"),
    Option("format", choices=disk.FORMATS, default="qcow2"),
)
CARD = (
    Option("network", "str"),
    Option("bridge", "str"),
    Option("mac", "str"),
    Option("address", "str"),
    Option("model", "str", default="virtio"),
)
SEED = (
    Option("hostname", "str"),
    Option("user", "str", default="root"),
    Option("ssh_keys", "list"),
    Option("user_data", "dict"),
    Option("network_config", "dict"),
)


# -- values ---------------------------------------------------------------------------------------------------------------


def _memory(value: Any) -> int:
    number = size(value)
    if number < LEAST_MEMORY:
        raise ValueError(f"{quote(value)} is less than any system needs; write 512m or 2g")
    return -(-number // 1024) * 1024


def _count(value: int) -> int:
    if not 1 <= value <= 512:
        raise ValueError(f"{value} is not a number of processors from 1 to 512")
    return value


def _boot(value: Mapping) -> dict[str, str]:
    found = {"Kernel": image.digest(value["kernel"]["checksum"]), "Cmdline": " ".join(value["cmdline"].split())}
    if value.get("initrd"):
        found["Initrd"] = image.digest(value["initrd"]["checksum"])
    return found


def _boot_matches(desired: Mapping, observed: Mapping | None) -> bool:
    return all((observed or {}).get(key, "") == desired.get(key, "") for key in ("Kernel", "Initrd", "Cmdline"))


def _disks(items: Sequence[Mapping]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for item in items:
        name = names.label(item["name"])
        if name in found:
            raise ValueError(f"{quote(name)} is there twice; give each disk its own name")
        disk.capacity(item["size"])
        found[name] = {"Bus": item["bus"], "Format": item["format"]}
    return found


def _disks_back(value: Mapping | None) -> dict[str, dict]:
    return {name: {key: item.get(key) for key in ("Bus", "Format")} for name, item in (value or {}).items()}


def _cards(items: Sequence[Mapping]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for index, item in enumerate(items):
        if bool(item.get("network")) == bool(item.get("bridge")):
            raise ValueError(f"card {index} needs either a network or a bridge; write network: default")
        card = {
            "Type": "network" if item.get("network") else "bridge",
            "Source": item.get("network") or item["bridge"],
            "Model": item["model"],
        }
        if item.get("mac"):
            card["Mac"] = item["mac"].lower()
            if not MAC.fullmatch(card["Mac"]) or int(card["Mac"][:2], 16) & 1:
                raise ValueError(
                    f"{quote(item['mac'])} is not a card's address; write 52:54:00:12:34:56, or leave mac out"
                )
        if item.get("address"):
            if not item.get("network"):
                raise ValueError("address is given by the network's DHCP; it goes with network, not with bridge")
            card["Address"] = _address(item["address"])
        found[str(index)] = card
    return found


def _address(value: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{quote(value)} is not an address; write 192.168.90.10") from None


def _cards_match(desired: Mapping, observed: Mapping | None) -> bool:
    """The same cards in the same places, each with what was said of it."""
    observed = observed or {}
    return set(desired) == set(observed) and not any(
        _card_differs(desired[place], observed[place]) for place in desired
    )


def _card_differs(desired: Mapping, observed: Mapping) -> bool:
    return any(observed.get(key) != value for key, value in desired.items())


def _cards_back(value: Mapping | None) -> dict[str, dict]:
    kept = ("Type", "Source", "Mac", "Model", "Address")
    return {place: {key: card[key] for key in kept if card.get(key)} for place, card in (value or {}).items()}


def _labels(value: Mapping) -> dict[str, str]:
    for key in value:
        if str(key).startswith(OWN):
            raise ValueError(f"{quote(key)} begins with {OWN}, which is kept for ourselves; use another name")
    return {str(key): str(item) for key, item in value.items()}


def _own_labels_out(value: Mapping | None) -> dict[str, str]:
    return {key: item for key, item in (value or {}).items() if not key.startswith(OWN)}


def _accelerator(value: str) -> str:
    return ACCELERATORS.get(value, value)


def _accelerator_matches(desired: str, observed: str) -> bool:
    return desired in ("auto", observed)


# -- what one option alone does not show ------------------------------------------------------------------------------------


def _check(spec: Mapping) -> Iterator[tuple[str, str]]:
    try:
        names.label(spec["name"])
    except ValueError as error:
        yield "name", str(error)
    if not spec.get("image") and not spec.get("boot") and spec["state"] != "absent":
        yield "image", "is missing; a machine starts from an image, or from a kernel named in boot"
    for place, said in _images(spec):
        for option, sentence in image.check({**said, "format": said.get("format")}):
            yield f"{place}.{option}", sentence
    if spec.get("size") and not spec.get("image"):
        yield "size", "is the size of the root disk, which is made from image; add image, or leave size out"
    for name in ("memory", "cpus"):
        most = spec.get(name + "_max")
        if most and spec.get(name):
            encode = _memory if name == "memory" else _count
            if encode(spec[name]) > encode(most):
                yield name, f"{quote(spec[name])} is more than {name}_max ({most}); raise {name}_max"
        elif most:
            yield name + "_max", f"goes with {name}; add {name}"
    if spec.get("wait_for") == "ssh" and spec["state"] != "absent" and not spec.get("networks"):
        yield "wait_for", "ssh needs a network; add networks, or say wait_for: running"
    if spec.get("timeout") is not None and spec["timeout"] <= 0:
        yield "timeout", f"{spec['timeout']:g} is not a number of seconds above 0; write 300"


def _images(spec: Mapping) -> Iterator[tuple[str, Mapping]]:
    if spec.get("image"):
        yield "image", spec["image"]
    for part in ("kernel", "initrd"):
        if (spec.get("boot") or {}).get(part):
            yield f"boot.{part}", spec["boot"][part]


def images(spec: Mapping) -> list[dict[str, Any]]:
    """The base images that a machine is made from, as options of the kind image."""
    return [{"format": "raw", **said} for _place, said in _images(spec)]


def _needs(spec: Mapping) -> Iterator[Need]:
    if spec["state"] == "absent":
        return
    yield Need("pool", spec["pool"])
    for said in images(spec):
        yield Need("image", said["checksum"].rpartition(":")[2].lower()[: image.SHORT])
    for item in spec.get("disks") or ():
        yield Need("disk", f"{spec['name']}/{item['name']}")
    for index, card in enumerate(spec.get("networks") or ()):
        if card.get("network"):
            yield Need("network", card["network"], strict=True, option=f"networks[{index}].network")


# -- making ---------------------------------------------------------------------------------------------------------------


def _generation(world: World, resource: Resource) -> int:
    """Which root disk this machine is at: 1 for the first, one more with each rebuild."""
    observed = world.get(resource.key)
    return int((observed.raw.get("Labels") or {}).get(GENERATION) or 1) if observed is not None else 1


class _Place:
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


def _root(resource: Resource, world: World, generation: int) -> dict[str, Any]:
    place = _Place(resource, world)
    return {"Path": place.volume(f"root-{generation}", "qcow2"), "Format": "qcow2"}


def _make_root(resource: Resource, world: World, generation: int, phase: Phase | None = None) -> Step:
    place = _Place(resource, world)
    root = _root(resource, world, generation)
    said = resource.intent["image_said"]
    payload = {
        **root,
        "capacity": resource.fields.get("size"),
        "backing": place.image(resource.fields["image"], said["format"]),
        "backing_format": said["format"],
        "digest": resource.fields["image"],
    }
    words = f"make the root disk of {resource.name} from the image {resource.fields['image'][: image.SHORT]}"
    undo = ("remove_volume", f"remove the root disk of {resource.name}", {"path": root["Path"]})
    return Step("make_root", words, payload, undo, phase)


def _write_seed(resource: Resource, world: World, generation: int) -> Step:
    path = _Place(resource, world).volume("seed", "iso")
    payload = {
        "path": path,
        "seed": resource.intent.get("seed") or {},
        "hostname": resource.name,
        "generation": generation,
    }
    return Step(
        "write_seed",
        f"write the seed of {resource.name}",
        payload,
        ("remove_volume", f"remove the seed of {resource.name}", {"path": path}),
    )


def _making(resource: Resource, world: World) -> Iterator[Step]:
    remains = world.remains.get(resource.key)
    if "image" in resource.fields and not (remains and remains.raw.get("Root")):
        yield _make_root(resource, world, 1)
    yield _write_seed(resource, world, 1)
    for place, card in (resource.fields.get("networks") or {}).items():
        if card.get("Address"):
            yield _reserve(resource, world, place, card)


def _reserve(resource: Resource, world: World, place: str, card: Mapping) -> Step:
    payload = {
        "network": card["Source"],
        "mac": card.get("Mac") or names.mac(_identity(resource, world), place),
        "address": card["Address"],
        "name": resource.name,
    }
    words = f"reserve {card['Address']} for {resource.name} in the network {card['Source']}"
    return Step("reserve", words, payload, ("release", f"release {card['Address']}", payload))


def _identity(resource: Resource, world: World) -> str:
    observed = world.get(resource.key)
    return (
        observed.raw["UUID"]
        if observed is not None
        else names.identity(world.facts["host"], "machine", world.facts["project"], resource.name)
    )


def _fill(document: dict, resource: Resource, world: World) -> dict:
    """The whole of a new machine: what was said, and for the rest what suits."""
    place, remains = _Place(resource, world), world.remains.get(resource.key)
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
        "Boot": {**boot, **{key: place.image(boot[key], "raw") for key in ("Kernel", "Initrd") if boot.get(key)}},
        "Root": {},
        "Disks": {
            name: _disk_document(resource, world, name, said) for name, said in (document.get("Disks") or {}).items()
        },
        "Seed": place.volume("seed", "iso"),
        "Interfaces": {
            number: {**card, "Mac": card.get("Mac") or names.mac(identity, number)}
            for number, card in (document.get("Interfaces") or {}).items()
        },
        "Agent": document.get("Agent", True),
        "Serial": place.volume("console", "log"),
    }
    filled["Cpu"] = document.get("Cpu") or ("maximum" if filled["Type"] == "qemu" else "host-passthrough")
    if "image" in resource.fields:
        filled["Root"] = (
            {key: remains.raw["Root"][key] for key in ("Path", "Format")}
            if remains and remains.raw.get("Root")
            else _root(resource, world, 1)
        )
    filled["Labels"] = {**(document.get("Labels") or {}), **_facts_as_labels(resource, 1)}
    return filled


def _facts_as_labels(resource: Resource, generation: int) -> dict[str, str]:
    found = {USER: (resource.intent.get("seed") or {}).get("user") or "root", GENERATION: str(generation)}
    if "image" in resource.fields:
        found[IMAGE] = "sha256:" + resource.fields["image"]
    if resource.fields.get("protect"):
        found[PROTECT] = "true"
    return found


def _disk_document(resource: Resource, world: World, name: str, said: Mapping) -> dict[str, Any]:
    path = _Place(resource, world).volume(f"disk-{name}", said["Format"])
    return {"Path": path, "Format": said["Format"], "Bus": said["Bus"], "Serial": name}


def _first_start_lies_ahead(resource: Resource, world: World) -> bool:
    observed = world.get(resource.key)
    if observed is None or observed.health == "starting":
        return True
    return "image" in resource.fields and observed.raw.get("Image") != resource.fields["image"]


def _settling(resource: Resource, world: World) -> Iterator[Step]:
    """The seed holds secrets, so it goes as soon as it has done its work."""
    if resource.intent.get("wait_for") == "ssh" and _first_start_lies_ahead(resource, world):
        path = _Place(resource, world).volume("seed", "iso")
        yield Step("eject_seed", f"take the seed out of {resource.name}", {"path": path}, phase=Phase.FINAL)
        yield Step("remove_volume", f"remove the seed of {resource.name}", {"path": path}, phase=Phase.FINAL)


def _removing(observed: Observed) -> Iterator[Step]:
    for path in observed.raw.get("Volumes") or ():
        yield Step("remove_volume", f"remove {path.rpartition('/')[2]}", {"path": path})
    for card in (observed.raw.get("Interfaces") or {}).values():
        if card.get("Address"):
            payload = {"network": card["Source"], "mac": card["Mac"], "address": card["Address"], "name": observed.name}
            yield Step("release", f"release {card['Address']} in the network {card['Source']}", payload)


def _awaited(resource: Resource, world: World) -> dict[str, Any]:
    rung = resource.intent.get("wait_for") or "ssh"
    words = {"none": "is started", "running": "runs", "address": "has an address", "ssh": "answers on SSH"}[rung]
    cards = resource.fields.get("networks") or {}
    return {
        "words": words,
        "rung": rung,
        "deadline": resource.intent.get("timeout"),
        "addresses": [card["Address"] for card in cards.values() if card.get("Address")],
        "console": _Place(resource, world).volume("console", "log"),
    }


# -- changing ---------------------------------------------------------------------------------------------------------------

HOT = ("memory", "cpus", "disks", "networks", "autostart", "labels", "protect", "size")


def _stops(resource: Resource, observed: Observed, change: Change) -> bool:
    """Whether a field can change only while the machine does not run."""
    if change.option == "memory":
        return change.after > (observed.raw.get("MemoryMax") or 0)
    if change.option == "cpus":
        return change.after > (observed.raw.get("CpusMax") or 0)
    return bool(change.option) and change.option not in HOT


def _updates(
    resource: Resource, observed: Observed, changes: Sequence[Change], world: World, live: bool
) -> Iterator[Step]:
    """What becomes of each change: calls on the running machine for what it can take, one new definition for the rest."""
    changed = {change.option: change for change in changes if change.option}
    name, raw = resource.name, observed.raw
    generation = _generation(world, resource)
    define: dict[str, Any] = {}
    labels = dict(raw.get("Labels") or {})
    labels.update(labels_of(resource, world.facts["project"]))
    if "image" in changed:
        generation += 1
        yield _make_root(resource, world, generation, Phase.PREPARE)
        yield _write_seed(resource, world, generation)
        define["Root"] = _root(resource, world, generation)
        define["Seed"] = _Place(resource, world).volume("seed", "iso")
    if {"image", "labels", "protect"} & set(changed):
        labels = {key: value for key, value in labels.items() if key.startswith(OWN)}
        labels.pop(PROTECT, None)
        labels.update(_own_labels_out(raw.get("Labels")) if "labels" not in resource.fields else {})
        for change in changes:
            if change.option == "labels" and change.dropped:
                labels.pop(change.field.partition(".")[2], None)
        kept = _own_labels_out(raw.get("Labels"))
        lost = {change.field.partition(".")[2] for change in changes if change.option == "labels" and change.dropped}
        labels.update({key: value for key, value in kept.items() if key not in lost})
        labels.update(resource.fields.get("labels") or {})
        labels.update(_facts_as_labels(resource, generation))
    for option, key in (
        ("cpu", "Cpu"),
        ("machine_type", "MachineType"),
        ("firmware", "Firmware"),
        ("accel", "Type"),
        ("agent", "Agent"),
        ("memory_max", "MemoryMax"),
        ("cpus_max", "CpusMax"),
    ):
        if option in changed:
            define[key] = changed[option].after
    if "boot" in changed:
        place, boot = _Place(resource, world), resource.fields["boot"]
        define["Boot"] = {
            **boot,
            **{key: place.image(boot[key], "raw") for key in ("Kernel", "Initrd") if boot.get(key)},
        }
    hot: list[Step] = []
    for option, key, most in (
        ("memory", "Memory", "MemoryMax"),
        ("cpus", "Cpus", "CpusMax"),
    ):
        if option in changed:
            change = changed[option]
            if live and not _stops(resource, observed, change):
                text = _amount(option, change.after)
                hot.append(
                    Step(
                        f"set_{option}",
                        f"give {name} {text}",
                        {"value": change.after},
                        (
                            f"set_{option}",
                            f"give {name} {_amount(option, change.before)} again",
                            {"value": change.before},
                        ),
                    )
                )
            else:
                define[key] = change.after
                if change.after > (define.get(most) or raw.get(most) or 0):
                    define[most] = change.after
    if "disks" in changed:
        hot += _change_disks(resource, observed, world, live, define)
    if "networks" in changed:
        hot += _change_cards(resource, observed, world, live, define)
    if define or labels != (raw.get("Labels") or {}):
        if labels != (raw.get("Labels") or {}) or "Root" in define:
            define["Labels"] = labels
        before = {key: raw.get("Defined", raw).get(key) for key in define}
        if set(define) == {"Labels"}:
            yield Step(
                "label",
                f"write the labels of {name}",
                {"labels": labels},
                ("label", f"put back the labels of {name}", {"labels": before["Labels"]}),
            )
        else:
            yield Step(
                "define",
                f"define {name} anew ({', '.join(sorted(key.lower() for key in define if key != 'Labels'))})",
                {"changes": define},
                ("define", f"define {name} as it was", {"changes": before}),
            )
    yield from hot
    if "autostart" in changed:
        change = changed["autostart"]
        words = f"start {name} with the host" if change.after else f"let {name} stay down when the host starts"
        yield Step(
            "autostart",
            words,
            {"on": change.after},
            ("autostart", f"put back autostart of {name}", {"on": change.before}),
        )
    if "size" in changed:
        change = changed["size"]
        if change.after < change.before:
            raise SpecError(
                [
                    f"{join(resource.place, 'size')}: {change.after} is less than the root disk has ({change.before}), and a disk that shrinks loses data; write a size that is not smaller"
                ]
            )
        if "image" not in changed:
            yield Step(
                "grow",
                f"grow the root disk of {name} to {change.after} bytes",
                {"path": raw["Root"]["Path"], "machine": name, "capacity": change.after},
                phase=Phase.FINAL,
            )
    if "image" in changed and (raw.get("Root") or {}).get("Path"):
        yield Step(
            "remove_volume", f"remove the old root disk of {name}", {"path": raw["Root"]["Path"]}, phase=Phase.FINAL
        )


def _amount(option: str, value: int) -> str:
    return f"{value >> 20} MiB of memory" if option == "memory" else f"{value} processors"


def _change_disks(resource: Resource, observed: Observed, world: World, live: bool, define: dict) -> Iterator[Step]:
    """Attach and detach one by one while it runs, define all at once while it does not."""
    current, said = observed.raw.get("Disks") or {}, resource.fields["disks"]
    wanted = {name: _disk_document(resource, world, name, item) for name, item in said.items()}
    if not live:
        define["Disks"] = wanted
        return
    for name in sorted(set(current) | set(wanted)):
        before, after = current.get(name), wanted.get(name)
        if before is not None and (after is None or _disks_back({name: before}) != _disks_back({name: after})):
            yield _plug(
                "detach_disk", "attach_disk", f"the disk {name}", resource.name, {"name": name, "disk": dict(before)}
            )
        if after is not None and (before is None or _disks_back({name: before}) != _disks_back({name: after})):
            yield _plug("attach_disk", "detach_disk", f"the disk {name}", resource.name, {"name": name, "disk": after})


def _change_cards(resource: Resource, observed: Observed, world: World, live: bool, define: dict) -> Iterator[Step]:
    current, said = observed.raw.get("Interfaces") or {}, resource.fields["networks"]
    identity = observed.raw["UUID"]
    wanted = {
        number: {
            **card,
            "Mac": card.get("Mac") or (current.get(number) or {}).get("Mac") or names.mac(identity, number),
        }
        for number, card in said.items()
    }
    for number in sorted(set(current) | set(wanted)):
        before, after = current.get(number), wanted.get(number)
        if (
            before is not None
            and before.get("Address")
            and (after is None or after.get("Address") != before["Address"])
        ):
            payload = {
                "network": before["Source"],
                "mac": before["Mac"],
                "address": before["Address"],
                "name": resource.name,
            }
            yield Step(
                "release",
                f"release {before['Address']}",
                payload,
                ("reserve", f"reserve {before['Address']} again", payload),
            )
        if after is not None and after.get("Address") and after["Address"] != (before or {}).get("Address"):
            yield _reserve(resource, world, number, after)
    if not live:
        define["Interfaces"] = {
            number: {key: card[key] for key in ("Type", "Source", "Mac", "Model")} for number, card in wanted.items()
        }
        return
    for number in sorted(set(current) | set(wanted), key=int):
        before, after = current.get(number), wanted.get(number)
        same = (
            before is not None
            and after is not None
            and all(before.get(key) == after[key] for key in ("Type", "Source", "Mac", "Model"))
        )
        if before is not None and not same:
            yield _plug(
                "detach_card", "attach_card", f"card {number}", resource.name, {"number": number, "card": dict(before)}
            )
        if after is not None and not same:
            yield _plug(
                "attach_card",
                "detach_card",
                f"card {number} ({after['Source']})",
                resource.name,
                {"number": number, "card": after},
            )


def _plug(verb: str, inverse: str, what: str, machine: str, payload: Mapping) -> Step:
    attaches = verb.startswith("attach")
    there, back = (
        (f"attach {what} to {machine}", f"detach {what} from {machine}")
        if attaches
        else (f"detach {what} from {machine}", f"attach {what} to {machine} again")
    )
    return Step(verb, there, payload, (inverse, back, payload))


def _grace(observed: Observed) -> float:
    return float(observed.raw.get("Grace") or 120.0)


def _read_image(raw: Mapping) -> str | None:
    return raw.get("Image")


def _write_image(document: dict, encoded: str) -> None:
    document["Image"] = encoded


OPTIONS = (
    Option("name", required=True),
    Option("state", choices=("running", "stopped", "present", "restarted", "absent"), default="running"),
    Option("image", "dict", "Image", lambda value: image.digest(value["checksum"]), suboptions=IMAGE_OF),
    Option("size", "str", "Root.Capacity", disk.capacity, update=True, resets=True),
    Option("boot", "dict", "Boot", _boot, matches=_boot_matches, suboptions=BOOT, update=True, resets=True),
    Option("cpus", "int", "Cpus", _count, update=True, resets=True),
    Option("cpus_max", "int", "CpusMax", _count, update=True, resets=True),
    Option("memory", "str", "Memory", _memory, update=True, resets=True),
    Option("memory_max", "str", "MemoryMax", _memory, update=True, resets=True),
    Option("cpu", "str", "Cpu", update=True, resets=True),
    Option("machine_type", "str", "MachineType", update=True, resets=True),
    Option("firmware", "str", "Firmware", choices=("bios", "efi"), update=True, resets=True),
    Option(
        "accel",
        "str",
        "Type",
        _accelerator,
        matches=_accelerator_matches,
        choices=("auto", *ACCELERATORS),
        update=True,
        resets=True,
    ),
    Option(
        "disks",
        "list",
        "Disks",
        _disks,
        _disks_back,
        elements="dict",
        suboptions=DISK,
        update=True,
        resets=True,
        unset={},
    ),
    Option(
        "networks",
        "list",
        "Interfaces",
        _cards,
        _cards_back,
        _cards_match,
        elements="dict",
        suboptions=CARD,
        update=True,
        resets=True,
    ),
    Option("autostart", "bool", "Autostart", decode=bool, update=True, resets=True, unset=False),
    Option("agent", "bool", "Agent", decode=bool, update=True, resets=True),
    Option("protect", "bool", "Protect", decode=bool, update=True, resets=True, unset=False),
    Option("labels", "dict", "Labels", _labels, _own_labels_out, keyed=True, update=True, resets=True),
    Option("seed", "dict", suboptions=SEED),
    Option("pool", "str"),
    Option("wait_for", choices=WAITS, default="ssh"),
    Option("timeout", "float", default=300.0),
    Option("shutdown_timeout", "float", default=120.0),
)

KIND = Kind(
    "machine",
    OPTIONS,
    replace=Replace.NEVER,
    disposable=True,
    runs=True,
    labels="Labels",
    must=("memory",),
    needs=_needs,
    check=_check,
    making=_making,
    settling=_settling,
    removing=_removing,
    fill=_fill,
    updates=_updates,
    stops=_stops,
    awaited=_awaited,
    grace=_grace,
)
