# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of a machine, from recorded XML; where it can be reached; and which arguments pin its host key."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import address
from ansible_collections.slipway.docker.plugins.plugin_utils import machine, ssh

RECORDED = Path(__file__).parents[1] / "fake_libvirt" / "recorded"
WEB = (RECORDED / "web.xml").read_text()
BACK = (RECORDED / "back.xml").read_text()
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINUt3jodEHy17cGgnz7waU+hnj+4jCEI4HR9YPEvDcfe"
MAC = "52:54:00:0a:5d:01"


def test_a_machine_is_read_from_its_domain() -> None:
    assert machine.machine(WEB, 1) == {
        "name": "web",
        "uuid": "6f5b2a0e-3c1d-5f7a-9b8e-2d4c6a8e0f12",
        "state": "running",
        "project": "shop",
        "labels": {"role": "front", "note": "{{ lookup('pipe', 'id') }}"},
        "image": "sha256:4fe9a3c2f1b0d8e7a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3",
        "host_key": KEY,
        "user": "debian",
        "memory": 1 << 30,
        "cpus": 1,
        "interfaces": [
            {"type": "network", "source": "back", "mac": MAC},
            {"type": "bridge", "source": "br0", "mac": "52:54:00:0a:5d:02"},
        ],
        "forwarded": None,
        "agent": True,
    }


@pytest.mark.parametrize("label", ["slipway.project", "slipway.key"])
def test_half_of_the_labels_do_not_make_a_machine_ours(label: str) -> None:
    assert machine.machine(WEB.replace(f'name="{label}"', 'name="other"'), 1) is None


def test_a_domain_without_labels_is_not_ours() -> None:
    assert machine.machine("<domain type='kvm'><name>x</name></domain>", 5) is None


def test_labels_of_another_namespace_do_not_count() -> None:
    assert machine.machine(WEB.replace("urn:slipway.docker:machine:1", "urn:slipway.docker:machine:2"), 1) is None


@pytest.mark.parametrize(
    ("state", "word"),
    [(0, "unknown"), (1, "running"), (2, "running"), (3, "paused"), (5, "stopped"), (7, "suspended"), (99, "unknown")],
)
def test_states_have_words(state: int, word: str) -> None:
    assert machine.machine(WEB, state)["state"] == word


@pytest.mark.parametrize(("unit", "size"), [("KiB", 1 << 30), ("MiB", 1 << 40), ("KB", 1048576000), ("b", 1 << 20)])
def test_memory_is_in_bytes(unit: str, size: int) -> None:
    text = WEB.replace("<currentMemory unit='KiB'>", f"<currentMemory unit='{unit}'>")
    assert machine.machine(text, 1)["memory"] == size


@pytest.mark.parametrize("user", ["-oProxyCommand=id", "a b", "", "x;id"])
def test_a_user_that_is_no_name_is_none(user: str) -> None:
    assert machine.machine(WEB.replace(">debian<", f">{user}<"), 1)["user"] == ""


@pytest.mark.parametrize("state", [" state='disconnected'", ""])
def test_an_agent_that_is_not_connected_does_not_count(state: str) -> None:
    assert machine.machine(WEB.replace(" state='connected'", state), 1)["agent"] is False


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("10.0.0.5", "10.0.0.5"),
        ("2001:DB8::1", "2001:db8::1"),
        ("127.0.0.1", ""),
        ("169.254.3.4", ""),
        ("fe80::1", ""),
        ("fe80::1%eth0", ""),
        ("::", ""),
        ("-oProxyCommand=id", ""),
        ("web.example.org", ""),
        (None, ""),
    ],
)
def test_an_address_is_an_address_and_nothing_else(value: str | None, usable: str) -> None:
    assert address.usable(value) == usable


def test_reservations_are_known_by_mac() -> None:
    assert address.reserved(BACK) == {"52:54:00:0a:5d:09": ["10.93.0.10"]}


def lease(ip: str, expiry: int, mac: str = MAC) -> dict:
    return {
        "iface": "virbr1",
        "expirytime": expiry,
        "type": 0,
        "mac": mac,
        "ipaddr": ip,
        "prefix": 24,
        "hostname": "web",
        "clientid": None,
        "iaid": None,
    }


