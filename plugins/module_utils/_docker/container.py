# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a container. Paths are those that `docker inspect` shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._converge.compare import MODES
from .._converge.desired import quote
from .._converge.kind import Kind, Need, Replace
from .._converge.option import Option, any_order, dig, looks_secret
from .._converge.ownership import without_ours
from . import values

STATES = ("present", "started", "stopped", "healthy", "restarted", "absent")
PREDEFINED_NETWORKS = ("bridge", "host", "none", "default")
ANONYMOUS = re.compile(r"[0-9a-f]{64}")


# -- reading and writing the few fields that do not live at one path -------------------------------------------


def _read_ports(raw: Mapping) -> list:
    return values.published_back(dig(raw, "HostConfig.PortBindings"))


def _write_ports(document: dict, bindings: list) -> None:
    exposed = document.setdefault("Config", {}).setdefault("ExposedPorts", {})
    table = document.setdefault("HostConfig", {}).setdefault("PortBindings", {})
    for port, ip, number in bindings:
        exposed[port] = {}
        table.setdefault(port, []).append({"HostIp": ip, "HostPort": number})


def _shown_ports(bindings: Iterable[tuple]) -> tuple[str, ...]:
    shown = []
    for port, ip, number in bindings:
        bare = port[:-4] if port.endswith("/tcp") else port
        host = f"[{ip}]" if ":" in ip else ip
        shown.append(":".join([host, number, bare] if host else [number, bare] if number else [bare]))
    return tuple(shown)


def _read_exposed(raw: Mapping) -> dict:
    return dict(dig(raw, "Config.ExposedPorts") or {})


def _write_exposed(document: dict, ports: Mapping) -> None:
    document.setdefault("Config", {}).setdefault("ExposedPorts", {}).update(ports)


def _read_volumes(raw: Mapping) -> list[tuple[str, str, str]]:
    named = [values.bind(text) for text in dig(raw, "HostConfig.Binds") or ()]
    named = [item for item in named if not ANONYMOUS.fullmatch(item[0])]
    return named + [("", target, "") for target in dig(raw, "Config.Volumes") or ()]


def _write_volumes(document: dict, items: list[tuple[str, str, str]]) -> None:
    binds = [values.bind_text(item) for item in items if item[0]]
    if binds:
        document.setdefault("HostConfig", {})["Binds"] = binds
    for _source, target, _modes in (item for item in items if not item[0]):
        document.setdefault("Config", {}).setdefault("Volumes", {})[target] = {}


def _volumes_match(desired: Iterable[str], observed: Iterable[str]) -> bool:
    """Named and host volumes must be the same; an image may add anonymous ones of its own."""
    ours, theirs = set(desired or ()), set(observed or ())
    anonymous = {item for item in theirs if item.count(":") == 0}
    return ours - theirs == set() and theirs - anonymous - ours == set()


def _encode_networks(items: list[Mapping]) -> dict[str, dict]:
    encoded: dict[str, dict] = {}
    for item in items:
        name = item.get("name") or ""
        if name in encoded:
            raise ValueError(f"{quote(name)} is there twice; join each network once")
        settings: dict[str, Any] = {}
        ipam = {}
        if item.get("ipv4_address"):
            ipam["IPv4Address"] = values.address(item["ipv4_address"], 4)
        if item.get("ipv6_address"):
            ipam["IPv6Address"] = values.address(item["ipv6_address"], 6)
        if ipam:
            if name in PREDEFINED_NETWORKS:
                raise ValueError(f"a static address on {quote(name)} is not possible; use a network of your own")
            settings["IPAMConfig"] = ipam
        if item.get("aliases"):
            settings["Aliases"] = list(item["aliases"])
        if item.get("links"):
            settings["Links"] = list(item["links"])
        if item.get("driver_opts"):
            settings["DriverOpts"] = values.texts(item["driver_opts"])
        encoded[name] = settings
    return encoded


def _read_networks(raw: Mapping) -> dict[str, dict]:
    shown = {}
    own = ((raw.get("Id") or "")[:12], dig(raw, "Config.Hostname"))  # engines add these by themselves
    for name, settings in (dig(raw, "NetworkSettings.Networks") or {}).items():
        settings = dict(settings or {})
        settings["Aliases"] = [alias for alias in settings.get("Aliases") or () if alias not in own]
        shown[name] = settings
    return shown


