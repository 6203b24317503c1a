# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One ssh to the guest, that holds the forwards, and what is asked of it over its control socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from . import engine, troubles
from .config import Config
from .ports import Forward
from .troubles import Trouble
from .waiting import within

NOWHERE = "/nonexistent/slipway"  # a path that no guest has
LOGIN = 10  # seconds for the rest, once the guest has been reached
ASKED = 5  # seconds for a word with the ssh that runs
END = 0.7  # seconds to end by itself
ENVIRONMENT = {"LC_ALL": "C"}


class SshFailed(Exception):
    """It did not come up."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        super().__init__(trouble.text)


def command(config: Config, patience: int) -> list[str]:
    """The command line: no shell, no terminal, no question; the socket of the engine, and one that leads to nothing."""
    options = {
        "ControlPersist": "no",
        "ExitOnForwardFailure": "yes",
        "StreamLocalBindUnlink": "yes",
        "StreamLocalBindMask": "0177",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "PermitLocalCommand": "no",
        "ConnectTimeout": str(patience),
        # Whoever does not answer is found out sooner, see Forwarder.probe; this is for when nobody asks.
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    forwards = ["-L", f"{config.socket}:{config.remote_socket}", "-L", f"{config.canary}:{NOWHERE}"]
    return ["ssh", "-nNT", "-a", "-x", "-M", "-S", str(config.control), *words, *forwards, config.ssh]


class Connection:
    """A running ssh."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.lines: deque[str] = deque(maxlen=20)  # the last that it said
        self._process: asyncio.subprocess.Process | None = None
        self._rest = b""

    async def open(self, patience: int) -> None:
        """Start it, and wait until it forwards; SshFailed says why it does not."""
        said, its = os.pipe()
        try:
            # A pipe of ours: an inherited one would make asyncio wait for whoever else holds it.
            self._process = await asyncio.create_subprocess_exec(
                *command(self.config, patience),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=its,
                env={**os.environ, **ENVIRONMENT},
                start_new_session=True,
            )
        except FileNotFoundError:
            os.close(said)
            raise SshFailed(Trouble("there is no program ssh; install openssh-client", True)) from None
        except BaseException:
            os.close(said)
            raise
        finally:
            os.close(its)
        os.set_blocking(said, False)
        asyncio.get_running_loop().add_reader(said, self._read, said)
        deadline = asyncio.get_running_loop().time() + patience + LOGIN
        while not (self.config.control.exists() and self.config.socket.exists()):
            if self._process.returncode is not None:
                await asyncio.sleep(0.02)  # what it said last
                raise SshFailed(troubles.of_ssh(self.config.ssh, list(self.lines)))
            if asyncio.get_running_loop().time() > deadline:
                raise SshFailed(Trouble(f"{self.config.ssh} is reached, and does not let us in within {LOGIN} s"))
            await asyncio.sleep(0.03)

    def _read(self, said: int) -> None:
        try:
            data = os.read(said, 65536)
        except BlockingIOError:
            return
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-1000:]
        self.lines.extend(line.decode(errors="replace").strip()[:300] for line in lines if line.strip())
        if not data:
            asyncio.get_running_loop().remove_reader(said)
            os.close(said)

    async def ended(self) -> str:
        """Wait until it ends; return why."""
        assert self._process
        await self._process.wait()
        return f"ssh ended: {self.lines[-1]}" if self.lines else "ssh ended"

    def whole(self) -> bool:
        """Say whether its sockets are still where they belong."""
        return all(path.is_socket() for path in (self.config.control, self.config.socket, self.config.canary))

    async def lives(self, seconds: float) -> bool:
        """Say whether the guest's end answers; the engine has no part in it."""
        return await engine.closes(self.config.canary, seconds)

    async def add(self, forward: Forward) -> tuple[int | None, str]:
        """Forward a port; return nothing, or the error of this workstation and what ssh said."""
        code = taken(forward)
        if code is not None:
            return code, ""
        return None, await self._ask("forward", "-L", forward.spec)

    async def cancel(self, forward: Forward) -> None:
        """End a forward; one that is not there is none."""
        await self._ask("cancel", "-L", forward.spec)

    async def _ask(self, *words: str) -> str:
        """Ask the ssh that runs for something; return why it did not do it, or nothing."""
        # No configuration: it could forward more, and would be read each time.
        line = ["ssh", "-F", "/dev/null", "-S", str(self.config.control), "-O", *words, self.config.ssh]
        process = await asyncio.create_subprocess_exec(
            *line,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **ENVIRONMENT},
        )
        try:
            _out, said = await within(ASKED, process.communicate())
        except asyncio.TimeoutError:
            return f"ssh -O {words[0]} does not end"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
        lines = said.decode(errors="replace").strip().splitlines()
        return "" if process.returncode == 0 else f"ssh: {_last(lines)}"

    async def end(self) -> None:
        """End it, and wait until it has ended."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
            try:
                await within(END, process.wait())
            except asyncio.TimeoutError:
                process.kill()
                await process.wait()


def _last(lines: Sequence[str]) -> str:
    return lines[-1].strip()[:300] if lines else "no word"


def taken(forward: Forward) -> int | None:
    """The error with which this workstation would refuse the port; None when it would not. ssh tells only that it failed."""
    family = socket.AF_INET6 if ":" in forward.address else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ssh does
        if family == socket.AF_INET6:
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            trial.bind((forward.address, forward.port))
        except OSError as error:
            return error.errno
    return None
