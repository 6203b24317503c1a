# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a container. Paths are those that `docker inspect` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._converge import ports
from .._converge.compare import MODES
from .._converge.desired import quote
from .._converge.kind import Kind, Need, Replace
from .._converge.option import Option, any_order, dig
from .._converge.ownership import without_ours
from .._converge.policy import ORDERS
from .._converge.secret import looks_secret
from . import fields, hardening, held, secret_files, values

RESTART = ("no", "on-failure", "always", "unless-stopped")
STOP_TIMEOUT = 10.0  # seconds: the engine's own, for a container that was made without one
STATES = ("present", "started", "stopped", "healthy", "restarted", "absent")

NETWORK_OPTIONS = (
    Option("name", "str", required=True),
    Option("aliases", "list"),
    Option("ipv4_address"),
    Option("ipv6_address"),
    Option("links", "list"),
    Option("driver_opts", "dict"),
)

MOUNT_OPTIONS = (
    Option("target", "str", required=True),
    Option("source"),
    Option("type", choices=("bind", "volume", "tmpfs")),
    Option("read_only", "bool"),
    Option("propagation", choices=("private", "rprivate", "shared", "rshared", "slave", "rslave")),
    Option("no_copy", "bool"),
    Option("volume_driver"),
    Option("volume_options", "dict"),
    Option("tmpfs_size"),
    Option("tmpfs_mode"),
)

HEALTH_OPTIONS = (
    Option("test", "raw"),
    Option("interval"),
    Option("timeout"),
    Option("retries", "int"),
    Option("start_period"),
    Option("start_interval"),
)

