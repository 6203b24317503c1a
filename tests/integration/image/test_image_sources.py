# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images: pulled with their digest checked, loaded, imported, built, tagged, pushed, removed; with a real registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.engine import Engine, busybox_tar
from harness.registry import Registry
from harness.task import STAYS, Task

ONE, TWO = "slipway-test/busybox:1", "slipway-test/busybox:2"


def identity(engine: Engine, name: str) -> str:
    return engine.inspect("image", name)["Id"]


# -- pull ------------------------------------------------------------------------------------------------------


def test_a_missing_image_is_pulled_once(task: Task, engine: Engine, registry: Registry) -> None:
    digest = registry.push(ONE, "pull/once:1")
    name = f"{registry.address}/pull/once:1"
    task.change("image", name=name)
    assert engine.inspect("image", name)["RepoDigests"] == [f"{registry.address}/pull/once@{digest}"]
    registry.push(TWO, "pull/once:1")
    task.settled("image", name=name)


def test_pull_always_asks_for_the_digest_and_pulls_only_a_new_one(
    task: Task, engine: Engine, registry: Registry
) -> None:
    registry.push(ONE, "pull/always:1")
    name = f"{registry.address}/pull/always:1"
    task.change("image", name=name, pull="always")
    digest = registry.push(TWO, "pull/always:1")
    done = task.change("image", name=name, pull="always")
    assert "image updated" in done["plan"][0]
    assert f"{registry.address}/pull/always@{digest}" in engine.inspect("image", name)["RepoDigests"]
    assert identity(engine, name) == identity(engine, TWO)


def test_a_container_follows_the_tag_it_pulls(task: Task, engine: Engine, registry: Registry) -> None:
    """A tag that moved replaces the container in the same run, and only then."""
    registry.push(ONE, "pull/follow:1")
    web = {"name": "web", "image": f"{registry.address}/pull/follow:1", "command": STAYS, "pull": "always"}
    task.change("containers", project="shop", containers=[web])
    registry.push(TWO, "pull/follow:1")
    done = task.change("containers", project="shop", containers=[web])
    assert any(line.startswith("± container/web") and "image updated" in line for line in done["plan"])
    assert engine.inspect("container", "web")["Image"] == identity(engine, TWO)


def test_a_pinned_digest_is_what_is_pulled(task: Task, engine: Engine, registry: Registry) -> None:
    digest = registry.push(ONE, "pull/pinned:1")
    registry.push(TWO, "pull/pinned:1")
    name = f"{registry.address}/pull/pinned@{digest}"
    task.change("image", name=name)
    assert identity(engine, name) == identity(engine, ONE)


def test_what_no_registry_has_is_an_error_that_names_both(task: Task, registry: Registry) -> None:
    result = task("image", name=f"{registry.address}/no/such:1")
    assert result.failed and "no/such" in result.msg and registry.address in result.msg
    assert "Traceback" not in result.msg


def test_pull_never(task: Task, registry: Registry) -> None:
    registry.push(ONE, "pull/never:1")
    message = task.refused(
        "containers", containers=[{"name": "web", "image": f"{registry.address}/pull/never:1", "pull": "never"}]
    )
    assert "pull/never:1" in message and "never" in message


# -- load, import, build -----------------------------------------------------------------------------------------


def test_load(task: Task, engine: Engine, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    engine.run_cli("tag", ONE, "load/me:1")
    wanted = identity(engine, ONE)
    engine.run_cli("save", "-o", str(archive), "load/me:1")
    engine.run_cli("rmi", "load/me:1")
    task.change("image", name="load/me:1", load_path=str(archive))
    assert identity(engine, "load/me:1") == wanted
    engine.run_cli("tag", TWO, "load/me:1")
    task.change("image", name="load/me:1", load_path=str(archive))
    assert identity(engine, "load/me:1") == wanted


def test_import(task: Task, engine: Engine, tmp_path: Path) -> None:
    archive = tmp_path / "root.tar"
    archive.write_bytes(busybox_tar())
    spec = {"name": "import/me:1", "import_path": str(archive), "import_changes": ["ENV IMPORTED=1", 'CMD ["sh"]']}
    task.change("image", **spec)
    assert "IMPORTED=1" in engine.inspect("image", "import/me:1")["Config"]["Env"]
    assert engine.run_cli("run", "--rm", "import/me:1", "echo", "works") == "works"
    task.change("image", **{**spec, "import_changes": ["ENV IMPORTED=2"]})
    assert "IMPORTED=2" in engine.inspect("image", "import/me:1")["Config"]["Env"]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {ONE} AS base\nARG GREETING=hello\nENV GREETING=$GREETING\nCOPY page /page\nFROM base AS more\nENV MORE=1\n"
    )
    (tmp_path / "page").write_text("one\n")
    return tmp_path


