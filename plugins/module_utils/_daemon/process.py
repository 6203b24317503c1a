# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The daemon's process and who runs it: a unit of systemd, or nobody. Nothing is decided here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .._converge.errors import SlipwayError
from .._converge.secret import mask
from . import flags as flag
from .api import wait

UNIT = "docker.service"
UNITS = "/run/systemd/system"  # is there where systemd is the first process
SCRIPT = "/etc/init.d/docker"
LOG = "/var/log/docker.log"  # where a daemon's words go that had no log of its own
APPEARS = 5.0  # seconds after which a script's daemon must be seen
DEFAULTS = "/etc/default/docker"  # what Debian's init script reads its flags from
PATHS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
QUIET = re.compile(r'level="?(?:trace|debug|info|warn)|"level":"(?:trace|debug|info|warn)|^\s*$')
MESSAGE = re.compile(r'msg="((?:[^"\\]|\\.)*)"(?:.*?\serror="((?:[^"\\]|\\.)*)")?')


def search_path() -> str:
    """Where programs are looked for: a module's own path often lacks sbin."""
    known = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join([*known, *(path for path in PATHS if path not in known)])


def environment() -> dict[str, str]:
    """The environment of what is run, less what points a client elsewhere."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
    return {**own, "PATH": search_path(), "LC_ALL": "C"}


def run(command: Sequence[str], seconds: float, input: bytes | None = None) -> subprocess.CompletedProcess:
    """Run a program to its end; raises SlipwayError when it is not there, or has none in time."""
    try:
        return subprocess.run(
            command, input=input, stdin=None if input is not None else subprocess.DEVNULL, capture_output=True, timeout=seconds,
            env=environment(), check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SlipwayError(
            f"{' '.join(command[:2])}: has not ended after {seconds:g} s; see to the cause, then run again"
        ) from None
    except OSError as error:
        raise SlipwayError(f"{command[0]}: {error.strerror}") from None


@dataclass(frozen=True)
class Process:
    """A daemon that runs: its number, its words, its environment and the file its words go to (empty when they go elsewhere)."""

    pid: int
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: str = ""

    @property
    def flags(self) -> list[flag.Flag]:
        """Its flags."""
        return flag.parse(self.arguments[1:])

    @property
    def since(self) -> float:
        """When it was started, as the clock has it now; 0 when it has ended."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="utf-8", errors="replace") as file:
                ticks = int(file.read().rpartition(")")[2].split()[19])
            with open("/proc/uptime", encoding="utf-8") as file:
                uptime = float(file.read().split()[0])
        except (OSError, ValueError, IndexError):
            return 0.0
        return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")

    @property
    def lives(self) -> bool:
        """Whether it runs; one that has ended may stay in /proc until it is reaped, but has no program any more."""
        return bool(_exe(self.pid))


