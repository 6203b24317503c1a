# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The TLS files that a task names: read once, and looked at before anything is stored. They are files of the client."""

from __future__ import annotations

import os
import ssl
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .. import _certificate
from .._converge.desired import quote
from .._converge.lock import user

ROLES = {"ca_path": "ca", "client_cert": "cert", "client_key": "key"}  # option -> the CLI's name of the file, less .pem
LARGEST = 1 << 20  # bytes; a bundle of every authority there is has a fifth of it


@dataclass(frozen=True)
class Material:
    """The content of each file by its role. It holds a private key, so it shows nothing of it."""

    content: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    paths: Mapping[str, str] = field(default_factory=dict)


def read(paths: Mapping[str, str]) -> tuple[Material, list[tuple[str, str]]]:
    """Read the files of these options; return them with (option, sentence) for each that cannot be read."""
    content: dict[str, bytes] = {}
    mistakes = []
    for option, path in paths.items():
        try:
            content[ROLES[option]] = _whole(path)
        except FileNotFoundError:
            mistakes.append(
                (option, f"the file {quote(path)} is not there; correct the path, or copy it to this host first")
            )
        except PermissionError:
            sentence = f"the file {quote(path)} may not be read by {user()}; change its mode, or say become: true"
            mistakes.append((option, sentence))
        except OSError as error:
            mistakes.append((option, f"{quote(path)} cannot be read: {error.strerror}; name a PEM file"))
        except ValueError as error:
            mistakes.append((option, f"{quote(path)} {error}; name a PEM file"))
    return Material(content, {ROLES[option]: path for option, path in paths.items()}), mistakes


def _whole(path: str) -> bytes:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError("is not a regular file")
        found = stream.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise ValueError(f"has more than {LARGEST} bytes")
    return found


def check(material: Material, now: float | None = None) -> Iterator[tuple[str, str]]:
    """(option, sentence) for what the files show to be wrong by themselves."""
    now = time.time() if now is None else now
    wrong: set[str] = set()
    for option, role in ROLES.items():
        if role in material.content:
            found = list((_check_key if role == "key" else _check_certificates)(material, role, now))
            wrong.update(role for _sentence in found)
            yield from ((option, sentence) for sentence in found)
    if {"cert", "key"} <= set(material.content) and not wrong & {"cert", "key"}:
        yield from _check_pair(material)


def _check_certificates(material: Material, role: str, now: float) -> Iterator[str]:
    path = quote(material.paths[role])
    content = material.content[role]
    text = content.decode("ascii", "replace")
    try:
        found = _certificate.certificates(text)
    except ValueError as error:
        yield f"{path} is not a certificate in PEM, {error}; make it anew"
        return
    if not found:
        yield f"{path} {_what_it_is(content, text)}, where a certificate in PEM is wanted{_way_out(content, path)}"
        return
    if role == "cert":
        found = found[:1]  # what follows are those that signed it
    if all(item.ends < now for item in found):
        yield f"{path} has expired, on {_day(max(item.ends for item in found))}; renew it"
    if all(item.begins > now for item in found):
        yield f"{path} is not valid before {_day(min(item.begins for item in found))}; wait, or look at this host's clock"


def _check_key(material: Material, role: str, _now: float) -> Iterator[str]:
    path = quote(material.paths[role])
    text = material.content[role].decode("ascii", "replace")
    keys = [(label, body) for label, body in _certificate.blocks(text) if label.endswith("PRIVATE KEY")]
    if not keys:
        yield f"{path} {_what_it_is(material.content[role], text)}, where a private key in PEM is wanted; name the key of client_cert"
    elif keys[0][0].startswith("ENCRYPTED") or "Proc-Type: 4,ENCRYPTED" in keys[0][1]:
        yield (
            f"{path} is encrypted, and the CLI asks for no passphrase of a context; store one that is not: "
            f"openssl pkey -in {material.paths[role]} -out KEY"
        )


def _check_pair(material: Material) -> Iterator[tuple[str, str]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    cert, key = material.paths["cert"], material.paths["key"]
    try:
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield (
                "client_key",
                f"{quote(key)} is not the key of the certificate {quote(cert)}; name the one it was made with",
            )
        else:
            yield (
                "client_cert",
                f"{quote(cert)} and {quote(key)} cannot be used: {error.reason or error}; make them anew",
            )
    except OSError as error:
        yield "client_cert", f"{quote(cert)} and {quote(key)} cannot be read: {error.strerror}"


def _what_it_is(content: bytes, text: str) -> str:
    labels = [label for label, _body in _certificate.blocks(text)]
    if labels:
        return f"holds a {labels[0].lower()}"
    if not content.strip():
        return "is empty"
    return "is in DER" if content[:1] == b"\x30" else "is no PEM"


def _way_out(content: bytes, path: str) -> str:
    if content[:1] == b"\x30":
        return f"; convert it: openssl x509 -inform der -in {path} -out CERT"
    return "; name the right file"


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
