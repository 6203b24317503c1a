# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What cannot be is refused before anything is touched, with its place, its value and the way out."""

from __future__ import annotations

from typing import Any

import pytest
from harness.engine import Engine
from harness.task import STAYS, Task

WEB = {"name": "web", "image": "slipway-test/busybox:1", "command": STAYS}


def web(**options: Any) -> dict:
    return {"containers": [{**WEB, **options}]}


# fmt: off
# The mistake; where it is; what of the value is shown; what of the way out.
WRONG: dict[str, tuple[dict, str, str, str]] = {
    "a size": (web(memory="12x"), "containers.web.memory", "12x", "512m"),
    "a negative size": (web(memory="-5m"), "containers.web.memory", "-5m", ""),
    "too little memory": (web(memory="1k"), "containers.web.memory", "1k", "6"),
    "swap below memory": (web(memory="64m", memory_swap="32m"), "containers.web.memory_swap", "32m", "memory"),
    "swap without memory": (web(memory_swap="32m"), "containers.web.memory_swap", "32m", "add memory"),
    "shm_size": (web(shm_size="big"), "containers.web.shm_size", "big", ""),
    "a port": (web(published_ports=["http:80"]), "containers.web.published_ports", "http:80", "8080:80"),
    "a port out of range": (web(published_ports=["127.0.0.1:70000:80"]), "containers.web.published_ports", "70000", "65535"),
    "uneven port ranges": (web(published_ports=["8000-8005:80-81"]), "containers.web.published_ports", "8000-8005:80-81", "equally long"),
    "a protocol": (web(published_ports=["80:80/icmp"]), "containers.web.published_ports", "80:80/icmp", "udp"),
    "a host address": (web(published_ports=["300.1.1.1:80:80"]), "containers.web.published_ports", "300.1.1.1", ""),
    "a host name for an address": (web(published_ports=["localhost:80:80"]), "containers.web.published_ports", "localhost", ""),
    "a space after an address": (web(published_ports=["127.0.0.1 :80:80"]), "containers.web.published_ports", "127.0.0.1 ", ""),
    "an exposed port": (web(exposed_ports=["99999"]), "containers.web.exposed_ports", "99999", "65535"),
    "a port twice": (
        {"containers": [{**WEB, "published_ports": ["127.0.0.1:80:80"]}, {**WEB, "name": "two", "published_ports": ["127.0.0.1:80:81"]}]},
        "containers.two.published_ports", "80", "web",
    ),
    "an unknown option": (web(memroy="64m"), "containers.web.memroy", "memroy", "memory"),
    "an unknown option of the task": ({"conteiners": []}, "conteiners", "conteiners", "containers"),
    "an unknown state": (web(state="running"), "containers.web.state", "running", "started"),
    "a missing name": ({"containers": [{"image": "x"}]}, "containers[0].name", "", "missing"),
    "a name": ({"containers": [{**WEB, "name": "we b"}]}, "containers.we b.name", "we b", ""),
    "a name twice": ({"containers": [WEB, WEB]}, "containers[1].name", "web", "first"),
    "a cycle": ({"containers": [{**WEB, "depends_on": ["two"]}, {**WEB, "name": "two", "depends_on": ["web"]}]}, "containers", "web", "two"),
    "itself": (web(depends_on=["web"]), "containers.web", "web", "itself"),
    "an unknown dependency": (web(depends_on=["nobody"]), "containers.web", "nobody", "declare"),
    "an unknown network": (web(networks=[{"name": "nowhere"}]), "containers.web.networks", "nowhere", "declare"),
    "a static address": (web(networks=[{"name": "back", "ipv4_address": "10.0.0.300"}]) | {"networks": [{"name": "back"}]}, "containers.web.networks", "10.0.0.300", ""),
    "an address outside the subnet": (
        web(networks=[{"name": "back", "ipv4_address": "10.1.1.1"}]) | {"networks": [{"name": "back", "ipam_config": [{"subnet": "10.99.1.0/24"}]}]},
        "containers.web.networks", "10.1.1.1", "10.99.1.0/24",
    ),
    "a subnet": ({"networks": [{"name": "back", "ipam_config": [{"subnet": "10.99.1.0/33"}]}]}, "networks.back.ipam_config", "10.99.1.0/33", ""),
    "a gateway outside": (
        {"networks": [{"name": "back", "ipam_config": [{"subnet": "10.99.1.0/24", "gateway": "10.98.1.1"}]}]}, "networks.back.ipam_config", "10.98.1.1", "10.99.1.0/24",
    ),
    "an image name": (web(image="Shop/API:1"), "containers.web.image", "Shop/API:1", "lower case"),
    "a volume": (web(volumes=["./data:/data"]), "containers.web.volumes", "./data", ""),
    "two mounts on one path": (web(volumes=["vol1:/data"], tmpfs=["/data"]), "containers.web", "/data", "twice"),
    "a relative path": (web(tmpfs=["run"]), "containers.web.tmpfs", "run", ""),
    "a duration": (web(healthcheck={"test": "true", "interval": "soon"}), "containers.web.healthcheck", "soon", ""),
    "a signal": (web(stop_signal="SIGSTOPIT"), "containers.web.stop_signal", "SIGSTOPIT", "SIGTERM"),
    "a capability": (web(capabilities=["NET_AMDIN"]), "containers.web.capabilities", "NET_AMDIN", "NET_ADMIN"),
    "a resolver": (web(dns_servers=["one.one.one.one"]), "containers.web.dns_servers", "one.one.one.one", ""),
    "a limit": (web(ulimits=["nofiles:1"]), "containers.web.ulimits", "nofiles:1", "nofile"),
    "processors": (web(cpus=-1), "containers.web.cpus", "-1", ""),
    "more processors than there are": (web(cpus=4096), "containers.web.cpus", "4096", "processors"),
    "a restart policy": (web(restart_policy="sometimes"), "containers.web.restart_policy", "sometimes", "unless-stopped"),
    "retries without a policy": (web(restart_retries=3), "containers.web.restart_retries", "3", "on-failure"),
    "a list for a dictionary": (web(labels=["a"]), "containers.web.labels", "", ""),
    "a default address": ({"default_host_ip": "lo", **web()}, "default_host_ip", "lo", ""),
    "an env file": (web(env_file=["/no/such.env"]), "containers.web.env_file", "/no/such.env", ""),
}
# fmt: on


