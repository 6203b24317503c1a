# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TLS on both sides with a real daemon, the docker CLI, the Docker SDK and a context; what a daemon would take, and we would not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.certificates import CLIENT, SERVER, Authority
from harness.engine import IMAGE
from harness.fixtures import failing_plainly
from harness.namespaces import environment, wait_for
from harness.run import playbook
from harness.task import STAYS
from harness.tls import NAME, PORT, ListeningEngine, Tls, tls_engine

from ansible_collections.slipway.docker.plugins.plugin_utils import authority as crypto
from ansible_collections.slipway.docker.plugins.plugin_utils.authority_store import Store

DAY = 86400
URL = f"tcp://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def session_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    with failing_plainly(), tls_engine(tmp_path_factory.mktemp("tls")) as tls:
        tls().ok()
        tls.serve()
        yield tls


@pytest.fixture
def tls(session_tls: Tls) -> Tls:
    """An engine that is reached with TLS on both sides, whose daemon has read what there is."""
    if session_tls(replace=True).ok()["restart"]:
        session_tls.engine.restart()
    assert session_tls.call() and not session_tls.call().startswith("failed")
    return session_tls


def test_from_nothing_to_a_context_by_three_modules(tmp_path: Path) -> None:
    with failing_plainly(), tls_engine(tmp_path, kind=ListeningEngine) as tls:
        engine = tls.engine
        engine.import_busybox(f"{IMAGE}:1")
        engine.run_cli("run", "--detach", "--name", "web", f"{IMAGE}:1", *STAYS)
        container = engine.inspect("container", "web")["State"]["Pid"]
        assert tls.change()["restart"]

        def daemon_config(**options: object) -> dict:
            hosts = [engine.url, f"tcp://0.0.0.0:{PORT}"]
            config = {**tls(check=True).ok()["daemon_config"], "hosts": hosts}
            said = {"path": str(tls.config), "config": config, "timeout": 30, **options}
            return tls.runner.module("daemon_config", said).ok()

        assert daemon_config()["applied"] == "restart"
        assert not tls()["restart"] and tls.call() == engine.api("GET", "/version")["Version"]
        assert daemon_config()["plan"] == []

        files = {option: str(tls.client() / file) for option, file in (("ca_path", "ca.pem"), ("client_cert", "cert.pem"), ("client_key", "key.pem"))}  # fmt: skip
        said = {"name": "lab", "docker_host": URL, **files, "config_dir": str(tmp_path / "docker")}
        assert tls.runner.module("context", said).ok().changed and not tls.runner.module("context", said).ok().changed
        docker = shutil.which("docker", path=environment()["PATH"])
        assert docker
        command = engine.enter(docker, "--config", str(tmp_path / "docker"), "--context", "lab", "ps", "-q", pid=False)
        assert subprocess.run(command, capture_output=True, check=True, env=environment()).stdout.strip()
        sdk = (
            "import docker, sys; ca, cert, key, url = sys.argv[1:]; "
            "print(docker.DockerClient(base_url=url, tls=docker.tls.TLSConfig(client_cert=(cert, key), ca_cert=ca, verify=True)).ping())"
        )
        # What requests finds in the environment comes before the authority that it is given.
        plain = ["env", "-u", "REQUESTS_CA_BUNDLE", "-u", "CURL_CA_BUNDLE", sys.executable]
        assert engine.in_netns(*plain, "-c", sdk, *files.values(), URL) == "True"

        # What is renewed is read by a restart, though no key of daemon.json is another; the container stays the same process.
        assert tls(now=time.time() + 61 * DAY).ok()["restart"]
        seamless = daemon_config(restart="seamless")
        assert seamless["applied"] == "restart" and seamless["because"] == ["tlscert"]
        assert "has yet to read" in seamless["plan"][0] and str(tls.path / "cert.pem") in seamless["plan"][0]
        assert daemon_config()["plan"] == [] and not tls(now=time.time() + 61 * DAY).ok()["restart"]
        assert engine.inspect("container", "web")["State"]["Pid"] == container


def test_who_has_no_certificate_of_the_authority_is_refused(tls: Tls, tmp_path: Path) -> None:
    assert tls.call(host="localhost") == tls.call()
    other = Authority(tmp_path)
    other.issue("stranger", CLIENT)
    folder = tmp_path / "stranger"
    folder.mkdir()
    for source, target in ((tls.client() / "ca.pem", "ca.pem"), (tmp_path / "stranger.pem", "cert.pem"), (tmp_path / "stranger-key.pem", "key.pem")):  # fmt: skip
        shutil.copy(source, folder / target)
    assert "certificate" in tls.call(client=folder) and tls.call(client=folder).startswith("failed")
    for file in ("cert.pem", "key.pem"):
        shutil.copy(tls.path / file, folder / file)
    assert tls.call(client=folder).startswith("failed"), "the engine's certificate is of no use to a client"
    plain = ["docker", "--host", URL, "version", "--format", "{{.Server.Version}}"]
    assert tls.engine.in_netns(*plain, check=False) == ""
    assert tls.engine.in_netns("docker", "--tls", *plain[1:], check=False) == ""


