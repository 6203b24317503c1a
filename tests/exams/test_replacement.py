# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whatever is wrong with the new one, the old one runs on: the same object, under its name, with all that it had, and soon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from harness.engine import Engine
from harness.promises import crashed
from harness.proxy import Call, RecordingProxy
from harness.registry import Registry
from harness.run import Result
from harness.task import STAYS, Task

from .exam import SCALE, Exam

IMAGE = "slipway-test/busybox:1"
STOP_TIMEOUT = 2  # seconds
PATIENCE = 3.0  # seconds, beyond the stop timeout, until the old one is back
DEAF = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
FAILING = {"test": "exit 1", "interval": "100ms", "timeout": "1s", "retries": 2}
NEVER_WELL = {"test": "sleep 5", "interval": "100ms", "timeout": "20s", "retries": 2}


def web(**options: Any) -> dict:
    """The container of these exams: static and dynamic addresses, aliases, three kinds of volumes, a published port."""
    return {
        "name": "web",
        "image": IMAGE,
        "command": STAYS,
        "stop_timeout": STOP_TIMEOUT,
        "networks": [{"name": "net1", "ipv4_address": "10.97.1.9", "aliases": ["front"]}, {"name": "net2"}],
        "volumes": ["data:/data", "/tmp:/host:ro", "/anonymous"],
        "published_ports": ["127.0.0.1:8080:80"],
        **options,
    }


def shop(registry: Registry, **options: Any) -> dict:
    """The whole task."""
    images = [{"name": options["image"]}] if str(options.get("image", "")).startswith(registry.address) else []
    return {
        "project": "shop",
        "networks": [{"name": "net1", "ipam_config": [{"subnet": "10.97.1.0/24"}]}, {"name": "net2"}],
        "volumes": [{"name": "data"}],
        "images": images,
        "containers": [web(**options)],
    }


def identity(engine: Engine) -> dict:
    """All of the container that must be the same after a replacement that failed."""
    found = engine.inspect("container", "web")
    endpoints = {
        name: {
            key: endpoint[key] for key in ("IPAddress", "IPAMConfig", "Aliases", "MacAddress", "Links", "DriverOpts")
        }
        for name, endpoint in found["NetworkSettings"]["Networks"].items()
    }
    return {
        "id": found["Id"],
        "name": found["Name"],
        "running": found["State"]["Running"],
        "endpoints": endpoints,
        "ports": found["NetworkSettings"]["Ports"],
        "mounts": sorted(found["Mounts"], key=lambda mount: mount["Destination"]),
        "host": found["HostConfig"],
        "config": found["Config"],
    }


@pytest.fixture
def old(task: Task, engine: Engine, registry: Registry) -> dict:
    """The container that works."""
    task("containers", **shop(registry)).ok()
    return identity(engine)


# What is wrong -> the options that make it so. The engine sees these before the old one is touched.
AT_CREATION: dict[str, dict] = {
    "image nobody has": {"image": "127.0.0.1:5055/no/such:1"},
    "bind mount without a source": {"mounts": [{"type": "bind", "source": "/no/such/place", "target": "/x"}]},
    "unknown runtime": {"runtime": "no-such-runtime"},
    "unknown log driver": {"log_driver": "no-such-driver"},
    "unknown security option": {"security_opts": ["no-such-option=1"]},
    "bad option of a log driver": {"log_driver": "json-file", "log_options": {"max-size": "many"}},
}
# These show when it starts, or later.
AT_THE_START: dict[str, dict] = {
    "ends at once with 0": {"command": ["true"]},
    "ends at once with 1": {"command": ["false"]},
    "ends after a second": {"command": ["sh", "-c", "sleep 1; exit 3"]},
    "missing program": {"command": ["no-such-program"]},
    "missing user": {"user": "nobody-knows"},
    "missing entrypoint": {"entrypoint": ["/no/such/entry"]},
    "missing device": {"devices": ["/dev/no-such-device"]},
    "log server that does not answer": {"log_driver": "syslog", "log_options": {"syslog-address": "tcp://127.0.0.1:9"}},
    "missing sysctl": {"sysctls": {"net.core.no_such_setting": "1"}},
    "unhealthy": {"healthcheck": FAILING, "state": "healthy"},
    "never healthy in time": {"healthcheck": NEVER_WELL, "state": "healthy", "healthy_wait_timeout": 1},
    "crash loop": {"command": ["sh", "-c", "sleep 0.3; exit 7"], "restart_policy": "always"},
    "crash loop with an end": {"command": ["false"], "restart_policy": "on-failure", "restart_retries": 3},
}


