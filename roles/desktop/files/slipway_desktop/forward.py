# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the engine of the guest here: one ssh at a time, looked after, with the ports that containers publish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from . import engine, machine, place, ports, troubles
from .config import Config
from .engine import EngineFailed
from .ports import Forward
from .ssh import Connection, SshFailed
from .troubles import Trouble
from .waiting import within

# Seconds. A guest that hangs is found out when neither its engine nor, after that, its sshd has answered: 5 to 8 after it has begun.
PROBE_EVERY, ANSWER_WITHIN, LIVES_WITHIN = 3.0, 3.0, 2.0
RETRY = 1.0  # while the engine is away
SETTLE = 0.03  # one event seldom comes alone
READ_WITHIN = 10.0
PORTS_AGAIN, ALL_AGAIN = 10.0, 60.0  # with ports that are taken, and for what no event has told

Say = Callable[[str], None]


class Forwarder:
    """What the program is while it runs."""

    def __init__(self, config: Config, say: Say) -> None:
        self.config = config
        self.say = say
        self.since = time.time()
        self.connected = False
        self.forwards: dict[Forward, str] = {}
        self.troubles: dict[str, str] = {}  # by what they are about
        self.notes: dict[str, str] = {}
        self._told: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self._written: dict[str, Any] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Keep it until this is cancelled; then end what was begun."""
        starting = asyncio.ensure_future(self._start_machine())
        failures = lasting = 0
        self.tell()
        try:
            while True:
                began = time.monotonic()
                trouble = await self._connect(troubles.patience(failures))
                failures = troubles.counted(failures, not trouble.text, time.monotonic() - began)
                lasting = lasting + 1 if trouble.lasting else 0
                await asyncio.sleep(troubles.pause(lasting or failures, trouble.lasting))
        finally:
            starting.cancel()

    # -- the connection ------------------------------------------------------------------------------------------------

    async def _connect(self, patience: int) -> Trouble:
        """Have a connection for as long as it lasts; return why there was none, or nothing when there was."""
        connection = Connection(self.config)
        try:
            place.clear(self.config)
            await connection.open(patience)
            reason = await self._attend(connection)
            if self.connected:
                self.say(f"lost {self.config.ssh}: {reason}")
            else:
                self.trouble("ssh", f"{self.config.ssh} lets us in, and does not stay: {reason}")
            return Trouble("")
        except (SshFailed, place.PlaceFailed, OSError) as failed:
            trouble = failed.trouble if isinstance(failed, SshFailed) else Trouble(str(failed), True)
            self.trouble("ssh", trouble.text)
            return trouble
        finally:
            self.connected = False
            self.forwards.clear()
            await connection.end()
            self.tell()

    async def _attend(self, connection: Connection) -> str:
        """Do all that is done while a connection lasts; return why it is over."""
        jobs: list[Coroutine[Any, Any, str]] = [
            connection.ended(),
            self._probe(connection),
            self._follow(),
            self._keep_ports(connection),
        ]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            done, _rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _probe(self, connection: Connection) -> str:
        """Ask the engine again and again, as any client would; return when this connection will not do."""
        while True:
            try:
                await engine.ping(self.config.socket, ANSWER_WITHIN)
                self.answers()
            except EngineFailed as failed:
                if failed.how == "gone" or not connection.whole():
                    return "its sockets are gone"
                # An engine that hangs is no reason to break off what goes on over this connection.
                if failed.how == "silent" and not await connection.lives(LIVES_WITHIN):
                    return "it does not answer"
                self.connected = False
                trouble = troubles.of_engine(self.config.ssh, self.config.remote_socket, failed.how)
                self.troubles.pop("ssh", None)
                self.trouble("engine", trouble.text)
            await asyncio.sleep(PROBE_EVERY if self.connected else RETRY)

    def answers(self) -> None:
        """Note that the engine answers."""
        if not self.connected:
            self.connected = True
            self.troubles.pop("ssh", None)
            self.trouble("engine")
            self.say(f"the engine of {self.config.ssh} answers at unix://{self.config.socket}")

    # -- the ports -----------------------------------------------------------------------------------------------------

    async def _follow(self) -> str:
        """Wake who keeps the ports whenever something has happened."""
        while True:
            with suppress(EngineFailed):
                async for _something in engine.events(self.config.socket, READ_WITHIN):
                    self._changed.set()
            await asyncio.sleep(RETRY)

    async def _keep_ports(self, connection: Connection) -> str:
        """Keep the published ports forwarded."""
        while True:
            wait = PORTS_AGAIN if any(key.startswith("port ") for key in self.troubles) else ALL_AGAIN
            with suppress(asyncio.TimeoutError):
                await within(wait, self._changed.wait())
            await asyncio.sleep(SETTLE)
            self._changed.clear()
            try:
                found = await engine.containers(self.config.socket, READ_WITHIN)
            except EngineFailed:
                await asyncio.sleep(RETRY)
                self._changed.set()
                continue
            await self._forward(connection, ports.wanted(found, self.config.addresses))

    async def _forward(self, connection: Connection, wanted: ports.Wanted) -> None:
        """Forward what is wanted and nothing else."""
        gone, new = ports.difference(self.forwards, wanted.forwards)
        for forward in gone:
            await connection.cancel(forward)
            del self.forwards[forward]
        failed = dict(wanted.doubled)
        for forward in new:
            name = wanted.forwards[forward]
            code, said = await connection.add(forward)
            if code is None and not said:
                self.forwards[forward] = name
            else:
                failed[f"port {forward.here}"] = ports.refused(forward, name, code, said)
        self.forwards = {forward: wanted.forwards[forward] for forward in sorted(self.forwards)}
        others = {key: text for key, text in self.troubles.items() if not key.startswith("port ")}
        self.troubles = {**others, **failed}
        self.notes = wanted.notes
        self.tell()

    # -- the machine ---------------------------------------------------------------------------------------------------

    async def _start_machine(self) -> None:
        """Start the machine once; who shuts it down later means it."""
        failures = 0
        while self.config.domain:
            try:
                if await machine.start(self.config.uri, self.config.domain):
                    self.say(f"started the machine {self.config.domain}")
                self.trouble("machine")
                return
            except (machine.VirshFailed, OSError) as error:
                self.trouble("machine", f"the machine {self.config.domain} is not started: {error}")
            failures += 1
            await asyncio.sleep(machine.pause(failures))

    # -- what is said --------------------------------------------------------------------------------------------------

    def trouble(self, about: str, text: str = "") -> None:
        """Note what is wrong with something, or that nothing is."""
        self.troubles.pop(about, None)
        if text:
            self.troubles[about] = text
        self.tell()

    def tell(self) -> None:
        """Say what is new, and keep the status as it is."""
        for before, after in zip(self._told, (self.troubles, self.notes)):
            for line in troubles.news(before, after):
                self.say(line)
        self._told = (dict(self.troubles), dict(self.notes))
        status = {
            "name": self.config.name,
            "since": int(self.since),
            "socket": str(self.config.socket),
            "connected": self.connected,
            "forwards": [
                {"here": forward.here, "there": forward.there, "container": name}
                for forward, name in self.forwards.items()
            ],
            "problems": list(self.troubles.values()),
            "notes": list(self.notes.values()),
        }
        if status != self._written:
            # On a disk that is full it is tried again with what is told next; the engine stays.
            with suppress(OSError):
                place.write_status(self.config, status)
                self._written = status
