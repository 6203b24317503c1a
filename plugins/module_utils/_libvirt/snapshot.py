# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The observed side: what the hypervisor has of what is desired, and what else is the project's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .._converge.desired import Resource
from .._converge.observed import Observed, World
from .._converge.ownership import is_ours, managed_of, owner_of
from .._converge.policy import Policy
from . import disk, image, machine, names, network, pool, values
from .hypervisor import Hypervisor

CARDS = 16  # of a machine that is gone, so many are looked for
SHARED = (pool.KIND, image.KIND)  # other projects may stand on them, so they are nobody's orphans
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
    seen = look(hypervisor, policy.project)
    remains = {item.key: item for item in _remains(seen)}
    found = [*_machines(seen, desired, wanted), *_files(seen), *_networks(seen), *_pools(seen)]
    objects = {item.key: item for item in found if item.key in wanted or policy.destroys(item.key)}
    orphans = [
        item for item in (*found, *remains.values()) if item.ours and item.key not in wanted and item.kind not in SHARED
    ]
    leftovers = () if policy.absent else tuple(_leftovers(seen, desired))
    return World(objects, leftovers, orphans, _users(seen), {}, _facts(hypervisor, seen, desired), remains)


# -- what the hypervisor's lists say ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """All there is on a hypervisor, as documents; ``project``: with whose eyes."""

    project: str
    host: str
    volumes: Mapping[str, Mapping]
    networks: Sequence[Mapping]
    machines: Sequence[Mapping]
    pools: Mapping[str, str]

    @cached_property
    def own(self) -> dict[str, names.Volume]:
        """Paths of the project's volumes, with what their names say."""
        return own_volumes(self.volumes, self.project)

    @cached_property
    def reservations(self) -> dict[str, Mapping]:
        """Addresses that are reserved: network -> MAC -> Ip and Name."""
        return reservations(self.networks)

    def is_labelled(self, raw: Mapping) -> bool:
        """Whether the labels of a machine or network say that it is the project's."""
        return is_ours(raw.get("Labels") or {}, self.project, raw["Name"])

    def is_numbered(self, kind: str, raw: Mapping) -> bool:
        """Whether the UUID of a machine or network is the one that the project gives to it."""
        return raw["UUID"] == names.identity(self.host, kind, self.project, raw["Name"])


def look(hypervisor: Hypervisor, project: str) -> Seen:
    """Ask for all lists."""
    return Seen(
        project, hypervisor.host, hypervisor.volumes(), hypervisor.networks(), hypervisor.machines(), hypervisor.pools()
    )


def own_volumes(volumes: Mapping[str, Mapping], project: str) -> dict[str, names.Volume]:
    """Paths of a project's volumes, with what their names say."""
    found = {path: names.volume_of(path, project) for path in volumes}
    return {path: volume for path, volume in found.items() if volume is not None}


def reservations(networks: Sequence[Mapping]) -> dict[str, Mapping]:
    """Addresses that are reserved: network -> MAC -> Ip and Name."""
    return {item["Name"]: item.get("Hosts") or {} for item in networks}


def published(machines: Sequence[Mapping]) -> dict[str, list[tuple[str, str, str]]]:
    """Ports of the host that machines have which run, by their names."""
    found = {}
    for raw in machines:
        cards = (raw.get("Live") or {}).get("Interfaces") or {}
        if STATES.get(raw["State"]) not in ("stopped", "crashed"):
            found[raw["Name"]] = [binding for card in cards.values() for binding in values.taken(card)]
    return found


def _facts(hypervisor: Hypervisor, seen: Seen, desired: Sequence[Resource]) -> dict[str, Any]:
    declared = {resource.name: resource.fields.get("path") for resource in desired if resource.kind is pool.KIND}
    return {
        "called": "hypervisor",
        "host": seen.host,
        "project": seen.project,
        "pools": {**declared, **seen.pools},
        "volumes": frozenset(seen.volumes),
        "reservations": seen.reservations,
        "published": published(seen.machines),
        **hypervisor.facts,
    }


# -- machines --------------------------------------------------------------------------------------------------


def _machines(seen: Seen, desired: Sequence[Resource], wanted: set[tuple]) -> Iterator[Observed]:
    graces = {
        resource.name: resource.intent.get("shutdown_timeout") for resource in desired if resource.kind is machine.KIND
    }
    for raw in seen.machines:
        ours = seen.is_labelled(raw) or (not raw.get("Labels") and seen.is_numbered("machine", raw))
        if ours or ("machine", raw["Name"]) in wanted:
            own = parts_of(raw, seen.own, seen.project)
            yield observe(raw, ours, seen.volumes, own, seen.reservations, graces.get(raw["Name"]))


