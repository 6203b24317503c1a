# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts the machine in which the engine is, when it is off."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from .waiting import within

PATIENCE = 120  # seconds for one command; a hypervisor may be reached over ssh itself
PAUSES = (1, 2, 5, 10, 30, 60)
OFF = ("shut off", "crashed")


class VirshFailed(Exception):
    """What virsh said, in one line."""


async def start(uri: str, domain: str) -> bool:
    """Start the domain unless it is on; say whether it was off."""
    state = await _virsh(uri, "domstate", "--domain", domain)
    if state in OFF:
        await _virsh(uri, "start", "--domain", domain)
    elif state in ("paused", "pmsuspended"):
        raise VirshFailed(
            f"it is {state}; `virsh -c {uri} {'resume' if state == 'paused' else 'dompmwakeup'} {domain}` goes on"
        )
    return state in OFF


def pause(failures: int) -> int:
    """Seconds before the next try after so many failures."""
    return PAUSES[min(failures, len(PAUSES)) - 1]


async def _virsh(uri: str, *words: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            "virsh",
            "-c",
            uri,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise VirshFailed("there is no program virsh; install libvirt-clients") from None
    try:
        out, said = await within(PATIENCE, process.communicate())
    except asyncio.TimeoutError:
        raise VirshFailed(f"virsh {words[0]} does not end within {PATIENCE} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
    if process.returncode:
        raise VirshFailed(" ".join(said.decode(errors="replace").split())[:300] or f"virsh {words[0]} failed")
    return out.decode(errors="replace").strip()
