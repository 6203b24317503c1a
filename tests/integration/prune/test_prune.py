# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prune: what carries our label and is used by nothing, as foretold, and nothing else."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.engine import Engine
from harness.proxy import RecordingProxy
from harness.run import Killed
from harness.task import STAYS, Task

BOX = {"image": "slipway-test/busybox:1", "command": STAYS}
EVERYTHING = {"containers": True, "networks": True, "images": True}
SHOP = {
    "project": "shop",
    "networks": [{"name": "back"}, {"name": "spare"}],
    "volumes": [{"name": "data"}],
    "containers": [
        {**BOX, "name": "web", "networks": [{"name": "back"}], "volumes": ["data:/data"]},
        {**BOX, "name": "job", "networks": [{"name": "back"}], "state": "stopped"},
    ],
}


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="slipway-secrets-", dir="/var/tmp") as directory:
        yield Path(directory, "kept")


@pytest.fixture
def shop(task: Task) -> None:
    """An application, of which one container does not run and one network is not used."""
    task("containers", **SHOP).ok()


@pytest.fixture
def foreign(engine: Engine) -> dict:
    """What others have made: nothing uses it, and none of it is ours."""
    run = ["run", "-d", "slipway-test/busybox:1", "true"]
    engine.run_cli(*run[:2], "--name", "web-slipway-old", "--label", "com.docker.compose.project=blog", *run[2:])
    engine.run_cli(*run[:2], "--name", "other-slipway-new", "--label", "slipway.project=half", *run[2:])
    engine.run_cli("network", "create", "theirs")
    engine.run_cli("network", "create", "--label", "slipway.project=shop", "--label", "slipway.key=else", "copied")
    engine.run_cli("volume", "create", "theirs")
    engine.import_busybox("theirs:1", "LABEL their=1")
    engine.import_busybox("theirs:1", "LABEL their=2")
    return everything(engine)


def everything(engine: Engine) -> dict:
    """All that is there, as inspect shows it."""
    kinds = {kind: engine.names(kind) for kind in ("container", "network", "volume", "image")}
    found = {f"{kind}/{name}": engine.inspect(kind, name) for kind, names in kinds.items() for name in names}
    return {"dangling": sorted(item["Id"] for item in engine.api("GET", "/images/json")), **found}


def leave_debris(task: Task, engine: Engine, proxy: RecordingProxy, verb: str, **options: Any) -> None:
    """Cut a replacement off at a call."""
    task("container", **BOX, name="web", project="shop", **options).ok()
    proxy.fault(
        "call", task.runner.kill, method="POST" if verb != "remove" else "DELETE", path=verb if verb != "remove" else ""
    )
    with pytest.raises(Killed):
        task("container", **BOX, name="web", project="shop", env={"NEW": "1"}, **options)
    proxy.drain()
    proxy.heal()


def test_nothing_to_do_by_default(task: Task, shop: None, foreign: dict, engine: Engine) -> None:
    task.settled("prune")
    task.settled("prune", project="shop")
    assert everything(engine) == foreign


def test_the_old_one_that_was_to_go_last(task: Task, engine: Engine, proxy: RecordingProxy) -> None:
    leave_debris(task, engine, proxy, "remove")
    assert engine.names("container") == ["web", "web-slipway-old"]
    web = engine.inspect("container", "web")
    task.settled("prune", project="blog")
    task.settled("prune", leftovers=False, **EVERYTHING)
    done = task.change("prune")
    assert done["plan"] == ["- container/web-slipway-old   leftover of an interrupted run"]
    assert done["steps"] == ["remove container web-slipway-old"]
    assert engine.inspect("container", "web") == web and engine.names("container") == ["web"]


def test_the_new_one_that_never_took_over(task: Task, engine: Engine, proxy: RecordingProxy) -> None:
    leave_debris(task, engine, proxy, "rename")
    assert engine.names("container") == ["web", "web-slipway-new"]
    done = task.change("prune", project="shop", **EVERYTHING)
    assert done["plan"] == ["- container/web-slipway-new   leftover of an interrupted run"]
    assert engine.names("container") == ["web"] and engine.inspect("container", "web")["State"]["Running"]


def test_the_one_that_counts_stays_whatever_it_is_called(task: Task, engine: Engine, proxy: RecordingProxy) -> None:
    leave_debris(task, engine, proxy, "start")
    assert engine.names("container") == ["web", "web-slipway-old"] and not engine.api("GET", "/containers/json")
    assert task.foretell("prune")["plan"] == []
    engine.run_cli("rm", "web")
    task.settled("prune", **EVERYTHING)
    task("container", **BOX, name="web", project="shop", env={"NEW": "1"}).ok()
    assert engine.names("container") == ["web"]


def test_what_is_not_used(task: Task, engine: Engine, shop: None, foreign: dict) -> None:
    done = task.change("prune", project="shop", networks=True)
    assert done["plan"] == ["- network/spare   unused"]
    done = task.change("prune", **EVERYTHING)
    assert done["plan"] == ["- container/job   unused; it has never run"], "back is used by web"
    kept = {key: value for key, value in foreign.items() if key not in ("container/job", "network/spare")}
    assert everything(engine) == kept


def test_a_network_goes_with_the_last_container_on_it(task: Task, engine: Engine, foreign: dict) -> None:
    box = {**SHOP["containers"][1], "networks": [{"name": "back"}, {"name": "spare"}]}
    task("containers", **{**SHOP, "containers": [box]}).ok()
    task.settled("prune", project="shop", networks=True)
    done = task.change("prune", project="shop", **EVERYTHING)
    assert done["plan"] == [
        "- container/job   unused; it has never run",
        "- network/back    unused",
        "- network/spare   unused",
    ]
    assert "volume/data" in everything(engine)


