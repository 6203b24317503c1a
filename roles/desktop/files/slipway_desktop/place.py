# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The directory of one engine: who works in it, what it says of itself, and what a killed run has left."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .config import Config

LOG_ROOM = 1 << 20  # a log larger than this is put aside at a start


class PlaceFailed(Exception):
    """It cannot be worked in; the message says why."""


def have(config: Config) -> None:
    """Have the directory, for this user alone, and that of the socket."""
    config.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = config.directory.stat()
    if found.st_uid != os.geteuid():
        raise PlaceFailed(f"{config.directory} is of another user; take another directory")
    if stat.S_IMODE(found.st_mode) & 0o077:
        config.directory.chmod(0o700)


# -- one at a time -----------------------------------------------------------------------------------------------------


class Lock:
    """The right to work in the directory; the kernel takes it back however its owner ends."""

    def __init__(self, config: Config) -> None:
        self.path = config.directory / "lock"
        self._file = -1

    def take(self, seconds: float = 0.0) -> bool:
        """Take it, or wait so long for it: somebody may be ending, or only looking."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + seconds
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
                return True
            if time.monotonic() >= deadline:
                os.close(self._file)
                return False
            time.sleep(0.02)

    def leave(self) -> None:
        """Give it back."""
        os.close(self._file)

    def owner(self) -> int:
        """The number of the process that has it; 0 when none has, -1 when it is not known."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return 0
        except BlockingIOError:
            text = os.pread(file, 20, 0).strip()
            pid = int(text) if text.isdigit() else -1
            return pid if _has_open(pid, self.path) else -1
        finally:
            os.close(file)


def _has_open(pid: int, path: Path) -> bool:
    """Say whether the process has the file open; a system without /proc cannot deny it."""
    folder = Path(f"/proc/{pid}/fd")
    if not Path("/proc/self/fd").is_dir():
        return True
    try:
        return any(os.path.samefile(link, path) for link in folder.iterdir() if link.exists())
    except OSError:
        return False


def end(config: Config, seconds: float) -> bool:
    """End whoever works in it, and remove what is left; say whether there was somebody."""
    lock = Lock(config)
    pid = lock.owner()
    for how in (signal.SIGTERM, signal.SIGKILL):
        if pid > 0:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            deadline = time.monotonic() + seconds
            while lock.owner() == pid and time.monotonic() < deadline:
                time.sleep(0.02)
            if lock.owner() != pid:
                break
    if not lock.take(1.0):
        raise PlaceFailed(f"another process works in {config.directory} and does not end: {lock.path}")
    try:
        tidy(config)
    finally:
        lock.leave()
    return pid != 0


# -- what is left ------------------------------------------------------------------------------------------------------


def tidy(config: Config) -> None:
    """Remove what was left of a killed run; who calls has the lock."""
    for pid in _orphans(config):
        _end_orphan(pid, config)
    if config.control.is_socket():
        # Where there is no /proc to find it by.
        with suppress(OSError, subprocess.SubprocessError):
            line = ["ssh", "-F", "/dev/null", "-S", str(config.control), "-O", "exit", config.ssh]
            subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=3, check=False)
    clear(config)
    (config.directory / "status.json").unlink(missing_ok=True)


def clear(config: Config) -> None:
    """Remove the sockets that nobody listens on; PlaceFailed names what is not ours to remove."""
    for path in (config.socket, config.control, config.canary):
        try:
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise PlaceFailed(f"{path} is there and is no socket; move it away")
        except FileNotFoundError:
            continue
        with socket.socket(socket.AF_UNIX) as trial:
            trial.settimeout(1)
            with suppress(ConnectionRefusedError):
                trial.connect(str(path))
                raise PlaceFailed(f"another process listens at {path}; end it, or take another path")
        path.unlink(missing_ok=True)


def _orphans(config: Config) -> list[int]:
    """Processes of ssh that hold our control socket; whose they are is read from /proc, if there is one."""
    found = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")]
    return [pid for pid in found if _is_orphan(pid, config)]


def _is_orphan(pid: int, config: Config) -> bool:
    path = Path(f"/proc/{pid}")
    with suppress(OSError):
        words = (path / "cmdline").read_bytes().split(b"\0")
        return path.stat().st_uid == os.geteuid() and holds(words, str(config.control).encode())
    return False


def holds(words: list[bytes], control: bytes) -> bool:
    """Say whether a command line is that of an ssh that holds this control socket."""
    return os.path.basename(words[0]) == b"ssh" and b"-M" in words and (b"-S", control) in zip(words, words[1:])


def _end_orphan(pid: int, config: Config) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 1
        if _is_orphan(pid, config):
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        while _is_orphan(pid, config) and time.monotonic() < deadline:
            time.sleep(0.02)


# -- what it says of itself --------------------------------------------------------------------------------------------


def write_status(config: Config, status: dict[str, Any]) -> None:
    """Say how it is; whoever reads meanwhile reads the whole of one or the other."""
    new = config.directory / ".status.json"
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(status, indent=1) + "\n")
    new.replace(config.directory / "status.json")


def status(config: Config) -> dict[str, Any]:
    """How it is: what the program says of itself, while it runs."""
    said: dict[str, Any] = {
        "name": config.name,
        "running": False,
        "connected": False,
        "forwards": [],
        "problems": [],
        "notes": [],
    }
    if Lock(config).owner() == 0:
        return {**said, "problems": [f"nothing runs for {config.name}"]}
    try:
        return {**said, **json.loads((config.directory / "status.json").read_text()), "running": True}
    except (OSError, ValueError):
        return {**said, "running": True, "problems": ["it has only begun, or is ending"]}


def table(said: dict[str, Any]) -> Iterable[str]:
    """The same for people."""
    state = "the engine answers" if said["connected"] else "the engine does not answer"
    yield f"{said['name']}: {state}" + (f" at unix://{said['socket']}" if said["connected"] else "")
    width = max((len(entry["here"]) for entry in said["forwards"]), default=0)
    yield from (f"  {entry['here']:{width}}  {entry['container']}" for entry in said["forwards"])
    yield from (f"  problem: {text}" for text in said["problems"])
    yield from (f"  note: {text}" for text in said["notes"])


def open_log(config: Config) -> int:
    """The log for what runs in the background; what has grown large is put aside."""
    path = config.directory / "log"
    with suppress(FileNotFoundError):
        if path.stat().st_size > LOG_ROOM:
            path.replace(config.directory / "log.old")
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
