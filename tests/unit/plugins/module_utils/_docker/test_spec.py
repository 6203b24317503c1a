# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a whole task says: mistakes between objects, files it names, and what is filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError
from ansible_collections.slipway.docker.plugins.module_utils._docker import container, spec

WEB = {"name": "web", "image": "nginx"}


def mistakes(**params: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        spec.read_lists(params, ())
    return caught.value.mistakes


def test_every_mistake_is_reported_at_once_with_its_place() -> None:
    found = mistakes(
        containers=[
            {**WEB, "memory": "12x", "pids_limit": "many"},
            {"image": "nginx"},
            {**WEB},
            {"name": "api", "imge": "a"},
        ]
    )
    assert found == [
        "containers.api.imge: there is no such option; did you mean image?",
        'containers.web.memory: "12x" is not a size; write 512m or 2g',
        'containers.web.pids_limit: "many" is not a whole number',
        "containers[1].name: is missing; every container needs it",
        'containers[2].name: "web" is there twice, first at containers[0]; give each its own',
    ]


def test_one_mistake_is_one_line() -> None:
    with pytest.raises(SpecError) as caught:
        spec.read_lists({"containers": [{**WEB, "memory": "12x"}]}, ())
    assert str(caught.value) == 'containers.web.memory: "12x" is not a size; write 512m or 2g'


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (
            {
                "containers": [
                    {**WEB, "published_ports": ["80:80"]},
                    {"name": "api", "image": "a", "ports": ["127.0.0.1:80:81"]},
                ]
            },
            "published by",
        ),
        ({"containers": [{**WEB, "memory": "64m", "memory_swap": "32m"}]}, "memory and swap together"),
        ({"containers": [{**WEB, "memory_swap": "32m"}]}, "needs memory beside it"),
        ({"containers": [{**WEB, "network_mode": "host", "ports": ["80:80"]}]}, "cannot be published with"),
        ({"containers": [{**WEB, "network_mode": "host", "networks": [{"name": "a"}]}]}, "exclude one another"),
        ({"containers": [{**WEB, "volumes": ["a1:/x", "b1:/x/"]}]}, "mounted twice"),
        ({"containers": [{**WEB, "restart_retries": 3}]}, "on-failure only"),
        ({"containers": [{**WEB, "comparisons": {"nope": "strict"}}]}, "there is no option"),
        ({"containers": [{**WEB, "comparisons": {"env": "nope"}}]}, "is not one of"),
        ({"containers": [{**WEB, "name": "web-slipway-old"}]}, "suffix that replacements use"),
        ({"containers": [{**WEB, "env_file": ["/nope"]}]}, "cannot be read on this host"),
        ({"containers": [{**WEB, "env": "A=1"}]}, "is not a dictionary"),
        ({"containers": [{**WEB, "environment": {}, "env": {}}]}, "is another name of env"),
        ({"containers": [{**WEB, "restart_policy": "sometimes"}]}, "is not one of"),
        ({"containers": [{**WEB, "tty": "perhaps"}]}, "is not true or false"),
        ({"containers": ["web"]}, "is not a dictionary"),
        (
            {"networks": [{"name": "n1", "ipam_config": [{"subnet": "10.0.0.0/24", "gateway": "10.1.0.1"}]}]},
            "is not in the subnet",
        ),
        ({"networks": [{"name": "host"}]}, "network of the engine itself"),
        ({"images": [{"name": "a", "build": {"path": "/x"}, "load_path": "/y"}]}, "exclude one another"),
        ({"destroy": {"volume": []}}, "did you mean volumes?"),
        ({"state": "gone"}, "is not one of present, absent"),
        ({"parallelism": 0}, "from 1 to 64"),
        ({"default_host_ip": "all"}, "is not an IP address"),
    ],
)
def test_refusals(params: dict[str, Any], sentence: str) -> None:
    assert any(sentence in line for line in mistakes(**params))


def test_static_addresses_lie_in_declared_subnets() -> None:
    nets = [{"name": "n1", "ipam_config": [{"subnet": "10.0.0.0/24"}]}]
    joined = [{"name": "n1", "ipv4_address": "10.9.0.5"}]
    assert any(
        "is not in a subnet" in line for line in mistakes(networks=nets, containers=[{**WEB, "networks": joined}])
    )


@pytest.mark.parametrize("ports", [["80:80", 81, "0.0.0.0:82:82"], "80:80,81,0.0.0.0:82:82"])
def test_the_default_host_address_fills_in_where_none_is_written(ports: Any) -> None:
    task = spec.read_lists({"default_host_ip": "127.0.0.1", "containers": [{**WEB, "ports": ports}]}, ())
    assert task.desired[0].fields["published_ports"] == ("127.0.0.1:80:80", "127.0.0.1::81", "0.0.0.0:82:82")
    assert task.warnings == []


def test_open_ports_are_warned_of() -> None:
    task = spec.read_lists({"containers": [{**WEB, "ports": ["80:80"]}]}, ())
    assert task.warnings == [
        "containers.web.published_ports: 80:80 can be reached on every address of the host; write 127.0.0.1 or 0.0.0.0 before it, or set default_host_ip"
    ]


def test_env_files_are_read_and_env_wins(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# a comment\nA=1\nB='two words'\n\n")
    task = spec.read_lists({"containers": [{**WEB, "env_file": [str(file)], "env": {"A": "3"}}]}, ())
    assert task.desired[0].fields["env"] == {"A": "3", "B": "two words"}


def test_an_undeclared_image_is_implied_once_with_the_strongest_pull() -> None:
    task = spec.read_lists({"containers": [{**WEB}, {**WEB, "name": "w2", "pull": "always"}]}, ())
    images = [item for item in task.desired if item.kind.name == "image"]
    assert [(item.name, item.intent["pull"]) for item in images] == [("nginx:latest", "always")]


def test_every_field_has_a_way_to_be_read_back() -> None:
    for option in container.KIND.fields:
        assert option.path or (option.read and option.write), option.name
