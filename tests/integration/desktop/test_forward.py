# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine of a machine on a workstation: a real engine and a real sshd in a network of their own, and somebody without rights in another."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import INSTALLED
from harness.engine import IMAGE, Engine
from harness.namespaces import (
    ROOT,
    SYSTEM_PATH,
    Namespaces,
    clean_after_others,
    end_holder,
    one_of,
    remove_directory,
    run,
    wait_for,
)

NAMES = [f"slipway-desk-{number}" for number in range(1, 9)]
COMMANDS = {
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "busybox": "busybox-static",
    "setpriv": "util-linux",
    "virsh": "libvirt-clients",
}
SEPARATION = Path("/run/sshd")  # where sshd of Debian puts the part of it that has no rights
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or "python3"
PERSON = 1999
GUEST, HERE = "10.97.0.1", "10.97.0.2"
BACK = 5  # seconds, promised for each loss
SEEN = 3  # seconds for each port; one is promised, and this machine may have much else to do


class Workstation(Namespaces):
    """Where somebody without rights of his own uses an engine that is elsewhere."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.home = self.directory / "home"
        self.lab = self.home / "lab"
        self.socket = self.lab / "docker.sock"
        self.config = self.home / "lab.json"
        self.program = [PYTHON, str(self.home / "slipway_desktop")]
        self.running: subprocess.Popen[bytes] | None = None

    def start(self, guest: Guest) -> None:
        """Make it, with a cable to the guest, whose key is pinned."""
        self.directory.mkdir(mode=0o755)
        self.home.mkdir(mode=0o700)
        self.hold()
        for name, line in (
            ("passwd", f"person:x:{PERSON}:{PERSON}::{self.home}:/bin/sh"),
            ("group", f"person:x:{PERSON}:"),
        ):
            (self.directory / name).write_text(f"{Path('/etc', name).read_text()}{line}\n")
            self.in_namespaces("mount", "--bind", str(self.directory / name), f"/etc/{name}")
        init = self.enter("true")[2]
        guest.engine.in_netns("ip", "link", "add", self.name[8:], "type", "veth", "peer", "name", "up0", "netns", init)
        for place, address, link in ((guest.engine, GUEST, self.name[8:]), (self, HERE, "up0")):
            place.in_netns("ip", "address", "add", f"{address}/24", "dev", link)
            place.in_netns("ip", "link", "set", link, "up")
        shutil.copytree(INSTALLED / "roles" / "desktop" / "files" / "slipway_desktop", self.home / "slipway_desktop")
        ssh = self.home / ".ssh"
        ssh.mkdir(mode=0o700)
        shutil.copy(guest.folder / "client", ssh / "key")
        (ssh / "known_hosts").write_text(f"slipway-lab {(guest.folder / 'host.pub').read_text()}")
        (ssh / "config").write_text(
            f"Host slipway-lab\n HostName {GUEST}\n User root\n HostKeyAlias slipway-lab\n IdentityFile {ssh}/key\n"
            f" IdentitiesOnly yes\n UserKnownHostsFile {ssh}/known_hosts\n"
        )
        self.configure(guest)
        run(["chown", "-R", f"{PERSON}:{PERSON}", str(self.home)])

    def configure(self, guest: Guest, **changes: object) -> None:
        said = {
            "name": "lab",
            "ssh": "slipway-lab",
            "directory": str(self.lab),
            "socket": str(self.socket),
            "remote_socket": guest.engine.socket,
        }
        self.config.write_text(json.dumps({**said, **changes}))

    def person(self, *command: str) -> list[str]:
        """A command line of somebody who sits there."""
        become = ["setpriv", f"--reuid={PERSON}", f"--regid={PERSON}", "--clear-groups", "--"]
        return self.enter(*become, "env", "-i", f"HOME={self.home}", f"PATH={SYSTEM_PATH}", *command)

    def does(self, *command: str, check: bool = True, input: str | None = None) -> str:
        return run(self.person(*command), check=check, input=input)

    def docker(self, *arguments: str, check: bool = True, input: str | None = None) -> str:
        return self.does("docker", "--host", f"unix://{self.socket}", *arguments, check=check, input=input)

    def answers(self) -> bool:
        return self.status().get("connected", False)

    def log(self, lines: int = 100) -> str:
        return (self.directory / "program.log").read_text()

    def said(self, words: str) -> int:
        return self.log().count(words)

    def status(self) -> dict:
        try:
            return json.loads((self.lab / "status.json").read_text())
        except (OSError, ValueError):
            return {}

    def problems(self) -> str:
        return " | ".join(self.status().get("problems", []))

    def reaches(self, address: str) -> str:
        """What a web server says there; nothing when there is none."""
        return run(self.enter("busybox", "wget", "-q", "-O", "-", f"http://{address}/group", pid=False), check=False)

    def listens(self, port: int) -> bool:
        """Say whether somebody listens on a port of it, whoever that is."""
        pattern = re.compile(rf":{port:04X} 0+:0000 0A ")
        files = (Path(f"/proc/{self.enter('true')[2]}/net/{name}") for name in ("tcp", "tcp6"))
        return any(pattern.search(path.read_text()) for path in files)

    def processes(self, word: str) -> list[int]:
        return processes_in(self, word)

    def connection(self) -> int:
        """The ssh that holds the connection; others, each of which asks it for one port, soon end."""

        def alone() -> list[int]:
            found = self.processes("ssh")
            return found if len(found) == 1 else []

        (pid,) = wait_for(alone, 2, "one ssh")
        return pid

    @contextmanager
    def program_runs(self) -> Iterator[None]:
        """Run it in the foreground, as systemd would."""
        with open(self.directory / "program.log", "wb") as log:
            self.running = subprocess.Popen(
                self.person(*self.program, "run", str(self.config)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            wait_for(lambda: self.said("answers at"), 15, "the engine")
            yield
        finally:
            self.end_program()

    def end_program(self) -> float:
        """Ask it to end; return the seconds that it took."""
        began = time.monotonic()
        for pid in self.processes("slipway_desktop"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if self.running:
            self.running.wait(10)
            self.running = None
        return time.monotonic() - began

    def left(self) -> list[str]:
        """What is there that was not there before: sockets, status, processes."""
        files = {path.name for path in self.lab.iterdir()} if self.lab.is_dir() else set()
        others = [str(pid) for word in ("ssh", "slipway_desktop") for pid in self.processes(word)]
        return sorted(files - {"lock", "log"}) + others


class Guest:
    """An sshd beside the engine, as in a machine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        for name in ("host", "client"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)])

    def start(self) -> None:
        settings = [
            "Port=22", f"HostKey={self.folder}/host", f"AuthorizedKeysFile={self.folder}/client.pub", "PidFile=none", "UsePAM=no",
            "StrictModes=no", "PasswordAuthentication=no", "PermitRootLogin=prohibit-password",
        ]  # fmt: skip
        words = [word for setting in settings for word in ("-o", setting)]
        sshd = shutil.which("sshd", path=SYSTEM_PATH)
        with open(self.folder / "log", "ab") as log:
            self.engine.spawn([str(sshd), "-f", "/dev/null", "-D", "-e", *words], stdout=log, stderr=log)

    def connections(self) -> list[int]:
        return processes_in(self.engine, "sshd: root")

    def stop(self) -> None:
        """As when the machine is switched off, but for the network."""
        for pid in processes_in(self.engine, "sshd"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes_in(place: Namespaces, word: str) -> list[int]:
    """The processes there whose command line begins with the word, or has it as the name of a program; as this machine numbers them."""
    space = os.readlink(f"/proc/{place.enter('true')[2]}/ns/pid")
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(path / "ns" / "pid") == space:
                words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0].startswith(word) or any(part.endswith(f"/{word}") for part in words[:2]):
                    found.append(int(path.name))
    return found


