# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a project does not own it never touches, whatever its name and however much its labels look like ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from harness.engine import Engine
from harness.task import STAYS, Task

from . import specs
from .exam import Dice, Exam

CONVERGES = 5  # in one history, which ends with all of it gone

COMPOSE = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.version": "2.26.1",
}
STACK = {"com.docker.stack.namespace": "stack"}
SWARM = {"com.docker.swarm.service.name": "stack_web", "com.docker.swarm.task.id": "t1", **STACK}
PODMAN = {"io.podman.compose.project": "pods", "PODMAN_SYSTEMD_UNIT": "podman-compose@pods.service"}
OTHER = {"slipway.project": "other", "slipway.key": "web", "slipway.managed": '["image"]'}
# Only half of what makes an object the project's, or nearly that.
HALVES = {
    "half-project": {"slipway.project": "exam"},
    "half-key": {"slipway.key": "web"},
    "half-managed": {"slipway.managed": '["env","image"]', "slipway.key": "api"},
    "near-project": {"slipway.project": "exam2", "slipway.key": "web"},
    "upper-project": {"slipway.project": "Exam", "slipway.key": "web"},
    "empty-project": {"slipway.project": "", "slipway.key": "web"},
}
OWNED = {"of-compose": COMPOSE, "of-a-swarm": SWARM, "of-podman": PODMAN, "of-other": OTHER}
OWNERS = {"of-compose": "shop", "of-a-swarm": "stack", "of-podman": "pods", "of-other": "other"}
CONTAINERS: Mapping[str, dict] = {
    **{f"{name}-box": labels for name, labels in {**OWNED, **HALVES}.items()},
    **{name: {} for name in ("web2", "my-web", "exam-web-1", "web_1")},
    "web-slipway-old": COMPOSE,
}
NETWORKS: Mapping[str, dict] = {
    **{f"{name}-net": labels for name, labels in {**OWNED, "half-project": HALVES["half-project"]}.items()},
    **{name: {} for name in ("front2", "exam_front")},
}
VOLUMES: Mapping[str, dict] = {
    **{f"{name}-vol": labels for name, labels in {**OWNED, "half-project": HALVES["half-project"]}.items()},
    **{name: {} for name in ("data2", "exam_data", "undeclared-by-us")},
}
RUNNING = ("of-compose-box", "web2", "half-project-box")


@pytest.fixture
def sentinels(engine: Engine) -> dict[str, str]:
    """Thirty objects of others, some of them running and in use; what `inspect` says of each."""
    for name, labels in NETWORKS.items():
        engine.api("POST", "/networks/create", {"Name": name, "Labels": labels})
    for name, labels in VOLUMES.items():
        engine.api("POST", "/volumes/create", {"Name": name, "Labels": labels})
    for name, labels in CONTAINERS.items():
        body = {
            "Image": "slipway-test/busybox:1",
            "Cmd": STAYS,
            "Labels": labels,
            "HostConfig": {"Binds": ["data2:/data"], "NetworkMode": "front2"},
        }
        engine.api("POST", "/containers/create", body, name=name)
    for name in RUNNING:
        engine.api("POST", f"/containers/{name}/start")
    return looked_at(engine)


def looked_at(engine: Engine) -> dict[str, str]:
    """Every sentinel as the engine shows it, byte for byte."""
    kinds = (("container", CONTAINERS), ("network", NETWORKS), ("volume", VOLUMES))
    return {
        f"{kind}/{name}": json.dumps(engine.inspect(kind, name), sort_keys=True)
        for kind, names in kinds
        for name in names
    }


def untouched(engine: Engine, before: Mapping[str, str]) -> None:
    after = looked_at(engine)
    for name, shown in before.items():
        assert after[name] == shown, f"{name} was touched:\n{shown}\n{after[name]}"


def test_others_objects_stay_as_they_are(exam: Exam, task: Task, engine: Engine, sentinels: dict[str, str]) -> None:
    assert len(sentinels) == 30
    for example in exam.sample("what others own is byte for byte as before, over random converges", 200 // CONVERGES):
        with example:
            spec: dict[str, Any] = {**specs.spec(example.dice), "orphans": "remove"}
            for number in range(CONVERGES):
                last = number == CONVERGES - 1
                now = gone(example.dice, spec) if last else spec
                example.tell(f"converge {number + 1}", now)
                result = task("containers", **now)
                untouched(engine, sentinels)
                if result.failed:
                    example.series.count("of them refused")
                    example.tell("refused", result.msg)
                    assert not last, f"it cannot go: {result.msg}"
                example.passed()
                spec = specs.changed(example.dice, spec)
            left = sorted(
                set(engine.names("container")) - set(CONTAINERS) | set(engine.names("network")) - set(NETWORKS)
            )
            assert not left, f"of ours is left: {left}"


def gone(dice: Dice, spec: Mapping) -> dict:
    """The end of a project, listed or not."""
    listed = dict(spec) if dice.likely(0.5) else {"project": "exam", "secrets_dir": specs.SECRETS}
    listed.pop("orphans", None)
    return {**listed, "state": "absent", "destroy": {"volumes": list(specs.VOLUMES)}}


BOX = {"image": "slipway-test/busybox:1", "command": STAYS}
WAYS: Mapping[str, Any] = {
    "container": lambda name: {"containers": [{"name": name, **BOX}]},
    "container absent": lambda name: {"containers": [{"name": name, "state": "absent"}]},
    "network": lambda name: {"networks": [{"name": name}]},
    "network absent": lambda name: {"networks": [{"name": name, "state": "absent"}]},
    "volume": lambda name: {"volumes": [{"name": name}]},
    "volume destroyed": lambda name: {"destroy": {"volumes": [name]}},
    "volume absent": lambda name: {"volumes": [{"name": name, "state": "absent"}]},
}


def test_anothers_name_is_an_error_that_says_whose_it_is(
    exam: Exam, task: Task, engine: Engine, sentinels: dict[str, str]
) -> None:
    pairs = [(owner, way) for owner in OWNED for way in WAYS]
    for example in exam.sample("another's name is an error that says whose it is", len(pairs), least=len(pairs)):
        with example:
            owner, way = pairs[example.number - 1]
            example.tell(f"{way} {owner}")
            name = owner + {"container": "-box", "network": "-net", "volume": "-vol"}[way.split()[0]]
            also = {"networks": [{"name": "front"}]}  # not even what has nothing to do with it is made
            message = task.refused("containers", project="exam", **{**also, **WAYS[way](name)})
            assert name in message and OWNERS[owner] in message
            untouched(engine, sentinels)


@pytest.mark.parametrize("suffix", ["-slipway-new", "-slipway-old"])
def test_a_name_that_a_replacement_needs_may_be_anothers(task: Task, engine: Engine, suffix: str) -> None:
    """What is called as a replaced container is for a moment is not ours for that."""
    spec = {"project": "exam", "containers": [{"name": "solo", **BOX}]}
    task("containers", **spec).ok()
    engine.api("POST", "/containers/create", {"Image": BOX["image"], "Labels": COMPOSE}, name=f"solo{suffix}")
    before = engine.snapshot()
    spec["containers"][0]["env"] = {"A": "1"}
    result = task("containers", **spec)
    if result.failed:
        assert not task.mutating, "it touched something before it refused"
        assert "shop" in result.msg
        assert engine.snapshot() == before
    assert engine.inspect("container", f"solo{suffix}")["Config"]["Labels"] == COMPOSE
