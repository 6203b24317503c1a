# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The private hypervisor is real, and leaves nothing, not even when its owner is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.hypervisor import (
    FORWARDED,
    ROOT,
    Hypervisor,
    clean_leftovers,
    forwarding_needed,
    forwarding_without_us,
    private_hypervisor,
    user_session,
)
from harness.namespaces import run, wait_for

pytestmark = pytest.mark.integration

# A machine without a disk: its firmware finds nothing to boot, and it stays on. Without a ROM its card asks for no address either.
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <interface type='network'>
      <source network='default'/><model type='virtio'/><rom enabled='no'/>
    </interface>
    <serial type='file'><source path='/var/log/libvirt/qemu/{name}.serial'/></serial>
  </devices>
</domain>
"""
OWNER = """
import sys
sys.path.insert(0, {tests!r})
from harness.hypervisor import private_hypervisor
from harness.test_hypervisor import define
with private_hypervisor(uplink=True) as hypervisor:
    hypervisor.furnish()
    define(hypervisor, "left")
    hypervisor.virsh("start", "left")
    print(hypervisor.name, flush=True)
    input()
"""


def define(hypervisor: Hypervisor, name: str) -> None:
    hypervisor.virsh("define", "/dev/stdin", input=DOMAIN.format(name=name))


def processes_of(name: str) -> list[str]:
    """Numbers of the processes in whose command line the name stands."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if name.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_a_domain_starts_and_stops(hypervisor: Hypervisor) -> None:
    before = hypervisor.bytes()
    define(hypervisor, "web")
    assert hypervisor.state("web") == "shut off"
    hypervisor.virsh("start", "web")
    assert hypervisor.state("web") == "running"
    assert (hypervisor.log_directory / "web.serial").exists()
    assert "qemu-system" in (hypervisor.log_directory / "web.log").read_text()
    assert hypervisor.snapshot()["domains"] == [["web", hypervisor.virsh("domuuid", "web"), "running"]]
    hypervisor.virsh("destroy", "web")
    hypervisor.virsh("undefine", "web")
    assert hypervisor.bytes() == before


def test_a_snapshot_shows_what_is_left_behind(hypervisor: Hypervisor) -> None:
    before = hypervisor.snapshot()
    hypervisor.virsh("vol-create-as", "default", "known.qcow2", "1M", "--format", "qcow2")
    (hypervisor.images / "unheard-of.raw").write_bytes(b"\0" * 4096)
    after = hypervisor.snapshot()
    assert after.pop("volumes") == [["default", "known.qcow2", 1 << 20], ["default", "unheard-of.raw", 4096]]
    assert before.pop("volumes") == []
    assert after == before
    hypervisor.clean()
    assert hypervisor.snapshot()["volumes"] == []


def test_guests_outlive_the_daemon(hypervisor: Hypervisor) -> None:
    define(hypervisor, "web")
    hypervisor.virsh("start", "web")
    before = hypervisor.bytes()
    hypervisor.restart_daemon()
    assert hypervisor.bytes() == before
    hypervisor.kill_daemon()
    assert not hypervisor.answers()
    hypervisor.start_daemon()
    assert hypervisor.bytes() == before


def test_cleaning_leaves_the_network_and_the_pool(hypervisor: Hypervisor) -> None:
    before = hypervisor.bytes()
    define(hypervisor, "web")
    hypervisor.virsh("start", "web")
    hypervisor.virsh("managedsave", "web")
    hypervisor.virsh("net-define", "/dev/stdin", input="<network><name>back</name></network>")
    hypervisor.virsh("net-destroy", "default")
    hypervisor.virsh("pool-destroy", "default")
    assert "save/web.save" in hypervisor.snapshot()["files"]
    hypervisor.clean()
    assert hypervisor.bytes() == before


def test_nothing_of_the_machine_is_touched() -> None:
    def machine() -> list[str]:
        """Its links, rules and forwarding; ways out, which bear our name or another run's, are looked at by name."""
        lines = [*links(), *rules()]
        return [*(line for line in lines if not re.search(r"\bs(hv|wm)-", line)), forwarding_without_us()]

    def links() -> list[str]:
        return run(["ip", "-o", "link"]).splitlines()

    def rules() -> list[str]:
        said = run(["iptables-save"]) if Path("/usr/sbin/iptables-save").exists() else ""
        return [line for line in said.splitlines() if not line.startswith(("#", ":"))]

    before = machine()
    with private_hypervisor(uplink=True) as hypervisor:
        ours = re.compile(rf"\b{hypervisor.name.replace('slipway-hv', 'shv')}\b")
        assert any(map(ours.search, links()))
        hypervisor.furnish()
        define(hypervisor, "web")
        hypervisor.virsh("start", "web")
        directory = hypervisor.directory
    assert not directory.exists()
    assert processes_of(hypervisor.name) == []
    assert not any(map(ours.search, [*links(), *rules()]))
    assert machine() == before
    wait_for(lambda: forwarding_needed() or not FORWARDED.exists(), 30, "the last one to set the forwarding back")


def test_a_killed_run_leaves_nothing_running_and_the_next_one_cleans_up() -> None:
    tests = str(Path(__file__).parent.parent)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(tests=tests)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout
    name = owner.stdout.readline().strip()
    assert name
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    wait_for(lambda: not processes_of(name), 10, "the guests to end with their owner")
    assert (ROOT / name).exists()
    clean_leftovers()  # unless another run that begins just now is quicker
    wait_for(lambda: not (ROOT / name).exists(), 15, "the directory to go")
    assert name.replace("slipway-hv", "shv") not in run(["ip", "-o", "link"])


def test_two_hypervisors_do_not_know_each_other(hypervisor: Hypervisor) -> None:
    before = hypervisor.bytes()
    with private_hypervisor() as other:
        other.furnish()  # the same network addresses, at the same time
        define(other, "theirs")
        other.virsh("start", "theirs")
        assert hypervisor.bytes() == before


def test_an_ordinary_user_has_a_hypervisor_of_his_own_that_leaves_nothing() -> None:
    with user_session({"/run/shown": Path(__file__).parent}) as session:
        assert run(session.as_person("id", "-un")) == "person"
        assert run(session.as_person("test", "-r", "/run/shown/hypervisor.py")) == ""
        assert session.snapshot() == {
            "domains": [], "networks": [], "pools": [], "volumes": [], "leases": [], "files": [],
        }  # fmt: skip
        session.stop_daemon()
        assert session.answers(), "whoever asks starts it again"
        name = session.name
    assert not processes_of(name)
    assert not (ROOT / name).exists()
