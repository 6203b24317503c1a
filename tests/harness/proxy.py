# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A proxy between a client and an engine, both on unix sockets, that writes down every call and can break any of them.

with RecordingProxy(engine.socket) as proxy:
    proxy.fault("drop", path="/containers/create", nth=2)
    ... a client talks to proxy.url ...
    assert not proxy.mutating
"""

from __future__ import annotations

import os
import re
import select
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

FAULTS = ("status", "delay", "drop", "cut", "lost", "truncated", "hang", "call")
KEPT = 1 << 16  # bytes of a request's body that are written down


@dataclass
class Call:
    """One request as it came in, and what became of it; ``path`` is without the API's version."""

    method: str
    path: str
    query: dict[str, str]
    version: str = ""
    body: bytes = b""
    status: int | None = None
    fault: str = ""

    def __str__(self) -> str:
        query = "&".join(f"{key}={value}" for key, value in sorted(self.query.items()))
        return f"{self.method} {self.path}{'?' + query if query else ''}"


@dataclass
class Rule:
    """What to do to the calls number ``nth`` to ``nth + count - 1`` of those that match; all from ``nth`` on without a count."""

    fault: str
    value: Any = None
    method: str = ""
    path: str = ""
    nth: int = 1
    count: int | None = None
    mutating: bool = False
    seen: int = 0
    met: str = ""  # the first call that was broken, as text

    def applies(self, call: Call) -> bool:
        """Count the call when it matches, and say whether its turn has come."""
        if self.method and call.method != self.method:
            return False
        if self.mutating and not is_mutating(call):
            return False
        if not re.search(self.path, call.path):
            return False
        self.seen += 1
        due = self.nth <= self.seen and (self.count is None or self.seen < self.nth + self.count)
        if due and not self.met:
            self.met = str(call)
        return due


def is_mutating(call: Call) -> bool:
    """Anything but a look: every method that may change something, whatever it does in fact."""
    return call.method not in ("GET", "HEAD")


class _Closed(Exception):
    """A side hung up."""


@dataclass
class _Side:
    """One connection with what has been read from it and not used; ``reader`` is the side it is read for."""

    sock: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    reader: _Side | None = None

    def more(self) -> None:
        if self.reader:
            self._wait(self.reader)
        data = self.sock.recv(1 << 16)
        if not data:
            raise _Closed
        self.buffer += data

    def _wait(self, reader: _Side) -> None:
        """Wait until this side has something to say; raise when the reader hangs up before."""
        watched = [self.sock, reader.sock]
        while True:
            readable, _, _ = select.select(watched, [], [], 1)
            if self.sock in readable:
                return
            if reader.sock in readable:
                if reader.hung_up():
                    raise _Closed
                watched = [self.sock]  # the next request, sent early: it has its turn later

    def until(self, mark: bytes) -> bytes:
        while (at := self.buffer.find(mark)) < 0:
            self.more()
        return self.take(at + len(mark))

    def take(self, size: int) -> bytes:
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def some(self, limit: int) -> bytes:
        if not self.buffer:
            self.more()
        return self.take(limit)

    def hung_up(self) -> bool:
        readable, _, _ = select.select([self.sock], [], [], 0)
        try:
            return bool(readable) and not self.buffer and self.sock.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True


def _header(head: bytes, name: bytes) -> bytes:
    match = re.search(rb"(?im)^" + name + rb":[ \t]*(.*?)\r?$", head)
    return match.group(1).lower() if match else b""


def _body(head: bytes, side: _Side, until_end: bool = False) -> Iterator[bytes]:
    """The pieces of one body as they are on the wire, each as soon as it has come."""
    if b"chunked" in _header(head, b"transfer-encoding"):
        while True:
            line = side.until(b"\r\n")
            yield line
            left = int(line.split(b";")[0], 16) + 2
            last = left == 2
            while left:
                piece = side.some(left)
                left -= len(piece)
                yield piece
            if last:
                return
    elif _header(head, b"content-length"):
        left = int(_header(head, b"content-length"))
        while left:
            piece = side.some(left)
            left -= len(piece)
            yield piece
    elif until_end:
        with suppress(_Closed):
            while True:
                yield side.some(1 << 16)