OPTIONS = (
    Option("name", required=True),
    # what steers the run
    Option("state", choices=STATES, default="started"),
    Option("depends_on", "list"),
    Option("pull", choices=("missing", "always", "never"), default="missing"),
    Option("recreate", "bool", default=False),
    Option("update_order", choices=ORDERS),
    Option("comparisons", "dict"),
    Option("env_file", "list", elements="path"),
    Option("healthy_wait_timeout", "float"),
    *hardening.OPTIONS,
    # what runs
    Option("image", "str", "Config.Image", values.reference, fields.decode_image, refers="image", identity="Image"),
    Option("command", "raw", "Config.Cmd", fields.encode_command, fields.decode_words, inherits="Cmd"),
    Option("entrypoint", "raw", "Config.Entrypoint", fields.encode_entrypoint, fields.decode_words, inherits="Entrypoint"),
    Option("env", "dict", "Config.Env", values.environment, values.environment_back, keyed=True, inherits="Env", hides=looks_secret, aliases=("environment",)),
    Option("labels", "dict", "Config.Labels", values.texts, without_ours, keyed=True, inherits="Labels", hides=looks_secret),
    Option("user", "str", "Config.User", values.user, fields.otherwise(""), inherits="User"),
    Option("working_dir", "str", "Config.WorkingDir", values.absolute, fields.otherwise(""), inherits="WorkingDir", aliases=("workdir",)),
    Option("hostname", "str", "Config.Hostname", values.hostname),
    Option("domainname", "str", "Config.Domainname", values.domain, fields.otherwise("")),
    Option("tty", "bool", "Config.Tty", decode=bool, unset=False),
    Option("interactive", "bool", "Config.OpenStdin", decode=bool, unset=False, aliases=("stdin_open",)),
    Option("init", "bool", "HostConfig.Init", decode=bool, unset=False),
    Option("stop_signal", "str", "Config.StopSignal", values.signal, lambda value: values.signal(value) if value else "", inherits="StopSignal"),
    Option("stop_timeout", "int", "Config.StopTimeout", fields.encode_patience),
    Option("healthcheck", "dict", "Config.Healthcheck", fields.encode_health, fields.decode_health, keyed=True, inherits="Healthcheck", suboptions=HEALTH_OPTIONS),
    Option("restart_policy", "str", "HostConfig.RestartPolicy.Name", decode=fields.otherwise("no"), update=True, resets=True, unset="no", choices=RESTART, aliases=("restart",)),
    Option("restart_retries", "int", "HostConfig.RestartPolicy.MaximumRetryCount", values.not_negative, fields.otherwise(0), update=True, resets=True, unset=0),
    Option("auto_remove", "bool", "HostConfig.AutoRemove", decode=bool, unset=False),
    # limits
    Option("memory", "str", "HostConfig.Memory", values.memory, fields.otherwise(0), update=True, unset=0, aliases=("mem_limit",)),
    Option("memory_reservation", "str", "HostConfig.MemoryReservation", values.memory, fields.otherwise(0), update=True, unset=0, aliases=("mem_reservation",)),
    Option("memory_swap", "str", "HostConfig.MemorySwap", values.swap, fields.otherwise(0), update=True, derived=True, unset=0, aliases=("memswap_limit",)),
    Option("memory_swappiness", "int", "HostConfig.MemorySwappiness", fields.encode_swappiness, aliases=("mem_swappiness",)),
    Option("cpus", "float", "HostConfig.NanoCpus", values.nano_cpus, fields.otherwise(0), update=True, unset=0),
    Option("cpu_shares", "int", "HostConfig.CpuShares", fields.encode_shares, fields.otherwise(0), update=True, unset=0),
    Option("cpuset_cpus", "str", "HostConfig.CpusetCpus", fields.encode_cpuset, fields.otherwise(""), update=True, unset="", aliases=("cpuset",)),
    Option("cpuset_mems", "str", "HostConfig.CpusetMems", fields.encode_cpuset, fields.otherwise(""), update=True, unset=""),
    Option("pids_limit", "int", "HostConfig.PidsLimit", fields.encode_pids, fields.pids, update=True, resets=True, unset=0),
    Option("ulimits", "list", "HostConfig.Ulimits", values.ulimits, values.ulimits_back),
    Option("shm_size", "str", "HostConfig.ShmSize", values.size, unset=64 << 20),
    Option("oom_score_adj", "int", "HostConfig.OomScoreAdj", fields.encode_adjustment, fields.otherwise(0), unset=0),
    # rights
    Option("privileged", "bool", "HostConfig.Privileged", decode=bool, unset=False),
    Option("capabilities", "list", "HostConfig.CapAdd", values.capabilities, values.capabilities_back, aliases=("cap_add",)),
    Option("cap_drop", "list", "HostConfig.CapDrop", values.capabilities, values.capabilities_back),
    Option("groups", "list", "HostConfig.GroupAdd", values.each(values.group), fields.ordered, aliases=("group_add",)),
    Option("security_opts", "list", "HostConfig.SecurityOpt", values.each(values.security), fields.decode_security, aliases=("security_opt",)),
    Option("read_only", "bool", "HostConfig.ReadonlyRootfs", decode=bool, unset=False),
    Option("devices", "list", "HostConfig.Devices", fields.encode_devices, fields.decode_devices),
    Option("sysctls", "dict", "HostConfig.Sysctls", values.sysctls, fields.otherwise({}), keyed=True),
    Option("runtime", "str", "HostConfig.Runtime", values.plugin),
    Option("pid_mode", "str", "HostConfig.PidMode", values.namespace("host"), fields.otherwise(""), aliases=("pid",)),
    Option("ipc_mode", "str", "HostConfig.IpcMode", values.namespace("none", "private", "shareable", "host"), aliases=("ipc",)),
    Option("uts", "str", "HostConfig.UTSMode", values.namespace("host", shared=False), fields.otherwise("")),
    Option("userns_mode", "str", "HostConfig.UsernsMode", values.namespace("host", shared=False), fields.otherwise("")),
    Option("cgroupns_mode", "str", "HostConfig.CgroupnsMode", choices=("host", "private")),
    Option("cgroup_parent", "str", "HostConfig.CgroupParent", decode=fields.otherwise("")),
    # networks
    Option("published_ports", "list", encode=ports.published, decode=fields.shown_ports, read=fields.read_ports, write=fields.write_ports, unset=(), aliases=("ports",)),
    Option("exposed_ports", "list", encode=values.exposed, read=fields.read_exposed, write=fields.write_exposed, keyed=True, inherits="ExposedPorts", aliases=("expose", "exposed")),
    Option("networks", "list", encode=fields.encode_networks, decode=fields.decode_networks, matches=fields.networks_match, read=fields.read_networks, write=fields.write_networks, attach=True, unset={"bridge": {}}, suboptions=NETWORK_OPTIONS, elements="dict"),
    Option("network_mode", "str", "HostConfig.NetworkMode", fields.encode_mode, lambda value: "bridge" if value in (None, "", "default") else value, unset="bridge"),
    Option("dns_servers", "list", "HostConfig.Dns", values.each(ports.address), fields.in_order, unset=(), aliases=("dns",)),
    Option("dns_search_domains", "list", "HostConfig.DnsSearch", values.each(values.domain), fields.in_order, unset=(), aliases=("dns_search",)),
    Option("dns_opts", "list", "HostConfig.DnsOptions", decode=fields.ordered, unset=()),
    Option("etc_hosts", "dict", "HostConfig.ExtraHosts", fields.encode_hosts, fields.decode_hosts, keyed=True, aliases=("extra_hosts",)),
    # files
    Option("volumes", "list", encode=values.each(values.bind), decode=lambda items: tuple(sorted(map(values.bind_text, items))), matches=fields.volumes_match, read=fields.read_volumes, write=fields.write_volumes, unset=()),
    Option("mounts", "list", "HostConfig.Mounts", fields.encode_mounts, fields.decode_mounts, unset=(), suboptions=MOUNT_OPTIONS, elements="dict"),
    Option("secrets", "list", encode=secret_files.encode, decode=secret_files.decode, read=secret_files.read, write=secret_files.write, keyed=True, unset={}, suboptions=secret_files.OPTIONS, elements="dict", hides=secret_files.always, texts=secret_files.texts),
    Option("tmpfs", "list", "HostConfig.Tmpfs", fields.encode_tmpfs, lambda value: dict(value or {}), unset={}),
    Option("volumes_from", "list", "HostConfig.VolumesFrom", values.each(values.volumes_from), fields.in_order, matches=any_order, unset=()),
    # logging
    Option("log_driver", "str", "HostConfig.LogConfig.Type", values.plugin),
    Option("log_options", "dict", "HostConfig.LogConfig.Config", values.texts, fields.otherwise({}), keyed=True, hides=looks_secret, aliases=("log_opt",)),
)  # fmt: skip


