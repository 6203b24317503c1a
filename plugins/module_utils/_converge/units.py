# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Amounts as people write them."""

from __future__ import annotations

import re
from typing import Any

from .desired import quote

SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([bkmgtp]?)(?:i?b)?", re.IGNORECASE)
UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def size(value: Any) -> int:
    """Bytes from a number or a text such as 512m (units are powers of 1024, as in the docker CLI)."""
    text = str(value).strip()
    match = SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{quote(value)} is not a size; write 512m or 2g")
    number = int(float(match[1]) * UNITS[match[2].lower()])
    if number >= 1 << 63:
        raise ValueError(f"{quote(value)} is more than can be counted; write 512m or 2g")
    return number
