# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""For every option of every kind, values that cannot be: each is refused while the task is read, and its place is named."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError
from ansible_collections.slipway.docker.plugins.module_utils._converge.option import Option
from ansible_collections.slipway.docker.plugins.module_utils._docker import spec

BY_TYPE: dict[str, list[Any]] = {
    "str": [["a", "list"], {"a": "dictionary"}, True],
    "path": [["a", "list"], {"a": "dictionary"}, True],
    "int": ["many", 1.5, [1], {}, True, ""],
    "float": ["half", [1], {}, True, float("nan"), ""],
    "bool": ["perhaps", 2, [True], {}],
    "list": [{"a": "dictionary"}, True, [["nested"]]],
    "dict": ["text", ["list"], 5, "{broken"],
    "raw": [],
}
# Beside what its type forbids; an option is in this table, or any text will do for it.
BY_OPTION: dict[str, list[Any]] = {
    "name": ["", " ", "we b", "-x", "a/b:c:d", "ü"],
    "image": ["", "Up:1", "a b", "a:b:c", ":tag", "http://x/y"],
    "command": [{}, [], "", [{}], "echo 'open"],
    "entrypoint": [{}, [[]], "echo 'open"],
    "env": [{"A=B": "x"}, {"": "x"}, {"A": ["x"]}, {" A": "x"}],
    "labels": [{"a": {"b": "c"}}],
    "user": ["", "a b", "a:b:c", ":"],
    "working_dir": ["srv", "", "./x"],
    "hostname": ["", "-a", "a_b c", "a" * 64, "a..b"],
    "domainname": ["", "a b", "..", "-"],
    "stop_signal": ["", "SIGNOPE", "0", "99"],
    "healthcheck": [{"test": ["curl"]}, {"test": []}, {"interval": "soon"}, {"retries": -1}, {"tset": "true"}, {"timeout": "1us"}],
    "restart_retries": [-1],
    "memory": ["12x", "-1", "1k", "", "m", "1e3"],
    "memory_reservation": ["12x", "1k"],
    "memory_swap": ["12x", "-2", ""],
    "memory_swappiness": [-1, 101],
    "cpus": [0, -1],
    "cpu_shares": [1, -5, 262145],
    "cpuset_cpus": ["a", "0-", "0,,1"],
    "cpuset_mems": ["a"],
    "ulimits": [["nofile"], ["nofile:x"], ["nope:1"], ["nofile:2:1"]],
    "shm_size": ["big", "-1"],
    "oom_score_adj": [-1001, 1001],
    "capabilities": [["NOPE"], [""]],
    "cap_drop": [["NOPE"]],
    "groups": [[""], ["a b"]],
    "security_opts": [["nope"], [""]],
    "devices": [["null"], ["/dev/null:null:rwm"], ["/dev/a:/dev/b:x"], ["/a:/b:r:w"]],
    "sysctls": [{"": "1"}, {"Net Core": "1"}, {"net.ipv4.ip_forward": {}}],
    "runtime": ["", "a b"],
    "pid_mode": ["hots", "container:"],
    "ipc_mode": ["shared", "container:"],
    "uts": ["private"],
    "userns_mode": ["private"],
    "published_ports": [["80:80:80:80"], ["x"], ["0:80"], ["80:65536"], ["1.2.3:80:80"], ["80/xyz"], ["5-1:5-1"], [""], ["80:"]],
    "exposed_ports": [["x"], ["0"], ["80/xyz"], [""]],
    "networks": [[{"nam": "x"}], [{}], ["text"], [{"name": "n", "ipv4_address": "x"}], [{"name": "n", "ipv6_address": "1.2.3.4"}], [{"name": "n", "aliases": ["a b"]}]],
    "network_mode": ["", "container:", "a b"],
    "dns_servers": [["x"], ["1.2.3"]],
    "dns_search_domains": [["a b"]],
    "etc_hosts": [{"a": "x"}, {"a": ""}],
    "volumes": [["rel"], ["a:rel"], ["aa:/b:xx"], ["a:b:c:d"], ["./a:/b"], [""], ["~/a:/b"]],
    "mounts": [[{"target": "rel"}], [{}], [{"target": "/a", "type": "nope"}], [{"target": "/a", "type": "bind", "source": "rel"}], [{"target": "/a", "type": "tmpfs", "tmpfs_mode": "9"}]],
    "tmpfs": [["rel"], [""]],
    "volumes_from": [["a b"], ["aa:xx"]],
    "log_driver": ["", "a b"],
    "comparisons": [{"env": "loose"}, {"nope": "strict"}],
    "depends_on": [["a", "a"]],
    "ipam_config": [[{"subnet": "x"}], [{"subnet": "10.0.0.1/24"}], [{"gateway": "10.0.0.1"}], [{"subnet": "10.0.0.0/24", "gateway": "10.1.0.1"}], [{"subnt": "x"}]],
    "driver": ["", "a b"],
    "build": [{}, {"path": "/x", "arg": {}}],
    "tag": [["Up"]],
}  # fmt: skip
GOOD = {
    "container": {"name": "web", "image": "nginx"},
    "network": {"name": "back"},
    "volume": {"name": "data"},
    "image": {"name": "app"},
}


def wrong(option: Option) -> list[Any]:
    values = [*BY_TYPE[option.type], *BY_OPTION.get(option.name, [])]
    return [*values, "nope"] if option.choices and option.type == "str" else values


CASES = [
    pytest.param(kind.name, option.name, value, id=f"{kind.name}.{option.name}={value!r}"[:70])
    for kind in spec.KINDS.values()
    for option in kind.options
    for value in wrong(option)
    if not (value is False and "no" in option.choices)
]


@pytest.mark.parametrize(("kind", "option", "value"), CASES)
def test_it_is_refused_and_its_place_is_named(kind: str, option: str, value: Any) -> None:
    params = {**GOOD[kind], option: value}
    with pytest.raises(SpecError) as caught:
        spec.read_lists({kind + "s": [params]}, ())
    assert any(option in line.partition(": ")[0] for line in caught.value.mistakes), caught.value.mistakes
    assert all("\n" not in line for line in caught.value.mistakes)


def test_there_are_many() -> None:
    assert len(CASES) > 400
