# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of the docker CLI: its contexts and its config.json, read and written as the CLI does.

Its format: https://github.com/docker/cli, cli/context/store and cli/config/configfile. Checked against docker 20.10 and 28.2.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .._converge.desired import quote
from .._converge.errors import SlipwayError, SpecError
from .._converge.lock import user
from .._whole_file import replace
from .values import RESERVED

CURRENT = "currentContext"
ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}  # as Go's encoding/json writes them
SAYS_NOTHING = ({}, {"auths": {}})  # the CLI writes auths whether there are any or not


@dataclass(frozen=True)
class Stored:
    """A context as it is stored: its document (None when that is missing), and the content of each TLS file by its role."""

    document: Mapping[str, Any] | None
    tls: Mapping[str, bytes]


class Store:
    """The CLI's directory of one user. ``folder`` need not be there."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.config = os.path.join(folder, "config.json")
        self.made = False  # whether the directory was made by this run

    # -- where -------------------------------------------------------------------------------------------------

    def meta(self, name: str) -> str:
        """The directory of a context's document."""
        return os.path.join(self.folder, "contexts", "meta", _digest(name))

    def document(self, name: str) -> str:
        """The file that is a context's document."""
        return os.path.join(self.meta(name), "meta.json")

    def tls(self, name: str) -> str:
        """The directory of a context's TLS files, one directory for each of its endpoints."""
        return os.path.join(self.folder, "contexts", "tls", _digest(name))

    def pem(self, name: str, role: str) -> str:
        """A TLS file of a context."""
        return os.path.join(self.tls(name), "docker", f"{role}.pem")

    # -- read --------------------------------------------------------------------------------------------------

    def exists(self, name: str) -> bool:
        """Whether there is a context of that name."""
        return name == RESERVED or os.path.exists(self.document(name))

    @property
    def current(self) -> str:
        """The name of the current context, which need not be there."""
        name = self._config()[0].get(CURRENT)
        return name if isinstance(name, str) and name else RESERVED

    def read(self, name: str) -> Stored | None:
        """A context, None when nothing is there of it; raises SpecError when it cannot be read."""
        raw = load(self.document(name))
        pems = {role: load(self.pem(name, role)) for role in ("ca", "cert", "key")}
        tls = {role: found for role, found in pems.items() if found is not None}
        if raw is None:
            return Stored(None, tls) if os.path.lexists(self.tls(name)) or os.path.lexists(self.meta(name)) else None
        return Stored(_parse(raw, self.document(name), "state: absent removes it, or mend it"), tls)

    def _config(self) -> tuple[dict[str, Any], str]:
        """config.json and what follows its last brace; raises SpecError when it is broken, for then nothing of it may be lost."""
        raw = load(self.config)
        if raw is None:
            return {"auths": {}}, ""
        if not raw.strip():
            return {}, ""
        text = raw.decode("utf-8", "replace")
        return _parse(raw, self.config, "mend it, for it may hold credentials"), text[len(text.rstrip()) :]

    def obstacle(self, name: str) -> str:
        """Why a context cannot be written here; empty when it can."""
        places = [
            self.folder,
            os.path.dirname(os.path.realpath(self.config)),
            os.path.dirname(self.meta(name)),
            self.meta(name),
        ]
        if os.path.lexists(self.tls(name)):
            places += [os.path.dirname(self.tls(name)), os.path.dirname(self.pem(name, "key"))]
        for path in places:
            while not os.path.lexists(path):
                path = os.path.dirname(path)
            if not os.path.isdir(path):
                return f"{quote(path)} is not a directory; move it away, or name another directory"
            if not os.access(path, os.W_OK | os.X_OK):
                return f"{quote(path)} may not be written to by {user()}; run as the user whose contexts they are (become_user)"
        return ""

    # -- write -------------------------------------------------------------------------------------------------

    def use(self, name: str, tidy: bool = False) -> None:
        """Make a context current: one key of config.json, all else stays. With ``tidy`` a file that then says nothing goes."""
        document, tail = self._config()
        if name == RESERVED:
            document.pop(CURRENT, None)
        else:
            document[CURRENT] = name
        if tidy and document in SAYS_NOTHING:
            self.put_config(None)
        else:
            self.put_config(_encode(document, "\t", ": ") + tail.encode())

    def put_config(self, content: bytes | None) -> None:
        """Write config.json, or remove it; a link stays one, and the mode stays."""
        if content is None:
            with suppress(FileNotFoundError):
                os.unlink(os.path.realpath(self.config))
            self._tidy()
            return
        self._make(self.folder, 0o700)
        path = os.path.realpath(self.config)
        try:
            mode = os.stat(path).st_mode & 0o7777
        except FileNotFoundError:
            mode = 0o600
        self._write(path, content, mode)

    def write(self, name: str, document: Mapping[str, Any], tls: Mapping[str, bytes | None]) -> None:
        """Write a context: the TLS files that are given (None: it goes), then its document, by which it is there."""
        for role, content in tls.items():
            path = self.pem(name, role)
            if content is not None:
                self._make(os.path.dirname(path), 0o700)
                self._write(path, content, 0o600)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(path)
        self._make(self.meta(name), 0o755)
        self._write(self.document(name), _encode(document, None, ":"), 0o644)
        self._tidy(name)

    def remove(self, name: str) -> None:
        """Remove a context, and the directories that are then empty."""
        for path in (self.meta(name), self.tls(name)):
            if os.path.islink(path):
                os.unlink(path)
            elif os.path.lexists(path):
                shutil.rmtree(path)
        self._tidy()

    def _tidy(self, name: str = "") -> None:
        """Remove directories in which nothing is: those of contexts, and the CLI's own in a home."""
        contexts = os.path.join(self.folder, "contexts")
        empty = [os.path.join(self.tls(name), "docker"), self.tls(name)] if name else []
        empty += [os.path.join(contexts, "tls"), os.path.join(contexts, "meta"), contexts]
        if self.made or self.folder == os.path.join(os.path.expanduser("~"), ".docker"):
            empty.append(self.folder)
        for path in empty:
            with suppress(OSError):
                os.rmdir(path)

    def _make(self, path: str, mode: int) -> None:
        """Make a directory and those above it, the CLI's own with this mode; they belong to whom the place belongs."""
        if os.path.isdir(path):
            return
        parent = os.path.dirname(path)
        if path == self.folder:
            os.makedirs(parent, exist_ok=True)
            mode, self.made = 0o700, True
        elif parent.startswith(self.folder):
            self._make(parent, 0o755 if os.path.basename(parent) == "contexts" else mode)
        os.mkdir(path, mode)
        os.chmod(path, mode)
        if os.geteuid() == 0:  # it belongs to whom its place belongs
            like = os.stat(parent)
            os.chown(path, like.st_uid, like.st_gid)

    def _write(self, path: str, content: bytes, mode: int) -> None:
        """Write a file that is there as a whole or not at all; it keeps its owner, a new one has that of its directory."""
        like = os.stat(path if os.path.exists(path) else os.path.dirname(path))
        replace(path, content, mode, like if os.geteuid() == 0 else None)


