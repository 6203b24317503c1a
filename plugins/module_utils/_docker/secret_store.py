# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of secrets are written right before their container is made, and go with it; what is left by a run that was cut off goes too."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from urllib.parse import unquote as unescape

from .._converge.errors import EngineError, SlipwayError
from .._converge.observed import World
from .._converge.policy import BESIDE
from .engine import Engine
from .secret_files import DIRECTORY, TOKEN, Secret, part, read, tokens


class Store:
    """Writes and removes the files of one project on one engine; ``world`` says where its containers have theirs.

    Only the run that holds the project's lock may write here.
    """

    def __init__(self, engine: Engine, project: str, directory: str | None, world: World) -> None:
        self.engine = engine
        self.here = engine.address.scheme == "unix"
        self.home = os.path.join(directory or DIRECTORY, part(project))
        self.folders: dict[str, set[str]] = {}  # what a container is removed by -> its directories
        for item in world.everything:
            for secret in read(item.raw).values():
                self.folders.setdefault(item.id, set()).add(os.path.dirname(secret.source))
        self.seen = {folder for folders in self.folders.values() for folder in folders}

    def write(self, name: str, found: Mapping[str, Secret]) -> list[dict]:
        """Write a container's files into a new directory; return the mounts that show them to it."""
        if not found:
            return []
        known = name[: -len(BESIDE)] if name.endswith(BESIDE) else name
        mark = f"slipway-{_mark(self.engine)}-{os.urandom(16).hex()}"
        folder = os.path.join(self.home, known, mark)
        self.folders[name] = {folder}
        mounts = []
        try:
            _make(folder)
            for file, secret in sorted(found.items()):
                path = os.path.join(folder, file)
                _write(path, secret)
                mounts.append({"Type": "bind", "Source": path, "Target": secret.target, "ReadOnly": True})
        except OSError as error:
            self.clear(folder)
            raise SlipwayError(f"its secrets cannot be written to {folder}: {error.strerror}") from None
        return mounts

    def drop(self, target: str) -> None:
        """Remove the files of a container that is about to be removed: cut off in between, the next run finds the container."""
        for folder in self.folders.pop(target, ()):
            self.clear(folder)

    def sweep(self) -> None:
        """Remove the directories of this project that no container of the engine mounts."""
        folders = self._left()
        if not folders:
            return
        with suppress(EngineError):  # the next run that changes something does it
            mounted = {token for item in self.engine.get("/containers/json", all=1) for token in tokens(item)}
            for folder in sorted(folders):
                if os.path.basename(folder) not in mounted:
                    self.clear(folder)

    def _left(self) -> set[str]:
        if not self.here:
            return set()
        found = {folder for folder in self.seen if os.path.isdir(folder)}
        if os.path.isdir(self.home):
            found |= {folder for _container, folder in _folders(self.engine, self.home)}
        return found

    def clear(self, folder: str) -> None:
        """Remove a directory, and what is empty then above it, as far as it is ours."""
        if not self.here:
            return
        with suppress(OSError):
            for entry in os.scandir(folder):
                os.unlink(entry.path)
        above = [folder, os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))]
        if os.path.dirname(above[-1]) == DIRECTORY:  # the others are the user's
            above += [DIRECTORY, os.path.dirname(DIRECTORY)]
        with suppress(OSError):
            for path in above:
                os.rmdir(path)


def left_behind(engine: Engine, directory: str) -> Iterator[tuple[str, str, str, float]]:
    """(project, name to show, path, when it was made) of each directory that this engine's containers have or had."""
    for project in _directories(directory):
        for container, folder in _folders(engine, project.path):
            with suppress(OSError):
                made = os.stat(folder).st_mtime
                yield unescape(project.name), f"{project.name}/{container}/{os.path.basename(folder)}", folder, made


def _folders(engine: Engine, home: str) -> Iterator[tuple[str, str]]:
    """(container, path) of each directory of secrets in a project's directory."""
    for container in _directories(home):
        for entry in _directories(container.path):
            match = TOKEN.fullmatch(entry.name)
            if match and match["engine"] == _mark(engine):
                yield container.name, entry.path


def _directories(place: str) -> list[os.DirEntry]:
    try:
        return sorted(
            (item for item in os.scandir(place) if item.is_dir(follow_symlinks=False)), key=lambda item: item.name
        )
    except OSError:
        return []


def _make(folder: str) -> None:
    """Make a directory that is not there yet; another run may remove an empty one above it at the same time."""
    for attempt in range(10):
        try:
            missing = [folder]
            while not os.path.isdir(os.path.dirname(missing[-1])):
                missing.append(os.path.dirname(missing[-1]))
            for path in reversed(missing[1:]):
                with suppress(FileExistsError):
                    os.mkdir(path, 0o700)
            os.mkdir(folder, 0o700)
            return
        except FileNotFoundError:
            if attempt == 9:
                raise


def _write(path: str, secret: Secret) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(number, "wb") as file:
        file.write((secret.content or "").encode("utf-8", "surrogateescape"))
        os.fchown(number, secret.uid, secret.gid)
        os.fchmod(number, secret.mode)


def _mark(engine: Engine) -> str:
    """What tells the directories of this engine from those of another one on the same host."""
    return sha256(engine.identity.encode()).hexdigest()[:12]
