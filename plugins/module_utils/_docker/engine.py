# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection to an engine: one negotiated API version, raw calls, a deadline on each; its errors become ours here.

The transport is the standard library's: a no-op run must not pay for importing the SDK. The SDK does what it knows best
when it is needed: build contexts and registry credentials.
"""

from __future__ import annotations

import errno
import http.client
import importlib.util
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote as escape
from urllib.parse import urlencode

from .._converge.errors import EngineError, EngineLost, MissingLibrary
from .._unix_socket import UnixConnection
from .connection import Address

# https://docs.docker.com/reference/api/engine/version-history/
OLDEST_API, NEWEST_API = (1, 41), (1, 51)
LIBRARY = "docker"
READS = ("GET", "HEAD")
PATIENCE = 30.0  # seconds for an engine that was there to come back: as long as a daemon takes to restart


def _missing(why: str) -> MissingLibrary:
    return MissingLibrary(
        "the Docker SDK for Python",
        why,
        "install python3-docker (the role slipway.docker.engine does), or `pip install docker` there, "
        "or set ansible_python_interpreter to a Python that has it",
    )


def sdk() -> Any:
    """Import the Docker SDK for Python and return it."""
    try:
        import docker
    except ImportError as error:
        raise _missing(str(error)) from None
    return docker


class SshConnection(http.client.HTTPConnection):
    """HTTP through `ssh HOST docker system dial-stdio`, as the CLI does it: keys, jumps and known hosts are ssh's business."""

    def __init__(self, address: Address, options: Sequence[str] = ()) -> None:
        super().__init__("localhost", timeout=address.timeout)
        self.address = address
        self.options = options
        self.process: subprocess.Popen | None = None
        self.complaint = ""  # what ssh had to say, once it is closed

    def connect(self) -> None:
        ours, theirs = socket.socketpair()
        command = ["ssh", "-T", "-o", "ConnectTimeout=30", "-o", "BatchMode=yes"]
        command += [word for option in self.options for word in ("-o", option)]
        command += ["-l", self.address.user] if self.address.user else []
        command += ["-p", str(self.address.port)] if self.address.port else []
        command += ["--", self.address.host, "docker", "system", "dial-stdio"]
        try:
            self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
        finally:
            theirs.close()
        ours.settimeout(self.timeout)
        self.sock = ours

    def close(self) -> None:
        super().close()
        if self.process is None:
            return
        self.process.terminate()
        _nothing, told = self.process.communicate()
        self.complaint = " ".join(told.decode(errors="replace").split())
        self.process = None


