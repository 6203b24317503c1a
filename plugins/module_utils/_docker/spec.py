# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A task's options -> desired resources and policy. Files named by a task are read here; nothing is asked of the engine."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from .._converge import task
from .._converge.desired import Mistakes, Resource, convert, join, quote, read, read_all
from .._converge.kind import Kind
from .._converge.option import Option
from .._converge.policy import ASIDE, BESIDE, ORDERS, START_FIRST
from .._converge.ports import address, overlap, with_host
from .._converge.provider import Task
from . import container, hardening, image, network, secret_files, values, volume
from .hardening import Hardening

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (image.KIND, network.KIND, volume.KIND, container.KIND)}
LISTS: Mapping[str, Kind] = {kind.plural: kind for kind in KINDS.values()}

UPDATE_CONFIG = (
    Option("parallelism", "int", default=0),
    Option("order", choices=ORDERS, default="stop-first"),
    Option("max_failures", "int", default=0),
)
RUN = (
    Option("default_host_ip", "str"),
    Option("secrets_dir", "path", default=secret_files.DIRECTORY),
    task.FAILURE,
    Option("update_config", "dict", suboptions=UPDATE_CONFIG),
    task.PARALLELISM,
    Option("min_healthy_time", "float", default=3.0),
    Option("deadline", "float", default=300.0),
)
DESTROY = (Option("volumes", "list"), Option("images", "list"))

TASK = (
    task.PROJECT,
    task.STATE,
    task.ORPHANS,
    task.ADOPT,
    Option("destroy", "dict", suboptions=DESTROY),
    hardening.DEFAULT,
    *RUN,
    *task.GUARD,
    *(Option(plural, "list", elements="dict", suboptions=kind.options) for plural, kind in LISTS.items()),
)


def read_lists(params: Mapping[str, Any], connection: Sequence[Option]) -> Task:
    """Read the options of the module containers; raise SpecError with every mistake."""
    mistakes = Mistakes()
    spec = task.read_all_but(LISTS, (*TASK, *connection), params, mistakes)
    harden = Hardening(container.KIND, spec.get("hardening"), mistakes, absent=spec.get("state") == "absent")
    lists = {
        plural: [
            _prepared(kind, item, f"{plural}[{index}]", spec, harden)
            for index, item in enumerate(spec.get(plural) or ())
        ]
        for plural, kind in LISTS.items()
    }
    resources = read_all(LISTS, lists, mistakes)
    return _task(spec, resources, harden)


def read_one(kind: Kind, own: Sequence[Option], params: Mapping[str, Any], connection: Sequence[Option]) -> Task:
    """Read the options of a module for one object; raise SpecError with every mistake."""
    mistakes = Mistakes()
    spec, given = task.read_own(kind, (*own, *connection), params, mistakes)
    harden = Hardening(container.KIND, None, mistakes)
    resource = read(kind, _prepared(kind, given, "", spec, harden), "", mistakes)
    return _task({**spec, "orphans": "ignore"}, [resource] if resource else [], harden)


def _task(spec: Mapping[str, Any], resources: list[Resource], harden: Hardening) -> Task:
    mistakes = harden.mistakes
    update = spec.get("update_config") or {}
    _check_together(resources, update.get("order") == START_FIRST, mistakes)
    _check_run(spec, mistakes)
    mistakes.refuse()
    directory = spec.get("secrets_dir") or secret_files.DIRECTORY
    resources = [secret_files.placed(resource, directory) for resource in resources]
    resources += _implied_images(resources)
    destroy = spec.get("destroy")
    if isinstance(destroy, Mapping):  # the lists' own names; a module for one object says true or false of that object
        named = {("volume", name) for name in destroy.get("volumes") or ()}
        named |= {("image", values.reference(name)) for name in destroy.get("images") or ()}
    else:
        named = {resource.key for resource in resources} if destroy else set()
    policy = task.policy(
        spec,
        destroy=frozenset(named),
        watch=spec.get("min_healthy_time") or 0.0,
        deadline=spec.get("deadline") or 300.0,
        at_once=update.get("parallelism") or 0,
        start_first=update.get("order") == START_FIRST,
    )
    told = {"exceptions": harden.exceptions} if harden.on else {}
    return Task(resources, policy, spec, [*_warnings(resources), *harden.warnings], told)


def _check_run(spec: Mapping[str, Any], mistakes: Mistakes) -> None:
    task.check(spec, mistakes)
    for name in ("parallelism", "max_failures"):
        value = (spec.get("update_config") or {}).get(name)
        if value is not None and value < 0:
            mistakes.add(f"update_config.{name}", f"{value} is less than 0; write 0 or more")
    destroy = spec.get("destroy")
    for name in (destroy.get("images") or ()) if isinstance(destroy, Mapping) else ():
        try:
            values.reference(name)
        except ValueError as error:
            mistakes.add("destroy.images", str(error))
    directory = spec.get("secrets_dir") or secret_files.DIRECTORY
    if directory != os.path.normpath(directory) or not directory.startswith("/") or directory == "/":
        mistakes.add(
            "secrets_dir", f"{quote(directory)} is not the absolute path of a directory; write {secret_files.DIRECTORY}"
        )
    if spec.get("default_host_ip"):
        try:
            address(spec["default_host_ip"])
        except ValueError as error:
            mistakes.add("default_host_ip", str(error))


