# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every field that is said is looked at: changed from outside, it is named in the plan by its path, and repaired by the run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.engine import Engine
from harness.run import Result
from harness.task import Task

from ansible_collections.slipway.docker.plugins.module_utils._docker.container import KIND
from ansible_collections.slipway.docker.plugins.module_utils._docker.network import KIND as NETWORK
from ansible_collections.slipway.docker.plugins.module_utils._docker.volume import KIND as VOLUME

from . import specs
from .exam import Dice, Exam

MIB = 1 << 20
STAYS = ["sh", "-c", specs.STAY]
BOX = {"name": "box", "image": "slipway-test/busybox:1", "command": STAYS}
NETS = [{"name": "net", "ipam_config": [{"subnet": "10.99.1.0/24"}]}, {"name": "other"}]
ON_NET = {"name": "net", "aliases": ["one"], "ipv4_address": "10.99.1.7"}

Way = Callable[[Engine], None]


@dataclass(frozen=True)
class Case:
    """What is said of the box, how somebody changes it, and the path that the plan should name."""

    path: str
    said: Mapping[str, Any]
    way: Way
    project: Mapping[str, Any] = field(default_factory=dict)  # further options of the task

    @property
    def spec(self) -> dict:
        return {"project": "exam", "containers": [{**BOX, **self.said}], **self.project}


# -- what somebody does ----------------------------------------------------------------------------------------------


def call(method: str, path: str, body: Any = None) -> Way:
    return lambda engine: engine.api(method, path, body)


def update(**host: Any) -> Way:
    return call("POST", "/containers/box/update", host)


def remade(change: Mapping | None = None, **host: Any) -> Way:
    """Remove the box and make it again through the API, with the same name and labels and these fields other."""

    def work(engine: Engine) -> None:
        make_again(engine, lambda body: merge(body, {**(change or {}), **({"HostConfig": host} if host else {})}))

    return work


def remade_by(change: Callable[[dict], Any]) -> Way:
    return lambda engine: make_again(engine, change)


def make_again(engine: Engine, change: Callable[[dict], Any]) -> None:
    shown = engine.inspect("container", "box")
    own = shown["Id"][:12]
    networks = {
        name: {"IPAMConfig": item["IPAMConfig"], "Aliases": [a for a in item["Aliases"] or () if a != own]}
        for name, item in shown["NetworkSettings"]["Networks"].items()
    }
    body = {**shown["Config"], "HostConfig": shown["HostConfig"]}
    if body["Hostname"] == own:
        del body["Hostname"]
    if shown["HostConfig"]["NetworkMode"] in networks and shown["HostConfig"]["NetworkMode"] != "default":
        body["NetworkingConfig"] = {"EndpointsConfig": dict(list(networks.items())[:1])}
    change(body)
    engine.api("DELETE", "/containers/box", force=1)
    engine.api("POST", "/containers/create", body, name="box")
    if shown["State"]["Running"]:
        engine.api("POST", "/containers/box/start")


def merge(body: dict, other: Mapping) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(body.get(key), dict) and key in ("HostConfig",):
            merge(body[key], value)
        else:
            body[key] = value


def variable(body: dict) -> None:
    body["Env"] = [line if not line.startswith("A=") else "A=9" for line in body["Env"]]


def no_variable(body: dict) -> None:
    body["Env"] = [line for line in body["Env"] if not line.startswith("A=")]


def label(body: dict) -> None:
    body["Labels"]["a"] = "9"


def no_label(body: dict) -> None:
    del body["Labels"]["a"]


def less_often(body: dict) -> None:
    body["Healthcheck"]["Interval"] = 40 * 10**9


def other_test(body: dict) -> None:
    body["Healthcheck"]["Test"] = ["CMD", "true"]


def rejoined(*networks: str, **settings: Any) -> Way:
    """Off the network `net`, and on these again with other settings."""

    def work(engine: Engine) -> None:
        engine.api("POST", "/networks/net/disconnect", {"Container": "box"})
        for name in networks:
            engine.api("POST", f"/networks/{name}/connect", {"Container": "box", "EndpointConfig": settings})

    return work


def overwritten(engine: Engine) -> None:
    """Write something else into the file of a secret."""
    (mount,) = engine.inspect("container", "box")["Mounts"]
    Path(mount["Source"]).write_text("other")


def helper(*arguments: str) -> Way:
    """Make a container that the box shares something with, before it is converged."""
    return lambda engine: engine.run_cli("create", "--name", "helper", *arguments, "slipway-test/busybox:1")


