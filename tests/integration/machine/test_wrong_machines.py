# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What cannot be is refused before anything is touched, with its place, its value and the way out."""

from __future__ import annotations

from typing import Any

import pytest
from harness.machines import Machines

SUM = "sha256:" + "0" * 64
IMAGE = {"source": "/nowhere.qcow2", "checksum": SUM}
CARD = {"network": "default", "address": "192.168.122.10"}


def web(**options: Any) -> dict:
    return {"machines": [{"name": "web", "image": IMAGE, "memory": "64m", "wait_for": "running", **options}]}


def lab(**options: Any) -> dict:
    return {"networks": [{"name": "lab", "address": "192.168.90.1/24", **options}]}


# fmt: off
# The mistake; where it is; what of the value is shown; what of the way out.
WRONG: dict[str, tuple[dict, str, str, str]] = {
    "a size of memory": (web(memory="lots"), "machines.web.memory", "lots", "512m"),
    "too little memory": (web(memory="1m"), "machines.web.memory", "1m", "512m"),
    "no memory": ({"machines": [{"name": "web", "image": IMAGE, "wait_for": "running"}]}, "machines.web", "memory", "missing"),
    "more memory than the most": (web(memory="128m", memory_max="64m"), "machines.web.memory", "128m", "raise memory_max"),
    "no processors": (web(cpus=0), "machines.web.cpus", "0", "1 to 512"),
    "more processors than the most": (web(cpus=4, cpus_max=2), "machines.web.cpus", "4", "raise cpus_max"),
    "most processors alone": (web(cpus_max=2), "machines.web.cpus_max", "", "add cpus"),
    "nothing to boot": ({"machines": [{"name": "web", "memory": "64m", "wait_for": "running"}]}, "machines.web.image", "", "boot"),
    "a checksum": (web(image={**IMAGE, "checksum": "md5:12"}), "machines.web.image", "md5:12", "sha256sum"),
    "an image without checksum": (web(image={"source": "/nowhere"}), "machines.web.image.checksum", "", "missing"),
    "a source": (web(image={**IMAGE, "source": "ftp://host/x"}), "machines.web.image.source", "ftp://host/x", "absolute path"),
    "a format": (web(image={**IMAGE, "format": "vmdk"}), "machines.web.image.format", "vmdk", "qcow2"),
    "a name": ({"machines": [{"name": "We_b", "image": IMAGE, "memory": "64m", "wait_for": "running"}]}, "machines.We_b.name", "We_b", "lower-case"),
    "a name twice": ({"machines": web()["machines"] * 2}, "machines[1].name", "web", "first"),
    "a missing name": ({"machines": [{"memory": "64m"}]}, "machines[0].name", "", "missing"),
    "a state": (web(state="started"), "machines.web.state", "started", "running"),
    "an unknown option": (web(memroy="64m"), "machines.web.memroy", "memroy", "memory"),
    "an unknown option of the task": ({"machine": []}, "machine", "machine", "machines"),
    "a disk's size": (web(disks=[{"name": "data", "size": "12x"}]), "machines.web.disks", "12x", ""),
    "a disk too small": (web(disks=[{"name": "data", "size": "1k"}]), "machines.web.disks", "1k", "10g"),
    "a disk twice": (web(disks=[{"name": "data", "size": "1m"}] * 2), "machines.web.disks", "data", "its own name"),
    "a disk's bus": (web(disks=[{"name": "data", "size": "1m", "bus": "ide"}]), "machines.web.disks[0].bus", "ide", "virtio"),
    "an address": (web(networks=[{**CARD, "address": "192.168.122.300"}]), "machines.web.networks", "192.168.122.300", "192.168.90.10"),
    "a card's address": (web(networks=[{**CARD, "mac": "01:02:03"}]), "machines.web.networks", "01:02:03", "52:54:00"),
    "network and bridge": (web(networks=[{"network": "default", "bridge": "br0"}]), "machines.web.networks", "", "either"),
    "an unknown network": (web(networks=[{"network": "nowhere"}]), "machines.web.networks[0].network", "nowhere", "declare"),
    "an address twice": (
        {"machines": [*web(networks=[CARD])["machines"], {**web(networks=[CARD])["machines"][0], "name": "two"}]}, "machines.two.networks[0].address", "192.168.122.10", "its own",
    ),
    "ssh without a network": (web(wait_for="ssh"), "machines.web.wait_for", "", "networks"),
    "a timeout": (web(timeout=0), "machines.web.timeout", "0", "300"),
    "a label of ours": (web(labels={"slipway.project": "x"}), "machines.web.labels", "slipway.project", "another name"),
    "a root size without image": (
        {"machines": [{"name": "web", "boot": {"kernel": IMAGE}, "size": "1g", "memory": "64m", "wait_for": "running"}]}, "machines.web.size", "", "add image",
    ),
    "a network without length": (lab(address="192.168.90.1"), "networks.lab.address", "192.168.90.1", "/24"),
    "the network itself": (lab(address="192.168.90.0/24"), "networks.lab.address", "192.168.90.0/24", "192.168.90.1/24"),
    "a range upside down": (lab(dhcp={"start": "192.168.90.99", "end": "192.168.90.50"}), "networks.lab.dhcp", "192.168.90.99", "start"),
    "a range elsewhere": (lab(dhcp={"start": "192.168.90.50", "end": "192.168.91.99"}), "networks.lab.dhcp", "192.168.91.99", "192.168.90.0/24"),
    "a bridge's name": (lab(bridge="a-bridge-with-a-long-name"), "networks.lab.bridge", "a-bridge-with-a-long-name", "15"),
    "parallelism": ({**web(), "parallelism": 0}, "parallelism", "0", "1 to 64"),
    "a pool's path": ({**web(), "pool_path": "here"}, "pool_path", "here", "absolute"),
    "an accelerator": (web(accel="warp"), "machines.web.accel", "warp", "tcg"),
}
# fmt: on


@pytest.mark.parametrize("name", WRONG)
def test_it_is_refused_with_its_place(session_machines: Machines, name: str) -> None:
    spec, place, value, way_out = WRONG[name]
    for check in (True, False):
        result = session_machines("machines", check=check, **spec)
        assert result.failed and not session_machines.calls
        assert "Traceback" not in str(result) and "this is a bug" not in result.msg
        mistakes = result.get("mistakes") or [result.msg]
        assert len(mistakes) == 1, mistakes
        assert place in mistakes[0] and value in mistakes[0] and way_out in mistakes[0], mistakes[0]


def test_they_touch_nothing_and_are_told_all_at_once(machines: Machines) -> None:
    spec = {**web(memory="lots", cpus=0), **lab(address="192.168.90.1")}
    message = machines.refused("machines", **spec)
    assert "3 mistakes" in message
    assert machines.hypervisor.names("domain") == []
