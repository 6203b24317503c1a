# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A running machine changes: what it takes hot, what needs a restart, what is taken back; it stays the same machine with the same data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from harness.guest import Image
from harness.machines import Machines
from harness.namespaces import wait_for

ADDRESS = "192.168.90.10"
LAB = {"name": "lab", "address": "192.168.90.1/24", "dhcp": {"start": "192.168.90.50", "end": "192.168.90.99"}}
DATA = {"name": "data", "size": "64m"}
CARD = {"network": "lab", "address": ADDRESS}


class Web:
    """One machine that runs throughout; each test takes it from its base and leaves it where it likes."""

    def __init__(self, machines: Machines, image: Image) -> None:
        self.machines = machines
        self.options = machines.small(
            image, name="web", memory_max="384m", cpus=1, cpus_max=2, disks=[DATA], networks=[CARD], timeout=90
        )
        machines("machines", project="changes", networks=[LAB], machines=[self.options]).ok()
        shown = machines("machine", project="changes", **self.options)["resources"]["machine/web"]
        self.key, self.uuid, self.macs = shown["host_key"], shown["uuid"], shown["macs"]
        self.ssh("echo kept | dd of=/dev/vda bs=512 count=1 conv=sync 2>/dev/null; sync")

    def ssh(self, *command: str, check: bool = True) -> str:
        """Run a command in it."""
        return self.machines.ssh(ADDRESS, self.key, *command, check=check)

    def run(self, how: str = "__call__", **more: Any) -> Any:
        """Run the module with other options."""
        return getattr(self.machines, how)("machine", project="changes", **{**self.options, **more})

    def same(self) -> None:
        """It is the machine that it was, with its data."""
        shown = self.run(check=True)["resources"]["machine/web"]
        assert (shown["uuid"], shown["macs"][0], shown["host_key"]) == (self.uuid, self.macs[0], self.key)
        assert self.ssh("head -c 4 /dev/vda") == "kept"


@pytest.fixture(scope="module")
def web(session_machines: Machines, small_guest: Image) -> Iterator[Web]:
    yield Web(session_machines, small_guest)
    session_machines.clean()


def booted(web: Web) -> str:
    return web.ssh("cat /proc/sys/kernel/random/boot_id")


def test_what_it_takes_hot(web: Web) -> None:
    """Memory, processors, disks, cards, autostart, labels, protect: all at once, and back again, without a restart."""
    before, virsh = booted(web), web.machines.hypervisor.virsh
    more = {
        "memory": "320m",
        "cpus": 2,
        "disks": [{**DATA, "size": "80m"}, {"name": "more", "size": "8m"}],
        "networks": [CARD, {"network": "lab"}],
        "autostart": True,
        "labels": {"tier": "front"},
        "protect": True,
    }
    web.run("change", **more)
    info = dict(line.split(":", 1) for line in virsh("dominfo", "web").splitlines() if ":" in line)
    assert info["CPU(s)"].strip() == "2" and info["Autostart"].strip() == "enable"
    wait_for(lambda: int(virsh("dommemstat", "web").split()[1]) == 320 << 10, 30, "the balloon")
    wait_for(lambda: len(web.ssh("ls -d /sys/class/net/eth*").split()) == 2, 20, "the card")
    assert web.ssh("cat /sys/block/vda/size") == str((80 << 20) // 512)
    live = virsh("dumpxml", "web")
    assert "disk-more" in live and ">front<" in live and live.count("<interface ") == 2
    assert booted(web) == before
    assert "protect" in web.machines.refused("machine", project="changes", name="web", state="absent")
    web.options |= {
        "cpus": 2,
        "disks": [{**DATA, "size": "80m"}],
    }  # an emulated guest does not always give a processor back
    web.run("change")
    live = virsh("dumpxml", "web")
    assert "disk-more" not in live and ">front<" not in live and live.count("<interface ") == 1
    assert booted(web) == before
    web.same()


def test_what_needs_a_restart(web: Web) -> None:
    """It is refused unless allowed, waits for the next start where that was said, or is done with a restart."""
    before = booted(web)
    assert "on_restart_required" in web.machines.refused(
        "machine", project="changes", **{**web.options, "memory_max": "448m"}
    )
    deferred = web.run(memory_max="448m", on_restart_required="defer").ok()
    assert deferred.changed and booted(web) == before
    assert deferred["resources"]["machine/web"]["needs_restart"] == ["memory_max"]
    web.run("settled", memory_max="448m", on_restart_required="defer")
    web.run(on_restart_required="defer").ok()
    assert booted(web) == before
    web.run("change", cpu="qemu64", on_restart_required="restart")
    assert booted(web) != before
    assert "qemu64" in web.machines.hypervisor.virsh("dumpxml", "web")
    web.same()


def test_what_does_not_come_up_again_is_taken_back(web: Web) -> None:
    """With a command line that panics the guest, the old definition comes back, and runs."""
    boot = {**web.options["boot"], "cmdline": "console=ttyS0 panic=0 rdinit=/nonexistent root=/dev/nothing"}
    base = {"cpu": "qemu64"} if "qemu64" in web.machines.hypervisor.virsh("dumpxml", "web") else {}
    failed = web.run(**base, boot=boot, timeout=15, shutdown_timeout=20, on_restart_required="restart")
    assert failed.failed and "not ready after 15 s" in failed.msg and "it is running (booted), lease" in failed.msg, (
        failed.msg
    )
    assert "anic" in failed.msg, failed.msg  # the end of the console
    assert web.machines.hypervisor.state("web") == "running"
    wait_for(lambda: web.ssh("hostname", check=False) == "web", 60, "the old system")
    web.run("settled", **base)
    web.same()


def test_an_impostor_is_refused(web: Web) -> None:
    """Whoever answers at the address with another key is not the machine."""
    virsh = web.machines.hypervisor.virsh
    xml = virsh("dumpxml", "--inactive", "web")
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDy59Hf9xkoa8yxaE1G23gBIAiHPOMAcd0U7Qmis7V9a"
    virsh("define", "/dev/stdin", input=xml.replace(web.key, other))
    result = web.run(state="restarted", timeout=60, shutdown_timeout=20)
    virsh("define", "/dev/stdin", input=xml)
    assert result.failed and "host key" in result.msg, result
