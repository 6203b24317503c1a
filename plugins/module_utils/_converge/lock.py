# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time: a lock on this host, which the kernel frees when its holder dies."""

from __future__ import annotations

import fcntl
import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256

from .errors import SlipwayError

PLACES = (
    "/run/lock",
    "/tmp",
)  # the first that can be written to; never from the environment, which differs between users
PAUSE = 0.1  # seconds between two attempts


@contextmanager
def locked(*names: str, patience: float) -> Iterator[bool]:
    """Hold the lock of these names; the value says whether somebody else had it first.

    Raises SlipwayError, naming the holder, when it is not free after ``patience`` seconds.
    """
    file = "slipway-" + sha256("\0".join(names).encode()).hexdigest()[:24] + ".lock"
    began, waited = time.monotonic(), False
    while True:
        number, path = _open(file)
        if _take(number, path):
            break
        holder = os.pread(number, 200, 0).decode(errors="replace").strip()
        os.close(number)
        if time.monotonic() - began >= patience:
            raise SlipwayError(
                f"locked by {holder or 'another run'}, which has not ended after {patience:g} s; wait for it, or raise lock_timeout"
            )
        waited = True
        time.sleep(PAUSE)
    try:
        with suppress(OSError):
            os.ftruncate(number, 0)
            os.pwrite(number, _ourselves().encode(), 0)
        yield waited
    finally:
        with suppress(OSError):
            os.unlink(path)  # while it is still locked, so that nobody's lock is on a file that is gone
        os.close(number)


def _open(file: str) -> tuple[int, str]:
    """Open the file, making it when it is not there. It may be another user's: to lock it, reading is enough."""
    trouble: OSError | None = None
    for place in PLACES:
        path = os.path.join(place, file)
        for flags in (os.O_RDWR, os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDONLY):
            try:
                return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644), path
            except OSError as error:
                trouble = error
    raise SlipwayError(f"no lock can be taken in {' or '.join(PLACES)}: {trouble}; make one of them writable")


def _take(number: int, path: str) -> bool:
    """Try to lock; False when another process has it, or when the file is no longer the one at its path."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(number), os.stat(path))
    except OSError:
        return False


def user() -> str:
    """The name of the user that we are, or the number of one that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _ourselves() -> str:
    return f"process {os.getpid()} ({user()}) since {time.strftime('%Y-%m-%d %H:%M:%S %Z')}"
