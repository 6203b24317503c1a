# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a program of ELF's form needs to start. Pure. The form: System V ABI, chapters 4 and 5, and its supplement for 64 bit."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

DYNAMIC, LOAD = 2, 1
NEEDED, STRTAB = 1, 5


def needed(data: bytes) -> list[str]:
    """The names of the libraries that a program or library names; none for a static one, or for what is no 64-bit ELF file."""
    segments = list(_segments(data))
    dynamic = next(((offset, size) for kind, offset, _address, size in segments if kind == DYNAMIC), None)
    if dynamic is None:
        return []
    offset, size = dynamic
    entries = list(struct.iter_unpack("<QQ", data[offset : offset + size - size % 16]))
    table = next((value for tag, value in entries if tag == STRTAB), None)
    start = next(
        (table - address + place for kind, place, address, length in segments
         if kind == LOAD and table is not None and address <= table < address + length),
        None,
    )  # fmt: skip
    if start is None:
        return []
    return [_text(data, start + value) for tag, value in entries if tag == NEEDED]


def _segments(data: bytes) -> Iterable[tuple[int, int, int, int]]:
    """The type, place in the file, address and length of each segment."""
    if data[:6] != b"\x7fELF\x02\x01":  # 64 bit, the least significant byte first
        return
    (first,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _flags, offset, address, _physical, length = struct.unpack_from("<IIQQQQ", data, first + number * size)
        yield kind, offset, address, length


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode()


def closure(programs: Iterable[bytes], read: Callable[[str], bytes]) -> list[str]:
    """The names of all libraries that these programs need, directly or by way of others, sorted. ``read`` finds one by its name."""
    found: set[str] = set()
    waiting = {name for program in programs for name in needed(program)}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= set(needed(read(name))) - found
    return sorted(found)
