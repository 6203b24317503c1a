# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same spec in other words: other units, other orders, other names of the same thing."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from .asked import nanoseconds, octets
from .exam import Dice

Other = Callable[[Dice, Any], Any]


def _size(dice: Dice, value: Any) -> Any:
    number = octets(value)
    ways = [number, str(number), f"{number}b"]
    ways += [form.format(number >> 10) for form in ("{}k", "{}K", "{}KiB", "{}kb")] if not number % 1024 else []
    ways += [form.format(number >> 20) for form in ("{}m", "{}MiB", "{} M", "{}mb")] if not number % (1 << 20) else []
    return dice.choice(ways)


def _duration(dice: Dice, value: Any) -> Any:
    number = nanoseconds(value)
    ways = [f"{number // 1_000_000}ms", f"{number / 1e9:g}s", number / 1e9, f"{number}ns"]
    if number >= 60e9 and not number % 1_000_000_000:
        minutes, seconds = divmod(number // 1_000_000_000, 60)
        ways.append(f"{minutes}m{seconds}s")
    return dice.choice(ways)


def _health(dice: Dice, value: Mapping) -> dict:
    other = dict(value)
    test = value["test"]
    if isinstance(test, str):
        other["test"] = dice.choice((test, ["CMD-SHELL", test]))
    elif test[0] == "CMD-SHELL":
        other["test"] = dice.choice((test, test[1]))
    for key in ("interval", "timeout", "start_period"):
        if key in other:
            other[key] = _duration(dice, other[key])
    return shuffled(dice, other)


def _words(dice: Dice, value: Any) -> Any:
    words = shlex.split(value) if isinstance(value, str) else value
    return dice.choice((words, shlex.join(words))) if words else value


def shuffled(dice: Dice, value: Any) -> Any:
    """The same in another order."""
    if isinstance(value, Mapping):
        return dict(dice.sample(list(value.items()), len(value)))
    return dice.sample(list(value), len(value))


def each(other: Other) -> Other:
    """Another form of each item, in another order."""
    return lambda dice, value: shuffled(dice, [other(dice, item) for item in value])


def _scalar(dice: Dice, value: Any) -> Any:
    """A value of env or labels: YAML makes numbers and booleans of what looks like them."""
    if value is True:
        return dice.choice((True, "true"))
    return dice.choice((value, str(value))) if isinstance(value, (int, float)) else value


def _table(dice: Dice, value: Mapping) -> Any:
    other = shuffled(dice, {key: _scalar(dice, item) for key, item in value.items()})
    return json.dumps(other) if dice.likely(0.2) else other


def _bool(dice: Dice, value: bool) -> Any:
    return dice.choice((True, "yes", "true", 1, "on") if value else (False, "no", "false", 0, "off"))


def _number(dice: Dice, value: Any) -> Any:
    return dice.choice((value, str(value)))


def _image(dice: Dice, value: str) -> str:
    name = value.removesuffix(":latest") if dice.likely(0.5) else value
    return dice.choice(("", "docker.io/", "index.docker.io/")) + name


def _signal(dice: Dice, value: str) -> str:
    numbers = {"TERM": "15", "INT": "2", "QUIT": "3", "KILL": "9", "USR1": "10"}
    bare = value.upper().removeprefix("SIG")
    bare = {number: name for name, number in numbers.items()}.get(bare, bare)
    return dice.choice((bare, f"SIG{bare}", bare.lower(), f"sig{bare.lower()}", numbers[bare]))


def _capability(dice: Dice, value: str) -> str:
    bare = value.upper().removeprefix("CAP_")
    return dice.choice((bare, f"CAP_{bare}", bare.lower(), f"cap_{bare.lower()}"))


def _port(dice: Dice, line: str) -> str:
    line = line.replace("[::1]", dice.choice(("[::1]", "[0:0:0:0:0:0:0:1]")))
    if "/" not in line and dice.likely(0.5):
        line += dice.choice(("/tcp", "/TCP"))
    return line.removesuffix("/tcp") if dice.likely(0.5) else line


def _ports(dice: Dice, value: list) -> list:
    """Ranges in pieces, and each in other words."""
    lines = []
    for line in value:
        ends, slash, protocol = line.partition("/")
        host, _colon, inner = ends.rpartition(":")
        host, colon, outer = host.rpartition(":")
        if "-" in inner and dice.likely(0.5):
            first, last = map(int, inner.split("-"))
            start = int(outer.split("-")[0])
            lines += [f"{host}{colon}{start + n}:{first + n}{slash}{protocol}" for n in range(last - first + 1)]
        else:
            lines.append(line)
    return shuffled(dice, [_port(dice, line) for line in lines])


def _exposed(dice: Dice, value: Any) -> Any:
    text = str(value)
    return dice.choice((value, text if "/" in text else f"{text}/tcp", text.removesuffix("/tcp")))


def _path(dice: Dice, value: str) -> str:
    return dice.choice((value, value.rstrip("/") + "/", value.replace("/", "//", 1) if value == "/" else value))


def _volume(dice: Dice, line: str) -> str:
    if ":" not in line:
        return _path(dice, line)
    source, target, *modes = line.split(":")
    source = _path(dice, source) if source.startswith("/") else source
    modes = dice.choice((modes, ["rw"])) if modes in ([], ["rw"]) else modes
    return ":".join([source, _path(dice, target), *modes])


def _mount(dice: Dice, value: Mapping) -> dict:
    other = {**value, "target": _path(dice, value["target"])}
    if "tmpfs_size" in other:
        other["tmpfs_size"] = _size(dice, other["tmpfs_size"])
    if other["type"] == "volume" and dice.likely(0.5):
        del other["type"]
    if "read_only" in other:
        other["read_only"] = _bool(dice, other["read_only"])
    return shuffled(dice, other)


def _secret(dice: Dice, value: Mapping) -> dict:
    other = {"target": f"/run/secrets/{value['name']}", "uid": 0, "gid": 0, "mode": "0400"}
    other = {key: item for key, item in other.items() if dice.likely(0.5)} | dict(value)
    if "mode" in other:
        other["mode"] = dice.choice((other["mode"], other["mode"].removeprefix("0")))
    return shuffled(dice, other)


def _tmpfs(dice: Dice, line: str) -> str:
    path, colon, options = line.partition(":")
    return _path(dice, path) + colon + options


def _device(dice: Dice, line: str) -> str:
    if line.count(":") == 0:
        return dice.choice((line, f"{line}:{line}", f"{line}:{line}:rwm", f"{line}:rwm"))
    return line


def _limit(dice: Dice, line: str) -> str:
    name, soft, *hard = line.replace("=", ":").split(":")
    return name + dice.choice(":=") + ":".join([soft, *(hard or dice.choice(([], [soft])))])


def _security(dice: Dice, line: str) -> str:
    ways = {
        "no-new-privileges:true": ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"),
        "seccomp=unconfined": ("seccomp=unconfined", "seccomp:unconfined"),
    }
    return dice.choice(ways[line])


def _address(dice: Dice, value: str) -> str:
    long = {"::1": ("0:0:0:0:0:0:0:1", "0::1"), "fd00::1": ("FD00::1", "fd00:0:0::1")}
    return dice.choice((value, *long.get(value, ())))


def _hosts(dice: Dice, value: Mapping) -> dict:
    return shuffled(dice, {host: _address(dice, ip) for host, ip in value.items()})


def _joined(dice: Dice, value: Mapping) -> dict:
    other = dict(value)
    if "aliases" in other:
        other["aliases"] = shuffled(dice, other["aliases"])
    return shuffled(dice, other)


def _ipam(dice: Dice, value: list) -> list:
    blocks = []
    for block in value:
        other = {
            **block,
            "subnet": block["subnet"].replace("::/64", dice.choice(("::/64", ":0::/64", ":0:0:0:0:0/64"))),
        }
        if "iprange" in other and dice.likely(0.5):
            other["ip_range"] = other.pop("iprange")
        blocks.append(shuffled(dice, other))
    return shuffled(dice, blocks)


def _choice_of(**ways: tuple) -> Other:
    return lambda dice, value: dice.choice((value, *ways.get(str(value).replace("-", "_"), ())))


# Another form of each option's value; what is not here has one form only. fmt: off
OTHERWISE: Mapping[str, Other] = {
    "image": _image,
    "command": _words,
    "entrypoint": _words,
    "env": _table,
    "labels": _table,
    "working_dir": _path,
    "stop_signal": _signal,
    "healthcheck": _health,
    **dict.fromkeys(("tty", "interactive", "init", "auto_remove", "privileged", "read_only"), _bool),
    **dict.fromkeys(("stop_timeout", "restart_retries", "memory_swappiness", "cpu_shares", "oom_score_adj"), _number),
    **dict.fromkeys(("memory", "memory_reservation", "shm_size"), _size),
    "memory_swap": lambda d, v: d.choice(("-1", -1, "unlimited")) if v in ("-1", "unlimited") else _size(d, v),
    "cpus": lambda d, v: d.choice((float(v), str(v), f"{float(v):.3f}")),
    "pids_limit": lambda d, v: d.choice((0, -1, "0", "-1")) if v in (0, -1) else _number(d, v),
    "ulimits": each(_limit),
    "capabilities": each(_capability),
    "cap_drop": each(_capability),
    "security_opts": each(_security),
    "groups": shuffled,
    "devices": each(_device),
    "dns_opts": shuffled,
    "depends_on": shuffled,
    "published_ports": _ports,
    "exposed_ports": each(_exposed),
    "networks": each(_joined),
    "network_mode": _choice_of(bridge=("default",)),
    "restart_policy": _choice_of(no=(False,)),
    "dns_servers": lambda d, v: [_address(d, item) for item in v],
    "etc_hosts": _hosts,
    "volumes": each(_volume),
    "mounts": each(_mount),
    "tmpfs": each(_tmpfs),
    "secrets": each(_secret),
    "log_options": _table,
    "sysctls": _table,
}
NETWORK_OTHERWISE: Mapping[str, Other] = {
    "driver_options": _table,
    "labels": _table,
    "ipam_config": _ipam,
    **dict.fromkeys(("internal", "attachable", "enable_ipv6"), _bool),
}
VOLUME_OTHERWISE: Mapping[str, Other] = {"driver_options": _table, "labels": _table}
ALIASES = {
    "env": ("environment",),
    "working_dir": ("workdir",),
    "interactive": ("stdin_open",),
    "restart_policy": ("restart",),
    "memory": ("mem_limit",),
    "memory_reservation": ("mem_reservation",),
    "memory_swap": ("memswap_limit",),
    "memory_swappiness": ("mem_swappiness",),
    "cpuset_cpus": ("cpuset",),
    "capabilities": ("cap_add",),
    "groups": ("group_add",),
    "security_opts": ("security_opt",),
    "pid_mode": ("pid",),
    "ipc_mode": ("ipc",),
    "published_ports": ("ports",),
    "exposed_ports": ("expose", "exposed"),
    "dns_servers": ("dns",),
    "dns_search_domains": ("dns_search",),
    "etc_hosts": ("extra_hosts",),
    "log_options": ("log_opt",),
}
# fmt: on


def _item(dice: Dice, item: Mapping, table: Mapping[str, Other]) -> dict:
    other = {}
    for option, value in shuffled(dice, item).items():
        name = dice.choice((option, *ALIASES.get(option, ()))) if table is OTHERWISE else option
        other[name] = table[option](dice, value) if option in table else value
    return other


def rewritten(dice: Dice, spec: Mapping[str, Any]) -> dict[str, Any]:
    """An equivalent spec: the engine would make the same of it."""
    other = copy.deepcopy(dict(spec))
    tables = {"networks": NETWORK_OTHERWISE, "volumes": VOLUME_OTHERWISE, "containers": OTHERWISE}
    for plural, table in tables.items():
        other[plural] = shuffled(dice, [_item(dice, item, table) for item in other.get(plural) or ()])
    return shuffled(dice, other)
