# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine from nothing to SSH and back to nothing: foretold, done as foretold, then nothing to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from harness.guest import Image
from harness.machines import Machines
from harness.namespaces import wait_for

LAB = {"name": "lab", "address": "192.168.90.1/24", "dhcp": {"start": "192.168.90.50", "end": "192.168.90.99"}}
ADDRESS = "192.168.90.10"
# What is at the other end of a connection to libvirt on another host.
RELAY = """#!{python}
import os, socket, threading
daemon = socket.socket(socket.AF_UNIX)
daemon.connect("{socket}")
def there():
    while told := os.read(0, 65536):
        daemon.sendall(told)
    os._exit(0)
threading.Thread(target=there, daemon=True).start()
while said := daemon.recv(65536):
    os.write(1, said)
"""


def lab(machines: Machines, image: Image, **more: Any) -> dict[str, Any]:
    web = machines.small(
        image,
        name="web",
        networks=[{"network": "lab", "address": ADDRESS}],
        disks=[{"name": "data", "size": "64m"}],
        timeout=90,
        **more,
    )
    return {"project": "life", "networks": [LAB], "machines": [web]}


def test_a_machine_comes_answers_stays_and_goes(machines: Machines, small_guest: Image) -> None:
    hypervisor, spec = machines.hypervisor, lab(machines, small_guest)
    before, known = hypervisor.snapshot(), Path("~/.ssh/known_hosts").expanduser()
    trusted = known.read_bytes() if known.exists() else None

    made = machines.change("machines", **spec)
    assert made["plan"] == [line for line in made["plan"] if line.startswith("+ ")]
    shown = made["resources"]["machine/web"]
    assert shown["address"] == ADDRESS
    assert machines.ssh(ADDRESS, shown["host_key"], "hostname") == "web"
    assert hypervisor.state("web") == "running"
    assert sorted(hypervisor.names("network")) == ["default", "lab"]

    machines.settled("machines", **spec)
    assert hypervisor._uuid("domuuid", "web") == shown["uuid"]

    hypervisor.virsh("managedsave", "web")
    hypervisor.virsh("autostart", "web")
    gone = machines.change("machines", project="life", state="absent", orphans="remove")
    assert not any("disk" in line for line in gone["plan"])
    left = hypervisor.snapshot()
    assert left["domains"] == before["domains"] and left["files"] == before["files"]
    data = [name for pool, name, _size in left["volumes"] if ".disk-data." in name]
    assert len(data) == 1

    again = machines("machines", **spec).ok()  # the disk that stayed is taken up again
    assert hypervisor._uuid("domuuid", "web") == shown["uuid"] and "+ disk/web/data" not in str(again["plan"])
    for command in ("destroy", "undefine"):  # by hand, while its volumes remain
        hypervisor.virsh(command, "web")
    machines.change(
        "machines", **{**spec, "machines": [], "networks": []}, state="absent", destroy={"disks": ["web/data"]}
    )
    wait_for(lambda: not [v for v in hypervisor.snapshot()["volumes"] if ".image." not in v[1]], 5, "the volumes to go")
    assert hypervisor.snapshot()["domains"] == before["domains"]
    assert hypervisor.names("network") == ["default"]
    assert (known.read_bytes() if known.exists() else None) == trusted


def test_a_machine_that_is_off_starts_with_less_next_time(machines: Machines, small_guest: Image) -> None:
    web = machines.small(small_guest, name="web", state="stopped")
    machines("machine", project="life", **web).ok()
    less = {key: web["boot"][key] for key in ("kernel", "initrd")}
    result = machines.change("machine", project="life", **{**web, "boot": less})
    assert any("boot.cmdline" in line for line in result["plan"]), result["plan"]
    definition = machines.hypervisor.virsh("dumpxml", "--inactive", "web")
    assert "<cmdline>" not in definition and "<initrd>" in definition


def test_a_machine_on_a_hypervisor_whose_files_are_not_here(machines: Machines, small_guest: Image) -> None:
    relay = machines.place / "relay"
    relay.write_text(RELAY.format(python=sys.executable, socket=machines.hypervisor.directory / "run/libvirt-sock"))
    relay.chmod(0o755)
    elsewhere = {"uri": f"qemu+ext://elsewhere/system?command={relay}", "project": "life"}
    image = machines.empty_image()
    web = {**machines.small(small_guest, name="web", state="stopped"), "image": image}
    machines.change("machine", **elsewhere, **web)
    assert not list(machines.pool.glob("*.part")), "nothing there can be renamed"
    kept = {path.read_bytes() for path in machines.pool.glob("*.image.*")}
    assert kept == {Path(held["source"]).read_bytes() for held in (image, web["boot"]["kernel"], web["boot"]["initrd"])}
    machines.change("machine", **elsewhere, name="web", state="absent")
