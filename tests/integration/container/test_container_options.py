# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option of a container, against a real engine: set, again, other value, drift from outside, no longer said.

One line of the table is one option. What the engine holds is read from `docker inspect`, never from what a module returned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from harness.engine import Engine
from harness.task import STAYS, Task

from ansible_collections.slipway.docker.plugins.module_utils._docker.container import KIND

BASE = {"name": "box", "image": "slipway-test/busybox:1", "command": STAYS, "state": "present"}
MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    """An option, two values of it, where inspect shows it and what it shows there for each (a value or a predicate).

    ``beside`` are other options that it needs; ``prepare`` are docker commands to run first.
    """

    option: str
    value: Any
    other: Any
    path: str
    shown: Any
    shown_other: Any
    beside: Mapping[str, Any] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()


def env(*inside: str, without: str = "") -> Callable:
    return lambda lines: set(inside) <= set(lines) and not any(without and line.startswith(without) for line in lines)


def own_labels(wanted: dict) -> Callable:
    return lambda labels: {key: value for key, value in labels.items() if not key.startswith("slipway.")} == wanted


def only(*networks: str) -> Callable:
    return lambda shown: set(shown) == set(networks)


def joined(name: str, address: str, *aliases: str) -> Callable:
    return lambda shown: (
        list(shown) == [name]
        and shown[name]["IPAMConfig"]["IPv4Address"] == address
        and set(aliases) <= set(shown[name]["Aliases"] or ())
    )


def bindings(*wanted: tuple[str, str, str]) -> Callable:
    return lambda shown: (
        {(port, item["HostIp"], item["HostPort"]) for port, items in shown.items() for item in items} == set(wanted)
    )


NETWORKS = ("network create --subnet 10.99.1.0/24 net1", "network create --subnet 10.99.2.0/24 net2")
HEALTH = {"test": "exit 0", "interval": "5s", "timeout": "2s", "retries": 4, "start_period": "1m"}
HEALTH_SHOWN = {
    "Test": ["CMD-SHELL", "exit 0"],
    "Interval": 5 * 10**9,
    "Timeout": 2 * 10**9,
    "Retries": 4,
    "StartPeriod": 60 * 10**9,
}

