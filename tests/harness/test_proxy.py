# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proxy passes everything on as it is, writes it down, and breaks what it is told to break."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time

import pytest

from harness.engine import Engine, UnixConnection
from harness.proxy import RecordingProxy, until_called

pytestmark = pytest.mark.integration


def docker(proxy: RecordingProxy, *arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["docker", "-H", proxy.url, *arguments], capture_output=True, text=True, timeout=30, **options
    )


def test_it_records_calls_without_their_version(proxy: RecordingProxy) -> None:
    docker(proxy, "ps", "-a", check=True)
    call = proxy.matching("GET", "^/containers/json$")[0]
    assert (call.query["all"], call.status, bool(call.version)) == ("1", 200, True)
    assert not proxy.mutating
    docker(proxy, "volume", "create", "vol", check=True)
    assert [str(call) for call in proxy.mutating] == ["POST /volumes/create"]
    assert json.loads(proxy.mutating[0].body)["Name"] == "vol"
    assert proxy.mutating[0].status == 201


def test_the_docker_cli_works_through_it(proxy: RecordingProxy) -> None:
    assert docker(proxy, "run", "-i", "--rm", "slipway-test/busybox:1", "cat", input="both ways").stdout == "both ways"
    docker(proxy, "run", "-d", "--name", "box", "slipway-test/busybox:1", "sleep", "1000", check=True)
    assert docker(proxy, "exec", "-i", "box", "cat", input="hijacked").stdout == "hijacked"
    archive = subprocess.run(
        ["docker", "-H", proxy.url, "save", "slipway-test/busybox:1"], capture_output=True, check=True
    ).stdout
    assert len(archive) > 500_000
    assert (
        "Loaded image"
        in subprocess.run(
            ["docker", "-H", proxy.url, "load"], input=archive, capture_output=True, check=True
        ).stdout.decode()
    )


def test_connections_are_kept_alive(proxy: RecordingProxy) -> None:
    connection = UnixConnection(proxy.socket)
    for _ in range(3):
        connection.request("GET", "/version")
        assert b"ApiVersion" in connection.getresponse().read()
    connection.close()
    assert len(proxy.calls) == 3


def test_events_arrive_while_they_happen(proxy: RecordingProxy, engine: Engine) -> None:
    connection = UnixConnection(proxy.socket, timeout=10)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    engine.run_cli("volume", "create", "seen")
    event = json.loads(answer.readline())
    assert event["Actor"]["ID"] == "seen"
    connection.close()


@pytest.mark.parametrize("fault", ["drop", "lost"])
def test_a_connection_is_cut_before_or_after_the_engine_heard(
    proxy: RecordingProxy, engine: Engine, fault: str
) -> None:
    proxy.fault(fault, method="POST", path="/volumes/create")
    assert docker(proxy, "volume", "create", "vol").returncode != 0
    assert engine.names("volume") == (["vol"] if fault == "lost" else [])
    assert docker(proxy, "volume", "create", "vol2").returncode == 0


def test_a_status_is_made_up(proxy: RecordingProxy, engine: Engine) -> None:
    proxy.fault("status", 500, path="/volumes/create")
    assert "injected fault" in docker(proxy, "volume", "create", "vol").stderr
    assert engine.names("volume") == []


def test_the_kth_call_is_broken(proxy: RecordingProxy, engine: Engine) -> None:
    proxy.fault("status", 503, mutating=True, nth=2)
    codes = [docker(proxy, "volume", "create", f"vol{number}").returncode for number in (1, 2, 3)]
    assert [bool(code) for code in codes] == [False, True, False]
    assert [call.fault for call in proxy.mutating] == ["", "status", ""]


def test_an_answer_is_cut_in_the_middle(proxy: RecordingProxy) -> None:
    proxy.fault("truncated", path="/version")
    connection = UnixConnection(proxy.socket)
    connection.request("GET", "/version")
    with pytest.raises((http.client.IncompleteRead, http.client.HTTPException)):
        connection.getresponse().read()


def test_delay_hang_and_call(proxy: RecordingProxy) -> None:
    proxy.fault("delay", 0.3, path="/version")
    began = time.monotonic()
    proxy_get(proxy, "/version")
    assert time.monotonic() - began >= 0.3
    seen: list[str] = []
    proxy.fault("call", lambda call: seen.append(call.path), path="/info")
    proxy_get(proxy, "/info")
    assert seen == ["/info"]
    proxy.heal()
    proxy.fault("hang", path="/version")
    with pytest.raises(TimeoutError):
        proxy_get(proxy, "/version", timeout=0.3)


def test_a_waiting_client_that_leaves_takes_its_connection_along(proxy: RecordingProxy) -> None:
    before = threading.active_count()
    connection = UnixConnection(proxy.socket)
    connection.request("GET", "/events")
    until_called(proxy, lambda call: call.path == "/events")
    connection.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def proxy_get(proxy: RecordingProxy, path: str, timeout: float = 10) -> bytes:
    connection = UnixConnection(proxy.socket, timeout=timeout)
    connection.request("GET", path)
    try:
        return connection.getresponse().read()
    finally:
        connection.close()
