# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""machine_info says what virsh says, of a machine that runs and of one that others made, and changes nothing."""

from __future__ import annotations

from harness.guest import Image
from harness.machines import Machines
from harness.namespaces import wait_for

LAB = {"name": "lab", "address": "192.168.90.1/24", "dhcp": {"start": "192.168.90.50", "end": "192.168.90.99"}}
CARD = {"network": "lab", "address": "192.168.90.10"}
FOREIGN = """\
<domain type='qemu'><name>foreign</name><memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>
"""


def test_what_there_is(machines: Machines, small_guest: Image) -> None:
    hypervisor = machines.hypervisor
    web = machines.small(small_guest, name="web", networks=[CARD], disks=[{"name": "data", "size": "64m"}], timeout=90)
    spec = {"project": "shop", "networks": [LAB], "machines": [web]}
    machines("machines", **spec).ok()
    foreign = hypervisor.directory / "foreign.xml"
    foreign.write_text(FOREIGN)
    hypervisor.virsh("define", str(foreign))

    def look(**which: object) -> dict:
        machines.record.write_text("")
        counted = {"SLIPWAY_CALLS": str(machines.record)}
        found = machines.runner.module("machine_info", {"uri": hypervisor.uri, **which}, env=counted).ok()
        assert not found.changed and not machines.calls
        return found

    before = machines.everything()
    found = look(name="web", console_lines=5)
    assert machines.everything() == before
    shown = found["machine"]
    assert found["exists"] is True and found["machines"] == [shown]
    assert (shown["state"], shown["state_reason"], shown["project"]) == ("running", "booted", "shop")
    assert shown["address"] == CARD["address"] and CARD["address"] in shown["addresses"]
    assert shown["uuid"] == hypervisor.virsh("domuuid", "web").strip()
    assert shown["needs_restart"] == [] and shown["snapshots"] == []
    assert (shown["accel"], shown["memory"]) == ("tcg", 256 << 20)
    assert shown["storage"]["disks.data"]["capacity"] == 64 << 20
    assert 0 < shown["storage"]["disks.data"]["allocation"] < 64 << 20
    assert 0 < len(shown["console"]) <= 5
    assert machines.ssh(shown["connection"]["ansible_host"], shown["host_key"], "hostname") == "web"

    machines("machines", **{**spec, "machines": [{**web, "memory": "300m"}]}, on_restart_required="defer").ok()
    assert look(name="web")["machine"]["needs_restart"] == ["memory", "memory_max"]
    hypervisor.virsh("destroy", "web")
    wait_for(lambda: hypervisor.state("web") != "running", 10, "web to be off")
    off = look(project="shop")["machines"]
    assert [(item["name"], item["state"], item["state_reason"]) for item in off] == [("web", "stopped", "turned off")]
    everyone = look()
    assert [(item["name"], item["project"]) for item in everyone["machines"]] == [("foreign", ""), ("web", "shop")]
    assert everyone["hypervisor"]["driver"] == "qemu_system"
    assert "emulated" in everyone["hypervisor"]["accel_reason"]
    nobody = look(name="nobody")
    assert (nobody["exists"], nobody["machine"], nobody["machines"]) == (False, None, [])
