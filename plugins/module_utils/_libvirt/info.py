# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What there is on a hypervisor, for machine_info: every call only asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from .._converge.errors import EngineError, EngineLost
from .._converge.ownership import KEY, PROJECT, is_ours
from .._converge.secret import mask
from . import describe, drivers, states
from .hypervisor import Hypervisor
from .snapshot import observe, own_volumes, parts_of, reservations

CONSOLE_LINE = 400  # bytes that are read for each line that was asked for


def machines(hypervisor: Hypervisor, name: str = "", project: str = "", console_lines: int = 0) -> list[dict[str, Any]]:
    """Machines by their names: one, those of a project, or all; with the end of their consoles when so many lines are asked for."""
    volumes = hypervisor.volumes()
    reserved = reservations(hypervisor.networks())
    found = []
    for raw in sorted(hypervisor.machines(), key=lambda item: item["Name"]):
        labels = raw.get("Labels") or {}
        owner = labels.get(PROJECT, "")
        if (name and raw["Name"] != name) or (project and not is_ours(labels, project, labels.get(KEY, ""))):
            continue
        whose = owner or "default"
        own = parts_of(raw, own_volumes(volumes, whose), whose)
        observed = observe(raw, bool(owner), volumes, own, reserved, None)
        found.append(
            {
                **describe.describe(hypervisor, observed),
                "project": owner,
                "state_reason": states.reason(raw["State"], raw["Reason"]),
                "cpu": raw["Cpu"],
                "machine_type": raw["MachineType"],
                "arch": raw["Arch"],
                "firmware": raw["Firmware"],
                "boot": dict(raw["Boot"]),
                "agent": raw["Agent"],
                "protect": observed.raw["Protect"],
                "storage": {place: _storage(path, volumes) for place, path in _files(raw)},
                "snapshots": hypervisor.snapshots(raw["UUID"]),
                **({"console": _console(hypervisor, raw["Serial"], console_lines)} if console_lines else {}),
            }
        )
    return found


def _files(raw: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if raw["Root"]:
        yield "root", raw["Root"]["Path"]
    for name, item in raw["Disks"].items():
        yield f"disks.{name}", item["Path"]
    if raw["Seed"]:
        yield "seed", raw["Seed"]


def _storage(path: str, volumes: Mapping[str, Mapping]) -> dict[str, Any]:
    """A file, how large it is for the machine and how much of the host's disk it takes: None when it is in no pool."""
    volume = volumes.get(path) or {}
    return {
        "path": path,
        "format": volume.get("Format"),
        "capacity": volume.get("Capacity"),
        "allocation": volume.get("Allocation"),
        "backing": volume.get("Backing") or None,
    }


def _console(hypervisor: Hypervisor, path: str, lines: int) -> list[str]:
    """The end of what a machine has written to its first serial port; empty when nothing is kept of it."""
    try:
        volume = hypervisor.volume(path) if path else None
        if volume is None:
            return []
        text = b"".join(hypervisor.download(volume, lines * CONSOLE_LINE)).decode(errors="replace")
    except EngineLost:
        raise
    except EngineError:
        return []
    return [mask(line) for line in text.replace("\r", "").splitlines()][-lines:]


def facts(hypervisor: Hypervisor, driver: drivers.Driver) -> dict[str, Any]:
    """What the hypervisor is, and what can be asked of it."""
    table = {field.name: getattr(driver, field.name) for field in fields(driver)}
    return {
        "uri": hypervisor.uri,
        "host": hypervisor.host,
        "libvirt_version": hypervisor.version,
        "driver": driver.name,
        "title": driver.title,
        "capabilities": {name: value for name, value in sorted(table.items()) if isinstance(value, bool)},
        "accels": ["auto", *(name for name, _kind in driver.accels if name != drivers.NATIVE)],
        "firmwares": list(driver.firmwares),
        "buses": list(driver.buses),
        "archs": list(driver.archs()),
        "arch": hypervisor.facts["arch"],
        "machine_type": hypervisor.facts["machine_type"],
        **describe.accel(hypervisor, hypervisor.facts["accelerator"]),
    }
