# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The observed side: what the hypervisor has of what is desired, and what else is the project's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .._converge.desired import Resource
from .._converge.observed import Observed, World
from .._converge.ownership import is_ours, managed_of, owner_of
from .._converge.plan import Policy
from . import disk, image, machine, names, network, pool
from .hypervisor import Hypervisor

CARDS = 16  # of a machine that is gone, so many are looked for
STATES = {
    1: "running",
    2: "running",
    3: "paused",
    4: "running",
    5: "stopped",
    6: "crashed",
    7: "suspended",
}  # virDomainState


def snapshot(hypervisor: Hypervisor, desired: Sequence[Resource], policy: Policy) -> World:
    """Return what is there of what is desired, needed or named by the policy, and what else is the project's."""
    wanted = {resource.key for resource in desired} | set(policy.destroy)
    wanted |= {need.key for resource in desired for need in resource.needs}
    project, host = policy.project, hypervisor.host
    volumes = hypervisor.volumes()
    networks = hypervisor.networks()
    reservations = {item["Name"]: item.get("Hosts") or {} for item in networks}
    graces = {
        resource.name: resource.intent.get("shutdown_timeout") for resource in desired if resource.kind is machine.KIND
    }
    objects: dict[tuple, Observed] = {}
    orphans: list[Observed] = []
    attached: dict[tuple, list[str]] = {}
    documents = hypervisor.machines()
    for raw in documents:
        _note_users(raw, volumes, project, attached)
        name = raw["Name"]
        labels = raw.get("Labels") or {}
        ours = is_ours(labels, project, name) or (
            not labels and raw["UUID"] == names.identity(host, "machine", project, name)
        )
        if not ours and ("machine", name) not in wanted:
            continue
        observed = observe(raw, ours, volumes, reservations, project, graces.get(name))
        if observed.key in wanted:
            objects[observed.key] = observed
        else:
            orphans.append(observed)
    present = {raw["Name"] for raw in documents}
    remains = {item.key: item for item in _remains(volumes, project, present, host, reservations)}
    for item in tuple(remains.values()):
        if item.key not in wanted:
            orphans.append(item)
    for path, volume in volumes.items():
        for observed in _volume(path, volume, project):
            if observed.key in wanted:
                objects[observed.key] = observed
            elif observed.kind is disk.KIND:
                orphans.append(observed)
    for raw in networks:
        observed = _network(raw, host, project)
        if observed.key in wanted:
            objects[observed.key] = observed
        elif observed.ours:
            orphans.append(observed)
    pools = hypervisor.pools()
    for name, path in pools.items():
        if ("pool", name) in wanted:
            objects[("pool", name)] = Observed(pool.KIND, name, name, {"Path": path}, called=name, ours=True)
    declared = {resource.name: resource.fields.get("path") for resource in desired if resource.kind is pool.KIND}
    facts = {
        "called": "hypervisor",
        "host": host,
        "project": project,
        "pools": {**declared, **pools},
        "volumes": frozenset(volumes),
        "reservations": reservations,
        **hypervisor.facts,
    }
    return World(objects, (), orphans, attached, {}, facts, remains)


def observe(
    raw: Mapping, ours: bool, volumes: Mapping, reservations: Mapping, project: str, grace: float | None
) -> Observed:
    """A machine from its document, as it is compared and described."""
    labels = raw.get("Labels") or {}
    root = dict(raw.get("Root") or {})
    if root.get("Path") in volumes:
        root["Capacity"] = volumes[root["Path"]]["Capacity"]
    boot = {
        key: names.digest_of(value) or value if key != "Cmdline" else value
        for key, value in (raw.get("Boot") or {}).items()
    }
    cards = {}
    for number, card in (raw.get("Interfaces") or {}).items():
        reserved = (reservations.get(card.get("Source")) or {}).get(card.get("Mac")) or {}
        cards[number] = {**card, **({"Address": reserved["Ip"]} if reserved.get("Ip") else {})}
    mine = {
        path: found.part for path, found in _own(volumes, project) if found.machine == raw["Name"] and not found.disk
    }
    console = raw.get("Serial") or ""  # the emulator writes it, so the pool has not heard of it
    if names.volume_of(console, project) == names.Volume(raw["Name"], names.CONSOLE):
        mine[console] = names.CONSOLE
    seed = bool(root) and names.SEED in mine.values()  # without a root disk it is read at every start
    shown = {
        **raw,
        "Defined": raw,
        "Image": (labels.get(names.IMAGE) or "").rpartition(":")[2] or None,
        "Protect": labels.get(names.PROTECT) == "true",
        "Root": root,
        "Boot": boot,
        "Interfaces": cards,
        "Volumes": sorted(mine) if ours else [],
        "Grace": grace,
    }
    if not shown["Image"] and raw.get("Root"):
        shown["Image"] = "" if labels else None
    return Observed(
        machine.KIND,
        raw["Name"],
        raw["UUID"],
        shown,
        called=raw["Name"],
        owner=owner_of(labels),
        ours=ours,
        managed=managed_of(labels),
        status=STATES.get(raw["State"], "stopped"),
        health="starting" if seed else "",
    )


