# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""File secrets: in the container, and nowhere else; they come and go with it."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.engine import Engine
from harness.proxy import RecordingProxy
from harness.run import Killed, playbook
from harness.task import STAYS, Task

BOX = {"name": "web", "image": "slipway-test/busybox:1", "command": STAYS}


@pytest.fixture
def canary() -> str:
    """A value that is nowhere else in the world."""
    return "canary-" + secrets.token_hex(12)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of root's for secrets, which is empty again at the end."""
    with tempfile.TemporaryDirectory(prefix="slipway-secrets-", dir="/var/tmp") as directory:
        yield Path(directory, "kept")


def left(place: Path) -> list[Path]:
    """Everything below the directory."""
    return sorted(place.rglob("*")) if place.exists() else []


def spec(place: Path, *items: dict, **options: Any) -> dict:
    return {**BOX, "project": "shop", "secrets_dir": str(place), "secrets": list(items), **options}


def inside(engine: Engine, *command: str, name: str = "web") -> str:
    return engine.run_cli("exec", name, *command)


def test_it_is_in_the_container_and_nowhere_else(task: Task, engine: Engine, place: Path, canary: str) -> None:
    options = spec(place, {"name": "db_password", "value": canary})
    done = task.change("container", **options)
    assert done["plan"] == ["+ container/web   missing"]
    assert inside(engine, "cat", "/run/secrets/db_password") == canary
    assert inside(engine, "stat", "-c", "%a %u:%g", "/run/secrets/db_password") == "400 0:0"
    refused = subprocess.run(
        ["docker", "--host", engine.url, "exec", "web", "sh", "-c", "echo x >/run/secrets/db_password"],
        capture_output=True,
        check=False,
    )
    assert refused.returncode and b"Read-only" in refused.stderr
    assert canary not in json.dumps(engine.inspect("container", "web"))
    assert canary not in json.dumps(done)
    (file,) = [path for path in left(place) if path.is_file()]
    assert file.read_text() == canary and file.stat().st_mode & 0o7777 == 0o400
    assert {path.stat().st_mode & 0o7777 for path in [place, *file.parents][:5] if path.is_relative_to(place)} == {
        0o700
    }
    assert canary not in json.dumps(task("container_info", name="web", docker_host=engine.url).ok())


def test_owner_mode_target_and_bytes_are_those_that_were_asked_for(
    task: Task, engine: Engine, place: Path, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(range(256)))
    task.change(
        "container",
        **spec(
            place,
            {"name": "key", "file": str(key), "uid": 1000, "gid": 1000, "mode": "0440", "target": "/srv/app/tls.key"},
            {"name": "empty", "value": ""},
            {"name": "lines", "value": "one\ntwo\n"},
            user="www",
            read_only=True,
        ),
    )
    assert inside(engine, "stat", "-c", "%a %u:%g %s", "/srv/app/tls.key") == "440 1000:1000 256"
    assert inside(engine, "md5sum", "/srv/app/tls.key").split()[0] == _md5(key.read_bytes())
    assert engine.run_cli("exec", "-u", "0", "web", "cat", "/run/secrets/lines") == "one\ntwo"
    assert engine.run_cli("exec", "-u", "0", "web", "stat", "-c", "%s", "/run/secrets/empty") == "0"


def _md5(data: bytes) -> str:
    return subprocess.run(["md5sum"], input=data, capture_output=True, check=True).stdout.decode().split()[0]