# -- what one option alone does not show -----------------------------------------------------------------------


def _needs(spec: Mapping) -> Iterable[Need]:
    if spec.get("image"):
        yield Need("image", fields.decode_image(spec["image"]), option="image")
    for network in spec.get("networks") or ():
        if network.get("name") and network["name"] not in fields.PREDEFINED_NETWORKS:
            yield Need("network", network["name"], strict=True, option="networks")
    for option in ("network_mode", "pid_mode", "ipc_mode"):
        word, colon, name = (spec.get(option) or "").partition(":")
        if word == "container" and name:
            yield Need("container", name, strict=True, option=option)
        elif option == "network_mode" and word and not colon and word not in fields.PREDEFINED_NETWORKS:
            yield Need("network", word, strict=True, option=option)
    for line in spec.get("volumes_from") or ():
        yield Need("container", line.partition(":")[0], strict=True, option="volumes_from")
    for source in _volume_names(spec):
        yield Need("volume", source, option="volumes")
    for name in spec.get("depends_on") or ():
        yield Need("container", name, strict=True, to_start=True, option="depends_on")


def _volume_names(spec: Mapping) -> Iterable[str]:
    for text in spec.get("volumes") or ():
        source = values.bind(text)[0]
        if source and not source.startswith("/"):
            yield source
    for mount in spec.get("mounts") or ():
        if (mount.get("type") or "volume") == "volume" and mount.get("source"):
            yield mount["source"]


