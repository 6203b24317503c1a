# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A task's options -> desired resources and policy. Nothing is asked of the hypervisor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._converge import ports, task
from .._converge.desired import Mistakes, Resource, check_cycles, convert_options, join, quote, read, read_all
from .._converge.kind import Kind
from .._converge.option import Option
from .._converge.policy import FAIL, RESTARTS
from .._converge.provider import Task
from . import disk, image, machine, network, pool, uris, values

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (pool.KIND, image.KIND, network.KIND, disk.KIND, machine.KIND)}
LISTS: Mapping[str, Kind] = {kind.plural: kind for kind in (image.KIND, network.KIND, machine.KIND)}

POOL = (Option("pool", "str", default="slipway"), Option("pool_path", "path"))
RESTART = Option("on_restart_required", choices=RESTARTS, default=FAIL)
RUN = (task.FAILURE, task.PARALLELISM)
DESTROY = (Option("machines", "list"), Option("disks", "list"), Option("images", "list"))
SHARED = (task.PROJECT, task.ADOPT, *POOL, RESTART, *RUN, *task.GUARD)

# Rows of which the user says nothing, and why.
OURS: Mapping[str, Mapping[str, str]] = {
    "machine": {"pool": "is said once for the whole task, beside machines"},
    "image": {
        "name": "is not for you to choose; an image is known by its checksum",
        "pool": "is said once for the whole task, beside images",
    },
    "network": {
        "active": "is not for you to choose; a network that should be there is started",
        "autostart": "is not for you to choose; a network that should be there starts with the host",
    },
}


def options_of(kind: Kind) -> tuple[Option, ...]:
    """The rows of a kind that are the user's."""
    return tuple(option for option in kind.options if option.name not in OURS.get(kind.name, ()))


TASK = (
    task.STATE,
    task.ORPHANS,
    Option("destroy", "dict", suboptions=DESTROY),
    *SHARED,
    *(Option(plural, "list", elements="dict", suboptions=options_of(kind)) for plural, kind in LISTS.items()),
)


def read_lists(params: Mapping[str, Any], connection: Sequence[Option]) -> Task:
    """Read the options of the module machines; raise SpecError with every mistake."""
    mistakes = Mistakes()
    spec = task.read_all_but(LISTS, (*TASK, *connection), params, mistakes)
    _check_ours(spec, mistakes)
    lists = {plural: [_prepared(kind, item, spec) for item in spec.get(plural) or ()] for plural, kind in LISTS.items()}
    resources = read_all(LISTS, lists, mistakes)
    return _task(spec, resources, lists["machines"], mistakes)


def read_one(kind: Kind, own: Sequence[Option], params: Mapping[str, Any], connection: Sequence[Option]) -> Task:
    """Read the options of a module for one object; raise SpecError with every mistake."""
    mistakes = Mistakes()
    spec, given = task.read_own(kind, (*own, *connection), params, mistakes)
    given = _prepared(kind, given, spec)
    resource = read(kind, given, "", mistakes)
    machines = [given] if kind is machine.KIND else []
    return _task({**spec, "orphans": "ignore"}, [resource] if resource else [], machines, mistakes)


def _check_ours(spec: Mapping[str, Any], mistakes: Mistakes) -> None:
    for plural, kind in LISTS.items():
        for index, item in enumerate(spec.get(plural) or ()):
            for name in OURS[kind.name] if isinstance(item, Mapping) else ():
                if name in item:
                    named = kind is not image.KIND and isinstance(item.get("name"), str)
                    place = f"{plural}.{item['name']}" if named else f"{plural}[{index}]"
                    mistakes.add(join(place, name), OURS[kind.name][name])


def _prepared(kind: Kind, item: Any, spec: Mapping[str, Any]) -> Any:
    """An object's options with what the task says for all of them."""
    if not isinstance(item, Mapping):
        return item
    pool_name = {"pool": spec.get("pool") or "slipway"} if "pool" in kind.by_name else {}
    if kind is network.KIND and item.get("state", "present") == "present":
        return {"active": True, "autostart": True, **item}
    if kind is image.KIND and isinstance(item.get("checksum"), str):
        return {**item, **pool_name, "name": item["checksum"].rpartition(":")[2].lower()[: image.SHORT]}
    return {**item, **pool_name}


def _task(spec: Mapping[str, Any], resources: list[Resource], machines: Sequence[Any], mistakes: Mistakes) -> Task:
    _check_run(spec, mistakes)
    said = {item["name"]: item for item in machines if isinstance(item, Mapping) and isinstance(item.get("name"), str)}
    _check_together(resources, mistakes)
    mistakes.refuse()
    resources = [_with_said(item, said[item.name]) if item.kind is machine.KIND else item for item in resources]
    implied = [*_implied(resources, said, spec, mistakes)]
    mistakes.refuse()
    policy = task.policy(
        spec,
        destroy=frozenset(_named(spec.get("destroy"), resources + implied)),
        watch=0.0,
        deadline=300.0,
        restarts=spec.get("on_restart_required") or FAIL,
    )
    return Task([*resources, *implied], policy, spec, ())