def folder(said: str | None, environ: Mapping[str, str]) -> str:
    """The CLI's directory: the one that was said, DOCKER_CONFIG, or .docker in the home of the user that we are."""
    path = said or environ.get("DOCKER_CONFIG") or os.path.join("~", ".docker")
    path = os.path.expanduser(path)
    if not os.path.isabs(path):
        place = "config_dir" if said else "DOCKER_CONFIG"
        raise SpecError([f"{place}: {quote(path)} is not an absolute path; write one, such as ~/.docker"])
    return os.path.normpath(path)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def load(path: str) -> bytes | None:
    """The content of a file, None when it is not there; raises SpecError when it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SpecError(
            [f"{path} cannot be read by {user()}: {error.strerror}; run as the user whose file it is"]
        ) from None


def _parse(raw: bytes, path: str, way_out: str) -> dict[str, Any]:
    try:
        document = json.loads(raw.decode("utf-8"), parse_constant=_no_number)
    except ValueError as error:
        raise Broken(f"{path} is not JSON ({error}); {way_out}") from None
    if not isinstance(document, dict):
        raise Broken(f"{path} holds no JSON object; {way_out}")
    return document


class Broken(SpecError):
    """A file of the CLI that nobody can read."""

    def __init__(self, sentence: str) -> None:
        super().__init__([sentence])


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _encode(document: Mapping[str, Any], indent: str | None, colon: str) -> bytes:
    """JSON as Go writes it, so that a file that the CLI wrote differs in nothing but what was changed."""
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=indent, separators=(",", colon))
        return text.translate(ESCAPED).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only its escape can say
        return json.dumps(document, allow_nan=False, indent=indent, separators=(",", colon)).encode()
    except ValueError:
        raise SlipwayError("a number in it is too large to be written as it was; shorten it, then run again") from None