def _check(spec: Mapping) -> Iterable[tuple[str, str]]:
    """Mistakes in the options of one container taken together."""
    try:
        values.name(spec["name"])
    except ValueError as error:
        yield "name", str(error)
    yield from _check_memory(spec)
    yield from _check_network(spec)
    yield from _check_targets(spec)
    if spec.get("restart_retries") and spec.get("restart_policy") != "on-failure":
        yield (
            "restart_retries",
            f"{spec['restart_retries']} means something with restart_policy: on-failure only; write that, or take it out",
        )
    if spec.get("auto_remove") and spec.get("restart_policy", "no") != "no":
        yield "auto_remove", f"true and restart_policy: {spec['restart_policy']} exclude one another; keep one"
    if (spec.get("healthy_wait_timeout") or 0) < 0:
        yield "healthy_wait_timeout", f"{spec['healthy_wait_timeout']:g} is less than 0 seconds"
    yield from _check_namespaces(spec)
    for option, mode in (spec.get("comparisons") or {}).items():
        if option != "*" and option not in KIND.by_name:
            yield f"comparisons.{option}", f"there is no option {quote(option)}"
        elif mode not in MODES:
            yield f"comparisons.{option}", f"{quote(mode)} is not one of {', '.join(MODES)}"
    seen: set[str] = set()
    for name in spec.get("depends_on") or ():
        if name in seen:
            yield "depends_on", f"{quote(name)} is there twice"
        seen.add(name)


def _check_memory(spec: Mapping) -> Iterable[tuple[str, str]]:
    memory = values.memory(spec.get("memory") or 0)
    swap = values.swap(spec.get("memory_swap") or 0)
    reserved = values.memory(spec.get("memory_reservation") or 0)
    if swap > 0 and not memory:
        yield (
            "memory_swap",
            f"{quote(spec['memory_swap'])} needs memory beside it, for it is memory and swap together; add memory",
        )
    elif 0 < swap < memory:
        yield (
            "memory_swap",
            f"{quote(spec['memory_swap'])} is less than memory, {quote(spec['memory'])}; it is memory and swap together",
        )
    if memory and reserved > memory:
        yield (
            "memory_reservation",
            f"{quote(spec['memory_reservation'])} is more than memory, {quote(spec['memory'])}; write less",
        )


# What a container cannot have of its own when it shares another's namespace: (option, mode) -> what.
SHARED = {
    ("network_mode", "container"): (
        "hostname",
        "exposed_ports",
        "dns_servers",
        "dns_search_domains",
        "dns_opts",
        "etc_hosts",
    ),
    ("uts", "host"): ("hostname",),
}


def _check_namespaces(spec: Mapping) -> Iterable[tuple[str, str]]:
    for (option, mode), excluded in SHARED.items():
        if (spec.get(option) or "").partition(":")[0] == mode:
            for name in excluded:
                if spec.get(name):
                    yield name, f"and {option}: {spec[option]} exclude one another, for it has the other's; keep one"
    for key in spec.get("sysctls") or ():
        if str(key).startswith("net.") and spec.get("network_mode") == "host":
            yield (
                "sysctls",
                f"{quote(str(key))} would be the host's with network_mode: host; set it there, or take it out",
            )
        if values.IPC_SYSCTLS.fullmatch(str(key)) and spec.get("ipc_mode") == "host":
            yield "sysctls", f"{quote(str(key))} would be the host's with ipc_mode: host; set it there, or take it out"


