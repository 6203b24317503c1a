# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets that a task is given, or that a container prints, are nowhere in what a run shows, returns, logs, labels or leaves behind.

Each secret is a word of its own, so that a hit says which one got out and where. The value of a variable in the engine's own
inspect document is the engine's affair.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.engine import Engine, wait_for
from harness.proxy import RecordingProxy
from harness.registry import Registry
from harness.run import Play, playbook
from harness.task import STAYS, Task

IMAGE = "slipway-test/busybox:1"
CHATTY = "env; echo $SIGNING_KEY; echo $PASSPHRASE; "
GUARD = """
import http.server
class Guard(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="guard"')
        self.end_headers()
    do_HEAD = do_GET
http.server.HTTPServer(("127.0.0.1", 5056), Guard).serve_forever()
"""


def canary(place: str) -> str:
    """The secret of one place."""
    return f"canary-{place}-7Qx"


ENV = {
    "DB_PASSWORD": canary("password"),
    "API_TOKEN": canary("token"),
    "AWS_SECRET_ACCESS_KEY": canary("aws/+="),
    "SIGNING_KEY": f"{canary('first')}\n{canary('second')}",
    "PASSPHRASE": f"{canary('spaced')}  twice",
    "DATABASE_URL": f"postgres://shop:{canary('url')}@db/shop",
}
WORDS = [
    *(canary(name) for name in ("password", "token", "aws/+=", "first", "second", "spaced", "url", "file", "build", "registry", "tls")),
    *(canary(name) for name in ("label", "log-option", "volume", "old", "wrong", "list", "network")),
]  # fmt: skip


def web(**options: Any) -> dict:
    """A container that is given every secret a container can be given."""
    return {"name": "web", "image": IMAGE, "command": STAYS, "stop_timeout": 1, "env": ENV, **options}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a run keeps its temporary files, and the secrets that are files."""
    for name in ("docker", "context", "tls", "home", "temp", "play"):
        (tmp_path / name).mkdir()
    secret = base64.b64encode(f"robot:{canary('registry')}".encode()).decode()
    auths = {f"127.0.0.1:{port}": {"auth": secret} for port in (5055, 5056)}
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": auths}))
    (tmp_path / "web.env").write_text(f"FILE_PASSWORD={canary('file')}\n")
    (tmp_path / "tls" / "key.pem").write_text(
        f"-----BEGIN PRIVATE KEY-----\n{canary('tls')}\n-----END PRIVATE KEY-----\n"
    )
    (tmp_path / "tls" / "cert.pem").write_text("nothing\n")
    (tmp_path / "context" / "Dockerfile").write_text(
        f"FROM {IMAGE}\nARG NPM_TOKEN\nARG OK\nRUN echo $NPM_TOKEN; test $OK = yes\n"
    )
    return tmp_path


def shown(play: Play, place: Path, engine: Engine, leave: tuple[Path, ...]) -> dict[str, str]:
    """Every place where a secret could show, as text."""
    found = {"output": play.output, "results": json.dumps(play.tasks)}
    for kind, path in (("containers", "/containers/json?all=1"), ("networks", "/networks"), ("images", "/images/json")):
        found[f"labels of {kind}"] = json.dumps([ours(item) for item in engine.api("GET", path)])
    found["labels of volumes"] = json.dumps([ours(item) for item in engine.api("GET", "/volumes").get("Volumes") or ()])
    for path in place.rglob("*"):
        if path.is_file() and path not in leave:
            found[str(path)] = path.read_text(errors="replace")
    for path in (*Path("/tmp").glob("ansible*"), *Path("/run/lock").glob("slipway*")):
        with suppress(FileNotFoundError):  # of another run, which has ended
            if path.is_file():
                found[str(path)] = path.read_text(errors="replace")
    return found


def ours(item: dict) -> dict:
    """The labels that we wrote; the others are the user's."""
    return {key: value for key, value in (item.get("Labels") or {}).items() if key.startswith("slipway.")}