def _decode_networks(networks: Mapping | None) -> dict[str, dict]:
    """{network: {what was said of it}}; what is empty is left out."""
    decoded: dict[str, dict] = {}
    for name, settings in (networks or {}).items():
        ipam = settings.get("IPAMConfig") or {}
        said = {
            "aliases": tuple(sorted(settings.get("Aliases") or ())),
            "ipv4_address": ipam.get("IPv4Address"),
            "ipv6_address": ipam.get("IPv6Address"),
            "links": tuple(sorted(settings.get("Links") or ())),
            "driver_opts": settings.get("DriverOpts"),
        }
        decoded[name] = {key: value for key, value in said.items() if value}
    return decoded


def _write_networks(document: dict, networks: Mapping) -> None:
    """Only the first network fits in a create call of every engine; the others are connected before the start."""
    first = next(iter(networks))
    document.setdefault("HostConfig", {}).setdefault("NetworkMode", first)
    document["NetworkingConfig"] = {"EndpointsConfig": {first: networks[first]}}


def _networks_match(desired: Mapping, observed: Mapping) -> bool:
    """The same networks, and on each what was said of it."""
    if set(desired) != set(observed or {}):
        return False
    return all(observed[name].get(key) == value for name, said in desired.items() for key, value in said.items())


# -- encoders and decoders of one field ------------------------------------------------------------------------


def _encode_command(value: Any) -> list[str]:
    found = values.words(value)
    if not found:
        raise ValueError("is empty; leave it out to run what the image says")
    return found


def _encode_entrypoint(value: Any) -> list[str]:
    return values.words(value) or [""]  # a single empty word takes the image's entrypoint away


def _decode_words(value: Any) -> tuple[str, ...]:
    return () if value in (None, [""], "") else tuple([value] if isinstance(value, str) else value)


def _decode_image(value: Any) -> str:
    try:
        return values.reference(value or "")
    except ValueError:
        return value or ""


def _encode_hosts(value: Mapping) -> list[str]:
    lines = []
    for host, ip in values.texts(value).items():
        lines.append(f"{host}:{ip if ip == 'host-gateway' else values.address(ip)}")
    return sorted(lines)


def _decode_hosts(lines: Iterable[str] | None) -> dict[str, str]:
    pairs = [line.partition("=" if "=" in line else ":") for line in lines or ()]
    return {host: ip for host, _separator, ip in pairs}


def _encode_devices(items: list[str]) -> list[dict]:
    devices = []
    for item in items:
        parts = str(item).split(":")
        if len(parts) == 2 and not parts[1].startswith("/"):
            parts = [parts[0], parts[0], parts[1]]
        outside, inside, rights = (parts + [parts[0], "rwm"][len(parts) - 1 :])[:3]
        if len(parts) > 3 or not outside.startswith("/") or not inside.startswith("/") or not set(rights) <= set("rwm") or not rights:
            raise ValueError(f"{quote(item)} is not a device; write /dev/fuse or /dev/sda:/dev/xvda:rwm")
        devices.append({"PathOnHost": outside, "PathInContainer": inside, "CgroupPermissions": rights})
    return devices


def _decode_devices(devices: Iterable[Mapping] | None) -> tuple[str, ...]:
    return tuple(sorted(f"{item['PathOnHost']}:{item['PathInContainer']}:{item['CgroupPermissions']}" for item in devices or ()))


def _encode_tmpfs(items: list[str]) -> dict[str, str]:
    found = {}
    for item in items:
        path, _colon, options = str(item).partition(":")
        if not path.startswith("/"):
            raise ValueError(f"{quote(item)}: the path is not absolute; write /run or /run:size=64m")
        found[path.rstrip("/") or "/"] = options
    return found


