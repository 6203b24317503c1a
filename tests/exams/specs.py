# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Random specs of whole applications, valid ones, and random ways from one to the next.

An option is one line of a table: how a value of it is thrown. `tidy` then takes out what excludes one another, so that what is left
is what a user could have meant. The pools of names, ports and addresses are small on purpose: things collide, move and swap.
"""

from __future__ import annotations

import copy
import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .exam import Dice

IMAGES = ("slipway-test/busybox:1", "slipway-test/busybox:2", "slipway-test/app:1")
NETWORKS = ("front", "back", "metrics")
VOLUMES = ("data", "cache", "logs")
CONTAINERS = ("web", "api", "db", "worker")
RUNS = ("started", "healthy", None)
STAY = "trap 'exit 0' TERM INT QUIT HUP USR1; sleep 1000 & wait"
PASSING = ("true", "exit 0", ["CMD", "true"], ["CMD-SHELL", "test -d /tmp"])
# The exams' own directory, one for each lane, which goes with their session.
SECRETS = "/var/tmp/slipway-exam-secrets" + os.environ.get("PYTEST_XDIST_WORKER", "")
TARGETS = ("/data", "/srv/cache", "/var/logs", "/mnt/x", "/opt/a b")
TEXTS = ("", "1", "x=y z", 'q"uote', "it's", "日本", "$HOME", "a:b,c", "two\nlines", " space ", 5, 1.5, True, None)
KEYS = ("A", "B", "PATH_TO", "lower", "WITH.DOT", "PASSWORD", "VERSION")
LABELS = ("a", "com.example/role", "com.example.nested.key", "UPPER", "token", "from.image")


def _table(dice: Dice, keys: tuple, most: int = 4) -> dict:
    return {key: dice.choice(TEXTS) for key in dice.some(keys, 1, most)}


def _port(dice: Dice) -> str:
    outer, inner = dice.randint(8001, 8012), dice.choice((80, 81, 443, 9000))
    host = dice.choice(("127.0.0.1:", "127.0.0.1:", "127.0.0.2:", "0.0.0.0:", "[::1]:", ""))
    width = dice.choice((0, 0, 0, 2))
    ends = f"{outer}-{outer + width}:{inner}-{inner + width}" if width else f"{outer}:{inner}"
    return host + ends + dice.choice(("", "", "/tcp", "/udp"))


def _join(dice: Dice, name: str) -> dict:
    joined: dict[str, Any] = {"name": name}
    if dice.likely(0.4):
        joined["aliases"] = dice.some(("one", "two", "three.example"), 1)
    if dice.likely(0.3):
        joined["ipv4_address"] = f"10.77.0.{dice.randint(20, 24)}"  # tidy moves it to the network's subnet
    return joined


def _mount(dice: Dice) -> dict:
    kind = dice.choice(("volume", "bind", "tmpfs"))
    mount: dict[str, Any] = {"type": kind, "target": dice.choice(TARGETS)}
    if kind == "volume":
        mount["source"] = dice.choice((*VOLUMES, "undeclared"))
        if dice.likely(0.3):
            mount["no_copy"] = True
    if kind == "bind":
        mount["source"] = dice.choice(("/tmp", "/srv"))
        if dice.likely(0.3):
            mount["propagation"] = dice.choice(("rprivate", "private"))
    if kind == "tmpfs":
        mount.update({"tmpfs_size": dice.choice(("1m", 1048576, "64k"))} if dice.likely(0.5) else {})
        mount.update({"tmpfs_mode": dice.choice(("1777", "700"))} if dice.likely(0.3) else {})
    if dice.likely(0.3):
        mount["read_only"] = True
    return mount


def _volume_line(dice: Dice) -> str:
    target = dice.choice(TARGETS)
    if dice.likely(0.2):
        return target
    source = dice.choice((*VOLUMES, "undeclared", "/tmp", "/srv"))
    return f"{source}:{target}" + dice.choice(("", "", ":ro", ":rw"))


def _health(dice: Dice) -> dict:
    check: dict[str, Any] = {"test": dice.choice(PASSING)}
    for key, values in (
        ("interval", ("100ms", "0.2s", "1m30s")),
        ("timeout", ("5s", 3, "2500ms")),
        ("retries", (1, 5)),
        ("start_period", ("1s", "0s", 2)),
    ):
        if dice.likely(0.5):
            check[key] = dice.choice(values)
    return check


def _secret(dice: Dice, name: str) -> dict:
    secret: dict[str, Any] = {"name": name, "value": dice.choice(("sw0rdfish", "two\nlines\n", "", "日本"))}
    for key, values in (("mode", ("0440", "0400")), ("uid", (0, 1000)), ("gid", (0, 1000))):
        if dice.likely(0.3):
            secret[key] = dice.choice(values)
    if dice.likely(0.3):
        secret["target"] = f"/etc/{name}.key"
    return secret


def _log(dice: Dice) -> dict:
    return {key: value for key, value in (("max-size", "10m"), ("max-file", 3)) if dice.likely(0.6)} or {
        "max-size": "1m"
    }


# How a value of each option is thrown, and how often the option is said. fmt: off
OPTIONS: Mapping[str, tuple[float, Callable[[Dice], Any]]] = {
    "image": (1, lambda d: d.choice(IMAGES)),
    "command": (0.9, lambda d: d.choice((["sh", "-c", STAY], f'sh -c "{STAY}"', ["/bin/sh", "-c", "cd /; " + STAY]))),
    "entrypoint": (0.15, lambda d: d.choice((["/bin/env"], "/bin/busybox env", []))),
    "env": (0.5, lambda d: _table(d, KEYS)),
    "labels": (0.4, lambda d: _table(d, LABELS)),
    "user": (0.15, lambda d: d.choice(("1000:1000", "www", "root", "0", "1000"))),
    "working_dir": (0.15, lambda d: d.choice(("/tmp", "/srv", "/"))),
    "hostname": (0.2, lambda d: d.choice(("alpha", "beta.example", "web", "one"))),
    "domainname": (0.05, lambda d: d.choice(("example.org", "example.net"))),
    "tty": (0.1, lambda d: d.likely(0.7)),
    "interactive": (0.1, lambda d: d.likely(0.7)),
    "init": (0.15, lambda d: d.likely(0.8)),
    "stop_signal": (0.1, lambda d: d.choice(("SIGTERM", "INT", "sigquit", "9", "SIGUSR1"))),
    "stop_timeout": (0.2, lambda d: d.randint(1, 5)),
    "healthcheck": (0.25, _health),
    "restart_policy": (0.4, lambda d: d.choice(("no", "on-failure", "always", "unless-stopped"))),
    "restart_retries": (0.2, lambda d: d.randint(0, 4)),
    "auto_remove": (0.04, lambda d: d.likely(0.7)),
    "memory": (0.4, lambda d: d.choice(("16m", "64m", 67108864, "0.5g", "64MiB", "0"))),
    "memory_reservation": (0.15, lambda d: d.choice(("8m", "16m"))),
    "memory_swap": (0.15, lambda d: d.choice(("1g", "-1", "unlimited"))),
    "memory_swappiness": (0.05, lambda d: d.choice((0, 10, 60))),
    "cpus": (0.25, lambda d: d.choice((0.5, 1, "0.25", 1.5))),
    "cpu_shares": (0.2, lambda d: d.choice((512, 1024, 2))),
    "cpuset_cpus": (0.1, lambda d: d.choice(("0", "0-1", "0,1"))),
    "cpuset_mems": (0.05, lambda d: "0"),
    "pids_limit": (0.25, lambda d: d.choice((50, 100, 0, -1))),
    "ulimits": (0.15, lambda d: d.some(("nofile:1024:2048", "nproc=512", "core:0"), 1)),
    "shm_size": (0.1, lambda d: d.choice(("16m", "64m", 33554432))),
    "oom_score_adj": (0.1, lambda d: d.choice((0, 100, 500))),
    "privileged": (0.05, lambda d: d.likely(0.6)),
    "capabilities": (0.2, lambda d: d.some(("NET_ADMIN", "CAP_SYS_TIME", "sys_ptrace", "MKNOD"), 1)),
    "cap_drop": (0.25, lambda d: d.choice((["ALL"], ["MKNOD"], ["CAP_NET_RAW", "mknod"]))),
    "groups": (0.1, lambda d: d.some(("10", "www", "20"), 1)),
    "security_opts": (0.15, lambda d: d.some(("no-new-privileges:true", "seccomp=unconfined"), 1)),
    "read_only": (0.15, lambda d: d.likely(0.7)),
    "devices": (0.1, lambda d: d.some(("/dev/null:/dev/nothing:r", "/dev/zero", "/dev/full:rw"), 1)),
    "sysctls": (0.1, lambda d: {"net.core.somaxconn": d.choice((512, "1024"))}),
    "runtime": (0.03, lambda d: "runc"),
    "pid_mode": (0.08, lambda d: d.choice(("host", *(f"container:{name}" for name in CONTAINERS)))),
    "ipc_mode": (
        0.12,
        lambda d: d.choice(
            ("host", "private", "shareable", "shareable", *(f"container:{name}" for name in CONTAINERS))
        ),
    ),
    "uts": (0.05, lambda d: d.choice(("host", ""))),
    "userns_mode": (0.03, lambda d: d.choice(("host", ""))),
    "cgroupns_mode": (0.1, lambda d: d.choice(("private", "host"))),
    "published_ports": (0.4, lambda d: [_port(d) for _ in range(d.randint(1, 3))]),
    "exposed_ports": (0.15, lambda d: d.some(("81", "90-92/udp", "443/tcp", 5000), 1)),
    "networks": (0.5, lambda d: [_join(d, name) for name in d.some(NETWORKS, 1)]),
    "network_mode": (
        0.2,
        lambda d: d.choice(("bridge", "host", "none", *NETWORKS, *(f"container:{name}" for name in CONTAINERS))),
    ),
    "dns_servers": (0.1, lambda d: d.some(("10.0.0.1", "10.0.0.2", "fd00::1"), 1)),
    "dns_search_domains": (0.1, lambda d: d.some(("example.org", "example.net", "."), 1, 1)),
    "dns_opts": (0.1, lambda d: d.some(("ndots:2", "timeout:1"), 1)),
    "etc_hosts": (
        0.15,
        lambda d: {name: d.choice(("10.0.0.5", "::1", "host-gateway")) for name in d.some(("db", "gate"), 1)},
    ),
    "volumes": (0.35, lambda d: [_volume_line(d) for _ in range(d.randint(1, 3))]),
    "mounts": (0.2, lambda d: [_mount(d) for _ in range(d.randint(1, 2))]),
    "secrets": (0.12, lambda d: [_secret(d, name) for name in d.some(("word", "key.pem", "a b"), 1)]),
    "tmpfs": (0.15, lambda d: d.some(("/run", "/scratch:size=1m,mode=1777"), 1)),
    "volumes_from": (0.08, lambda d: [name + d.choice(("", ":ro")) for name in d.some(CONTAINERS, 1, 1)]),
    "log_driver": (0.15, lambda d: d.choice(("json-file", "local", "none"))),
    "log_options": (0.15, _log),
    "state": (0.8, lambda d: d.choice(("started",) * 6 + ("present", "stopped", "healthy", "healthy"))),
    "update_order": (0.15, lambda d: d.choice(("stop-first", "start-first"))),
    "depends_on": (0.3, lambda d: d.some(CONTAINERS, 1, 2)),
    "pull": (0.1, lambda d: d.choice(("never", "missing"))),
    "comparisons": (
        0.08,
        lambda d: d.choice(
            ({"env": "strict"}, {"labels": "strict"}, {"networks": "strict"}, {"exposed_ports": "strict"})
        ),
    ),
}

NETWORK_OPTIONS: Mapping[str, tuple[float, Callable[[Dice], Any]]] = {
    "driver": (0.2, lambda d: "bridge"),
    "driver_options": (
        0.2,
        lambda d: {
            key: value
            for key, value in (
                ("com.docker.network.bridge.enable_icc", "false"),
                ("com.docker.network.driver.mtu", 1400),
            )
            if d.likely(0.6)
        },
    ),
    "internal": (0.2, lambda d: d.likely(0.6)),
    "attachable": (0.15, lambda d: d.likely(0.6)),
    "ipam_driver": (0.1, lambda d: "default"),
    "enable_ipv6": (0.15, lambda d: d.likely(0.8)),
    "labels": (0.3, lambda d: _table(d, LABELS, 2)),
    "ipam_config": (0.6, lambda d: _ipam(d)),
}

VOLUME_OPTIONS: Mapping[str, tuple[float, Callable[[Dice], Any]]] = {
    "driver": (0.3, lambda d: "local"),
    "driver_options": (0.15, lambda d: {"type": "tmpfs", "device": "tmpfs", "o": d.choice(("size=1m", "size=2m"))}),
    "labels": (0.3, lambda d: _table(d, LABELS, 2)),
}
# fmt: on


def _ipam(dice: Dice) -> list[dict]:
    octet = dice.randint(1, 6)
    block: dict[str, Any] = {"subnet": f"10.77.{octet}.0/24"}
    if dice.likely(0.3):
        block["gateway"] = f"10.77.{octet}.{dice.choice((1, 254))}"
    if dice.likely(0.2):
        block["iprange"] = f"10.77.{octet}.128/25"
    if dice.likely(0.2):
        block["aux_addresses"] = {"printer": f"10.77.{octet}.9"}
    blocks = [block]
    if dice.likely(0.3):
        blocks.insert(dice.randint(0, 1), {"subnet": f"fd00:77:{octet}::/64"})
    return blocks


def _thrown(dice: Dice, table: Mapping, name: str) -> dict:
    said = {"name": name, **{option: throw(dice) for option, (chance, throw) in table.items() if dice.likely(chance)}}
    return dict(sorted(said.items(), key=lambda _item: dice.random()))  # the order of keys means nothing


def container(dice: Dice, name: str) -> dict:
    """One container; `tidy` it within a spec before use."""
    return _thrown(dice, OPTIONS, name)


def network(dice: Dice, name: str) -> dict:
    """One network."""
    return _thrown(dice, NETWORK_OPTIONS, name)


def volume(dice: Dice, name: str) -> dict:
    """One volume. In one example a name always means the same volume: another would be refused, for it would lose data."""
    known = dice.volumes.setdefault(name, _thrown(dice, VOLUME_OPTIONS, name))
    return copy.deepcopy(known)


def spec(dice: Dice, most: int = 4) -> dict[str, Any]:
    """The options of a task `containers`, valid on an engine that holds the test images."""
    return tidy(
        {
            "project": "exam",
            "secrets_dir": SECRETS,
            **_how(dice),
            "networks": [network(dice, name) for name in dice.some(NETWORKS)],
            "volumes": [volume(dice, name) for name in dice.some(VOLUMES)],
            "containers": [container(dice, name) for name in dice.some(CONTAINERS, 1, most)],
        }
    )


def _how(dice: Dice) -> dict[str, Any]:
    """How the run is carried out, which should make no difference to what comes of it."""
    said: dict[str, Any] = {}
    if dice.likely(0.3):
        said["update_config"] = {"parallelism": dice.randint(0, 2), "order": dice.choice(("stop-first", "start-first"))}
    if dice.likely(0.2):
        said["parallelism"] = dice.choice((1, 2))
    if dice.likely(0.3):
        said["on_failure"] = dice.choice(("rollback", "pause"))
    return said


# -- what excludes one another -------------------------------------------------------------------------------------


def tidy(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take out of a spec what cannot be, the later thing first, so that a valid one is left."""
    tidied = copy.deepcopy(dict(given))
    tidied["containers"] = [
        item if "image" in item else {"name": item["name"], "state": "absent"}
        for item in tidied.get("containers") or ()
    ]
    _tidy_networks(tidied.get("networks") or [])
    subnets = {item["name"]: subnet_of(item) for item in tidied.get("networks") or ()}
    inner = {item["name"] for item in tidied.get("networks") or () if item.get("internal")}
    taken_ports: set[tuple[int, str]] = set()
    taken_addresses: set[str] = set()
    earlier: dict[str, dict] = {}
    order = (tidied.get("update_config") or {}).get("order", "stop-first")
    for item in tidied.get("containers") or ():
        if item.get("state") == "absent":
            continue
        _tidy_runs(item)
        _tidy_references(item, earlier)
        _tidy_network(item, subnets, taken_addresses)
        joined = [one["name"] for one in item.get("networks", ())] or [item.get("network_mode")]
        if set(joined) <= inner:
            item.pop("published_ports", None)  # nothing outside can reach it
        _tidy_ports(item, taken_ports)
        _tidy_mounts(item, earlier)
        _tidy_limits(item)
        _tidy_order(item, order)
        earlier[item["name"]] = item
    return tidied


