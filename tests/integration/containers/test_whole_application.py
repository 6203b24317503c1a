# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole application in one task: one snapshot, one plan, one apply."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness.engine import Engine
from harness.task import STAYS, Task

IMAGE = "slipway-test/busybox:1"


def box(name: str, **options: Any) -> dict:
    return {"name": name, "image": IMAGE, "command": STAYS, **options}


def shop(**changes: Any) -> dict:
    """The application of these tests: three tiers on one network, the last with a volume."""
    page = {"test": "true", "interval": "100ms", "timeout": "1s", "retries": 20}
    return {
        "project": "shop",
        "networks": [{"name": "back"}],
        "volumes": [{"name": "data"}],
        "containers": [
            box("web", networks=[{"name": "back"}], published_ports=["127.0.0.1:8080:80"], depends_on=["api"]),
            box(
                "api", networks=[{"name": "back", "aliases": ["backend"]}], env={"LEVEL": "info"}, depends_on=["store"]
            ),
            box("store", networks=[{"name": "back"}], volumes=["data:/data"], healthcheck=page, state="healthy"),
        ],
        **changes,
    }


def edited(name: str, **options: Any) -> list[dict]:
    """The shop's containers with one of them changed; an option of None is taken out."""
    return [
        {
            key: value
            for key, value in ({**item, **options} if item["name"] == name else item).items()
            if value is not None
        }
        for item in shop()["containers"]
    ]


def test_from_nothing(task: Task, engine: Engine) -> None:
    done = task.change("containers", **shop())
    assert sorted(done["plan"]) == [
        "+ container/api     missing",
        "+ container/store   missing",
        "+ container/web     missing",
        "+ network/back      missing",
        "+ volume/data       missing",
    ]
    assert engine.names("container") == ["api", "store", "web"]
    started = {name: engine.inspect("container", name)["State"]["StartedAt"] for name in engine.names("container")}
    assert started["store"] < started["api"] < started["web"], "what is depended on starts first"
    for kind, name in (("container", "web"), ("network", "back"), ("volume", "data")):
        labels = engine.inspect(kind, name).get("Labels") or engine.inspect(kind, name)["Config"]["Labels"]
        assert (labels["slipway.project"], labels["slipway.key"]) == ("shop", name)


def test_a_run_without_change_asks_little(task: Task) -> None:
    task("containers", **shop()).ok()
    task.settled("containers", **shop())
    assert len(task.calls) <= 3 + 4 + 3 + 1, [str(call) for call in task.calls]


def test_one_changed_line_is_one_line_of_plan(task: Task, engine: Engine) -> None:
    task("containers", **shop()).ok()
    before = {name: engine.inspect("container", name)["Id"] for name in ("web", "store")}
    done = task.change("containers", **shop(containers=edited("api", env={"LEVEL": "debug"})))
    assert done["plan"] == ["± container/api   env.LEVEL: info -> debug"]
    assert {name: engine.inspect("container", name)["Id"] for name in ("web", "store")} == before


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("api", "env", None),
        ("web", "published_ports", None),
        ("web", "networks", None),
        ("store", "volumes", None),
        ("store", "healthcheck", None),
        ("api", "networks", [{"name": "back"}]),
    ],
    ids=["variable", "port", "network", "volume", "check", "alias"],
)
def test_removal_is_a_change(task: Task, engine: Engine, name: str, option: str, value: Any) -> None:
    task("containers", **shop()).ok()
    options = {option: value, "state": "started"} if option == "healthcheck" else {option: value}
    task.change("containers", **shop(containers=edited(name, **options)))
    shown = engine.inspect("container", name)
    gone = {
        "env": not any(line.startswith("LEVEL=") for line in shown["Config"]["Env"]),
        "published_ports": not shown["HostConfig"]["PortBindings"],
        "networks": "back" not in shown["NetworkSettings"]["Networks"]
        or "backend" not in (shown["NetworkSettings"]["Networks"]["back"]["Aliases"] or ()),
        "volumes": not shown["HostConfig"]["Binds"],
        "healthcheck": not shown["Config"].get("Healthcheck"),
    }
    assert gone[option]


def test_what_was_never_managed_is_left_alone(task: Task, engine: Engine) -> None:
    task("containers", **shop()).ok()
    engine.run_cli("update", "--cpus", "0.5", "--pids-limit", "99", "api")
    task.settled("containers", **shop())


def test_orphans_are_reported_then_removed(task: Task, engine: Engine) -> None:
    task(
        "containers",
        **shop(
            containers=[*shop()["containers"], box("extra")],
            networks=[{"name": "back"}, {"name": "spare"}],
            volumes=[{"name": "data"}, {"name": "keep"}],
        ),
    ).ok()
    engine.run_cli("run", "-d", "--name", "foreign", IMAGE, *STAYS)
    reported = task("containers", **shop()).ok()
    assert not reported.changed and not task.mutating
    assert {"container/extra", "network/spare"} <= set(reported["orphans"])
    assert any("container/extra" in warning for warning in reported.warned)
    assert not task("containers", **shop(orphans="ignore")).ok().warned
    done = task.change("containers", **shop(orphans="remove"))
    assert [line for line in done["plan"] if "orphaned" in line] == done["plan"]
    assert engine.names("container") == ["api", "foreign", "store", "web"]
    assert engine.names("network") == ["back"]
    assert engine.names("volume") == ["data", "keep"], "data goes only when named"