def test_build(task: Task, engine: Engine, context: Path) -> None:
    spec = {
        "name": "build/me:1",
        "build": {"path": str(context), "args": {"GREETING": "good day"}, "target": "base", "labels": {"made": "here"}},
    }
    task.change("image", **spec)
    shown = engine.inspect("image", "build/me:1")["Config"]
    assert "GREETING=good day" in shown["Env"] and shown["Labels"]["made"] == "here" and "MORE=1" not in shown["Env"]
    (context / "page").write_text("two\n")
    task.change("image", **spec)
    assert engine.run_cli("run", "--rm", "build/me:1", "cat", "/page") == "two"
    spec["build"]["target"] = "more"
    task.change("image", **spec)
    assert "MORE=1" in engine.inspect("image", "build/me:1")["Config"]["Env"]


def test_dockerignore_is_heeded(task: Task, engine: Engine, context: Path) -> None:
    """What is ignored is neither sent nor a reason to build again."""
    (context / ".dockerignore").write_text("*.log\n")
    (context / "a.log").write_text("1")
    spec = {"name": "build/me:1", "build": {"path": str(context)}}
    task.change("image", **spec)
    (context / "a.log").write_text("2")
    task.settled("image", **spec)


def test_a_build_that_fails_shows_its_last_lines_and_keeps_the_old_image(
    task: Task, engine: Engine, context: Path
) -> None:
    spec = {"name": "build/me:1", "build": {"path": str(context)}}
    task("image", **spec).ok()
    before = identity(engine, "build/me:1")
    (context / "Dockerfile").write_text(f"FROM {ONE}\nRUN echo about to fail && exit 7\n")
    result = task("image", **spec)
    assert result.failed and "7" in result.msg and "about to fail" in result.msg
    assert identity(engine, "build/me:1") == before


@pytest.mark.parametrize("what", ["path", "dockerfile"])
def test_a_build_without_its_files_is_refused(task: Task, context: Path, what: str) -> None:
    build = {"path": "/no/such/context"} if what == "path" else {"path": str(context), "dockerfile": "No.such"}
    message = task.refused("image", name="build/me:1", build=build)
    assert "no" in message.lower() and "such" in message


def test_an_app_is_built_and_run_in_one_task(task: Task, engine: Engine, context: Path) -> None:
    """A new build replaces the containers made from it."""
    spec = {
        "project": "shop",
        "images": [{"name": "shop/api", "build": {"path": str(context)}}],
        "containers": [{"name": "api", "image": "shop/api", "command": STAYS}],
    }
    task.change("containers", **spec)
    (context / "page").write_text("three\n")
    done = task.change("containers", **spec)
    assert sorted(line[:12] for line in done["plan"]) == sorted(["~ image/shop", "± container/"])
    assert engine.run_cli("exec", "api", "cat", "/page") == "three"


# -- tag, push, absent ---------------------------------------------------------------------------------------------


def test_tag(task: Task, engine: Engine) -> None:
    spec = {"name": ONE, "tag": ["other/name:1", "other/name"]}
    task.change("image", **spec)
    assert identity(engine, "other/name:1") == identity(engine, "other/name:latest") == identity(engine, ONE)
    engine.run_cli("tag", TWO, "other/name:1")
    task.change("image", **spec)
    assert identity(engine, "other/name:1") == identity(engine, ONE)


def test_push(task: Task, engine: Engine, registry: Registry) -> None:
    engine.run_cli("tag", ONE, f"{registry.address}/push/me:1")
    spec = {"name": f"{registry.address}/push/me:1", "push": True}
    assert registry.digest("push/me:1") == ""
    task.change("image", **spec)
    digest = registry.digest("push/me:1")
    assert digest.startswith("sha256:")
    engine.run_cli("tag", TWO, f"{registry.address}/push/me:1")
    task.change("image", **spec)
    assert registry.digest("push/me:1") not in ("", digest)


def test_absent(task: Task, engine: Engine) -> None:
    engine.run_cli("tag", ONE, "gone/soon:1")
    task.change("image", name="gone/soon:1", state="absent")
    assert "gone/soon:1" not in engine.names("image") and ONE in engine.names("image")


def test_an_image_in_use_stays(task: Task, engine: Engine, tmp_path: Path) -> None:
    engine.import_busybox("in/use:1", "ENV ONLY=here")
    engine.run_cli("create", "--name", "user", "in/use:1")
    result = task("image", name="in/use:1", state="absent")
    assert result.failed and "user" in result.msg
    assert "in/use:1" in engine.names("image")
