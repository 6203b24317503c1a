# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file that is replaced in one step: whoever reads it sees the old content or the new. And whether there can be files in a folder."""

from __future__ import annotations

import os
from contextlib import suppress


def replace(path: str, content: bytes, mode: int, like: os.stat_result | None = None) -> None:
    """Write a file that is there as a whole or not at all, with this mode and, when ``like`` is given, its owner.

    The new one has a name of its own until then, always the same, so that a run that was killed leaves at most one. Runs that write
    the same file take turns.
    """
    folder, name = os.path.split(path)
    new = os.path.join(folder, f".{name}.slipway-new")
    with suppress(FileNotFoundError):
        os.unlink(new)
    number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(content)
            if like is not None:
                os.fchown(stream.fileno(), like.st_uid, like.st_gid)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


def closed_at(folder: str) -> str:
    """What keeps us from writing files to a folder, which need not be there yet: itself, or the nearest that it would be made in.

    It is no directory, or one that we may not change; empty when nothing keeps us.
    """
    at = folder
    while not os.path.lexists(at):
        at = os.path.dirname(at)
    return "" if os.path.isdir(at) and os.access(at, os.W_OK | os.X_OK) else at
