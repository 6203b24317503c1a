# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Contexts, with the real docker CLI (every one on the PATH), real engines with and without TLS, and a real ssh and sshd."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from harness.certificates import SERVER, Authority
from harness.engine import Engine, private_engine
from harness.namespaces import wait_for
from harness.run import COLLECTIONS, Result, Runner, environment, playbook

CLIS = sorted(
    {
        str(Path(folder, "docker").resolve())
        for folder in [*os.environ["PATH"].split(":"), "/usr/bin"]
        if os.access(Path(folder, "docker"), os.X_OK)
    }
)
TLS, PLAIN = "tcp://127.0.0.1:2376", "tcp://127.0.0.1:2375"
SSHD = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin:/usr/local/sbin")
SEPARATION = Path("/run/sshd")  # where sshd of Debian puts the part of it that has no rights


class Home:
    """The home of a user of the docker CLI. ``inside``: the engine in whose network commands are run."""

    def __init__(self, runner: Runner, folder: Path, cli: str) -> None:
        self.runner, self.folder, self.cli = runner, folder, cli
        self.environ = {"HOME": str(folder)}
        self.inside: Engine | None = None
        folder.mkdir()

    @property
    def prefix(self) -> Sequence[str]:
        return self.inside.enter(pid=False) if self.inside else ()

    def task(self, check: bool = False, environ: dict[str, str] | None = None, **options: object) -> Result:
        """Run the module."""
        arguments = {"name": "lab", "timeout": 10, **options}
        return self.runner.module(
            "context", arguments, check=check, env={**self.environ, **(environ or {})}, prefix=self.prefix
        )

    def change(self, **options: object) -> Result:
        """Run it and prove that it was foretold, and that a second run finds nothing to do."""
        before = self.tree()
        foretold = self.task(check=True, **options).ok()
        assert foretold.changed and self.tree() == before
        done = self.task(**options).ok()
        assert done.changed and done["plan"] == foretold["plan"] and done["steps"] == foretold["steps"]
        self.settled(**options)
        return done

    def settled(self, **options: object) -> Result:
        """Run it and prove that there is nothing to do."""
        before = self.tree()
        again = self.task(**options).ok()
        assert not again.changed and again["plan"] == [] and self.tree() == before
        return again

    def refused(self, **options: object) -> str:
        """Run it and prove that it fails with a reason, before any file is touched."""
        before = self.tree()
        result = self.task(**options)
        assert result.failed and self.tree() == before
        assert "Traceback" not in f"{result.msg}{result.get('exception', '')}{result.stderr}"
        assert "BEGIN" not in json.dumps(result)
        return result.msg

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Run the CLI."""
        command = [*self.prefix, self.cli, *arguments]
        done = subprocess.run(
            command, env=environment(**self.environ), capture_output=True, text=True, check=False, timeout=60
        )
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()

    def reached(self, *arguments: str) -> str:
        """The ID of the engine that the CLI reaches."""
        return self.docker(*arguments, "network", "inspect", "host", "--format", "{{.Id}}")

    def tree(self) -> dict[str, tuple]:
        return {
            str(path.relative_to(self.folder)): (oct(path.stat().st_mode), path.read_bytes() if path.is_file() else b"")
            for path in sorted(self.folder.rglob("*"))
        }


@pytest.fixture(params=CLIS, ids=lambda path: f"docker {version_of(path)}")
def home(request: pytest.FixtureRequest, runner: Runner, tmp_path: Path) -> Home:
    """A home in which the CLI has never been run; once for each CLI that is here."""
    return Home(runner, tmp_path / "home", request.param)


def version_of(cli: str) -> str:
    return subprocess.run([cli, "--version"], capture_output=True, text=True, check=True).stdout.split()[2].strip(",")


def identity(engine: Engine) -> str:
    return engine.api("GET", "/networks/host")["Id"]


# -- the local socket, and the files ---------------------------------------------------------------------------


def test_a_plain_docker_reaches_the_engine(home: Home, engine: Engine) -> None:
    done = home.change(docker_host=engine.url, description="The <b>engine</b> & more", current=True)
    assert done["plan"] == ["+ context/lab   missing"]
    assert home.reached() == home.reached("--context", "lab") == identity(engine)
    rows = [json.loads(line) for line in home.docker("context", "ls", "--format", "{{json .}}").splitlines()]
    (row,) = (row for row in rows if row["Name"] == "lab")
    assert (row["Current"], row["Description"], row["DockerEndpoint"]) == (True, "The <b>engine</b> & more", engine.url)
    (document,) = json.loads(home.docker("context", "inspect", "lab"))
    assert document["Endpoints"] == {"docker": {"Host": engine.url, "SkipTLSVerify": False}}
    assert document["Storage"]["MetadataPath"] == str(Path(done["resources"]["context/lab"]["path"]).parent)


def test_absent_leaves_nothing_in_a_home(home: Home, engine: Engine) -> None:
    home.change(docker_host=engine.url, current=True)
    home.change(state="absent")
    assert home.tree() == {}


def test_files_are_those_that_the_cli_writes(home: Home, engine: Engine, runner: Runner, tmp_path: Path) -> None:
    """Byte for byte, less our label."""
    other = Home(runner, tmp_path / "other", home.cli)
    other.docker("context", "create", "lab", "--description", "a <b> ü", "--docker", f"host={engine.url}")
    other.docker("context", "use", "lab")
    home.change(docker_host=engine.url, description="a <b> ü", current=True)
    theirs, ours = other.tree(), home.tree()
    assert set(theirs) == set(ours)
    for path, (mode, content) in theirs.items():
        if path != ".docker":  # whichever command of theirs comes first decides about its mode
            assert ours[path][0] == mode, path
        if path.endswith("meta.json"):
            document = json.loads(ours[path][1])
            del document["Metadata"]["Slipway"]
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
            assert text.replace(b"<", rb"\u003c").replace(b">", rb"\u003e") == content
        else:
            assert ours[path][1] == content, path


def test_what_the_cli_does_is_kept_and_mended(home: Home, engine: Engine) -> None:
    """The CLI keeps our label when it changes a context, so what it changes is drift."""
    options = {"docker_host": engine.url, "current": True}
    home.change(**options)
    home.docker("context", "update", "lab", "--description", "by hand", "--docker", "host=unix:///run/wrong.sock")
    assert home.change(**options)["plan"] == [f"~ context/lab   docker_host: unix:///run/wrong.sock -> {engine.url}"]
    assert "by hand" in home.docker("context", "ls"), "nobody said anything of the description"
    home.docker("context", "use", "default")
    assert home.change(**options)["plan"] == ["~ context/lab   current: false -> true"]


def test_contexts_of_the_cli_are_adopted_and_come_back(home: Home, engine: Engine) -> None:
    home.docker("context", "create", "mine", "--docker", f"host={engine.url}")
    home.docker("context", "use", "mine")
    home.settled(name="mine", docker_host=engine.url, current=True)
    home.change(docker_host=engine.url, current=True)
    home.docker("context", "use", "mine")
    home.docker("context", "use", "lab")
    home.change(state="absent")
    assert home.reached() == identity(engine)
    assert json.loads((home.folder / ".docker" / "config.json").read_text())["currentContext"] == "mine"


def test_credentials_survive(home: Home, engine: Engine) -> None:
    folder = home.folder / ".docker"
    folder.mkdir()
    before = {
        "credHelpers": {"gcr.io": "gcloud"},
        "auths": {"r.example": {"auth": "bWU6cGFzc3dvcmQ="}},
        "ours-unknown": [1, {"a": None}],
    }
    (folder / "config.json").write_text(json.dumps(before, indent="\t"))
    (folder / "config.json").chmod(0o600)
    tree = home.tree()
    home.change(docker_host=engine.url, current=True)
    assert json.loads((folder / "config.json").read_text()) == {**before, "currentContext": "lab"}
    assert home.reached() == identity(engine)
    home.change(state="absent")
    assert home.tree() == tree, "byte for byte"


def test_a_variable_that_comes_before_is_told(home: Home, engine: Engine) -> None:
    options = {"docker_host": engine.url, "current": True}
    for environ in ({"DOCKER_HOST": "unix:///run/other.sock"}, {"DOCKER_CONTEXT": "default"}):
        (warning,) = home.task(environ=environ, **options).ok().warned
        assert warning.startswith(next(iter(environ)))
    assert not home.task(environ={"DOCKER_CONTEXT": "lab"}, **options).ok().warned
    elsewhere = str(home.folder / "elsewhere")
    home.task(environ={"DOCKER_CONFIG": elsewhere}, **options).ok()
    assert (Path(elsewhere) / "config.json").exists()


def test_what_may_not_be_read_or_written_is_told(home: Home, engine: Engine, files: dict[str, str]) -> None:
    if home.cli != CLIS[0] or not shutil.which("setpriv"):
        pytest.skip("the CLI has no part in it, or setpriv (util-linux) is not here")
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    if subprocess.run(
        [*nobody, sys.executable, "-c", f"import os; os.listdir({str(COLLECTIONS)!r})"], check=False
    ).returncode:
        pytest.skip("another user may not read this directory or run this Python")
    where = {"name": "lab", "config_dir": "/tmp/slipway-no-such-home/.docker"}
    given = {"docker_host": "tcp://127.0.0.1:1", "verify": False}
    place = Path(tempfile.mkdtemp(prefix="slipway-files-"))
    try:
        place.chmod(0o755)
        for option, path in files.items():
            shutil.copy(path, place / option)
            (place / option).chmod(0o600 if option == "client_key" else 0o644)
        paths = {option: str(place / option) for option in files}
        said = home.runner.module("context", {**where, **given, **paths}, env=home.environ, prefix=nobody).msg
        assert said.startswith("client_key: ") and "may not be read by nobody" in said
        said = home.runner.module(
            "context", {**where, **given, "config_dir": str(place)}, env=home.environ, prefix=nobody
        ).msg
        assert said.startswith("config_dir: ") and "may not be written to by nobody" in said
        engine.directory.chmod(0o711)
        said = home.runner.module("context", {**where, "docker_host": engine.url}, env=home.environ, prefix=nobody).msg
        assert "nobody may not use the socket" in said
    finally:
        engine.directory.chmod(0o700)
        shutil.rmtree(place)


def test_the_sdk_is_not_needed(home: Home, engine: Engine, tmp_path: Path) -> None:
    if home.cli != CLIS[0]:
        pytest.skip("the CLI has no part in it")
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['docker'] = None\n")
    environ = {**home.environ, "PYTHONPATH": f"{tmp_path}:{COLLECTIONS}"}
    arguments = {"name": "lab", "docker_host": engine.url}
    assert home.runner.module("context", arguments, env=environ, python=[sys.executable]).ok().changed


# -- TLS -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "other-ca")


@pytest.fixture(scope="module")
def tls_engine(ca: Authority) -> Iterator[Engine]:
    """An engine that wants a client's certificate, in its own network."""
    cert, key = ca.issue("server", SERVER, ("127.0.0.1", "localhost"))
    with private_engine("-H", TLS, "--tlsverify", "--tlscacert", ca.path, "--tlscert", cert, "--tlskey", key) as engine:
        yield engine


