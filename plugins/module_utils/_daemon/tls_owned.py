# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose the files of TLS on an engine's host are, which daemon uses them, and how they go. Nothing is decided here.

Beside them is a note of the last certificates that were put there, by their digests. Where the certificate is another one, somebody else has put
it there, and its key with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any

from .._converge.errors import SlipwayError
from .._whole_file import closed_at, replace
from . import flags as flag
from .process import find, running, service_of
from .tls_spec import CA, CERT, KEY, NEW_KEY, NOTE, TRIED
from .unread import CERTIFICATES, document_at

# Whatever the note says: what is there while a run is at work.
PASSING = (NEW_KEY, TRIED, *(f".{name}.slipway-new" for name in (NEW_KEY, TRIED, CERT, CA, NOTE)))
# The secret goes first, and last what says whose the rest is: the run may be killed.
ORDER = (KEY, *PASSING, CERT, CA, NOTE)


def note(folder: str, cert: bytes | None = None) -> None:
    """Remember that a certificate is ours, which is about to come, or is there; in the first case that which is there is remembered too, if it was."""
    known, there = _noted(folder), _content(folder, CERT)
    kept = [digest for digest in known or () if there and digest == _digest(there)]
    wanted = list(dict.fromkeys([*(_digest(one) for one in (cert or there,) if one), *kept]))
    if wanted != known:
        _write(folder, wanted)


def begin(folder: str) -> None:
    """Remember that what comes is ours, before there is its certificate."""
    if _noted(folder) is None:
        _write(folder, [])


def look(folder: str, everything: bool) -> dict[str, Any]:
    """``files`` that can go, with their modes; ``theirs``: those that others have put there, which go only with
    ``everything``; ``used``: {"place", "key", "value"} of each word by which a daemon uses one that can go; and what is in the way (``obstacle``)."""
    theirs = [] if everything or _is_ours(folder) else [name for name in (KEY, CERT, CA) if _there(folder, name)]
    files = {name: _mode(folder, name) for name in ORDER if name not in theirs and _there(folder, name)}
    closed = closed_at(folder) if files else ""
    return {
        "files": files,
        "theirs": theirs,
        "used": _used([os.path.join(folder, name) for name in files]) if {KEY, CERT, CA} & {*files} else [],
        "obstacle": f"{closed} may not be changed by uid {os.geteuid()}" if closed else "",
    }


def remove(folder: str, files: Sequence[str]) -> None:
    """Remove files, and the folder when nothing is left in it; what a daemon uses stays, whoever asks."""
    used = _used([os.path.join(folder, name) for name in files])
    if used:
        raise SlipwayError(f"{used[0]['place']}: {used[0]['key']}: {used[0]['value']} is used; nothing was removed")
    for name in (name for name in ORDER if name in files):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
    with suppress(OSError):  # not empty, or a place of somebody else's making, such as a link
        os.rmdir(folder)


# -- details -------------------------------------------------------------------------------------------------------


def _noted(folder: str) -> list[str] | None:
    """Digests of the certificates that were put there; None when none was."""
    content = _content(folder, NOTE)
    with suppress(ValueError):
        found = json.loads(content or b"")
        return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
    return None if content is None else []


def _write(folder: str, digests: Sequence[str]) -> None:
    replace(os.path.join(folder, NOTE), (json.dumps(digests) + "\n").encode(), 0o444)


def _is_ours(folder: str) -> bool:
    known, cert = _noted(folder), _content(folder, CERT)
    return known is not None and (cert is None or _digest(cert) in known)


def _used(paths: Sequence[str]) -> list[dict[str, str]]:
    """By what daemons use these files: the words of those that run, what they read when they start, and likewise of the one that would be started."""
    wanted = {os.path.realpath(path) for path in paths}
    said: list[tuple[str, Mapping[str, Any]]] = []
    files = {flag.CONFIG_FILE}
    for process in running():
        files.add(flag.value_of(process.flags, "config-file", flag.CONFIG_FILE))
        said.append((f"the command line of process {process.pid}", _words(process.flags)))
    if find(flag.CONFIG_FILE) is None:
        service, _process = service_of(flag.CONFIG_FILE, None, 30.0, None)
        said.append((f"the command line in {service.called}", _words(service.unit_flags())))
    said += [(path, document_at(path)) for path in sorted(files)]
    return [
        {"place": place, "key": key, "value": words[key]}
        for place, words in said
        for key in CERTIFICATES
        if isinstance(words.get(key), str) and words[key] and os.path.realpath(words[key]) in wanted
    ]


def _words(flags: Sequence[flag.Flag]) -> dict[str, str]:
    return {key: flag.value_of(flags, key) for key in CERTIFICATES}


def _there(folder: str, name: str) -> bool:
    return os.path.lexists(os.path.join(folder, name))


def _mode(folder: str, name: str) -> str:
    return f"{os.lstat(os.path.join(folder, name)).st_mode & 0o7777:04o}"


def _content(folder: str, name: str) -> bytes | None:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        return b""
    except OSError as error:
        raise SlipwayError(f"{os.path.join(folder, name)}: {error.strerror}; run as root (become: true)") from None


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
