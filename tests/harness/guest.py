# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Guests with plain tools: images of tests/guests, seeds by genisoimage, domains by virsh. Nothing that is under test has a hand in it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .hypervisor import Hypervisor, HypervisorFailed
from .namespaces import environment, missing_commands, run, wait_for

BUILD = Path(__file__).parents[1] / "guests" / "build"
COMMANDS = {
    "genisoimage": "genisoimage",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
PATIENCE = 180  # seconds; an emulated guest on a busy machine is slow

DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>{cpus}</vcpu>
  <cpu mode='maximum'/>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>{cmdline}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    {disk}
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{seed}'/><target dev='vdz' bus='virtio'/><readonly/>
    </disk>
    <interface type='network'><mac address='{mac}'/><source network='default'/><model type='virtio'/></interface>
    <serial type='file'><source path='{serial}'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""
DISK = """\
<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2' discard='unmap'/><source file='{path}'/><target dev='vda' bus='virtio'/><serial>root</serial>
</disk>"""


class Image:
    """A guest image where QEMU may read it: ``kernel``, ``initrd`` and ``cmdline`` to boot it directly, ``disk`` when it has one."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.kernel = directory / "vmlinuz"
        self.initrd = directory / "initrd"
        self.disk = directory / "disk.qcow2" if (directory / "disk.qcow2").exists() else None
        self.cmdline = (directory / "cmdline").read_text().strip()


def image_in(hypervisor: Hypervisor, name: str) -> Image:
    """Return an image of tests/guests, built if need be, as a copy inside the hypervisor's directory."""
    done = subprocess.run([str(BUILD), name], capture_output=True, text=True, env=environment(), check=False)
    if done.returncode:
        raise HypervisorFailed(f"the guest image {name} could not be built: {done.stderr.strip()[-500:]}")
    built = Path(done.stdout.strip())
    place = hypervisor.directory / "guests" / name
    if not place.exists():
        # A copy: libvirt gives the files it uses to QEMU's user, and the cache serves other runs at the same time.
        run(["mkdir", "-p", str(place.parent)])
        run(["cp", "-r", "--reflink=auto", str(built), str(place)])
        run(["chmod", "0755", str(place)])
    return Image(name, place)


class Guest:
    """A running guest: ``ssh`` runs commands in it, its host key pinned."""

    def __init__(self, hypervisor: Hypervisor, name: str, image: Image) -> None:
        self.hypervisor, self.name, self.image = hypervisor, name, image
        number = sum(name.encode()) % 200 + 2
        self.mac = f"52:54:00:00:00:{number:02x}"
        self.place = hypervisor.directory / "guests" / f"{name}.d"
        self.serial = hypervisor.log_directory / f"{name}.serial"

    def define(self, memory: int = 256, cpus: int = 1) -> None:
        """Make the seed, an overlay for the disk, and the domain."""
        missing = missing_commands(COMMANDS)
        if missing:
            raise HypervisorFailed(f"a guest needs these packages: {' '.join(missing)}")
        seed = self.place / "seed"
        seed.mkdir(parents=True)
        for key in ("client", "host-key"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(self.place / key)])
        shutil.move(self.place / "host-key", seed / "host-key")
        shutil.copy(self.place / "client.pub", seed / "authorized-keys")
        (seed / "hostname").write_text(f"{self.name}\n")
        run(["genisoimage", "-quiet", "-R", "-J", "-V", "cidata", "-o", f"{self.place}/seed.iso", str(seed)])
        disk = ""
        if self.image.disk:
            overlay = self.place / "root.qcow2"
            run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(self.image.disk), str(overlay)])
            disk = DISK.format(path=overlay)
        xml = DOMAIN.format(
            name=self.name, memory=memory, cpus=cpus, kernel=self.image.kernel, initrd=self.image.initrd,
            cmdline=self.image.cmdline, disk=disk, seed=self.place / "seed.iso", mac=self.mac, serial=self.serial,
        )  # fmt: skip
        self.hypervisor.virsh("define", "/dev/stdin", input=xml)

    @property
    def address(self) -> str:
        """The address it was given; empty while there is none."""
        return next((address for _, mac, address, _ in self.hypervisor.leases() if mac == self.mac), "")

    def banner(self) -> str:
        """What its SSH daemon says first; empty while it says nothing."""
        address = self.address
        if not address:
            return ""
        listen = f"exec 3<>/dev/tcp/{address}/22 && read -r -t 2 line <&3 && echo $line"
        return self.hypervisor.in_netns("timeout", "3", "bash", "-c", listen, check=False).rstrip("\r")

    def wait(self, seconds: float = PATIENCE) -> str:
        """Wait until its SSH daemon answers; return the banner."""
        return wait_for(self.banner, seconds, f"the guest {self.name}; its console ends with: {self.console()}")

    def console(self, lines: int = 5) -> str:
        """The last lines of its serial port."""
        return " | ".join(self.serial.read_text(errors="replace").splitlines()[-lines:]) if self.serial.exists() else ""

    def ssh_command(self, *command: str, more: Sequence[str] = ()) -> list[str]:
        """Return the command line that runs ``command`` in the guest; ``more``: options of ssh."""
        host_key = " ".join((self.place / "host-key.pub").read_text().split()[:2])
        return ssh_command(self.hypervisor, self.place / "client", host_key, self.address, *command, more=more)

    def ssh(self, *command: str, check: bool = True) -> str:
        """Run a command in the guest; return its output."""
        return run(self.ssh_command(*command), check=check)

    def remove(self) -> None:
        """Destroy and undefine it, and remove its files."""
        self.hypervisor.virsh("destroy", self.name, check=False)
        self.hypervisor.virsh("undefine", self.name, check=False)
        shutil.rmtree(self.place, ignore_errors=True)


def ssh_command(
    hypervisor: Hypervisor,
    identity: Path,
    host_key: str,
    address: str,
    *command: str,
    user: str = "root",
    more: Sequence[str] = (),
) -> list[str]:
    """Return the command line that runs ``command`` in a guest, which has this host key and no other; ``more``: options of ssh."""
    options = {
        "IdentityFile": identity,
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "KnownHostsCommand": f"/bin/echo %H {host_key}",
        "ConnectTimeout": 30,
    }
    flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    end = ("--", *command) if command else ()
    return hypervisor.enter("ssh", "-F", "none", *flags, *more, f"{user}@{address}", *end, pid=False)


@contextmanager
def running_guest(
    hypervisor: Hypervisor, image: Image, name: str = "guest", memory: int = 256, cpus: int = 1
) -> Iterator[Guest]:
    """A guest whose SSH daemon answers."""
    guest = Guest(hypervisor, name, image)
    try:
        guest.define(memory, cpus)
        hypervisor.virsh("start", name)
        guest.wait()
        yield guest
    finally:
        guest.remove()