@pytest.fixture(scope="module")
def plain_engine() -> Iterator[Engine]:
    """An engine that listens to everybody in its own network."""
    with private_engine("-H", PLAIN) as engine:
        yield engine


@pytest.fixture(scope="module")
def files(ca: Authority) -> dict[str, str]:
    cert, key = ca.issue("client")
    return {"ca_path": ca.path, "client_cert": cert, "client_key": key}


def test_tls(home: Home, tls_engine: Engine, files: dict[str, str], ca: Authority) -> None:
    home.inside = tls_engine
    home.change(docker_host=TLS, current=True, **files)
    assert home.reached() == home.reached("--context", "lab") == identity(tls_engine)
    cert, key = ca.issue("renewed")
    home.change(docker_host=TLS, current=True, **{**files, "client_cert": cert, "client_key": key})
    assert home.reached() == identity(tls_engine)
    home.change(docker_host=tls_engine.url)
    assert home.reached("--context", "lab") == identity(tls_engine)
    assert not (home.folder / ".docker" / "contexts" / "tls").exists()
    home.change(state="absent")
    assert home.tree() == {}


def test_tls_of_the_cli_is_adopted_without_a_change(home: Home, tls_engine: Engine, files: dict[str, str]) -> None:
    home.inside = tls_engine
    endpoint = f"host={TLS},ca={files['ca_path']},cert={files['client_cert']},key={files['client_key']}"
    home.docker("context", "create", "lab", "--docker", endpoint)
    home.settled(docker_host=TLS, **files)
    assert home.refused(docker_host=TLS, adopt="never", **files)
    home.change(current=True)
    assert home.reached() == identity(tls_engine)