# What a daemon starts with and says nothing: (what is wrong, what a client says, what we say before anything is touched).
TAKEN = {
    "expired": ({"now": -100 * DAY}, "expired", "so it has expired"),
    "not yet valid": ({"now": 2 * DAY}, "not yet valid", "begins: "),
    "another's name": ({"names": ("other.example.org",)}, "certificate is valid for|doesn't contain any IP SANs", "names: [other.example.org]"),
    "a client's": ({"usage": "client", "names": ("admin",)}, "certificate", "usage: [client] -> server"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", TAKEN)
def test_what_a_daemon_takes_and_its_clients_do_not(tls: Tls, wrong: str) -> None:
    said, theirs, ours = TAKEN[wrong]
    store = Store(str(tls.authority))
    made = {"usage": "server", "names": (NAME, "127.0.0.1"), "days": 90, **said}
    made["now"] = time.time() + made.pop("now", 0)
    text = store.issue(store.look(), crypto.public_of((tls.path / "key.pem").read_text()), **made)
    replace(tls.path / "cert.pem", text)
    tls.engine.restart()
    answer = tls.call()
    assert answer.startswith("failed") and any(word in answer for word in theirs.split("|")), answer
    before = tls.tree()
    foretold = tls(check=True)
    assert ours in "\n".join(foretold.get("plan") or foretold.get("mistakes")) or "has expired" in foretold.msg
    assert tls.tree() == before
    done = tls().ok()
    assert ours in done["plan"][0] and done["restart"]
    tls.engine.restart()
    assert not tls.call().startswith("failed")
    tls.settled()


REFUSED = {
    "cut off": ("cert.pem", 300, "certificate: is cut off in the middle of a certificate -> a new one"),
    "key cut off": ("key.pem", 90, "key: no private key that can be read -> another one"),
    "not of the key": ("key.pem", 0, "certificate: not that of the key -> a new one"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_a_daemon_does_not_start_with(tls: Tls, wrong: str) -> None:
    file, length, words = REFUSED[wrong]
    text = (tls.path / file).read_text()[:length] if length else crypto.new_key()
    replace(tls.path / file, text, 0o400 if file == "key.pem" else 0o444)
    other = tls.engine.directory / "other"
    flags = [
        f"--data-root={other}/data",
        f"--exec-root={other}/run",
        f"--pidfile={other}/pid",
        "--bridge=none",
        "--iptables=false",
    ]
    command = ["timeout", "20", "dockerd", f"--config-file={tls.config}", f"--host=unix://{other}.sock", *flags]
    done = subprocess.run(tls.engine.enter(*command), capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 1 and "X509 key pair" in done.stderr, done.stderr
    assert words in tls.change()["plan"][0]


def test_a_key_that_others_may_read_is_taken_by_a_daemon_and_replaced_by_us(tls: Tls) -> None:
    (tls.path / "key.pem").chmod(0o644)
    before = (tls.path / "key.pem").read_bytes()
    tls.engine.restart()
    assert not tls.call().startswith("failed"), "the daemon does not mind"
    assert "key: mode 0644, so others may have it -> another one" in tls.change()["plan"][0]
    assert (tls.path / "key.pem").read_bytes() != before and oct((tls.path / "key.pem").stat().st_mode)[-4:] == "0400"
    tls.engine.restart()
    assert not tls.call().startswith("failed")


def test_another_authority_is_refused_with_its_name(tls: Tls, tmp_path: Path) -> None:
    other = Authority(tmp_path, "company")
    cert, key = other.issue("server", SERVER, names=("127.0.0.1",))
    for source, target in ((other.path, "ca.pem"), (cert, "cert.pem"), (key, "key.pem")):
        replace(tls.path / target, Path(source).read_text(), 0o400 if target == "key.pem" else 0o444)
    tls.engine.restart()
    assert "unknown authority" in tls.call()
    before = tls.tree()
    for check in (True, False):
        result = tls(check=check)
        assert result.failed and "was signed by CN=company" in result.msg and "replace: true" in result.msg
    assert tls.tree() == before
    tls.change(replace=True)


def test_what_a_daemon_uses_is_not_removed_and_all_else_is(tmp_path: Path) -> None:
    with failing_plainly(), tls_engine(tmp_path, kind=ListeningEngine) as tls:
        engine = tls.engine
        keys = {**tls.change()["daemon_config"], "hosts": [engine.url, f"tcp://0.0.0.0:{PORT}"]}

        def daemon_config(**config: object) -> None:
            said = {"path": str(tls.config), "config": config, "timeout": 30}
            assert tls.runner.module("daemon_config", said).ok()["applied"] == "restart"

        def refused(place: str) -> None:
            before = tls.tree()
            result = tls(state="absent")
            assert result.failed and result.msg.startswith(place) and "take these out first" in result.msg
            assert f"tlskey: {tls.path / 'key.pem'}" in result.msg and tls.tree() == before
            foretold = tls(state="absent", check=True).ok()
            assert foretold.changed and foretold["warned"][0].startswith(place) and tls.tree() == before

        daemon_config(**keys)
        assert tls.call() == engine.api("GET", "/version")["Version"]
        refused(f"{tls.config}: tlscacert: {tls.path / 'ca.pem'}, ")

        daemon_config(hosts=[engine.url])
        assert tls.call().startswith("failed")
        with other_daemon(tls, *(f"--{key}={keys[key]}" for key in ("tlscacert", "tlscert", "tlskey"))):
            refused("the command line of process ")

        (tls.path / "theirs.pem").write_text("")
        authority = {path: content for path, content in tls.tree().items() if path.startswith(str(tls.authority))}
        done = tls.change(state="absent", authority=None)
        assert done["plan"] == ["- server/engine   requested"] and done["warned"] == []
        assert [path.name for path in tls.path.iterdir()] == ["theirs.pem"]
        assert authority.items() <= tls.tree().items()
        daemon_config(hosts=[engine.url], icc=False)
        assert engine.answers(), "it starts without them"


@contextmanager
def other_daemon(tls: Tls, *flags: str) -> Iterator[None]:
    """A daemon beside that of the tests, with these flags and no file."""
    place = tls.engine.directory / "other"
    own = [f"--data-root={place}/data", f"--exec-root={place}/run", f"--pidfile={place}/pid", "--bridge=none", "--iptables=false"]  # fmt: skip
    command = ["dockerd", f"--config-file={place}.json", f"--host=unix://{place}.sock", *own, *flags]
    Path(f"{place}.json").write_text("{}")
    process = subprocess.Popen(
        tls.engine.enter(*command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )
    try:
        wait_for(lambda: (place / "pid").exists(), 30, "the other dockerd")
        yield
    finally:
        tls.engine.in_namespaces("kill", "-TERM", (place / "pid").read_text().strip())
        process.wait(30)


def test_a_key_is_made_by_openssl_where_it_stays(tls: Tls) -> None:
    text = tls.engine.in_namespaces("openssl", "pkey", "-in", str(tls.path / "key.pem"), "-noout", "-text")
    assert "prime256v1" in text
    for path in tls.authority.rglob("*"):
        assert path.is_dir() or (tls.path / "key.pem").read_text() not in path.read_text()


def replace(path: Path, text: str, mode: int = 0o444) -> None:
    path.unlink()
    path.write_text(text)
    path.chmod(mode)


# -- through Ansible -----------------------------------------------------------------------------------------------

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Certificates
      slipway.docker.engine_tls:
        authority: tls
        path: "{{ playbook_dir }}/host"
        clients: [admin, pipeline]
        names: [docker.example.org]
        rotate: "{{ rotate | default(omit) }}"
"""


def test_a_playbook_has_the_authority_beside_it(tmp_path: Path) -> None:
    foretold = playbook(PLAY, "--check", "--diff", directory=tmp_path)
    assert foretold.rc == 0 and not (tmp_path / "tls").exists() and not (tmp_path / "host").exists()
    done = playbook(PLAY, directory=tmp_path)
    assert done.rc == 0, done.output
    for result in (foretold.result("Certificates"), done.result("Certificates")):
        lines = [line.split()[1] for line in result["plan"]]
        assert lines == ["authority", "client/admin", "client/pipeline", "server/localhost"]
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["ca-key.pem", "ca.pem", "clients"]
    assert "docker.example.org" in done.result("Certificates")["resources"]["server/localhost"]["names"]
    again = playbook(PLAY, directory=tmp_path)
    assert again.rc == 0 and not again.result("Certificates").changed
    assert "PRIVATE" not in done.output + json.dumps(done.tasks)
    wrong = playbook(PLAY.replace("clients:", "client:"), directory=tmp_path)
    assert wrong.rc and "did you mean clients?" in wrong.output
    (tmp_path / "tls" / "ca.pem").unlink()
    broken = playbook(PLAY, directory=tmp_path)
    assert broken.rc and "ca.pem: is not there, so nobody knows whose key" in broken.output


GONE = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: None
      slipway.docker.engine_tls:
        state: absent
        path: "{{ playbook_dir }}/host"
"""


def test_a_playbook_takes_them_away_without_the_authority(tmp_path: Path) -> None:
    assert playbook(PLAY, directory=tmp_path).rc == 0
    authority = sorted((tmp_path / "tls").rglob("*"))
    foretold = playbook(GONE, "--check", "--diff", directory=tmp_path)
    assert foretold.rc == 0 and (tmp_path / "host" / "key.pem").exists()
    assert f"-{tmp_path}/host/key.pem: mode 0400" in foretold.output
    done = playbook(GONE, directory=tmp_path)
    assert done.rc == 0, done.output
    assert done.result("None")["plan"] == foretold.result("None")["plan"] == ["- server/localhost   requested"]
    assert not (tmp_path / "host").exists() and sorted((tmp_path / "tls").rglob("*")) == authority
    again = playbook(GONE, directory=tmp_path)
    assert again.rc == 0 and not again.result("None").changed