def _tidy_networks(networks: list[dict]) -> None:
    used: set[str] = set()
    for item in networks:
        if item.get("enable_ipv6") and not any(":" in block["subnet"] for block in item.get("ipam_config") or ()):
            del item["enable_ipv6"]  # engines want a subnet for it
        octets = {block["subnet"].split(".")[2] for block in item.get("ipam_config") or () if "." in block["subnet"]}
        if octets & used:
            item.pop("ipam_config")
            item.pop("enable_ipv6", None)
        used |= octets
        if not item.get("driver_options", True):
            del item["driver_options"]


def subnet_of(item: Mapping[str, Any]) -> str:
    """The IPv4 subnet that a network declares."""
    return next((block["subnet"] for block in item.get("ipam_config") or () if "." in block["subnet"]), "")


def _tidy_runs(item: dict) -> None:
    """The program stays, and ends at once when it is told to."""
    if item["image"].startswith("slipway-test/app"):
        item.pop("entrypoint", None)
        item.pop("command", None)  # it brings its own, under an entry point that is a shell
        item["stop_signal"] = "SIGTERM"
    elif "command" not in item or item.get("entrypoint") == []:
        item["command"] = ["sh", "-c", STAY]
    if item.get("state") == "healthy":
        item["healthcheck"] = {"test": "true", **item.get("healthcheck", {}), "interval": "100ms"}
    if item.get("restart_policy") != "on-failure":
        item.pop("restart_retries", None)
    if item.get("auto_remove") and (
        item.get("restart_policy", "no") != "no" or item.get("state") in ("stopped", "present")
    ):
        del item["auto_remove"]
    if item.get("comparisons", {}).get("networks") and "networks" not in item:
        del item["comparisons"]
    if item.get("log_options") and item.get("log_driver", "none") == "none":
        del item["log_options"]


