# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the engine is: options, environment, contexts, TLS, ssh; and one line that helps when it is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.certificates import CLIENT, SERVER, Authority
from harness.engine import Engine, private_engine
from harness.proxy import RecordingProxy
from harness.run import COLLECTIONS, Result, Runner


def version(result: Result) -> str:
    return result.ok()["engine"]["version"]


def one_line(result: Result) -> str:
    """The message of a failure, which is one line and no traceback."""
    assert result.failed, result
    assert "Traceback" not in f"{result.msg}{result.get('exception', '')}{result.stderr}"
    assert len(result.msg.splitlines()) == 1, result.msg
    return result.msg


# -- where -----------------------------------------------------------------------------------------------------


def test_docker_host_option_and_variable(runner: Runner, engine: Engine) -> None:
    assert version(runner.module("engine_info", {"docker_host": engine.url}))
    assert version(runner.module("engine_info", {}, env={"DOCKER_HOST": engine.url}))


def test_the_option_comes_before_the_variable(runner: Runner, engine: Engine) -> None:
    assert version(
        runner.module("engine_info", {"docker_host": engine.url}, env={"DOCKER_HOST": "unix:///no/such.sock"})
    )


@pytest.fixture
def contexts(engine: Engine, tmp_path: Path) -> dict[str, str]:
    """A configuration of the docker CLI with the contexts `good` and `bad`, made by the CLI itself."""
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    for name, host in (("good", engine.url), ("bad", "unix:///no/such.sock")):
        command = ["docker", "context", "create", name, "--docker", f"host={host}"]
        subprocess.run(command, env={**os.environ, **environ}, check=True, capture_output=True)
    return environ


def test_contexts(runner: Runner, contexts: dict[str, str]) -> None:
    assert version(runner.module("engine_info", {}, env={**contexts, "DOCKER_CONTEXT": "good"}))
    assert version(runner.module("engine_info", {"docker_context": "good"}, env={**contexts, "DOCKER_CONTEXT": "bad"}))
    assert "/no/such.sock" in one_line(runner.module("engine_info", {}, env={**contexts, "DOCKER_CONTEXT": "bad"}))


def test_the_current_context_of_the_cli(runner: Runner, contexts: dict[str, str]) -> None:
    subprocess.run(
        ["docker", "context", "use", "good"], env={**os.environ, **contexts}, check=True, capture_output=True
    )
    assert version(runner.module("engine_info", {}, env=contexts))


def test_docker_host_comes_before_contexts(runner: Runner, engine: Engine, contexts: dict[str, str]) -> None:
    assert version(
        runner.module("engine_info", {}, env={**contexts, "DOCKER_CONTEXT": "bad", "DOCKER_HOST": engine.url})
    )


def test_an_unknown_context(runner: Runner, contexts: dict[str, str]) -> None:
    message = one_line(runner.module("engine_info", {"docker_context": "nowhere"}, env=contexts))
    assert "nowhere" in message and "docker context ls" in message


# -- TLS -------------------------------------------------------------------------------------------------------


def make_certificates(place: Path) -> None:
    """A CA with a server's and a client's certificate, and the client of a CA that nobody trusts."""
    names = ("127.0.0.1", "engine.example")
    authority = Authority(place)
    authority.issue("server", SERVER, names)
    authority.issue("client", CLIENT, names)
    Authority(place, "other-ca").issue("intruder", CLIENT, names)
    folder = place / "cli"
    folder.mkdir()
    for source, target in (("ca.pem", "ca.pem"), ("client.pem", "cert.pem"), ("client-key.pem", "key.pem")):
        shutil.copy(place / source, folder / target)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    """An engine that listens on TCP in its own network and wants a client's certificate; and the certificates."""
    place = tmp_path_factory.mktemp("tls")
    make_certificates(place)
    flags = [
        "-H",
        "tcp://127.0.0.1:2376",
        "--tlsverify",
        "--tlscacert",
        f"{place}/ca.pem",
        "--tlscert",
        f"{place}/server.pem",
        "--tlskey",
        f"{place}/server-key.pem",
    ]
    with private_engine(*flags) as engine:
        yield engine, place