def wrong_tls(ca: Authority, other_ca: Authority) -> list[tuple[str, dict, str]]:
    """(what is wrong, options, what is said)."""
    intruder, old, young = other_ca.issue("intruder"), ca.issue("old", ends=-0.5), ca.issue("young", begins=1)
    locked, client, another = ca.issue("locked", passphrase=b"open sesame"), ca.issue("one"), ca.issue("another")
    return [
        ("a missing file", {"ca_path": "/no/such/ca.pem"}, "is not there"),
        ("no PEM", {"client_cert": "/etc/hostname"}, "PEM is wanted"),
        ("a key for a certificate", {"client_cert": client[1]}, "holds a private key"),
        ("an encrypted key", {"client_cert": locked[0], "client_key": locked[1]}, "is encrypted"),
        ("the key of another", {"client_cert": client[0], "client_key": another[1]}, "is not the key of the certificate"),
        ("an expired certificate", {"client_cert": old[0], "client_key": old[1]}, "has expired"),
        ("a certificate of tomorrow", {"client_cert": young[0], "client_key": young[1]}, "is not valid before"),
        ("another authority", {"ca_path": other_ca.path}, "did not sign the certificate"),
        ("no authority", {"ca_path": None}, "no authority that this client trusts"),
        ("nobody", {"docker_host": "tcp://127.0.0.2:2376"}, "no engine answers"),
        ("another name", {"docker_host": "tcp://engine.example:2376"}, "is for 127.0.0.1, localhost, not for"),
        ("an unknown client", {"client_cert": intruder[0], "client_key": intruder[1]}, "refuses the certificate"),
        ("an authority alone", {"client_cert": None, "client_key": None}, "without a certificate of the client"),
        ("an authority alone, asked for", {"client_cert": None, "client_key": None, "allow_insecure": True}, "shows no certificate"),
        ("no TLS", {"ca_path": None, "client_cert": None, "client_key": None}, "speaks TLS"),
        ("no certificate for a key", {"client_cert": None}, "go together"),
    ]  # fmt: skip