def _tidy_references(item: dict, earlier: Mapping[str, dict]) -> None:
    running = [name for name, other in earlier.items() if other.get("state") in RUNS and not other.get("auto_remove")]
    item["depends_on"] = [name for name in item.get("depends_on", ()) if name in running]
    if not item["depends_on"]:
        del item["depends_on"]
    for option in ("network_mode", "pid_mode", "ipc_mode"):
        word, _colon, name = item.get(option, "").partition(":")
        if (
            (word == "container" and (name not in running or item.get("state") not in RUNS))
            or (word == "container" and option == "ipc_mode" and earlier[name].get("ipc_mode") != "shareable")
            or (word == "container" and option == "network_mode" and "container:" in earlier[name].get(option, ""))
        ):
            del item[option]
    # An engine cannot take over the tmpfs among the mounts of another container ("no such volume").
    plain = [name for name, other in earlier.items() if all(one["type"] != "tmpfs" for one in other.get("mounts", ()))]
    item["volumes_from"] = [line for line in item.get("volumes_from", ()) if line.partition(":")[0] in plain]
    if not item["volumes_from"]:
        del item["volumes_from"]


def _tidy_network(item: dict, subnets: Mapping[str, str], taken: set[str]) -> None:
    mode = item.get("network_mode", "")
    if mode in NETWORKS and mode not in subnets:
        mode = item.pop("network_mode") and ""
    if mode:
        item.pop("networks", None)
    item["networks"] = [joined for joined in item.get("networks", ()) if joined["name"] in subnets]
    if not item["networks"]:
        del item["networks"]
    for joined in item.get("networks", ()):
        _tidy_address(joined, subnets[joined["name"]], taken)
    if mode in ("host", "none") or mode.startswith("container:"):
        item.pop("published_ports", None)
    if mode.startswith("container:"):
        for option in (
            "hostname",
            "domainname",
            "exposed_ports",
            "dns_servers",
            "dns_search_domains",
            "dns_opts",
            "etc_hosts",
        ):
            item.pop(option, None)
    if mode == "host" or mode.startswith("container:"):
        item.pop("sysctls", None)
    if item.get("uts") == "host":
        item.pop("hostname", None)
        item.pop("domainname", None)


