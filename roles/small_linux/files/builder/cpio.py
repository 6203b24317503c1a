# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cpio archive in the form that the kernel unpacks, byte for byte the same for the same files. Pure.

The form is `newc`: Documentation/driver-api/early-userspace/buffer-format.rst. All belongs to root, and numbers count from one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DIRECTORY, FILE, LINK = 0o040000, 0o100000, 0o120000


@dataclass(frozen=True)
class Entry:
    """A file, a folder, or a link whose data is where it leads."""

    mode: int
    data: bytes = b""


def folder(mode: int = 0o755) -> Entry:
    """Make a folder."""
    return Entry(DIRECTORY | mode)


def file(data: bytes, mode: int = 0o644) -> Entry:
    """Make a file."""
    return Entry(FILE | mode, data)


def link(target: str) -> Entry:
    """Make a link."""
    return Entry(LINK | 0o777, target.encode())


def archive(entries: Mapping[str, Entry], when: int) -> bytes:
    """Return the archive; the folders of what is in it are in it too."""
    everything = dict(entries)
    for name in entries:
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            everything.setdefault("/".join(parts[:depth]), folder())
    # A folder sorts before what is in it.
    records = [_record(name, everything[name], number, when) for number, name in enumerate(sorted(everything), 1)]
    return b"".join([*records, _record("TRAILER!!!", Entry(0), 0, 0)])


def _record(name: str, entry: Entry, number: int, when: int) -> bytes:
    title = name.encode() + b"\0"
    links = 2 if entry.mode & DIRECTORY == DIRECTORY else 1
    fields = (number, entry.mode, 0, 0, links, when, len(entry.data), 0, 0, 0, 0, len(title), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + title
    return _padded(head) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
