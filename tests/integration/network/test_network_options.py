# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option of a network: set, again, other value, drift from outside, no longer said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from harness.engine import Engine
from harness.task import STAYS, Task

from ansible_collections.slipway.docker.plugins.module_utils._docker.network import KIND


def block(*wanted: dict) -> Any:
    return lambda shown: [{key: item.get(key) for key in one} for one, item in zip(wanted, shown)] == list(wanted)


# fmt: off
# option, value, other value, where, shown, shown of the other, options beside it
ROWS: list[tuple[str, Any, Any, str, Any, Any, dict]] = [
    ("driver_options", {"com.docker.network.bridge.name": "br-one"}, {"com.docker.network.bridge.name": "br-two"}, "Options",
     {"com.docker.network.bridge.name": "br-one"}, {"com.docker.network.bridge.name": "br-two"}, {}),
    ("internal", True, False, "Internal", True, False, {}),
    ("attachable", True, False, "Attachable", True, False, {}),
    ("enable_ipv6", True, False, "EnableIPv6", True, False, {"ipam_config": [{"subnet": "10.99.3.0/24"}, {"subnet": "fd00:99::/64"}]}),
    ("ipam_config", [{"subnet": "10.99.3.0/24", "gateway": "10.99.3.1", "iprange": "10.99.3.128/25"}], [{"subnet": "10.99.4.0/24"}], "IPAM.Config",
     block({"Subnet": "10.99.3.0/24", "Gateway": "10.99.3.1", "IPRange": "10.99.3.128/25"}), block({"Subnet": "10.99.4.0/24"}), {}),
    ("labels", {"a": "1", "b": "2"}, {"a": "3"}, "Labels",
     lambda shown: (shown.get("a"), shown.get("b")) == ("1", "2"), lambda shown: shown.get("a") == "3" and "b" not in shown, {}),
]
# fmt: on
ELSEWHERE = {"driver": "see below", "ipam_driver": "needs a plugin"}


def dig(document: Mapping, path: str) -> Any:
    for part in path.split("."):
        document = document[part]
    return document


def expect(engine: Engine, path: str, shown: Any) -> None:
    value = dig(engine.inspect("network", "net"), path)
    assert shown(value) if callable(shown) else value == shown, f"{path} is {value}"


def put_back_from_outside(engine: Engine, older: Mapping) -> None:
    """Exchange the network for one with older settings under the labels of the present one."""
    marks = {
        key: value for key, value in engine.inspect("network", "net")["Labels"].items() if key.startswith("slipway.")
    }
    keys = ("Driver", "Internal", "Attachable", "EnableIPv6", "IPAM", "Options")
    engine.api("DELETE", "/networks/net")
    engine.api(
        "POST",
        "/networks/create",
        {"Name": "net", **{key: older[key] for key in keys}, "Labels": {**older["Labels"], **marks}},
    )


@pytest.mark.parametrize(
    ("option", "value", "other", "path", "shown", "shown_other", "beside"), ROWS, ids=[row[0] for row in ROWS]
)
def test_an_option_is_set_kept_changed_repaired_and_dropped(
    task: Task,
    engine: Engine,
    option: str,
    value: Any,
    other: Any,
    path: str,
    shown: Any,
    shown_other: Any,
    beside: dict,
) -> None:
    base = {"name": "net", **beside}
    task.change("network", **base, **{option: other})
    expect(engine, path, shown_other)
    older = engine.inspect("network", "net")
    task.change("network", **base, **{option: value})
    expect(engine, path, shown)
    put_back_from_outside(engine, older)
    expect(engine, path, shown_other)
    task.change("network", **base, **{option: value})
    expect(engine, path, shown)
    if option != "ipam_config":  # the engine chose the subnet: nothing to go back to
        task.change("network", **base)
        left = dig(engine.inspect("network", "net"), path)
        assert not (shown(left) if callable(shown) else left == shown)


def test_every_option_has_a_row() -> None:
    assert {option.name for option in KIND.fields} == {row[0] for row in ROWS} | set(ELSEWHERE)


def test_state_absent(task: Task, engine: Engine) -> None:
    task("network", name="net").ok()
    task.change("network", name="net", state="absent")
    assert engine.names("network") == []


def user(task: Task) -> None:
    """A container of ours on the network."""
    networks = [{"name": "net", "aliases": ["alias"]}]
    task("container", name="user", image="slipway-test/busybox:1", command=STAYS, networks=networks).ok()


def test_containers_on_it_are_connected_again(task: Task, engine: Engine) -> None:
    """A network in use is remade under its containers, which keep their aliases and go on running."""
    task("network", name="net", ipam_config=[{"subnet": "10.99.3.0/24"}]).ok()
    user(task)
    before = engine.inspect("container", "user")["State"]["StartedAt"]
    task.change("network", name="net", ipam_config=[{"subnet": "10.99.4.0/24"}])
    after = engine.inspect("container", "user")
    assert after["State"]["StartedAt"] == before
    assert after["NetworkSettings"]["Networks"]["net"]["IPAddress"].startswith("10.99.4.")
    assert "alias" in after["NetworkSettings"]["Networks"]["net"]["Aliases"]


def test_foreigners_on_it_are_named_and_left_alone(task: Task, engine: Engine) -> None:
    task("network", name="net", ipam_config=[{"subnet": "10.99.3.0/24"}]).ok()
    engine.run_cli("run", "-d", "--name", "foreign", "--network", "net", "slipway-test/busybox:1", *STAYS)
    assert "foreign" in task.refused("network", name="net", ipam_config=[{"subnet": "10.99.4.0/24"}])
    assert "foreign" in task("network", name="net", state="absent").msg
    assert engine.inspect("container", "foreign")["NetworkSettings"]["Networks"]["net"]["IPAddress"]


def test_a_network_that_cannot_be_remade_comes_back(task: Task, engine: Engine) -> None:
    """A subnet that overlaps another network's is found out late; the old network and its users are as before."""
    engine.run_cli("network", "create", "--subnet", "10.99.4.0/24", "other")
    task("network", name="net", ipam_config=[{"subnet": "10.99.3.0/24"}]).ok()
    user(task)
    result = task("network", name="net", ipam_config=[{"subnet": "10.99.4.0/24"}])
    assert result.failed and "net" in result.msg
    assert engine.inspect("network", "net")["IPAM"]["Config"][0]["Subnet"] == "10.99.3.0/24"
    assert engine.inspect("container", "user")["NetworkSettings"]["Networks"]["net"]["IPAddress"].startswith("10.99.3.")