def _tidy_address(joined: dict, subnet: str, taken: set[str]) -> None:
    if "ipv4_address" not in joined:
        return
    last = joined["ipv4_address"].rpartition(".")[2]
    address = f"{subnet.rpartition('.')[0]}.{last}"
    if not subnet or address in taken:
        del joined["ipv4_address"]
        return
    joined["ipv4_address"] = str(ipaddress.ip_address(address))
    taken.add(address)


def bindings(line: str) -> Iterator[tuple[str, int, int, str]]:
    """(host address, host port, container port, protocol) of each binding that a line of published_ports means."""
    ends, _slash, protocol = line.partition("/")
    ends, _colon, inner = ends.rpartition(":")
    host, _colon, outer = ends.rpartition(":")
    for shift in range(int(inner.rpartition("-")[2]) - int(inner.partition("-")[0]) + 1):
        yield (
            host.strip("[]"),
            int(outer.partition("-")[0]) + shift,
            int(inner.partition("-")[0]) + shift,
            protocol or "tcp",
        )


def _tidy_ports(item: dict, taken: set[tuple[int, str]]) -> None:
    kept = []
    for line in item.get("published_ports", ()):
        places = {(outer, protocol) for _host, outer, _inner, protocol in bindings(line)}
        if not places & taken:
            taken |= places
            kept.append(line)
    item["published_ports"] = kept
    if not kept:
        del item["published_ports"]