class Engine:
    """An engine to call. Threads may share it: each reads over its own connection; a changing call has one of its own,
    so that it can never be sent over a connection which the engine is about to close.

    A read is made again, for ``PATIENCE`` seconds, when the connection breaks: a daemon that restarts is not a failure.
    A changing call is made once, for nobody knows whether it happened.
    """

    def __init__(self, address: Address) -> None:
        if importlib.util.find_spec(LIBRARY) is None:
            raise _missing("no module named docker")
        self.address = address
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []
        self._met = False
        self.version = self._negotiate()
        self._met = True

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        while self._open:
            self._open.pop().close()

    def _negotiate(self) -> tuple[int, int]:
        self.about: Mapping[str, Any] = self.call("GET", "/version", versioned=False)
        newest = _version(self.about.get("ApiVersion") or "1.24")
        oldest = _version(self.about.get("MinAPIVersion") or "1.12")
        if newest < OLDEST_API or oldest > NEWEST_API:
            raise EngineError(
                f"the engine at {self.address.url} offers API {_dotted(oldest)} to {_dotted(newest)}; "
                f"{_dotted(OLDEST_API)} to {_dotted(NEWEST_API)} is spoken here; use Docker 20.10 or newer"
            )
        if self.address.api_version == "auto":
            return min(newest, NEWEST_API)
        asked = _version(self.address.api_version)
        if not max(oldest, OLDEST_API) <= asked <= newest:
            raise EngineError(
                f"api_version: {self.address.api_version} is outside of what the engine offers and we speak, "
                f"{_dotted(max(oldest, OLDEST_API))} to {_dotted(min(newest, NEWEST_API))}; leave it out to negotiate"
            )
        return asked

    @cached_property
    def identity(self) -> str:
        """What tells this engine from every other one, whatever the address it is reached at.

        It is the ID of the network `host`, which an engine makes with its data directory and keeps. The ID in /info is the
        same for all engines of a host that share a key file, and /info takes an engine long.
        """
        networks = self.get("/networks", filters={"type": ["builtin"]}) or ()
        return next((raw["Id"] for raw in networks if raw.get("Name") == "host"), self.address.url)

    # -- calls -------------------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        """Read one document."""
        return self.call("GET", path, query=query)

    def find(self, path: str, **query: Any) -> Any:
        """Read one document; None when the engine says that it is not there (404), and only then."""
        try:
            return self.call("GET", path, query=query)
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Make one call, with the options of ``answer``, and return the answer's document (None when it has none)."""
        data = self._whole(method, path, **options)
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise EngineError(f"the engine answered {len(data)} bytes of broken JSON to {method} {path}") from None

    def raw(self, path: str, **query: Any) -> bytes:
        """Read bytes, such as logs."""
        return self._whole("GET", path, query=query)

    def answers(self) -> bool:
        """Wait until the engine answers again, for ``PATIENCE`` seconds at most; False when it does not, or takes 4 s for nothing."""
        try:
            self._whole("GET", "/_ping", timeout=4.0)
        except EngineError as error:
            return bool(error.status)
        return True

    def _whole(self, method: str, path: str, **options: Any) -> bytes:
        """The whole body of an answer; a read is made again when the connection breaks."""
        began, pause = time.monotonic(), 0.0
        while True:
            try:
                with self.answer(method, path, **options) as response:
                    return self._read(response, method, path)
            except EngineLost:
                patience = PATIENCE if self._met else 0.1
                if method not in READS or time.monotonic() - began + pause > patience:
                    raise
            time.sleep(pause)
            pause = min(pause * 2 or 0.1, 1.0)

    def progress(self, method: str, path: str, **options: Any) -> Iterator[dict]:
        """Make a call whose answer is a stream of JSON objects (pull, build, load, push, events); yields each."""
        with self.answer(method, path, **options) as response:
            yield from self._stream(response, method, path)

    def _stream(self, response: http.client.HTTPResponse, method: str, path: str) -> Iterator[dict]:
        decoder = json.JSONDecoder()
        pending = ""
        while True:
            try:
                data = response.read1(65536)
            except (OSError, http.client.HTTPException) as error:
                raise self._trouble(error, method, path) from None
            pending = (pending + data.decode(errors="replace")).lstrip()
            while pending:
                try:
                    document, end = decoder.raw_decode(pending)
                except ValueError:
                    break
                pending = pending[end:].lstrip()
                yield document
            if not data:
                if pending:
                    raise EngineLost(f"the engine's answer to {method} {path} ended in the middle")
                return

    def answer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        versioned: bool = True,
    ) -> _Answer:
        """Make one call and return its answer as a context that must be left; raises EngineError for a status of 400 or more."""
        target = f"/v{_dotted(self.version)}{path}" if versioned else path
        given = query.items() if isinstance(query, Mapping) else query or ()
        pairs = [(key, _flat(value)) for key, value in given if value is not None]
        target += "?" + urlencode(pairs) if pairs else ""
        sent = dict(headers or {})
        if body is not None and not hasattr(body, "read"):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        shared = method in READS and timeout is None
        connection = self._shared() if shared else self._connection(timeout or self.address.timeout)
        try:
            # A file goes out in chunks of http.client's own making.
            connection.request(method, target, body=body, headers=sent, encode_chunked=hasattr(body, "read"))
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._trouble(error, method, path, getattr(connection, "complaint", "")) from None
        answer = _Answer(response, None if shared else connection)
        if response.status >= 400:
            with answer:
                raise self._refusal(response, method, path)
        return answer

    def _read(self, response: http.client.HTTPResponse, method: str, path: str) -> bytes:
        try:
            return response.read()
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            raise self._trouble(error, method, path) from None

    def _refusal(self, response: http.client.HTTPResponse, method: str, path: str) -> EngineError:
        data = self._read(response, method, path)
        try:
            message = json.loads(data).get("message", "")
        except (ValueError, AttributeError):
            message = data.decode(errors="replace").strip()
        told = " ".join(str(message or response.reason).split())
        if method in READS and response.status >= 500:
            told = f"the engine at {self.address.url} answered {method} {path} with {response.status}, {told}; look at its log, then run again"
        return EngineError(told, response.status)

    def _forget(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()

    def _shared(self) -> http.client.HTTPConnection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connection(self.address.timeout)
            self._open.append(connection)
        return connection

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        address = self.address
        if address.scheme == "unix":
            return UnixConnection(address.path, timeout)
        if address.scheme == "ssh":
            return SshConnection(address)
        if not address.tls:
            return http.client.HTTPConnection(address.host, address.port, timeout=timeout)
        return http.client.HTTPSConnection(address.host, address.port, timeout=timeout, context=tls_context(address))

    def _trouble(self, error: Exception, method: str, path: str, complaint: str = "") -> EngineError:
        url = self.address.url
        if isinstance(error, socket.timeout):
            return EngineError(
                f"the engine at {url} did not answer {method} {path} within {self.address.timeout:g} s; it may be busy or stuck; raise timeout, or look at its log"
            )
        if isinstance(error, PermissionError):
            from .._converge.lock import user  # here, for only this failure needs it

            return EngineError(
                f"no permission to use the engine at {url} as {user()}; use become: true, or put the user into the group that owns the socket"
            )
        if isinstance(error, ssl.SSLError):
            return EngineError(
                f"TLS with the engine at {url} failed: {_sentence(error)}; check ca_path, client_cert, client_key and tls_hostname"
            )
        if self.address.scheme == "ssh":
            return EngineLost(
                f"no engine over {url}: {complaint or _sentence(error)}; does `ssh {self.address.host} docker version` work?"
            )
        if (
            isinstance(error, FileNotFoundError)
            or getattr(error, "errno", 0) in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)
            or isinstance(error, socket.gaierror)
        ):
            return EngineLost(
                f"no engine answers at {url}; start it (systemctl start docker), install it with the role slipway.docker.engine, or set docker_host"
            )
        return EngineLost(
            f"lost the engine at {url} during {method} {path}: {_sentence(error)}; look whether it still runs, then run again"
        )


