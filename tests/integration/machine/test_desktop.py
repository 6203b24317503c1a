# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine on a hypervisor without root: ports of the host lead into it, and it has folders of its user. One guest, which all tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from harness.guest import image_in
from harness.hypervisor import UserSession
from harness.machines import UserMachines, told
from harness.namespaces import run, wait_for

HERE = "127.0.0.1"
SSH, OTHER = 60022, 60023
DATA = {"name": "data", "size": "64m"}


class Desk:
    """One machine that runs throughout."""

    def __init__(self, machines: UserMachines) -> None:
        self.machines = machines
        self.session: UserSession = machines.hypervisor  # type: ignore[assignment]
        card = {"user": True, "ports": [f"{HERE}:{SSH}:22", f"{HERE}:{OTHER}:80"]}
        self.site, self.shown_only = (self.session.home / name for name in ("with blank", "to read"))
        for path in (self.site, self.shown_only):
            run(self.session.as_person("sh", "-c", 'mkdir "$1" && echo from the host >"$1/index"', "sh", str(path)))
        folders = [
            {"source": str(self.site)},
            {"source": str(self.shown_only), "target": "/srv/read", "read_only": True},
        ]
        self.options = machines.small(
            image_in(self.session, "small-folders"),
            name="desk",
            networks=[card],
            folders=folders,
            disks=[DATA],
            timeout=90,
        )
        self.before = self.session.snapshot()
        self.made = machines.change("machine", project="desktop", **self.options)
        self.shown = self.made["resources"]["machine/desk"]

    def card(self, *ports: str) -> list[dict[str, Any]]:
        return [{"user": True, "ports": list(ports)}]

    def ssh(self, *command: str, port: int = SSH, check: bool = True) -> str:
        """Run a command in it, with its key as a line of known_hosts has it."""
        known = self.machines.place / "known_hosts"
        known.write_text(f"[{HERE}]:{port} {self.shown['host_key']}\n")
        line = self.session.enter(
            "ssh", "-F", "none", "-i", str(self.machines.key()[0]), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=yes", "-p", str(port), f"root@{HERE}", "--", *command, pid=False,
        )  # fmt: skip
        return run(line, check=check)

    @contextmanager
    def listener(self, port: int) -> Iterator[None]:
        """Something else that has a port of the host."""
        text = f"import socket, time; s = socket.create_server(('{HERE}', {port})); print(flush=True); time.sleep(60)"
        line = self.session.enter("python3", "-c", text, pid=False)
        with subprocess.Popen(line, stdout=subprocess.PIPE) as other:
            assert other.stdout and other.stdout.readline()
            yield
            other.kill()


@pytest.fixture(scope="module")
def desk(user_machines: UserMachines) -> Desk:
    return Desk(user_machines)


def test_it_is_reached_at_a_port_of_the_host(desk: Desk) -> None:
    shown = desk.shown
    assert (shown["address"], shown["port"], shown["addresses"]) == (HERE, SSH, [HERE])
    assert (shown["connection"]["ansible_host"], shown["connection"]["ansible_port"]) == (HERE, SSH)
    assert desk.ssh("hostname") == "desk"
    mac = desk.ssh("cat", "/sys/class/net/eth0/address")
    assert [mac] == shown["macs"]
    info = desk.machines("machine_info", name="desk").ok()
    assert info["machine"]["connection"] == shown["connection"]
    assert info["hypervisor"]["driver"] == "qemu_session"


def test_nothing_of_it_needed_root(desk: Desk) -> None:
    paths = [path for path in desk.session.home.rglob("*") if path.name.startswith("slipway.desktop.")]
    assert {path.parent for path in paths} == {desk.session.images}
    assert {path.stat().st_uid for path in paths} == {desk.session.images.stat().st_uid} != {0}
    assert desk.session.in_namespaces("sh", "-c", "ps -o user= -C qemu-system-x86_64").split() == ["person"]


def test_what_the_user_s_folders_hold_is_in_the_guest_and_back(desk: Desk) -> None:
    lines = told(desk.ssh("cat /sys/firmware/dmi/entries/11-0/raw"))
    assert [line[1:3] for line in lines] == [["/srv/read", "9p"], [str(desk.site), "9p"]]
    for tag, target, kind, options, *_rest in lines:
        desk.ssh(f"mkdir -p '{target}' && mount -t {kind} -o '{options.replace(',nofail', '')}' {tag} '{target}'")
    assert desk.ssh(f"cat '{desk.site}/index' /srv/read/index").split("\n") == ["from the host", "from the host"]
    desk.ssh(f"echo from the guest >'{desk.site}/back'; echo no >/srv/read/back; sync", check=False)
    back = desk.site / "back"
    assert back.read_text() == "from the guest\n" and back.stat().st_uid == desk.site.stat().st_uid
    assert not (desk.shown_only / "back").exists()


