# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the engine would refuse half way through, found before the first call: ports in use, missing runtimes, too many processors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._converge.desired import Mistakes, Resource, join, quote
from .._converge.errors import SpecError
from .._converge.observed import World
from .._converge.option import dig
from .._converge.plan import Plan
from . import container
from .engine import Engine
from .spec import bindings, overlap

ABOUT_ENGINE = ("cpus", "runtime", "log_driver", "cpuset_cpus")


def check(engine: Engine, plan: Plan, desired: Sequence[Resource], world: World) -> None:
    """Raise SpecError when a container that the plan creates, changes or starts cannot work on this engine."""
    touched = {action.resource for action in plan.actions if action.verb in ("create", "update", "start")}
    resources = [resource for resource in desired if resource.kind is container.KIND and resource.key in touched]
    if not resources:
        return
    mistakes = Mistakes()
    stopped = {action.target for action in plan.actions if action.verb in ("stop", "remove")}
    starting = {action.resource for action in plan.actions if action.verb == "start"}
    for resource in resources:
        if resource.key in starting:
            _check_ports(resource, stopped, world, mistakes)
    if any(option in resource.fields for resource in resources for option in ABOUT_ENGINE):
        about = engine.get("/info")
        for resource in resources:
            _check_engine(resource, about, mistakes)
    if mistakes:
        raise SpecError(mistakes.lines)


def _check_ports(resource: Resource, stopped: set[str], world: World, mistakes: Mistakes) -> None:
    for ip, port, protocol in bindings(resource):
        for summary in world.facts.get("listed") or ():
            if summary["Id"] in stopped or summary["Name"] in (resource.name,):
                continue
            held = [
                item
                for item in summary.get("Ports") or ()
                if str(item.get("PublicPort")) == port and item.get("Type") == protocol
            ]
            if any(overlap(ip, item.get("IP") or "") for item in held):
                place = join(resource.place, "published_ports")
                mistakes.add(
                    place,
                    f"port {port}/{protocol} is in use by the container {quote(summary['Name'])}; choose another, or remove that one first",
                )
                break


def _check_engine(resource: Resource, about: Mapping[str, Any], mistakes: Mistakes) -> None:
    count = about.get("NCPU") or 0
    cpus = resource.fields.get("cpus")
    if cpus and count and cpus > count * 1_000_000_000:
        mistakes.add(
            join(resource.place, "cpus"),
            f"{cpus / 1e9:g} is more than the engine's {count} processors; write {count} or less",
        )
    highest = max(
        (int(item) for item in (resource.fields.get("cpuset_cpus") or "").replace("-", ",").split(",") if item),
        default=-1,
    )
    if count and highest >= count:
        mistakes.add(
            join(resource.place, "cpuset_cpus"),
            f"{quote(resource.fields['cpuset_cpus'])} is beyond the engine's processors 0 to {count - 1}",
        )
    for option, known in (("runtime", about.get("Runtimes")), ("log_driver", dig(about, "Plugins.Log"))):
        value = resource.fields.get(option)
        if (
            value and known and value not in (*known, "none") and ":" not in value
        ):  # name:tag is a plugin, which the list may not show
            mistakes.add(
                join(resource.place, option),
                f"{quote(value)} is not known to the engine; it has {', '.join(sorted(known))}",
            )