def _prepared(kind: Kind, params: Any, place: str, spec: Mapping[str, Any], harden: Hardening) -> Any:
    """Fill in what a container's options do not say themselves: the default host address, the variables from files, and what
    its hardening asks for."""
    if kind is not container.KIND or not isinstance(params, Mapping):
        return params
    params, mistakes = dict(params), harden.mistakes
    for name in ("published_ports", "ports"):
        # What is no list at all, reading it will tell.
        listed = convert(container.KIND.by_name[name], params.get(name), "", Mistakes())
        if listed and spec.get("default_host_ip"):
            params[name] = [with_host(item, spec["default_host_ip"]) for item in listed]
    if params.get("hostname") and isinstance(params.get("networks"), (list, tuple)):
        params["networks"] = [_without_alias(item, params["hostname"]) for item in params["networks"]]
    shown = f"containers.{params['name']}" if place and isinstance(params.get("name"), str) else place
    if params.get("secrets"):
        params["secrets"] = secret_files.contents(
            params["secrets"], lambda sentence: mistakes.add(join(shown, "secrets"), sentence)
        )
    if params.get("env_file"):
        name = "environment" if "environment" in params else "env"
        variables = _read_env_files(params["env_file"], join(shown, "env_file"), mistakes)
        if params.get(name) is None or isinstance(params[name], Mapping):
            params[name] = {**variables, **(params.get(name) or {})}
    return harden(params, shown)


def _without_alias(network_params: Any, hostname: str) -> Any:
    """The host name is found on every network without being an alias; engines do not show it as one."""
    if not isinstance(network_params, Mapping) or not isinstance(network_params.get("aliases"), (list, tuple)):
        return network_params
    return {**network_params, "aliases": [alias for alias in network_params["aliases"] if alias != hostname]}


def _read_env_files(paths: Any, place: str, mistakes: Mistakes) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name in [paths] if isinstance(paths, str) else paths if isinstance(paths, (list, tuple)) else ():
        try:
            with open(str(name), encoding="utf-8") as file:
                lines = file.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            mistakes.add(
                place,
                f"{quote(name)} cannot be read on this host: {getattr(error, 'strerror', None) or 'it is not text'}; correct the path",
            )
            continue
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            key, separator, value = text.partition("=")
            if not separator or not key.strip() or " " in key.strip():
                mistakes.add(place, f"line {number} of {quote(name)} is not NAME=value; correct it")
                continue
            value = value.strip()
            quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
            variables[key.strip()] = value[1:-1] if quoted else value
    return variables


def _implied_images(resources: Sequence[Resource]) -> list[Resource]:
    declared = {resource.key for resource in resources}
    rank = ("never", "missing", "always")
    found: dict[str, Resource] = {}
    for resource in resources:
        reference = resource.fields.get("image") if resource.kind is container.KIND else None
        if not reference or ("image", reference) in declared or resource.intent.get("state") == "absent":
            continue
        pull = resource.intent.get("pull") or "missing"
        known = found.get(reference)
        if known is None or rank.index(pull) > rank.index(known.intent["pull"]):
            found[reference] = image.implied(reference, pull, join(resource.place, "image"))
    return list(found.values())


# -- what one object alone does not show -----------------------------------------------------------------------


def _check_together(resources: Sequence[Resource], start_first: bool, mistakes: Mistakes) -> None:
    containers = [
        resource
        for resource in resources
        if resource.kind is container.KIND and resource.intent.get("state") != "absent"
    ]
    for resource in containers:
        if resource.name.endswith((ASIDE, BESIDE)):
            mistakes.add(
                join(resource.place, "name"),
                f"{quote(resource.name)} ends in a suffix that replacements use; choose another name",
            )
        order = resource.intent.get("update_order")
        if order == START_FIRST if order else start_first:
            _check_overlap(resource, mistakes)
    _check_ports(containers, mistakes)
    networks = [resource for resource in resources if resource.kind is network.KIND]
    _check_addresses(containers, networks, mistakes)
    inner = {item.name for item in networks if item.fields.get("internal")}
    for resource in containers:
        check_reach(resource, inner, mistakes)