def _tidy_order(item: dict, order: str) -> None:
    """What two cannot hold at once is let go before the new one takes it."""
    held = item.get("published_ports") or any("ipv4_address" in joined for joined in item.get("networks", ()))
    if held and item.get("update_order", order) == "start-first":
        item["update_order"] = "stop-first"


def _tidy_mounts(item: dict, earlier: Mapping[str, dict]) -> None:
    if item.get("secrets") and "/run" in item.get("tmpfs", ()):
        item["tmpfs"] = [path for path in item["tmpfs"] if path != "/run"]
    taken: set[str] = {"/data"} if item["image"].startswith("slipway-test/app") and "volumes_from" in item else set()
    for line in item.get("volumes_from", ()):
        taken |= set(targets(earlier[line.partition(":")[0]])) | {"/data"}
    for option in ("volumes", "mounts", "tmpfs"):
        kept = []
        for entry in item.get(option, ()):
            target = target_of(entry)
            if target not in taken:
                taken.add(target)
                kept.append(entry)
        item[option] = kept
        if not kept:
            del item[option]


def target_of(entry: Any) -> str:
    """Where an entry of volumes, mounts or tmpfs is mounted."""
    if isinstance(entry, Mapping):
        return entry["target"]
    first, _colon, rest = entry.partition(":")
    return rest.partition(":")[0] if rest.startswith("/") else first