OTHERS = {
    "content": {"value": "other"},
    "mode": {"value": "first", "mode": "0444"},
    "owner": {"value": "first", "uid": 1000},
    "group": {"value": "first", "gid": 1000},
    "target": {"value": "first", "target": "/etc/word"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=list(OTHERS))
def test_what_differs_replaces(task: Task, engine: Engine, place: Path, other: dict) -> None:
    task.change("container", **spec(place, {"name": "word", "value": "first"}))
    before = left(place)
    done = task.change("container", **spec(place, {"name": "word", **other}))
    assert done["plan"] == ["± container/web   secrets.word: ****** -> ******"]
    assert engine.names("container") == ["web"]
    assert inside(engine, "cat", other.get("target", "/run/secrets/word")) == other["value"]
    assert len(left(place)) == len(before) and left(place) != before


HARM = {
    "another mode": lambda file: file.chmod(0o644),
    "another owner": lambda file: os.chown(file, 7, 7),
    "another content": lambda file: file.write_text("X"),
    "gone": Path.unlink,
}


def test_what_somebody_did_to_the_files_is_mended(task: Task, engine: Engine, place: Path) -> None:
    options = spec(place, {"name": "a", "value": "A"}, {"name": "b", "value": "B"})
    task.change("container", **options)
    for harm in HARM.values():
        (file,) = [path for path in left(place) if path.name == "a"]
        harm(file)
        done = task.change("container", **options)
        assert done["plan"] == ["± container/web   secrets.a: ****** -> ******"]
        assert inside(engine, "cat", "/run/secrets/a", "/run/secrets/b") == "AB"


def test_after_a_restart_of_the_host_the_next_run_brings_it_back(task: Task, engine: Engine, place: Path) -> None:
    options = spec(place, {"name": "a", "value": "A"}, restart_policy="always")
    task.change("container", **options)
    engine.run_cli("stop", "-t", "1", "web")
    subprocess.run(["rm", "-r", str(place)], check=True)
    failed = subprocess.run(["docker", "--host", engine.url, "start", "web"], capture_output=True, check=False)
    assert failed.returncode and not left(place), "the engine made a directory where the file was"
    task.change("container", **options)
    assert inside(engine, "cat", "/run/secrets/a") == "A"


def test_a_secret_that_is_no_longer_said_is_taken_away(task: Task, engine: Engine, place: Path) -> None:
    mounts = [{"type": "tmpfs", "target": "/scratch"}]
    task.change("container", **spec(place, {"name": "a", "value": "A"}, {"name": "b", "value": "B"}, mounts=mounts))
    done = task.change("container", **spec(place, {"name": "a", "value": "A"}, mounts=mounts))
    assert done["plan"] == ["± container/web   secrets.b: ****** -> no longer said"]
    assert inside(engine, "ls", "/run/secrets") == "a"
    task.change("container", **BOX, project="shop", mounts=mounts)
    assert [mount["Target"] for mount in engine.inspect("container", "web")["HostConfig"]["Mounts"]] == ["/scratch"]
    assert left(place) == []


def test_another_place_moves_them(task: Task, engine: Engine, place: Path) -> None:
    task.change("container", **spec(place / "one", {"name": "a", "value": "A"}))
    task.change("container", **spec(place / "two", {"name": "a", "value": "A"}))
    assert left(place / "one") == [] and len(left(place / "two")) == 4
    assert inside(engine, "cat", "/run/secrets/a") == "A"


BROKEN = {
    "it exits": ({"command": ["false"]}, True),
    "the engine refuses it": ({"mounts": [{"type": "bind", "source": "/no/such/place", "target": "/x"}]}, False),
    "the engine has no such device": ({"devices": ["/dev/no-such-device"]}, True),
}


@pytest.mark.parametrize(("options", "restarted"), BROKEN.values(), ids=list(BROKEN))
def test_a_new_one_that_fails_leaves_the_old_one_with_its_own(
    task: Task, engine: Engine, place: Path, canary: str, options: dict, restarted: bool
) -> None:
    task("container", **spec(place, {"name": "a", "value": "old"})).ok()
    old, before = engine.inspect("container", "web"), left(place)
    failed = task("container", **spec(place, {"name": "a", "value": canary}, **options))
    assert failed.failed and canary not in json.dumps(failed)
    now = engine.inspect("container", "web")
    assert now["Id"] == old["Id"] and now["State"]["Running"] and engine.names("container") == ["web"]
    assert restarted or now["State"]["StartedAt"] == old["State"]["StartedAt"]
    assert inside(engine, "cat", "/run/secrets/a") == "old"
    assert left(place) == before
    task.settled("container", **spec(place, {"name": "a", "value": "old"}))


def test_a_container_that_tells_its_secret_is_not_repeated(task: Task, place: Path, canary: str) -> None:
    pem = f"-----BEGIN KEY-----\n{canary}\n{canary[::-1]}\n-----END KEY-----\n"
    options = spec(place, {"name": "a", "value": canary}, {"name": "pem", "value": pem})
    failed = task("container", **{**options, "command": ["sh", "-c", "cat /run/secrets/*; exit 3"]})
    assert failed.failed and "exit code 3" in failed.msg and "******" in failed.msg
    assert canary not in json.dumps(failed) and canary[::-1] not in json.dumps(failed)
    assert left(place) == []


def test_absent_leaves_nothing(task: Task, engine: Engine, place: Path) -> None:
    two = [{**BOX, "name": name, "secrets": [{"name": "a", "value": name}]} for name in ("web", "api")]
    project = {"project": "a/b shop", "secrets_dir": str(place)}
    task.change("containers", **project, containers=two)
    assert inside(engine, "cat", "/run/secrets/a", name="api") == "api"
    task.change("containers", **project, containers=two[:1], orphans="remove")
    assert [path.read_text() for path in left(place) if path.is_file()] == ["web"]
    task.change("containers", **project, state="absent")
    assert left(place) == []


def test_the_standing_place_is_gone_too(task: Task, engine: Engine) -> None:
    was_there = Path("/run/slipway").exists()
    task.change("container", **BOX, project="only-here", secrets=[{"name": "a", "value": "A"}])
    assert Path("/run/slipway/secrets/only-here/web").is_dir()
    task.change("container", name="web", project="only-here", state="absent")
    assert not Path("/run/slipway/secrets/only-here").exists()
    assert was_there or not Path("/run/slipway").exists()


def test_check_mode_touches_no_file(task: Task, place: Path) -> None:
    first, second = spec(place, {"name": "a", "value": "A"}), spec(place, {"name": "a", "value": "B"})
    task.foretell("container", **first)
    assert not place.exists()
    task("container", **first).ok()
    before = [(path, path.stat().st_mtime_ns) for path in left(place)]
    foretold = task.foretell("container", **second)
    assert foretold["diff"][0]["before"] == "secrets.a: ******\n"
    assert foretold["diff"][0]["after"] == "secrets.a: ****** (other)\n"
    assert [(path, path.stat().st_mtime_ns) for path in left(place)] == before


def test_another_engine_on_the_host_keeps_its_own(task: Task, engine: Engine, place: Path) -> None:
    theirs = place / "shop" / "web" / f"slipway-{'0' * 12}-{'0' * 32}"
    theirs.mkdir(parents=True)
    ours = spec(place, {"name": "a", "value": "A"})
    task.change("container", **ours)
    task.change("container", **{**ours, "state": "absent"})
    assert theirs.is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["call", "lost"])
