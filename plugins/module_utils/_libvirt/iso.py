# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small ISO 9660 image with a flat list of files, byte for byte the same for the same files. Pure.

Every file is there under three names that lead to one extent: a level 1 name (USER_DAT.;1) for whoever knows nothing else, its own
name in Joliet's tree, and its own name as a Rock Ridge entry, which Linux prefers and from which it takes the owner and the mode.
No date of now is in it, so that equal images are equal files. The standards: ECMA-119, Joliet 1.0, SUSP and RRIP 1.09.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence

LABEL = "cidata"  # by which cloud-init, and our small guests, find a seed
SECTOR = 2048
NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
FILE_MODE, DIRECTORY_MODE = 0o100400, 0o040500  # root's alone: a seed holds the host's private key

DATE = bytes((100, 1, 1, 0, 0, 0, 0))  # 2000-01-01 00:00:00 UTC, in a directory
LONG_DATE = b"2000010100000000\0"  # and in a descriptor
NO_DATE = b"0" * 16 + b"\0"

FIRST = 16  # the sectors before belong to the system
PRIMARY, JOLIET, LAST_DESCRIPTOR, PATHS, ROOT = FIRST, FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 7
ROCK_RIDGE = b"".join(
    (
        b"ER" + bytes((8 + 10 + 84 + 135, 1, 10, 84, 135, 1)),
        b"RRIP_1991A",
        b"THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS",
        b"PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR ",
        b"CONTACT INFORMATION.",
    )
)


def image(files: Mapping[str, bytes]) -> bytes:
    """Return the image with these files; raises ValueError for a name that is not lower case letters, digits, `.`, `_` and `-`."""
    names = sorted(files)
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a name on a seed; use up to 64 of a-z, 0-9, `.`, `_` and `-`")
    short = _short_names(names)
    # How long the directories are does not depend on where the files lie, so they are made twice.
    nowhere = dict.fromkeys(names, (0, 0))
    first = _sectors(_primary_tree(names, short, nowhere, 0, 0))
    second = _sectors(_joliet_tree(names, nowhere, 0, 0))
    joliet_root, continuation = ROOT + first, ROOT + first + second
    extents, place = {}, continuation + 1
    for name in names:
        extents[name] = (place, len(files[name]))
        place += _sectors(files[name])
    primary = _primary_tree(names, short, extents, ROOT, continuation)
    joliet = _joliet_tree(names, extents, joliet_root, second * SECTOR)
    parts = [
        bytes(FIRST * SECTOR),
        _descriptor(1, place, ROOT, len(primary), PATHS, "ascii"),
        _descriptor(2, place, joliet_root, len(joliet), PATHS + 2, "utf-16-be"),
        b"\xffCD001\1",
        *(_path_table(order, root) for root in (ROOT, joliet_root) for order in "<>"),
        primary,
        joliet,
        ROCK_RIDGE,
        *(files[name] for name in names),
    ]
    return b"".join(_padded(part) for part in parts)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % SECTOR)