def _check_network(spec: Mapping) -> Iterable[tuple[str, str]]:
    mode = spec.get("network_mode") or ""
    names = [network.get("name") for network in spec.get("networks") or ()]
    if mode and names and mode != names[0]:
        yield "network_mode", f"{quote(mode)} and networks exclude one another; keep one"
    if (mode in ("host", "none") or mode.startswith("container:")) and spec.get("published_ports"):
        yield "published_ports", f"cannot be published with network_mode: {mode}; take them out, or use a network"
    taken: dict[tuple, str] = {}
    for port, ip, number in ports.published(spec.get("published_ports") or []):
        place = (ip, number, port.rpartition("/")[2])
        if number and place in taken and taken[place] != port:
            yield (
                "published_ports",
                f"port {number} of the host is given to {taken[place]} and to {port}; give each its own",
            )
        taken[place] = port


def _check_targets(spec: Mapping) -> Iterable[tuple[str, str]]:
    seen: dict[str, str] = {}
    targets = [("volumes", values.bind(text)[1]) for text in spec.get("volumes") or ()]
    targets += [("mounts", (mount.get("target") or "").rstrip("/") or "/") for mount in spec.get("mounts") or ()]
    targets += [("secrets", target) for target in secret_files.targets(spec)]
    targets += [("tmpfs", path) for path in fields.encode_tmpfs(spec.get("tmpfs") or [])]
    for option, target in targets:
        if target in seen:
            yield option, f"{quote(target)} is mounted twice (also in {seen[target]}); give each mount its own path"
        seen.setdefault(target, option)


# -- what an exchange and an update need beside the changed fields ---------------------------------------------


def is_anonymous(mount: Mapping) -> bool:
    """Whether a mount of an inspect document is a volume that nobody named."""
    return mount.get("Type") == "volume" and bool(fields.ANONYMOUS.fullmatch(mount.get("Name") or ""))


def _carry(document: dict, observed: Any) -> dict:
    """Anonymous volumes go on in the new container where it has one too, as Compose has it: data is never lost silently."""
    host = document.setdefault("HostConfig", {})
    taken = {values.bind(text)[1] for text in host.get("Binds") or ()}
    taken |= {mount["Target"] for mount in host.get("Mounts") or ()} | set(host.get("Tmpfs") or {})
    wanted = {*(dig(document, "Config.Volumes") or ()), *(dig(observed.origin, "Volumes") or ())}
    for mount in observed.raw.get("Mounts") or ():
        target = mount.get("Destination")
        if is_anonymous(mount) and target in wanted and target not in taken:
            host["Binds"] = [*(host.get("Binds") or ()), f"{mount['Name']}:{target}"]
    return document


def _grace(observed: Any) -> float:
    said = dig(observed.raw, "Config.StopTimeout")
    return STOP_TIMEOUT if said is None else float(said)


def _complete(document: dict, observed: Any) -> dict:
    """An update must carry both halves of a restart policy, and swap beside memory, for which the engine knows no default here."""
    host = document.get("HostConfig", {})
    current = observed.raw.get("HostConfig") or {}
    if "RestartPolicy" in host:
        host["RestartPolicy"] = {**(current.get("RestartPolicy") or {}), **host["RestartPolicy"]}
        if host["RestartPolicy"].get("Name") != "on-failure":
            host["RestartPolicy"]["MaximumRetryCount"] = 0
    if "Memory" in host and "MemorySwap" not in host:
        before, swapped = current.get("Memory") or 0, current.get("MemorySwap") or 0
        if swapped == -1 or host["Memory"] == 0:
            host["MemorySwap"] = -1
        elif not before or swapped == 2 * before or swapped < host["Memory"]:
            host["MemorySwap"] = 2 * host["Memory"]  # what the engine itself does at creation
    return document


KIND = Kind(
    "container",
    OPTIONS,
    replace=Replace.BESIDE,
    runs=True,
    labels="Config.Labels",
    must=("image",),
    needs=_needs,
    check=_check,
    carry=_carry,
    endpoint=fields.endpoint,
    complete=_complete,
    wanted=held.wanted,
    held=held.held,
    grace=_grace,
)
