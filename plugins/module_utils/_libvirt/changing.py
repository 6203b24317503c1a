# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a machine changes: what it takes while it runs, what needs it stopped, and what makes it anew. Pure: steps, not calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._converge.action import Change, Phase
from .._converge.desired import Resource, join
from .._converge.errors import SpecError
from .._converge.kind import Step
from .._converge.observed import Observed, World
from .._converge.ownership import labels_of
from . import making, names, values

HOT = ("memory", "cpus", "disks", "networks", "autostart", "labels", "protect", "size")


def stops(resource: Resource, observed: Observed, change: Change) -> bool:
    """Whether a field can change only while the machine does not run."""
    if change.option == "memory":
        return change.after > (observed.raw.get("MemoryMax") or 0)
    if change.option == "cpus":
        return change.after > (observed.raw.get("CpusMax") or 0)
    if change.option == "networks":
        before, after = change.before or {}, change.after or {}
        return _has_another_user_card(before, after) or (not change.dropped and _has_another_address(before, after))
    return bool(change.option) and change.option not in HOT


def _has_another_address(before: Mapping, after: Mapping) -> bool:
    """Whether a card that stays plugged in is given another address: the guest asks for it at its start."""
    return any(
        values.same_card(before.get(number), card) and card.get("Address", "") != before[number].get("Address", "")
        for number, card in after.items()
        if card.get("Address")
    )


def _has_another_user_card(before: Mapping, after: Mapping) -> bool:
    """Whether a card in user mode comes, goes or is another one: it is an argument of the emulator, which reads them at its start."""
    concerned = {place for cards in (before, after) for place, card in cards.items() if "Ports" in card}
    return any(place not in after or not values.same_card(before.get(place), after[place]) for place in concerned)


def updates(
    resource: Resource, observed: Observed, changes: Sequence[Change], world: World, live: bool
) -> Iterator[Step]:
    """What becomes of each change: calls on the running machine for what it can take, one new definition for the rest."""
    changed = {change.option: change for change in changes if change.option}
    name, raw = resource.name, observed.raw
    generation = making.generation(world, resource)
    define: dict[str, Any] = {}
    labels = dict(raw.get("Labels") or {})
    labels.update(labels_of(resource, world.facts["project"]))
    if "image" in changed:
        generation += 1
        define["Root"] = making.root_document(resource, world, generation)
        if define["Root"]["Path"] in world.facts["volumes"]:
            yield Step(
                "remove_volume",
                f"remove the root disk that a rebuild of {name} which was cut off has left",
                {"path": define["Root"]["Path"]},
                phase=Phase.PREPARE,
            )
        yield making.make_root(resource, world, generation, Phase.PREPARE)
        yield making.write_seed(resource, world)
        define["Seed"] = making.Place(resource, world).volume(names.SEED, "iso")
    if {"image", "labels", "protect"} & set(changed):
        labels = {
            key: value for key, value in labels.items() if key not in _lost("labels", changes) and key != names.PROTECT
        }
        labels.update(resource.fields.get("labels") or {})
        labels.update(making.facts_as_labels(resource, generation))
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
        define["Boot"] = _boot(resource, observed, _lost("boot", changes), world)
    if "folders" in changed:
        there = raw["Defined"]["Folders"]
        kept = {
            target: one for target, one in values.folders_back(there).items() if target not in _lost("folders", changes)
        }
        wanted = {**kept, **(resource.body.get("Folders") or {})}
        define["Folders"] = values.handed_in(wanted, there, world.facts["folder_way"])
    hot: list[Step] = []
    for option, key, most in (
        ("memory", "Memory", "MemoryMax"),
        ("cpus", "Cpus", "CpusMax"),
    ):
        if option in changed:
            change = changed[option]
            if live and not stops(resource, observed, change):
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
        hot += _change_disks(resource, observed, _lost("disks", changes), world, live, define)
    if "networks" in changed:
        hot += _change_cards(resource, observed, world, live, define)
    if define or labels != (raw.get("Labels") or {}):
        if labels != (raw.get("Labels") or {}) or "Root" in define:
            define["Labels"] = labels
        before = {key: raw.get("Defined", raw).get(key) for key in define}
        if "image" in changed:
            before["Seed"] = ""  # the one it had was under the new one's name, and is gone
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


def _boot(resource: Resource, observed: Observed, lost: set[str], world: World) -> dict[str, str]:
    place, said = making.Place(resource, world), dict(resource.body.get("Boot") or {})
    said.update({key: place.image(said[key], "raw") for key in ("kernel", "initrd") if key in said})
    kept = observed.raw["Defined"].get("Boot") or {}
    whole = {**{key: value for key, value in kept.items() if key not in lost}, **said}
    return {key: whole.get(key, "") for key in ("kernel", "initrd", "cmdline")} if whole.get("kernel") else {}


def _lost(option: str, changes: Sequence[Change]) -> set[str]:
    """Keys of an option that are no longer said."""
    return {change.field.partition(".")[2] for change in changes if change.option == option and change.dropped}


def _change_disks(
    resource: Resource, observed: Observed, lost: set[str], world: World, live: bool, define: dict
) -> Iterator[Step]:
    """Attach and detach one by one while it runs, define all at once while it does not."""
    current, said = observed.raw.get("Disks") or {}, resource.fields.get("disks") or {}
    wanted = {name: item for name, item in current.items() if name not in lost}
    wanted.update({name: making.disk_document(resource, world, name, item) for name, item in said.items()})
    if not live:
        define["Disks"] = wanted
        return
    for name in sorted(set(current) | set(wanted)):
        before, after = current.get(name), wanted.get(name)
        if before is not None and (
            after is None or values.disks_back({name: before}) != values.disks_back({name: after})
        ):
            yield _plug(
                "detach_disk", "attach_disk", f"the disk {name}", resource.name, {"name": name, "disk": dict(before)}
            )
        if after is not None and (
            before is None or values.disks_back({name: before}) != values.disks_back({name: after})
        ):
            yield _plug("attach_disk", "detach_disk", f"the disk {name}", resource.name, {"name": name, "disk": after})


def _change_cards(resource: Resource, observed: Observed, world: World, live: bool, define: dict) -> Iterator[Step]:
    current, said = observed.raw.get("Interfaces") or {}, resource.fields.get("networks") or {}
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
            yield making.reserve(resource, world, number, after)
    if not live or _has_another_user_card(values.cards_back(current), wanted):
        define["Interfaces"] = {number: values.defined(card) for number, card in wanted.items()}
        return
    for number in sorted(set(current) | set(wanted), key=int):
        before, after = current.get(number), wanted.get(number)
        same = before is not None and after is not None and values.defined(before) == values.defined(after)
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


def grace(observed: Observed) -> float:
    return float(observed.raw.get("Grace") or 120.0)
