# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine goes with whatever libvirt has kept of it; its data stays until it is named."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from harness.machines import Machines
from harness.namespaces import wait_for

LAB = {"name": "lab", "address": "192.168.90.1/24", "dhcp": {"start": "192.168.90.50", "end": "192.168.90.99"}}
AWAY = {"name": "web", "state": "absent", "shutdown_timeout": 0.1}


def spec(machines: Machines, **more: Any) -> dict[str, Any]:
    card = {"network": "lab", "address": "192.168.90.10"}
    web = {
        "name": "web",
        "image": machines.empty_image(),
        "memory": "64m",
        "wait_for": "running",
        "shutdown_timeout": 0.1,
    }
    web |= {"disks": [{"name": "data", "size": "1m"}], "networks": [card], "autostart": True, **more}
    return {"project": "gone", "networks": [LAB], "machines": [web]}


def snapshots(machines: Machines) -> None:
    machines.hypervisor.virsh("snapshot-create-as", "web", "first", "--disk-only", "--no-metadata", check=False)
    machines.hypervisor.virsh("destroy", "web")
    machines.hypervisor.virsh("snapshot-create-as", "web", "second")
    assert machines.hypervisor.virsh("snapshot-list", "web", "--name").split() == ["second"]


def managed_save(machines: Machines) -> None:
    machines.hypervisor.virsh("managedsave", "web")
    assert machines.hypervisor.snapshot()["files"]


def firmware_with_variables(machines: Machines) -> None:
    efi = spec(machines, firmware="efi")
    machines("machines", **efi, on_restart_required="restart").ok()
    assert [path for path in machines.hypervisor.snapshot()["files"] if path.endswith(".fd")]


def undefined_by_hand(machines: Machines) -> None:
    for command in ("destroy", "undefine"):
        machines.hypervisor.virsh(command, "web")


def undefined_while_it_runs(machines: Machines) -> None:
    machines.hypervisor.virsh("undefine", "web")


def network_gone(machines: Machines) -> None:
    for command in ("net-destroy", "net-undefine"):
        machines.hypervisor.virsh(command, "lab")


def daemon_restarted(machines: Machines) -> None:
    machines.hypervisor.kill_daemon()
    machines.hypervisor.start_daemon()


def nothing(machines: Machines) -> None:
    assert "seed" in machines.hypervisor.virsh("domblklist", "web")


BEFORE = [
    nothing, snapshots, managed_save, firmware_with_variables, undefined_by_hand, undefined_while_it_runs, network_gone, daemon_restarted,
]  # fmt: skip


@pytest.mark.parametrize("first", BEFORE, ids=lambda first: first.__name__)
def test_it_goes_whatever_was_done_to_it(machines: Machines, first: Callable[[Machines], None]) -> None:
    before = machines.hypervisor.snapshot()
    machines("machines", **spec(machines)).ok()
    first(machines)
    gone = machines("machines", project="gone", state="absent", machines=[AWAY]).ok()
    assert gone.changed
    now = machines.hypervisor.snapshot()
    volumes = [name for pool, name, _size in now["volumes"] if pool == "slipway" and ".image." not in name]
    if first is snapshots:  # an external snapshot put a layer above, by hand
        volumes = [name for name in volumes if not name.endswith(".first")]
    assert volumes == ["slipway.gone.web.disk-data.qcow2"]  # data is never lost because nobody thought of it
    for kind in ("domains", "networks", "leases", "files"):
        assert now[kind] == before[kind], kind
    machines.settled("machines", project="gone", state="absent", machines=[AWAY])
    machines("machines", project="gone", state="absent", machines=[AWAY], destroy={"disks": ["web/data"]}).ok()
    volumes = [name for pool, name, _size in machines.hypervisor.snapshot()["volumes"] if pool == "slipway"]
    assert [name for name in volumes if ".image." not in name and not name.endswith(".first")] == []


def test_a_protected_machine_stays(machines: Machines) -> None:
    machines("machines", **spec(machines, protect=True)).ok()
    message = machines.refused("machines", project="gone", state="absent", machines=[AWAY])
    assert "protect" in message and "false" in message
    machines("machines", **spec(machines, protect=False)).ok()
    machines("machines", project="gone", state="absent", machines=[AWAY]).ok()


def test_a_disk_that_stayed_is_named_and_taken_up_again(machines: Machines) -> None:
    machines("machines", **spec(machines)).ok()
    disk = machines.pool / "slipway.gone.web.disk-data.qcow2"
    machines("machine", project="gone", name="web", state="absent", shutdown_timeout=0.1).ok()
    kept = disk.read_bytes()
    told = machines("machines", project="gone", networks=[LAB], check=True).ok()
    assert told["orphans"] == ["disk/web/data"]
    again = machines("machines", **spec(machines, state="stopped")).ok()
    assert not [line for line in again["plan"] if "disk/web/data" in line] and disk.read_bytes() == kept


def test_a_daemon_that_dies_under_a_run(machines: Machines) -> None:
    """The run waits for it to come back, or says what happened; the next run finishes."""
    import threading

    wanted = spec(machines)
    killed = threading.Event()

    def kill() -> None:
        wait_for(lambda: len(machines.calls) >= 6, 60, "the run to begin")
        machines.hypervisor.kill_daemon()
        machines.hypervisor.start_daemon()
        killed.set()

    machines.record.write_text("")
    thread = threading.Thread(target=kill)
    thread.start()
    result = machines("machines", **wanted)
    thread.join()
    assert killed.is_set()
    assert "Traceback" not in str(result) and "this is a bug" not in result.msg
    machines("machines", **wanted).ok()
    machines.settled("machines", **wanted)


def test_an_image_goes_when_nobody_stands_on_it(machines: Machines) -> None:
    source = machines.place / "plain.raw"
    source.write_bytes(b"\0" * (1 << 20))
    checksum = sha256(source.read_bytes()).hexdigest()
    image = {"checksum": checksum, "format": "raw"}
    machines.change("machine_image", source=str(source), **image)
    stands = {"name": "web", "image": image, "memory": "64m", "state": "stopped", "wait_for": "none"}
    machines("machine", **stands).ok()
    refused = machines.refused("machine_image", state="absent", **image)
    assert "in use by web" in refused
    machines("machine", name="web", state="absent").ok()
    machines.change("machine_image", state="absent", **image)
    assert not list(machines.pool.glob("slipway.image.*"))


@pytest.mark.parametrize(
    ("call", "left"),
    [
        ("undefine (undefineFlags)", "the machine web"),
        ("remove the volume (delete)", "slipway.gone.web."),
        ("update the network (update)", "the reservation of 192.168.90.10 in the network lab of the machine web"),
    ],
)
def test_what_is_there_all_the_same_is_named_and_goes_with_the_next_run(
    machines: Machines, call: str, left: str
) -> None:
    gone = {"project": "gone", "networks": [LAB], "machines": [AWAY], "parallelism": 1}
    machines("machines", **spec(machines)).ok()
    machines("machines", **gone).ok()
    number = machines.calls.index(call) + 1
    machines("machines", **spec(machines)).ok()
    failed = machines("machines", fault=f"{number} deaf", **gone)
    assert failed.failed and "all was done, yet this is left: " in failed.msg and left in failed.msg
    assert machines("machines", **gone).ok()["plan"] == ["- machine/web   requested"]
    machines.settled("machines", **gone)
