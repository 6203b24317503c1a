# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where files are kept when nobody says so, who a session is, and whether a port of this host can be had."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import host_ports, hypervisor, uris
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.session import CONNECTION, HypervisorSession
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.spec import read_lists

from .fake_hypervisor import FakeHypervisor

SYSTEM = "/var/lib/libvirt/images/slipway"
HOME = "/home/ana/.local/share/libvirt/images/slipway"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("qemu:///system", SYSTEM),
        ("qemu+ssh://root@host/system", SYSTEM),
        ("test:///default", SYSTEM),
        ("vbox:///session", SYSTEM),
        ("qemu:///session", HOME),
        ("qemu+unix:///session?socket=/run/x", HOME),
        ("qemu+ssh://ana@host/session", None),
    ],
)
def test_files_are_kept_where_their_user_may_write(uri: str, path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ana")
    assert uris.pool_path(uri) == path
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert uris.pool_path("qemu:///session") == "/data/libvirt/images/slipway"


def test_a_session_on_another_host_needs_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    machine = {
        "name": "desk",
        "memory": "1g",
        "boot": {"kernel": {"checksum": "a" * 64, "source": "/k"}},
        "wait_for": "none",
    }

    def look(uri: str, **more: str) -> str:
        task = read_lists({"uri": uri, "machines": [machine], **more}, CONNECTION)
        _planned, world = HypervisorSession(FakeHypervisor(uri)).look(task)
        return world.facts["pools"]["slipway"]

    assert look("qemu:///session").endswith("/.local/share/libvirt/images/slipway")
    assert look("qemu+ssh://ana@host/session", pool_path="/home/ana/pool") == "/home/ana/pool"
    with pytest.raises(
        SpecError, match=r"pool_path: is missing; .* so write /home/NAME/.local/share/libvirt/images/slipway"
    ):
        look("qemu+ssh://ana@host/session")


def test_a_session_is_the_same_whatever_its_daemon_makes_up() -> None:
    class Daemon(hypervisor.Hypervisor):
        def __init__(self, uuid: str, uri: str) -> None:
            self.uri, self.capabilities = uri, f"<capabilities><host><uuid>{uuid}</uuid></host></capabilities>"

        def read(self, function: object, *_arguments: object) -> str:
            return "desk.example.org"

    mine, again = (Daemon(uuid, "qemu:///session").host for uuid in ("1", "2"))
    assert mine == again
    assert Daemon("1", "qemu+ssh://ana@host/session").host == Daemon("2", "qemu+ssh://ana@host/session").host
    assert (Daemon("1", "qemu:///system").host, Daemon("2", "qemu:///system").host) == ("1", "2")


@pytest.mark.parametrize(("protocol", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
def test_a_port_that_somebody_has_cannot_be_had(protocol: str, kind: int) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen(1)
        number = str(other.getsockname()[1])
        assert "something else has" in host_ports.refusal((f"22/{protocol}", "127.0.0.1", number))
        assert "something else has" in host_ports.refusal((f"22/{protocol}", "", number))
    assert host_ports.refusal((f"22/{protocol}", "127.0.0.1", number)) == ""
    assert "does not have that address" in host_ports.refusal((f"22/{protocol}", "192.0.2.1", number))