def ask(runner: Runner, engine: Engine, environ: dict[str, str] | None = None, **arguments: object) -> Result:
    """Ask from within the engine's network, where its TCP listener is."""
    return runner.module("engine_info", {"timeout": 5, **arguments}, env=environ, prefix=engine.enter(pid=False))


def test_tls_by_options(runner: Runner, tls: tuple[Engine, Path]) -> None:
    engine, place = tls
    pair = {"client_cert": f"{place}/client.pem", "client_key": f"{place}/client-key.pem"}
    trusted = {"docker_host": "tcp://127.0.0.1:2376", "validate_certs": True, "ca_path": f"{place}/ca.pem", **pair}
    assert version(ask(runner, engine, **trusted))
    assert version(ask(runner, engine, **{**trusted, "tls_hostname": "engine.example"}))


def test_tls_by_variables(runner: Runner, tls: tuple[Engine, Path]) -> None:
    engine, place = tls
    environ = {"DOCKER_HOST": "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": f"{place}/cli"}
    assert version(ask(runner, engine, environ))


def test_tls_by_a_context(runner: Runner, tls: tuple[Engine, Path], tmp_path: Path) -> None:
    engine, place = tls
    environ = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "secure"}
    folder = f"{place}/cli"
    endpoint = f"host=tcp://127.0.0.1:2376,ca={folder}/ca.pem,cert={folder}/cert.pem,key={folder}/key.pem"
    subprocess.run(
        ["docker", "context", "create", "secure", "--docker", endpoint],
        env={**os.environ, "DOCKER_CONFIG": str(tmp_path)},
        check=True,
        capture_output=True,
    )
    assert version(ask(runner, engine, environ))


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_cert": "intruder.pem", "client_key": "intruder-key.pem"},
        {"ca_path": "other-ca.pem"},
        {"tls_hostname": "another.example"},
        {"client_cert": None, "client_key": None},
        {"client_key": "no-such-key.pem"},
    ],
    ids=["a client nobody knows", "a server nobody knows", "another name", "no client certificate", "no key"],
)
def test_tls_that_does_not_fit_is_refused_in_one_line(runner: Runner, tls: tuple[Engine, Path], wrong: dict) -> None:
    engine, place = tls
    files = {"ca_path": "ca.pem", "client_cert": "client.pem", "client_key": "client-key.pem", **wrong}
    options = {key: value if key == "tls_hostname" else f"{place}/{value}" for key, value in files.items() if value}
    message = one_line(ask(runner, engine, docker_host="tcp://127.0.0.1:2376", validate_certs=True, **options))
    assert "127.0.0.1:2376" in message or ("client_key" in message and "is not there" in message)


# -- ssh -------------------------------------------------------------------------------------------------------

SSH = """#!/bin/sh
# Stands in for ssh: no machine of the tests runs sshd. It takes the same words, and runs the remote command here.
echo "$@" >>"$0.log"
while [ "$1" != -- ]; do case $1 in -l | -p | -o) shift 2 ;; -*) shift ;; *) break ;; esac; done
[ "$1" = -- ] && shift
host=$1; shift
[ "$host" = engine.example ] || { echo "ssh: Could not resolve hostname $host: Name or service not known" >&2; exit 255; }
DOCKER_HOST=%s exec "$@"
"""


@pytest.fixture
def ssh(engine: Engine, tmp_path: Path) -> Path:
    program = tmp_path / "ssh"
    program.write_text(SSH % engine.url)
    program.chmod(0o755)
    return program


def test_ssh_through_a_stand_in(runner: Runner, ssh: Path, engine: Engine) -> None:
    """Only the way the ssh program is called and what it carries is tested here, not ssh itself."""
    environ = {"PATH": f"{ssh.parent}:{os.environ['PATH']}"}
    assert version(runner.module("engine_info", {"docker_host": "ssh://me@engine.example:2222"}, env=environ))
    said = Path(f"{ssh}.log").read_text().split()
    assert said[said.index("-l") + 1] == "me" and said[said.index("-p") + 1] == "2222"
    spec = {"docker_host": "ssh://engine.example", "name": "through-ssh"}
    assert runner.module("volume", spec, env=environ).ok().changed
    assert engine.names("volume") == ["through-ssh"]
    assert not runner.module("volume", spec, env=environ).ok().changed


