# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""daemon.json on disk and our notes beside it. Nothing is decided here.

- ``FILE.managed``: the names of the keys that were declared, a JSON list.
- ``FILE.proven``: what the file held when the daemon last was known to be well. It is there only while something newer is on trial, and
  empty when there was no file.
- ``FILE.start``: how a daemon that no service manager runs was started, there as long as FILE.proven is; 0600, for it holds an environment.
"""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import suppress
from typing import Any

from .._converge.errors import SlipwayError
from .._whole_file import replace

OPEN, PRIVATE = 0o644, 0o600  # the modes of a file without secrets, and of one with them


class Files:
    """The file at a path, which may be a link, and what is beside it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.real = os.path.realpath(path)
        self.managed_path, self.proven_path, self.start_path = (
            f"{self.real}.{name}" for name in ("managed", "proven", "start")
        )

    # -- read --------------------------------------------------------------------------------------------------

    def content(self) -> bytes | None:
        """What the file holds; None when there is none."""
        return _load(self.real)

    def managed(self) -> tuple[str, ...]:
        """The keys that were declared; none when the note cannot be read."""
        with suppress(ValueError):
            names = json.loads(_load(self.managed_path) or b"[]")
            return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()
        return ()

    def proven(self) -> bytes | None:
        """What is known to work, while something newer is on trial; empty when that was no file. None when nothing is on trial."""
        return _load(self.proven_path)

    def start(self) -> dict[str, Any] | None:
        """How the daemon was started, as far as a killed run has left word of it."""
        with suppress(ValueError):
            found = json.loads(_load(self.start_path) or b"null")
            return found if isinstance(found, dict) else None
        return None

    def since(self) -> float:
        """When the file was written last; 0 when there is none."""
        try:
            return os.stat(self.real).st_mtime
        except OSError:
            return 0.0

    def mode(self) -> int:
        """The mode of the file as it is known to work; that of a new one when there is none."""
        for path in (self.proven_path, self.real):
            with suppress(OSError):
                return stat.S_IMODE(os.stat(path).st_mode)
        return OPEN

    # -- write -------------------------------------------------------------------------------------------------

    def put(self, content: bytes | None, mode: int = OPEN) -> None:
        """The file holds this, or is gone; ``mode`` is for one that is new, and ``PRIVATE`` for one that is there as well."""
        if content is None:
            _remove(self.real)
        else:
            _write(self.real, content, mode)

    def put_back(self, content: bytes | None, mode: int) -> None:
        """The file holds what it held, with the mode it had, or is gone again."""
        self.put(content)
        if content is not None:
            os.chmod(self.real, mode)

    def note_managed(self, names: tuple[str, ...]) -> None:
        """Remember which keys are ours; nothing is written when that is known."""
        if names:
            content = (json.dumps(sorted(names)) + "\n").encode()
            if _load(self.managed_path) != content:
                _write(self.managed_path, content, OPEN)
        else:
            _remove(self.managed_path)

    def begin_trial(self, content: bytes | None, start: dict[str, Any] | None) -> None:
        """Keep what works, unless an older trial has: that is the last which is known to work."""
        if start is not None:
            _write(self.start_path, json.dumps(start).encode(), PRIVATE)
        if _load(self.proven_path) is None:
            _write(self.proven_path, content or b"", self.mode())

    def end_trial(self) -> None:
        """What the file holds is known to work."""
        _remove(self.proven_path)
        _remove(self.start_path)

    def backup(self) -> str:
        """Copy the file beside itself; return where."""
        content = self.content()
        if content is None:
            return ""
        path = f"{self.real}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S')}~"
        _write(path, content, stat.S_IMODE(os.stat(self.real).st_mode))
        return path

    def obstacle(self) -> str:
        """Why nothing can be written here; empty when it can."""
        if os.path.isdir(self.real):
            return "is a directory; name the file"
        folder = os.path.dirname(self.real)
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        if not os.path.isdir(folder):
            return f"{folder} is not a directory; move it away, or name another file"
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"{folder} may not be written to by uid {os.geteuid()}; run as root (become: true)"
        return ""


def _load(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SlipwayError(f"{path}: {error.strerror}; run as root (become: true)") from None


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
        _sync(os.path.dirname(path))


def _write(path: str, content: bytes, mode: int) -> None:
    """Replace a file in one step, so that whoever reads it sees the old or the new, and a machine that loses its power as well.

    Mode and owner of one that is there stay, but what is private is for its owner only.
    """
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    like = None
    with suppress(FileNotFoundError):
        there = os.stat(path)
        held = stat.S_IMODE(there.st_mode)
        mode = held & PRIVATE if mode == PRIVATE else held
        like = there if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()) else None
    replace(path, content, mode, like)
    _sync(folder)


def _sync(folder: str) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
