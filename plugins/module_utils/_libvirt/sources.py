# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where base images come from: a file on the host where the module runs, or a URL."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._converge.errors import EngineError

REMOTE = ("http://", "https://")


@contextmanager
def opened(place: str) -> Iterator[tuple[Any, int | None]]:
    """An image's file or URL as (stream, length in bytes or None)."""
    try:
        if place.startswith(REMOTE):
            stream = urllib.request.urlopen(place, timeout=60)
            said = stream.headers.get("Content-Length")
            length = int(said) if said else None
        else:
            path = place[len("file://") :] if place.startswith("file://") else place
            stream = open(path, "rb")  # noqa: SIM115 - closed below, as the other one
            length = os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise EngineError(f"{place} cannot be read: {getattr(error, 'strerror', None) or error}", 400) from None
    with stream:
        yield stream, length


def capacity(place: str, form: str) -> int:
    """Bytes of the disk that an image holds; 0 for a URL, and for what is no such image.

    The header of a qcow2 file says it: https://www.qemu.org/docs/master/interop/qcow2.html
    """
    if place.startswith(REMOTE):
        return 0
    with opened(place) as (stream, length):
        if form == "raw":
            return length or 0
        header = stream.read(32)
    return int.from_bytes(header[24:32], "big") if header[:4] == b"QFI\xfb" else 0


def digest(place: str) -> str:
    """The SHA-256 of a file in hexadecimal digits; empty for a URL, which is read when it is fetched."""
    if place.startswith(REMOTE):
        return ""
    found = hashlib.sha256()
    with opened(place) as (stream, _length):
        while chunk := stream.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()
