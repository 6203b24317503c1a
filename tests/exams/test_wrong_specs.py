# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A wrong spec is refused before anything is touched, and the message names the field, whatever is wrong with it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from harness.engine import Engine
from harness.task import Task

from ansible_collections.slipway.docker.plugins.module_utils._docker.container import KIND
from ansible_collections.slipway.docker.plugins.module_utils._docker.network import KIND as NETWORK
from ansible_collections.slipway.docker.plugins.module_utils._docker.volume import KIND as VOLUME

from . import specs
from .exam import Dice, Exam

A_DICT, A_LIST = {"a": "b"}, ["a", "b"]
NO_SIZE = ("12x", "-5m", "big", "1.2.3m", "m", "5 5m", A_LIST, A_DICT, True, "99999999999999999999g")
NO_NUMBER = ("many", "1.5.2", A_DICT, A_LIST, "0x10")
NO_FLAG = ("perhaps", 2, A_DICT, A_LIST)
NO_TEXT = (A_DICT, A_LIST)
NO_LIST = (A_DICT, True)
NO_DICT = ("a", 5, True, A_LIST)
NO_NAME = ("-web", "we b", "web!", "ä", "x", "web/1", "web\n")
NO_PATH = ("relative", "./here", "")

# fmt: off
# Values that no engine could make sense of, for each option of a container.
WRONG: Mapping[str, tuple] = {
    "state": ("running", "exited", "Started", True, A_LIST),
    "depends_on": (["nobody"], ["self"], ["anchor", "anchor"], [A_DICT], A_DICT),
    "update_order": ("parallel", "start_first", True, A_LIST),
    "pull": ("sometimes", True, A_LIST),
    "recreate": NO_FLAG,
    "comparisons": ({"nothing": "strict"}, {"env": "exact"}, "strict", A_LIST),
    "env_file": (["/no/such/file.env"], A_DICT),
    "hardening": ("CIS", "strict", True, A_LIST),
    "hardening_allow": ({"everything": "why not"}, {"user": ""}, {"user": "it must"}, "text", A_LIST),  # there is nothing to except from
    "healthy_wait_timeout": (*NO_NUMBER, -1),
    "image": ("Shop/API:1", "a b", "", ":tag", "name:", "name@sha256:123", "http://reg/x", "slipway-test/busybox:1:2", A_DICT, "-x", "a//b"),
    "command": ([], "", "sh -c 'unclosed", [A_DICT], A_DICT, [None], 5),
    "entrypoint": ("sh 'unclosed", [A_LIST], A_DICT),
    "env": ({"A=B": "1"}, {"": "1"}, {"A": A_DICT}, {"A": A_LIST}, {" A": "1"}, "text", 5),
    "labels": ({"a": A_DICT}, {"a": A_LIST}, "text", 5),
    "user": ("a b", ":1", "1000:", "a:b:c", *NO_TEXT),
    "working_dir": (*NO_PATH[:2], *NO_TEXT),
    "hostname": ("has space", "under/score", "-x", "x" * 70, "a..b", *NO_TEXT),
    "domainname": ("has space", "x" * 300, "a..b", *NO_TEXT),
    **dict.fromkeys(("tty", "interactive", "init", "auto_remove", "privileged", "read_only"), NO_FLAG),
    "stop_signal": ("SIGSTOPIT", "0", "65", "-9", "", *NO_TEXT),
    "stop_timeout": (*NO_NUMBER, -5),
    "healthcheck": ({"test": []}, {"test": "true", "interval": "soon"}, {"test": "true", "interval": "1us"}, {"test": "true", "timeout": "5 apples"},
                    {"test": "true", "retries": -1}, {"test": "true", "retries": "few"}, {"test": ["true"]}, {"tset": "true"}, {"test": "true", "interval": -1},
                    {"test": ["CMD"]}, {"test": A_DICT}, "true", A_LIST),
    "restart_policy": ("sometimes", "on_failure", "Always", True, A_LIST),
    "restart_retries": (*NO_NUMBER, -1, 3),  # 3 without on-failure
    "memory": (*NO_SIZE, "1k", "5m"),
    "memory_reservation": (*NO_SIZE, "1k"),
    "memory_swap": (*NO_SIZE, "32m", "-2"),  # 32m without or below memory
    "memory_swappiness": (*NO_NUMBER, -1, 101),
    "cpus": (*NO_NUMBER, -1, 0, 4096, "nan", "inf"),
    "cpu_shares": (*NO_NUMBER, -1, 1, 300000),
    "cpuset_cpus": ("a", "0-", "1-0", "0,,1", "500", "-1", *NO_TEXT),
    "cpuset_mems": ("a", "0-", "0,,1", *NO_TEXT),
    "pids_limit": (*NO_NUMBER, -2),
    "ulimits": (["nofiles:1"], ["nofile"], ["nofile:2:1"], ["nofile:a"], ["nofile:-1:5"], ["nofile:1:2:3"], [A_DICT], A_DICT),
    "shm_size": (*NO_SIZE,),
    "oom_score_adj": (*NO_NUMBER, -1001, 1001),
    "capabilities": (["NET_AMDIN"], ["CAP_"], [""], [A_DICT], A_DICT),
    "cap_drop": (["NET_AMDIN"], ["ALL_OF_THEM"], [A_LIST], A_DICT),
    "groups": (["a b"], [""], [A_DICT], A_DICT),
    "security_opts": (["no-such-thing"], ["seccomp"], ["no-new-privileges:maybe"], ["label"], [A_DICT], A_DICT),
    "devices": (["null"], ["/dev/null:null"], ["/dev/null:/dev/x:rwx"], ["/dev/null:/dev/x:rw:rw"], [A_DICT], A_DICT),
    "sysctls": ({"no dots": 1}, {"net.core.somaxconn": A_LIST}, {"vm.swappiness": 1}, {"kernel.panic": 1}, "text", A_LIST),
    "runtime": ("no-such-runtime", "a b", *NO_TEXT),
    "pid_mode": ("private", "container:", "container:nobody", "none", *NO_TEXT),
    "ipc_mode": ("public", "container:", "container:nobody", *NO_TEXT),
    "uts": ("private", "container:anchor", *NO_TEXT),
    "userns_mode": ("private", "container:anchor", *NO_TEXT),
    "cgroupns_mode": ("public", "Host", *NO_TEXT),
    "cgroup_parent": NO_TEXT,
    "published_ports": (["http:80"], ["70000:80"], ["8001:70000"], ["0:80:x"], ["8000-8005:80-81"], ["8005-8001:80-84"], ["8001:80/icmp"], ["300.1.1.1:80:80"],
                        ["localhost:80:80"], ["127.0.0.1 :80:80"], [" 8001:80"], ["::1:80:80"], ["[127.0.0.1]:80:80"], ["8001:"], [":"], [""],
                        ["127.0.0.1:9990:80", "127.0.0.1:9990:81"], ["127.0.0.1:9999:80"], [A_DICT], A_DICT, ["8001:0"], ["0x50:80"], ["1e3:80"], ["127.1:80:80"], ["8001:80:tcp"]),
    "exposed_ports": (["99999"], ["http"], ["80-70"], ["80/icmp"], ["0"], [A_DICT], A_DICT),
    "networks": ([{"name": "nowhere"}], [{"name": "base", "ipv4_address": "10.99.1.300"}], [{"name": "base", "ipv4_address": "10.98.1.1"}],
                 [{"name": "base"}, {"name": "base"}], [{"aliases": ["x"]}], [{"name": "base", "aliases": ["a b"]}], [{"name": "base", "ipv6_address": "10.99.1.5"}],
                 [{"name": "base", "ipv4_address": "fd00::1"}], [{"name": "base", "alias": ["x"]}], [{"name": "bridge", "ipv4_address": "172.17.0.9"}], ["nowhere"],
                 [{"name": "base", "aliases": A_DICT}], "nowhere", A_DICT, [{"name": "base", "ipv6_address": "fd00::5"}], [{"name": "base", "ipv4_address": "10.99.1.0"}],
                 [{"name": "base", "ipv4_address": "10.99.1.255"}], [{"name": "base", "ipv4_address": "10.99.1.1"}], [{"name": "host"}, {"name": "base"}]),
    "network_mode": ("no such mode", "container:", "container:nobody", "nowhere", "hosts", *NO_TEXT),
    "dns_servers": (["one.one"], ["10.0.0.300"], [""], [A_DICT], A_DICT),
    "dns_search_domains": (["a b"], [""], ["x" * 300], [A_DICT], A_DICT),
    "dns_opts": ([A_DICT], A_DICT),
    "etc_hosts": ({"db": "10.0.0.300"}, {"db": "name"}, {"db": ""}, {"db": A_LIST}, "text", A_LIST),
    "volumes": (["./data:/data"], ["data:relative"], ["data:/x:rwx"], ["a:/b:c:d"], ["../x:/y"], ["~/x:/y"], ["da ta:/x"], [":/x"], ["data:"], [""], ["/a:/x", "/b:/x"], [A_LIST],
                A_DICT, ["data:/"], ["/tmp:/"], ["data:/x:ro,rw"]),
    "mounts": ([{"type": "volume"}], [{"target": "relative"}], [{"type": "bind", "target": "/x", "source": "relative"}], [{"type": "bind", "target": "/x"}],
               [{"type": "tmpfs", "target": "/x", "source": "data"}], [{"type": "npipe", "target": "/x"}], [{"target": "/x", "tmpfs_size": "big", "type": "tmpfs"}],
               [{"target": "/x", "tmpfs_mode": "rwx", "type": "tmpfs"}], [{"target": "/x", "sourse": "a"}], [{"target": "/x"}, {"target": "/x/"}],
               [{"type": "volume", "source": "../x", "target": "/x"}],
               [{"target": "/x", "type": "bind", "source": "/tmp", "propagation": "wide"}], "text", A_DICT, [{"target": "/", "source": "data"}],
               [{"target": "/x", "type": "tmpfs", "propagation": "shared"}], [{"target": "/x", "type": "bind", "source": "/tmp", "tmpfs_size": "1m"}]),
    "tmpfs": (["run"], [""], ["/run", "/run/"], ["/run:size=big"], ["/run:nonsense"], ["/"], [A_DICT], A_DICT),
    "secrets": ([{"name": "a"}], [{"name": "a", "value": "x", "file": "/etc/hostname"}], [{"name": "a/b", "value": "x"}], [{"value": "x"}],
                [{"name": "a", "file": "/no/such/file"}], [{"name": "a", "value": "x", "mode": 400}], [{"name": "a", "value": "x", "mode": "rw"}],
                [{"name": "a", "value": "x", "uid": -1}], [{"name": "a", "value": "x"}, {"name": "a", "value": "y"}], [{"name": "a", "value": "x", "target": "relative"}],
                [{"name": "a", "value": "x", "tarket": "/x"}], [{"name": "a", "value": A_DICT}], ["a"], "a", A_DICT),
    "volumes_from": (["nobody"], ["anchor:rx"], ["a b"], [""], [A_DICT], A_DICT),
    "log_driver": ("no-such-driver", "a b", *NO_TEXT),
    "log_options": ({"max-size": A_LIST}, {"no-such-option": "1"}, {"max-size": "big"}, "text", A_LIST),
}
WRONG_NETWORK: Mapping[str, tuple] = {
    "state": ("started", True, A_LIST),
    "driver": ("no-such-driver", "host", "none", "a b", *NO_TEXT),
    "driver_options": ({"a": A_LIST}, {"com.docker.network.driver.mtu": "wide"}, "text", A_LIST),
    **dict.fromkeys(("internal", "attachable", "enable_ipv6"), NO_FLAG),
    "ipam_driver": NO_TEXT,
    "ipam_config": ([{"subnet": "10.99.1.0/33"}], [{"subnet": "10.99.1.7/24"}], [{"subnet": "wide"}], [{"subnet": "10.99.9.0/24", "gateway": "10.98.1.1"}],
                    [{"subnet": "10.99.9.0/24", "iprange": "10.98.1.0/25"}], [{"gateway": "10.99.9.1"}], [{"subnet": "10.99.9.0/24", "gateway": "first"}],
                    [{"subnet": "10.99.9.0/24", "aux_addresses": {"a": "10.98.1.1"}}], [{"subnet": "10.99.9.0/24", "aux_addresses": {"a": "b"}}], [{"subnet": "10.99.1.0/25"}],
                    [{"subnet": "10.99.9.0/24"}, {"subnet": "10.99.9.128/25"}], [{"sub_net": "10.99.9.0/24"}], [{"subnet": "10.99.9.0/24", "gateway": "10.99.9.0"}], "text", A_DICT,
                    [{"subnet": "10.99.9.0/24"}, {"subnet": "10.99.9.0/24"}], [{"subnet": "10.99.9.0/24", "gateway": "10.99.9.255"}]),
    "labels": ({"a": A_DICT}, {"a": A_LIST}, "text", 5),
}
WRONG_VOLUME: Mapping[str, tuple] = {
    "state": ("started", True, A_LIST),
    "driver": ("no-such-driver", "a b", *NO_TEXT),
    "driver_options": ({"a": A_LIST}, {"no-such-option": "1"}, "text", A_LIST),
    "labels": ({"a": A_DICT}, {"a": A_LIST}, "text", 5),
}
# What only excludes something else: (what is there, what is wrong beside it).
TOGETHER: tuple[tuple[dict, str, Any], ...] = (
    ({"network_mode": "host"}, "published_ports", ["8001:80"]),
    ({"published_ports": ["8001:80"]}, "update_order", "start-first"),
    ({"networks": [{"name": "base", "ipv4_address": "10.99.1.50"}]}, "update_order", "start-first"),
    ({"tmpfs": ["/run/secrets/a"]}, "secrets", [{"name": "a", "value": "x"}]),
    ({"network_mode": "none"}, "published_ports", ["8001:80"]),
    ({"networks": [{"name": "base"}]}, "network_mode", "host"),
    ({"published_ports": ["8001:80"]}, "network_mode", "container:anchor"),
    ({"hostname": "alpha"}, "network_mode", "container:anchor"),
    ({"exposed_ports": ["80"]}, "network_mode", "container:anchor"),
    ({"dns_servers": ["10.0.0.1"]}, "network_mode", "container:anchor"),
    ({"etc_hosts": {"db": "10.0.0.1"}}, "network_mode", "container:anchor"),
    ({"hostname": "alpha"}, "uts", "host"),
    ({"restart_policy": "always"}, "auto_remove", True),
    ({"memory": "64m"}, "memory_swap", "32m"),
    ({"memory": "64m"}, "memory_reservation", "128m"),
    ({"volumes": ["data:/x"]}, "tmpfs", ["/x"]),
    ({"volumes": ["data:/x"]}, "mounts", [{"target": "/x", "source": "cache"}]),
    ({"networks": [{"name": "base", "ipv4_address": "10.99.1.50"}]}, "networks", [{"name": "base", "ipv4_address": "10.99.1.40"}]),  # the anchor has it
    ({"sysctls": {"net.core.somaxconn": 512}}, "network_mode", "host"),
    ({"state": "started"}, "networks", [{"name": "alone", "ipv4_address": "10.5.5.5"}]),  # a network without a subnet of its own
)
# fmt: on
BASE: Mapping[str, Any] = {
    "project": "exam",
    "networks": [{"name": "base", "ipam_config": [{"subnet": "10.99.1.0/24"}]}, {"name": "alone"}],
    "volumes": [{"name": "data"}],
    "containers": [
        {
            "name": "anchor",
            "image": "slipway-test/busybox:1",
            "command": ["sh", "-c", specs.STAY],
            "published_ports": ["127.0.0.1:9999:80"],
            "networks": [{"name": "base", "ipv4_address": "10.99.1.40"}],
        },
        {"name": "self", "image": "slipway-test/busybox:1", "command": ["sh", "-c", specs.STAY]},
    ],
}


