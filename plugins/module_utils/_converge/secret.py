# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must not be shown: names that say so, and how their values are masked in options, plans and other people's texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HIDDEN = "******"
SHORTEST = 4  # characters of a line of a secret that is masked by itself; shorter ones are in every text
WORDS = (
    "passw",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "credential",
    "access_key",
)
IN_URL = re.compile(r"(://[^\s/:@]*:)([^\s/@]+)(?=@)")
LINE = re.compile(r"(\s*([\w.-]+)(?:=|:?\s+))\S")
PAIR = re.compile(r"([\w.-]+)=([^\s,;&|\"']+)")


def looks_secret(key: str) -> bool:
    """Whether a key's name says that its value should not be shown."""
    lowered = key.lower().replace("-", "_")
    return (
        any(word in lowered for word in WORDS)
        or lowered.endswith(("_key", "_pass", "_pwd"))
        or lowered in ("pass", "pwd")
    )


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without these secrets, without passwords in URLs, and without the values of pairs whose names look secret."""
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
    if "=" in text:
        text = PAIR.sub(lambda pair: f"{pair[1]}={HIDDEN}" if looks_secret(pair[1]) else pair[0], text)
    return IN_URL.sub(rf"\1{HIDDEN}", text) if "://" in text else text


def _spellings(secret: str) -> Iterator[str]:
    """A secret as it is, with its spaces as a line of output has them, and each of its lines."""
    yield secret
    lines = [" ".join(line.split()) for line in secret.splitlines()]
    yield " ".join(" ".join(lines).split())
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= SHORTEST)


def secrets_in(values: Mapping) -> list[str]:
    """What is secret in some pairs: the values of names that look so, and passwords in URLs."""
    found = [str(value) for key, value in values.items() if value and looks_secret(str(key))]
    return found + [match[2] for value in values.values() for match in IN_URL.finditer(str(value))]


def hide(value: Any) -> Any:
    """A copy of some options in which what is secret is masked."""
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if looks_secret(str(key)) and item and not isinstance(item, bool) else hide(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_hide_line(item) for item in value]
    return mask(value) if isinstance(value, str) else value


def _hide_line(item: Any) -> Any:
    """NAME=value, of which all that follows is the value, and what was meant as such."""
    line = LINE.match(item) if isinstance(item, str) else None
    return f"{line[1]}{HIDDEN}" if line and looks_secret(line[2]) else hide(item)