def fails(task: Task, spec: dict) -> Result:
    """Run; it must fail with a message for people."""
    result = task("containers", min_healthy_time=1.5, **spec)
    assert result.failed, "it claims success"
    assert not crashed(result)
    assert "web" in result.msg or "no/such" in result.msg
    return result


def alone(engine: Engine) -> bool:
    """Whether nothing is there that was not there before."""
    return (
        engine.names("container") == ["web"] and "data" in engine.names("volume") and len(engine.names("volume")) == 2
    )


def timeline(engine: Engine, since: float) -> list[tuple[float, str, str]]:
    """(time, action, container ID) of what happened to containers."""
    window = ("--since", f"{since:.9f}", "--until", f"{time.time():.9f}")
    text = engine.run_cli("events", *window, "--filter", "type=container", "--format", "{{json .}}")
    events = [json.loads(line) for line in text.splitlines()]
    return [(event["timeNano"] / 1e9, event["Action"], event["Actor"]["ID"]) for event in events]


def seconds_away(engine: Engine, since: float, old: str) -> float:
    """How long it took from the bad news about the new one (or, without any, from the old one's end) to the old one's return."""
    events = timeline(engine, since)
    ended = next(at for at, action, who in events if who == old and action == "die")
    back = max(at for at, action, who in events if who == old and action == "start")
    bad = [
        at for at, action, who in events if who != old and at > ended and action in ("die", "health_status: unhealthy")
    ]
    return back - min(bad, default=ended)


def test_whatever_is_wrong(task: Task, engine: Engine, registry: Registry, old: dict, exam: Exam) -> None:
    """One old container outlives them all."""
    causes = [*AT_CREATION.items(), *AT_THE_START.items()]
    for example in exam.sample("failed replacements after which the old one runs on", len(causes), least=len(causes)):
        name, options = causes[example.number - 1]
        with example:
            example.tell("cause", name)
            started = engine.inspect("container", "web")["State"]["StartedAt"]
            since = time.time()
            fails(task, shop(registry, **options))
            assert identity(engine) == old
            assert alone(engine)
            if name in AT_CREATION:
                assert engine.inspect("container", "web")["State"]["StartedAt"] == started, "it was interrupted"
            else:
                assert seconds_away(engine, since, old["id"]) <= STOP_TIMEOUT + PATIENCE
    task.settled("containers", **shop(registry))


def test_an_image_that_goes_between_pull_and_create(
    task: Task, engine: Engine, proxy: RecordingProxy, registry: Registry, old: dict
) -> None:
    registry.push("slipway-test/busybox:2", "team/app:2")
    reference = f"{registry.address}/team/app:2"
    started = engine.inspect("container", "web")["State"]["StartedAt"]
    proxy.fault("call", lambda _call: engine.run_cli("rmi", reference), method="POST", path="/containers/create")
    result = fails(task, shop(registry, image=reference))
    assert reference in result.msg
    assert identity(engine) == old
    assert engine.inspect("container", "web")["State"]["StartedAt"] == started
    proxy.heal()
    task("containers", **shop(registry, image=reference)).ok()


def occupy(engine: Engine, port: str) -> Callable[[Call], None]:
    """A function that lets somebody else take a port, just before the call it is given goes on."""

    def take(_call: Call) -> None:
        engine.run_cli("run", "-d", "--name", "thief", "-p", f"127.0.0.1:{port}:80", IMAGE, *STAYS)

    return take


