# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the engine would refuse half way through, found before the first call: ports and subnets in use,
missing drivers, images that no registry has."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from .._converge.action import Phase
from .._converge.desired import Mistakes, Resource, join, quote
from .._converge.errors import EngineError
from .._converge.observed import World
from .._converge.option import dig
from .._converge.ownership import owner_of
from .._converge.plan import Plan
from .._converge.ports import overlap
from . import container, held, image, network, sources, values
from .engine import Engine
from .snapshot import parallel
from .spec import bindings, check_reach

REFUSALS = (401, 403, 404)  # a registry's definite no; anything else is left to the pull
PLUGINS = (
    ("container", "runtime", "Runtimes"),
    ("container", "log_driver", "Plugins.Log"),
    ("network", "driver", "Plugins.Network"),
    ("volume", "driver", "Plugins.Volume"),
)
ABOUT_ENGINE = {option for _kind, option, _path in PLUGINS} | {"cpus", "cpuset_cpus", "log_options"}
# https://github.com/moby/moby/blob/v26.1.0/daemon/logger
_FILES = ("max-size", "max-file", "compress", "mode", "max-buffer-size")
LOG_OPTIONS = {
    "local": _FILES,
    "json-file": (*_FILES, "labels", "labels-regex", "env", "env-regex", "tag"),
    "none": ("mode", "max-buffer-size"),
}


def check(engine: Engine, plan: Plan, desired: Sequence[Resource], world: World) -> None:
    """Raise SpecError when something that the plan pulls, creates, changes or starts cannot work on this engine."""
    mistakes = Mistakes()
    touched = {action.resource for action in plan.actions if action.verb in ("create", "update", "start", "connect")}
    resources = [resource for resource in desired if resource.key in touched]
    stopped = {action.target for action in plan.actions if action.verb in ("stop", "remove")}
    gone = {action.target for action in plan.actions if action.verb == "remove" and action.phase is not Phase.FINAL}
    starting = {action.resource for action in plan.actions if action.verb == "start"}
    taking = starting | {
        action.resource for action in plan.actions if action.verb == "connect" and action.phase is Phase.SWITCH
    }
    internal = _internal(desired, world)
    for resource in resources:
        if resource.kind is container.KIND and resource.key in starting:
            _check_ports(resource, stopped, world, mistakes)
            check_reach(resource, internal, mistakes)
        if resource.kind is container.KIND and resource.key in taking:
            _check_addresses(resource, plan, world, mistakes)
        if resource.kind is network.KIND:
            _check_subnets(resource, gone, resources, world, mistakes)
    if any(option in resource.fields for resource in resources for option in ABOUT_ENGINE):
        about = engine.get("/info")
        for resource in resources:
            _check_engine(resource, about, mistakes)
    _check_names(plan, desired, world, mistakes)
    _check_pulls(engine, plan, desired, mistakes)
    mistakes.refuse()


def _check_ports(resource: Resource, stopped: set[str], world: World, mistakes: Mistakes) -> None:
    for ip, port, protocol in bindings(resource):
        for summary in world.facts.get("listed") or ():
            if summary["Id"] in stopped or summary["Name"] == resource.name:
                continue
            there = [
                item
                for item in summary.get("Ports") or ()
                if str(item.get("PublicPort")) == port and item.get("Type") == protocol
            ]
            if any(overlap(ip, item.get("IP") or "") for item in there):
                mistakes.add(
                    join(resource.place, "published_ports"),
                    f"port {port}/{protocol} is in use by the container {quote(summary['Name'])}; "
                    f"choose another, or remove that one first",
                )
                break


def _internal(desired: Sequence[Resource], world: World) -> set[str]:
    """Names of the networks that are internal when all is as desired."""
    found = {raw["Name"]: bool(raw.get("Internal")) for raw in world.facts.get("networks") or ()}
    found.update(
        (item.name, item.fields["internal"])
        for item in desired
        if item.kind is network.KIND and item.fields.get("internal") is not None
    )
    return {name for name, internal in found.items() if internal}


def _check_addresses(resource: Resource, plan: Plan, world: World, mistakes: Mistakes) -> None:
    """A static address that another container has and keeps."""
    freed = {
        (action.target, action.payload.get("peer")) for action in plan.actions if action.verb in ("stop", "disconnect")
    }
    remade = {
        action.resource[1] for action in plan.actions if action.verb == "remove" and action.resource[0] == "network"
    }
    for name, ip in sorted(held.wanted(resource)):
        for summary in (world.facts.get("listed") or ()) if name and name not in remade else ():
            settings = dig(summary, "NetworkSettings.Networks") or {}
            there = settings.get(name) or {}
            goes = {(summary["Id"], None), (summary["Id"], name)} & freed
            if (
                ip in (there.get("IPAddress"), there.get("GlobalIPv6Address"))
                and summary["Name"] != resource.name
                and not goes
            ):
                mistakes.add(
                    join(resource.place, f"networks.{name}"),
                    f"the address {ip} is in use by the container {quote(summary['Name'])}; choose another, or remove that one first",
                )


