# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting until containers are well: one event stream for all, a deadline for each, the cause in the message."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence

from .._converge.errors import EngineError
from .._converge.option import dig
from .._converge.secret import mask
from . import fields
from .engine import Engine, path

POLL = 1.0  # seconds between looks, should events not arrive
LOG_LINES = 20
# Not its start, which the first look has seen already: whether it is told before or after that look would decide how many looks there are.
TELLING = ("die", "oom", "stop", "kill", "destroy")


class Watch:
    """Watches containers of one engine. The event stream is opened by the first who waits."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.began = time.time()
        self.changed = threading.Condition()
        self.counts: dict[str, int] = {}
        self.listening = False

    def until_well(
        self, target: str, *, healthy: bool, watch: float, deadline: float, hidden: Sequence[str] = ()
    ) -> None:
        """Return when the container has been up for ``watch`` seconds and, with ``healthy``, its check passes.

        Raises EngineError as soon as it has exited, restarts itself or is unhealthy, or when ``deadline`` seconds are over.
        A container without a health check is healthy when it stays up.
        """
        self._listen()
        since = time.monotonic()
        restarts: int | None = None
        while True:
            raw = self.engine.get(path("containers", target, "json"))
            seen = self._count(raw["Id"])
            restarts = raw.get("RestartCount", 0) if restarts is None else restarts
            waited = time.monotonic() - since
            left = self._verdict(raw, healthy, watch - waited, restarts, hidden)
            if left is None:
                return
            if waited >= deadline:
                health = dig(raw, "State.Health.Status") or dig(raw, "State.Status")
                raise EngineError(f"is still {health} after {deadline:g} s{self._evidence(raw, hidden)}")
            self._pause(raw["Id"], seen, min(left, deadline - waited))

    def _verdict(self, raw: Mapping, healthy: bool, left: float, restarts: int, hidden: Sequence[str]) -> float | None:
        """None when it is well, else how long to wait before another look; raises when it will not get well."""
        state = raw.get("State") or {}
        status, health = state.get("Status"), dig(state, "Health.Status") or "none"
        if raw.get("RestartCount", 0) > restarts or status == "restarting":
            raise EngineError(
                f"exits and is restarted again and again, exit code {state.get('ExitCode')}{self._evidence(raw, hidden)}"
            )
        if status != "running":
            oom = ", killed for want of memory" if state.get("OOMKilled") else ""
            error = f", {state['Error']}" if state.get("Error") else ""
            raise EngineError(
                f"did not stay up: {status} with exit code {state.get('ExitCode')}{oom}{error}{self._evidence(raw, hidden)}"
            )
        if healthy and health == "unhealthy":
            raise EngineError(f"is unhealthy{self._evidence(raw, hidden)}")
        if left <= 0 and (not healthy or health in ("healthy", "none")):
            missing = fields.unbound(raw)
            if missing:
                raise EngineError(f"runs, but the engine has not published {', '.join(missing)} as asked")
            return None
        return max(left, 0.05) if left > 0 else POLL

    def _evidence(self, raw: Mapping, hidden: Sequence[str]) -> str:
        """The last output of the health check and the last lines of the log, secrets masked."""
        text = ""
        checks = dig(raw, "State.Health.Log") or []
        if checks and checks[-1].get("ExitCode"):
            text += f"; its health check said: {' '.join((checks[-1].get('Output') or '').split()) or 'nothing'}"
        lines = self._log(raw)
        text += "; its last lines: " + " | ".join(lines) if lines else "; it logged nothing"
        return mask(text, hidden)

    def _log(self, raw: Mapping) -> list[str]:
        try:
            data = self.engine.raw(path("containers", raw["Id"], "logs"), stdout=1, stderr=1, tail=LOG_LINES)
        except EngineError:
            return []  # the log driver may not be readable: no evidence is not a failure of its own
        text = data if dig(raw, "Config.Tty") else b"".join(_frames(data))
        return [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]

    # -- events ------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        with self.changed:
            if self.listening:
                return
            self.listening = True
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        filters = json.dumps({"type": ["container"]})
        try:
            for event in self.engine.progress(
                "GET", "/events", query={"filters": filters, "since": f"{self.began:.0f}"}, timeout=86400
            ):
                action = event.get("Action") or event.get("status") or ""
                if action in TELLING or action.startswith("health_status"):
                    with self.changed:
                        identity = dig(event, "Actor.ID") or event.get("id") or ""
                        self.counts[identity] = self.counts.get(identity, 0) + 1
                        self.changed.notify_all()
        except EngineError:
            return  # whoever waits looks for itself every second

    def _count(self, identity: str) -> int:
        with self.changed:
            return self.counts.get(identity, 0)

    def _pause(self, identity: str, seen: int, seconds: float) -> None:
        """Wait for news of one container, or for the time to be over."""
        with self.changed:
            self.changed.wait_for(lambda: self.counts.get(identity, 0) != seen, timeout=max(seconds, 0.01))


def _frames(data: bytes) -> list[bytes]:
    """The payloads of a multiplexed log: eight bytes of header, the last four the length."""
    found, position = [], 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "big")
        found.append(data[position + 8 : position + 8 + length])
        position += 8 + length
    return found