def test_a_port_that_is_taken_at_the_last_moment(
    task: Task, engine: Engine, proxy: RecordingProxy, registry: Registry, old: dict
) -> None:
    since = time.time()
    proxy.fault("call", occupy(engine, "9090"), method="POST", path="/start$")
    result = fails(task, shop(registry, published_ports=["127.0.0.1:9090:80"]))
    assert "9090" in result.msg
    assert identity(engine) == old
    assert engine.names("container") == ["thief", "web"]
    thief = engine.inspect("container", "thief")["Id"]
    filtered = [event for event in timeline(engine, since) if event[2] != thief]
    assert filtered
    assert seconds_away(engine, since, old["id"]) <= STOP_TIMEOUT + PATIENCE


def test_its_own_port_is_taken_while_nobody_holds_it(
    task: Task, engine: Engine, proxy: RecordingProxy, registry: Registry, old: dict
) -> None:
    """Neither can the new one start nor the old one come back: then the message says so, and the next run puts it right."""
    proxy.fault("call", occupy(engine, "8080"), method="POST", path="/start$")
    result = fails(task, shop(registry, env={"NEW": "1"}))
    assert "8080" in result.msg and "all that had been done was undone" not in result.msg.lower()
    proxy.heal()
    engine.run_cli("rm", "-f", "thief")
    task("containers", **shop(registry)).ok()
    assert identity(engine)["id"] == old["id"], "the old one was the last that worked"
    task.settled("containers", **shop(registry))
    assert alone(engine)


def test_an_old_one_that_does_not_listen(task: Task, engine: Engine, registry: Registry) -> None:
    """It is killed after the stop timeout, and is back within three seconds more."""
    task("containers", **shop(registry, command=DEAF)).ok()
    old = identity(engine)
    since = time.time()
    fails(task, shop(registry, command=["false"]))
    assert identity(engine) == old
    events = timeline(engine, since)
    told = min(at for at, action, who in events if who == old["id"] and action == "kill")
    back = max(at for at, action, who in events if who == old["id"] and action == "start")
    assert back - told <= STOP_TIMEOUT + PATIENCE


@pytest.mark.parametrize("command", [DEAF, STAYS], ids=["deaf", "listening"])
def test_a_stop_that_goes_on_out_of_sight(
    task: Task, engine: Engine, proxy: RecordingProxy, registry: Registry, command: list[str]
) -> None:
    """The connection breaks while the engine stops the old one: it is started again when it has ended, not before."""
    task("containers", **shop(registry, command=command)).ok()
    old = identity(engine)
    proxy.fault("cut", method="POST", path="/stop$")
    began = time.monotonic()
    fails(task, shop(registry, command=command, env={"NEW": "1"}))
    assert time.monotonic() - began <= STOP_TIMEOUT + PATIENCE + 2
    proxy.drain()
    assert identity(engine) == old
    assert alone(engine)


def test_a_stop_that_nobody_heard_of(
    task: Task, engine: Engine, proxy: RecordingProxy, registry: Registry, old: dict
) -> None:
    started = engine.inspect("container", "web")["State"]["StartedAt"]
    proxy.fault("drop", method="POST", path="/stop$")
    fails(task, shop(registry, env={"NEW": "1"}))
    assert identity(engine) == old
    assert engine.inspect("container", "web")["State"]["StartedAt"] == started, "it need not have been interrupted"


def test_a_stop_may_take_longer_than_a_call(task: Task, engine: Engine, registry: Registry) -> None:
    """How long is the container's affair, though the task does not say it."""
    spec = {"name": "web", "image": IMAGE, "command": DEAF}
    task("container", **spec, stop_timeout=3).ok()
    task("container", **spec, env={"NEW": "1"}, timeout=1.5).ok()
    assert engine.names("container") == ["web"]


def test_a_paused_one_is_paused_again(task: Task, engine: Engine, registry: Registry, old: dict) -> None:
    engine.run_cli("pause", "web")
    result = task("containers", **shop(registry, command=["false"]))
    assert result.failed
    found = engine.inspect("container", "web")
    assert (found["Id"], found["State"]["Status"]) == (old["id"], "paused")


