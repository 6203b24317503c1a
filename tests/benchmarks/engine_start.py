# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How soon an engine listens after the kernel's start: in the small Linux, and in a full Debian with the same packages of the engine.

    python tests/benchmarks/engine_start.py        needs root

Both are started in turn on one private hypervisor, under emulation, with one processor and the same memory, and have nothing else to do. Their disks are
theirs already: the first start, in which one makes a file system and the other is installed, is not measured.
"""

from __future__ import annotations

import io
import re
import statistics
import sys
import tarfile
from pathlib import Path
from subprocess import run as call

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from harness.guest import BUILD, Guest, Image, image_in  # noqa: E402
from harness.hypervisor import Hypervisor, private_hypervisor  # noqa: E402
from harness.namespaces import run, wait_for  # noqa: E402
from harness.small_linux import CACHE, small_linux_in  # noqa: E402

MEMORY, ROUNDS, PATIENCE = 768, 3, 300
MOST = 0.5  # of the full system's time; what is promised
EMULATED = (BUILD.parent / "emulated").read_text().strip()
SAYS = re.compile(r"engine answers after ([\d.]+) s")
# What the small Linux is made from as well, so that both have the same engine.
PACKAGES = ("containerd", "docker-cli", "docker.io", "libseccomp2", "runc", "tini")
INSTALL = """\
set -eu
mkdir -p /run/packages /etc/systemd/system/docker.service.d
tar -x -C /run/packages
DEBIAN_FRONTEND=noninteractive dpkg -i --force-depends /run/packages/*.deb >/run/installed 2>&1 || { tail -n 3 /run/installed; exit 1; }
cat >/etc/systemd/system/docker.service.d/says.conf <<'unit'
[Service]
ExecStartPost=/bin/sh -c 'read -r up _ </proc/uptime; echo engine answers after $up s >/dev/ttyS0'
unit
systemctl daemon-reload
sync
"""


def small(hypervisor: Hypervisor) -> tuple[Guest, int]:
    """The small Linux, its data on a disk that it has made its own; and the bytes it comes in."""
    found, place = small_linux_in(hypervisor)
    size = sum((place / name).stat().st_size for name in ("vmlinuz", "initrd"))
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(place / "disk.qcow2"), "2G"])
    (place / "cmdline").write_text(f"{found['boot']['cmdline']} {EMULATED} slipway.data=root")
    guest = Guest(hypervisor, "small", Image("small-linux", place))
    guest.define(MEMORY)
    started(guest)
    return guest, size


def full(hypervisor: Hypervisor) -> tuple[Guest, int]:
    """Debian with the engine; and the bytes it comes in, its disk without holes."""
    image = image_in(hypervisor, "debian-trixie")
    guest = Guest(hypervisor, "debian", image)
    guest.define(MEMORY)
    hypervisor.virsh("start", guest.name)
    guest.wait()
    packages = io.BytesIO()
    with tarfile.open(fileobj=packages, mode="w") as archive:
        for path in sorted((CACHE / "packages").glob("trixie-*/**/*.deb")):
            if path.name.partition("_")[0] in PACKAGES:
                archive.add(path, path.name)
    done = call(guest.ssh_command(INSTALL), input=packages.getvalue(), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"the engine could not be installed: {(done.stdout + done.stderr).decode()[-500:]}")
    assert image.disk is not None
    files = (image.kernel, image.initrd, image.disk, guest.place / "root.qcow2")
    return guest, sum(path.stat().st_blocks * 512 for path in files)


def started(guest: Guest) -> float:
    """Start it; return the seconds from its kernel's start until its engine listens."""
    guest.hypervisor.virsh("start", guest.name)  # its console begins anew
    said = wait_for(
        lambda: SAYS.search(guest.serial.read_text(errors="replace")), PATIENCE, f"the engine of {guest.name}"
    )
    return float(said[1])


def stopped(guest: Guest) -> int:
    """Have it stop by itself; return the MiB of its memory that were not to be had."""
    guest.wait()
    available = int(guest.ssh("awk '/MemAvailable/ {print $2}' /proc/meminfo")) // 1024
    guest.hypervisor.virsh("shutdown", guest.name)
    wait_for(
        lambda: guest.hypervisor.virsh("domstate", guest.name).strip() == "shut off", PATIENCE, "the end of the guest"
    )
    return MEMORY - available


def main() -> int:
    with private_hypervisor() as hypervisor:
        hypervisor.furnish()
        guests, sizes = zip(small(hypervisor), full(hypervisor), strict=True)
        for guest in guests:
            stopped(guest)
        seconds: dict[str, list[float]] = {guest.name: [] for guest in guests}
        memory = {}
        for _round in range(ROUNDS):
            for guest in guests:
                seconds[guest.name].append(started(guest))
                memory[guest.name] = stopped(guest)
    print("kernel to engine, s   median   (all)              memory, MiB   image, MB")
    for guest, size in zip(guests, sizes, strict=True):
        times = " ".join(f"{value:.1f}" for value in seconds[guest.name])
        print(
            f"{guest.name:<20} {statistics.median(seconds[guest.name]):8.1f}   ({times:<16}) {memory[guest.name]:12} {size / 1e6:11.0f}"
        )
    ratio = statistics.median(seconds["small"]) / statistics.median(seconds["debian"])
    print(f"the small Linux takes {ratio:.2f} times as long (at most {MOST})")
    return 0 if ratio <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
