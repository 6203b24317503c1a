# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a data disk. It holds data, so nothing of it changes but that it grows, unless the user names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._converge.action import Change, Phase
from .._converge.desired import Resource, join, quote
from .._converge.errors import SpecError
from .._converge.kind import Kind, Need, Replace, Step
from .._converge.observed import Observed, World
from .._converge.option import Option
from .._converge.units import size
from . import names

FORMATS = ("qcow2", "raw")


def capacity(value: Any) -> int:
    """Bytes of a disk, which every emulator counts in sectors."""
    number = size(value)
    if number < 1 << 20:
        raise ValueError(f"{quote(value)} is less than 1m; write 10g")
    return -(-number // 512) * 512


def _updates(
    resource: Resource, observed: Observed, changes: Sequence[Change], world: World, live: bool
) -> Iterable[Step]:
    for change in changes:
        if change.after < change.before:
            raise SpecError(
                [
                    f"{join(resource.place, 'size')}: {change.after} is less than the disk has ({change.before}), and a disk that shrinks loses data; write a size that is not smaller"
                ]
            )
        words = f"grow disk {resource.name} to {change.after} bytes"
        payload = {"path": observed.id, "machine": resource.intent.get("machine"), "capacity": change.after}
        yield Step("grow", words, payload, phase=Phase.FINAL)


def _fill(document: dict, resource: Resource, world: World) -> dict:
    machine, _slash, part = resource.name.partition("/")
    name = names.volume(world.facts["project"], machine, f"{names.DISK}{part}", document["Format"])
    return {**document, "Path": f"{world.facts['pools'][resource.intent['pool']]}/{name}"}


def _needs(spec: Mapping) -> Iterable[Need]:
    yield Need("pool", spec["pool"])


OPTIONS = (
    Option("name", required=True),
    Option("state", choices=("present", "absent"), default="present"),
    Option("pool", required=True),
    Option("machine"),
    Option("size", "str", "Capacity", capacity, update=True, resets=True),
    Option("format", "str", "Format", choices=FORMATS),
)

KIND = Kind("disk", OPTIONS, replace=Replace.NEVER, must=("size",), needs=_needs, fill=_fill, updates=_updates)
