# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `hardening: cis` fills in, what it demands, and what an exception with a reason lets pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError
from ansible_collections.slipway.docker.plugins.module_utils._converge.provider import Task
from ansible_collections.slipway.docker.plugins.module_utils._docker import container, hardening, spec

from .test_wrong_values import wrong

DEMANDED = {"user": "1000:1000", "memory": "64m", "cpus": 0.5, "healthcheck": {"test": "true"}}
FILLED = {
    "security_opts": ("no-new-privileges",),
    "cap_drop": ("ALL",),
    "read_only": True,
    "pids_limit": 256,
    "restart_policy": "on-failure",
    "restart_retries": 5,
}


def web(**options: Any) -> dict[str, Any]:
    """A container that keeps to the benchmark, less what is None."""
    params = {"name": "web", "image": "nginx", "hardening": "cis", **DEMANDED, **options}
    return {name: value for name, value in params.items() if value is not None}


def read(*containers: dict[str, Any], **more: Any) -> Task:
    return spec.read_lists({"containers": list(containers), **more}, ())


def fields(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return dict(read(*containers, **more).desired[0].fields)


def mistakes(*containers: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(*containers, **more)
    return caught.value.mistakes


# -- what is filled in -----------------------------------------------------------------------------------------


def test_what_is_left_out_is_filled_in() -> None:
    plain, hardened = fields(web(hardening=None)), fields(web())
    assert {name: value for name, value in hardened.items() if name not in plain} == FILLED
    assert plain.items() <= hardened.items()


def test_what_is_filled_in_is_managed() -> None:
    assert set(FILLED) <= set(read(web()).desired[0].managed)


@pytest.mark.parametrize(
    ("said", "option", "value"),
    [
        ({"pids_limit": 50}, "pids_limit", 50),
        ({"restart_policy": "no"}, "restart_policy", "no"),
        ({"restart": "on-failure", "restart_retries": 3}, "restart_retries", 3),
        ({"restart": "on-failure"}, "restart_retries", 5),
        ({"security_opt": ["seccomp=/srv/p.json"]}, "security_opts", ("no-new-privileges", "seccomp=/srv/p.json")),
        ({"security_opts": ["no-new-privileges"]}, "security_opts", ("no-new-privileges",)),
        ({"security_opts": "label=type:x"}, "security_opts", ("label=type:x", "no-new-privileges")),
        ({"cap_drop": ["all"]}, "cap_drop", ("ALL",)),
        ({"cap_add": ["NET_BIND_SERVICE"]}, "capabilities", ("NET_BIND_SERVICE",)),
        ({"read_only": "yes"}, "read_only", True),
        ({"cpus": None, "cpu_shares": 512}, "cpu_shares", 512),
        ({"ports": ["8080:80", 81]}, "published_ports", ("127.0.0.1:8080:80", "127.0.0.1::81")),
        ({"published_ports": "8080:80"}, "published_ports", ("127.0.0.1:8080:80",)),
        ({"ports": ["10.0.0.5:8080:80", "[::1]:8081:80"]}, "published_ports", ("10.0.0.5:8080:80", "[::1]:8081:80")),
    ],
)
def test_what_is_said_stays(said: dict[str, Any], option: str, value: Any) -> None:
    assert fields(web(**said))[option] == value


def test_a_default_host_address_comes_first() -> None:
    assert fields(web(ports=["8080:80"]), default_host_ip="10.0.0.5")["published_ports"] == ("10.0.0.5:8080:80",)


def test_what_goes_when_it_ends_is_not_started_again() -> None:
    assert "restart_policy" not in fields(web(auto_remove=True))


@pytest.mark.parametrize(
    "more", [{"state": "absent"}, {"containers": [{"name": "web", "state": "absent", "hardening": "cis"}]}]
)
def test_nothing_is_asked_of_what_is_to_go(more: dict[str, Any]) -> None:
    task = spec.read_lists({"hardening": "cis", "containers": [{"name": "web"}], **more}, ())
    assert not task.desired[0].fields
    assert "exceptions" not in task.tells


# -- whose profile it is ---------------------------------------------------------------------------------------


def test_a_container_has_the_profile_of_its_task_or_its_own() -> None:
    assert fields(web(hardening=None), hardening="cis")["read_only"] is True
    assert "read_only" not in fields(web(hardening="none"), hardening="cis")
    assert fields(web(), hardening="none")["read_only"] is True


def test_a_single_container_has_its_own() -> None:
    task = spec.read_one(container.KIND, spec.RUN, web(), ())
    assert task.desired[0].fields["read_only"] is True
    with pytest.raises(SpecError, match=r"^memory: is missing \(hardening: cis, 5\.11\); "):
        spec.read_one(container.KIND, spec.RUN, web(memory=None), ())


# -- what is demanded ------------------------------------------------------------------------------------------

# fmt: off
AGAINST: list[tuple[str, dict[str, Any], str]] = [  # (item, what is against it, the option that is named)
    ("user", {"user": None}, "user"),
    ("user", {"user": "root"}, "user"),
    ("user", {"user": 0}, "user"),
    ("user", {"user": "00:1000"}, "user"),
    ("apparmor", {"security_opts": ["apparmor=unconfined"]}, "security_opts"),
    ("selinux", {"security_opts": ["label:disable"]}, "security_opts"),
    ("cap_drop", {"cap_drop": ["MKNOD"]}, "cap_drop"),
    ("cap_drop", {"cap_drop": []}, "cap_drop"),
    ("capabilities", {"capabilities": ["CHOWN", "CAP_NET_ADMIN"]}, "capabilities"),
    ("capabilities", {"cap_add": ["ALL"]}, "capabilities"),
    ("privileged", {"privileged": True}, "privileged"),
    ("host_directories", {"volumes": ["/:/host:ro"]}, "volumes"),
    ("host_directories", {"volumes": ["/usr/../etc/:/host:ro"]}, "volumes"),
    ("host_directories", {"volumes": ["/etc/nginx:/etc/nginx"]}, "volumes"),
    ("host_directories", {"mounts": [{"type": "bind", "source": "//proc", "target": "/host", "read_only": True}]}, "mounts"),
    ("host_directories", {"mounts": [{"type": "bind", "source": "/lib/modules", "target": "/lib/modules"}]}, "mounts"),
    ("privileged_ports", {"ports": ["443:8443"]}, "published_ports"),
    ("privileged_ports", {"ports": ["10.0.0.5:1000-1030:80/udp"]}, "published_ports"),
    ("network_mode", {"network_mode": "host"}, "network_mode"),
    ("memory", {"memory": None}, "memory"),
    ("memory", {"memory": "0"}, "memory"),
    ("cpus", {"cpus": None}, "cpus"),
    ("read_only", {"read_only": False}, "read_only"),
    ("all_addresses", {"ports": ["0.0.0.0:8080:80"]}, "published_ports"),
    ("all_addresses", {"ports": ["[::]:8080:80"]}, "published_ports"),
    ("restart_policy", {"restart_policy": "always"}, "restart_policy"),
    ("restart_policy", {"restart": "unless-stopped"}, "restart_policy"),
    ("restart_policy", {"restart": "on-failure", "restart_retries": 0}, "restart_retries"),
    ("restart_policy", {"restart": "on-failure", "restart_retries": 6}, "restart_retries"),
    ("pid_mode", {"pid_mode": "host"}, "pid_mode"),
    ("ipc_mode", {"ipc": "host"}, "ipc_mode"),
    ("devices", {"devices": ["/dev/fuse"]}, "devices"),
    ("shared_propagation", {"volumes": ["/srv:/srv:ro,rshared"]}, "volumes"),
    ("shared_propagation", {"mounts": [{"type": "bind", "source": "/srv", "target": "/srv", "propagation": "shared"}]}, "mounts"),
    ("uts", {"uts": "host"}, "uts"),
    ("seccomp", {"security_opts": ["seccomp:unconfined"]}, "security_opts"),
    ("cgroup_parent", {"cgroup_parent": "/mine"}, "cgroup_parent"),
    ("no_new_privileges", {"security_opts": ["no-new-privileges=false"]}, "security_opts"),
    ("healthcheck", {"healthcheck": None}, "healthcheck"),
    ("healthcheck", {"healthcheck": {"test": "none"}}, "healthcheck"),
    ("healthcheck", {"healthcheck": {"interval": "5s"}}, "healthcheck"),
    ("pids_limit", {"pids_limit": 0}, "pids_limit"),
    ("pids_limit", {"pids_limit": -1}, "pids_limit"),
    ("userns_mode", {"userns_mode": "host"}, "userns_mode"),
    ("docker_socket", {"volumes": ["/var/run/docker.sock:/var/run/docker.sock:ro"]}, "volumes"),
    ("docker_socket", {"volumes": ["/run/:/run"]}, "volumes"),
    ("docker_socket", {"mounts": [{"type": "bind", "source": "/srv/docker.sock", "target": "/s"}]}, "mounts"),
]
FINE: list[dict[str, Any]] = [
    {"volumes": ["/etc/localtime:/etc/localtime:ro", "/library:/a", "/srv/run:/b", "data:/c", "/d"]},
    {"mounts": [{"type": "bind", "source": "/srv", "target": "/srv", "propagation": "rslave"}, {"type": "tmpfs", "target": "/tmp"}]},
    {"ports": ["1024:80", "127.0.0.1::80/udp", "8000-8001:80-81"]},
    {"network_mode": "none"},
    {"ipc_mode": "private", "pid_mode": "container:api", "security_opts": ["label=type:x", "apparmor=docker-default"]},
    {"ulimits": ["nofile:1024"], "cgroupns_mode": "private"},
]
# fmt: on
NAMED = pytest.mark.parametrize(("item", "said", "option"), AGAINST, ids=[f"{row[0]} {row[1]}" for row in AGAINST])


@NAMED
def test_what_is_against_it_is_refused(item: str, said: dict[str, Any], option: str) -> None:
    (line,) = mistakes(web(**said))
    number = next(row.number for row in hardening.ITEMS if row.name == item)
    assert re.fullmatch(
        rf"containers\.web\.{option}: .+ \(hardening: cis, {number}\); .+, or give the reason in hardening_allow\.{item}",
        line,
    )


@NAMED
def test_an_exception_lets_it_pass_and_is_told(item: str, said: dict[str, Any], option: str) -> None:
    task = read(web(**said, hardening_allow={item: " it is so \n"}))
    (line,) = task.tells["exceptions"]
    assert line.startswith(f"containers.web.{option}: ") and line.endswith(", allowed: it is so")
    assert not [warning for warning in task.warnings if "exception" in warning]


@pytest.mark.parametrize("said", FINE, ids=str)
def test_what_is_not_against_it_passes(said: dict[str, Any]) -> None:
    task = read(web(**said), {"name": "api", "image": "nginx"})
    assert task.tells == {"exceptions": []}
    assert task.warnings == []


def test_every_item_is_tried() -> None:
    assert {row[0] for row in AGAINST} == {item.name for item in hardening.ITEMS}


def test_everything_is_said_at_once_over_all_containers() -> None:
    found = mistakes(
        web(memory="12x", user=None), web(name="api", privileged=True, pids_limit=0), web(name="db"), hardening="cis"
    )
    assert [line.partition(": ")[0] for line in found] == [
        "containers.api.pids_limit",
        "containers.api.privileged",
        "containers.web.memory",
        "containers.web.user",
    ]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        pytest.param(row.name, value, id=f"{row.name}={value!r}"[:70])
        for row in container.OPTIONS
        if row.name != "hardening"
        for value in wrong(row)
    ],
)
def test_a_value_that_cannot_be_is_told_once(option: str, value: Any) -> None:
    before, after = (mistakes(web(**{option: value}, hardening=profile)) for profile in ("none", "cis"))
    assert set(before) <= set(after)
    assert all("hardening: cis" in line for line in set(after) - set(before))


