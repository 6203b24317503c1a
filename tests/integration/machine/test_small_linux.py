# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The small Linux: the same bytes from the same packages, whose disks it writes to, and an engine that lasts. Two starts show most of it."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from harness.certificates import SERVER, Authority
from harness.guest import BUILD
from harness.machines import Machines
from harness.namespaces import run, wait_for
from harness.small_linux import build, small_linux_in

NETWORK = {"name": "lab", "address": "192.168.91.1/24", "dhcp": {"start": "192.168.91.50", "end": "192.168.91.99"}}
ADDRESS = "192.168.91.10"
# What spares an emulated processor work that nobody needs in a test.
EMULATED = (BUILD.parent / "emulated").read_text().strip()
FOREIGN = b"somebody's data, of no form that is known" * 50
MIB = 1 << 20
PATIENCE = 240


@pytest.fixture(scope="module")
def image(machines_of_module: Machines) -> dict[str, Any]:
    """The image, made once for its recipe, where the hypervisor may read it."""
    found, _place = small_linux_in(machines_of_module.hypervisor)
    return found


@pytest.fixture(scope="module")
def machines_of_module(session_machines: Machines) -> Iterator[Machines]:
    yield session_machines
    session_machines.clean()


def test_the_same_packages_make_the_same_bytes(tmp_path: Path) -> None:
    """By other hands, in another place; packed loosely, which is quick."""
    first = build(tmp_path / "one", "--compression", "lz4")
    mask = os.umask(0o077)
    try:
        second = build(tmp_path / "two", "--compression", "lz4")
    finally:
        os.umask(mask)
    assert first["changed"] and second["changed"]
    assert first["image"] == second["image"]
    for name in ("vmlinuz", "initrd", "cmdline", "sbom.spdx.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    again = build(tmp_path / "two", "--compression", "lz4", "--upgrade", "--check")
    assert not again["changed"], again["reason"]
    (tmp_path / "two" / "initrd").write_bytes(b"rotten")
    assert build(tmp_path / "two", "--compression", "lz4", "--check")["reason"] == "damaged"


class Toolbox:
    """A machine of the small Linux, with its disks and what it says."""

    def __init__(self, machines: Machines, image: dict[str, Any], certificates: Path) -> None:
        self.machines = machines
        boot = {**image["boot"], "cmdline": f"{image['boot']['cmdline']} {EMULATED}"}
        made = {"ca.pem": "ca.pem", "server-cert.pem": "server.pem", "server-key.pem": "server-key.pem"}
        files = {name: (certificates / file).read_text() for name, file in made.items()}
        self.options: dict[str, Any] = {
            "name": "toolbox",
            "boot": boot,
            "memory": "768m",
            "cpus": 1,
            "networks": [{"network": "lab", "address": ADDRESS}],
            "disks": [
                {"name": "other", "size": "32m", "format": "raw"},
                {"name": "data", "size": "256m", "format": "raw"},
            ],
            "seed": {"user": "docker", "ssh_keys": [machines.key()[1]], "files": files},
            "timeout": PATIENCE,
        }
        self.host_key = ""

    def have(self, **more: Any) -> Any:
        self.options.update(more)
        done = self.machines("machines", project="toolbox", networks=[NETWORK], machines=[self.options]).ok()
        self.host_key = done["resources"]["machine/toolbox"].get("host_key") or self.host_key
        return done

    def ssh(self, *command: str, check: bool = True) -> str:
        line = self.machines.ssh_line(ADDRESS, self.host_key, *command, user="docker")
        return run(line, check=check)

    def file(self, part: str) -> Path:
        (found,) = self.machines.pool.glob(f"*.disk-{part}.raw")
        return found

    def console(self) -> str:
        (found,) = self.machines.pool.glob("*console.log")
        return found.read_text(errors="replace")

    def says(self, words: str, times: int = 1) -> str:
        """Wait until the console has said this so many times; return the last time."""

        def found() -> list[str]:
            lines = re.findall(rf"slipway: .*{words}.*", self.console())
            return lines if len(lines) >= times else []

        return wait_for(found, PATIENCE, f'"{words}" on the console: {self.console()[-1500:]}')[-1].strip()


@pytest.fixture
def toolbox(machines_of_module: Machines, image: dict[str, Any], tmp_path: Path) -> Iterator[Toolbox]:
    authority = Authority(tmp_path)
    authority.issue("server", SERVER, (ADDRESS,))
    authority.issue("client")
    yield Toolbox(machines_of_module, image, tmp_path)
    machines_of_module.clean()


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_an_engine_on_a_disk_of_its_own(toolbox: Toolbox, tmp_path: Path) -> None:
    seconds: dict[str, Any] = {}
    machines = toolbox.machines
    # -- no disk is written to that is not ours: one of another name, and one of the right name with something in its last MiB
    toolbox.have(state="stopped")
    for part, place in (("other", 5 * MIB), ("data", 255 * MIB + 4096)):
        with toolbox.file(part).open("r+b") as stream:
            stream.seek(place)
            stream.write(FOREIGN)
    before = {part: digest(toolbox.file(part)) for part in ("other", "data")}
    started = time.monotonic()
    toolbox.have(state="running")
    seconds["ssh"] = round(time.monotonic() - started, 1)
    assert "neither blank nor labelled slipway-data" in toolbox.says("the engine is not started")
    assert "THE ENGINE IS NOT STARTED" in toolbox.ssh("cat", "/etc/motd")
    assert toolbox.ssh("cat /proc/mounts").count("/var/lib/docker") == 0
    assert {part: digest(toolbox.file(part)) for part in before} == before

    # -- once it is blank it becomes the data disk, and the engine starts by itself
    toolbox.ssh(
        "dd if=/dev/zero of=/dev/$(cd /sys/class/block && grep -lx data */serial | cut -d / -f 1) bs=1M seek=255 count=1 conv=fsync"
    )
    toolbox.says("it gets a file system, labelled slipway-data")
    toolbox.says("the data is on /dev/vd")
    seconds["engine after the kernel, first start"] = toolbox.says("engine answers after").split()[-2]
    assert "Docker" in toolbox.ssh("cat", "/etc/motd")
    assert not re.findall("WARNING", toolbox.ssh("docker info 2>&1"))

    # -- a container runs, with its limit; who looks in sees its processes
    load(toolbox, tmp_path)
    started = time.monotonic()
    assert toolbox.ssh("docker run --rm --memory 64m shell busybox echo it runs").strip() == "it runs"
    seconds["docker run"] = round(time.monotonic() - started, 1)
    script = "trap 'echo told >/data/told; exit 0' TERM; echo here >/data/here; while :; do sleep 1; done"
    toolbox.ssh(f'docker run -d --name app --restart always -p 80:80 -v kept:/data shell busybox sh -c "{script}"')
    assert "sleep" in toolbox.ssh("docker top app")
    seconds["memory"] = toolbox.ssh("free -m").splitlines()[1].split()[1:]

    # -- its socket can be forwarded; from outside only who has a certificate gets in
    assert forwarded(toolbox, tmp_path / "docker.sock") == "OK"
    curl = ["curl", "-sS", "--max-time", "60", "--cacert", f"{tmp_path}/ca.pem", f"https://{ADDRESS}:2376/_ping"]
    pair = ["--cert", f"{tmp_path}/client.pem", "--key", f"{tmp_path}/client-key.pem"]
    assert run(machines.hypervisor.enter(*curl, *pair, pid=False)) == "OK"
    assert "OK" not in run(machines.hypervisor.enter(*curl, pid=False), check=False)

    # -- what dies comes back, what falls behind catches up, what is plugged in is used
    toolbox.ssh("kill -9 $(cat /run/docker.pid); date -s '2026-01-01 00:00:00'")
    toolbox.says("the engine has ended with 137")
    toolbox.says("engine answers after", times=2)
    wait_for(lambda: toolbox.ssh("docker ps -q").split(), PATIENCE, "the container to be back")
    wait_for(lambda: abs(int(toolbox.ssh("date +%s")) - time.time()) < 10, 90, "the clock to be right")
    disks = [toolbox.options["disks"][0], {**toolbox.options["disks"][1], "size": "512m"}]
    toolbox.have(disks=disks)
    wait_for(lambda: int(toolbox.ssh("df -m /var/lib/docker").split()[-5]) > 400, 60, "the file system to grow")

    # -- asked to stop, the engine gives its containers their time; all of it is there again in a machine that is made anew
    key = toolbox.host_key
    before = {"other": digest(toolbox.file("other"))}
    machines("machines", project="toolbox", networks=[NETWORK], machines=[{"name": "toolbox", "state": "absent"}]).ok()
    assert toolbox.file("data").exists()
    started = time.monotonic()
    toolbox.have()
    assert toolbox.host_key != key
    seconds["engine after the kernel, second start"] = toolbox.says("engine answers after").split()[-2]
    seconds["from nothing to docker run"] = round(time.monotonic() - started, 1)
    assert "it gets a file system" not in toolbox.console()
    assert toolbox.ssh("docker run --rm -v kept:/data shell busybox cat /data/told").strip() == "told"
    wait_for(lambda: "app" in toolbox.ssh("docker ps --format '{{.Names}}'"), PATIENCE, "the container to be back")
    assert digest(toolbox.file("other")) == before["other"]
    assert "not found" not in toolbox.console()
    print(json.dumps(seconds))


@pytest.mark.slow
def test_folders_of_the_host(toolbox: Toolbox, tmp_path: Path) -> None:
    """Handed in by hand, as a hypervisor does it: what is written on one side is read on the other, by a container too."""
    hypervisor = toolbox.machines.hypervisor
    site = hypervisor.directory / "guests" / "site"
    site.mkdir()
    site.chmod(0o777)
    (site / "from-host").write_text("of the host\n")
    options = "9p trans=virtio,version=9p2000.L,msize=262144,nofail 0 0"
    lines = [
        f"folder-site /home/ana/the\\040site {options}",
        f"folder-site /usr/bin {options}",
        f"folder-gone /home/ana/gone {options}",
    ]
    handed = base64.b64encode("\n".join(lines).encode()).decode()
    entry = f"<entry>io.systemd.credential.binary:fstab.extra={handed}</entry>"
    strings = f"<smbios mode='sysinfo'/></os><sysinfo type='smbios'><oemStrings>{entry}</oemStrings></sysinfo>"
    device = (
        f"<filesystem type='mount' accessmode='squash'><source dir='{site}'/><target dir='folder-site'/></filesystem>"
    )
    toolbox.have(state="stopped")
    (name,) = hypervisor.names("domain")
    xml = hypervisor.virsh("dumpxml", "--inactive", "--security-info", name)
    xml = xml.replace("</os>", strings).replace("</devices>", f"{device}</devices>")
    hypervisor.virsh("define", "/dev/stdin", input=xml)
    hypervisor.virsh("start", name)
    toolbox.says("the folder /home/ana/the site is the host's, by 9p")
    toolbox.says("the folder /usr/bin is left out: the place belongs to the system")
    toolbox.says("the folder /home/ana/gone is not there")
    toolbox.says("engine answers after")
    assert "/usr/bin is left out" in toolbox.ssh("cat", "/etc/motd")
    load(toolbox, tmp_path)
    script = "busybox cat /site/from-host; echo of a container >/site/from-container"
    assert toolbox.ssh(f"docker run --rm -v '/home/ana/the site:/site' shell sh -c '{script}'") == "of the host"
    assert (site / "from-container").read_text() == "of a container\n"


def load(toolbox: Toolbox, place: Path) -> None:
    """Have an image with a shell in the engine."""
    (place / "tree" / "bin").mkdir(parents=True)
    run(["cp", run(["sh", "-c", "command -v busybox"]).strip(), str(place / "tree" / "bin" / "busybox")])
    run(["ln", "-s", "busybox", str(place / "tree" / "bin" / "sh")])
    run(["ln", "-s", "busybox", str(place / "tree" / "bin" / "sleep")])
    pack = subprocess.Popen(["tar", "-C", str(place / "tree"), "-c", "."], stdout=subprocess.PIPE)
    line = toolbox.machines.ssh_line(ADDRESS, toolbox.host_key, "docker import - shell", user="docker")
    subprocess.run(line, stdin=pack.stdout, check=True, capture_output=True)
    assert pack.wait() == 0


def forwarded(toolbox: Toolbox, socket: Path) -> str:
    """What the engine says through a socket that ssh forwards."""
    line = toolbox.machines.ssh_line(
        ADDRESS, toolbox.host_key, user="docker", more=["-nNT", "-L", f"{socket}:/run/docker.sock"]
    )
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as forward:
        try:
            wait_for(socket.exists, 60, "the forwarded socket")
            return run(["curl", "-sS", "--max-time", "60", "--unix-socket", str(socket), "http://engine/_ping"])
        finally:
            forward.terminate()
