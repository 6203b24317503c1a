# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Objects as a task returns them: what a playbook needs to go on, and no secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._converge.errors import EngineError, SlipwayError
from .._converge.observed import Observed, World
from . import address, host_key, machine, names, values
from .hypervisor import Hypervisor

# What a machine runs with and what it is defined with, by the names of the options.
LIVE = {
    "memory": "Memory",
    "memory_max": "MemoryMax",
    "cpus": "Cpus",
    "cpus_max": "CpusMax",
    "cpu": "Cpu",
    "machine_type": "MachineType",
    "firmware": "Firmware",
    "boot": "Boot",
    "accel": "Type",
    "agent": "Agent",
    "folders": "Folders",
    "disks": "Disks",
}


def resources(hypervisor: Hypervisor, world: World, keys: Iterable[tuple]) -> dict[str, dict]:
    """{"kind/name": facts} of the objects of these keys that are there."""
    return {"/".join(key): describe(hypervisor, world.objects[key]) for key in sorted(keys) if key in world.objects}


def describe(hypervisor: Hypervisor, observed: Observed) -> dict[str, Any]:
    """The facts of one object."""
    raw = observed.raw
    if observed.kind is machine.KIND:
        return _machine(hypervisor, observed)
    if observed.kind.name == "network":
        return {
            "name": observed.called,
            "uuid": observed.id,
            "mode": raw["Mode"],
            "bridge": raw["Bridge"],
            "address": raw["Address"],
            "active": raw["Active"],
        }
    if observed.kind.name == "pool":
        return {"name": observed.called, "path": raw["Path"]}
    return {
        "name": observed.called,
        "path": observed.id,
        "format": raw["Format"],
        "capacity": raw["Capacity"],
        "allocation": raw["Allocation"],
    }


def _machine(hypervisor: Hypervisor, observed: Observed) -> dict[str, Any]:
    raw = observed.raw
    labels: Mapping[str, str] = raw.get("Labels") or {}
    found = _addresses(hypervisor, observed) if observed.running else []
    cards = raw.get("Interfaces") or {}
    reserved = [card["Address"] for card in cards.values() if card.get("Address")]
    key = labels.get(names.HOST_KEY, "")
    # What it runs with is what leads to it now.
    way = address.forwarded((raw.get("Live") or raw).get("Interfaces") or {})
    first, port = way or (next(iter(reserved or found), ""), address.SSH)
    return {
        "name": observed.called,
        "uuid": observed.id,
        "state": observed.status,
        "first_start": "not finished" if observed.health == "starting" else "finished",
        "address": first,
        "port": port,
        "addresses": [way[0], *found] if way and observed.running else found,
        "macs": [cards[number]["Mac"] for number in sorted(cards, key=int)],
        "networks": [cards[number]["Source"] for number in sorted(cards, key=int)],
        "memory": raw.get("Memory"),
        "memory_max": raw.get("MemoryMax"),
        "cpus": raw.get("Cpus"),
        "cpus_max": raw.get("CpusMax"),
        **accel(hypervisor, raw.get("Type") or ""),
        "image": raw.get("Image") or "",
        "disks": {name: item["Path"] for name, item in (raw.get("Disks") or {}).items()},
        "folders": {
            target: {"source": one["Source"], "read_only": one["ReadOnly"]}
            for target, one in (raw.get("Folders") or {}).items()
        },
        "root": (raw.get("Root") or {}).get("Path", ""),
        "autostart": raw.get("Autostart"),
        "labels": {name: value for name, value in labels.items() if not name.startswith(names.OWN)},
        "user": labels.get(names.USER, ""),
        "host_key": key,
        "needs_restart": _needs_restart(raw, found, reserved) if observed.running else [],
        "connection": connection(first, port, labels.get(names.USER) or "root", key, observed.called),
    }


def _needs_restart(raw: Mapping, addresses: Iterable[str], reserved: Iterable[str]) -> list[str]:
    """Options whose value counts from the next start on."""
    live, defined = raw.get("Live") or {}, raw["Defined"]
    waiting = [option for option, key in LIVE.items() if live and live.get(key) != defined.get(key)]
    if defined.get("Cpu") == "host-model" and "cpu" in waiting:  # a running machine shows which model that is
        waiting.remove("cpu")
    replugged = bool(live) and live.get("Interfaces") != defined.get("Interfaces")
    if replugged or (addresses and not set(reserved) <= set(addresses)):
        waiting.append("networks")
    return waiting


def accel(hypervisor: Hypervisor, kind: str) -> dict[str, str]:
    """How a machine is run, in the words of the option, and why."""
    said = next((word for word, domain_type in values.ACCELERATORS.items() if domain_type == kind), kind)
    facts = hypervisor.facts
    return {
        "accel": said,
        "accel_reason": facts["accelerator_reason"] if kind == facts["accelerator"] else "it was said",
    }


def connection(host: str, port: int, user: str, key: str, name: str) -> dict[str, Any]:
    """Variables with which Ansible reaches the machine, and takes nobody else for it; empty when that cannot be."""
    if not host or not key:
        return {}
    try:
        pinned = host_key.ansible_variables(key, name)
    except SlipwayError:  # somebody has altered its label: better no way to it than one that pins nothing
        return {}
    return {"ansible_host": host, "ansible_port": port, "ansible_user": user, **pinned}


def _addresses(hypervisor: Hypervisor, observed: Observed) -> list[str]:
    try:
        return hypervisor.addresses(hypervisor.domain(observed.id))
    except EngineError:
        return []
