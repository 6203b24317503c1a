# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose an object is, is said by its labels, not by its name; what is somebody else's is not touched."""

from __future__ import annotations

import json

import pytest
from harness.engine import Engine
from harness.task import STAYS, Task

IMAGE = "slipway-test/busybox:1"
WEB = {"name": "web", "image": IMAGE, "command": STAYS}
OWNERS = {
    "another project": ({"slipway.project": "other", "slipway.key": "web"}, "other"),
    "Compose": ({"com.docker.compose.project": "theirs", "com.docker.compose.service": "web"}, "theirs"),
    "a stack": ({"com.docker.stack.namespace": "their-stack"}, "their-stack"),
    "a swarm service": (
        {"com.docker.swarm.service.name": "their-service", "com.docker.swarm.service.id": "x1"},
        "their-service",
    ),
}


def foreign(engine: Engine, labels: dict[str, str]) -> str:
    flags = [part for key, value in labels.items() for part in ("--label", f"{key}={value}")]
    return engine.run_cli("run", "-d", "--name", "web", *flags, IMAGE, *STAYS)


@pytest.mark.parametrize(("labels", "owner"), OWNERS.values(), ids=list(OWNERS))
def test_another_owners_container_is_an_error_that_names_the_owner(
    task: Task, engine: Engine, labels: dict, owner: str
) -> None:
    foreign(engine, labels)
    before = json.dumps(engine.inspect("container", "web"), sort_keys=True)
    message = task.refused("containers", project="shop", containers=[WEB])
    assert owner in message and "web" in message and "adopt" in message
    task.refused("containers", project="shop", containers=[{**WEB, "state": "absent"}])
    task.refused("containers", project="shop", adopt="never", containers=[WEB])
    assert json.dumps(engine.inspect("container", "web"), sort_keys=True) == before


@pytest.mark.parametrize(("labels", "owner"), OWNERS.values(), ids=list(OWNERS))
def test_adopt_any_takes_it_over_and_says_from_whom(task: Task, engine: Engine, labels: dict, owner: str) -> None:
    foreign(engine, labels)
    spec = {"project": "shop", "adopt": "any", "containers": [{**WEB, "env": {"NEW": "1"}}]}
    done = task.change("containers", **spec)
    assert owner in done["plan"][0]
    assert engine.inspect("container", "web")["Config"]["Labels"]["slipway.project"] == "shop"


def test_what_nobody_owns_is_adopted_unchanged(task: Task, engine: Engine) -> None:
    before = foreign(engine, {})
    task.settled("containers", project="shop", containers=[WEB])
    assert engine.inspect("container", "web")["Id"] == before
    done = task.change("containers", project="shop", containers=[{**WEB, "env": {"NEW": "1"}}])
    assert "adopted" in done["plan"][0]
    assert engine.inspect("container", "web")["Config"]["Labels"]["slipway.project"] == "shop"


def test_adopt_never_refuses_what_nobody_owns(task: Task, engine: Engine) -> None:
    foreign(engine, {})
    assert "web" in task.refused("containers", project="shop", adopt="never", containers=[WEB])


@pytest.mark.parametrize("kind", ["network", "volume"])
def test_networks_and_volumes_have_owners_too(task: Task, engine: Engine, kind: str) -> None:
    engine.run_cli(kind, "create", "--label", "com.docker.compose.project=theirs", "back")
    before = engine.inspect(kind, "back")
    message = task.refused("containers", project="shop", **{f"{kind}s": [{"name": "back"}]})
    assert "theirs" in message and "back" in message
    assert engine.inspect(kind, "back") == before


def test_sentinels_survive_everything(task: Task, engine: Engine) -> None:
    """Names that begin alike, half of our labels, labels of others: none of it is touched by converge, orphans or absent."""
    sentinels = {
        "shop-web": {}, "web2": {}, "shop": {}, "half-1": {"slipway.key": "web"}, "half-2": {"slipway.managed": "[]"},
        "other-1": {"slipway.project": "shop2", "slipway.key": "other-1"}, "compose-1": {"com.docker.compose.project": "shop"},
    }  # fmt: skip
    for name, labels in sentinels.items():
        flags = [part for key, value in labels.items() for part in ("--label", f"{key}={value}")]
        engine.run_cli("create", "--name", name, *flags, IMAGE)
        engine.run_cli("volume", "create", *flags, name)
        engine.run_cli("network", "create", *flags, name)

    def state() -> str:
        return json.dumps(
            [engine.inspect(kind, name) for kind in ("container", "volume", "network") for name in sentinels],
            sort_keys=True,
        )

    before = state()
    spec = {"project": "shop", "containers": [WEB], "networks": [{"name": "back"}], "volumes": [{"name": "data"}]}
    task("containers", **spec, orphans="remove").ok()
    task("containers", project="shop", orphans="remove", containers=[]).ok()
    task("containers", **spec).ok()
    task("containers", **spec, state="absent", destroy={"volumes": ["data"]}).ok()
    assert state() == before