def _check_subnets(
    resource: Resource, going: set[str], others: Sequence[Resource], world: World, mistakes: Mistakes
) -> None:
    """Subnets of one engine must not overlap."""
    wanted = {subnet for _nothing, subnet in resource.kind.wanted(resource)}
    taken = [
        (raw["Name"], block["Subnet"])
        for raw in world.facts.get("networks") or ()
        for block in dig(raw, "IPAM.Config") or ()
        # The plan waits for a subnet that a network gives up, if it is the very same.
        if block.get("Subnet")
        and raw["Name"] != resource.name
        and not (raw["Id"] in going and block["Subnet"] in wanted)
    ]
    taken += [
        (other.name, block["subnet"])
        for other in others
        if other.kind is network.KIND and other.name < resource.name
        for block in other.fields.get("ipam_config") or ()
        if block.get("subnet")
    ]
    for block in resource.fields.get("ipam_config") or ():
        ours = ipaddress.ip_network(block["subnet"]) if block.get("subnet") else None
        for name, subnet in taken:
            theirs = ipaddress.ip_network(subnet, strict=False)
            if ours is not None and ours.version == theirs.version and ours.overlaps(theirs):
                mistakes.add(
                    join(resource.place, "ipam_config"),
                    f"{quote(str(ours))} overlaps {theirs} of the network {quote(name)}; choose another subnet, or remove that network first",
                )


def _check_names(plan: Plan, desired: Sequence[Resource], world: World, mistakes: Mistakes) -> None:
    """A name that a container gets, if only for a moment, must not be another's."""
    places = {resource.key: resource.place for resource in desired}
    ours = {action.target for action in plan.actions if action.verb in ("rename", "remove")}
    taken = {item["Name"]: item for item in world.facts.get("listed") or () if item["Id"] not in ours}
    for action in plan.actions:
        name = action.target if action.verb == "create" else action.payload.get("name")
        if action.verb in ("create", "rename") and action.kind == container.KIND.name and name in taken:
            owner = owner_of(taken[name].get("Labels"))
            whose = f"which belongs to {owner}" if owner else "which is not this project's"
            mistakes.add(
                places.get(action.resource, ""),
                f"needs the name {quote(name)} for its replacement, and there is a container of that name {whose}; rename or remove that one",
            )


def _check_log(resource: Resource, about: Mapping[str, Any], mistakes: Mistakes) -> None:
    driver = resource.fields.get("log_driver") or about.get("LoggingDriver")
    known = LOG_OPTIONS.get(driver or "")
    for key, value in (resource.fields.get("log_options") or {}).items() if known else ():
        place = join(resource.place, "log_options")
        if key not in known:
            mistakes.add(place, f"{quote(key)} is not an option of the log driver {driver}; it has {', '.join(known)}")
        elif key == "max-size" and value != "-1":
            try:
                values.size(value)
            except ValueError as error:
                mistakes.add(place, f"max-size {error}")


def _check_engine(resource: Resource, about: Mapping[str, Any], mistakes: Mistakes) -> None:
    _check_log(resource, about, mistakes)
    count = about.get("NCPU") or 0
    cpus = resource.fields.get("cpus")
    if cpus and count and cpus > count * 1_000_000_000:
        mistakes.add(
            join(resource.place, "cpus"),
            f"{cpus / 1e9:g} is more than the engine's {count} processors; write {count} or less",
        )
    cpuset = resource.fields.get("cpuset_cpus") or ""
    highest = max((int(item) for item in cpuset.replace("-", ",").split(",") if item), default=-1)
    if count and highest >= count:
        mistakes.add(
            join(resource.place, "cpuset_cpus"), f"{quote(cpuset)} is beyond the engine's processors 0 to {count - 1}"
        )
    for kind, option, place in PLUGINS:
        known = dig(about, place)
        value = resource.fields.get(option) if resource.kind.name == kind else None
        # name:tag is a plugin, which the list may not show; "none" is always there for logs
        if value and known and value not in (*known, "none") and ":" not in value and "/" not in value:
            mistakes.add(
                join(resource.place, option),
                f"{quote(value)} is not known to the engine; it has {', '.join(sorted(known))}",
            )


def _check_pulls(engine: Engine, plan: Plan, desired: Sequence[Resource], mistakes: Mistakes) -> None:
    """Ask the registries for what is to be pulled: a name that is not there is better known now."""
    pulled = {action.target for action in plan.actions if action.verb == "pull"}
    resources = [resource for resource in desired if resource.kind is image.KIND and resource.name in pulled]

    def ask(resource: Resource) -> None:
        try:
            sources.registry_digest(engine, resource.name)
        except EngineError as error:
            if error.status in REFUSALS:
                mistakes.add(
                    resource.place,
                    f"the image {quote(resource.name)} is not in its registry, or may not be pulled: {error}; "
                    f"check the name, or log in",
                )

    if resources:
        parallel([lambda resource=resource: ask(resource) for resource in resources])
