# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Three machines from nothing to SSH in one task, beside three plain `virsh start` side by side of the same guests.

    python tests/benchmarks/machines.py        needs root, and the collection in build/collections

Both are measured in turn in one run, on one private hypervisor, under emulation. What the plain way needs before the start, its disks, seeds and
definitions, is not in its time; in that of the task are the network, the pool, the images with their checksums, the proof of each host key, and that each
seed is taken out. What is promised holds beside SSH's first line, which proves nothing; the time until the plain guests have proven their keys is shown too.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from harness.guest import Guest, Image, image_in  # noqa: E402
from harness.hypervisor import Hypervisor, private_hypervisor  # noqa: E402
from harness.namespaces import run  # noqa: E402

ANSIBLE = Path(sys.executable).with_name("ansible")
GUESTS = {  # name: image, MiB of memory, processors
    "debian12": ("debian-bookworm", 1024, 2),
    "debian13": ("debian-trixie", 512, 1),
    "small": ("small", 256, 1),
}
# What is promised: at most so many times as long as plainly; so many seconds more than a ping.
SLOWER, LONGER = 1.15, 1.5
ROUNDS, REPEATS = 5, 5
MODULE = "slipway.docker.machines"


def timed(function: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.monotonic()
    function()
    return time.monotonic() - began


def prove(guest: Guest) -> None:
    """Have its SSH daemon prove its key, as the task does, which logs in nowhere either."""
    command = guest.ssh_command("true", more=("-o", "PreferredAuthentications=none"))
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr
    assert "Permission denied" in said, said


def plainly(hypervisor: Hypervisor, images: dict[str, Image]) -> tuple[float, float]:
    """Seconds from `virsh start` of all guests until the SSH daemon of the last one says something, and until the last one has proven its key."""
    guests = [Guest(hypervisor, name, images[image]) for name, (image, _memory, _cpus) in GUESTS.items()]
    try:
        for guest in guests:
            _image, memory, cpus = GUESTS[guest.name]
            guest.define(memory, cpus)
        began = time.monotonic()

        def started(guest: Guest) -> tuple[float, float]:
            hypervisor.virsh("start", guest.name)
            guest.wait()
            first = time.monotonic() - began
            prove(guest)
            return first, time.monotonic() - began

        with ThreadPoolExecutor() as pool:
            first, proven = zip(*pool.map(started, guests))
        return max(first), max(proven)
    finally:
        for guest in guests:
            guest.remove()


def declared(hypervisor: Hypervisor, images: dict[str, Image]) -> dict:
    """The options of the task."""

    def source(path: Path) -> dict:
        return {"source": str(path), "checksum": f"sha256:{run(['sha256sum', str(path)])[:64]}"}

    def machine(name: str) -> dict:
        wanted, memory, cpus = GUESTS[name]
        image = images[wanted]
        boot = {"kernel": source(image.kernel), "initrd": source(image.initrd), "cmdline": image.cmdline}
        disk = {"image": source(image.disk)} if image.disk else {}
        return {
            "name": name, "boot": boot, **disk, "memory": f"{memory}m", "cpus": cpus, "networks": [{"network": "back"}],
            "seed": {"ssh_keys": [(hypervisor.directory / "key.pub").read_text().strip()]},
        }  # fmt: skip

    dhcp = {"start": "192.168.90.100", "end": "192.168.90.199"}
    return {
        "uri": hypervisor.uri,
        "pool_path": str(hypervisor.directory / "pool"),
        "project": "bench",
        "networks": [{"name": "back", "address": "192.168.90.1/24", "dhcp": dhcp}],
        "machines": [machine(name) for name in GUESTS],
    }


def ansible(hypervisor: Hypervisor, module: str, options: dict) -> dict:
    """Run one task in the hypervisor's network; return its result."""
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(TESTS.parent / "build" / "collections")
    command = [str(ANSIBLE), "all", "-i", "localhost,", "-c", "local", "-o", "-m", module]
    if options:
        command += ["-a", json.dumps(options)]
    whole = hypervisor.enter(*command, "-e", "ansible_python_interpreter=/usr/bin/python3", pid=False)
    said = subprocess.run(whole, capture_output=True, text=True, timeout=600, check=True).stdout
    return json.loads(said.partition("=> ")[2])


def once(hypervisor: Hypervisor, images: dict[str, Image], options: dict) -> tuple[float, float, float, float]:
    """Seconds of the plain way, both, of the task and of its undoing, one after the other, so that all have the same machine."""
    first, plain = plainly(hypervisor, images)
    task = timed(lambda: ansible(hypervisor, MODULE, options))
    return first, plain, task, timed(lambda: ansible(hypervisor, MODULE, {**options, "state": "absent"}))


def main() -> int:
    with private_hypervisor() as hypervisor:
        hypervisor.furnish()
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(hypervisor.directory / "key")])
        images = {image: image_in(hypervisor, image) for image, _memory, _cpus in GUESTS.values()}
        options = declared(hypervisor, images)
        rounds = [once(hypervisor, images, options) for _ in range(ROUNDS)]
        ansible(hypervisor, MODULE, options)
        ping = [timed(lambda: ansible(hypervisor, "ping", {})) for _ in range(REPEATS)]
        again = [timed(lambda: ansible(hypervisor, MODULE, options)) for _ in range(REPEATS)]
        assert not ansible(hypervisor, MODULE, options)["changed"]
    first, plain, task, gone = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio, more = task / first, statistics.median(again) - statistics.median(ping)
    print(f"three plain virsh start, until SSH's first line {first:4.1f} s")
    print(f"the same, until the host keys are proven      {plain:6.1f} s")
    print(
        f"one task, from nothing to SSH                 {task:6.1f} s   {ratio:.2f} times as long as until the first line (at most {SLOWER}), {task / plain:.2f} as until the proof"
    )
    print(f"ansible -m ping                               {statistics.median(ping):6.1f} s")
    print(
        f"the task again, with nothing to do            {statistics.median(again):6.1f} s   {more:.1f} s more (at most {LONGER})"
    )
    print(f"the task with state: absent                   {gone:6.1f} s")
    return 0 if ratio <= SLOWER and more <= LONGER else 1


if __name__ == "__main__":
    sys.exit(main())