HEALTH = {
    "test": "Test",
    "interval": "Interval",
    "timeout": "Timeout",
    "retries": "Retries",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def _encode_health(value: Mapping) -> dict:
    encoded: dict[str, Any] = {}
    test = value.get("test")
    if test is not None:
        if isinstance(test, str):
            encoded["Test"] = ["NONE"] if test.strip().upper() == "NONE" else ["CMD-SHELL", test]
        else:
            encoded["Test"] = values.words(test)
        if not encoded["Test"] or encoded["Test"][0] not in ("NONE", "CMD", "CMD-SHELL"):
            raise ValueError(f"{quote(test)} is not a test; write a shell command, or a list that begins with CMD or CMD-SHELL, or NONE")
        if encoded["Test"][0] != "NONE" and len(encoded["Test"]) < 2:
            raise ValueError(f"{quote(test)} has no command")
    for name in ("interval", "timeout", "start_period", "start_interval"):
        if value.get(name) is not None:
            try:
                encoded[HEALTH[name]] = values.duration(value[name])
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
            if 0 < encoded[HEALTH[name]] < 1_000_000:
                raise ValueError(f"{name} {quote(value[name])} is less than the engine's minimum of 1ms")
    if value.get("retries") is not None:
        encoded["Retries"] = values.not_negative(value["retries"])
    return encoded


def _decode_health(value: Mapping | None) -> dict:
    decoded = {name: (value or {}).get(key) for name, key in HEALTH.items()}
    decoded = {name: item for name, item in decoded.items() if item}
    if "test" in decoded:
        decoded["test"] = tuple(decoded["test"])
    return decoded


def _encode_mounts(items: list[Mapping]) -> list[dict]:
    return [_encode_mount(item) for item in items]


def _encode_mount(item: Mapping) -> dict:
    kind, target, source = item.get("type") or "volume", item.get("target") or "", item.get("source")
    if not target.startswith("/"):
        raise ValueError(f"{quote(target)} is not an absolute path in the container; begin it with /")
    if kind == "bind" and not (source or "").startswith("/"):
        raise ValueError(f"{quote(source)} is not an absolute path on the host, which a bind mount needs")
    if kind == "tmpfs" and source:
        raise ValueError(f"a tmpfs mount has no source; take {quote(source)} out")
    mount: dict[str, Any] = {"Type": kind, "Target": target.rstrip("/") or "/"}
    if source:
        mount["Source"] = source
    if item.get("read_only") is not None:
        mount["ReadOnly"] = item["read_only"]
    if kind == "bind" and item.get("propagation"):
        mount["BindOptions"] = {"Propagation": item["propagation"]}
    if kind == "volume":
        options: dict[str, Any] = {}
        if item.get("no_copy") is not None:
            options["NoCopy"] = item["no_copy"]
        if item.get("volume_driver"):
            options["DriverConfig"] = {"Name": item["volume_driver"], "Options": values.texts(item.get("volume_options") or {})}
        if options:
            mount["VolumeOptions"] = options
    if kind == "tmpfs":
        options = {}
        if item.get("tmpfs_size") is not None:
            options["SizeBytes"] = values.size(item["tmpfs_size"])
        if item.get("tmpfs_mode") is not None:
            options["Mode"] = _octal(item["tmpfs_mode"])
        if options:
            mount["TmpfsOptions"] = options
    return mount


def _octal(text: str) -> int:
    try:
        return int(str(text), 8)
    except ValueError:
        raise ValueError(f'{quote(text)} is not a file mode; write "1777"') from None


def _decode_mounts(mounts: Iterable[Mapping] | None) -> tuple[str, ...]:
    """One text per mount, with what was said and without what engines add."""
    shown = []
    for mount in mounts or ():
        parts = [mount.get("Type") or "volume", mount.get("Source") or "", mount.get("Target") or ""]
        parts += ["ro"] if mount.get("ReadOnly") else []
        for path in ("BindOptions.Propagation", "VolumeOptions.NoCopy", "VolumeOptions.DriverConfig.Name", "TmpfsOptions.SizeBytes", "TmpfsOptions.Mode"):
            value = dig(mount, path)
            parts += [f"{path.rpartition('.')[2]}={value}"] if value else []
        shown.append(":".join(parts))
    return tuple(sorted(shown))


def _decode_security(value: Iterable[str] | None) -> tuple[str, ...]:
    short = {"no-new-privileges:true": "no-new-privileges", "no-new-privileges=true": "no-new-privileges"}
    return tuple(sorted(short.get(item, item) for item in value or () if item != "label=disable"))


def _encode_mode(value: str) -> str:
    if value.startswith("container:") and not values.NAME.fullmatch(value[len("container:") :]):
        raise ValueError(f"{quote(value)} names no container; write container:NAME")
    if not value.startswith("container:") and not values.NAME.fullmatch(value):
        raise ValueError(f"{quote(value)} is not a network mode; write bridge, host, none, container:NAME or a network's name")
    return value


def _encode_swappiness(value: int) -> int:
    if not 0 <= value <= 100:
        raise ValueError(f"{quote(value)} is not between 0 and 100")
    return value


def _encode_shares(value: int) -> int:
    if value and not 2 <= value <= 262144:
        raise ValueError(f"{quote(value)} is not a share of processor time; write a number from 2 to 262144 (1024 is usual)")
    return value


def _encode_cpuset(value: str) -> str:
    if value and not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", value):
        raise ValueError(f'{quote(value)} is not a set of processors; write "0-2" or "0,1"')
    return value


def _encode_adjustment(value: int) -> int:
    if not -1000 <= value <= 1000:
        raise ValueError(f"{quote(value)} is not between -1000 and 1000")
    return value


def _sorted(value: Iterable | None) -> tuple:
    return tuple(sorted(value or ()))


def _tuple(value: Iterable | None) -> tuple:
    return tuple(value or ())


def _or(default: Any) -> Any:
    """A decoder that gives ``default`` where the engine shows nothing."""
    return lambda value: value or default


def _pids(value: int | None) -> int:
    return 0 if value in (None, -1) else value


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
    Option("comparisons", "dict"),
    Option("env_file", "list", elements="path"),
    Option("healthy_wait_timeout", "float"),
    # what runs
    Option("image", "str", "Config.Image", values.reference, _decode_image, refers="image", identity="Image"),
    Option("command", "raw", "Config.Cmd", _encode_command, _decode_words, inherits="Cmd"),
    Option("entrypoint", "raw", "Config.Entrypoint", _encode_entrypoint, _decode_words, inherits="Entrypoint"),
    Option("env", "dict", "Config.Env", values.environment, values.environment_back, keyed=True, inherits="Env", hides=looks_secret, aliases=("environment",)),
    Option("labels", "dict", "Config.Labels", values.texts, without_ours, keyed=True, inherits="Labels", hides=looks_secret),
    Option("user", "str", "Config.User", decode=_or(""), inherits="User"),
    Option("working_dir", "str", "Config.WorkingDir", decode=_or(""), inherits="WorkingDir", aliases=("workdir",)),
    Option("hostname", "str", "Config.Hostname"),
    Option("domainname", "str", "Config.Domainname", decode=_or("")),
    Option("tty", "bool", "Config.Tty", unset=False),
    Option("interactive", "bool", "Config.OpenStdin", unset=False, aliases=("stdin_open",)),
    Option("init", "bool", "HostConfig.Init", decode=bool, unset=False),
    Option("stop_signal", "str", "Config.StopSignal", values.signal, lambda value: values.signal(value) if value else "", inherits="StopSignal"),
    Option("stop_timeout", "int", "Config.StopTimeout"),
    Option("healthcheck", "dict", "Config.Healthcheck", _encode_health, _decode_health, keyed=True, inherits="Healthcheck", suboptions=HEALTH_OPTIONS),
    Option("restart_policy", "str", "HostConfig.RestartPolicy.Name", decode=_or("no"), update=True, resets=True, unset="no", choices=("no", "on-failure", "always", "unless-stopped"), aliases=("restart",)),
    Option("restart_retries", "int", "HostConfig.RestartPolicy.MaximumRetryCount", values.not_negative, _or(0), update=True, resets=True, unset=0),
    Option("auto_remove", "bool", "HostConfig.AutoRemove", unset=False),
    # limits
    Option("memory", "str", "HostConfig.Memory", values.memory, _or(0), update=True, unset=0, aliases=("mem_limit",)),
    Option("memory_reservation", "str", "HostConfig.MemoryReservation", values.memory, _or(0), update=True, unset=0, aliases=("mem_reservation",)),
    Option("memory_swap", "str", "HostConfig.MemorySwap", values.swap, _or(0), update=True, unset=0, aliases=("memswap_limit",)),
    Option("memory_swappiness", "int", "HostConfig.MemorySwappiness", _encode_swappiness, aliases=("mem_swappiness",)),
    Option("cpus", "float", "HostConfig.NanoCpus", values.nano_cpus, _or(0), update=True, unset=0),
    Option("cpu_shares", "int", "HostConfig.CpuShares", _encode_shares, _or(0), update=True, unset=0),
    Option("cpuset_cpus", "str", "HostConfig.CpusetCpus", _encode_cpuset, _or(""), update=True, unset="", aliases=("cpuset",)),
    Option("cpuset_mems", "str", "HostConfig.CpusetMems", _encode_cpuset, _or(""), update=True, unset=""),
    Option("pids_limit", "int", "HostConfig.PidsLimit", decode=_pids, update=True, resets=True, unset=0),
    Option("ulimits", "list", "HostConfig.Ulimits", values.ulimits, values.ulimits_back),
    Option("shm_size", "str", "HostConfig.ShmSize", values.size, unset=64 << 20),
    Option("oom_score_adj", "int", "HostConfig.OomScoreAdj", _encode_adjustment, _or(0), unset=0),
    # rights
    Option("privileged", "bool", "HostConfig.Privileged", unset=False),
    Option("capabilities", "list", "HostConfig.CapAdd", values.capabilities, values.capabilities_back, aliases=("cap_add",)),
    Option("cap_drop", "list", "HostConfig.CapDrop", values.capabilities, values.capabilities_back),
    Option("security_opts", "list", "HostConfig.SecurityOpt", decode=_decode_security, aliases=("security_opt",)),
    Option("read_only", "bool", "HostConfig.ReadonlyRootfs", unset=False),
    Option("devices", "list", "HostConfig.Devices", _encode_devices, _decode_devices),
    Option("sysctls", "dict", "HostConfig.Sysctls", values.texts, _or({}), keyed=True),
    Option("runtime", "str", "HostConfig.Runtime"),
    Option("pid_mode", "str", "HostConfig.PidMode", decode=_or(""), aliases=("pid",)),
    Option("ipc_mode", "str", "HostConfig.IpcMode", aliases=("ipc",)),
    Option("uts", "str", "HostConfig.UTSMode", decode=_or("")),
    Option("userns_mode", "str", "HostConfig.UsernsMode", decode=_or("")),
    Option("cgroupns_mode", "str", "HostConfig.CgroupnsMode", choices=("host", "private")),
    Option("cgroup_parent", "str", "HostConfig.CgroupParent", decode=_or("")),
    # networks
    Option("published_ports", "list", encode=values.published, decode=_shown_ports, read=_read_ports, write=_write_ports, unset=(), aliases=("ports",)),
    Option("exposed_ports", "list", encode=values.exposed, read=_read_exposed, write=_write_exposed, keyed=True, inherits="ExposedPorts", aliases=("expose", "exposed")),
    Option("networks", "list", encode=_encode_networks, decode=_decode_networks, matches=_networks_match, read=_read_networks, write=_write_networks, attach=True, unset={"bridge": {}}, suboptions=NETWORK_OPTIONS, elements="dict"),
    Option("network_mode", "str", "HostConfig.NetworkMode", _encode_mode, lambda value: "bridge" if value in (None, "", "default") else value, unset="bridge"),
    Option("dns_servers", "list", "HostConfig.Dns", lambda items: [values.address(item) for item in items], _tuple, unset=(), aliases=("dns",)),
    Option("dns_search_domains", "list", "HostConfig.DnsSearch", decode=_tuple, unset=(), aliases=("dns_search",)),
    Option("dns_opts", "list", "HostConfig.DnsOptions", decode=_sorted, unset=()),
    Option("etc_hosts", "dict", "HostConfig.ExtraHosts", _encode_hosts, _decode_hosts, keyed=True, aliases=("extra_hosts",)),
    # files
    Option("volumes", "list", encode=lambda items: [values.bind(item) for item in items], decode=lambda items: tuple(sorted(map(values.bind_text, items))), matches=_volumes_match, read=_read_volumes, write=_write_volumes, unset=()),
    Option("mounts", "list", "HostConfig.Mounts", _encode_mounts, _decode_mounts, unset=(), suboptions=MOUNT_OPTIONS, elements="dict"),
    Option("tmpfs", "list", "HostConfig.Tmpfs", _encode_tmpfs, lambda value: dict(value or {}), unset={}),
    Option("volumes_from", "list", "HostConfig.VolumesFrom", matches=any_order, decode=_tuple, unset=()),
    # logging
    Option("log_driver", "str", "HostConfig.LogConfig.Type"),
    Option("log_options", "dict", "HostConfig.LogConfig.Config", values.texts, _or({}), keyed=True, hides=looks_secret, aliases=("log_opt",)),
)  # fmt: skip