def _parse(head: bytes) -> Call:
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
    parts = urlsplit(target)
    version = re.match(r"/v(\d+\.\d+)(?=/)", parts.path)
    path = parts.path[version.end() :] if version else parts.path
    query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return Call(method, unquote(path), query, version.group(1) if version else "")


class RecordingProxy:
    """Serve ``url`` and pass everything on to the engine at ``upstream`` (a socket's path or a unix:// URL).

    ``calls`` are all requests in the order they came, ``mutating`` those that are not GET or HEAD.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.removeprefix("unix://")
        self.calls: list[Call] = []
        self.rules: list[Rule] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._flying = 0
        self._ended = threading.Event()
        self._directory = tempfile.mkdtemp(prefix="sp-", dir="/tmp")
        os.chmod(self._directory, 0o755)
        self.socket = str(Path(self._directory, "docker.sock"))
        self.url = f"unix://{self.socket}"

    def __enter__(self) -> RecordingProxy:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.socket)
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        with self._lock:
            everything = [self._listener, *self._open]
        for sock in everything:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    # -- what tests ask --------------------------------------------------------------------------------------------

    @property
    def mutating(self) -> list[Call]:
        """The calls that may have changed something."""
        return [call for call in self.calls if is_mutating(call)]

    def matching(self, method: str = "", path: str = "") -> list[Call]:
        """The calls with this method whose path matches the regular expression."""
        return [call for call in self.calls if method in ("", call.method) and re.search(path, call.path)]

    def forget(self) -> None:
        """Begin a new record; rules stay and count on."""
        with self._lock:
            self.calls = []

    def fault(
        self, fault: str, value: Any = None, *, method: str = "", path: str = "", nth: int = 1, count: int | None = 1, mutating: bool = False
    ) -> Rule:  # fmt: skip
        """Break calls: the ``nth`` (from 1) that matches and, with a larger or no ``count``, those after it.

        ``status`` answers with that status and does not forward; ``delay`` waits so many seconds, then forwards; ``drop`` hangs
        up before forwarding; ``cut`` forwards and hangs up at once, while the engine is at it; ``lost`` forwards and hangs up before the answer; ``truncated`` forwards and hangs up in the middle
        of the answer; ``hang`` neither forwards nor answers; ``call`` calls a function with the Call, then forwards, or hangs up
        when it returns False. With ``lost`` a function may be given too: it is called when the engine has answered.
        """
        if fault not in FAULTS:
            raise ValueError(f"{fault}: not one of {', '.join(FAULTS)}")
        rule = Rule(fault, value, method, path, nth, count, mutating)
        with self._lock:
            self.rules.append(rule)
        return rule

    def drain(self, seconds: float = 20) -> None:
        """Wait until the engine has answered everything that was forwarded."""
        deadline = time.monotonic() + seconds
        while self._flying:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._flying} calls are still under way")
            time.sleep(0.01)

    def heal(self) -> None:
        """Break nothing from now on."""
        with self._lock:
            self.rules = []

    # -- the wire --------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _track(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.add(sock)

    def _serve(self, sock: socket.socket) -> None:
        self._track(sock)
        upstream = socket.socket(socket.AF_UNIX)
        self._track(upstream)
        try:
            client, engine = _Side(sock), _Side(upstream)
            upstream.connect(self.upstream)
            while self._exchange(client, engine):
                pass
        except (_Closed, OSError, ValueError):
            pass  # a side hung up, or the daemon is gone: the other side learns it by our hanging up
        finally:
            with self._lock:
                self._open -= {sock, upstream}
            for end in (sock, upstream):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)  # other threads may be reading it
                end.close()

    def _record(self, head: bytes) -> tuple[Call, Rule | None]:
        call = _parse(head)
        with self._lock:
            self.calls.append(call)
            matching = [rule for rule in self.rules if rule.applies(call)]
        if matching:
            call.fault = matching[0].fault
            return call, matching[0]
        return call, None

    def _exchange(self, client: _Side, engine: _Side) -> bool:
        """Carry one request and its answer; say whether the connection goes on."""
        head = client.until(b"\r\n\r\n")
        with self._lock:
            self._flying += 1
        try:
            return self._carry(head, client, engine)
        finally:
            with self._lock:
                self._flying -= 1

    def _carry(self, head: bytes, client: _Side, engine: _Side) -> bool:
        call, rule = self._record(head)
        # What changes something is followed to its end, though nobody may wait for it any more.
        engine.reader = None if is_mutating(call) else client
        fault = rule.fault if rule else ""
        if fault == "drop":
            return False
        if fault == "hang":
            self._request(call, head, client, None)  # what is not read would hide that the client hangs up
            while not client.hung_up() and not self._ended.wait(0.02):
                pass
            return False
        if fault == "delay":
            self._ended.wait(rule.value)
        elif fault == "call" and rule.value(call) is False:
            return False
        upgrade = b"upgrade" in _header(head, b"connection")
        self._request(call, head, client, None if fault == "status" else engine)
        if fault == "status":
            self._refuse(call, client, rule.value)
            return True
        if fault == "cut":
            client.sock.shutdown(socket.SHUT_RDWR)
            engine.reader = None
            engine.until(b"\r\n\r\n")
            return False
        if fault == "lost":
            engine.until(b"\r\n\r\n")
            if callable(rule.value):
                rule.value(call)
            return False
        return self._answer(call, client, engine, upgrade, truncated=fault == "truncated")

    def _request(self, call: Call, head: bytes, client: _Side, engine: _Side | None) -> None:
        if engine:
            engine.sock.sendall(head)
        if b"100-continue" in _header(head, b"expect"):
            client.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        for piece in _body(head, client):
            if len(call.body) < KEPT:
                call.body += piece
            if engine:
                engine.sock.sendall(piece)

    def _refuse(self, call: Call, client: _Side, status: int) -> None:
        call.status = status
        body = b'{"message":"injected fault"}'
        lines = (
            f"HTTP/1.1 {status} Injected",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "",
            "",
        )
        client.sock.sendall("\r\n".join(lines).encode() + (b"" if call.method == "HEAD" else body))

    def _answer(self, call: Call, client: _Side, engine: _Side, upgrade: bool, truncated: bool) -> bool:
        head = engine.until(b"\r\n\r\n")
        call.status = int(head.split(b" ", 2)[1])
        if call.status == 100:  # said to the client already
            head = engine.until(b"\r\n\r\n")
            call.status = int(head.split(b" ", 2)[1])
        client.sock.sendall(head)
        hijacked = call.status == 101 or (upgrade and call.status == 200)
        if hijacked:
            self._pipe(client, engine)
            return False
        if call.method == "HEAD" or call.status in (204, 304):
            return True
        sized = _header(head, b"content-length") or b"chunked" in _header(head, b"transfer-encoding")
        for piece in _body(head, engine, until_end=True):
            if truncated:
                client.sock.sendall(piece[: max(1, len(piece) // 2)])
                return False
            client.sock.sendall(piece)
        return bool(sized) and b"close" not in _header(head, b"connection")

    def _pipe(self, client: _Side, engine: _Side) -> None:
        """Carry bytes both ways until both sides have ended: attach, exec, a build's session."""
        ways = {client.sock: engine.sock, engine.sock: client.sock}
        for side, other in ((client, engine.sock), (engine, client.sock)):
            if side.buffer:
                other.sendall(side.take(len(side.buffer)))
        while ways:
            readable, _, _ = select.select(list(ways), [], [], 60)
            for sock in readable:
                data = sock.recv(1 << 16)
                if data:
                    ways[sock].sendall(data)
                    continue
                with suppress(OSError):
                    ways[sock].shutdown(socket.SHUT_WR)
                del ways[sock]
                if sock is engine.sock:  # nothing more will come
                    return


def until_called(proxy: RecordingProxy, condition: Callable[[Call], bool], seconds: float = 10) -> Call:
    """Wait for a call that meets the condition and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for call in list(proxy.calls):
            if condition(call):
                return call
        time.sleep(0.01)
    raise TimeoutError("no such call came")