# fmt: off
ROWS = (
    # what runs
    Row("image", "slipway-test/busybox:2", "slipway-test/busybox:1", "Config.Image", "slipway-test/busybox:2", "slipway-test/busybox:1"),
    Row("command", ["sleep", "2000"], "sleep 3000", "Config.Cmd", ["sleep", "2000"], ["sleep", "3000"]),
    Row("entrypoint", ["/bin/env"], "/bin/nice -n 5", "Config.Entrypoint", ["/bin/env"], ["/bin/nice", "-n", "5"]),
    Row("env", {"A": "1", "B": "x=y z"}, {"A": 2}, "Config.Env", env("A=1", "B=x=y z", "VERSION=1"), env("A=2", "VERSION=1", without="B=")),
    Row("labels", {"a": "1", "b": "two words"}, {"a": "2"}, "Config.Labels", own_labels({"a": "1", "b": "two words"}), own_labels({"a": "2"})),
    Row("user", "1000:1000", "www", "Config.User", "1000:1000", "www"),
    Row("working_dir", "/tmp", "/srv", "Config.WorkingDir", "/tmp", "/srv"),
    Row("hostname", "alpha", "beta", "Config.Hostname", "alpha", "beta"),
    Row("domainname", "example.org", "example.net", "Config.Domainname", "example.org", "example.net"),
    Row("tty", True, False, "Config.Tty", True, False),
    Row("interactive", True, False, "Config.OpenStdin", True, False),
    Row("init", True, False, "HostConfig.Init", True, lambda shown: not shown),
    Row("stop_signal", "SIGINT", "QUIT", "Config.StopSignal", "SIGINT", lambda shown: shown in ("QUIT", "SIGQUIT")),
    Row("stop_timeout", 3, 4, "Config.StopTimeout", 3, 4),
    Row("healthcheck", HEALTH, {"test": ["CMD", "true"]}, "Config.Healthcheck", HEALTH_SHOWN, {"Test": ["CMD", "true"]}),
    Row("restart_policy", "unless-stopped", "always", "HostConfig.RestartPolicy.Name", "unless-stopped", "always"),
    Row("restart_retries", 3, 5, "HostConfig.RestartPolicy.MaximumRetryCount", 3, 5, {"restart_policy": "on-failure"}),
    Row("auto_remove", True, False, "HostConfig.AutoRemove", True, False),
    # limits
    Row("memory", "64m", "67108865", "HostConfig.Memory", 64 * MIB, 64 * MIB + 1),
    Row("memory_reservation", "16m", "8MiB", "HostConfig.MemoryReservation", 16 * MIB, 8 * MIB),
    Row("memory_swap", "128m", "96m", "HostConfig.MemorySwap", 128 * MIB, 96 * MIB, {"memory": "64m"}),
    Row("memory_swappiness", 10, 20, "HostConfig.MemorySwappiness", 10, 20),
    Row("cpus", 0.5, 1, "HostConfig.NanoCpus", 500_000_000, 1_000_000_000),
    Row("cpu_shares", 512, 256, "HostConfig.CpuShares", 512, 256),
    Row("cpuset_cpus", "0", "0-0", "HostConfig.CpusetCpus", "0", "0-0"),
    Row("cpuset_mems", "0", "0-0", "HostConfig.CpusetMems", "0", "0-0"),
    Row("pids_limit", 50, 60, "HostConfig.PidsLimit", 50, 60),
    Row("ulimits", ["nofile:1024:2048"], ["nofile:512"], "HostConfig.Ulimits",
        [{"Name": "nofile", "Soft": 1024, "Hard": 2048}], [{"Name": "nofile", "Soft": 512, "Hard": 512}]),
    Row("shm_size", "16m", "32m", "HostConfig.ShmSize", 16 * MIB, 32 * MIB),
    Row("oom_score_adj", 100, 200, "HostConfig.OomScoreAdj", 100, 200),
    # rights
    Row("privileged", True, False, "HostConfig.Privileged", True, False),
    Row("capabilities", ["NET_ADMIN", "cap_sys_ptrace"], ["SYS_TIME"], "HostConfig.CapAdd",
        lambda shown: sorted(item.removeprefix("CAP_") for item in shown) == ["NET_ADMIN", "SYS_PTRACE"],
        lambda shown: [item.removeprefix("CAP_") for item in shown] == ["SYS_TIME"]),
    Row("cap_drop", ["ALL"], ["MKNOD"], "HostConfig.CapDrop", ["ALL"], lambda shown: [item.removeprefix("CAP_") for item in shown] == ["MKNOD"]),
    Row("security_opts", ["no-new-privileges:true"], ["seccomp=unconfined"], "HostConfig.SecurityOpt",
        ["no-new-privileges:true"], ["seccomp=unconfined"]),
    Row("groups", ["10", "www"], ["20"], "HostConfig.GroupAdd", lambda shown: sorted(shown) == ["10", "www"], ["20"]),
    Row("read_only", True, False, "HostConfig.ReadonlyRootfs", True, False),
    Row("devices", ["/dev/null:/dev/nothing:r"], ["/dev/zero"], "HostConfig.Devices",
        [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"}],
        [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/zero", "CgroupPermissions": "rwm"}]),
    Row("sysctls", {"net.core.somaxconn": "1024"}, {"net.core.somaxconn": 512}, "HostConfig.Sysctls",
        {"net.core.somaxconn": "1024"}, {"net.core.somaxconn": "512"}),
    Row("pid_mode", "host", "container:helper", "HostConfig.PidMode", "host", lambda shown: shown.startswith("container:"),
        prepare=("create --name helper slipway-test/busybox:1",)),
    Row("ipc_mode", "host", "private", "HostConfig.IpcMode", "host", "private"),
    Row("uts", "host", "", "HostConfig.UTSMode", "host", ""),
    Row("cgroupns_mode", "private", "host", "HostConfig.CgroupnsMode", "private", "host"),
    Row("cgroup_parent", "/slipway-it-a", "/slipway-it-b", "HostConfig.CgroupParent", "/slipway-it-a", "/slipway-it-b"),
    # networks
    Row("published_ports", ["127.0.0.1:8080:80", "8443:443/udp", "127.0.0.1:9000-9001:90-91"], ["127.0.0.1:8081:80"], "HostConfig.PortBindings",
        bindings(("80/tcp", "127.0.0.1", "8080"), ("443/udp", "", "8443"), ("90/tcp", "127.0.0.1", "9000"), ("91/tcp", "127.0.0.1", "9001")),
        bindings(("80/tcp", "127.0.0.1", "8081"))),
    Row("exposed_ports", ["81", "90-91/udp"], ["82/tcp"], "Config.ExposedPorts", {"81/tcp": {}, "90/udp": {}, "91/udp": {}}, {"82/tcp": {}}),
    Row("networks", [{"name": "net1"}, {"name": "net2"}], [{"name": "net2"}], "NetworkSettings.Networks", only("net1", "net2"), only("net2"), prepare=NETWORKS),
    Row("networks", [{"name": "net1", "ipv4_address": "10.99.1.7", "aliases": ["a", "b"]}], [{"name": "net1", "ipv4_address": "10.99.1.8"}],
        "NetworkSettings.Networks", joined("net1", "10.99.1.7", "a", "b"), joined("net1", "10.99.1.8"), prepare=NETWORKS),
    Row("network_mode", "none", "host", "HostConfig.NetworkMode", "none", "host"),
    Row("network_mode", "host", "container:helper", "HostConfig.NetworkMode", "host", lambda shown: shown.startswith("container:"),
        prepare=("create --name helper slipway-test/busybox:1",)),
    Row("ipc_mode", "shareable", "container:helper", "HostConfig.IpcMode", "shareable", lambda shown: shown.startswith("container:"),
        prepare=("create --name helper --ipc shareable slipway-test/busybox:1",)),
    Row("dns_servers", ["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "10.0.0.1"], "HostConfig.Dns", ["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "10.0.0.1"]),
    Row("dns_search_domains", ["example.org"], ["example.net"], "HostConfig.DnsSearch", ["example.org"], ["example.net"]),
    Row("dns_opts", ["ndots:2"], ["ndots:3"], "HostConfig.DnsOptions", ["ndots:2"], ["ndots:3"]),
    Row("etc_hosts", {"db": "10.0.0.5", "gate": "host-gateway"}, {"db": "10.0.0.6"}, "HostConfig.ExtraHosts",
        lambda shown: sorted(shown) == ["db:10.0.0.5", "gate:host-gateway"], ["db:10.0.0.6"]),
    # files
    Row("volumes", ["vol1:/data", "/tmp:/host:ro"], ["vol2:/data"], "HostConfig.Binds",
        lambda shown: sorted(shown) == ["/tmp:/host:ro", "vol1:/data"], ["vol2:/data"]),
    Row("mounts", [{"type": "volume", "source": "vol1", "target": "/data", "read_only": True}], [{"type": "tmpfs", "target": "/data", "tmpfs_size": "1m"}],
        "HostConfig.Mounts", [{"Type": "volume", "Source": "vol1", "Target": "/data", "ReadOnly": True}],
        [{"Type": "tmpfs", "Target": "/data", "TmpfsOptions": {"SizeBytes": MIB}}]),
    Row("mounts", [{"type": "bind", "source": "/tmp", "target": "/host"}], [{"type": "bind", "source": "/srv", "target": "/host"}],
        "HostConfig.Mounts", [{"Type": "bind", "Source": "/tmp", "Target": "/host"}], [{"Type": "bind", "Source": "/srv", "Target": "/host"}]),
    Row("tmpfs", ["/run", "/cache:size=1m"], ["/run:size=2m"], "HostConfig.Tmpfs", {"/run": "", "/cache": "size=1m"}, {"/run": "size=2m"}),
    Row("volumes_from", ["helper"], ["helper:ro"], "HostConfig.VolumesFrom", ["helper"], ["helper:ro"],
        prepare=("create --name helper -v /shared slipway-test/busybox:1",)),
    # logging
    Row("log_driver", "local", "none", "HostConfig.LogConfig.Type", "local", "none"),
    Row("log_options", {"max-size": "10m", "max-file": 3}, {"max-size": "1m"}, "HostConfig.LogConfig.Config",
        {"max-size": "10m", "max-file": "3"}, {"max-size": "1m"}, {"log_driver": "json-file"}),
)
# fmt: on

# Options that the table cannot show, and why.
ELSEWHERE = {
    "runtime": "needs a second runtime in the daemon's configuration",
    "userns_mode": "needs a daemon with remapped users",
    "secrets": "test_secrets.py",
}


def dig(document: Mapping, path: str) -> Any:
    value: Any = document
    for part in path.split("."):
        value = (value or {}).get(part)
    return value


def expect(engine: Engine, row: Row, shown: Any) -> None:
    """Compare what inspect shows with what it should."""
    value = dig(engine.inspect("container", "box"), row.path)
    assert shown(value) if callable(shown) else value == shown, f"{row.path} is {json.dumps(value)}"


def put_back_from_outside(engine: Engine, older: Mapping) -> None:
    """Exchange the container, as somebody with another tool would, for one with older settings under the labels of the present one."""
    current = engine.inspect("container", "box")
    marks = {key: value for key, value in current["Config"]["Labels"].items() if key.startswith("slipway.")}
    labels = {key: value for key, value in older["Config"]["Labels"].items() if not key.startswith("slipway.")}
    networks = {
        name: {"IPAMConfig": item["IPAMConfig"], "Aliases": item["Aliases"]}
        for name, item in older["NetworkSettings"]["Networks"].items()
    }
    first = dict(list(networks.items())[:1])
    body = {
        **older["Config"],
        "Labels": {**labels, **marks},
        "HostConfig": older["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": first},
    }
    if older["HostConfig"]["NetworkMode"].startswith(("host", "none", "default", "bridge", "container:")):
        del body["NetworkingConfig"]
    if older["HostConfig"]["NetworkMode"].startswith("container:"):
        del body["Hostname"]
    engine.api("DELETE", "/containers/box", force=1)
    engine.api("POST", "/containers/create", body, name="box")
    for name in list(networks)[1:]:
        engine.api("POST", f"/networks/{name}/connect", {"Container": "box", "EndpointConfig": networks[name]})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.option}-{row.path.rpartition('.')[2]}")
def test_an_option_is_set_kept_changed_repaired_and_dropped(task: Task, engine: Engine, row: Row) -> None:
    for command in row.prepare:
        engine.run_cli(*command.split())
    engine.run_cli("create", "--name", "plain", BASE["image"], *BASE["command"])
    base = {**BASE, **row.beside}
    task.change("container", **{**base, row.option: row.other})
    expect(engine, row, row.shown_other)
    other = engine.inspect("container", "box")
    task.change("container", **{**base, row.option: row.value})
    expect(engine, row, row.shown)
    put_back_from_outside(engine, other)
    expect(engine, row, row.shown_other)
    task.change("container", **{**base, row.option: row.value})
    expect(engine, row, row.shown)
    dropped(task, engine, row, base)


def dropped(task: Task, engine: Engine, row: Row, base: dict) -> None:
    """What is no longer said goes: the option is then as in a container that never had it."""
    never = engine.inspect("container", "plain")
    if row.beside:
        engine.run_cli("rm", "plain")
        task("container", **{**base, "name": "plain"}).ok()
        never = engine.inspect("container", "plain")
    if row.option == "command":
        never = {"Config": {"Cmd": ["sh"]}}  # the image's own
    task.change(
        "container", **{key: value for key, value in base.items() if key != row.option or row.option == "image"}
    )
    if row.option in ("hostname", "networks", "labels"):
        shown = dig(engine.inspect("container", "box"), row.path)
        own = {"hostname": engine.inspect("container", "box")["Id"][:12], "networks": ["bridge"], "labels": []}
        assert (shown if row.option == "hostname" else [key for key in shown if not key.startswith("slipway.")]) == own[
            row.option
        ]
        return
    now, then = (dig(item, row.path) for item in (engine.inspect("container", "box"), never))
    assert (now or None) == (then or None)


def test_every_option_has_a_row() -> None:
    """A new option comes with its line here."""
    missing = {option.name for option in KIND.fields} - {row.option for row in ROWS} - set(ELSEWHERE)
    assert not missing


def test_env_file(task: Task, engine: Engine, tmp_path) -> None:
    """A file gives what env does not say; a changed file is a change."""
    file = tmp_path / "app.env"
    file.write_text("# a comment\nFROM_FILE=1\nBOTH=file\n\n")
    task.change("container", **BASE, env_file=[str(file)], env={"BOTH": "env"})
    assert {"FROM_FILE=1", "BOTH=env"} <= set(engine.inspect("container", "box")["Config"]["Env"])
    file.write_text("FROM_FILE=2\n")
    task.change("container", **BASE, env_file=[str(file)], env={"BOTH": "env"})
    assert "FROM_FILE=2" in engine.inspect("container", "box")["Config"]["Env"]


def test_everything_at_once_starts(task: Task, engine: Engine) -> None:
    """Options that do not exclude one another make a container that runs, and stays as it is."""
    for command in NETWORKS:
        engine.run_cli(*command.split())
    apart = {"privileged", "network_mode", "auto_remove", "memory_swappiness", "pid_mode", "ipc_mode", "uts", "cgroupns_mode", "volumes_from", "entrypoint",
             "restart_retries", "mounts", "cgroup_parent", "read_only", "domainname", "command", "devices", "oom_score_adj"}  # fmt: skip
    options = {row.option: row.value for row in ROWS if row.option not in apart} | {"log_driver": "json-file"}
    done = task("container", **{**BASE, **options, "state": "started"}).ok()
    assert done.changed
    assert engine.inspect("container", "box")["State"]["Running"]
    task.settled("container", **{**BASE, **options, "state": "started"})


EQUAL = [
    ("memory", "64m", 67108864),
    ("command", "sleep 'a b'", ["sleep", "a b"]),
    ("published_ports", ["127.0.0.1:80:80/tcp", "127.0.0.1:81:81"], ["127.0.0.1:81:81", "127.0.0.1:80:80"]),
    ("env", {"A": 1, "B": "x"}, {"B": "x", "A": "1"}),
    ("image", "slipway-test/busybox:1", "docker.io/slipway-test/busybox:1"),
    ("capabilities", ["NET_ADMIN", "SYS_TIME"], ["CAP_SYS_TIME", "cap_net_admin"]),
    ("healthcheck", {"test": "true", "interval": "90s"}, {"test": ["CMD-SHELL", "true"], "interval": "1m30s"}),
    ("stop_signal", "SIGINT", "int"),
    ("cpus", 0.5, "0.50"),
    ("ulimits", ["nofile:5"], ["nofile=5:5"]),
    ("volumes", ["vol1:/a", "vol2:/b:rw"], ["vol2:/b", "vol1:/a"]),
    ("exposed_ports", ["80-82"], ["82/tcp", "81", "80"]),
]


@pytest.mark.parametrize(("option", "one", "same"), EQUAL, ids=[item[0] for item in EQUAL])
def test_spelling_and_order_do_not_matter(task: Task, option: str, one: Any, same: Any) -> None:
    task("container", **{**BASE, option: one}).ok()
    task.settled("container", **{**BASE, option: same})


IMAGE_SETTINGS = {"env": {"MINE": "1"}, "labels": {"mine": "1"}, "exposed_ports": ["81"], "volumes": ["vol:/other"]}


def test_what_an_image_brings_is_not_drift(task: Task, engine: Engine) -> None:
    """An image's own environment, labels, ports, volumes and entrypoint are neither compared nor removed."""
    spec = {"name": "box", "image": "slipway-test/app:1", "state": "present"}
    task.change("container", **spec)
    task.change("container", **spec, **IMAGE_SETTINGS)
    config = engine.inspect("container", "box")["Config"]
    assert {"FROM_IMAGE=yes", "MINE=1"} <= set(config["Env"])
    assert config["Labels"]["from.image"] == "yes"
    assert set(config["ExposedPorts"]) == {"80/tcp", "81/tcp"}
    task.change("container", **spec)
    config = engine.inspect("container", "box")["Config"]
    assert "FROM_IMAGE=yes" in config["Env"] and "MINE=1" not in config["Env"]
    assert set(config["ExposedPorts"]) == {"80/tcp"}


def test_comparisons_is_the_way_out(task: Task, engine: Engine) -> None:
    """`ignore` leaves a field alone whatever it is."""
    task("container", **BASE, memory="64m").ok()
    task.settled("container", **BASE, memory="128m", comparisons={"memory": "ignore"})
    assert engine.inspect("container", "box")["HostConfig"]["Memory"] == 64 * MIB


@pytest.mark.parametrize("option", ["memory", "cpus", "pids_limit", "restart_policy", "cpu_shares"])
def test_limits_change_in_place(task: Task, engine: Engine, option: str) -> None:
    """The container goes on running, the same one; drift by `docker update` is seen and repaired."""
    values = {
        "memory": ("64m", "128m"),
        "cpus": (0.5, 1),
        "pids_limit": (50, 60),
        "restart_policy": ("no", "always"),
        "cpu_shares": (512, 256),
    }
    first, second = values[option]
    started = {**BASE, "state": "started"}
    task("container", **started, **{option: first}).ok()
    before = engine.inspect("container", "box")
    done = task.change("container", **started, **{option: second})
    after = engine.inspect("container", "box")
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert [line[0] for line in done["plan"]] == ["~"]
    assert done["plan"][0].startswith("~ container/box   ") and option in done["plan"][0]


def test_docker_update_is_drift(task: Task, engine: Engine) -> None:
    started = {**BASE, "state": "started", "memory": "64m", "memory_swap": "128m"}
    task("container", **started).ok()
    engine.run_cli("update", "--memory", "32m", "--cpus", "0.5", "box")
    done = task.change("container", **started)
    assert engine.inspect("container", "box")["HostConfig"]["Memory"] == 64 * MIB
    assert engine.inspect("container", "box")["HostConfig"]["NanoCpus"] == 500_000_000, (
        "what was never said is left alone"
    )
    assert "memory: 33554432 -> 67108864" in done["plan"][0]


def test_a_network_lost_from_outside_is_drift(task: Task, engine: Engine) -> None:
    """A container is connected again, and disconnected from what is not said, without a restart."""
    for command in NETWORKS:
        engine.run_cli(*command.split())
    started = {**BASE, "state": "started", "networks": [{"name": "net1"}]}
    task("container", **started).ok()
    before = engine.inspect("container", "box")["State"]["StartedAt"]
    engine.run_cli("network", "connect", "net2", "box")
    task.change("container", **started)
    assert list(engine.inspect("container", "box")["NetworkSettings"]["Networks"]) == ["net1"]
    engine.run_cli("network", "disconnect", "net1", "box")
    task.change("container", **started)
    shown = engine.inspect("container", "box")
    assert list(shown["NetworkSettings"]["Networks"]) == ["net1"]
    assert shown["State"]["StartedAt"] == before
