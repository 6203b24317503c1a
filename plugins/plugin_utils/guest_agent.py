# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked of the QEMU guest agent: commands and files, by the words of its protocol."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError

# The agent gives 48 MB of a file at once, libvirt passes on 4 MiB, and both keep all of it in memory.
CHUNK = 256 * 1024
# Of a command's input: its JSON, in base64, must fit into libvirt's 4 MiB.
INPUT_LIMIT = 2 * 1024 * 1024
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5)  # seconds between two looks at a command; the last one for the rest


class AgentRefused(SlipwayError):
    """The agent answered that it cannot do what it was asked."""


class Agent:
    """The agent of one guest. ``ask`` takes a command as JSON and returns the reply as JSON, or raises SlipwayError."""

    def __init__(self, ask: Callable[[str], str], sleep: Callable[[float], None] = time.sleep) -> None:
        self._ask = ask
        self._sleep = sleep

    def _call(self, command: str, **arguments: Any) -> Any:
        reply = json.loads(self._ask(json.dumps({"execute": command, "arguments": arguments})))
        if "error" in reply:
            raise AgentRefused(f"{command}: {reply['error'].get('desc', reply['error'])}")
        return reply.get("return")

    def run(self, path: str, arguments: Iterable[str], stdin: bytes | None = None) -> tuple[int, bytes, bytes]:
        """Run a program; return its exit code (128 and the signal's number when that ended it), output and errors."""
        options: dict[str, Any] = {"path": path, "arg": list(arguments), "capture-output": True}
        if stdin is not None:
            if len(stdin) > INPUT_LIMIT:
                raise AgentRefused(
                    f"{len(stdin)} bytes of input are more than the {INPUT_LIMIT} that fit into a message to the guest agent; "
                    f"set ansible_pipelining: false for this task"
                )
            options["input-data"] = _encode(stdin)
        pid = self._call("guest-exec", **options)["pid"]
        status = self._ended(pid)
        output, errors = (base64.b64decode(status.get(key, "")) for key in ("out-data", "err-data"))
        for key, what in (("out-truncated", "output"), ("err-truncated", "error output")):
            if status.get(key):
                raise AgentRefused(
                    f"the guest agent kept only the beginning of the command's {what}, so what it did is not known in full; "
                    f"redirect it to a file in the guest, and fetch that"
                )
        return status["exitcode"] if "exitcode" in status else 128 + status.get("signal", 127), output, errors

    def _ended(self, pid: int) -> dict[str, Any]:
        """Look until the program has ended. How long it may take is the task's own affair; a guest that is gone ends it too."""
        looks = 0
        while True:
            status = self._call("guest-exec-status", pid=pid)
            if status.get("exited"):
                return status
            self._sleep(PAUSES[min(looks, len(PAUSES) - 1)])
            looks += 1

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write a file of the guest."""
        handle = self._call("guest-file-open", path=path, mode="w")
        try:
            for chunk in chunks:
                while chunk:
                    written = self._call("guest-file-write", **{"handle": handle, "buf-b64": _encode(chunk)})["count"]
                    if written < 1:
                        raise AgentRefused(f"guest-file-write: nothing more was written to {path}; is the disk full?")
                    chunk = chunk[written:]
        except SlipwayError:
            self._give_up(handle)
            raise
        self._call("guest-file-close", handle=handle)  # says what could not be written to the end

    def read(self, path: str) -> Iterator[bytes]:
        """Read a file of the guest, piece by piece."""
        handle = self._call("guest-file-open", path=path, mode="r")
        try:
            while True:
                part = self._call("guest-file-read", handle=handle, count=CHUNK)
                if part["count"]:
                    yield base64.b64decode(part["buf-b64"])
                if part["eof"]:
                    return
        finally:
            self._give_up(handle)

    def _give_up(self, handle: int) -> None:
        with suppress(SlipwayError):  # the failure that is told is the one before
            self._call("guest-file-close", handle=handle)


def pieces(file: Any) -> Iterator[bytes]:
    """An open file in pieces that fit into a message."""
    return iter(lambda: file.read(CHUNK), b"")


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