def observe(
    raw: Mapping, ours: bool, volumes: Mapping, own: Mapping[str, str], reservations: Mapping, grace: float | None
) -> Observed:
    """A machine from its document, as it is compared and described; ``own``: its volumes, see parts_of."""
    labels = raw.get("Labels") or {}
    root = _with_capacity(raw.get("Root") or {}, volumes)
    shown = {
        **raw,
        "Defined": raw,
        "Image": _image_of(raw, labels),
        "Protect": labels.get(names.PROTECT) == "true",
        "Root": root,
        "Boot": _by_digests(raw.get("Boot") or {}),
        "Interfaces": _with_addresses(raw.get("Interfaces") or {}, reservations),
        "Volumes": sorted(own) if ours else [],
        "Grace": grace,
    }
    # A seed goes when it has done its work; without a root disk it is read at every start.
    unfinished = bool(root) and names.SEED in own.values()
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
        health="starting" if unfinished else "",
    )


def parts_of(raw: Mapping, own: Mapping[str, names.Volume], project: str) -> dict[str, str]:
    """Paths of the project's volumes that go with a machine, data disks do not, and the part that each is."""
    found = {path: volume.part for path, volume in own.items() if volume.machine == raw["Name"] and not volume.disk}
    console = raw.get("Serial") or ""  # the emulator writes it, so the pool has not heard of it
    if names.volume_of(console, project) == names.Volume(raw["Name"], names.CONSOLE):
        found[console] = names.CONSOLE
    return found


def _with_capacity(root: Mapping, volumes: Mapping) -> dict[str, Any]:
    """A root disk and its size, which its pool knows."""
    volume = volumes.get(root.get("Path"))
    return {**root, "Capacity": volume["Capacity"]} if volume else dict(root)


def _image_of(raw: Mapping, labels: Mapping) -> str | None:
    """The digest of the image that a machine of ours was made from, empty when its label is gone; of others nobody knows it."""
    digest = (labels.get(names.IMAGE) or "").rpartition(":")[2]
    return digest or ("" if labels and raw.get("Root") else None)


def _by_digests(boot: Mapping[str, str]) -> dict[str, str]:
    """What is booted, files that are images of ours by their digests."""
    return {key: value if key == "cmdline" else names.digest_of(value) or value for key, value in boot.items()}


def _with_addresses(cards: Mapping[str, Mapping], reservations: Mapping) -> dict[str, dict]:
    """Cards with the addresses that their networks reserve for them."""
    found = {}
    for number, card in cards.items():
        reserved = (reservations.get(card.get("Source")) or {}).get(card.get("Mac")) or {}
        found[number] = {**card, **({"Address": reserved["Ip"]} if reserved.get("Ip") else {})}
    return found


# -- machines that are gone ------------------------------------------------------------------------------------


def _remains(seen: Seen) -> Iterator[Observed]:
    """Machines that are gone, of which there are files or reserved addresses."""
    present = {raw["Name"] for raw in seen.machines}
    left: dict[str, dict[str, names.Volume]] = {}
    for path, volume in seen.own.items():
        if volume.machine not in present and not volume.disk:
            left.setdefault(volume.machine, {})[path] = volume
    reserved = {item["Name"] for hosts in seen.reservations.values() for item in hosts.values() if item.get("Name")}
    for name in sorted({*left, *reserved} - present):
        found = left.get(name, {})
        # The emulator writes the console, so the pool may not have heard of it.
        consoles = {
            f"{path.rpartition('/')[0]}/{names.volume(seen.project, name, names.CONSOLE, 'log')}" for path in found
        }
        raw = {
            "Name": name,
            "Volumes": sorted({*found, *consoles}),
            "Root": _last_root(found, seen.volumes),
            "Interfaces": _reserved(names.identity(seen.host, "machine", seen.project, name), seen.reservations),
        }
        if not found and not raw["Interfaces"]:
            continue  # the address is reserved for a machine of others
        owner = f"the Slipway project {seen.project}"
        yield Observed(machine.KIND, name, name, raw, called=name, ours=True, owner=owner)