# -- exceptions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "left"),
    [
        ("no_new_privileges", "security_opts"),
        ("cap_drop", "cap_drop"),
        ("read_only", "read_only"),
        ("pids_limit", "pids_limit"),
    ],
)
def test_what_is_excepted_is_left_to_the_engine(item: str, left: str) -> None:
    task = read(web(hardening_allow={item: "it is so"}))
    assert left not in task.desired[0].fields
    assert len(task.tells["exceptions"]) == 1
    assert task.warnings == []


@pytest.mark.parametrize("item", ["all_addresses", "restart_policy"])
def test_what_has_a_way_to_be_said_is_filled_in_all_the_same(item: str) -> None:
    task = read(web(ports=["8080:80"], hardening_allow={item: "it is so"}))
    assert task.desired[0].fields["published_ports"] == ("127.0.0.1:8080:80",)
    assert task.desired[0].fields["restart_policy"] == "on-failure"
    assert task.warnings == [f"containers.web.hardening_allow.{item}: nothing needs this exception; take it out"]


def test_an_exception_has_the_other_names_of_its_option() -> None:
    task = read(web(cap_add=["NET_ADMIN"], hardening_allow={"cap_add": "it routes"}))
    assert task.tells["exceptions"] == [
        "containers.web.capabilities: NET_ADMIN is more than an engine gives by itself (hardening: cis, 5.4), allowed: it routes"
    ]