def test_a_stopped_one_stays_stopped(task: Task, engine: Engine, registry: Registry, old: dict) -> None:
    engine.run_cli("stop", "web")
    result = task("containers", **shop(registry, command=["false"]))
    assert result.failed
    found = engine.inspect("container", "web")
    assert (found["Id"], found["State"]["Running"]) == (old["id"], False)
    assert alone(engine)


# -- started is not success --------------------------------------------------------------------------------------------

VERDICTS = {
    "ends at once with 0": ({"command": ["true"]}, False),
    "ends after a second": ({"command": ["sh", "-c", "sleep 1; exit 0"]}, False),
    "crash loop": ({"command": ["sh", "-c", "sleep 0.2; false"], "restart_policy": "always"}, False),
    "never healthy": ({"healthcheck": {**FAILING, "retries": 1000}, "state": "healthy"}, False),
    "healthy late": (
        {"healthcheck": {"test": "test -e /late", "interval": "100ms", "retries": 100}, "state": "healthy",
         "command": ["sh", "-c", "trap 'exit 0' TERM; (sleep 1.5; touch /late) & sleep 1000 & wait"]}, True,
    ),
}  # fmt: skip


def test_started_is_not_success(task: Task, engine: Engine, exam: Exam) -> None:
    """The verdict is right, and it comes within two seconds of the deadline; with no old one, nothing is left of a bad new one."""
    deadline = 3
    for example in exam.sample("verdicts on new containers, right and in time", len(VERDICTS), least=len(VERDICTS)):
        name, (options, well) = list(VERDICTS.items())[example.number - 1]
        with example:
            example.tell("case", name)
            spec = {"name": "web", "image": IMAGE, "command": STAYS, "stop_timeout": 1, **options}
            began = time.monotonic()
            result = task("container", **spec, min_healthy_time=1.5, deadline=deadline)
            assert time.monotonic() - began <= deadline + 2
            assert result.failed is not well, result.msg
            assert engine.names("container") == (["web"] if well else [])


# -- networks and volumes ----------------------------------------------------------------------------------------------


def joined(third: int, **changes: Any) -> dict:
    """Three containers on one network: static addresses, aliases, and neither."""
    box = {"image": IMAGE, "command": STAYS, "stop_timeout": STOP_TIMEOUT}
    return {
        "project": "shop",
        "networks": [
            {"name": "back", "ipam_config": [{"subnet": f"10.97.{third}.0/24", "gateway": f"10.97.{third}.7"}], "labels": {"tier": str(third)},
             "driver_options": {"com.docker.network.bridge.enable_icc": "true"}},
            {"name": "side"},
        ],
        "containers": [
            {**box, "name": "web", "networks": [{"name": "side"}, {"name": "back", "ipv4_address": f"10.97.{third}.9", "aliases": ["front"]}]},
            {**box, "name": "api", "networks": [{"name": "back", "aliases": ["backend", "api.local"]}]},
            {**box, "name": "store", "networks": [{"name": "back"}]},
        ],
        **changes,
    }  # fmt: skip


def network_and_ends(engine: Engine) -> dict:
    """The network without its ID and age, and the ends of the three containers, which are not to be restarted."""
    network = engine.inspect("network", "back")
    ends = {}
    for name in ("web", "api", "store"):
        found = engine.inspect("container", name)
        end = found["NetworkSettings"]["Networks"]["back"]
        aliases = sorted(set(end["Aliases"] or ()) - {found["Id"][:12]})
        ends[name] = (
            found["Id"],
            found["State"]["StartedAt"],
            end["IPAMConfig"],
            aliases,
            end["DriverOpts"],
            end["Links"],
        )
    kept = {key: value for key, value in network.items() if key not in ("Id", "Created", "Containers")}
    return {"network": kept, "ends": ends}


def static_of(engine: Engine) -> str:
    return engine.inspect("container", "web")["NetworkSettings"]["Networks"]["back"]["IPAddress"]


