# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The few calls by which a daemon on this host is asked how it is, over its socket and without the SDK: a host whose daemon is being
configured need not have it yet."""

from __future__ import annotations

import http.client
import json
import select
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from .._converge.errors import EngineError, EngineLost
from .._unix_socket import UnixConnection

PAUSE = 0.05  # seconds between two questions to a daemon that is coming up


class Api:
    """The API at a socket; each call has a connection of its own, for the daemon comes and goes."""

    def __init__(self, path: str, timeout: float = 30.0) -> None:
        self.path, self.timeout = path, timeout

    def call(self, method: str, path: str, body: Any = None, timeout: float | None = None, **query: Any) -> Any:
        """Make one call; return the decoded answer. Raises EngineError when it is refused, EngineLost when nobody answers."""
        connection = UnixConnection(self.path, timeout or self.timeout)
        try:
            content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
            connection.request(
                method, path + (f"?{urlencode(query)}" if query else ""), content, {"Content-Type": kind}
            )
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineLost(f"no answer at {self.path}: {error}") from None
        finally:
            connection.close()
        if answer.status >= 400:
            raise EngineError(_message(text), answer.status)
        try:
            return json.loads(text) if "json" in (answer.getheader("Content-Type") or "") and text.strip() else text
        except ValueError:
            return text

    def answers(self) -> bool:
        """Whether the daemon answers a ping."""
        try:
            self.call("GET", "/_ping", timeout=5)
        except EngineError:
            return False
        return True

    def info(self) -> Mapping[str, Any]:
        """What the engine says of itself; empty when it does not answer."""
        try:
            return self.call("GET", "/info")
        except EngineError:
            return {}

    def running(self) -> dict[str, dict[str, Any]]:
        """The containers that run, by ID: name, PID, restart policy, and whether they vanish when they end."""
        found = {}
        for item in self.call("GET", "/containers/json"):
            try:
                raw = self.call("GET", f"/containers/{item['Id']}/json")
            except EngineError as error:
                if error.status == 404:
                    continue
                raise
            host = raw.get("HostConfig") or {}
            found[raw["Id"]] = {
                "name": raw["Name"].lstrip("/"),
                "pid": raw["State"]["Pid"],
                "vanishes": bool(host.get("AutoRemove")),
            }
        return found

    def reload_events(self) -> ReloadEvents:
        """Listen for the daemon's word that it has reloaded."""
        return ReloadEvents(self.path)


class ReloadEvents:
    """The stream of events of reloads, open from the moment it is made."""

    def __init__(self, path: str) -> None:
        self.connection = UnixConnection(path, 10)
        # With a moment to begin from, an event that comes while the daemon still takes the request is told as well.
        since = f"{time.time():.9f}"
        query = urlencode({"since": since, "filters": json.dumps({"type": ["daemon"], "event": ["reload"]})})
        try:
            self.connection.request("GET", f"/events?{query}")
            # The answer never ends, so it is read by hand.
            self.sock = self.connection.sock
            self.sock.setblocking(False)
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise EngineLost(f"no answer at {path}: {error}") from None
        self.heard = b""

    def __enter__(self) -> ReloadEvents:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.connection.close()

    def attributes(self, seconds: float) -> Mapping[str, str] | None:
        """What the daemon says of the reload; None when it has said nothing in this time."""
        readable, _, _ = select.select([self.sock], [], [], seconds)
        if readable:
            try:
                self.heard += self.sock.recv(65536)
            except OSError:
                return None
        for line in self.heard.splitlines():
            start = line.find(b"{")
            if start >= 0:
                try:
                    event = json.loads(line[start:])
                except ValueError:
                    continue  # the rest of it is on its way
                if isinstance(event, dict) and event.get("Action") == "reload":
                    return (event.get("Actor") or {}).get("Attributes") or {}
        return None


def _message(text: bytes) -> str:
    try:
        found = json.loads(text)
        return str(found.get("message") or found) if isinstance(found, dict) else str(found)
    except ValueError:
        return text.decode(errors="replace").strip()


def wait(condition: Callable[[], Any], seconds: float) -> Any:
    """The first true value of a condition within some seconds, else None."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value or None
        time.sleep(PAUSE)