def test_exceptions_may_be_json_as_ansible_has_it_on_a_command_line() -> None:
    assert read(web(privileged=True, hardening_allow='{"privileged": "it mounts"}')).tells["exceptions"]


@pytest.mark.parametrize("reason", ["", "  ", None])
def test_an_exception_without_a_reason_is_refused(reason: Any) -> None:
    assert mistakes(web(privileged=True, hardening_allow={"privileged": reason})) == [
        "containers.web.hardening_allow.privileged: has no reason; write why this container needs it"
    ]


def test_an_unknown_exception_is_refused() -> None:
    (line,) = mistakes(web(hardening_allow={"priviliged": "it mounts"}))
    assert line == "containers.web.hardening_allow.priviliged: there is no such option; did you mean privileged?"


def test_exceptions_from_nothing_are_refused() -> None:
    (line,) = mistakes(web(hardening=None, hardening_allow={"privileged": "it mounts"}))
    assert line == "containers.web.hardening_allow: excepts from what is not asked; write hardening: cis beside it"
    assert read(web(hardening="none", privileged=True, hardening_allow={"privileged": "it mounts"})).tells == {}


# -- what is written of it -------------------------------------------------------------------------------------


def test_exceptions_are_called_as_the_options_are() -> None:
    for row in hardening.OPTIONS[1].suboptions:
        option = container.KIND.by_name.get(row.name)
        assert row.aliases == (option.aliases if option and option.name == row.name else ()), row.name


def test_the_page_has_a_line_for_each_item() -> None:
    page = (Path(spec.__file__).parents[3] / "docs" / "hardening.md").read_text()
    for item in hardening.ITEMS:
        assert re.search(rf"^\| {re.escape(item.number)} \|.*`{item.name}` \|$", page, re.MULTILINE), item.name