def disguised(word: str) -> set[str]:
    """A word as it is, as JSON has it, and the cores of its three spellings in base64."""
    cores = {base64.b64encode(b"x" * shift + word.encode()).decode()[4:-4] for shift in range(3)}
    return {word, json.dumps(word)[1:-1], *cores}


def leaks(texts: dict[str, str], words: list[str] = WORDS) -> list[str]:
    """Which secret is where, with what stands around it."""
    found = []
    for where, text in texts.items():
        for word in words:
            for spelling in disguised(word):
                at = text.find(spelling)
                if at >= 0:
                    found.append(f"{word} in {where}: ...{text[max(0, at - 120) : at + 60]!r}...")
    return found


def run(place: Path, url: str, tasks: list[dict], *options: str) -> Play:
    """Run tasks of the module containers, each ignoring its failure, with everything that makes Ansible talk."""
    steps = [
        {
            "name": f"step {number}",
            "ignore_errors": True,
            "slipway.docker.containers": {"project": "sc", "min_healthy_time": 0.5, **task},
        }
        for number, task in enumerate(tasks)
    ]
    defaults = {"group/slipway.docker.docker": {"docker_host": url}}
    play = [{"hosts": "localhost", "gather_facts": False, "module_defaults": defaults, "tasks": steps}]
    env = {
        "ANSIBLE_LOG_PATH": str(place / "ansible.log"),
        "ANSIBLE_LOCAL_TEMP": str(place / "temp"),
        "ANSIBLE_REMOTE_TEMP": str(place / "temp"),
        "TMPDIR": str(place / "temp"),
        "HOME": str(place / "home"),
        "DOCKER_CONFIG": str(place / "docker"),
    }
    return playbook(yaml.safe_dump(play), "-vvvv", "--diff", *options, env=env, directory=place / "play")


def left(place: Path) -> tuple[Path, ...]:
    """The files in which the test itself wrote secrets."""
    return (
        place / "docker" / "config.json", place / "web.env", place / "tls" / "key.pem", place / "play" / "play.yml",
    )  # fmt: skip