def _own(volumes: Iterable[str], project: str) -> Iterable[tuple[str, names.Volume]]:
    """Paths of a project's volumes, with what their names say."""
    for path in volumes:
        found = names.volume_of(path, project)
        if found is not None:
            yield path, found


def _network(raw: Mapping, host: str, project: str) -> Observed:
    labels, name = raw.get("Labels") or {}, raw["Name"]
    ours = is_ours(labels, project, name) or raw["UUID"] == names.identity(host, "network", project, name)
    return Observed(
        network.KIND, name, raw["UUID"], raw, called=name, owner=owner_of(labels), ours=ours, managed=managed_of(labels)
    )  # fmt: skip


def _remains(volumes: Mapping, project: str, present: set[str], host: str, reservations: Mapping) -> Iterable[Observed]:
    """Machines that are gone, of which there are files."""
    left: dict[str, list[str]] = {}
    for path, found in _own(volumes, project):
        if found.machine not in present and not found.disk:
            left.setdefault(found.machine, []).append(path)
    for name, paths in left.items():
        console = f"{paths[0].rpartition('/')[0]}/{names.volume(project, name, names.CONSOLE, 'log')}"
        if console not in paths:  # the emulator writes it, so the pool may not have heard of it
            paths.append(console)
        generations = {path: names.volume_of(path, project).generation for path in paths}
        roots = sorted((path for path in paths if generations[path]), key=generations.get)
        root = {"Path": roots[-1], "Format": "qcow2", "Backing": volumes[roots[-1]]["Backing"]} if roots else {}
        cards = _reserved(names.identity(host, "machine", project, name), reservations)
        raw = {"Name": name, "Volumes": sorted(paths), "Root": root, "Interfaces": cards}
        yield Observed(machine.KIND, name, name, raw, called=name, ours=True, owner=f"the Slipway project {project}")


def _reserved(identity: str, reservations: Mapping) -> dict[str, dict]:
    """Cards of a machine that is gone, whose addresses are still reserved."""
    numbers = {names.mac(identity, str(number)): str(number) for number in range(CARDS)}
    return {
        numbers[mac]: {"Type": "network", "Source": source, "Mac": mac, "Address": item["Ip"]}
        for source, hosts in reservations.items()
        for mac, item in hosts.items()
        if mac in numbers and item.get("Ip")
    }


def _volume(path: str, volume: Mapping, project: str) -> Iterable[Observed]:
    found = names.volume_of(path, project)
    if found and found.disk:
        yield Observed(disk.KIND, found.disk, path, volume, called=found.disk, ours=True)
    digest = names.digest_of(path)
    if digest:
        yield Observed(image.KIND, digest[: image.SHORT], path, volume, called=digest[: image.SHORT], ours=True)


def _note_users(raw: Mapping, volumes: Mapping, project: str, attached: dict[tuple, list[str]]) -> None:
    """Who uses networks, disks and, however far down, base images."""
    paths = [(raw.get("Root") or {}).get("Path"), *(item.get("Path") for item in (raw.get("Disks") or {}).values())]
    paths += [(raw.get("Boot") or {}).get(key) for key in ("Kernel", "Initrd")]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        if not path or path in seen:
            continue
        seen.add(path)
        paths.append((volumes.get(path) or {}).get("Backing"))
        digest = names.digest_of(path)
        if digest:
            attached.setdefault(("image", digest[: image.SHORT]), []).append(raw["Name"])
        found = names.volume_of(path, project)
        if found and found.disk:
            attached.setdefault(("disk", found.disk), []).append(raw["Name"])
    for card in (raw.get("Interfaces") or {}).values():
        if card.get("Type") == "network":
            attached.setdefault(("network", card["Source"]), []).append(raw["Name"])
