# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Namespaces that end with the test run, however that ends, and a directory under a name that one run has at a time.

All processes in them descend from one, the holder. What can be left of a killed run is the directory; the next run removes it.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path("/var/tmp")  # short: the path of a unix socket holds 107 characters
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

# The first process of a process namespace inherits every orphan; a shell that waits takes them off the table.
HOLDER = "trap : TERM INT; echo ready; while :; do sleep 3600 & wait; done"


class NamespacesFailed(Exception):
    """What was to run in namespaces could not be started; the message says why."""


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true value of ``condition``; raise TimeoutError naming ``what`` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def missing_commands(wanted: dict[str, str]) -> list[str]:
    """Return the Debian packages to install before all the commands are here."""
    return sorted({package for command, package in wanted.items() if not shutil.which(command, path=SYSTEM_PATH)})


def environment() -> dict[str, str]:
    """The environment without what would point a docker or libvirt client elsewhere."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "LIBVIRT_", "VIRSH_"))}
    return {**own, "PATH": SYSTEM_PATH}


def run(command: Sequence[str], check: bool = True, input: str | bytes | None = None) -> str:
    """Run a command; return its output without the last newline. AssertionError says how it failed, if ``check``."""
    data = input.encode() if isinstance(input, str) else input
    source: dict[str, Any] = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    done = subprocess.run(command, capture_output=True, timeout=120, env=environment(), check=False, **source)
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout.decode(errors="replace").rstrip("\n")


def end_with_parent() -> None:
    """Ask the kernel to kill this process when the test run ends, in whatever way."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Namespaces:
    """Mounts, network, processes and a host name of their own; ``directory`` holds all that is written, ``failure`` is what is raised."""

    failure: type[NamespacesFailed] = NamespacesFailed

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = ROOT / name
        self._holder: subprocess.Popen | None = None
        self._init = 0
        self._spawned: list[subprocess.Popen] = []

    def hold(self) -> None:
        """Make the namespaces, with a loopback interface that is up."""
        # unshare keeps /sys as it is; a fresh one would hide the cgroups.
        command = ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._holder = subprocess.Popen(
            [*command, "sh", "-c", HOLDER, self.name], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent, start_new_session=True, text=True,
        )  # fmt: skip
        assert self._holder.stdout
        if self._holder.stdout.readline() != "ready\n":
            raise NamespacesFailed("this machine does not allow new namespaces (unshare failed); run as root")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._init = int(children[0])
        self.in_namespaces("ip", "link", "set", "lo", "up")
        self.in_namespaces("hostname", self.name)

    def end(self) -> None:
        """End every process in the namespaces, and with the last one the namespaces."""
        while self._spawned:  # nsenter stops with what it runs, and would stay stopped when that is gone
            process = self._spawned.pop()
            process.kill()
            process.wait()
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
            if self._holder.stdout:
                self._holder.stdout.close()
            self._holder = None

    def enter(self, *command: str, pid: bool = True) -> list[str]:
        """Return the command line that runs ``command`` in the namespaces (without ``pid``: in their network only)."""
        which = ["--mount", "--net", "--uts", "--ipc", "--pid"] if pid else ["--net"]
        return ["nsenter", "--target", str(self._init), *which, "--", *command]

    def spawn(self, command: Sequence[str], **options: Any) -> subprocess.Popen:
        """Start a process that ends with the namespaces."""
        process = subprocess.Popen(
            self.enter(*command), stdin=subprocess.DEVNULL, start_new_session=True, env=environment(), **options
        )
        self._spawned.append(process)
        return process

    def serve(self, command: Sequence[str], log: Path, seconds: float) -> None:
        """Start a daemon and wait until it answers; its log says why it does not."""
        with open(log, "ab") as file:
            daemon = self.spawn(command, stdout=file, stderr=file)

        def answers() -> bool:
            if daemon.poll() is not None:
                raise self.failure(f"{command[0]} ended: {self.log()}")
            return self.answers()

        try:
            wait_for(answers, seconds, f"{command[0]} to answer")
        except TimeoutError as error:
            raise self.failure(f"{error}: {self.log()}") from error

    def answers(self) -> bool:
        """Say whether the daemon answers."""
        raise NotImplementedError

    def log(self, lines: int = 5) -> str:
        """Return the last lines of the daemon's log."""
        raise NotImplementedError

    def in_namespaces(self, *command: str, check: bool = True, input: str | bytes | None = None) -> str:
        """Run a command as a process in the namespaces; return its output."""
        return run(self.enter(*command), check=check, input=input)

    def in_netns(self, *command: str, check: bool = True) -> str:
        """Run a command in the network of the namespaces; return its output."""
        return run(self.enter(*command, pid=False), check=check)

    def runs(self, pid: str) -> bool:
        """Say whether a process that the namespaces know under this number runs; a zombie does not."""
        state = self.in_namespaces("sh", "-c", f"cut -d ' ' -f 3 /proc/{pid}/stat || true", check=False).strip()
        return state not in ("", "Z")


# -- debris ------------------------------------------------------------------------------------------------------------


def claim(name: str) -> socket.socket | None:
    """Take a name for as long as this process lives; None when another run has it.

    An abstract socket leaves no file, and the kernel gives it back however the process ends.
    """
    taken = socket.socket(socket.AF_UNIX)
    try:
        taken.bind(f"\0{name}")
    except OSError:
        taken.close()
        return None
    return taken


def end_holder(name: str) -> None:
    """End the namespaces of this name, should they have outlived their owner."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with suppress(OSError):
            words = Path(path).read_bytes().split(b"\0")[:-1]
            if words and words[-1] == name.encode() and HOLDER.encode() in words:
                os.kill(int(path.split("/")[2]), signal.SIGKILL)


def remove_directory(name: str) -> None:
    """Remove the directory of this name, which the last processes may still be leaving."""
    directory = ROOT / name

    def removed() -> bool:
        shutil.rmtree(directory, ignore_errors=True)
        return not directory.exists()

    wait_for(removed, 15, f"{directory} to be free")


def clean_after_others(names: Sequence[str], left: Callable[[str], Any], clean: Callable[[str], None]) -> list[str]:
    """Clean up after every earlier run that no longer lives; return the names of which something was ``left``."""
    found = []
    for name in names:
        taken = claim(name) if left(name) else None
        if taken is not None:
            with taken:
                clean(name)
                found.append(name)
    return found


@contextmanager
def one_of(names: Sequence[str], what: str, commands: dict[str, str], tidy: Callable[[], Any]) -> Iterator[str]:
    """A name that no other run has meanwhile, of which ``tidy`` leaves nothing of earlier runs; NamespacesFailed says why this machine can have no private ``what``."""
    if os.geteuid() != 0:
        raise NamespacesFailed(f"a private {what} needs root")
    packages = missing_commands(commands)
    if packages:
        raise NamespacesFailed(f"a private {what} needs these packages: {' '.join(packages)}")
    tidy()
    for name in names:
        taken = claim(name)
        if taken is not None:
            with taken:
                yield name
            return
    raise NamespacesFailed(f"all {len(names)} names of private {what}s are in use")


Started = TypeVar("Started", bound=Namespaces)


@contextmanager
def started(what: Started, *arguments: Any) -> Iterator[Started]:
    """Namespaces of a kind that is started with these arguments; it is stopped however that goes."""
    try:
        what.start(*arguments)
        yield what
    finally:
        what.stop()
