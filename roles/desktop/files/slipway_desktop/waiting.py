# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Awaitable[T]) -> T:
    """The result of ``work``; asyncio.TimeoutError when there is none in time.

    asyncio.wait_for loses a cancellation that comes together with the result (bpo-42130, until Python 3.12), and who waits for the
    cancelled task waits for ever.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # it is taken notice of, also by who was cancelled
    if task.cancelled():
        raise asyncio.TimeoutError
    return task.result()