def test_a_network_goes_with_the_leftover_on_it(task: Task, engine: Engine, proxy: RecordingProxy) -> None:
    task("network", name="aside", project="shop").ok()
    leave_debris(task, engine, proxy, "remove")
    engine.run_cli("start", "web-slipway-old")
    engine.run_cli("network", "connect", "aside", "web-slipway-old")
    task.change("prune", networks=True)
    assert engine.names("network") == [] and engine.names("container") == ["web"]


def test_data_goes_by_name_only(task: Task, engine: Engine, shop: None, foreign: dict) -> None:
    assert '"data" is in use by web' in task.refused("prune", volumes=["data"])
    assert "nobody that Slipway knows" in task.refused("prune", volumes=["theirs"])
    assert "the Slipway project shop" in task.refused("prune", project="blog", volumes=["data"])
    task("containers", project="shop", state="absent").ok()
    task.settled("prune", **EVERYTHING)
    done = task.change("prune", project="shop", volumes=["data", "no-such"])
    assert done["plan"] == ["- volume/data   requested"]
    assert engine.names("volume") == ["theirs"]


def test_a_volume_goes_with_the_container_that_had_it(task: Task, engine: Engine) -> None:
    task("containers", **{**SHOP, "containers": [{**SHOP["containers"][1], "volumes": ["data:/data"]}]}).ok()
    assert "in use by job" in task.refused("prune", volumes=["data"])
    done = task.change("prune", containers=True, volumes=["data"])
    assert done["plan"] == ["- container/job   unused; it has never run", "- volume/data     requested"]


def test_images_that_newer_ones_have_replaced(task: Task, engine: Engine, tmp_path: Path, foreign: dict) -> None:
    context = tmp_path / "context"
    context.mkdir()

    def build(word: str) -> str:
        (context / "Dockerfile").write_text(f"FROM slipway-test/busybox:1\nENV WORD={word}\nLABEL l={word}\n")
        task("image", name="made", build={"path": str(context)}).ok()
        return engine.inspect("image", "made:latest")["Id"]

    before = build("one")
    engine.run_cli("run", "-d", "--name", "user", "made", "true")
    middle, last = build("two"), build("three")
    assert len({before, middle, last}) == 3
    done = task.change("prune", images=True)
    assert done["plan"] == [f"- image/{middle[7:19]}   unused; it has no name any more"]
    assert engine.inspect("image", before) and engine.inspect("image", last) and not engine.inspect("image", middle)
    engine.run_cli("rm", "user")
    task.change("prune", images=True)
    assert not engine.inspect("image", before) and engine.inspect("image", last)
    assert set(foreign["dangling"]) <= set(everything(engine)["dangling"])


def test_what_is_young_stays(task: Task, engine: Engine, shop: None) -> None:
    task.settled("prune", until="1h", **EVERYTHING)
    time.sleep(1.1)
    assert len(task.foretell("prune", until="1s", **EVERYTHING)["plan"]) == 2
    assert 'until: "soon" is not an age' in task.refused("prune", until="soon")


def test_another_plan_than_the_approved_one_is_refused(task: Task, engine: Engine, shop: None) -> None:
    approved = task.foretell("prune", networks=True)["plan_id"]
    task("network", name="more", project="shop").ok()
    assert approved in task.refused("prune", networks=True, plan_id=approved)
    engine.run_cli("network", "rm", "more")
    task("prune", networks=True, plan_id=approved).ok()
    assert task("prune", networks=True, plan_id=approved).ok()["plan_id"] == "empty"


def test_a_failure_says_what_is_left(task: Task, engine: Engine, proxy: RecordingProxy, shop: None) -> None:
    proxy.fault("status", 500, method="DELETE", path="/networks")
    result = task("prune", **EVERYTHING)
    assert result.failed and "remove network spare" in result.msg and "Traceback" not in result.msg
    proxy.heal()
    task("prune", **EVERYTHING).ok()
    task.settled("prune", **EVERYTHING)


@pytest.mark.parametrize("when", ["call", "lost"])
def test_files_of_secrets_that_nobody_has_any_more(
    task: Task, engine: Engine, proxy: RecordingProxy, place: Path, when: str
) -> None:
    spec = {**BOX, "project": "a/shop", "secrets_dir": str(place), "secrets": [{"name": "word", "value": "hush"}]}
    task("container", name="web", **spec).ok()
    proxy.fault(when, task.runner.kill, mutating=True)
    with pytest.raises(Killed):
        task("container", name="api", **spec)
    proxy.drain()
    proxy.heal()
    if when == "lost":
        engine.run_cli("rm", "-f", "api")
    assert engine.names("container") == ["web"] and len(list(place.rglob("word"))) == 2
    task.settled("prune", secrets_dir=str(place), project="shop")
    task.settled("prune", secrets_dir=str(place), until="1h")
    done = task.change("prune", secrets_dir=str(place))
    (line,) = done["plan"]
    assert line.startswith("- secret/a%2Fshop/api/slipway-") and line.endswith("   leftover of an interrupted run")
    assert [path.read_text() for path in place.rglob("word")] == ["hush"] and not (place / "a%2Fshop/api").exists()
    assert engine.run_cli("exec", "web", "cat", "/run/secrets/word") == "hush"
    engine.run_cli("stop", "-t", "1", "web")
    task.change("prune", secrets_dir=str(place), containers=True)
    assert not list(place.rglob("*"))
    assert "hush" not in json.dumps(done)