# -- what one option alone does not show -----------------------------------------------------------------------


def _needs(spec: Mapping) -> Iterable[Need]:
    if spec.get("image"):
        yield Need("image", _decode_image(spec["image"]), option="image")
    for network in spec.get("networks") or ():
        if network.get("name") and network["name"] not in PREDEFINED_NETWORKS:
            yield Need("network", network["name"], strict=True, option="networks")
    for option in ("network_mode", "pid_mode", "ipc_mode"):
        word, _colon, name = (spec.get(option) or "").partition(":")
        if word == "container" and name:
            yield Need("container", name, strict=True, option=option)
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
        yield "restart_retries", f"{spec['restart_retries']} means something with restart_policy: on-failure only; write that, or take it out"
    if spec.get("auto_remove") and spec.get("restart_policy", "no") != "no":
        yield "auto_remove", f"true and restart_policy: {spec['restart_policy']} exclude one another; keep one"
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
        yield "memory_swap", f"{quote(spec['memory_swap'])} needs memory beside it, for it is memory and swap together; add memory"
    elif 0 < swap < memory:
        yield "memory_swap", f"{quote(spec['memory_swap'])} is less than memory, {quote(spec['memory'])}; it is memory and swap together"
    if memory and reserved > memory:
        yield "memory_reservation", f"{quote(spec['memory_reservation'])} is more than memory, {quote(spec['memory'])}; write less"