def _exe(pid: int | str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _read(pid: int | str) -> Process | None:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = tuple(word.decode(errors="surrogateescape") for word in file.read().split(b"\0")[:-1])
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = [word.decode(errors="surrogateescape").partition("=") for word in file.read().split(b"\0") if word]
        log = os.readlink(f"/proc/{pid}/fd/2")
    except OSError:
        return None
    return Process(int(pid), arguments, {name: value for name, _is, value in pairs}, log if os.path.isfile(log) else "")


def _daemons() -> Iterator[Process]:
    """The daemons among the processes of our own namespace; those in containers have one of their own."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if os.path.basename(_exe(pid)).partition(" ")[0] != "dockerd":
            continue
        with suppress(OSError):
            if os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid"):
                continue
            found = _read(pid)
            if found and found.arguments:
                yield found


def find(path: str) -> Process | None:
    """The daemon that reads the file at this path."""
    wanted = os.path.realpath(path)
    for process in _daemons():
        file = flag.value_of(process.flags, "config-file", flag.CONFIG_FILE)
        if os.path.realpath(file) == wanted:
            return process
    return None


def running() -> list[Process]:
    """All daemons of our own process namespace."""
    return list(_daemons())


class Service:
    """Whoever runs the daemon. ``seconds`` bound how long it may take to start or end."""

    called = "the daemon"
    by_hand = False  # whether it was started as a process that nobody starts again when the host boots

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def unit_flags(self) -> list[flag.Flag]:
        """The flags of its unit, where it has one."""
        return []

    def start_notes(self, process: Process | None) -> dict[str, Any] | None:
        """What has to be remembered to start it again, should we be killed in between; None when nothing has."""
        return None

    def reload(self, process: Process) -> None:
        """Tell the daemon to read its file."""
        try:
            os.kill(process.pid, signal.SIGHUP)
        except OSError as error:
            raise SlipwayError(
                f"the daemon, process {process.pid}, cannot be told to reload: {error.strerror}"
            ) from None

    def restart(self) -> None:
        """End the daemon, if it runs, and start it; returns when its program runs, which need not answer yet."""
        raise NotImplementedError

    def mark(self) -> Any:
        """A place in the daemon's log, from which ``words`` reads."""
        raise NotImplementedError

    def lines(self, mark: Any) -> list[str]:
        """The lines of the log behind a mark."""
        raise NotImplementedError

    def ended(self) -> bool:
        """Whether the daemon that was started is known to have ended."""
        return False

    def words(self, mark: Any) -> str:
        """The last thing that the daemon complained of behind a mark, empty when there is nothing."""
        return last_words(self.lines(mark))


def last_words(lines: Sequence[str]) -> str:
    """The last complaint in a log, without what the logger puts around it."""
    for line in reversed(lines):
        if not QUIET.search(line):
            found = MESSAGE.search(line)
            text = (
                (": ".join(part for part in found.groups() if part) if found else line)
                .replace('\\"', '"')
                .replace("\\n", " ")
            )
            return mask(" ".join(text.split()))
    return ""


class Systemd(Service):
    """A unit of systemd."""

    called = UNIT

    def unit_flags(self) -> list[flag.Flag]:
        told = run(["systemctl", "show", "--property", "ExecStart", UNIT], 30).stdout.decode(errors="replace")
        return [item for item in flag.parse(flag.from_unit(told)) if not item.value.startswith("$")]

    def restart(self) -> None:
        # systemd counts failed attempts and refuses at some number; this one is meant.
        run(["systemctl", "reset-failed", UNIT, "docker.socket"], 30)
        done = run(["systemctl", "restart", UNIT], self.seconds + 30)
        if done.returncode:
            raise SlipwayError(f"systemctl restart {UNIT} failed")

    def mark(self) -> float:
        return time.time()

    def lines(self, mark: float) -> list[str]:
        command = [
            "journalctl",
            "--identifier=dockerd",
            f"--since=@{mark:.6f}",
            "--no-pager",
            "--lines=200",
            "--output=cat",
        ]
        with suppress(SlipwayError):
            return run(command, 30).stdout.decode(errors="replace").splitlines()
        return []


class Alone(Service):
    """No service manager: the daemon is a process that is told by signals, and started with the words it was started with before."""

    def __init__(self, seconds: float, process: Process | None, notes: Mapping[str, Any] | None, path: str) -> None:
        super().__init__(seconds)
        self.path = path
        self.started: subprocess.Popen | None = None
        if process:
            self.notes = {
                "arguments": list(process.arguments),
                "environment": dict(process.environment),
                "log": process.log or LOG,
            }
        else:
            self.notes = dict(notes or self._guess())

    def _guess(self) -> dict[str, Any]:
        """How it is started where nobody knows: as the init script of the distribution would."""
        words: list[str] = []
        with suppress(OSError, ValueError), open(DEFAULTS, encoding="utf-8") as file:
            for line in file:
                name, _is, value = line.strip().partition("=")
                if name == "DOCKER_OPTS":
                    words = shlex.split(" ".join(shlex.split(value)))
        if not any(word.startswith("--config-file") for word in words) and self.path != flag.CONFIG_FILE:
            words += ["--config-file", self.path]
        return {"arguments": ["dockerd", *words], "environment": environment(), "log": LOG}

    def start_notes(self, process: Process | None) -> dict[str, Any] | None:
        return self.notes

    def restart(self) -> None:
        process = find(self.path)
        if process is not None:
            os.kill(process.pid, signal.SIGTERM)
            if not wait(lambda: not process.lives, self.seconds + 15):
                raise SlipwayError(
                    f"the daemon, process {process.pid}, has not ended {self.seconds + 15:g} s after it was told to"
                )
            # One that this run has started stays a zombie until it is reaped, and the next takes it for one that runs.
            with suppress(ChildProcessError):
                os.waitpid(process.pid, 0)
        arguments = self.notes["arguments"]
        program = shutil.which(arguments[0], path=search_path()) or arguments[0]
        with open(self.notes["log"], "ab") as log:
            try:
                self.started = subprocess.Popen(
                    arguments, executable=program, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                    env=self.notes["environment"], start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise SlipwayError(f"{program}: {error.strerror}") from None

    def mark(self) -> int:
        with suppress(OSError):
            return os.path.getsize(self.notes["log"])
        return 0

    def lines(self, mark: int) -> list[str]:
        with suppress(OSError), open(self.notes["log"], "rb") as log:
            log.seek(mark)
            return log.read().decode(errors="replace").splitlines()
        return []

    def ended(self) -> bool:
        return self.started is not None and self.started.poll() is not None

    @property
    def by_hand(self) -> bool:
        return self.started is not None


class Script(Alone):
    """An init script. Some hosts do not allow what it does (Debian's raises limits); there the daemon is a process like any other."""

    called = SCRIPT
    began: float | None = None
    seen = False

    def restart(self) -> None:
        done = run([SCRIPT, "restart" if find(self.path) else "start"], self.seconds + 30)
        self.began, self.seen = (None if done.returncode else time.monotonic()), False
        if done.returncode:
            super().restart()

    def ended(self) -> bool:
        if self.began is None:
            return super().ended()
        runs = find(self.path) is not None
        self.seen = self.seen or runs
        return not runs and (self.seen or time.monotonic() - self.began > APPEARS)


def service_of(
    path: str, process: Process | None, seconds: float, notes: Mapping[str, Any] | None
) -> tuple[Service, Process | None]:
    """Who runs the daemon that reads this file, and the daemon, None when there is none."""
    if os.path.isdir(UNITS) and shutil.which("systemctl", path=search_path()):
        told = run(["systemctl", "show", "--property", "LoadState,MainPID", UNIT], 30).stdout.decode(errors="replace")
        found = dict(line.partition("=")[::2] for line in told.splitlines())
        pid = int(found.get("MainPID") or 0)
        main = _read(pid) if pid else None
        if main is not None:
            file = flag.value_of(main.flags, "config-file", flag.CONFIG_FILE)
            if os.path.realpath(file) == os.path.realpath(path):
                return Systemd(seconds), main
        elif process is None and found.get("LoadState") == "loaded" and path == flag.CONFIG_FILE:
            return Systemd(seconds), None
    elif (
        path == flag.CONFIG_FILE
        and os.access(SCRIPT, os.X_OK)
        and (process is None or run([SCRIPT, "status"], 30).returncode == 0)
    ):
        return Script(seconds, process, notes, path), process
    return Alone(seconds, process, notes, path), process