CHECK = {"healthcheck": {"test": "true", "interval": "30s"}}
NET = {"networks": NETS}
# fmt: off
CASES: tuple[Case, ...] = (
    # what runs
    Case("image", {}, remade({"Image": "slipway-test/busybox:2"})),
    Case("command", {}, remade({"Cmd": ["sh", "-c", "cd /; " + specs.STAY]})),
    Case("entrypoint", {"entrypoint": ["/bin/env"]}, remade({"Entrypoint": ["/bin/busybox", "env"]})),
    Case("env.A", {"env": {"A": "1", "B": "2"}}, remade_by(variable)),
    Case("env.A", {"env": {"A": "1", "B": "2"}}, remade_by(no_variable)),
    Case("labels.a", {"labels": {"a": "1", "b": "2"}}, remade_by(label)),
    Case("labels.a", {"labels": {"a": "1", "b": "2"}}, remade_by(no_label)),
    Case("user", {"user": "1000:1000"}, remade({"User": "1000"})),
    Case("working_dir", {"working_dir": "/srv"}, remade({"WorkingDir": "/tmp"})),
    Case("hostname", {"hostname": "alpha"}, remade({"Hostname": "beta"})),
    Case("domainname", {"domainname": "example.org"}, remade({"Domainname": "example.net"})),
    Case("tty", {"tty": True}, remade({"Tty": False})),
    Case("interactive", {"interactive": False}, remade({"OpenStdin": True})),
    Case("init", {"init": True}, remade(Init=False)),
    Case("stop_signal", {"stop_signal": "INT"}, remade({"StopSignal": "SIGTERM"})),
    Case("stop_timeout", {"stop_timeout": 3}, remade({"StopTimeout": 4})),
    Case("healthcheck.interval", CHECK, remade_by(less_often)),
    Case("healthcheck.test", CHECK, remade_by(other_test)),
    Case("restart_policy", {"restart_policy": "unless-stopped"}, update(RestartPolicy={"Name": "always"})),
    Case("restart_policy", {"restart_policy": "no"}, update(RestartPolicy={"Name": "always"})),
    Case("restart_retries", {"restart_policy": "on-failure", "restart_retries": 3}, update(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 5})),
    Case("auto_remove", {"auto_remove": False}, remade(AutoRemove=True)),
    # limits
    Case("memory", {"memory": "64m"}, update(Memory=32 * MIB)),
    Case("memory_reservation", {"memory_reservation": "16m"}, update(MemoryReservation=8 * MIB)),
    Case("memory_swap", {"memory": "64m", "memory_swap": "128m"}, update(MemorySwap=96 * MIB)),
    Case("memory_swappiness", {"memory_swappiness": 10}, remade(MemorySwappiness=20)),
    Case("cpus", {"cpus": 0.5}, update(NanoCpus=10**9)),
    Case("cpu_shares", {"cpu_shares": 512}, update(CpuShares=256)),
    Case("cpuset_cpus", {"cpuset_cpus": "0-1"}, update(CpusetCpus="0")),
    Case("cpuset_mems", {"cpuset_mems": "0"}, remade(CpusetMems="")),
    Case("pids_limit", {"pids_limit": 50}, update(PidsLimit=60)),
    Case("pids_limit", {"pids_limit": 0}, update(PidsLimit=60)),
    Case("ulimits", {"ulimits": ["nofile:512"]}, remade(Ulimits=[{"Name": "nofile", "Soft": 512, "Hard": 1024}])),
    Case("shm_size", {"shm_size": "16m"}, remade(ShmSize=32 * MIB)),
    Case("oom_score_adj", {"oom_score_adj": 100}, remade(OomScoreAdj=200)),
    # rights
    Case("privileged", {"privileged": False}, remade(Privileged=True)),
    Case("capabilities", {"capabilities": ["NET_ADMIN"]}, remade(CapAdd=["NET_ADMIN", "SYS_TIME"])),
    Case("cap_drop", {"cap_drop": ["ALL"]}, remade(CapDrop=["MKNOD"])),
    Case("groups", {"groups": ["10"]}, remade(GroupAdd=["10", "20"])),
    Case("security_opts", {"security_opts": ["no-new-privileges"]}, remade(SecurityOpt=[])),
    Case("read_only", {"read_only": True}, remade(ReadonlyRootfs=False)),
    Case("devices", {"devices": ["/dev/null:/dev/nothing:r"]}, remade(Devices=[{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rw"}])),
    Case("sysctls.net.core.somaxconn", {"sysctls": {"net.core.somaxconn": 512}}, remade(Sysctls={"net.core.somaxconn": "1024"})),
    Case("runtime", {"runtime": "runc"}, remade(Runtime="io.containerd.runc.v2")),
    Case("pid_mode", {"pid_mode": "host"}, remade(PidMode="")),
    Case("ipc_mode", {"ipc_mode": "private"}, remade(IpcMode="shareable")),
    Case("uts", {"uts": ""}, remade({"Hostname": ""}, UTSMode="host")),
    Case("userns_mode", {"userns_mode": "host"}, remade(UsernsMode="")),
    Case("cgroupns_mode", {"cgroupns_mode": "private"}, remade(CgroupnsMode="host")),
    Case("cgroup_parent", {"cgroup_parent": "/exam-a", "state": "present"}, remade(CgroupParent="/exam-b")),
    # networks
    Case("published_ports", {"published_ports": ["127.0.0.1:8080:80"]}, remade(PortBindings={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8081"}]})),
    Case("published_ports", {"published_ports": ["127.0.0.1:8080:80"]}, remade(PortBindings={"80/tcp": [{"HostIp": "", "HostPort": "8080"}]})),
    Case("published_ports", {"published_ports": ["127.0.0.1:8080:80"]}, remade(PortBindings={})),
    Case("exposed_ports.81/tcp", {"exposed_ports": ["81", "82"]}, remade({"ExposedPorts": {"82/tcp": {}}})),
    Case("networks", {"networks": [ON_NET]}, rejoined(), NET),
    Case("networks", {"networks": [ON_NET]}, rejoined("net", Aliases=["two"], IPAMConfig={"IPv4Address": "10.99.1.7"}), NET),
    Case("networks", {"networks": [ON_NET]}, rejoined("net", Aliases=["one", "two"], IPAMConfig={"IPv4Address": "10.99.1.7"}), NET),
    Case("networks", {"networks": [ON_NET]}, rejoined("net", Aliases=["one"], IPAMConfig={"IPv4Address": "10.99.1.8"}), NET),
    Case("networks", {"networks": [ON_NET]}, rejoined("net", Aliases=["one"]), NET),
    Case("networks", {"networks": [ON_NET]}, rejoined("other"), NET),
    Case("networks", {"networks": [ON_NET]}, call("POST", "/networks/other/connect", {"Container": "box"}), NET),
    Case("networks", {"networks": [{"name": "net"}]}, rejoined("net", Aliases=["two"]), NET),
    Case("network_mode", {"network_mode": "none"}, remade(NetworkMode="bridge")),
    Case("dns_servers", {"dns_servers": ["10.0.0.1", "10.0.0.2"]}, remade(Dns=["10.0.0.2", "10.0.0.1"])),
    Case("dns_search_domains", {"dns_search_domains": ["example.org"]}, remade(DnsSearch=[])),
    Case("dns_opts", {"dns_opts": ["ndots:2"]}, remade(DnsOptions=["ndots:3"])),
    Case("etc_hosts.db", {"etc_hosts": {"db": "10.0.0.5", "gate": "10.0.0.1"}}, remade(ExtraHosts=["db:10.0.0.6", "gate:10.0.0.1"])),
    # files
    Case("volumes", {"volumes": ["data:/data", "/tmp:/host:ro"]}, remade(Binds=["data:/data", "/tmp:/host"])),
    Case("volumes", {"volumes": ["data:/data"]}, remade(Binds=["cache:/data"])),
    Case("volumes", {"volumes": ["data:/data"]}, remade(Binds=["data:/data", "/tmp:/more"])),
    Case("mounts", {"mounts": [{"target": "/data", "source": "data", "read_only": True}]}, remade(Mounts=[{"Type": "volume", "Source": "data", "Target": "/data"}])),
    Case("mounts", {"mounts": [{"target": "/data", "type": "tmpfs", "tmpfs_size": "1m"}]}, remade(Mounts=[{"Type": "tmpfs", "Target": "/data", "TmpfsOptions": {"SizeBytes": 2 * MIB}}])),
    Case("tmpfs", {"tmpfs": ["/scratch:size=1m"]}, remade(Tmpfs={"/scratch": "size=2m"})),
    Case("secrets.word", {"secrets": [{"name": "word", "value": "sw0rdfish"}]}, overwritten, {"secrets_dir": specs.SECRETS}),
    Case("volumes_from", {"volumes_from": ["helper:ro"]}, remade(VolumesFrom=["helper"])),
    # logging
    Case("log_driver", {"log_driver": "local"}, remade(LogConfig={"Type": "json-file"})),
    Case("log_options.max-size", {"log_driver": "json-file", "log_options": {"max-size": "10m", "max-file": 3}}, remade(LogConfig={"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3"}})),
    # how it is
    Case("name", {}, call("POST", "/containers/box/rename?name=astray")),
    Case("state", {}, call("POST", "/containers/box/stop")),
    Case("state", {}, call("POST", "/containers/box/kill")),
    Case("state", {}, call("POST", "/containers/box/pause")),
    Case("state", {"state": "healthy", "healthcheck": {"test": "true", "interval": "100ms"}}, call("POST", "/containers/box/stop")),
    Case("state", {"state": "stopped"}, call("POST", "/containers/box/start")),
    Case("", {}, call("DELETE", "/containers/box?force=1")),
)
# fmt: on


def named(result: Result) -> set[str]:
    """The paths that a plan names, over all its objects."""
    return {line.partition(": ")[0] for item in result["diff"] for line in item["after"].splitlines()}


def test_a_field_changed_from_outside_is_named_and_repaired(exam: Exam, task: Task, engine: Engine) -> None:
    order = Dice("cases").sample(range(len(CASES)), len(CASES))
    for example in exam.sample(
        "drift of a container is named by its path, repaired, then nothing is left", len(CASES), least=5
    ):
        with example:
            case = CASES[order[example.number - 1]]
            example.tell(f"case {case.path}", case.spec)
            engine.clean()
            if "helper" in str(case.said):
                helper("-v", "/shared")(engine)
            task("containers", **case.spec).ok()
            before = engine.inspect("container", "box")
            case.way(engine)
            result = task.change("containers", **case.spec)
            example.tell("plan", result["plan"])
            assert len(result["plan"]) == 1
            if case.path:
                assert named(result) == {case.path}
            else:
                assert result["actions"][0]["reason"] == "missing"
            now, then = settings(engine.inspect("container", "box")), settings(before)
            other = {key: (then.get(key), now.get(key)) for key in {*then, *now} if then.get(key) != now.get(key)}
            if then.get("host.Runtime") is None:
                other.pop("host.Runtime", None)  # the engine fills it in at the first start
            assert not other, f"it is not as it was: {other}"


def settings(shown: Mapping) -> dict:
    """What of a container should be as it was, whichever container it is now."""
    own = shown["Id"][:12]
    networks = {
        name: (item["IPAMConfig"], [alias for alias in item["Aliases"] or () if alias != own])
        for name, item in shown["NetworkSettings"]["Networks"].items()
    }
    config = {key: value for key, value in shown["Config"].items() if value != own}
    config["Env"] = sorted(config["Env"] or ())
    return {
        "name": shown["Name"],
        "running": shown["State"]["Running"],
        **{f"config.{key}": value for key, value in config.items()},
        "networks": {name: (ipam or {}, aliases) for name, (ipam, aliases) in networks.items()},
        **{f"host.{key}": value or None for key, value in shown["HostConfig"].items() if key != "Mounts"},
        "mounts": sorted((item["Type"], item["Destination"], item["RW"]) for item in shown["Mounts"]),
    }


def test_every_option_of_a_container_has_a_case() -> None:
    """A new option comes with its line here."""
    rows = {option.name: option for option in KIND.fields}
    assert {case.path.split(".")[0] for case in CASES} - {"", "name", "state"} == set(rows)
    for option in (option for option in rows.values() if option.keyed):
        assert any(case.path.startswith(f"{option.name}.") for case in CASES), f"{option.name} has keys"


# -- networks and volumes ----------------------------------------------------------------------------------------------

ON_BRIDGE = {"com.docker.network.bridge.name": "br-exam"}
SIX = [{"subnet": "10.99.3.0/24"}, {"subnet": "fd00:99::/64"}]
# path, what is said of the network, what of it is other
NETWORK_CASES: tuple[tuple[str, dict, dict], ...] = (
    ("driver_options.com.docker.network.bridge.name", {"driver_options": ON_BRIDGE}, {"Options": {"com.docker.network.bridge.name": "br-other"}}),
    ("internal", {"internal": True}, {"Internal": False}),
    ("internal", {"internal": False}, {"Internal": True}),
    ("attachable", {"attachable": True}, {"Attachable": False}),
    ("enable_ipv6", {"enable_ipv6": True, "ipam_config": SIX}, {"EnableIPv6": False}),
    ("ipam_config", {"ipam_config": SIX[:1]}, {"IPAM": {"Config": [{"Subnet": "10.99.4.0/24"}]}}),
    ("ipam_config", {"ipam_config": [{**SIX[0], "gateway": "10.99.3.9"}]}, {"IPAM": {"Config": [{"Subnet": "10.99.3.0/24"}]}}),
    ("labels.a", {"labels": {"a": "1", "b": "2"}}, {"Labels": {"a": "9", "b": "2"}}),
)  # fmt: skip
NETWORK_ELSEWHERE = {"driver": "a second driver needs a module of the kernel", "ipam_driver": "needs a plugin"}
VOLUME_CASES: tuple[tuple[str, dict, dict], ...] = (
    ("driver_options.o", {"driver_options": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}, {"DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=2m"}}),
    ("labels.a", {"labels": {"a": "1", "b": "2"}}, {"Labels": {"b": "2"}}),
)  # fmt: skip
VOLUME_ELSEWHERE = {"driver": "needs a plugin"}


def test_a_network_changed_from_outside(exam: Exam, task: Task, engine: Engine) -> None:
    for example in exam.sample(
        "drift of a network is named by its path, repaired under its container", len(NETWORK_CASES)
    ):
        with example:
            path, said, other = NETWORK_CASES[example.number - 1]
            engine.clean()
            network = {"name": "net", **said}
            spec = {
                "project": "exam",
                "networks": [network],
                "containers": [{**BOX, "networks": [{"name": "net", "aliases": ["one"]}]}],
            }
            example.tell("spec", spec)
            task("containers", **spec).ok()
            before = engine.inspect("network", "net")
            engine.api("POST", "/networks/net/disconnect", {"Container": "box"})
            engine.api("DELETE", "/networks/net")
            keys = ("Name", "Driver", "Internal", "Attachable", "EnableIPv6", "IPAM", "Options", "Labels")
            body = {**{key: before[key] for key in keys}, **copy.deepcopy(other)}
            body["Labels"] = {
                **{key: value for key, value in before["Labels"].items() if "slipway" in key},
                **body["Labels"],
            }
            engine.api("POST", "/networks/create", body)
            engine.api("POST", "/networks/net/connect", {"Container": "box", "EndpointConfig": {"Aliases": ["one"]}})
            result = task.change("containers", **spec)
            assert named(result) == {path}, result["plan"]
            assert "one" in engine.inspect("container", "box")["NetworkSettings"]["Networks"]["net"]["Aliases"]


def test_a_volume_changed_from_outside(exam: Exam, task: Task, engine: Engine) -> None:
    for example in exam.sample("drift of a volume is named by its path, repaired when it may be", len(VOLUME_CASES)):
        with example:
            path, said, other = VOLUME_CASES[example.number - 1]
            engine.clean()
            spec = {"project": "exam", "volumes": [{"name": "data", **said}]}
            task("containers", **spec).ok()
            before = engine.inspect("volume", "data")
            engine.api("DELETE", "/volumes/data")
            marks = {key: value for key, value in before["Labels"].items() if "slipway" in key}
            engine.api(
                "POST", "/volumes/create", {"Name": "data", **other, "Labels": {**marks, **other.get("Labels", {})}}
            )
            message = task.refused("containers", **spec)
            assert path in message and "destroy" in message
            result = task.change("containers", **spec, destroy={"volumes": ["data"]})
            assert named(result) == {path}, result["plan"]


def test_every_option_of_a_network_and_a_volume_has_a_case() -> None:
    for kind, cases, elsewhere in (
        (NETWORK, NETWORK_CASES, NETWORK_ELSEWHERE),
        (VOLUME, VOLUME_CASES, VOLUME_ELSEWHERE),
    ):
        assert {case[0].split(".")[0] for case in cases} | set(elsewhere) == {option.name for option in kind.fields}


def test_nothing_is_drift_that_nobody_changed(exam: Exam, task: Task, engine: Engine) -> None:
    """A whole application, looked at again and again while its containers do their work."""
    spec = {**specs.spec(Dice("idle")), "orphans": "remove"}
    spec = specs.tidy(
        {
            **spec,
            "containers": [*spec["containers"], *(specs.container(Dice(f"idle{n}"), f"idle-{n}") for n in range(3))],
        }
    )
    task("containers", **spec).ok()
    for example in exam.sample("an idle run finds no drift", 50):
        with example:
            task.settled("containers", **spec)