def test_ssh_that_fails_says_what_ssh_said(runner: Runner, ssh: Path) -> None:
    environ = {"PATH": f"{ssh.parent}:{os.environ['PATH']}"}
    message = one_line(runner.module("engine_info", {"docker_host": "ssh://nowhere.example"}, env=environ))
    assert "nowhere.example" in message and "Could not resolve hostname" in message


# -- what does not answer --------------------------------------------------------------------------------------


def test_no_engine(runner: Runner, tmp_path: Path) -> None:
    message = one_line(runner.module("containers", {"docker_host": f"unix://{tmp_path}/none.sock", "containers": []}))
    assert f"{tmp_path}/none.sock" in message


def test_nobody_listens(runner: Runner, engine: Engine) -> None:
    assert "127.0.0.1:1" in one_line(ask(runner, engine, docker_host="tcp://127.0.0.1:1"))


def test_no_permission(runner: Runner, engine: Engine) -> None:
    """Somebody who may not open the socket is told by which right one may."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv (util-linux) is not here")
    engine.directory.chmod(0o711)
    try:
        prefix = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        if subprocess.run(
            [*prefix, sys.executable, "-c", f"import os; os.listdir({str(COLLECTIONS)!r})"],
            capture_output=True,
            check=False,
        ).returncode:
            pytest.skip("another user may not read this directory or run this Python")
        message = one_line(runner.module("engine_info", {"docker_host": engine.url}, prefix=prefix))
    finally:
        engine.directory.chmod(0o700)
    assert engine.socket in message and "docker" in message and "group" in message


def test_no_sdk(runner: Runner, engine: Engine, tmp_path: Path) -> None:
    """Where the SDK is missing, the message says what to install."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['docker'] = None\n")
    environ = {"PYTHONPATH": f"{tmp_path}:{COLLECTIONS}"}
    message = one_line(runner.module("engine_info", {"docker_host": engine.url}, env=environ, python=[sys.executable]))
    assert "docker" in message and "python3-docker" in message


def test_an_answer_that_is_not_an_engines(runner: Runner, proxy: RecordingProxy) -> None:
    proxy.fault("truncated", path="/version", count=None)
    one_line(runner.module("engine_info", {"docker_host": proxy.url, "timeout": 5}))


def test_an_engine_that_hangs_is_given_up(runner: Runner, proxy: RecordingProxy) -> None:
    proxy.fault("hang", count=None)
    message = one_line(runner.module("engine_info", {"docker_host": proxy.url, "timeout": 0.5}))
    assert proxy.url in message


@pytest.mark.parametrize("path", ["/version", "/containers/json", "/networks", "/volumes", "/images/json"])
def test_an_error_at_a_read_is_not_taken_for_absence(
    runner: Runner, proxy: RecordingProxy, engine: Engine, path: str
) -> None:
    """Nothing is made again because a list could not be read."""
    spec = {"docker_host": proxy.url, "project": "shop", "networks": [{"name": "back"}], "volumes": [{"name": "data"}]}
    runner.module("containers", spec).ok()
    proxy.forget()
    proxy.fault("status", 500, path=path, count=None)
    one_line(runner.module("containers", {**spec, "containers": [{"name": "web", "image": "slipway-test/busybox:1"}]}))
    assert not proxy.mutating
    assert engine.names("container") == []


def test_addresses_that_are_none(runner: Runner) -> None:
    for host in ("localhost", "ftp://x", "tcp://", "unix://", "tcp://host:99999"):
        assert "docker_host" in one_line(runner.module("engine_info", {"docker_host": host}))


def test_versions_are_negotiated_and_can_be_held_down(runner: Runner, proxy: RecordingProxy) -> None:
    runner.module("containers", {"docker_host": proxy.url, "containers": []}).ok()
    spoken = {call.version for call in proxy.calls if call.version}
    assert spoken == {runner.module("engine_info", {"docker_host": proxy.url}).ok()["engine"]["api_version"]}
    assert "api_version" in one_line(runner.module("engine_info", {"docker_host": proxy.url, "api_version": "new"}))