def test_leases_that_have_expired_do_not_count_and_the_newest_comes_first() -> None:
    leases = [lease("10.93.0.50", 999), lease("10.93.0.51", 2000), lease("10.93.0.52", 3000)]
    assert address.leased(leases, 1000) == {MAC: ["10.93.0.52", "10.93.0.51"]}
    assert address.leased([*leases, lease("10.93.0.53", 0)], 1000)[MAC][0] == "10.93.0.53", "0 never expires"


def test_ipv4_comes_first() -> None:
    leases = [lease("2001:db8::5", 3000), lease("10.93.0.50", 2000)]
    assert address.leased(leases, 1000) == {MAC: ["10.93.0.50", "2001:db8::5"]}


def test_what_a_guest_has_for_itself_does_not_count() -> None:
    told = {
        "lo": {"hwaddr": "00:00:00:00:00:00", "addrs": [{"type": 0, "addr": "127.0.0.1", "prefix": 8}]},
        "eth0": {"hwaddr": MAC.upper(), "addrs": [{"addr": "10.93.0.60"}, {"type": 1, "addr": "fe80::1"}]},
        "docker0": {"hwaddr": MAC, "addrs": [{"addr": "172.17.0.1"}]},
        "br-0123456789ab": {"hwaddr": MAC, "addrs": [{"addr": "172.18.0.1"}]},
        "sit0": {"hwaddr": None, "addrs": None},
    }
    assert address.told(told) == {MAC: ["10.93.0.60"]}
    assert address.told(None) == {}


def test_the_surest_source_comes_first_and_others_are_asked_only_for_what_is_missing() -> None:
    asked = []

    def source(name: str, known: dict) -> object:
        return lambda: asked.append(name) or known

    sources = [source("reserved", {"b": ["10.0.0.2"]}), source("leased", {"a": ["10.0.0.1"], "b": ["10.0.0.9"]})]
    assert address.addresses(["a", "b"], [*sources, source("agent", {})]) == ["10.0.0.2", "10.0.0.1"]
    assert asked == ["reserved", "leased"]


def test_the_comment_of_a_key_is_left_out() -> None:
    assert ssh.host_key(f"{KEY} root@web\n") == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA' -o ProxyCommand=id '",
        f"{KEY}\n-o ProxyCommand=id",
        f"{KEY}AAAA",
        "ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==",
        "ssh-dss AAAAB3NzaC1kc3MAAAA=",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI%h",
        "ssh-ed25519 AAAAC",
    ],
)
def test_what_is_no_key_is_none(text: str) -> None:
    assert ssh.host_key(text) == ""


def test_without_a_jump_the_users_own_arguments_are_left_to_him() -> None:
    assert set(ssh.variables(KEY)) == {"ansible_ssh_args", "ansible_host_key_checking"}


def test_ssh_reads_the_arguments_as_they_are_meant() -> None:
    pinned = ssh.variables(KEY, "root@hv1.example.org:2222")
    command = [
        "ssh",
        "-F",
        "none",
        "-G",
        *shlex.split(pinned["ansible_ssh_args"]),
        *shlex.split(pinned["ansible_ssh_common_args"]),
        "10.93.0.50",
    ]
    settings = dict(
        line.partition(" ")[::2]
        for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    )
    assert settings["stricthostkeychecking"] == "true"
    assert settings["knownhostscommand"] == f"/bin/echo %H {KEY}"
    assert settings["userknownhostsfile"] == settings["globalknownhostsfile"] == "/dev/null"
    assert settings["updatehostkeys"] == settings["verifyhostkeydns"] == "false"
    assert settings["hostkeyalgorithms"] == "ssh-ed25519"
    assert settings["proxyjump"] == "root@hv1.example.org:2222"


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("qemu:///system", ""),
        ("qemu+tls://hv/system", ""),
        ("qemu+unix:///system?socket=/run/x", ""),
        ("qemu+ssh://hv/system", "hv"),
        ("qemu+ssh://root@hv:2222/system?keyfile=/k", "root@hv:2222"),
        ("qemu+libssh2://root@[2001:db8::1]/system", "root@[2001:db8::1]"),
    ],
)
def test_a_hypervisor_that_is_reached_by_ssh_is_the_way_to_its_machines(uri: str, hop: str) -> None:
    assert ssh.hop_of(uri) == hop
    assert ssh.is_hop(hop) or not hop


@pytest.mark.parametrize("hop", ["-oProxyCommand=id", "hv;id", "a b", "", "hv:port", "a,,b"])
def test_what_is_no_host_is_not_jumped_through(hop: str) -> None:
    assert not ssh.is_hop(hop)