def _check_overlap(resource: Resource, mistakes: Mistakes) -> None:
    """Where the new one starts before the old one stops, nothing may be given that only one can hold."""
    held = {"published_ports": [f"port {port}/{protocol}" for _ip, port, protocol in bindings(resource)]}
    for name, settings in (resource.fields.get("networks") or {}).items():
        addresses = [settings[key] for key in ("ipv4_address", "ipv6_address") if settings.get(key)]
        held[f"networks.{name}"] = [f"the address {address}" for address in addresses]
    for option, things in held.items():
        if things:
            mistakes.add(
                join(resource.place, option),
                f"{', '.join(things)} cannot be held by the old and the new container at once, as start-first wants; "
                f"leave it to the engine to choose, or say update_order: stop-first for this container",
            )


def bindings(resource: Resource) -> Iterable[tuple[str, str, str]]:
    """(host IP, host port, protocol) of each fixed binding of a container."""
    table = (resource.body.get("HostConfig") or {}).get("PortBindings") or {}
    for port, hosts in table.items():
        for host in hosts:
            if host["HostPort"].isdigit():
                yield host["HostIp"], host["HostPort"], port.rpartition("/")[2]


def _check_ports(containers: Sequence[Resource], mistakes: Mistakes) -> None:
    taken: list[tuple[Resource, str, str, str]] = []
    for resource in containers:
        if resource.intent.get("state") in ("stopped", "present"):
            continue
        for ip, port, protocol in bindings(resource):
            holder = next(
                (
                    item
                    for item in taken
                    if item[2:] == (port, protocol) and item[0] is not resource and overlap(item[1], ip)
                ),
                None,
            )
            if holder:
                mistakes.add(
                    join(resource.place, "published_ports"),
                    f"port {port}/{protocol} of the host is published by {quote(holder[0].name)} too; give each its own",
                )
            taken.append((resource, ip, port, protocol))


def _check_addresses(containers: Sequence[Resource], networks: Sequence[Resource], mistakes: Mistakes) -> None:
    """Static addresses lie in the subnets that are declared, and each is given once."""
    subnets = {
        item.name: [
            ipaddress.ip_network(block["subnet"]) for block in item.fields.get("ipam_config", ()) if block.get("subnet")
        ]
        for item in networks
    }
    kept = {(item.name, text): role for item in networks for text, role in _reserved(item)}
    given: dict[tuple[str, str], str] = {}
    for resource in containers:
        for name, settings in (resource.fields.get("networks") or {}).items():
            for option in ("ipv4_address", "ipv6_address"):
                text = settings.get(option)
                if not text:
                    continue
                place = join(resource.place, f"networks.{name}.{option}")
                if name in subnets and not any(network.usable(text, subnet) for subnet in subnets[name]):
                    known = ", ".join(map(str, subnets[name])) or "none; declare one in ipam_config"
                    mistakes.add(
                        place,
                        f"{quote(text)} is not in a subnet of the network {quote(name)}, or no host may have it ({known})",
                    )
                if (name, text) in kept:
                    mistakes.add(place, f"{quote(text)} is kept for {kept[name, text]} of the network; choose another")
                if (name, text) in given:
                    mistakes.add(place, f"{quote(text)} is given to {quote(given[name, text])} too; give each its own")
                given[name, text] = resource.name


def _reserved(resource: Resource) -> Iterable[tuple[str, str]]:
    """(address, what for) of the addresses that a network's declaration keeps from containers."""
    for block in resource.fields.get("ipam_config", ()):
        for name, text in (block.get("aux_addresses") or {}).items():
            yield text, name
        if block.get("gateway"):
            yield block["gateway"], "the gateway"
        elif block.get("subnet") and not block.get("iprange"):
            yield (
                str(ipaddress.ip_network(block["subnet"])[1]),
                "the gateway",
            )  # where none is said, engines take the first


def check_reach(resource: Resource, internal: Set[str], mistakes: Mistakes) -> None:
    """Engines publish nothing of a container whose networks are all internal, and do not say so; ``internal`` names those that are."""
    joined = set(resource.fields.get("networks") or ()) or {resource.fields.get("network_mode") or "bridge"}
    if resource.fields.get("published_ports") and joined <= internal:
        mistakes.add(
            join(resource.place, "published_ports"),
            f"cannot be reached, for its networks are all internal ({', '.join(sorted(joined))}); join one that is not, or take the ports out",
        )


def _warnings(resources: Sequence[Resource]) -> list[str]:
    warnings = []
    for resource in resources:
        if resource.kind is not container.KIND:
            continue
        table = (resource.body.get("HostConfig") or {}).get("PortBindings") or {}
        bound = [
            (port.partition("/")[0], host) for port, hosts in table.items() for host in hosts if not host["HostIp"]
        ]
        if bound:
            shown = ", ".join(
                sorted(f"{host['HostPort']}:{port}" if host["HostPort"] else port for port, host in bound)
            )
            place = join(resource.place, "published_ports")
            warnings.append(
                f"{place}: {shown} can be reached on every address of the host; write 127.0.0.1 or 0.0.0.0 before it, or set default_host_ip"
            )
    return warnings