def targets(item: Mapping[str, Any]) -> list[str]:
    """All the paths on which a container has something mounted."""
    return [target_of(entry) for option in ("volumes", "mounts", "tmpfs") for entry in item.get(option, ())]


def _tidy_limits(item: dict) -> None:
    if str(item.get("memory", "0")) == "0":
        item.pop("memory_swap", None)
    if item.get("memory_reservation") == "16m" and item.get("memory") == "16m":
        del item["memory_reservation"]


# -- from one spec to the next -------------------------------------------------------------------------------------


def changed(dice: Dice, before: Mapping[str, Any]) -> dict[str, Any]:
    """Another spec, from one to four changes away; orphans go mostly, and are left at times."""
    after = copy.deepcopy(dict(before))
    for _ in range(dice.randint(1, 4)):
        dice.choice(CHANGES)(dice, after)
    for option in ("update_config", "parallelism", "on_failure"):
        after.pop(option, None)
    after.update(_how(dice))
    after["orphans"] = dice.choice(("remove",) * 5 + ("report", "ignore"))
    return tidy(after)


def _options(dice: Dice, after: dict) -> None:
    """Options of a container: other values, dropped, or new."""
    if not after["containers"]:
        return
    item = dice.choice(after["containers"])
    for option in dice.some(list(OPTIONS), 1, 6):
        chance, throw = OPTIONS[option]
        if option in item and chance < 1 and dice.likely(0.4):
            del item[option]
        elif option in item or dice.likely(0.5):
            item[option] = throw(dice)


def _keys(dice: Dice, after: dict) -> None:
    """Keys of env and labels: dropped, other, new."""
    for item in after["containers"]:
        for option, keys in (("env", KEYS), ("labels", LABELS)):
            table = item.get(option) or {}
            for key in dice.some(list(table), 0, 2):
                del table[key]
            if dice.likely(0.5):
                table[dice.choice(keys)] = dice.choice(TEXTS)
            if table or option in item:
                item[option] = table


def _networks_of_options(dice: Dice, after: dict) -> None:
    if after["networks"]:
        item = dice.choice(after["networks"])
        option = dice.choice(list(NETWORK_OPTIONS))
        if option in item and dice.likely(0.4):
            del item[option]
        else:
            item[option] = NETWORK_OPTIONS[option][1](dice)


