# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine's end of TLS: its three files, its addresses, and a key that is made where it stays. Nothing is decided here.

A key is made by openssl, for the standard library makes none; only its public half leaves the host.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .._converge.errors import SlipwayError
from .._whole_file import closed_at, replace
from . import flags as flag
from .process import Process, run, running, search_path
from .tls_owned import begin, note
from .tls_spec import CA, CERT, KEY, MODES, NEW_KEY, TRIED
from .unread import document_at, unread, used

LARGEST = 1 << 20  # bytes
SECONDS = 30.0
PASSING = ("temporary", "deprecated", "tentative", "dadfailed")  # addresses that nobody should count on


def look(folder: str) -> dict[str, Any]:
    """What there is: the files, less the key's content; its public half; the host's name and addresses."""
    files = {name: _file(os.path.join(folder, name)) for name in MODES}
    program = _openssl()
    public, problem = "", files[KEY].pop("problem")
    files[KEY].pop("content")
    if files[KEY]["mode"] is not None and not problem and program:
        public, problem = _public(program, os.path.join(folder, KEY))
    return {
        "name": socket.gethostname(),
        "addresses": addresses(_said(["ip", "-o", "address", "show", "up", "scope", "global"])),
        "files": files,
        "public": public,
        "key_problem": problem,
        "fits": fits(os.path.join(folder, CERT), os.path.join(folder, KEY)) == "",
        "openssl": bool(program),
        "stale": any(_stale(process, folder) for process in running()),
        "obstacle": _obstacle(folder),
        "uid": os.geteuid(),
    }


def make_key(folder: str) -> str:
    """Make a key beside the one that may be there; return its public half."""
    program = _openssl()
    if not program:
        raise SlipwayError("there is no openssl on this host; install the package openssl")
    command = [program, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    done = run([*command, "-pkeyopt", "ec_param_enc:named_curve"], SECONDS)
    if done.returncode:
        raise SlipwayError(f"openssl makes no key: {_last(done.stderr)}")
    os.makedirs(folder, mode=0o755, exist_ok=True)
    begin(folder)
    path = os.path.join(folder, NEW_KEY)
    replace(path, done.stdout, MODES[KEY])
    public, problem = _public(program, path)
    if problem:
        raise SlipwayError(f"{path}: {problem}")
    return public


def place(folder: str, files: Mapping[str, str], new_key: bool) -> None:
    """Bring files, and the key that was made for them, into force; a certificate and a key that do not fit are refused before that."""
    os.makedirs(folder, mode=0o755, exist_ok=True)
    key = os.path.join(folder, NEW_KEY if new_key else KEY)
    if CERT in files:
        tried = os.path.join(folder, TRIED)
        try:
            replace(tried, files[CERT].encode(), MODES[CERT])
            trouble = fits(tried, key)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(tried)
        if trouble:
            raise SlipwayError(
                f"the new certificate and {key} do not go together: {trouble}; nothing was changed, run again"
            )
    # Before the first is there, so that those of a run that was killed are known as well.
    note(folder, files[CERT].encode() if CERT in files else None)
    if new_key:
        os.replace(key, os.path.join(folder, KEY))
    for name in (CERT, CA):
        # What is as it should be is not written again, for a daemon would seem to have yet to read it.
        if name in files and _file(os.path.join(folder, name))["content"] != files[name]:
            replace(os.path.join(folder, name), files[name].encode(), MODES[name])
    for name, mode in MODES.items():
        path = os.path.join(folder, name)
        found = os.stat(path)
        if stat.S_IMODE(found.st_mode) != mode:
            os.chmod(path, mode)
        if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(path, os.geteuid(), os.getegid())
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


# -- details -------------------------------------------------------------------------------------------------------


def addresses(text: str) -> list[list[str]]:
    """[interface, address] of each line of `ip -o address`, less those that come and go by themselves."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] in ("inet", "inet6") and not {*PASSING} & {*words}:
            found.append([words[1].partition("@")[0], words[3].partition("/")[0]])
    return found


def fits(cert: str, key: str) -> str:
    """Why a certificate and a key do not go together; empty when they do."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        return error.reason or str(error)
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _file(path: str) -> dict[str, Any]:
    """``content``, ``mode`` and ``uid`` (None when it is not there), and the ``problem`` of one that cannot be read."""
    found: dict[str, Any] = {"content": "", "mode": None, "uid": None, "problem": ""}
    try:
        about = os.stat(path)
        found.update(mode=stat.S_IMODE(about.st_mode), uid=about.st_uid)
        if not stat.S_ISREG(about.st_mode):
            found["problem"] = "is not a file"
        elif about.st_size > LARGEST:
            found["problem"] = f"has more than {LARGEST} bytes"
        else:
            with open(path, "rb") as file:
                found["content"] = file.read().decode("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise SlipwayError(f"{path}: {error.strerror}; run as root (become: true)") from None
    return found


def _openssl() -> str:
    return shutil.which("openssl", path=search_path()) or ""


def _public(program: str, path: str) -> tuple[str, str]:
    """(the public half of a key, "") or ("", what is wrong with the key)."""
    done = run([program, "pkey", "-in", path, "-passin", "pass:", "-pubout"], SECONDS)
    if done.returncode:
        return "", "no private key that can be read"
    return done.stdout.decode("ascii", "replace"), ""


def _last(words: bytes) -> str:
    return (words.decode(errors="replace").strip().splitlines() or ["no word from it"])[-1]


def _said(command: list[str]) -> str:
    with suppress(SlipwayError):
        return run(command, SECONDS).stdout.decode(errors="replace")
    return ""


def _stale(process: Process, folder: str) -> bool:
    """Whether a daemon that uses files of this folder has yet to read one of them."""
    document = document_at(flag.value_of(process.flags, "config-file", flag.CONFIG_FILE))
    paths = used(process, document)
    return any(
        os.path.dirname(os.path.realpath(paths[name])) == os.path.realpath(folder) for name in unread(process, document)
    )


def _obstacle(folder: str) -> str:
    closed = closed_at(folder)
    if closed == folder and not os.path.isdir(folder):
        return "is not a directory; name another one, or move it away"
    if closed:
        return f"cannot be written to: {closed} belongs to others than uid {os.geteuid()}; run as root (become: true)"
    return ""
