# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a certificate says of itself, read from its DER: when it is valid, and for whom. Pure; RFC 5280, section 4.1.

The standard library opens certificates only together with a connection, so the few fields that are needed are read here.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
SEQUENCE, UTC_TIME, VERSION, EXTENSIONS = 0x30, 0x17, 0xA0, 0xA3
DNS_NAME, IP_ADDRESS = 0x82, 0x87
ALTERNATIVE_NAMES = b"\x55\x1d\x11"  # 2.5.29.17


@dataclass(frozen=True)
class Certificate:
    """``begins`` and ``ends`` in seconds since the epoch; ``names``: the hosts that it is for."""

    begins: float
    ends: float
    names: tuple[str, ...] = ()


def blocks(pem: str) -> list[tuple[str, str]]:
    """(label, text) of the PEM blocks of a text, such as ("CERTIFICATE", "-----BEGIN ...")."""
    return [(match[1], match[0]) for match in BLOCK.finditer(pem)]


def certificates(pem: str) -> list[Certificate]:
    """The certificates of a text, in its order; raises ValueError when one cannot be read."""
    return [parse(ssl.PEM_cert_to_DER_cert(text)) for label, text in blocks(pem) if label == "CERTIFICATE"]


def parse(der: bytes) -> Certificate:
    """The certificate of some bytes; raises ValueError when they are none."""
    try:
        ((_tag, whole),) = _items(der)
        (_tag, signed), *_signature = _items(whole)
        fields = [item for item in _items(signed) if item[0] != VERSION]
        begins, ends = (_seconds(*item) for item in _items(fields[3][1]))
    except (ValueError, IndexError, TypeError):
        raise ValueError("it is damaged") from None
    return Certificate(begins, ends, tuple(_names(fields)))


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of the values that follow one another."""
    place = 0
    while place < len(data):
        tag, length, place = data[place], data[place + 1], place + 2
        if length & 0x80:
            more = length & 0x7F
            length, place = int.from_bytes(data[place : place + more], "big"), place + more
        if place + length > len(data):
            raise ValueError("it ends early")
        yield tag, data[place : place + length]
        place += length


def _seconds(tag: int, content: bytes) -> float:
    text = content.decode("ascii")
    if tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return float(timegm((int(text[:4]), *(int(text[place : place + 2]) for place in range(4, 14, 2)))))


def _names(fields: list[tuple[int, bytes]]) -> Iterator[str]:
    for _tag, wrapped in (item for item in fields if item[0] == EXTENSIONS):
        for _sequence, listed in _items(wrapped):
            for _one, extension in _items(listed):
                (_oid, identity), *_critical, (_octets, value) = _items(extension)
                if identity == ALTERNATIVE_NAMES:
                    yield from _alternatives(value)


def _alternatives(value: bytes) -> Iterator[str]:
    for _tag, names in _items(value):
        for tag, content in _items(names):
            if tag == DNS_NAME:
                yield content.decode("ascii", "replace")
            elif tag == IP_ADDRESS and len(content) in (4, 16):
                yield str(ipaddress.ip_address(content))
