# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine of that name that is not ours is left alone, unless the user says otherwise."""

from __future__ import annotations

import shutil
from typing import Any

from harness.machines import Machines

FOREIGN = """\
<domain type='qemu'>
  <name>web</name><memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{path}'/><target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
"""


def web(machines: Machines, **more: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "image": machines.empty_image(),
        "memory": "64m",
        "state": "stopped",
        "wait_for": "running",
        **more,
    }


def test_another_projects_machine_is_refused(machines: Machines) -> None:
    machines("machine", project="first", **web(machines)).ok()
    message = machines.refused("machine", project="second", **web(machines))
    assert "web" in message and "first" in message and "adopt" in message
    assert "first" in machines.refused("machine", project="second", name="web", state="absent")
    machines("machine", project="first", name="web", state="absent").ok()


def test_a_foreign_machine_is_refused_unless_it_may_be_adopted(machines: Machines) -> None:
    disk = machines.hypervisor.images / "foreign.qcow2"
    shutil.copyfile(machines.empty_image()["source"], disk)
    machines.hypervisor.virsh("define", "/dev/stdin", input=FOREIGN.format(path=disk))
    message = machines.refused("machine", adopt="never", **web(machines))
    assert "web" in message and "adopt" in message
    assert "adopt" in machines.refused("machine", adopt="never", name="web", state="absent")
    assert "losing the machine's data" in machines.refused("machine", **web(machines))  # its root disk is none of ours
    before = machines.hypervisor.virsh("domuuid", "web")
    foretold = machines.foretell("machine", destroy=True, **web(machines))
    done = machines("machine", destroy=True, **web(machines)).ok()
    assert done["plan"] == foretold["plan"]
    assert machines.hypervisor.virsh("domuuid", "web") == before
    machines.settled("machine", **web(machines))
    machines("machine", name="web", state="absent").ok()
