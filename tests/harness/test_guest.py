# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The guests of the tests are what tests/guests/README.md says they are."""

from __future__ import annotations

import json

import pytest

from harness.guest import Image, running_guest
from harness.hypervisor import Hypervisor
from harness.namespaces import run, wait_for

pytestmark = pytest.mark.integration


def agent(hypervisor: Hypervisor, name: str) -> bool:
    """Say whether the guest's agent answers."""
    answer = hypervisor.virsh("qemu-agent-command", name, '{"execute": "guest-ping"}', check=False)
    return answer == json.dumps({"return": {}}, separators=(",", ":"))


def test_the_small_guest_reads_its_seed_and_heeds_its_hypervisor(hypervisor: Hypervisor, small_guest: Image) -> None:
    with running_guest(hypervisor, small_guest, "tiny") as guest:
        assert guest.ssh("hostname") == "tiny"  # with the key of the seed, by the host key of the seed
        assert [network_and_name[3] for network_and_name in hypervisor.leases()] == ["tiny"]
        wait_for(lambda: agent(hypervisor, "tiny"), 60, "the agent")
        run(["qemu-img", "create", "-q", "-f", "raw", str(hypervisor.images / "data.raw"), "8M"])
        hypervisor.virsh("attach-disk", "tiny", str(hypervisor.images / "data.raw"), "vdb", "--live")
        wait_for(lambda: guest.ssh("test -b /dev/vdb && echo yes", check=False) == "yes", 30, "the disk")
        hypervisor.virsh("setmem", "tiny", "160M", "--live")
        smaller = "awk '/MemTotal/ {exit $2 > 140000}' /proc/meminfo && echo yes"
        wait_for(lambda: guest.ssh(smaller, check=False) == "yes", 60, "the balloon")
        hypervisor.virsh("shutdown", "tiny", "--mode", "acpi")
        wait_for(lambda: hypervisor.state("tiny") == "shut off", 60, "the guest to go off")