def _with_said(resource: Resource, item: Mapping) -> Resource:
    """With the options as they were said: a machine is made with more of them than is compared."""
    said = convert_options(machine.OPTIONS, item, resource.place, Mistakes())  # mistakes have been told by now
    return replace(resource, intent={**resource.intent, "said": said})


def _implied(
    resources: Sequence[Resource], said: Mapping[str, Mapping], spec: Mapping[str, Any], mistakes: Mistakes
) -> Iterable[Resource]:
    """Pools, base images and data disks that machines and images stand on."""
    declared = {resource.key for resource in resources}
    pool_name, absent = spec.get("pool") or "slipway", spec.get("state") == "absent"
    found: dict[tuple, Resource] = {}

    def add(kind: Kind, params: Mapping[str, Any], place: str, implicit: bool = True) -> None:
        resource = read(kind, params, place, mistakes)
        if resource is not None and resource.key not in declared:
            found.setdefault(resource.key, replace(resource, intent={**resource.intent, "implicit": implicit}))

    if not absent:  # it may hold what other projects stand on
        add(pool.KIND, {"name": pool_name, "path": spec.get("pool_path") or uris.pool_path(spec["uri"])}, "pool")
    for resource in resources:
        item = said.get(resource.name)
        if resource.kind is not machine.KIND or item is None:
            continue
        place = resource.place
        goes = resource.intent["state"] == "absent"
        if not goes:
            for given in machine.images(_dictionaries(item)):
                name = given["checksum"].rpartition(":")[2].lower()[: image.SHORT]
                add(image.KIND, {**given, "name": name, "pool": pool_name}, join(place, "image"))
        for given in item.get("disks") or ():
            add(
                disk.KIND,
                {
                    "name": f"{resource.name}/{given['name']}",
                    "size": given["size"],
                    "format": given.get("format") or "qcow2",
                    "pool": pool_name,
                    "machine": resource.name,
                },
                join(place, f"disks.{given['name']}"),
                implicit=goes or absent,
            )
    return found.values()


def _dictionaries(item: Mapping) -> dict[str, Any]:
    return {key: value for key, value in item.items() if isinstance(value, Mapping)}


def _named(destroy: Any, resources: Sequence[Resource]) -> set[tuple]:
    """Keys of what may lose its data; of a machine that goes, all its disks, whether they are still said or not."""
    if isinstance(destroy, Mapping):
        found = {("machine", name) for name in destroy.get("machines") or ()}
        found |= {("disk", name) for name in destroy.get("disks") or ()}
        return found | {("image", name.rpartition(":")[2][: image.SHORT]) for name in destroy.get("images") or ()}
    if not destroy:
        return set()
    goes = {
        resource.name
        for resource in resources
        if resource.kind is machine.KIND and resource.intent["state"] == "absent"
    }
    found = {resource.key for resource in resources if resource.kind.name in ("machine", "disk")}
    return found | {("disk", f"{name}/*") for name in goes}


def _check_run(spec: Mapping[str, Any], mistakes: Mistakes) -> None:
    task.check(spec, mistakes)
    if spec.get("pool_path") and not spec["pool_path"].startswith("/"):
        mistakes.add("pool_path", f"{quote(spec['pool_path'])} is not an absolute path; write {uris.SYSTEM}")


def _check_together(resources: Sequence[Resource], mistakes: Mistakes) -> None:
    """What only one can have: cards' addresses, and ports of the host."""
    check_cycles(resources, mistakes)
    taken: dict[tuple, str] = {}
    published: list[tuple[tuple[str, str, str], str]] = []
    for resource in resources:
        if resource.kind is not machine.KIND or resource.intent["state"] == "absent":
            continue
        for number, card in (resource.fields.get("networks") or {}).items():
            place = join(resource.place, f"networks[{number}]")
            for what in ("Mac", "Address"):
                if not card.get(what):
                    continue
                claim = (what, card["Source"] if what == "Address" else "", card[what])
                where = join(place, what.lower())
                if claim in taken:
                    mistakes.add(
                        where, f"{quote(card[what])} is there twice, first at {taken[claim]}; give each its own"
                    )
                taken.setdefault(claim, where)
            published += [(binding, join(place, "ports")) for binding in values.taken(card)]
    for index, (binding, place) in enumerate(published):
        first = next((where for other, where in published[:index] if values.meet(binding, other)), None)
        if first:
            mistakes.add(
                place,
                f"{quote(ports.shown(binding))} is a port of the host that is there twice, first at {first}; give each its own",
            )