@pytest.mark.parametrize("name", WRONG)
def test_it_is_refused_with_place_value_and_way_out(task: Task, engine: Engine, name: str) -> None:
    spec, place, value, way_out = WRONG[name]
    message = task.refused("containers", **{"project": "shop", **spec})
    for wanted in (place, value, way_out):
        assert wanted in message, f"{wanted!r} is not said: {message}"
    assert len(message.splitlines()) == 1, f"more than one mistake is reported: {message}"
    assert engine.names("container") == engine.names("network") == []


def test_several_are_reported_together(task: Task) -> None:
    message = task.refused(
        "containers",
        project="shop",
        networks=[{"name": "back", "ipam_config": [{"subnet": "10.99.1.0/33"}]}],
        containers=[
            {**WEB, "memory": "12x", "published_ports": ["http:80"]},
            {**WEB, "name": "api", "state": "runing", "cpus": "many"},
        ],
    )
    for wanted in (
        "containers.web.memory",
        "containers.web.published_ports",
        "containers.api.state",
        "containers.api.cpus",
        "networks.back.ipam_config",
    ):
        assert wanted in message
    assert message.startswith("5 mistakes")


def test_a_wrong_change_leaves_the_running_one_alone(task: Task, engine: Engine) -> None:
    task("containers", project="shop", containers=[WEB]).ok()
    before = engine.inspect("container", "web")
    task.refused("containers", project="shop", containers=[{**WEB, "memory": "12x"}])
    assert engine.inspect("container", "web") == before


def test_the_same_for_one_container(task: Task) -> None:
    """The module for one has its options at the top, so the place is the option's name."""
    message = task.refused("container", **{**WEB, "memory": "12x", "published_ports": ["http:80"]})
    assert "memory:" in message and "published_ports:" in message