def _check_network(spec: Mapping) -> Iterable[tuple[str, str]]:
    mode = spec.get("network_mode") or ""
    names = [network.get("name") for network in spec.get("networks") or ()]
    if mode and names and mode != names[0]:
        yield "network_mode", f"{quote(mode)} and networks exclude one another; keep one"
    if (mode in ("host", "none") or mode.startswith("container:")) and spec.get("published_ports"):
        yield "published_ports", f"cannot be published with network_mode: {mode}; take them out, or use a network"
    taken: dict[tuple, str] = {}
    for port, ip, number in values.published(spec.get("published_ports") or []):
        place = (ip, number, port.rpartition("/")[2])
        if number and place in taken and taken[place] != port:
            yield "published_ports", f"port {number} of the host is given to {taken[place]} and to {port}; give each its own"
        taken[place] = port


def _check_targets(spec: Mapping) -> Iterable[tuple[str, str]]:
    seen: dict[str, str] = {}
    targets = [("volumes", values.bind(text)[1]) for text in spec.get("volumes") or ()]
    targets += [("mounts", (mount.get("target") or "").rstrip("/") or "/") for mount in spec.get("mounts") or ()]
    targets += [("tmpfs", path) for path in _encode_tmpfs(spec.get("tmpfs") or [])]
    for option, target in targets:
        if target in seen:
            yield option, f"{quote(target)} is mounted twice (also in {seen[target]}); give each mount its own path"
        seen.setdefault(target, option)


# -- what an exchange and an update need beside the changed fields ---------------------------------------------


def is_anonymous(mount: Mapping) -> bool:
    """Whether a mount of an inspect document is a volume that nobody named."""
    return mount.get("Type") == "volume" and bool(ANONYMOUS.fullmatch(mount.get("Name") or ""))


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
    complete=_complete,
)
