# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pinned host key, with the real ssh, scp, sftp and Ansible against a real sshd: who is let in, who is refused, and what is left behind."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import host_key, ready

SSHD = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin:/usr/local/sbin")
SEPARATION = Path("/run/sshd")  # where sshd of Debian puts the part of it that has no rights
HERE = "127.0.0.1"


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind((HERE, 0))
        return listener.getsockname()[1]


class Guest:
    """An sshd of our own with a key of its own, as the user that we are."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self.port = port or free_port()
        private, self.public = host_key.make("guest")
        self.private_key = str(folder / "client")
        login, public = host_key.make("client")
        for name, text in (("host", private), ("client", login), ("authorized", public + "\n")):
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        (folder / "banner").write_text("Authorised use only.\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        settings = [
            f"Port={self.port}",
            f"ListenAddress={HERE}",
            f"HostKey={self.folder}/host",
            f"AuthorizedKeysFile={self.folder}/authorized",
            "PidFile=none",
            f"Banner={self.folder}/banner",
            "UsePAM=no",
            "StrictModes=no",
            "PasswordAuthentication=no",
            "PermitRootLogin=prohibit-password",
            "Subsystem=sftp internal-sftp",
        ]
        words = [word for setting in (*options, *settings) for word in ("-o", setting)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [SSHD, "-f", "/dev/null", "-D", "-e", *words],
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module", autouse=True)
def separation() -> Iterator[None]:
    made = not SEPARATION.exists() and os.geteuid() == 0
    if made:
        SEPARATION.mkdir(mode=0o755)
    yield
    if made:
        SEPARATION.rmdir()


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory, separation: None) -> Iterator[Guest]:
    found = Guest(tmp_path_factory.mktemp("guest") / "sshd")
    found.start()
    assert ready.ssh_ready(HERE, getpass.getuser(), found.public, found.private_key, 20, port=found.port).ok
    yield found
    found.stop()


@pytest.fixture(scope="module")
def other() -> str:
    """A public key that nobody has."""
    return host_key.make("nobody")[1]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with a careless ssh_config, in which nothing may be noted."""
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(mode=0o700, parents=True)
    config = folder / "config"
    config.write_text(
        "Host *\n StrictHostKeyChecking no\n UpdateHostKeys yes\n NoHostAuthenticationForLocalhost yes\n"
        f" CheckHostIP yes\n HashKnownHosts no\n UserKnownHostsFile {folder}/known_hosts\n HostKeyAlgorithms ecdsa-sha2-nistp256\n"
    )
    config.chmod(0o600)
    real = [Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts")]
    before = [path.read_bytes() if path.exists() else None for path in real]
    yield folder.parent
    assert [path.read_bytes() if path.exists() else None for path in real] == before
    assert sorted(path.name for path in folder.iterdir()) == ["config"]


def ssh(guest: Guest, home: Path, arguments: list[str], program: str = "ssh") -> subprocess.CompletedProcess[str]:
    """Run a client with these arguments first and with that home's configuration."""
    port = "-p" if program == "ssh" else "-P"
    login = f"{getpass.getuser()}@{HERE}"
    ending = {
        "ssh": [login, "echo in"],
        "scp": [f"{login}:{guest.folder}/authorized", str(home / "copied")],
        "sftp": [f"{login}:{guest.folder}/authorized", str(home / "copied")],
    }[program]
    command = [program, "-F", str(home / ".ssh" / "config"), *arguments, "-o", "BatchMode=yes", "-i", guest.private_key]
    return subprocess.run([*command, port, str(guest.port), *ending], capture_output=True, text=True, timeout=30)


# -- the pin ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alias", ["", "web.example-1"])
def test_the_pinned_key_is_let_in(guest: Guest, home: Path, alias: str) -> None:
    done = ssh(guest, home, host_key.known_hosts_arguments(guest.public, alias))
    assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr


@pytest.mark.parametrize("alias", ["", "web.example-1"])
def test_an_impostor_is_refused(guest: Guest, home: Path, other: str, alias: str) -> None:
    done = ssh(guest, home, host_key.known_hosts_arguments(other, alias))
    assert (done.returncode, done.stdout) == (255, "")
    assert "Host key verification failed." in done.stderr
    assert host_key.fingerprint(guest.public) in done.stderr


@pytest.mark.parametrize("program", ["scp", "sftp"])
def test_files_go_the_same_way(guest: Guest, home: Path, other: str, program: str) -> None:
    assert ssh(guest, home, host_key.known_hosts_arguments(other), program).returncode != 0
    assert not (home / "copied").exists()
    done = ssh(guest, home, host_key.known_hosts_arguments(guest.public), program)
    assert done.returncode == 0, done.stderr
    assert (home / "copied").read_bytes() == (guest.folder / "authorized").read_bytes()


def test_they_survive_a_shell(guest: Guest, home: Path, other: str) -> None:
    """As in ansible_ssh_args, GIT_SSH_COMMAND or a line of a script."""
    for public, code in ((guest.public, 0), (other, 255)):
        arguments = host_key.ansible_variables(public, "web")["ansible_ssh_args"]
        assert shlex.split(str(arguments))[:16] == host_key.known_hosts_arguments(public, "web")[:16]
        words = f"-F {home}/.ssh/config {arguments} -o ControlMaster=no -o BatchMode=yes -i {guest.private_key} -p {guest.port}"
        done = subprocess.run(
            f"ssh {words} {getpass.getuser()}@{HERE} echo in", shell=True, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == code, done.stderr


def test_ansible_refuses_an_impostor_whatever_its_configuration_says(guest: Guest, home: Path, other: str) -> None:
    environment = {
        **os.environ,
        "HOME": str(home),
        "ANSIBLE_HOST_KEY_CHECKING": "false",
        "ANSIBLE_SSH_ARGS": "-o StrictHostKeyChecking=no -o ControlMaster=no",
        "ANSIBLE_SSH_COMMON_ARGS": "-o StrictHostKeyChecking=no",
        "ANSIBLE_SSH_RETRIES": "0",
        "ANSIBLE_LOCAL_TEMP": str(home / "local"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(home / "cp"),
    }
    for public, code, words in ((guest.public, 0, "PONG"), (other, 4, "Host key verification failed")):
        variables = {
            **host_key.ansible_variables(public, "web"),
            "ansible_host": HERE,
            "ansible_port": guest.port,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": guest.private_key,
            "ansible_python_interpreter": sys.executable,
        }
        variables["ansible_ssh_args"] = str(variables["ansible_ssh_args"]).replace(
            "ControlMaster=auto", "ControlMaster=no"
        )
        inventory = home / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": {"web": variables}}}))
        command = [
            str(Path(sys.executable).parent / "ansible"),
            "all",
            "-i",
            str(inventory),
            "-m",
            "ansible.builtin.raw",
            "-a",
            "echo PONG",
        ]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code
        assert words in done.stdout + done.stderr


# -- the ladder ------------------------------------------------------------------------------------------------


def test_a_banner(guest: Guest) -> None:
    assert ready.probe(HERE, guest.port).startswith("SSH-2.0-OpenSSH")


def test_a_login_is_the_highest_rung(guest: Guest) -> None:
    verdict = ready.ssh_ready(
        HERE, getpass.getuser(), guest.public, guest.private_key, 20, port=guest.port, alias="web"
    )
    assert (verdict.ok, verdict.rung) == (True, "auth")


def test_without_a_private_key_the_host_key_is_the_highest(guest: Guest) -> None:
    verdict = ready.ssh_ready(HERE, getpass.getuser(), guest.public, None, 20, port=guest.port)
    assert (verdict.ok, verdict.rung) == (True, "host key")
    assert verdict.evidence.startswith("SSH-2.0-OpenSSH")


@pytest.mark.parametrize("with_key", [True, False])
def test_an_impostor_is_final(guest: Guest, other: str, with_key: bool) -> None:
    waited: list[float] = []
    key = guest.private_key if with_key else None
    verdict = ready.ssh_ready(HERE, getpass.getuser(), other, key, 60, port=guest.port, wait=waited.append)
    assert (verdict.ok, verdict.rung, verdict.final) == (False, "host key", True)
    assert host_key.fingerprint(guest.public) in verdict.evidence
    assert not waited


def test_a_key_that_is_not_let_in_is_said(guest: Guest, tmp_path: Path) -> None:
    path = tmp_path / "stranger"
    path.write_text(host_key.make("stranger")[0])
    path.chmod(0o600)
    waited: list[float] = []
    began = time.monotonic()
    verdict = ready.ssh_ready(
        HERE,
        getpass.getuser(),
        guest.public,
        str(path),
        60,
        port=guest.port,
        wait=lambda seconds: not waited.append(seconds),
    )
    assert (verdict.ok, verdict.rung) == (False, "auth")
    assert "Permission denied (publickey" in verdict.evidence
    took = time.monotonic() - began
    assert len(waited) == 1
    assert max(ready.FIRST_PAUSE, ready.PAUSE_AFTER_REFUSAL - took) <= waited[0] <= ready.PAUSE_AFTER_REFUSAL


def test_a_key_that_others_may_read_is_said(guest: Guest, tmp_path: Path) -> None:
    path = tmp_path / "open"
    path.write_text(Path(guest.private_key).read_text())
    path.chmod(0o644)
    verdict = ready.ssh_ready(
        HERE, getpass.getuser(), guest.public, str(path), 5, port=guest.port, wait=lambda _seconds: True
    )
    assert (verdict.ok, verdict.rung) == (False, "auth")
    assert "UNPROTECTED PRIVATE KEY FILE" in verdict.evidence


def test_it_waits_for_a_guest_that_comes_up(tmp_path: Path, separation: None) -> None:
    guest = Guest(tmp_path / "late")
    timer = threading.Timer(0.7, guest.start)
    timer.start()
    try:
        verdict = ready.ssh_ready(HERE, getpass.getuser(), guest.public, guest.private_key, 20, port=guest.port)
        assert verdict.ok, verdict
    finally:
        timer.join()
        guest.stop()


def test_a_host_without_such_a_key_may_get_it_yet(tmp_path: Path, separation: None) -> None:
    guest = Guest(tmp_path / "rsa")
    (guest.folder / "host").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", guest.folder / "host"], check=True)
    guest.start()
    try:
        verdict = ready.ssh_ready(HERE, getpass.getuser(), guest.public, None, 2, port=guest.port)
        assert (verdict.ok, verdict.rung, verdict.final) == (False, "host key", False)
        assert "no matching host key type found" in verdict.evidence
    finally:
        guest.stop()


def test_a_missing_client_is_said(monkeypatch: pytest.MonkeyPatch, guest: Guest, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlipwayError, match="install openssh-client"):
        ready.ssh_ready(HERE, getpass.getuser(), guest.public, None, 5, port=guest.port)


def test_words_put_in_its_mouth_prove_nothing(other: str) -> None:
    """A server may end the connection with a text of its own before its key was looked at, and that text may have several lines."""
    text = f"x\n{getpass.getuser()}@{HERE}: Permission denied (publickey).".encode()
    payload = b"\1" + struct.pack(">I", 2) + struct.pack(">I", len(text)) + text + struct.pack(">I", 0)
    padding = 8 - (len(payload) + 5) % 8 + 8
    packet = struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)
    with socket.create_server((HERE, 0)) as listener:

        def answer() -> None:
            for _attempt in range(2):
                connection, _peer = listener.accept()
                with connection:
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" + packet)
                    while connection.recv(4096):
                        pass

        server = threading.Thread(target=answer, daemon=True)
        server.start()
        port = listener.getsockname()[1]
        verdict = ready.ssh_ready(HERE, getpass.getuser(), other, None, 10, port=port, wait=lambda _seconds: True)
        server.join(10)
    assert (verdict.ok, verdict.rung) == (False, "host key")
    assert "Permission denied (publickey)" in verdict.evidence