def test_killed_at_any_call_it_leaves_nothing(
    task: Task, engine: Engine, proxy: RecordingProxy, place: Path, when: str
) -> None:
    def run(value: str) -> bool:
        try:
            task("container", **spec(place, {"name": "a", "value": value})).ok()
        except Killed:
            proxy.drain()
            return False
        return True

    nth = 1
    while True:
        assert run("one")
        proxy.fault(when, task.runner.kill, mutating=True, nth=nth)
        through = run("two")
        proxy.heal()
        if through:
            break
        assert run("two") and inside(engine, "cat", "/run/secrets/a") == "two"
        assert [path.read_text() for path in left(place) if path.is_file()] == ["two"], f"killed at call {nth}"
        assert len(left(place)) == 4 and engine.names("container") == ["web"]
        engine.clean()
        task("container", **spec(place, {"name": "a", "value": "gone"})).ok()
        task("container", name="web", project="shop", state="absent", secrets_dir=str(place)).ok()
        assert left(place) == [], "what the cleaning of the test left behind"
        nth += 1
    assert nth > 5


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop", "lost"])
def test_a_fault_at_any_call_leaves_nothing(
    task: Task, engine: Engine, proxy: RecordingProxy, place: Path, fault: str
) -> None:
    for nth in range(1, 8):
        task("container", **spec(place, {"name": "a", "value": "one"})).ok()
        proxy.fault(fault, 500, mutating=True, nth=nth)
        failed = task("container", **spec(place, {"name": "a", "value": "two"}))
        proxy.heal()
        assert "Traceback" not in failed.msg
        assert inside(engine, "cat", "/run/secrets/a") in ("one", "two"), f"{fault} at call {nth}: {failed.msg}"
        task("container", **spec(place, {"name": "a", "value": "two"})).ok()
        assert [path.read_text() for path in left(place) if path.is_file()] == ["two"], f"{fault} at call {nth}"
        assert len(left(place)) == 4


# -- what is refused -------------------------------------------------------------------------------------------