def wrong(dice: Dice) -> tuple[dict, str]:
    """A valid spec with one thing wrong in it, and the path of the field."""
    spec = copy.deepcopy(dict(BASE))
    throw = dice.random()
    if throw < 0.07:
        beside, option, value = dice.choice(TOGETHER)
        spec["containers"][1].update(beside)
        spec["containers"][1][option] = copy.deepcopy(value)
        return spec, "containers.self."
    if throw < 0.12:
        plural = dice.choice(("networks", "volumes", "containers"))
        name = dice.choice(NO_NAME)
        spec[plural].append({**dice.choice(spec[plural]), "name": name})
        spec[plural][-1].pop("published_ports", None)
        spec[plural][-1].pop("networks", None)
        spec[plural][-1].pop("ipam_config", None)
        return spec, f"{plural}.{name}".splitlines()[0]
    if throw < 0.17:
        plural, index = dice.choice((("networks", 0), ("volumes", 0), ("containers", 1)))
        option = dice.choice(("imagee", "drivr", "memroy", "Name", "nme", "net works"))
        spec[plural][index][option] = "x"
        return spec, f"{plural}.{spec[plural][index]['name']}.{option}"
    if throw < 0.30:
        plural, table = dice.choice(
            (("networks", WRONG_NETWORK), ("networks", WRONG_NETWORK), ("volumes", WRONG_VOLUME))
        )
        option = dice.choice(list(table))
        item = (
            {"name": "more"}
            if option != "driver_options"
            else {"name": "more", "driver": "bridge" if plural == "networks" else "local"}
        )
        item[option] = copy.deepcopy(dice.choice(table[option]))
        spec[plural].append(item)
        return spec, f"{plural}.more.{option}"
    option = dice.choice(list(WRONG))
    spec["containers"][1][option] = copy.deepcopy(dice.choice(WRONG[option]))
    return spec, f"containers.self.{option}" if option != "depends_on" else "containers.self"