def test_a_network_is_remade_under_its_containers(task: Task, engine: Engine) -> None:
    task("containers", **joined(3)).ok()
    before = network_and_ends(engine)
    task.change("containers", **joined(4))
    after = network_and_ends(engine)
    assert static_of(engine) == "10.97.4.9"
    assert [end[:2] for end in after["ends"].values()] == [end[:2] for end in before["ends"].values()], (
        "nobody was restarted"
    )
    assert [end[3] for end in after["ends"].values()] == [["front"], ["api.local", "backend"], []]
    assert after["network"]["Labels"]["tier"] == "4"


@pytest.mark.parametrize("address", ["static", "dynamic"])
def test_addresses_outlive_a_network_that_is_remade(task: Task, engine: Engine, address: str) -> None:
    """Another label, the same subnet: who had an address of their own keeps it."""
    task("containers", **joined(3)).ok()
    spec = joined(3)
    spec["networks"][0]["labels"] = {"tier": "other"}
    name = "web" if address == "static" else "store"
    before = engine.inspect("container", name)["NetworkSettings"]["Networks"]["back"]["IPAddress"]
    task.change("containers", **spec)
    after = engine.inspect("container", name)["NetworkSettings"]["Networks"]["back"]["IPAddress"]
    assert after.startswith("10.97.3.")
    if address == "static":
        assert after == before


FAULTS = ("status", "lost", "drop")
BREAKS = [
    ("POST", "/networks/create", 1),
    ("POST", "/networks/back/connect", 1),
    ("POST", "/networks/back/connect", 2),
    ("POST", "/networks/back/connect", 3),
    ("POST", "/networks/back/disconnect", 3),
    ("DELETE", "/networks/", 1),
]


def sampled_breaks() -> list[tuple[str, str, int, str]]:
    """Every place with one of the faults; in a full exam with each of them."""
    if SCALE >= 1:
        return [(*place, fault) for place in BREAKS for fault in FAULTS]
    return [(*place, FAULTS[number % len(FAULTS)]) for number, place in enumerate(BREAKS)]


@pytest.mark.parametrize(("method", "path", "nth", "fault"), sampled_breaks())
def test_a_network_that_cannot_be_remade_is_put_back(
    task: Task, engine: Engine, proxy: RecordingProxy, method: str, path: str, nth: int, fault: str
) -> None:
    task("containers", **joined(3)).ok()
    before = network_and_ends(engine)
    proxy.fault(fault, 500, method=method, path=path, nth=nth)
    result = task("containers", **joined(4))
    proxy.heal()
    assert result.failed
    assert network_and_ends(engine) == before
    assert static_of(engine) == "10.97.3.9"
    task.settled("containers", **joined(3))


def test_a_network_with_a_stranger_on_it_is_not_remade(task: Task, engine: Engine) -> None:
    task("containers", **joined(3)).ok()
    engine.run_cli("run", "-d", "--name", "stranger", "--network", "back", IMAGE, *STAYS)
    before = engine.snapshot()
    assert "stranger" in task.refused("containers", **joined(4))
    assert engine.snapshot() == before


def with_volume(size: str) -> dict:
    box = {"name": "store", "image": IMAGE, "command": STAYS, "volumes": ["data:/data"], "stop_timeout": STOP_TIMEOUT}
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={size}"}
    return {"project": "shop", "volumes": [{"name": "data", "driver_options": options}], "containers": [box]}


@pytest.mark.parametrize("destroy", [None, {"volumes": ["data"]}], ids=["not named", "named, but in use"])
def test_a_volume_in_use_is_not_remade(task: Task, engine: Engine, destroy: dict | None) -> None:
    task("containers", **with_volume("1m")).ok()
    engine.run_cli("exec", "store", "sh", "-c", "echo precious >/data/file")
    before = engine.snapshot()
    message = task.refused("containers", **with_volume("2m"), **({"destroy": destroy} if destroy else {}))
    assert "data" in message and ("store" in message if destroy else "destroy" in message)
    assert engine.snapshot() == before
    assert engine.run_cli("exec", "store", "cat", "/data/file") == "precious"
