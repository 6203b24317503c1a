# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts the machine in which the engine is, when it is off, and has it go off before the user's session takes its power away."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress

from .waiting import within

PATIENCE = 120  # seconds for one command; a hypervisor may be reached over ssh itself
ASKED = 5  # seconds for the user's systemd
GOING_OFF = 75  # seconds; a user's systemd ends a service by force after 90
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


async def leave(uri: str, domain: str, say: Callable[[str], None]) -> None:
    """Shut the domain down when the user's session is ending, which kills all that a hypervisor of the user's own runs."""
    if not domain or not uri.split("?")[0].endswith("/session") or not await _session_ends():
        return
    try:
        off = await _shut_down(uri, domain)
    except (VirshFailed, OSError) as error:
        say(f"the session ends, and the machine {domain} was not shut down: {error}")
    else:
        say(f"the session ends: the machine {domain} {'is off' if off else f'is not off after {GOING_OFF} s'}")


async def _shut_down(uri: str, domain: str) -> bool:
    """Have the domain shut itself down; say whether it is off in time."""
    if await _virsh(uri, "domstate", "--domain", domain) in OFF:
        return True
    await _virsh(uri, "shutdown", "--domain", domain)
    deadline = time.monotonic() + GOING_OFF
    while time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        if await _virsh(uri, "domstate", "--domain", domain) in OFF:
            return True
    return False


async def _session_ends() -> bool:
    """Whether the systemd of this user is about to end, and not just this program."""
    try:
        _code, out, _said = await _run(ASKED, "systemctl", "--user", "is-system-running")
    except (asyncio.TimeoutError, OSError):  # there is none, or it does not answer
        return False
    return out == "stopping"


async def _virsh(uri: str, *words: str) -> str:
    try:
        code, out, said = await _run(PATIENCE, "virsh", "-c", uri, *words)
    except FileNotFoundError:
        raise VirshFailed("there is no program virsh; install libvirt-clients") from None
    except asyncio.TimeoutError:
        raise VirshFailed(f"virsh {words[0]} does not end within {PATIENCE} s") from None
    if code:
        raise VirshFailed(" ".join(said.split())[:300] or f"virsh {words[0]} failed")
    return out


async def _run(seconds: float, *command: str) -> tuple[int | None, str, str]:
    """Run a command, which is killed when it has not ended by then; return its exit status, its answer and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        out, said = await within(seconds, process.communicate())
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
    return process.returncode, out.decode(errors="replace").strip(), said.decode(errors="replace")