def test_wrong_tls_is_refused_with_its_reason(
    home: Home, tls_engine: Engine, files: dict[str, str], ca: Authority, other_ca: Authority
) -> None:
    if home.cli != CLIS[0]:
        pytest.skip("the CLI has no part in it")
    home.inside = tls_engine
    hosts = home.folder.parent / "hosts"
    hosts.write_text("127.0.0.1 localhost engine.example\n")
    bound = f'mount --bind {hosts} /etc/hosts && exec "$0" "$@"'
    for what, options, reason in wrong_tls(ca, other_ca):
        given = {key: value for key, value in {"docker_host": TLS, **files, **options}.items() if value is not None}
        if "engine.example" in given["docker_host"]:
            prefix = [*home.prefix, "unshare", "--mount", "sh", "-c", bound]
            result = home.runner.module("context", {"name": "lab", **given}, env=home.environ, prefix=prefix)
            assert result.failed and reason in result.msg, (what, result)
        else:
            message = home.refused(**given)
            assert reason in message, (what, message)
    assert home.tree() == {}


def test_plain_tcp(home: Home, plain_engine: Engine, files: dict[str, str]) -> None:
    home.inside = plain_engine
    assert "speaks plain HTTP, no TLS" in home.refused(docker_host=PLAIN, **files)
    assert "is without TLS" in home.refused(docker_host="tcp://10.0.0.5:2375")
    home.change(docker_host=PLAIN)
    assert home.reached("--context", "lab") == identity(plain_engine)


# -- ssh -------------------------------------------------------------------------------------------------------


