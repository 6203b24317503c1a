# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ladder that a machine climbs until it can be used: it runs, has an address, answers on SSH with its own key."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from .._converge.errors import EngineError, SlipwayError
from . import address, names, ready, states, xml
from .hypervisor import Hypervisor

FIRST, LAST = 0.2, 1.0  # seconds between looks
CONSOLE = 12  # lines of the console that are shown


class Ladder:
    """One machine on its way up; raises EngineError with what is known when it does not arrive in time."""

    def __init__(self, hypervisor: Hypervisor, name: str, payload: Mapping[str, Any]) -> None:
        self.hypervisor = hypervisor
        self.name = name
        self.payload = payload
        self.rung = payload["rung"]
        self.began = time.monotonic()
        self.deadline = self.began + payload["deadline"]
        self.domain = hypervisor.domain(name)

    def climb(self) -> None:
        """Wait for the rung that was asked for."""
        if self.rung == "none":
            return
        self._runs()
        if self.rung == "running":
            return
        place, port = self._address()
        if self.rung == "ssh":
            self._ssh(place, port)

    def _runs(self) -> None:
        state, why = self.hypervisor.read(self.domain.state)
        if state not in states.RUNNING:
            said = self.hypervisor.last_words(self.name)
            raise self._failure(
                "running", f"it is {states.in_words(state, why)}{f', and QEMU said: {said}' if said else ''}"
            )

    def _address(self) -> tuple[str, int]:
        """Where SSH is to answer: address and port."""
        way = address.forwarded(xml.document(self.hypervisor.read(self.domain.XMLDesc, 0))["Interfaces"])
        if way:
            return way
        if self.payload.get("addresses"):
            return self.payload["addresses"][0], address.SSH
        pause = FIRST
        while True:
            found = self.hypervisor.addresses(self.domain)
            if found:
                return found[0], address.SSH
            self._runs()
            if time.monotonic() > self.deadline:
                raise self._failure("address", "no lease, agent or neighbour tells of an address of its cards")
            time.sleep(pause)
            pause = min(pause * 1.5, LAST)

    def _ssh(self, place: str, port: int) -> None:
        document = xml.document(self.hypervisor.read(self.domain.XMLDesc, 0))
        key = document["Labels"].get(names.HOST_KEY)
        if not key:
            raise self._failure("host key", "no host key is noted for it; say wait_for: running")
        stopped = threading.Event()

        def wait(seconds: float) -> bool:
            time.sleep(seconds)
            if not self.domain.isActive():
                stopped.set()
            return stopped.is_set()

        user = document["Labels"].get(names.USER) or "root"
        verdict = ready.ssh_ready(
            place, user, key, timeout=max(1.0, self.deadline - time.monotonic()), port=port, alias=self.name, wait=wait
        )
        if stopped.is_set():
            self._runs()
        if not verdict.ok:
            where = "" if place in verdict.evidence else f"{place}{'' if port == address.SSH else f' port {port}'}: "
            raise self._failure(verdict.rung, where + verdict.evidence)

    def _failure(self, rung: str, evidence: str) -> EngineError:
        said = self._console()
        console = f"; the end of its console: {said}" if said else ""
        spent = min(time.monotonic() - self.began, self.payload["deadline"])
        return EngineError(
            f"not ready after {spent:.0f} s, it has not come as far as {rung}: {evidence}{self._seen(rung)}{console}",
            500,
        )

    def _seen(self, rung: str) -> str:
        """What the hypervisor knows of a machine that runs, for whoever looks for the cause."""
        if rung == "running":
            return ""
        try:
            state, why = self.hypervisor.read(self.domain.state)
            places = self.hypervisor.whereabouts(self.domain)
        except SlipwayError:
            return ""
        known = ", ".join(f"{name} {' '.join(found) or 'none'}" for name, found in places.items())
        return f"; it is {states.in_words(state, why)}, {known}"

    def _console(self) -> str:
        try:
            volume = self.hypervisor.volume(self.payload["console"])
            if volume is None:
                return ""
            text = b"".join(self.hypervisor.download(volume, 4096)).decode(errors="replace")
        except (SlipwayError, OSError):
            return ""
        lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
        return " | ".join(lines[-CONSOLE:])