def test_absent_leaves_data_and_images(task: Task, engine: Engine) -> None:
    images = engine.names("image")
    task("containers", **shop(containers=[*shop()["containers"], box("extra")])).ok()
    engine.run_cli("run", "-d", "--name", "foreign", IMAGE, *STAYS)
    foretold = task.foretell("containers", **shop(state="absent"))
    done = task("containers", **shop(state="absent")).ok()
    assert [action["line"] for action in done["actions"]] == foretold["plan"] == done["plan"]
    assert engine.names("container") == ["foreign"], "what carries the project's label goes too, what does not stays"
    assert engine.names("network") == []
    assert engine.names("volume") == ["data"]
    assert engine.names("image") == images
    task.settled("containers", **shop(state="absent"))
    task.change("containers", **shop(state="absent", destroy={"volumes": ["data"]}))
    assert engine.names("volume") == []


def test_absent_by_the_project_alone(task: Task, engine: Engine) -> None:
    task("containers", **shop()).ok()
    task.change("containers", project="shop", state="absent")
    assert (engine.names("container"), engine.names("network"), engine.names("volume")) == ([], [], ["data"])


def test_another_project_is_not_seen(task: Task, engine: Engine) -> None:
    task("containers", **shop()).ok()
    before = engine.snapshot()
    task("containers", project="other", orphans="remove", containers=[]).ok()
    task("containers", project="other", state="absent").ok()
    assert engine.snapshot() == before


def test_a_volume_in_use_is_not_destroyed(task: Task, engine: Engine) -> None:
    task("containers", **shop()).ok()
    engine.run_cli("run", "-d", "--name", "foreign", "-v", "data:/x", IMAGE, *STAYS)
    message = task.refused("containers", **shop(state="absent", destroy={"volumes": ["data"]}))
    assert "foreign" in message and "data" in message


def test_a_volume_that_would_have_to_be_remade_is_refused(task: Task, engine: Engine) -> None:
    task("containers", **shop()).ok()
    message = task.refused(
        "containers", **shop(volumes=[{"name": "data", "driver_options": {"type": "tmpfs", "device": "tmpfs"}}])
    )
    assert "data" in message and "destroy" in message


def test_a_network_is_remade_and_its_containers_are_connected_again(task: Task, engine: Engine) -> None:
    task("containers", **shop()).ok()
    before = {name: engine.inspect("container", name)["Id"] for name in engine.names("container")}
    task.change("containers", **shop(networks=[{"name": "back", "ipam_config": [{"subnet": "10.99.7.0/24"}]}]))
    for name in ("api", "store", "web"):
        shown = engine.inspect("container", name)
        assert shown["NetworkSettings"]["Networks"]["back"]["IPAddress"].startswith("10.99.7.")
        assert shown["State"]["Running"]
        assert shown["Id"] == before[name]
    assert "backend" in engine.inspect("container", "api")["NetworkSettings"]["Networks"]["back"]["Aliases"]


def test_one_bad_container_takes_the_whole_change_back(task: Task, engine: Engine) -> None:
    task("containers", **shop()).ok()
    before = {name: engine.inspect("container", name)["Id"] for name in engine.names("container")}
    containers = [{**item, "env": {"ROUND": "2"}} for item in shop()["containers"]]
    containers[0]["command"] = ["false"]
    result = task("containers", **shop(containers=containers), min_healthy_time=0.4)
    assert result.failed and "web" in result.msg
    assert {name: engine.inspect("container", name)["Id"] for name in engine.names("container")} == before
    assert all(engine.inspect("container", name)["State"]["Running"] for name in before)
    task.settled("containers", **shop())


def test_order_does_not_matter(task: Task) -> None:
    task("containers", **shop()).ok()
    task.settled("containers", **shop(containers=list(reversed(shop()["containers"]))))


def test_default_host_ip(task: Task, engine: Engine) -> None:
    spec = {"project": "shop", "default_host_ip": "127.0.0.1", "containers": [box("web", published_ports=["8080:80"])]}
    quiet = task("containers", **spec).ok()
    assert not quiet.warned
    assert engine.inspect("container", "web")["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]
    }


def test_a_port_on_every_address_is_warned_of(task: Task, engine: Engine) -> None:
    loud = task("containers", project="shop", containers=[box("web", published_ports=["8080:80"])]).ok()
    assert any("8080" in warning or "80" in warning for warning in loud.warned)
    assert engine.inspect("container", "web")["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"] == "8080"


def test_secrets_are_not_shown(task: Task) -> None:
    """The values of variables that look secret are in no output: not in results, diffs, warnings or messages."""
    canary = "hunter2-canary"
    first = task(
        "containers", project="shop", containers=[box("web", env={"DB_PASSWORD": f"{canary}-1", "PLAIN": "seen"})]
    )
    second = task(
        "containers", project="shop", containers=[box("web", env={"DB_PASSWORD": f"{canary}-2", "PLAIN": "seen"})]
    )
    failing = task(
        "containers",
        project="shop",
        containers=[box("web", env={"API_TOKEN": f"{canary}-3"}, command=["sh", "-c", "echo $API_TOKEN; exit 1"])],
    )
    assert first.changed and second.changed and failing.failed
    for result in (first, second, failing):
        assert canary not in json.dumps(result) + result.stderr


def test_hundred_containers_are_one_task(task: Task, engine: Engine) -> None:
    """Reads grow by one inspect for each container, and nothing else."""
    many = {"project": "many", "containers": [box(f"box-{number:02d}", state="present") for number in range(30)]}
    task("containers", **many).ok()
    task.settled("containers", **many)
    inspects = [call for call in task.calls if call.path.startswith("/containers/") and call.path != "/containers/json"]
    assert len(inspects) == 30
    assert len(task.calls) - len(inspects) <= 8
