# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the controller's plugins use of libvirt, answered from a description of a host: a dict, or a JSON file that the URI names.

{"domains": {NAME: {"xml": TEXT, "state": 1, "addresses": {"1": {...}, "2": {...}}, "agent": true | ERROR}},
 "networks": {NAME: {"xml": TEXT, "leases": [...]}}}
"""

from __future__ import annotations

import base64
import builtins
import json
import os
import subprocess

HOSTS: dict[str, dict] = {}
CLOSED: list[str] = []


class libvirtError(Exception):
    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self._code = code

    def get_error_code(self) -> int:
        return self._code


def registerErrorHandler(_handler, _context) -> None:
    pass


def open(uri: str) -> Connection:
    if uri in HOSTS:
        return Connection(uri, HOSTS[uri])
    if uri.startswith("fake:///"):
        with builtins.open(uri.partition("://")[2], encoding="utf-8") as file:
            return Connection(uri, json.load(file))
    raise libvirtError(f"Failed to connect socket for {uri}: No such file or directory", 38)


class Connection:
    def __init__(self, uri: str, host: dict) -> None:
        self._uri, self._host = uri, host

    def listAllDomains(self, _flags: int) -> list[Domain]:
        return [Domain(name, known) for name, known in self._host["domains"].items()]

    def lookupByName(self, name: str) -> Domain:
        if name not in self._host["domains"]:
            raise libvirtError(f"Domain not found: no domain with matching name '{name}'", 42)
        return Domain(name, self._host["domains"][name])

    def networkLookupByName(self, name: str) -> Network:
        if name not in self._host.get("networks", {}):
            raise libvirtError(f"Network not found: no network with matching name '{name}'", 43)
        return Network(self._host["networks"][name])

    def close(self) -> None:
        CLOSED.append(self._uri)


class Network:
    def __init__(self, known: dict) -> None:
        self._known = known

    def XMLDesc(self, _flags: int) -> str:
        return self._known["xml"]

    def DHCPLeases(self) -> list[dict] | None:
        if "leases" not in self._known:
            raise libvirtError("this function is not supported by the connection driver: virNetworkGetDHCPLeases", 3)
        return self._known["leases"] or None


class Domain:
    def __init__(self, name: str, known: dict) -> None:
        self._name, self._known = name, known

    def XMLDesc(self, _flags: int) -> str:
        if self._known.get("gone"):
            raise libvirtError(f"Domain not found: no domain with matching name '{self._name}'", 42)
        return self._known["xml"]

    def state(self, _flags: int) -> list[int]:
        return [self._known.get("state", 1), 1]

    def interfaceAddresses(self, source: int, _flags: int) -> dict:
        self._known.setdefault("asked", []).append(source)
        if str(source) not in self._known.get("addresses", {}):
            raise libvirtError("Guest agent is not responding: QEMU guest agent is not connected", 86)
        return self._known["addresses"][str(source)]

    def answer(self, text: str) -> str:
        """The guest agent's reply; libvirt raises what the agent calls an error."""
        error = self._known.get("agent", True)
        if error is not True:
            raise libvirtError(*error)
        command = json.loads(text)
        try:
            reply = AGENT.do(command["execute"], command["arguments"])
        except Refused as refused:
            raise libvirtError(
                f"internal error: unable to execute QEMU agent command '{command['execute']}': {refused}"
            ) from None
        return json.dumps({"return": reply})


class Refused(Exception):
    pass


class GuestAgent:
    """A guest agent whose guest is this machine. Its replies have the form of those of qemu-ga 7.2, which were recorded."""

    def __init__(self) -> None:
        self.processes: dict[int, tuple] = {}
        self.files: dict[int, object] = {}
        self.said: list[str] = []

    def do(self, command: str, given: dict):
        self.said.append(command)
        return getattr(self, command.replace("-", "_"))(given)

    def guest_exec(self, given: dict) -> dict:
        process = subprocess.Popen(
            [given["path"], *given["arg"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
        )
        output, errors = process.communicate(base64.b64decode(given.get("input-data", "")))
        self.processes[process.pid] = (process.returncode, output, errors, iter((False, True)))
        return {"pid": process.pid}

    def guest_exec_status(self, given: dict) -> dict:
        if given["pid"] not in self.processes:
            raise Refused("Invalid parameter 'pid'")
        code, output, errors, ended = self.processes[given["pid"]]
        if not next(ended):
            return {"exited": False}
        del self.processes[given["pid"]]
        status = {"exited": True, **({"exitcode": code} if code >= 0 else {"signal": -code})}
        for name, data in (("out", output), ("err", errors)):
            if data:
                status[f"{name}-data"] = base64.b64encode(data).decode()
                status[f"{name}-truncated"] = False
        return status

    def guest_file_open(self, given: dict) -> int:
        try:
            file = builtins.open(given["path"], given["mode"] + "b")  # noqa: SIM115 - until the guest closes it
        except OSError as error:
            raise Refused(
                f"failed to open file '{given['path']}' (mode: '{given['mode']}'): {error.strerror}"
            ) from None
        handle = 1000 + len(self.said)
        self.files[handle] = file
        return handle

    def guest_file_write(self, given: dict) -> dict:
        """Not all at once, as a pipe or a full page cache would have it."""
        data = base64.b64decode(given["buf-b64"])
        some = data[: max(1, len(data) * 2 // 3)]
        self.files[given["handle"]].write(some)
        return {"count": len(some), "eof": False}

    def guest_file_read(self, given: dict) -> dict:
        data = self.files[given["handle"]].read(given["count"])
        return {"count": len(data), "buf-b64": base64.b64encode(data).decode(), "eof": not data}

    def guest_file_close(self, given: dict) -> dict:
        self.files.pop(given["handle"]).close()
        return {}


AGENT = GuestAgent()