def clean(name: str) -> None:
    end_holder(name)
    remove_directory(name)


@pytest.fixture(scope="module")
def guest(session_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    made = not SEPARATION.exists()
    if made:
        SEPARATION.mkdir(mode=0o755)
    found = Guest(session_engine, tmp_path_factory.mktemp("guest"))
    found.start()
    yield found
    found.stop()
    if made:
        SEPARATION.rmdir()


@pytest.fixture(scope="module")
def place(guest: Guest) -> Iterator[Workstation]:
    def tidy() -> None:
        clean_after_others(NAMES, lambda name: (ROOT / name).exists(), clean)

    with one_of(NAMES, "workstation", COMMANDS, tidy) as name:
        workstation = Workstation(name)
        try:
            workstation.start(guest)
            yield workstation
        finally:
            workstation.end()
            clean(name)


@pytest.fixture
def here(place: Workstation, engine: Engine) -> Iterator[Workstation]:
    """A workstation on which the program runs, and after which nothing is left."""
    with place.program_runs():
        yield place
    assert place.left() == []


def web(engine: Engine, name: str, *options: str) -> None:
    options = ("--detach", "--stop-signal", "KILL", *options)
    engine.run_cli("run", "--name", name, *options, f"{IMAGE}:1", "httpd", "-f", "-p", "80", "-h", "/etc")


def back(here: Workstation, since: int, seconds: float = BACK) -> float:
    """Wait until an engine answers over another ssh than before; return the seconds that it took."""
    began = time.monotonic()

    def again() -> bool:
        others = [pid for pid in here.processes("ssh") if pid != since]
        return (
            bool(others) and here.answers() and here.docker("version", "-f", "{{.Server.Os}}", check=False) == "linux"
        )

    wait_for(again, seconds, f"the engine to be back: {here.log()}")
    return time.monotonic() - began


# -- the socket ------------------------------------------------------------------------------------------------


def test_a_plain_docker_has_the_engine(here: Workstation, engine: Engine) -> None:
    assert here.docker("network", "inspect", "host", "-f", "{{.Id}}") == engine.api("GET", "/networks/host")["Id"]
    assert here.docker("run", "--rm", f"{IMAGE}:1", "echo", "in the guest") == "in the guest"
    assert here.docker("run", "--rm", "--interactive", f"{IMAGE}:1", "cat", input="to the end") == "to the end"
    for path in (here.socket, here.lab / "ssh", here.lab / "canary"):
        assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == PERSON
    assert here.lab.stat().st_mode & 0o777 == 0o700


def test_forty_at_once(here: Workstation) -> None:
    with ThreadPoolExecutor(40) as pool:
        done = list(pool.map(lambda _number: here.docker("ps", "--quiet", check=True), range(40)))
    assert done == [""] * 40


def test_it_is_about_as_fast_as_the_engines_own_socket(here: Workstation, engine: Engine) -> None:
    def seconds(socket: str) -> float:
        began = time.monotonic()
        here.enter()
        run(["docker", "--host", f"unix://{socket}", "ps"])
        return time.monotonic() - began

    pairs = [(seconds(engine.socket), seconds(str(here.socket))) for _ in range(31)]
    near, far = (statistics.median(side) for side in zip(*pairs))
    print(f"docker ps: {near * 1000:.0f} ms there, {far * 1000:.0f} ms here, {far / near:.2f} times")
    assert far < 1.5 * near


# -- ports -----------------------------------------------------------------------------------------------------


def test_a_port_comes_and_goes_with_its_container(here: Workstation, engine: Engine) -> None:
    assert here.reaches("127.0.0.1:8080") == ""
    web(engine, "web", "--publish", "127.0.0.1:8080:80")
    began = time.monotonic()
    wait_for(lambda: "root" in here.reaches("127.0.0.1:8080"), SEEN, "the port")
    print(f"the port is there {time.monotonic() - began:.2f} s after its container")
    forward = {"here": "127.0.0.1:8080", "there": "127.0.0.1:8080", "container": "web"}
    wait_for(lambda: here.status()["forwards"] == [forward], SEEN, "the port in the status")
    assert here.reaches(f"{HERE}:8080") == "", "only this workstation was asked for"
    here.docker("rm", "--force", "web")
    began = time.monotonic()
    wait_for(lambda: here.status()["forwards"] == [], SEEN, "the port to go")
    print(f"it is gone {time.monotonic() - began:.2f} s after it")
    assert not here.listens(8080)


def test_all_that_is_published(here: Workstation, engine: Engine) -> None:
    web(
        engine,
        "all",
        "--publish",
        "8081:80",
        "--publish",
        "8053:53/udp",
        "--publish",
        f"{GUEST}:8082:80",
        "--publish",
        "81:80",
    )
    wait_for(lambda: "root" in here.reaches("127.0.0.1:8081"), SEEN, "the port of all addresses")
    wait_for(lambda: "root" in here.reaches("127.0.0.1:8082"), SEEN, "the port of the guest's address")
    assert here.reaches("127.0.0.1:81") == ""
    wait_for(lambda: "port 81 of all" in here.problems(), SEEN, "the word on the low port")
    assert "write `net.ipv4.ip_unprivileged_port_start=81" in here.problems()
    (note,) = here.status()["notes"]
    assert "port 8053/udp of all is not forwarded: ssh carries TCP only" in note
    engine.run_cli("restart", "--time", "0", "all")
    wait_for(lambda: "root" in here.reaches("127.0.0.1:8081"), 3, "the port after a restart")
    wait_for(lambda: here.said("8053/udp") != 2, SEEN, "the word that it has come again, when it was seen to go")
    assert here.said("8053/udp") in (1, 3), "once each time that it has come, and once that it has gone"


def test_a_port_that_is_taken(here: Workstation, engine: Engine) -> None:
    taker = subprocess.Popen(here.person("busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", str(here.home)))
    try:
        web(engine, "first", "--publish", "8080:80", "--publish", "8081:80")
        wait_for(lambda: "root" in here.reaches("127.0.0.1:8081"), SEEN, "the other port")
        wait_for(
            lambda: "port 8080 of first is not forwarded: 127.0.0.1:8080 is taken" in here.problems(), SEEN, "the word"
        )
        said = json.loads(here.does(*here.program, "status", "--json", str(here.config), check=False))
        assert said["connected"] and len(said["problems"]) == 1
    finally:
        for pid in here.processes("busybox"):
            os.kill(pid, signal.SIGKILL)
        taker.wait()
    web(engine, "second", "--publish", "8083:80")  # a change is a reason to try again
    wait_for(lambda: "root" in here.reaches("127.0.0.1:8080"), SEEN, "the port that is free now")
    wait_for(lambda: here.problems() == "", SEEN, "no word of it")
    assert here.said("is taken") == 2, "once, and that it is over"


# -- losses ----------------------------------------------------------------------------------------------------


def test_ssh_is_killed_twenty_times(here: Workstation, engine: Engine) -> None:
    web(engine, "web", "--publish", "8080:80")
    took = []
    for _ in range(20):
        pid = here.connection()
        os.kill(pid, signal.SIGKILL)
        took.append(back(here, pid))
    print(f"back after {statistics.median(took):.2f} s, at most {max(took):.2f} s")
    wait_for(lambda: "root" in here.reaches("127.0.0.1:8080"), SEEN, "the port")


def test_a_connection_that_is_frozen_is_replaced(here: Workstation, guest: Guest) -> None:
    """The network says nothing of it; only whoever asks finds out."""
    old = here.connection()
    frozen = guest.connections()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        back(here, old, 15)
        print(f"replaced after {time.monotonic() - began:.1f} s")
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert here.said("lost slipway-lab: it does not answer") == 1


def test_an_engine_that_hangs_costs_no_connection(here: Workstation, engine: Engine) -> None:
    ssh = here.connection()
    engine.signal_daemon("STOP")
    try:
        wait_for(lambda: "does not answer in time" in here.problems(), 10, "the word")
    finally:
        engine.signal_daemon("CONT")
    wait_for(here.answers, BACK, "the engine")
    assert here.connection() == ssh


def test_an_engine_that_ends_is_awaited(here: Workstation, engine: Engine) -> None:
    web(engine, "web", "--publish", "8080:80")
    ssh = here.connection()
    engine.stop_daemon()
    wait_for(lambda: "the engine does not run (yet)" in here.problems(), BACK, "the word")
    engine.start_daemon()
    wait_for(here.answers, BACK, "the engine")
    wait_for(lambda: here.reaches("127.0.0.1:8080") == "" and not here.status()["forwards"], 2, "the port to go")
    assert here.connection() == ssh


def test_a_guest_that_goes_and_comes_back(here: Workstation, guest: Guest) -> None:
    old = here.connection()
    guest.stop()
    wait_for(lambda: "is not reached" in here.problems(), BACK, "the word")
    time.sleep(2)  # several tries
    assert here.said("is not reached: its sshd does not run (yet)") == 1
    guest.start()
    back(here, old)


def test_a_socket_that_somebody_removes_comes_back(here: Workstation) -> None:
    old = here.connection()
    here.socket.unlink()
    back(here, old)


# -- the program -----------------------------------------------------------------------------------------------


def test_it_is_killed_and_started_again(place: Workstation, engine: Engine) -> None:
    web(engine, "web", "--publish", "8080:80")
    with place.program_runs():
        ssh = place.connection()
        for pid in place.processes("slipway_desktop"):
            os.kill(pid, signal.SIGKILL)
        assert place.running
        place.running.wait(5)
        assert place.connection() == ssh, "the orphan"
    with place.program_runs():
        assert ssh not in place.processes("ssh")
        wait_for(lambda: "root" in place.reaches("127.0.0.1:8080"), SEEN, "the port")
        assert place.end_program() < 2
    assert place.left() == [] and place.reaches("127.0.0.1:8080") == ""


def test_in_the_background(place: Workstation, engine: Engine, guest: Guest) -> None:
    web(engine, "web", "--publish", "8080:80")
    config = str(place.config)
    place.configure(guest, addresses=["127.0.0.1", "::1"])
    assert "nothing runs" in place.does(*place.program, "status", config, check=False)
    place.does(*place.program, "start", config)
    try:
        wait_for(lambda: "root" in place.reaches("[::1]:8080"), BACK, "the port")
        wait_for(lambda: len(place.status()["forwards"]) == 2, SEEN, "the ports in the status")
        assert "already" in place.does(*place.program, "start", config), "one for each name"
        assert place.connection()
        assert place.does(*place.program, "status", config).splitlines() == [
            f"lab: the engine answers at unix://{place.socket}",
            "  127.0.0.1:8080  web",
            "  [::1]:8080      web",
        ]
        assert (place.lab / "log").stat().st_mode & 0o777 == 0o600
        for pid in place.processes("slipway_desktop"):
            os.kill(pid, signal.SIGKILL)
    finally:
        place.does(*place.program, "stop", config)
        place.configure(guest)
    assert place.left() == [], "also of one that was killed"
    place.does(*place.program, "stop", config)


def test_what_is_not_ours_is_left_alone(place: Workstation, engine: Engine) -> None:
    """A file in place of the socket, or a socket that somebody listens on."""
    place.lab.mkdir(exist_ok=True)
    place.socket.write_text("precious")
    try:
        running = subprocess.Popen(
            place.person(*place.program, "run", str(place.config)),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        said, code = running.communicate(timeout=10)[1], running.returncode
        assert code == 2 and f"{place.socket} is there and is no socket" in said
        assert place.socket.read_text() == "precious"
    finally:
        place.socket.unlink()
    assert place.left() == []


NODE = """
<node xmlns:test="http://libvirt.org/schemas/domain/test/1.0"><domain type="test">
<name>lab</name><memory>65536</memory><os><type>hvm</type></os>
<test:runstate>{state}</test:runstate></domain></node>
"""


@pytest.mark.parametrize(("state", "words"), [(5, "started the machine lab"), (3, "it is paused")])
def test_the_machine_is_started_when_it_is_off(place: Workstation, guest: Guest, state: int, words: str) -> None:
    """By the real virsh, on the hypervisor that libvirt brings for tests."""
    node = place.home / "node.xml"
    node.write_text(NODE.format(state=state))
    place.configure(guest, machine={"uri": f"test://{node}", "domain": "lab"})
    try:
        with place.program_runs():
            wait_for(lambda: words in place.log(), BACK, "the word")
    finally:
        place.configure(guest)