class Server:
    """An sshd of our own, by which the engine is reached, and a client that knows it: `ssh` on ``path`` reads ``config``."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.engine = folder, engine
        self.config, self.known = folder / "config", folder / "known_hosts"
        for name in ("host", "other", "client", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        shutil.copy(folder / "client.pub", folder / "authorized")
        (folder / "bin").mkdir()
        (folder / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.config} "$@"\n')
        (folder / "bin" / "ssh").chmod(0o755)
        self.path = f"{folder / 'bin'}:{os.environ['PATH']}"
        with closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"
        self.know("host", "client")

    def know(self, host: str, client: str) -> None:
        """Let the client know a host key (or none), and log in with a key."""
        line = f"[127.0.0.1]:{self.port} {(self.folder / f'{host}.pub').read_text()}" if host else ""
        self.known.write_text(line)
        self.config.write_text(
            f"Host *\n IdentityFile {self.folder}/{client}\n IdentitiesOnly yes\n IdentityAgent none\n"
            f" UserKnownHostsFile {self.known}\n GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking accept-new\n"
        )

    @contextmanager
    def running(self, **variables: str) -> Iterator[None]:
        """Run it; commands have these variables beside the engine's address."""
        words = " ".join(f'"{name}={value}"' for name, value in {"DOCKER_HOST": self.engine.url, **variables}.items())
        settings = [
            f"Port={self.port}", "ListenAddress=127.0.0.1", f"HostKey={self.folder}/host", f"AuthorizedKeysFile={self.folder}/authorized",
            "PidFile=none", "UsePAM=no", "StrictModes=no", "PasswordAuthentication=no", "PermitRootLogin=prohibit-password", f"SetEnv={words}",
        ]  # fmt: skip
        options = [word for setting in settings for word in ("-o", setting)]
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(
                [str(SSHD), "-f", "/dev/null", "-D", "-e", *options], stdin=subprocess.DEVNULL, stderr=log
            )
        try:
            wait_for(lambda: self._listens() or process.poll() is not None, 10, "sshd to listen")
            assert process.poll() is None, (self.folder / "log").read_text()
            yield
        finally:
            process.terminate()
            process.wait()

    def _listens(self) -> bool:
        with closing(socket.socket()) as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def server(engine: Engine, tmp_path: Path) -> Iterator[Server]:
    if SSHD is None:
        pytest.skip("sshd (openssh-server) is not here")
    made = not SEPARATION.exists() and os.geteuid() == 0
    if made:
        SEPARATION.mkdir(mode=0o755)
    folder = tmp_path / "sshd"
    folder.mkdir(mode=0o700)
    yield Server(folder, engine)
    if made:
        SEPARATION.rmdir()


def test_ssh(home: Home, server: Server, engine: Engine) -> None:
    home.environ["PATH"] = server.path
    with server.running():
        home.change(docker_host=server.url, current=True)
        assert home.reached() == home.reached("--context", "lab") == identity(engine)
    home.settled(docker_host=server.url, current=True)  # what is stored is not asked again
    home.change(state="absent")
    assert home.tree() == {}


def test_wrong_ssh_is_refused_with_its_reason(home: Home, server: Server, tmp_path: Path) -> None:
    if home.cli != CLIS[0]:
        pytest.skip("the CLI has no part in it")
    home.environ["PATH"] = server.path
    assert "is not reached" in home.refused(docker_host=server.url)
    with server.running():
        server.know("", "client")
        assert "is unknown" in home.refused(docker_host=server.url)
        assert server.known.read_text() == "", "whoever answers was taken for the host"
        server.know("other", "client")
        assert "is not the one that is known" in home.refused(docker_host=server.url)
        assert f"ssh-keygen -R [127.0.0.1]:{server.port}" in home.refused(docker_host=server.url)
        server.know("host", "stranger")
        assert "not in (" in home.refused(docker_host=server.url)
        server.know("host", "client")
        for tail, reason in (("/var/run/docker.sock", "a path"), ("?x=1", "a query")):
            assert reason in home.refused(docker_host=server.url + tail)
        hidden = home.refused(docker_host=server.url.replace("@", ":hidden@"))
        assert "holds a password" in hidden and ":hidden" not in hidden
        home.environ["PATH"] = str(tmp_path)
        assert "the program ssh" in home.refused(docker_host=server.url)
        home.environ["PATH"] = server.path
    with server.running(PATH=str(tmp_path)):
        assert "has no docker command" in home.refused(docker_host=server.url)
    with server.running(DOCKER_HOST="unix:///run/no-such.sock"):
        assert "no engine runs on" in home.refused(docker_host=server.url)
    assert home.tree() == {}


# -- through Ansible -------------------------------------------------------------------------------------------

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: context
      slipway.docker.context: {arguments}
"""


def test_no_key_is_shown_however_much_is_asked_for(
    runner: Runner, tmp_path: Path, engine: Engine, files: dict[str, str]
) -> None:
    arguments = {"name": "lab", "docker_host": "tcp://127.0.0.1:1", "verify": False, **files}
    play = playbook(
        PLAY.replace("{arguments}", json.dumps(arguments)), "-vvv", "--diff", env={"DOCKER_CONFIG": str(tmp_path)}
    )
    assert play.rc == 0, play.output
    assert play.result("context").changed
    secret = Path(files["client_key"]).read_text().splitlines()[1]
    assert secret not in play.output and "PRIVATE KEY" not in play.output
    (document,) = tmp_path.glob("contexts/meta/*/meta.json")
    assert secret not in document.read_text() and "PRIVATE KEY" not in document.read_text()
    assert document.stat().st_mode & 0o777 == 0o644