def _last_root(found: Mapping[str, names.Volume], volumes: Mapping) -> dict[str, str]:
    """Of the root disks among a machine's volumes the newest, empty when there is none."""
    roots = [path for path, volume in found.items() if volume.generation]
    if not roots:
        return {}
    path = max(roots, key=lambda path: found[path].generation)
    return {"Path": path, "Format": "qcow2", "Backing": volumes[path]["Backing"]}


def _reserved(identity: str, reservations: Mapping) -> dict[str, dict]:
    """Cards of a machine that is gone, whose addresses are still reserved."""
    numbers = {names.mac(identity, str(number)): str(number) for number in range(CARDS)}
    return {
        numbers[mac]: {"Type": "network", "Source": source, "Mac": mac, "Address": item["Ip"]}
        for source, hosts in reservations.items()
        for mac, item in hosts.items()
        if mac in numbers and item.get("Ip")
    }


def _leftovers(seen: Seen, desired: Sequence[Resource]) -> Iterator[Observed]:
    """Root disks that a rebuild which was cut off has left. The new one of a rebuild that is still wanted is not among them: that makes it anew."""
    wanted = {
        resource.name: resource
        for resource in desired
        if resource.kind is machine.KIND and resource.intent["state"] != "absent"
    }
    backing = {raw.get("Backing") for raw in seen.volumes.values()}
    for raw in seen.machines:
        resource, used = wanted.get(raw["Name"]), {_root_path(raw), _root_path(raw.get("Live") or {})}
        current = seen.own.get(_root_path(raw))
        if resource is None or current is None or not seen.is_labelled(raw):
            continue
        remade = resource.body.get("Image") not in (None, _image_of(raw, raw.get("Labels") or {}))
        for path, volume in seen.own.items():
            begun = remade and volume.generation == current.generation + 1
            if volume.machine == raw["Name"] and volume.generation and path not in used | backing and not begun:
                name = f"{volume.machine}/{volume.part}"
                yield Observed(disk.KIND, name, path, seen.volumes[path], called=name, ours=True)


def _root_path(raw: Mapping) -> str:
    return (raw.get("Root") or {}).get("Path") or ""


# -- what machines stand on ------------------------------------------------------------------------------------


def _files(seen: Seen) -> Iterator[Observed]:
    """Data disks and base images."""
    for path, volume in seen.own.items():
        if volume.disk:
            yield Observed(disk.KIND, volume.disk, path, seen.volumes[path], called=volume.disk, ours=True)
    for path, raw in seen.volumes.items():
        name = names.digest_of(path)[: image.SHORT]
        if name:
            yield Observed(image.KIND, name, path, raw, called=name, ours=True)


def _networks(seen: Seen) -> Iterator[Observed]:
    for raw in seen.networks:
        name, labels = raw["Name"], raw.get("Labels") or {}
        ours = seen.is_labelled(raw) or seen.is_numbered("network", raw)
        yield Observed(
            network.KIND, name, raw["UUID"], raw, called=name, owner=owner_of(labels), ours=ours, managed=managed_of(labels)
        )  # fmt: skip


def _pools(seen: Seen) -> Iterator[Observed]:
    for name, path in seen.pools.items():
        yield Observed(pool.KIND, name, name, {"Path": path}, called=name, ours=True)


def _users(seen: Seen) -> dict[tuple, list[str]]:
    """Machines that use a network, a data disk or, however far down, a base image: names by the key of what is used."""
    users: dict[tuple, list[str]] = {}
    for raw in seen.machines:
        for key in (*_stands_on(raw, seen), *_joins(raw)):
            users.setdefault(key, []).append(raw["Name"])
    return users


def _stands_on(raw: Mapping, seen: Seen) -> Iterator[tuple]:
    """Keys of the files that a machine reads."""
    paths = [_root_path(raw), *(item.get("Path") for item in (raw.get("Disks") or {}).values())]
    paths += [(raw.get("Boot") or {}).get(key) for key in ("kernel", "initrd")]
    met: set[str] = set()
    while paths:
        path = paths.pop()
        if not path or path in met:
            continue
        met.add(path)
        paths.append((seen.volumes.get(path) or {}).get("Backing"))
        digest, volume = names.digest_of(path), names.volume_of(path, seen.project)
        if digest:
            yield image.KIND.name, digest[: image.SHORT]
        if volume and volume.disk:
            yield disk.KIND.name, volume.disk


def _joins(raw: Mapping) -> Iterator[tuple]:
    """Keys of the networks that a machine is on."""
    for card in (raw.get("Interfaces") or {}).values():
        if card.get("Type") == "network":
            yield network.KIND.name, card["Source"]
