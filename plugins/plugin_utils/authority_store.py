# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The authority's directory on the controller: read as a whole, and changed file by file, each in one step. Nothing is decided here."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.module_utils._whole_file import closed_at, replace
from ansible_collections.slipway.docker.plugins.plugin_utils import authority as crypto
from ansible_collections.slipway.docker.plugins.plugin_utils import engine_tls as tls
from ansible_collections.slipway.docker.plugins.plugin_utils.certificate import CLIENT, KIND, Certificate

OPEN = 0o077  # what of a key's mode others could read it by


class Store:
    """The directory. Whoever writes holds its lock."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, *names: str) -> str:
        """The path of something in it."""
        return os.path.join(self.folder, *names)

    # -- read --------------------------------------------------------------------------------------------------

    def look(self) -> tls.Authority:
        """What there is."""
        problems: list[tuple[str, str]] = []
        obstacle = _obstacle(self.folder)
        if obstacle:
            return tls.Authority(problems=(("", obstacle),))
        trusted = self._trusted(problems)
        keys = {name: self._key(name, problems) for name in (tls.CA_KEY, tls.NEXT_KEY)}
        clients = {}
        with suppress(FileNotFoundError, NotADirectoryError):
            for name in sorted(os.listdir(self.path(tls.CLIENTS))):
                if tls.CLIENT_NAME.fullmatch(name) and os.path.isdir(self.path(tls.CLIENTS, name)):
                    clients[name] = self._client(name, trusted)
        return tls.Authority(tuple(trusted), keys[tls.CA_KEY], keys[tls.NEXT_KEY], clients, tuple(problems))

    def _trusted(self, problems: list[tuple[str, str]]) -> list[Certificate]:
        text, mode = _load(self.path(tls.CA))
        if mode is None:
            return []
        try:
            found = crypto.certificates(text)
        except ValueError as error:
            problems.append((tls.CA, f"{error}; bring the right one back, or name an empty directory to begin anew"))
            return []
        for one in found:
            if not one.is_ca:
                problems.append(
                    (
                        tls.CA,
                        f"holds {one.subject}, which is no authority, so nothing it signs is trusted; bring the right one back",
                    )
                )
            elif one.kind != KIND:
                problems.append(
                    (
                        tls.CA,
                        f"{one.subject} has a key of {one.kind}, and engines here trust {KIND} alone; name an empty directory to begin anew",
                    )
                )
        return found

    def _key(self, name: str, problems: list[tuple[str, str]]) -> str:
        text, mode = _load(self.path(name))
        if mode is None:
            return ""
        if mode & OPEN:
            problems.append(
                (
                    name,
                    f"has mode {mode:04o}, so others may have it; chmod 0400, and rotate the authority if they could reach this host",
                )
            )
        try:
            found, kind = crypto.private_key(text)
        except ValueError as error:
            problems.append((name, f"{error}; bring the right one back, or name an empty directory to begin anew"))
            return ""
        if kind != KIND:
            problems.append(
                (name, f"is a key of {kind}, where {KIND} is wanted; name an empty directory to begin anew")
            )
        return found

    def _client(self, name: str, trusted: Sequence[Certificate]) -> tls.Pair:
        files = {file: _load(self.path(tls.CLIENTS, name, file)) for file in tls.MODES}
        text, mode = files[tls.KEY]
        key, kind, problem = "", "", ""
        if mode is not None:
            try:
                key, kind = crypto.private_key(text)
            except ValueError as error:
                problem = str(error)
        modes = {file: found for file, (_text, found) in files.items() if found is not None}
        return pair(files[tls.CERT], files[tls.CA][0], key, kind, problem, modes, trusted)

    # -- write -------------------------------------------------------------------------------------------------

    def change(self, steps: Sequence[str], now: float, days: int) -> tls.Authority:
        """Take steps of the authority; return what there is then."""
        for folder in (self.folder, self.path(tls.CLIENTS)):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        for step in steps:
            if step in (tls.MAKE, tls.NEXT):
                self._next(now, days)
            if step in (tls.MAKE, tls.SIGN):
                os.replace(self.path(tls.NEXT_KEY), self.path(tls.CA_KEY))
            if step == tls.DROP:
                seen = self.look()
                signing = seen.by_key(seen.key)
                assert signing is not None
                self._write(tls.CA, signing.pem)
        return self.look()

    def _next(self, now: float, days: int) -> None:
        """A key that will sign, and its certificate among those that are trusted; what a killed run has left of it is used."""
        text, mode = _load(self.path(tls.NEXT_KEY))
        if mode is None:
            text = crypto.new_key()
            self._write(tls.NEXT_KEY, text, 0o400)
        seen = self.look()
        if seen.by_key(seen.next) is None:
            self._write(tls.CA, seen.bundle + crypto.new_authority(text, now, days))

    def issue_client(self, name: str, leaf: tls.Leaf, seen: tls.Authority, now: float, days: int) -> None:
        """Write what a client needs; its key first, for nothing can be done with a certificate alone."""
        folder = self.path(tls.CLIENTS, name)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        key = crypto.new_key() if leaf.key else _load(self.path(tls.CLIENTS, name, tls.KEY))[0]
        cert = self.issue(seen, crypto.public_of(key), CLIENT, (name,), now, days) if leaf.certificate else ""
        if leaf.key:
            self._write(os.path.join(tls.CLIENTS, name, tls.KEY), key, 0o400)
        if cert:
            self._write(os.path.join(tls.CLIENTS, name, tls.CERT), cert)
        self._write(os.path.join(tls.CLIENTS, name, tls.CA), seen.bundle)
        for file, mode in tls.MODES.items():
            os.chmod(os.path.join(folder, file), mode)

    def issue(self, seen: tls.Authority, public: str, usage: str, names: Sequence[str], now: float, days: int) -> str:
        """A certificate for a public key, signed by the authority that signs now."""
        signing = seen.by_key(seen.key)
        assert signing is not None
        text, _mode = _load(self.path(tls.CA_KEY))
        return crypto.issue(signing, text, public, usage, names, now, days)

    def _write(self, name: str, text: str, mode: int = 0o444) -> None:
        path = self.path(name)
        if _load(path)[0] != text:
            replace(path, text.encode(), mode)


def pair(
    cert: tuple[str, int | None],
    bundle: str,
    key: str,
    kind: str,
    key_problem: str,
    modes: Mapping[str, int],
    trusted: Sequence[Certificate],
    foreign: Mapping[str, int] | None = None,
) -> tls.Pair:
    """A certificate and its key as they are; ``cert``: (text, mode), the mode None where there is none."""
    found, problem = None, ""
    if cert[1] is not None:
        try:
            found = crypto.certificates(cert[0])[0]
        except ValueError as error:
            problem = str(error)
    signer = crypto.signer(found, trusted) if found is not None else ""
    return tls.Pair(found, problem, key, kind, key_problem, bundle, signer, dict(modes), dict(foreign or {}))


def host_pair(seen: Mapping[str, Any], trusted: Sequence[Certificate]) -> tls.Pair:
    """The engine's pair, from what its host has shown."""
    files = seen["files"]
    cert = files[tls.CERT]["content"], files[tls.CERT]["mode"]
    key, kind, problem = "", "", seen["key_problem"]
    if seen["public"]:
        try:
            key, kind = crypto.public_key(seen["public"])
        except ValueError as error:
            problem = str(error)
    elif files[tls.KEY]["mode"] is not None and not problem:
        if seen["fits"]:  # there is no openssl to read it, and it is the certificate's
            with suppress(ValueError):
                found = crypto.certificates(cert[0])[0]
                key, kind = found.key, found.kind
        problem = "" if key else "not that of the certificate"
    modes = {name: about["mode"] for name, about in files.items() if about["mode"] is not None}
    foreign = {name: about["uid"] for name, about in files.items() if about["uid"] not in (None, seen["uid"])}
    found_pair = pair(cert, files[tls.CA]["content"], key, kind, problem, modes, trusted, foreign)
    if files[tls.CERT]["problem"]:
        return tls.Pair(**{**vars(found_pair), "certificate": None, "problem": files[tls.CERT]["problem"]})
    return found_pair


def _load(path: str) -> tuple[str, int | None]:
    """(text, mode) of a file; the mode is None when it is not there."""
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            return file.read(1 << 20).decode("ascii", "replace"), mode
    except (FileNotFoundError, NotADirectoryError):
        return "", None
    except OSError as error:
        raise SlipwayError(f"{path}: {error.strerror}; it is read on the controller, by uid {os.geteuid()}") from None


def _obstacle(folder: str) -> str:
    closed = closed_at(folder)
    if closed == folder and not os.path.isdir(folder):
        return "is not a directory; name another one"
    if closed:
        return f"cannot be written to: {closed} may not be changed by uid {os.geteuid()} of the controller; name another directory"
    return ""
