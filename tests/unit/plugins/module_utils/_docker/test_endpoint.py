# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps an engine from answering has a reason: each kind of wrong TLS and SSH, against real handshakes on this host."""

from __future__ import annotations

import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.certificates import SERVER, Authority

from ansible_collections.slipway.docker.plugins.module_utils._converge.desired import quote
from ansible_collections.slipway.docker.plugins.module_utils._docker.endpoint import verify


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers a ping as an engine does."""

    version = "1.41"
    text = b"OK"

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200 if self.version else 400)
        if self.version:
            self.send_header("Api-Version", self.version)
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class Stranger(Handler):
    """Another program."""

    version = ""
    text = b"nginx"


class Server(http.server.ThreadingHTTPServer):
    """Takes clients that it cannot talk to as they come."""

    def handle_error(self, *_arguments: object) -> None:
        """Say nothing."""


class UnixServer(socketserver.ThreadingUnixStreamServer):
    """The same at a socket."""

    def get_request(self) -> tuple:
        """A client without an address."""
        request, _address = super().get_request()
        return request, ("", 0)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "other-ca")


@pytest.fixture(scope="module")
def client(ca: Authority) -> dict[str, str]:
    cert, key = ca.issue("client")
    return {"ca": ca.path, "cert": cert, "key": key}


Serve = Callable[..., str]


@pytest.fixture
def serve(ca: Authority) -> Iterator[Serve]:
    """Start a server, with TLS when it has a certificate, and return its address."""
    servers = []

    def start(
        pair: tuple[str, str] | None = None, newest: ssl.TLSVersion | None = None, handler: type = Handler
    ) -> str:
        server = Server(("127.0.0.1", 0), handler)
        if pair:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(ca.path)
            context.maximum_version = newest or ssl.TLSVersion.MAXIMUM_SUPPORTED
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"tcp://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def told(url: str, timeout: float = 5, **endpoint: object) -> list[tuple[str, str]]:
    return list(verify(url, timeout=timeout, **endpoint))  # type: ignore[arg-type]


def one(url: str, **endpoint: object) -> tuple[str, str]:
    ((part, sentence),) = told(url, **endpoint)
    assert "\n" not in sentence
    return part, sentence


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
NAMES = ("127.0.0.1", "localhost")


@pytest.mark.parametrize("newest", VERSIONS)
def test_tls_that_fits(serve: Serve, ca: Authority, client: dict[str, str], newest: ssl.TLSVersion) -> None:
    url = serve(ca.issue("server", SERVER, NAMES), newest)
    assert told(url, **client) == []
    assert told(url.replace("127.0.0.1", "localhost"), **client) == []
    assert told(url, cert=client["cert"], key=client["key"], skip_tls_verify=True) == []


@pytest.mark.parametrize("newest", VERSIONS)
def test_a_client_that_the_engine_does_not_know(
    serve: Serve, ca: Authority, other: Authority, client: dict[str, str], newest: ssl.TLSVersion
) -> None:
    url = serve(ca.issue("server", SERVER, NAMES), newest)
    for issuer, name, days in ((other, "intruder", 3), (ca, "old", -1)):
        cert, key = issuer.issue(name, begins=-3, ends=days)
        part, sentence = one(url, ca=client["ca"], cert=cert, key=key)
        assert part == "cert" and "refuses the certificate" in sentence and quote(cert) in sentence
    part, sentence = one(url, ca=client["ca"])
    assert part == "cert" and "shows no certificate" in sentence


def test_an_engine_that_the_client_does_not_know(
    serve: Serve, ca: Authority, other: Authority, client: dict[str, str]
) -> None:
    url = serve(ca.issue("server", SERVER, NAMES))
    part, sentence = one(url, **{**client, "ca": other.path})
    assert part == "ca" and "did not sign the certificate" in sentence and quote(other.path) in sentence
    part, sentence = one(url, **{**client, "ca": ""})
    assert part == "ca" and "is missing" in sentence


@pytest.mark.parametrize(
    ("names", "begins", "ends", "reason"),
    [
        (("192.168.90.100", "old.example"), -1, 1, "is for 192.168.90.100, old.example, not for 127.0.0.1"),
        ((), -1, 1, "a common name does not count"),
        (NAMES, -3, -1, "has expired"),
        (NAMES, 1, 3, "is not valid yet"),
    ],
)
def test_a_certificate_that_does_not_fit(
    serve: Serve, ca: Authority, client: dict[str, str], names: tuple, begins: float, ends: float, reason: str
) -> None:
    url = serve(ca.issue("127.0.0.1", SERVER, names, begins, ends))
    part, sentence = one(url, **client)
    assert part == "url" and reason in sentence
    assert "verify: false" not in sentence, "that is no way out of a wrong certificate"


def test_plain_http_where_tls_is_wanted(serve: Serve, client: dict[str, str]) -> None:
    part, sentence = one(serve(), **client)
    assert part == "url" and "speaks plain HTTP, no TLS" in sentence


def test_plain_http(serve: Serve) -> None:
    assert told(serve()) == []
    assert "is not an engine (status 400" in one(serve(handler=Stranger))[1]


def test_tls_where_plain_http_is_wanted(serve: Serve) -> None:
    """As a server of Go says it."""

    class Go(Stranger):
        text = b"Client sent an HTTP request to an HTTPS server.\n"

    assert "speaks TLS" in one(serve(handler=Go))[1]


def test_nobody_is_there(client: dict[str, str]) -> None:
    for endpoint in ({}, client):
        part, sentence = one("tcp://127.0.0.1:1", **endpoint)
        assert part == "url" and "no engine answers" in sentence and "verify: false" in sentence


def test_who_says_nothing_is_given_up(client: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for endpoint in ({}, client):
            _part, sentence = one(f"tcp://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3, **endpoint)
            assert "within 0.3 s" in sentence


def test_a_host_without_an_address() -> None:
    assert "has no address" in one("tcp://nowhere.invalid:2376")[1]


# -- sockets ---------------------------------------------------------------------------------------------------


def test_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "docker.sock")
    assert "there is no socket" in one(f"unix://{path}")[1]
    with UnixServer(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert told(f"unix://{path}") == []
        server.shutdown()
    assert "no engine answers" in one(f"unix://{path}")[1], "its file is there, and nobody behind it"


# -- ssh -------------------------------------------------------------------------------------------------------

SAID = [
    (
        "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nOffending key in known_hosts:3\nHost key verification failed.",
        "is not the one that is known",
    ),
    ("Host key verification failed.", "the host key of lab.example is unknown"),
    ("No ED25519 host key is known for lab.example and you have requested strict checking.", "is unknown"),
    ("root@lab.example: Permission denied (publickey).", "lets me not in"),
    (
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        "group docker there",
    ),
    ("bash: line 1: docker: command not found", "has no docker command"),
    ("sh: 1: docker: not found", "has no docker command"),
    ("docker: 'system dial-stdio' is not a docker command.", "18.09"),
    (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "no engine runs on",
    ),
    ("ssh: Could not resolve hostname lab.example: Name or service not known", "has no address"),
    ("ssh: connect to host lab.example port 22: Connection refused", "is not reached"),
    ("Bad owner or permissions on /root/.ssh/config", "does `ssh lab.example docker version` work?"),
]


@pytest.mark.parametrize(("words", "reason"), SAID, ids=[reason for _words, reason in SAID])
def test_what_ssh_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, reason: str) -> None:
    program = tmp_path / "ssh"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'SAID'\n{words}\nSAID\nexit 255\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    part, sentence = one("ssh://me@lab.example:2222")
    assert part == "url" and reason in sentence and "verify: false" in sentence


def test_no_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "the program ssh" in one("ssh://lab.example")[1]


def test_ssh_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert "within 0.3 s" in one("ssh://lab.example", timeout=0.3)[1]