def _rename_network(dice: Dice, after: dict) -> None:
    """A network gets another name everywhere."""
    free = [name for name in NETWORKS if name not in {item["name"] for item in after["networks"]}]
    if not free or not after["networks"]:
        return
    item, new = dice.choice(after["networks"]), dice.choice(free)
    old, item["name"] = item["name"], new
    for user in after["containers"]:
        for joined in user.get("networks", ()):
            joined["name"] = new if joined["name"] == old else joined["name"]
        if user.get("network_mode") == old:
            user["network_mode"] = new


def _swap_subnets(dice: Dice, after: dict) -> None:
    """Two networks exchange their subnets."""
    with_subnet = [item for item in after["networks"] if item.get("ipam_config")]
    if len(with_subnet) > 1:
        one, two = dice.sample(with_subnet, 2)
        one["ipam_config"], two["ipam_config"] = two["ipam_config"], one["ipam_config"]


def _swap_places(dice: Dice, after: dict) -> None:
    """Two containers exchange ports and networks, static addresses and all."""
    if len(after["containers"]) > 1:
        one, two = dice.sample(after["containers"], 2)
        for option in ("published_ports", "networks"):
            values = one.pop(option, None), two.pop(option, None)
            for item, value in ((two, values[0]), (one, values[1])):
                if value is not None:
                    item[option] = value


def _come_or_go(dice: Dice, items: list[dict], names: Sequence[str], make: Callable[[Dice, str], dict]) -> list[dict]:
    """The items less one of these names, or with a new one of it."""
    name = dice.choice(names)
    left = [item for item in items if item["name"] != name]
    return left if len(left) < len(items) else [*items, make(dice, name)]


def _networks(dice: Dice, after: dict) -> None:
    """A network comes or goes."""
    after["networks"] = _come_or_go(dice, after["networks"], NETWORKS, network)


def _membership(dice: Dice, after: dict) -> None:
    """A container joins and leaves networks, or is on them otherwise."""
    if not after["containers"] or not after["networks"]:
        return
    item = dice.choice(after["containers"])
    names = dice.some([other["name"] for other in after["networks"]])
    kept = {joined["name"]: joined for joined in item.get("networks", ())}
    item["networks"] = [kept[name] if name in kept and dice.likely(0.7) else _join(dice, name) for name in names]


def _containers(dice: Dice, after: dict) -> None:
    """A container comes, goes, is declared absent, or moves in the list."""
    names = [item["name"] for item in after["containers"]]
    name = dice.choice(CONTAINERS)
    if name not in names:
        after["containers"].insert(dice.randint(0, len(names)), container(dice, name))
    elif dice.likely(0.5):
        after["containers"] = [item for item in after["containers"] if item["name"] != name]
    else:
        after["containers"] = [
            {"name": name, "state": "absent"} if item["name"] == name else item for item in after["containers"]
        ]
    for item in after["containers"]:
        if "image" not in item and dice.likely(0.5):
            item.update(container(dice, item["name"]))


def _scale(dice: Dice, after: dict) -> None:
    """From one to three of a kind, or back to one."""
    many = [item for item in after["containers"] if item["name"].startswith("many")]
    after["containers"] = [item for item in after["containers"] if item not in many]
    if not many:
        one = container(dice, "many-1")
        for option in ("published_ports", "networks", "hostname"):
            one.pop(option, None)
        after["containers"] += [{**copy.deepcopy(one), "name": f"many-{number}"} for number in (1, 2, 3)]
    elif len(many) > 1:
        after["containers"] += many[:1]


def _states(dice: Dice, after: dict) -> None:
    """Started, stopped, left alone."""
    for item in after["containers"]:
        if "image" in item and dice.likely(0.5):
            item["state"] = dice.choice(("started", "stopped", "present", "healthy"))


def _images(dice: Dice, after: dict) -> None:
    for item in after["containers"]:
        if "image" in item and dice.likely(0.5):
            item["image"] = dice.choice(IMAGES)


def _volumes(dice: Dice, after: dict) -> None:
    """A volume comes or goes (from the list; its data stays), or is mounted elsewhere."""
    after["volumes"] = _come_or_go(dice, after["volumes"], VOLUMES, volume)
    for item in after["containers"]:
        if dice.likely(0.5):
            item["volumes"] = [_volume_line(dice) for _ in range(dice.randint(1, 3))]


CHANGES = (
    _options, _options, _options, _keys, _networks_of_options, _rename_network, _swap_subnets, _swap_places, _networks, _membership,
    _containers, _containers, _scale, _states, _images, _volumes,
)  # fmt: skip
