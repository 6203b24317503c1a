# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks the engine over a unix socket. HTTP/1.0, so that an answer is what comes until the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .waiting import within

LARGEST = 64 << 20
# All that changes a published port or the name of who has it. What is executed in containers is said too, and is not wanted here.
FILTERS = {"type": ["container", "network"], "event": ["start", "die", "rename", "connect", "disconnect"]}
EVENTS = f"/events?filters={quote(json.dumps(FILTERS))}"


class EngineFailed(Exception):
    """It did not answer as it should. ``gone``: nobody listens on the socket; ``closed``: no answer came; ``silent``: none came in time."""

    def __init__(self, how: str) -> None:
        self.how = how
        super().__init__(how)


async def ping(socket: Path, seconds: float) -> None:
    """Have an answer in time, or EngineFailed."""
    await _within(seconds, _get(socket, "/_ping"))


async def containers(socket: Path, seconds: float) -> list[dict[str, Any]]:
    """The containers that run."""
    content = await _within(seconds, _get(socket, "/containers/json"))
    try:
        found = json.loads(content)
    except ValueError:
        raise EngineFailed("closed") from None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


async def events(socket: Path, seconds: float) -> AsyncIterator[None]:
    """Yield when the engine has begun to tell, and whenever something has happened; what it was is to be asked for."""
    reader, writer = await _within(seconds, _ask(socket, EVENTS))
    try:
        yield None
        while await reader.read(65536):
            yield None
    except OSError:
        pass
    finally:
        await _end(writer)


async def closes(socket: Path, seconds: float) -> bool:
    """Say whether a connection is taken and closed in time without a word."""
    try:
        await _within(seconds, _get(socket, "/"))
    except EngineFailed as failed:
        return failed.how == "closed"
    return True


async def _within(seconds: float, waiting: Any) -> Any:
    try:
        return await within(seconds, waiting)
    except asyncio.TimeoutError:
        raise EngineFailed("silent") from None


async def _get(socket: Path, target: str) -> bytes:
    reader, writer = await _ask(socket, target)
    try:
        return await _all(reader)
    except OSError:
        raise EngineFailed("closed") from None
    finally:
        await _end(writer)


async def _all(reader: asyncio.StreamReader) -> bytes:
    content = bytearray()
    while len(content) < LARGEST:
        more = await reader.read(1 << 20)
        if not more:
            return bytes(content)
        content += more
    raise EngineFailed("closed")


async def _ask(socket: Path, target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request and read the head of its answer."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        raise EngineFailed("gone") from None
    try:
        writer.write(f"GET {target} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if head.split()[1:2] == [b"200"]:
            return reader, writer
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    except BaseException:
        await _end(writer)
        raise
    await _end(writer)
    raise EngineFailed("closed")


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()  # what went wrong with it is known; asyncio would say it when nobody asks