def test_folders_that_are_not_there_or_not_his(desk: Desk) -> None:
    folders = [{"source": f"{desk.site}/nowhere"}, {"source": "/usr/share"}]
    wanted = {**desk.options, "folders": folders, "on_restart_required": "restart"}
    message = desk.machines.refused("machine", project="desktop", **wanted)
    assert "is no folder of this host" in message and "may not write to; let him, or say read_only" in message


def test_memory_and_room_that_it_no_longer_needs_are_given_back(desk: Desk) -> None:
    """The guest fills memory and a disk and lets go of it, and the host has that much more."""
    pid = desk.session.in_namespaces("pgrep", "qemu-system")

    def resident() -> int:
        return int(desk.session.in_namespaces("awk", '$1 == "VmRSS:" {print $2}', f"/proc/{pid}/status"))

    desk.ssh("mount -t tmpfs tmpfs /tmp && dd if=/dev/zero of=/tmp/filled bs=1M count=96 2>/dev/null")
    full = resident()
    desk.ssh("rm /tmp/filled && umount /tmp")
    wait_for(lambda: resident() < full - (64 << 10), 30, "the guest's free pages to come back")
    live = desk.session.virsh("dumpxml", "desk")
    assert "freePageReporting='on'" in live
    (disk,) = desk.session.images.glob("*.disk-data.qcow2")
    desk.ssh("dd if=/dev/zero of=/dev/vda bs=1M count=32 conv=fsync 2>/dev/null")
    full = disk.stat().st_blocks
    desk.ssh("blkdiscard /dev/vda && sync")
    assert disk.stat().st_blocks * 512 < full * 512 - (24 << 20)


def test_another_daemon_finds_it_as_it_was(desk: Desk) -> None:
    """A session's daemon ends when nobody asks it, and the next one takes itself for another host."""
    desk.session.stop_daemon()
    again = desk.machines.settled("machine", project="desktop", **desk.options)
    assert again["resources"]["machine/desk"]["uuid"] == desk.shown["uuid"]


def test_ports_of_the_host_that_cannot_be_had(desk: Desk) -> None:
    card = desk.card(f"{SSH}:22", "127.0.0.1:60099:80", "222:222")
    other = {**desk.options, "name": "other", "networks": card, "disks": []}
    with desk.listener(60099):
        message = desk.machines.refused("machine", project="desktop", **other)
    assert message.count("networks[0].ports") == 3
    assert all(words in message for words in ("the machine desk has", "something else has", "choose one from 1024 on"))


def test_one_that_ends_while_it_is_waited_for_says_why(desk: Desk) -> None:
    """QEMU's own words are in a log which only its user and root can read."""
    options = {"name": "other", "image": desk.machines.empty_image(), "memory": "64m", "timeout": 60}

    with ThreadPoolExecutor() as pool:
        run = pool.submit(
            desk.machines, "machine", project="desktop", networks=desk.card(f"{HERE}:60024:22"), **options
        )
        wait_for(lambda: desk.session.state("other") == "running" or run.done(), 30, "the guest to run")
        desk.session.in_namespaces("pkill", "-f", "[q]emu-system.*guest=other")
        result = run.result()
    assert result.failed and "it is off (" in result.msg and "terminating on signal 15" in result.msg


def test_other_ports_are_had_after_a_restart(desk: Desk) -> None:
    wanted = {**desk.options, "networks": desk.card(f"{HERE}:{OTHER}:22"), "folders": desk.options["folders"][1:]}
    later = desk.machines("machine", project="desktop", **wanted, on_restart_required="defer").ok()
    shown = later["resources"]["machine/desk"]
    assert (shown["port"], shown["needs_restart"]) == (SSH, ["folders", "networks"])
    assert desk.ssh("hostname") == "desk"
    done = desk.machines("machine", project="desktop", **{**wanted, "state": "restarted"}).ok()
    shown = done["resources"]["machine/desk"]
    assert (shown["port"], shown["needs_restart"], shown["macs"]) == (OTHER, [], desk.shown["macs"])
    assert desk.ssh("hostname", port=OTHER) == "desk"
    assert not desk.ssh("hostname", check=False)
    assert shown["folders"] == {"/srv/read": {"source": str(desk.shown_only), "read_only": True}}
    desk.machines.settled("machine", project="desktop", **wanted)


def test_when_it_is_gone_nothing_is_left(desk: Desk) -> None:
    desk.machines.change("machines", project="desktop", state="absent", destroy={"disks": ["desk/data"]})
    left = desk.session.snapshot()
    assert left["domains"] == desk.before["domains"] and left["files"] == desk.before["files"]
    assert not [volume for volume in left["volumes"] if ".image." not in volume[1]]
    wait_for(lambda: not desk.session.in_namespaces("sh", "-c", "pgrep qemu-system || true"), 10, "the guest to end")
