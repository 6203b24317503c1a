# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `docker inspect` should show of a spec: written down a second time, apart from the code under test."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.engine import Engine

from .specs import bindings

UNITS = {"k": 10, "m": 20, "g": 30}
OWN = ("slipway.",)


def octets(value: Any) -> int:
    """64m -> 67108864."""
    text = str(value).lower().removesuffix("ib").removesuffix("b")
    return int(float(text[:-1]) * 2 ** UNITS[text[-1]]) if text[-1] in UNITS else int(text)


def nanoseconds(value: Any) -> int:
    """1m30s -> 90000000000."""
    text = str(value)
    total, number = 0.0, ""
    while text:
        unit = next((unit for unit in ("ms", "s", "m", "h") if text.startswith(unit)), "")
        if unit:
            total += float(number) * {"ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}[unit]
            number, text = "", text[len(unit) :]
        else:
            number, text = number + text[0], text[1:]
    return round(total + (float(number) * 1e9 if number else 0))


def text(value: Any) -> str:
    """A value as the engine holds it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def words(value: Any) -> list[str]:
    return shlex.split(value) if isinstance(value, str) else list(value)


def _caps(names: Iterable[str] | None) -> set[str]:
    return {name.upper().removeprefix("CAP_") for name in names or ()}


def _signal(name: str) -> str:
    bare = name.upper().removeprefix("SIG")
    return {"15": "TERM", "2": "INT", "3": "QUIT", "9": "KILL", "10": "USR1"}.get(bare, bare)


def _within(wanted: Mapping, shown: Mapping) -> bool:
    return all(key in shown and shown[key] == text(value) for key, value in wanted.items())


def _ports(lines: Iterable[str]) -> set[tuple]:
    return {(f"{inner}/{proto}", host, str(outer)) for line in lines for host, outer, inner, proto in bindings(line)}


def _bound(shown: Mapping | None) -> set[tuple]:
    return {(port, item["HostIp"], item["HostPort"]) for port, items in (shown or {}).items() for item in items}


def _exposed(lines: Iterable[Any]) -> set[str]:
    found = set()
    for line in lines:
        ends, _slash, protocol = str(line).partition("/")
        first, _dash, last = ends.partition("-")
        found |= {f"{port}/{protocol or 'tcp'}" for port in range(int(first), int(last or first) + 1)}
    return found


def _health(said: Mapping, shown: Mapping) -> bool:
    test = said["test"] if isinstance(said["test"], list) else ["CMD-SHELL", said["test"]]
    times = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}
    return (
        shown["Test"] == test
        and all(shown.get(times[key], 0) == nanoseconds(said[key]) for key in times if key in said)
        and shown.get("Retries", 0) == said.get("retries", shown.get("Retries", 0))
    )


def _security(lines: Iterable[str]) -> set[str]:
    return {line.replace(":", "=", 1).removesuffix("privileges=true").removesuffix("privileges") for line in lines}


def _secrets(said: Iterable[Mapping], shown: Iterable[Mapping]) -> bool:
    """Each file is there, read-only for the container, with its content, owner and mode."""
    by_target = {item["Destination"]: item for item in shown}
    for secret in said:
        found = by_target.get(secret.get("target", f"/run/secrets/{secret['name']}"))
        if not found or found["RW"] or Path(found["Source"]).read_text() != secret["value"]:
            return False
        state = Path(found["Source"]).stat()
        wanted = (secret.get("uid", 0), secret.get("gid", 0), int(secret.get("mode", "0400"), 8))
        if (state.st_uid, state.st_gid, state.st_mode & 0o777) != wanted:
            return False
    return True


def _limits(lines: Iterable[str]) -> set[tuple]:
    found = set()
    for line in lines:
        name, soft, *hard = line.replace("=", ":").split(":")
        found.add((name, int(soft), int(hard[0] if hard else soft)))
    return found


def _devices(lines: Iterable[str]) -> set[tuple]:
    found = set()
    for line in lines:
        parts = line.split(":")
        rights = parts.pop() if not parts[-1].startswith("/") else "rwm"
        found.add((parts[0], parts[-1], rights))
    return found


def _mounted(said: Iterable[Mapping], shown: Iterable[Mapping]) -> bool:
    """Each mount is there as the kernel has it."""
    by_target = {item["Destination"]: item for item in shown}
    for mount in said:
        found = by_target.get(mount["target"])
        if mount["type"] == "tmpfs":
            continue  # not among the mounts that inspect lists on every engine; see _tmpfs
        if not found or found["Type"] != mount["type"] or found["RW"] == mount.get("read_only", False):
            return False
        if found["Name" if mount["type"] == "volume" else "Source"] != mount["source"]:
            return False
    return True


def _bind_lines(lines: Iterable[str], shown: Iterable[Mapping]) -> bool:
    by_target = {item["Destination"]: item for item in shown}
    for line in lines:
        if line.startswith("/") and ":" not in line:
            if by_target[line]["Type"] != "volume":
                return False
            continue
        source, target, *modes = line.split(":")
        found = by_target.get(target)
        name = "Source" if source.startswith("/") else "Name"
        if not found or found[name] != source or found["RW"] != (modes != ["ro"]):
            return False
    return True


def _tmpfs(lines: Iterable[str]) -> dict[str, str]:
    return {path: options for path, _colon, options in (line.partition(":") for line in lines)}


def _mode(said: str, shown: str, names: Mapping[str, str]) -> bool:
    word, _colon, name = said.partition(":")
    if word == "container":
        return shown in (said, f"container:{names.get(name)}")
    return shown == said or (said == "bridge" and shown == "default")


def _networks(said: Iterable[Mapping], shown: Mapping, hostname: str) -> bool:
    if {joined["name"] for joined in said} != set(shown):
        return False
    for joined in said:
        found = shown[joined["name"]]
        aliases = set(joined.get("aliases", ())) - {hostname}  # that name is found without being an alias
        if not aliases <= set(found["Aliases"] or ()):
            return False
        static = joined.get("ipv4_address")
        if static and (found["IPAMConfig"] or {}).get("IPv4Address") != static:
            return False
        if static and found["IPAddress"] not in ("", static):
            return False
    return True


def _environment(lines: Iterable[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines)


# What inspect (i), with the names and IDs of all containers (n), should say of a value (v). fmt: off
SHOWN: Mapping[str, Callable[[Any, dict, dict], bool]] = {
    "image": lambda v, i, n: i["Config"]["Image"] == v,
    "command": lambda v, i, n: i["Config"]["Cmd"] == words(v),
    "entrypoint": lambda v, i, n: (
        (i["Config"]["Entrypoint"] or []) in ([words(v), [""]] if not words(v) else [words(v)])
    ),
    "env": lambda v, i, n: _within(v, _environment(i["Config"]["Env"])),
    "labels": lambda v, i, n: _within(v, i["Config"]["Labels"]),
    "user": lambda v, i, n: i["Config"]["User"] == v,
    "working_dir": lambda v, i, n: i["Config"]["WorkingDir"] == v,
    "hostname": lambda v, i, n: i["Config"]["Hostname"] == v,
    "domainname": lambda v, i, n: i["Config"]["Domainname"] == v,
    "tty": lambda v, i, n: i["Config"]["Tty"] == v,
    "interactive": lambda v, i, n: i["Config"]["OpenStdin"] == v,
    "init": lambda v, i, n: bool(i["HostConfig"]["Init"]) == v,
    "stop_signal": lambda v, i, n: _signal(i["Config"]["StopSignal"]) == _signal(v),
    "stop_timeout": lambda v, i, n: i["Config"]["StopTimeout"] == v,
    "healthcheck": lambda v, i, n: _health(v, i["Config"]["Healthcheck"]),
    "restart_policy": lambda v, i, n: i["HostConfig"]["RestartPolicy"]["Name"] in (v, *([""] if v == "no" else [])),
    "restart_retries": lambda v, i, n: i["HostConfig"]["RestartPolicy"]["MaximumRetryCount"] == v,
    "auto_remove": lambda v, i, n: i["HostConfig"]["AutoRemove"] == v,
    "memory": lambda v, i, n: i["HostConfig"]["Memory"] == octets(v),
    "memory_reservation": lambda v, i, n: i["HostConfig"]["MemoryReservation"] == octets(v),
    "memory_swap": lambda v, i, n: i["HostConfig"]["MemorySwap"] == (-1 if v in ("-1", "unlimited") else octets(v)),
    "memory_swappiness": lambda v, i, n: i["HostConfig"]["MemorySwappiness"] == v,
    "cpus": lambda v, i, n: i["HostConfig"]["NanoCpus"] == float(v) * 1e9,
    "cpu_shares": lambda v, i, n: i["HostConfig"]["CpuShares"] == v,
    "cpuset_cpus": lambda v, i, n: i["HostConfig"]["CpusetCpus"] == v,
    "cpuset_mems": lambda v, i, n: i["HostConfig"]["CpusetMems"] == v,
    "pids_limit": lambda v, i, n: (i["HostConfig"]["PidsLimit"] or 0) in ((0, -1) if v in (0, -1) else (v,)),
    "ulimits": lambda v, i, n: {(u["Name"], u["Soft"], u["Hard"]) for u in i["HostConfig"]["Ulimits"]} == _limits(v),
    "shm_size": lambda v, i, n: i["HostConfig"]["ShmSize"] == octets(v),
    "oom_score_adj": lambda v, i, n: i["HostConfig"]["OomScoreAdj"] == v,
    "privileged": lambda v, i, n: i["HostConfig"]["Privileged"] == v,
    "capabilities": lambda v, i, n: _caps(i["HostConfig"]["CapAdd"]) == _caps(v),
    "cap_drop": lambda v, i, n: _caps(i["HostConfig"]["CapDrop"]) == _caps(v),
    "groups": lambda v, i, n: sorted(i["HostConfig"]["GroupAdd"]) == sorted(v),
    "security_opts": lambda v, i, n: _security(v) <= _security(i["HostConfig"]["SecurityOpt"]),
    "read_only": lambda v, i, n: i["HostConfig"]["ReadonlyRootfs"] == v,
    "devices": lambda v, i, n: (
        {(d["PathOnHost"], d["PathInContainer"], d["CgroupPermissions"]) for d in i["HostConfig"]["Devices"]}
        == _devices(v)
    ),
    "sysctls": lambda v, i, n: _within(v, i["HostConfig"]["Sysctls"]),
    "runtime": lambda v, i, n: i["HostConfig"]["Runtime"] == v,
    "pid_mode": lambda v, i, n: _mode(v, i["HostConfig"]["PidMode"], n),
    "ipc_mode": lambda v, i, n: _mode(v, i["HostConfig"]["IpcMode"], n),
    "uts": lambda v, i, n: i["HostConfig"]["UTSMode"] == v,
    "userns_mode": lambda v, i, n: i["HostConfig"]["UsernsMode"] == v,
    "cgroupns_mode": lambda v, i, n: i["HostConfig"]["CgroupnsMode"] == v,
    "published_ports": lambda v, i, n: _bound(i["HostConfig"]["PortBindings"]) == _ports(v),
    "exposed_ports": lambda v, i, n: _exposed(v) <= set(i["Config"]["ExposedPorts"]),
    "networks": lambda v, i, n: _networks(v, i["NetworkSettings"]["Networks"], i["Config"]["Hostname"]),
    "network_mode": lambda v, i, n: _mode(v, i["HostConfig"]["NetworkMode"], n),
    "dns_servers": lambda v, i, n: i["HostConfig"]["Dns"] == v,
    "dns_search_domains": lambda v, i, n: i["HostConfig"]["DnsSearch"] == v,
    "dns_opts": lambda v, i, n: sorted(i["HostConfig"]["DnsOptions"]) == sorted(v),
    "etc_hosts": lambda v, i, n: set(i["HostConfig"]["ExtraHosts"]) == {f"{host}:{ip}" for host, ip in v.items()},
    "volumes": lambda v, i, n: _bind_lines(v, i["Mounts"]),
    "mounts": lambda v, i, n: _mounted(v, i["Mounts"]),
    "tmpfs": lambda v, i, n: i["HostConfig"]["Tmpfs"] == _tmpfs(v),
    "secrets": lambda v, i, n: _secrets(v, i["Mounts"]),
    "volumes_from": lambda v, i, n: i["HostConfig"]["VolumesFrom"] == v,
    "log_driver": lambda v, i, n: i["HostConfig"]["LogConfig"]["Type"] == v,
    "log_options": lambda v, i, n: _within(v, i["HostConfig"]["LogConfig"]["Config"]),
}
STATES: Mapping[str, Callable[[dict], bool]] = {
    "started": lambda s: s["Status"] == "running",
    "healthy": lambda s: s["Status"] == "running" and s["Health"]["Status"] == "healthy",
    "stopped": lambda s: not s["Running"],
    "present": lambda s: True,
}
# fmt: on
STEERING = {
    "name",
    "update_order",
    "state",
    "depends_on",
    "pull",
    "comparisons",
    "recreate",
    "env_file",
    "healthy_wait_timeout",
}


def differences(engine: Engine, spec: Mapping[str, Any]) -> list[str]:
    """Say what the engine has otherwise than the spec wants it."""
    found: list[str] = []
    names = {item["Names"][0].lstrip("/"): item["Id"] for item in engine.api("GET", "/containers/json", all=1)}
    for item in spec.get("containers") or ():
        shown = engine.inspect("container", item["name"])
        if shown is None or item.get("state") == "absent":
            found += (
                [] if shown is None and item.get("state") == "absent" else [f"{item['name']} is not as it should be"]
            )
            continue
        found += [
            f"containers.{item['name']}.{option}: {value!r} is not what inspect shows"
            for option, value in item.items()
            if option not in STEERING and not SHOWN[option](value, shown, names)
        ]
        if not STATES[item.get("state", "started")](shown["State"]):
            found.append(f"containers.{item['name']}.state: {shown['State']['Status']}")
        if shown["State"]["Running"]:
            found += _listening(engine, item)
    found += [f"networks.{item['name']}" for item in spec.get("networks") or () if not _network(engine, item)]
    found += [f"volumes.{item['name']}" for item in spec.get("volumes") or () if not _volume(engine, item)]
    return found


def _listening(engine: Engine, item: Mapping[str, Any]) -> list[str]:
    """The truth about ports is what listens on the host."""
    wanted = [place for line in item.get("published_ports", ()) for place in bindings(line) if place[3] == "tcp"]
    if not wanted:
        return []
    sockets = engine.in_netns("ss", "-Hltn")
    listening = {tuple(line.split()[3].rsplit(":", 1)) for line in sockets.splitlines() if line}
    wrong = []
    for host, outer, _inner, _protocol in wanted:
        places = {address.strip("[]") for address, port in listening if port == str(outer)}
        allowed = {host} if host else {"*", "0.0.0.0", "::"}
        if not places or not places <= allowed:
            wrong.append(f"containers.{item['name']}.published_ports: {outer} listens on {places}, not on {allowed}")
    return wrong


def _network(engine: Engine, item: Mapping[str, Any]) -> bool:
    shown = engine.inspect("network", item["name"])
    if shown is None:
        return False
    flags = {"internal": "Internal", "attachable": "Attachable", "enable_ipv6": "EnableIPv6", "driver": "Driver"}
    blocks = {block["Subnet"]: block for block in shown["IPAM"]["Config"]}
    wanted = item.get("ipam_config") or []
    keys = {"gateway": "Gateway", "iprange": "IPRange", "aux_addresses": "AuxiliaryAddresses"}
    return (
        all(shown[flags[key]] == item[key] for key in flags if key in item)
        and _within(item.get("driver_options") or {}, shown["Options"])
        and _within(item.get("labels") or {}, shown["Labels"])
        and (not wanted or set(blocks) == {block["subnet"] for block in wanted})
        and all(
            blocks[block["subnet"]].get(keys[key]) == block[key] for block in wanted for key in keys if key in block
        )
    )


def _volume(engine: Engine, item: Mapping[str, Any]) -> bool:
    shown = engine.inspect("volume", item["name"])
    return (
        shown is not None
        and shown["Driver"] == item.get("driver", "local")
        and _within(item.get("driver_options") or {}, shown["Options"] or {})
        and _within(item.get("labels") or {}, shown["Labels"])
    )
