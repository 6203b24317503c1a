# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each call that changes something breaks once in each way: the next run converges, absent cleans, and nothing is left over.

By default each call breaks in one way, all ways by turns; with SLIPWAY_EXAM_SCALE=1 each breaks in all of them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from harness.figures import show
from harness.guest import Image
from harness.machines import Machines
from harness.promises import crashed
from harness.run import Killed, Result

KINDS = ("refused", "lost", "kill", "dropped", "killafter", "sick")
FULL = float(os.environ.get("SLIPWAY_EXAM_SCALE", "0")) >= 1
LAB = {"name": "lab", "address": "192.168.90.1/24", "dhcp": {"start": "192.168.90.50", "end": "192.168.90.99"}}
AWAY = {"name": "web", "state": "absent", "shutdown_timeout": 0.1}
START = {"change": {"state": "stopped"}, "hot": {"memory_max": "96m", "cpus": 1, "cpus_max": 2}}
GONE = {"state": "absent", "destroy": {"disks": ["web/data", "web/more"]}}


@pytest.fixture(scope="module")
def counted() -> Counter:
    """What was counted over all tests."""
    return Counter()


@pytest.fixture
def figures(request: pytest.FixtureRequest, counted: Counter) -> Iterator[Counter]:
    """The counts, shown as they are after the last test."""
    began = time.monotonic()
    yield counted
    counted["seconds"] += round(time.monotonic() - began)
    for label, number in counted.items():
        show(request.node, "faults at libvirt", label, str(number))


class Case:
    """One scenario: how it begins, and what is wanted."""

    def __init__(self, machines: Machines, figures: Counter, name: str) -> None:
        self.machines, self.figures, self.name = machines, figures, name
        self.began = machines.hypervisor.snapshot()

    def web(self, **more: Any) -> dict[str, Any]:
        """A machine with all that a machine can have, which runs and does nothing."""
        card = {"network": "lab", "address": "192.168.90.10"}
        web = {
            "name": "web",
            "image": self.machines.empty_image(),
            "memory": "64m",
            "wait_for": "running",
            "shutdown_timeout": 0.1,
        }
        web |= {"disks": [{"name": "data", "size": "1m"}], "networks": [card], "autostart": True}
        return self.spec(networks=[LAB], machines=[{**web, **more}])

    def spec(self, **lists: Any) -> dict[str, Any]:
        """A task of this project, one call after the other."""
        return {"project": "faults", "parallelism": 1, **lists}

    def start(self) -> dict[str, Any]:
        """The task that leads to the beginning; none where it is nothing."""
        if self.name == "rebuild":  # the other image is there, so that each time the same calls are made
            return {**self.web(), "images": [self.machines.empty_image("12M")]}
        return {} if self.name == "create" else self.web(**START.get(self.name, {}))

    def goal(self) -> dict[str, Any]:
        """The task that is broken."""
        if self.name == "create":
            return self.web()
        if self.name == "destroy":
            return self.spec(**GONE, machines=[AWAY])
        if self.name == "restart":
            return {**self.web(machine_type="pc", memory="96m"), "on_restart_required": "restart"}
        if self.name == "rebuild":
            rebuilt = self.web(image=self.machines.empty_image("12M"))
            return {**rebuilt, "destroy": {"machines": ["web"]}, "on_restart_required": "restart"}
        disks = [{"name": "data", "size": "2m"}, {"name": "more", "size": "1m"}]
        changed = {"cpus": 2, "labels": {"a": "b"}, "autostart": False, "disks": disks}
        if self.name == "hot":
            cards = [{"network": "lab", "address": "192.168.90.10"}, {"network": "lab"}]
            return self.web(**{**START["hot"], **changed}, networks=cards)
        cards = [{"network": "lab", "address": "192.168.90.11"}, {"network": "lab"}]
        return self.web(**changed, state="stopped", memory="96m", networks=cards, size="16m")

    def definitions(self) -> list[str]:
        """The machine as it runs, and as it counts from its next start on."""
        return [self.machines.hypervisor.virsh("dumpxml", "web", *which) for which in ((), ("--inactive",))]

    def roots(self) -> list[str]:
        """The root disks that there are."""
        volumes = self.machines.hypervisor.snapshot()["volumes"]
        return [name for pool, name, _size in volumes if pool == "slipway" and ".root-" in name]

    def begin(self) -> None:
        """Go to the beginning."""
        if self.start():
            self.machines("machines", **self.start()).ok()

    def end(self, place: str) -> None:
        """All of it goes, and nothing is left; images and their pool stay, for others may use them."""
        self.machines("machines", **self.spec(**GONE, machines=[AWAY])).ok()
        now = self.machines.hypervisor.snapshot()
        for what in ("domains", "networks", "leases", "files"):
            assert now[what] == self.began[what], f"{place}: {what}"
        left = [name for pool, name, _size in now["volumes"] if pool == "slipway" and ".image." not in name]
        assert not left, f"{place}: {left}"
        network = self.machines.hypervisor.virsh("net-dumpxml", "default")
        assert "<host " not in network

    def fault(self, number: int, kind: str) -> None:
        """Break one call, run again, look, and go back."""
        place = f"{self.name}, call {number}, {kind}"
        if self.name == "create":
            self.machines.clean()
        self.begin()
        result: Result | None
        try:
            result = self.machines("machines", fault=f"{number} {kind}", **self.goal())
            call = self.machines.calls[number - 1]
        except Killed:
            result, call = None, self.machines.calls[-1]
        place += f" ({call})"
        self.figures["faults"] += 1
        if result is not None:
            assert not crashed(result), f"{place}: {result.msg}"
            self.figures["failed and said so" if result.failed else "reached all the same"] += 1
            if result.failed:
                assert "broken by the test" in result.msg, f"{place}: {result.msg}"
        if number % 2 or self.name != "create":
            again = self.machines("machines", **self.goal())
            assert not again.failed, f"{place}, next run: {again.msg}"
            self.figures["next run converged"] += 1
            settled = self.machines("machines", check=True, **self.goal()).ok()
            assert settled["plan"] == [], f"{place}, then: {settled['plan']}"
            assert len(self.roots()) == (self.name != "destroy"), f"{place}, then: {self.roots()}"
        self.end(place)
        self.figures["absent cleaned"] += 1