class _Answer:
    """An open answer; leaving it frees or closes its connection."""

    def __init__(self, response: http.client.HTTPResponse, own: http.client.HTTPConnection | None) -> None:
        self.response = response
        self.own = own

    def __enter__(self) -> http.client.HTTPResponse:
        return self.response

    def __exit__(self, *_exception: object) -> None:
        self.response.close()
        if self.own is not None:
            self.own.close()


def tls_context(address: Address) -> ssl.SSLContext:
    """What TLS with an engine asks and shows; raises EngineError when the files cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if address.verify else ssl.CERT_NONE
    try:
        if address.ca:
            context.load_verify_locations(address.ca)
        else:
            context.load_default_certs()
        if address.cert:
            context.load_cert_chain(address.cert, address.key)
    except (OSError, ssl.SSLError) as error:
        raise EngineError(
            f"the TLS files for {address.url} cannot be used: {_sentence(error)}; check ca_path, client_cert and client_key"
        ) from None
    context.check_hostname = address.verify
    if address.hostname and address.verify:
        return _named(context, address.hostname)
    return context


def _named(context: ssl.SSLContext, hostname: str) -> ssl.SSLContext:
    """Verify another name than the one that is dialled (``tls_hostname``)."""
    wrap = context.wrap_socket

    def wrap_socket(
        sock: socket.socket, *args: Any, server_hostname: str | None = None, **kwargs: Any
    ) -> ssl.SSLSocket:
        return wrap(sock, *args, server_hostname=hostname, **kwargs)

    context.wrap_socket = wrap_socket  # type: ignore[method-assign]
    return context


def _version(text: str) -> tuple[int, int]:
    try:
        major, minor = text.split(".")[:2]
        return int(major), int(minor)
    except ValueError:
        raise EngineError(f"{text!r} is not an API version") from None


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))


def _flat(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def _sentence(error: Exception) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error) or type(error).__name__
    return str(text).rstrip(".")


def path(*parts: str) -> str:
    """Join parts into an API path, escaping what a name may hold."""
    return "/" + "/".join(escape(part, safe="/:@") for part in parts)
