# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine is reached through its guest agent, and what goes wrong names the way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.playbook.play_context import PlayContext

from ansible_collections.slipway.docker.plugins.connection import machine
from ansible_collections.slipway.docker.plugins.plugin_utils import guest_agent, hypervisor

from ..fake_libvirt import libvirt, libvirt_qemu

FAKE = Path(libvirt.__file__).parent
URI = "qemu:///system"


class Machine(machine.Connection):
    """The connection with its options at hand."""

    given: dict[str, Any]

    def get_option(self, option: str, hostvars: Any = None) -> Any:
        return self.given[option]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine whose agent runs here."""
    known: dict[str, Any] = {"agent": True}
    monkeypatch.setattr(hypervisor, "libvirt", libvirt)
    monkeypatch.setattr(hypervisor, "libvirt_qemu", libvirt_qemu)
    monkeypatch.setattr(libvirt, "HOSTS", {URI: {"domains": {"web": known}}})
    monkeypatch.setattr(libvirt, "CLOSED", [])
    monkeypatch.setattr(libvirt, "AGENT", libvirt.GuestAgent())
    return known


@pytest.fixture
def connection(web: dict[str, Any]) -> Machine:
    made = Machine(PlayContext())
    made.given = {"remote_addr": "web", "uri": URI, "agent_timeout": 30, "executable": "/bin/sh"}
    return made


def test_a_command_runs_in_the_shell_as_root_at_home(connection: Machine) -> None:
    assert connection.exec_command('cd && pwd; echo "$HOME"; cat; echo no >&2; exit 3', in_data=b"in") == (
        3,
        f"{Path('~root').expanduser()}\n".encode() * 2 + b"in",
        b"no\n",
    )


def test_it_connects_once_and_closes(connection: Machine) -> None:
    connection.exec_command("true")
    connection.exec_command("true")
    connection.reset()
    assert libvirt.CLOSED == [URI] and connection.connected
    connection.close()
    connection.close()
    assert libvirt.CLOSED == [URI, URI] and not connection.connected


def test_files_go_there_and_come_back_and_are_roots_alone(connection: Machine, tmp_path: Path) -> None:
    data = os.urandom(2 * guest_agent.CHUNK + 7)
    (tmp_path / "here").write_bytes(data)
    there = tmp_path / "it's there"
    connection.put_file(str(tmp_path / "here"), str(there))
    assert there.read_bytes() == data
    assert there.stat().st_mode & 0o777 == 0o600
    connection.fetch_file(str(there), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data
    assert not libvirt.AGENT.files, "all handles are closed"


def test_an_empty_file_is_a_file(connection: Machine, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    connection.put_file(str(tmp_path / "here"), str(tmp_path / "there"))
    connection.fetch_file(str(tmp_path / "there"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b""


def test_a_file_that_is_not_here_is_not_found(connection: Machine, tmp_path: Path) -> None:
    with pytest.raises(AnsibleFileNotFound):
        connection.put_file(str(tmp_path / "no"), "/x")


@pytest.mark.parametrize("way", ["put", "fetch"])
def test_a_file_that_cannot_be_there_fails_the_task_and_not_the_host(
    connection: Machine, tmp_path: Path, way: str
) -> None:
    (tmp_path / "here").touch()
    here, there = str(tmp_path / "here"), str(tmp_path / "no" / "x")
    move = connection.put_file if way == "put" else connection.fetch_file
    with pytest.raises(AnsibleError, match=r"(?i)no such file|nonexistent") as caught:
        move(*((here, there) if way == "put" else (there, here)))
    assert not isinstance(caught.value, AnsibleConnectionFailure)


INSIDE = "internal error: unable to execute QEMU agent command"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (("Guest agent is not responding: QEMU guest agent is not connected", 86), "install qemu-guest-agent .*`agent: true`"),
        (("argument unsupported: QEMU guest agent is not configured", 74), "install qemu-guest-agent .*`agent: true`"),
        (("Requested operation is not valid: domain is not running", 55), "does not run .*state: running"),
        ((f"{INSIDE} 'guest-exec': Command guest-exec has been disabled", 1), "take guest-exec out of the blocked RPCs"),
        ((f"{INSIDE} 'guest-exec': The command has not been found", 1), "take guest-exec out of the blocked RPCs"),
        ((f"{INSIDE} 'guest-exec-status': Invalid parameter 'pid'", 1), "did the guest restart"),
    ],
)  # fmt: skip
def test_what_makes_a_machine_unreachable_names_the_way_out(
    web: dict[str, Any], connection: Machine, error: tuple[str, int], words: str
) -> None:
    web["agent"] = error
    with pytest.raises(AnsibleConnectionFailure, match=words):
        connection.exec_command("true")


def test_a_guest_that_restarts_meanwhile_is_unreachable(connection: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        libvirt.AGENT,
        "guest_exec_status",
        lambda given: (_ for _ in ()).throw(libvirt.Refused("Invalid parameter 'pid'")),
    )
    with pytest.raises(AnsibleConnectionFailure, match="did the guest restart"):
        connection.exec_command("reboot")


def test_other_refusals_of_the_agent_fail_the_task(web: dict[str, Any], connection: Machine) -> None:
    web["agent"] = (f"{INSIDE} 'guest-exec': Failed to execute child process", 1)
    with pytest.raises(AnsibleError, match="Failed to execute child process") as caught:
        connection.exec_command("true")
    assert not isinstance(caught.value, AnsibleConnectionFailure)


def test_a_machine_that_is_not_there_and_a_hypervisor_that_does_not_answer_are_named(connection: Machine) -> None:
    connection.given["remote_addr"] = "db"
    with pytest.raises(
        AnsibleConnectionFailure, match="there is no machine db at qemu:///system; name it by slipway_machine_name"
    ):
        connection.exec_command("true")
    connection.given["uri"] = "qemu+ssh://hv9/system"
    with pytest.raises(AnsibleConnectionFailure, match="hv9/system cannot be reached"):
        connection.exec_command("true")


def test_a_failed_connection_leaves_nothing_open(connection: Machine) -> None:
    connection.given["remote_addr"] = "db"
    with pytest.raises(AnsibleConnectionFailure):
        connection.exec_command("true")
    connection.close()
    assert libvirt.CLOSED == [URI]


def test_a_missing_library_is_named_with_its_packages(connection: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hypervisor, "libvirt", None)
    monkeypatch.setattr(hypervisor, "MISSING", "No module named 'libvirt'", raising=False)
    with pytest.raises(AnsibleConnectionFailure, match="install python3-libvirt"):
        connection.exec_command("true")


@pytest.mark.parametrize("pipelining", ["true", "false"])
def test_ansible_runs_modules_and_copies_files_through_it(tmp_path: Path, pipelining: str) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"domains": {"shop-web": {}}}))
    (tmp_path / "sent").write_bytes(os.urandom(300_000))
    hosts = {
        "ansible_connection": "slipway.docker.machine",
        "ansible_host": "10.93.0.57",
        "slipway_machine_name": "shop-web",
        "slipway_machine_uri": f"fake://{tmp_path}/host.json",
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(tmp_path / "remote"),
    }
    (tmp_path / "inventory.yml").write_text(json.dumps({"all": {"hosts": {"web": hosts}}}))
    tasks = [
        {"ansible.builtin.copy": {"src": str(tmp_path / "sent"), "dest": str(tmp_path / "received"), "mode": "0640"}},
        {"ansible.builtin.shell": "echo $PPID; exit 0"},
        {"ansible.builtin.raw": f"echo raw > {tmp_path}/raw"},
        {"ansible.builtin.fetch": {"src": str(tmp_path / "received"), "dest": f"{tmp_path}/fetched", "flat": True}},
    ]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "web", "gather_facts": False, "tasks": tasks}]))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(Path(machine.__file__).parents[5]),
        "ANSIBLE_PIPELINING": pipelining,
        "PYTHONPATH": str(FAKE),
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventory.yml", "play.yml"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        (tmp_path / "received").read_bytes() == (tmp_path / "fetched").read_bytes() == (tmp_path / "sent").read_bytes()
    )
    assert (tmp_path / "received").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "raw").read_text() == "raw\n"