@pytest.mark.parametrize("name", ["create", "change", "hot", "restart", "rebuild", "destroy"])
def test_a_call_breaks(machines: Machines, figures: Counter, name: str) -> None:
    case = Case(machines, figures, name)
    case.begin()
    machines("machines", **case.goal()).ok()
    calls = machines.calls
    assert len(calls) >= 4
    case.end("without a fault")
    failures = []
    for number in range(1, len(calls) + 1):
        for kind in KINDS if FULL else (KINDS[number % len(KINDS)],):
            try:
                case.fault(number, kind)
            except AssertionError as error:
                failures.append(str(error).splitlines()[0])
                machines.clean()
    assert not failures, f"{len(failures)} of them:\n" + "\n".join(failures)


def test_a_rebuild_that_fails_leaves_what_there_was(machines: Machines, figures: Counter) -> None:
    case = Case(machines, figures, "rebuild")
    case.begin()
    machines("machines", **case.goal()).ok()
    start = next(number for number, call in enumerate(machines.calls, 1) if call.startswith("start"))
    case.end("without a fault")
    case.begin()
    failed = machines("machines", fault=f"{start} refused", **case.goal())
    assert "broken by the test" in failed.msg and "not complete" not in failed.msg, failed.msg
    assert machines.hypervisor.state("web") == "running" and len(case.roots()) == 1
    assert machines("machines", check=True, **case.start()).ok()["plan"] == []
    case.end("a rebuild that failed")


@pytest.mark.parametrize("again", [True, False], ids=["the next run takes it up", "absent releases it"])
def test_an_address_reserved_by_a_killed_run_in_a_network_of_others(
    machines: Machines, figures: Counter, again: bool
) -> None:
    case = Case(machines, figures, "create")
    spec = case.web(networks=[{"network": "default", "address": "192.168.122.10"}])
    spec["networks"] = []
    with pytest.raises(Killed):  # pool 4, disk 1, image 2, root 1, seed 2: the eleventh call reserves
        machines("machines", fault="11 killafter", **spec)
    assert machines.calls[-1] == "update the network (update)"
    assert "<host " in machines.hypervisor.virsh("net-dumpxml", "default")
    if again:
        machines("machines", **spec).ok()
    case.end("a network of others")


def test_a_disk_that_the_guest_does_not_let_go_of(machines: Machines, figures: Counter) -> None:
    """It stays all of it; and what is left of a run that was killed meanwhile is said, and mended."""
    case = Case(machines, figures, "hot")
    case.begin()
    without = case.web(**START["hot"], disks=[])

    def has() -> list[bool]:
        return ["disk-data" in text for text in case.definitions()]

    result = machines("machines", **without)
    assert result.failed and "the guest has not let go of disk-data" in result.msg, result.msg
    assert has() == [True, True]
    with pytest.raises(Killed):
        machines("machines", fault="2 killafter", **without)
    assert machines.calls[-1] == "detach the device (detachDeviceFlags)"
    assert has() == [True, False]
    held = machines("machines", check=True, **without).ok()
    assert held["plan"] == [] and "disks" in held["resources"]["machine/web"]["needs_restart"]
    machines("machines", **case.start()).ok()
    assert has() == [True, True]
    assert machines("machines", check=True, **case.start()).ok()["plan"] == []
    case.end("a disk that is held")


def test_the_seed_goes_all_the_same(machines: Machines, figures: Counter, small_guest: Image) -> None:
    """Each of the last calls of a first start breaks, its seed's ejection: it counts as not finished, and the next run ends it."""
    case = Case(machines, figures, "create")
    spec = case.web(**machines.small(small_guest), wait_for="ssh", timeout=90)
    machines("machines", **spec).ok()
    calls = [call.partition(" (")[0] for call in machines.calls]
    first = calls.index("detach the device") + 1
    # From the definition, from the machine, and there once more of a guest that takes its time.
    assert set(calls[first - 1 : -1]) == {"detach the device"} and calls[-1] == "remove the volume"
    for after, kind in enumerate(("killafter", "kill", "refused")):
        machines.clean()
        try:
            broken = machines("machines", fault=f"{first + after} {kind}", **spec)
            assert "broken by the test" in broken.msg, broken.msg
        except Killed:
            assert kind.startswith("kill")
        found = machines("machines", check=True, **spec).ok()
        assert found["plan"] and found["resources"]["machine/web"]["first_start"] == "not finished"
        machines("machines", **spec).ok()
        assert machines("machines", check=True, **spec).ok()["plan"] == []
        assert not [name for _pool, name, _size in machines.hypervisor.snapshot()["volumes"] if ".seed" in name]
        assert not any("seed" in text for text in case.definitions())
    case.end("with all of it")
