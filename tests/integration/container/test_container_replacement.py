# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A replacement is a transaction: what it keeps, and what it leaves. The exams try everything that can be wrong with it."""

from __future__ import annotations

from typing import Any

import pytest
from harness.engine import Engine
from harness.task import STAYS, Task

OLD = {"name": "web", "image": "slipway-test/busybox:1", "command": STAYS, "env": {"OLD": "1"}}


@pytest.fixture
def old(task: Task, engine: Engine) -> dict:
    """The container that works, as inspect shows it."""
    engine.run_cli("network", "create", "--subnet", "10.99.1.0/24", "net1")
    task(
        "container",
        **OLD,
        networks=[{"name": "net1", "ipv4_address": "10.99.1.9"}],
        published_ports=["127.0.0.1:8080:80"],
    ).ok()
    return engine.inspect("container", "web")


def changed(**options: Any) -> dict:
    return {
        **OLD,
        "networks": [{"name": "net1", "ipv4_address": "10.99.1.9"}],
        "published_ports": ["127.0.0.1:8080:80"],
        **options,
    }


def test_a_port_that_somebody_else_has(task: Task, engine: Engine, old: dict) -> None:
    engine.run_cli("run", "-d", "--name", "other", "-p", "127.0.0.1:9090:80", "slipway-test/busybox:1", "sleep", "1000")
    result = task("container", **changed(published_ports=["127.0.0.1:9090:80"]))
    assert result.failed and "9090" in result.msg
    now = engine.inspect("container", "web")
    assert (now["Id"], now["State"]["StartedAt"]) == (old["Id"], old["State"]["StartedAt"])
    assert engine.names("container") == ["other", "web"]


def test_a_replacement_that_works_leaves_one_container(task: Task, engine: Engine, old: dict) -> None:
    task.change("container", **changed(env={"NEW": "1"}))
    now = engine.inspect("container", "web")
    assert (
        now["Id"] != old["Id"]
        and "NEW=1" in now["Config"]["Env"]
        and not any(line.startswith("OLD=") for line in now["Config"]["Env"])
    )
    assert now["NetworkSettings"]["Networks"]["net1"]["IPAddress"] == "10.99.1.9"
    assert engine.names("container") == ["web"]


def test_an_anonymous_volume_goes_along(task: Task, engine: Engine) -> None:
    """What a container wrote to its anonymous volume is in its successor's."""
    spec = {"name": "web", "image": "slipway-test/app:1", "state": "started"}
    task("container", **spec).ok()
    engine.run_cli("exec", "web", "sh", "-c", "echo precious >/data/file")
    task.change("container", **spec, env={"NEW": "1"})
    assert engine.run_cli("exec", "web", "cat", "/data/file") == "precious"
    assert len(engine.names("volume")) == 1