def _sectors(part: bytes) -> int:
    return -(-len(part) // SECTOR)


def _both(number: int) -> bytes:
    """A number in both byte orders, as the standard has it."""
    return struct.pack("<I", number) + struct.pack(">I", number)


def _both_short(number: int) -> bytes:
    return struct.pack("<H", number) + struct.pack(">H", number)


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """{name: its level 1 name}: eight characters, a dot and three, no two alike."""
    found: dict[str, str] = {}
    for name in names:
        stem, _dot, suffix = name.upper().rpartition(".") if "." in name else (name.upper(), "", "")
        stem, suffix = (re.sub("[^A-Z0-9_]", "_", part) for part in (stem, suffix))
        short, number = f"{stem[:8]}.{suffix[:3]};1", 0
        while short in found.values():
            number += 1
            short = f"{stem[: 8 - len(str(number))]}{number}.{suffix[:3]};1"
        found[name] = short
    return found


# -- directories -----------------------------------------------------------------------------------------------


def _record(identifier: bytes, extent: int, size: int, directory: bool, more: bytes = b"") -> bytes:
    """One line of a directory; `more` is what Rock Ridge adds."""
    name = identifier + bytes((len(identifier) + 1) % 2)
    rest = _both(extent) + _both(size) + DATE + bytes((2 if directory else 0, 0, 0)) + _both_short(1)
    record = bytes(1) + rest + bytes((len(identifier),)) + name + more
    record += bytes((len(record) + 1) % 2)
    return bytes((len(record) + 1,)) + record


def _directory(records: Sequence[bytes]) -> bytes:
    """Lines one after the other, none across the border of a sector."""
    found = b""
    for record in records:
        if len(found) % SECTOR + len(record) > SECTOR:
            found = _padded(found)
        found += record
    return _padded(found)


def _primary_tree(
    names: Sequence[str], short: Mapping[str, str], extents: Mapping[str, tuple[int, int]], root: int, continuation: int
) -> bytes:
    """The root directory with level 1 names, and the whole names as Rock Ridge has them."""
    more = {name: b"NM" + bytes((5 + len(name), 1, 0)) + name.encode() + _posix(FILE_MODE, 1) for name in names}
    files = [
        _record(short[name].encode(), *extents[name], False, more[name])
        for name in sorted(names, key=lambda name: _padded_key(short[name]))
    ]

    def whole(size: int) -> bytes:
        shared = b"SP\7\1\xbe\xef\0" + _posix(DIRECTORY_MODE, 2)
        further = b"CE" + bytes((28, 1)) + _both(continuation) + _both(0) + _both(len(ROCK_RIDGE))
        itself = _record(b"\0", root, size, True, shared + further)
        parent = _record(b"\1", root, size, True, _posix(DIRECTORY_MODE, 2))
        return _directory([itself, parent, *files])

    return whole(len(whole(0)))


def _padded_key(short: str) -> tuple[str, str]:
    """Level 1 names are in the order of their parts, each filled up with spaces."""
    stem, _dot, suffix = short.partition(".")
    return stem.ljust(8), suffix.partition(";")[0].ljust(3)


def _joliet_tree(names: Sequence[str], extents: Mapping[str, tuple[int, int]], root: int, size: int) -> bytes:
    """The root directory with the names in UCS-2."""
    encoded = sorted((name.encode("utf-16-be"), name) for name in names)
    files = [_record(identifier, *extents[name], False) for identifier, name in encoded]
    return _directory([_record(b"\0", root, size, True), _record(b"\1", root, size, True), *files])


def _posix(mode: int, links: int) -> bytes:
    """Rock Ridge's PX: mode, links, owner and group."""
    return b"PX" + bytes((36, 1)) + _both(mode) + _both(links) + _both(0) + _both(0)


# -- what leads to them ----------------------------------------------------------------------------------------


def _path_table(order: str, root: int) -> bytes:
    """The one directory that there is, in the byte order `<` or `>`."""
    return struct.pack(order + "BBIH", 1, 0, root, 1) + b"\0\0"


def _descriptor(kind: int, sectors: int, root: int, size: int, paths: int, charset: str) -> bytes:
    """The primary (1) or Joliet's (2) volume descriptor; `paths` is the sector of its first path table."""

    def text(value: str, length: int) -> bytes:
        room = length // len(" ".encode(charset))
        return value.ljust(room).encode(charset).ljust(length, b"\0")

    return b"".join(
        (
            bytes((kind,)) + b"CD001\1\0",
            text("", 32),
            text(LABEL, 32),
            bytes(8),
            _both(sectors),
            (b"%/E" if kind == 2 else b"").ljust(32, b"\0"),  # UCS-2 level 3
            _both_short(1) + _both_short(1) + _both_short(SECTOR),
            _both(10),  # bytes in a path table
            struct.pack("<II", paths, 0) + struct.pack(">II", paths + 1, 0),
            _record(b"\0", root, size, True),
            b"".join(text("", length) for length in (128, 128, 128, 128, 37, 37, 37)),
            LONG_DATE + LONG_DATE + NO_DATE + NO_DATE,
            b"\1\0",
        )
    )