WRONG = {
    "no value": ([{"name": "a"}], 'secrets: "a" needs value or file, and not both'),
    "two values": ([{"name": "a", "value": "hidden-x", "file": "/etc/hostname"}], "needs value or file"),
    "a path": ([{"name": "a/b", "value": "hidden-x"}], "is not a file's name"),
    "twice": ([{"name": "a", "value": "hidden-x"}, {"name": "a", "value": "hidden-y"}], "is there twice"),
    "a number as mode": ([{"name": "a", "value": "hidden-x", "mode": 0o400}], "in quotes"),
    "no mode": ([{"name": "a", "value": "hidden-x", "mode": "rw"}], 'write "0400"'),
    "a relative target": ([{"name": "a", "value": "hidden-x", "target": "etc/x"}], "is not the absolute path of a file"),
    "a file that is not there": ([{"name": "a", "file": "/no/such/file"}], '"/no/such/file" cannot be read on this host'),
    "a list as value": ([{"name": "a", "value": ["hidden-x"]}], "the value (not shown) is not text"),
    "no dictionary": (["hidden-x"], "the value (not shown) is not a dictionary"),
    "no list": ({"a": "hidden-x"}, "the value (not shown) is not a list"),
    "a path that is mounted": ([{"name": "a", "value": "hidden-x", "target": "/m"}], '"/m" is mounted twice'),
}  # fmt: skip


@pytest.mark.parametrize(("items", "words"), WRONG.values(), ids=list(WRONG))
@pytest.mark.parametrize("module", ["container", "containers"])
def test_what_cannot_be_is_refused_and_not_repeated(
    task: Task, place: Path, module: str, items: Any, words: str
) -> None:
    box = {**BOX, "secrets": items, "tmpfs": ["/m"]}
    options = {**box, "secrets_dir": str(place)} if module == "container" else {"containers": [box]}
    result = task(module, **options)
    assert result.failed and not task.mutating
    assert words in result.msg and "secrets" in result.msg
    assert "hidden-" not in json.dumps(result)
    assert not place.exists()


@pytest.fixture
def far(engine: Engine) -> Iterator[str]:
    """The same engine over TCP."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(engine.socket)
            for ends in ((client, server), (server, client)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def test_an_engine_elsewhere_is_refused(task: Task, engine: Engine, place: Path, far: str) -> None:
    before = engine.snapshot()
    for check in (True, False):
        result = task("container", check=check, **spec(place, {"name": "a", "value": "A"}, docker_host=far))
        assert result.failed and "on the engine's own host only" in result.msg and far in result.msg
    assert engine.snapshot() == before and not place.exists()


def test_from_elsewhere_they_can_still_be_taken_away(task: Task, engine: Engine, place: Path, far: str) -> None:
    task("container", **spec(place, {"name": "a", "value": "A"})).ok()
    task("container", **BOX, project="shop", docker_host=far).ok()
    assert engine.inspect("container", "web")["HostConfig"].get("Mounts") is None
    assert len(left(place)) == 4, "files of a host that the module cannot see"
    task("container", **spec(place, {"name": "a", "value": "B"})).ok()
    assert [path.read_text() for path in left(place) if path.is_file()] == ["B"]


def test_somebody_who_may_not_write_there_is_told_before_anything(
    task: Task, engine: Engine, proxy: RecordingProxy, place: Path
) -> None:
    os.chmod(proxy.socket, 0o666)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for directory, words in ((place, "become: true"), (Path("/tmp"), "others may write to")):
        options = spec(directory, {"name": "a", "value": "A"}, docker_host=proxy.url)
        result = task.runner.module("container", options, prefix=nobody)
        assert result.failed and words in result.msg
    assert not proxy.mutating and engine.names("container") == []


def test_through_ansible_it_is_nowhere(engine: Engine, place: Path, canary: str) -> None:
    text = f"""
- hosts: all
  gather_facts: false
  vars: {{word: {canary}}}
  tasks:
    - slipway.docker.containers:
        docker_host: {engine.url}
        project: shop
        secrets_dir: {place}
        min_healthy_time: 0.2
        containers:
          - name: web
            image: slipway-test/busybox:1
            command: {json.dumps(STAYS)}
            secrets: [{{name: a, value: "{{{{ word }}}}-SUFFIX"}}]
    - slipway.docker.container:
        docker_host: {engine.url}
        project: shop
        name: api
        image: slipway-test/busybox:1
        command: sh -c 'cat /run/secrets/a; exit 1'
        secrets: [{{name: a, value: "{{{{ word }}}}-SUFFIX"}}]
        secrets_dir: {place}
      ignore_errors: true
"""
    for options in (["-vvvv", "--diff", "--check"], ["-vvvv", "--diff"], ["-vvvv", "--diff"]):
        done = playbook(text, *options)
        assert done.rc == 0, done.output
        assert canary not in re.sub(r"(?m)^.*word: .*$", "", done.output)
    assert inside(engine, "cat", "/run/secrets/a") == f"{canary}-SUFFIX"
    found = subprocess.run(
        ["grep", "-rl", "--exclude-dir=pytest-*", canary, "/tmp", str(Path.home() / ".ansible"), "/run/slipway"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