def test_it_is_refused_and_the_running_one_runs_on(exam: Exam, task: Task, engine: Engine) -> None:
    task("containers", **BASE).ok()
    before = snapshot(engine)
    for example in exam.sample(
        "a wrong spec is refused before any mutating call, and its field is named", 500, least=25
    ):
        with example:
            spec, place = wrong(example.dice)
            example.tell(f"wrong at {place}", (spec["networks"][2:], spec["volumes"][1:], spec["containers"][1:]))
            try:
                message = task.refused("containers", **spec)
                assert place in message, f"{place} is not said: {message}"
                assert "bug in slipway" not in message
            finally:
                if snapshot(engine) != before:
                    engine.clean()
                    task("containers", **BASE).ok()
                    before = snapshot(engine)


def snapshot(engine: Engine) -> Any:
    """Everything that is there, and since when the two containers run."""
    since = [(engine.inspect("container", name) or {}).get("State") for name in ("anchor", "self")]
    return engine.snapshot(), since


def test_every_option_can_be_wrong() -> None:
    def names(options: Iterable) -> set[str]:
        return {option.name for option in options} - {"name"}

    assert set(WRONG) == names(KIND.options)
    assert set(WRONG_NETWORK) == names(NETWORK.options)
    assert set(WRONG_VOLUME) == names(VOLUME.options)
