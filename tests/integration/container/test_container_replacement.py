# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A replacement is a transaction: whatever the new container cannot do, the old one runs on."""

from __future__ import annotations

from typing import Any

import pytest
from harness.engine import Engine
from harness.proxy import RecordingProxy
from harness.registry import Registry
from harness.task import STAYS, Task

OLD = {"name": "web", "image": "slipway-test/busybox:1", "command": STAYS, "env": {"OLD": "1"}}
BROKEN_CHECK = {"test": "exit 1", "interval": "100ms", "timeout": "1s", "retries": 2}


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


def still_there(engine: Engine, old: dict) -> dict:
    """The same container, running under its own name and address, and no other beside it."""
    now = engine.inspect("container", "web")
    assert now["Id"] == old["Id"]
    assert now["State"]["Running"]
    assert now["NetworkSettings"]["Networks"]["net1"]["IPAddress"] == "10.99.1.9"
    assert now["HostConfig"]["PortBindings"] == old["HostConfig"]["PortBindings"]
    return now


# The engine refuses these while the new one is made; the old one has not noticed anything.
BEFORE_THE_SWITCH = {
    "an image that no registry has": {"image": "127.0.0.1:5055/no/such:1"},
    "a device that is not there": {"devices": ["/dev/no-such-device"]},
    "a bind mount whose source is not there": {
        "mounts": [{"type": "bind", "source": "/no/such/place", "target": "/x"}]
    },
    "an unknown log driver": {"log_driver": "no-such-driver"},
    "an unknown runtime": {"runtime": "no-such-runtime"},
    "an unknown security option": {"security_opts": ["no-such-option=1"]},
}

# These surface when the new one starts or runs.
AFTER_THE_SWITCH = {
    "a program that is not in the image": {"command": ["no-such-program"]},
    "a program that fails": {"command": ["false"]},
    "a program that ends": {"command": ["true"]},
    "a program that fails soon": {"command": ["sh", "-c", "sleep 0.1; exit 1"]},
    "a check that fails": {"healthcheck": BROKEN_CHECK, "state": "healthy"},
    "a user that is not in the image": {"user": "nobody-knows"},
    "an entrypoint that is not there": {"entrypoint": ["/no/such/entry"]},
    "a bad option of a log driver": {"log_driver": "json-file", "log_options": {"max-size": "many"}},
    "a sysctl that is not there": {"sysctls": {"net.core.no_such_setting": "1"}},
}


@pytest.mark.parametrize("options", BEFORE_THE_SWITCH.values(), ids=list(BEFORE_THE_SWITCH))
def test_a_mistake_found_in_time_does_not_even_interrupt(
    task: Task, engine: Engine, registry: Registry, old: dict, options: dict
) -> None:
    result = task("container", **changed(**options))
    assert result.failed and "Traceback" not in result.msg
    now = still_there(engine, old)
    if "devices" not in options:  # the engine looks at devices only when it starts a container
        assert now["State"]["StartedAt"] == old["State"]["StartedAt"]
    assert engine.names("container") == ["web"]


@pytest.mark.parametrize("options", AFTER_THE_SWITCH.values(), ids=list(AFTER_THE_SWITCH))
def test_what_cannot_run_gives_way_to_what_did(task: Task, engine: Engine, old: dict, options: dict) -> None:
    result = task("container", **changed(**options), min_healthy_time=0.5)
    assert result.failed and "Traceback" not in result.msg
    assert "web" in result.msg
    still_there(engine, old)
    assert engine.names("container") == ["web"]
    task.settled("container", **changed())


def test_a_port_that_somebody_else_has(task: Task, engine: Engine, old: dict) -> None:
    engine.run_cli("run", "-d", "--name", "other", "-p", "127.0.0.1:9090:80", "slipway-test/busybox:1", "sleep", "1000")
    result = task("container", **changed(published_ports=["127.0.0.1:9090:80"]))
    assert result.failed and "9090" in result.msg
    still_there(engine, old)
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


MUTATING_CALLS = 8  # of the replacement below; more indices than calls are harmless


@pytest.mark.parametrize("fault", ["drop", "lost", "truncated", "status"])
@pytest.mark.parametrize("nth", range(1, MUTATING_CALLS + 1))
def test_a_fault_at_any_call_leaves_a_service_and_the_next_run_converges(
    task: Task, engine: Engine, proxy: RecordingProxy, fault: str, nth: int
) -> None:
    task("container", **OLD).ok()
    new = {**OLD, "env": {"NEW": "1"}}
    proxy.fault(fault, 500, mutating=True, nth=nth)
    result = task("container", **new)
    reached = bool([call for call in proxy.calls if call.fault])
    assert "Traceback" not in f"{result.msg}{result.stderr}{result.get('exception', '')}"
    running = [name for item in engine.api("GET", "/containers/json") for name in item["Names"]]
    assert "/web" in running, f"the service does not run after the failed run: {running}"
    proxy.heal()
    task("container", **new).ok()
    task.settled("container", **new)
    assert engine.names("container") == ["web"]
    assert "NEW=1" in engine.inspect("container", "web")["Config"]["Env"]
    if not reached:
        assert not result.failed