@contextmanager
def guarded(engine: Engine) -> Iterator[None]:
    """A registry in the engine's network that lets nobody in."""
    process = engine.spawn([sys.executable, "-c", GUARD])
    try:
        ask = ("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "http://127.0.0.1:5056/v2/")
        wait_for(lambda: engine.in_netns(*ask, check=False) == "401", 10, "the guarded registry to answer")
        yield
    finally:
        engine.in_namespaces("pkill", "-f", "127.0.0.1.*5056", check=False)
        process.kill()
        process.wait()


def successes(place: Path, registry: Registry) -> list[dict]:
    """Tasks that work: everything made, something changed, something secret changed."""
    build = {"path": str(place / "context"), "args": {"NPM_TOKEN": canary("build"), "OK": "yes"}}
    first = {
        "networks": [{"name": "net", "driver_options": {"com.example.token": canary("network")}}],
        "volumes": [{"name": "data", "labels": {"owner.token": canary("label")}}],
        "images": [
            {"name": "sc/built:1", "build": build},
            {"name": f"{registry.address}/sc/pulled:1", "pull": "always"},
        ],
        "containers": [
            web(env_file=[str(place / "web.env")], networks=[{"name": "net"}]),
            {"name": "api", "image": "sc/built:1", "command": STAYS, "stop_timeout": 1},
            {"name": "pulled", "image": f"{registry.address}/sc/pulled:1", "command": STAYS, "stop_timeout": 1},
        ],
    }
    changed = [web(env={**ENV, "DB_PASSWORD": canary("old"), "OTHER": "1"}), *first["containers"][1:]]
    return [first, {**first, "containers": changed}, first]


def failures(place: Path) -> list[dict]:
    """Tasks that fail, one in each phase of a run."""
    check = {"test": CHATTY + "exit 1", "interval": "100ms", "timeout": "1s", "retries": 1}
    loud = ["sh", "-c", CHATTY + "exit 1"]
    build = {"path": str(place / "context"), "args": {"NPM_TOKEN": canary("build"), "OK": "no"}}
    tls = {"docker_host": "tcp://127.0.0.1:1", "validate_certs": True}
    files = {"client_cert": str(place / "tls" / "cert.pem"), "client_key": str(place / "tls" / "key.pem")}
    return [
        {"containers": [web(env={"DB_PASSWORD": [canary("wrong")], "API_TOKEN": {"a": canary("wrong")}})]},
        {"containers": [web(env=[f"DB_PASSWORD {canary('wrong')}", f"API_TOKEN={canary('list')}"])]},
        {"containers": [web(env=f"DB_PASSWORD={canary('wrong')}")]},
        {"containers": [web(log_driver="json-file", log_options={"splunk-token": canary("log-option")})]},
        {"containers": [web(networks=[{"name": "missing"}])]},
        {"containers": [web(mounts=[{"type": "bind", "source": "/no/such", "target": "/x"}])]},
        {"containers": [web(command=["no-such-program"])]},
        {"containers": [web(command=loud)]},
        {"containers": [web(command=loud, env_file=[str(place / "web.env")], restart_policy="always")]},
        {"containers": [web(healthcheck=check, state="healthy")]},
        {"containers": [web(healthcheck={**check, "retries": 1000}, state="healthy", healthy_wait_timeout=1)]},
        {"images": [{"name": "sc/broken:1", "build": build}]},
        {"images": [{"name": "127.0.0.1:5056/sc/closed:1"}], "containers": [web(image="127.0.0.1:5056/sc/closed:1")]},
        {**tls, **files, "containers": [web()]},
        {"volumes": [{"name": "nfs", "driver_options": {"type": "cifs", "o": f"username=me,password={canary('volume')}", "device": "//host/x"}}],
         "containers": [web(volumes=["nfs:/data"])]},
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--check",), ()], ids=["check", "apply"])
def test_no_secret_shows_when_all_goes_well(
    engine: Engine, proxy: RecordingProxy, registry: Registry, place: Path, options: tuple[str, ...]
) -> None:
    registry.push(IMAGE, "sc/pulled:1")
    play = run(place, proxy.url, successes(place, registry), *options)
    assert [task["status"] for task in play.tasks] == ["ok"] * 3, play.output
    assert not leaks(shown(play, place, engine, left(place)))


@pytest.mark.slow
def test_no_secret_shows_when_something_fails(
    engine: Engine, proxy: RecordingProxy, registry: Registry, place: Path
) -> None:
    tasks = failures(place)
    with guarded(engine):
        play = run(place, proxy.url, [{"containers": [web()]}, *tasks])
    messages = [task["result"].get("msg", "") for task in play.tasks]
    assert [task["status"] for task in play.tasks] == ["ok", *["failed"] * len(tasks)], messages
    found = leaks(shown(play, place, engine, left(place)))
    assert not found, "\n".join(found)
    said = "\n".join(messages)
    assert "did not stay up" in said and "health check said" in said, "the exam is of use only where evidence is shown"


def test_a_container_that_prints_its_secrets(task: Task, engine: Engine) -> None:
    """The log and the health check's words are evidence; what is secret in them is masked, however it was broken up."""
    check = {"test": CHATTY + "exit 1", "interval": "100ms", "timeout": "1s", "retries": 1}
    for options in ({"command": ["sh", "-c", CHATTY + "exit 1"]}, {"healthcheck": check, "state": "healthy"}):
        result = task("containers", project="sc", containers=[web(**options)])
        assert result.failed
        found = leaks({"the message": result.msg, "the result": json.dumps(result)})
        assert not found, "\n".join(found)
        assert "DB_PASSWORD=" in result.msg, result.msg
