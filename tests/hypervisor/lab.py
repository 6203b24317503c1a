# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A virtualization host for the Molecule scenarios, that stands from `up` to `down`. See README.md."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

from harness.guest import BUILD  # noqa: E402
from harness.hypervisor import Hypervisor, clean_leftovers, private_hypervisor  # noqa: E402
from harness.namespaces import SYSTEM_PATH, environment, missing_commands, run, wait_for  # noqa: E402

NAME = os.environ.get("SLIPWAY_LAB", "virtualization_host")
STATE = Path(os.environ.get("SLIPWAY_LAB_ROOT") or "/var/tmp") / f"slipway-mol-{NAME}"
COMMANDS = {
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "busybox": "busybox-static",
}
PATIENCE = 120  # seconds until libvirtd answers

# Somebody without rights of his own, whose home is his alone. What he may ask of libvirt, which here asks nobody who he is, is as if he were in its group.
PERSON = """\
set -eu
mkdir -p -m 0755 /run/sshd
mount -t tmpfs -o mode=0755 home /home
for file in passwd group; do cp /etc/$file /run/$file; mount --bind /run/$file /etc/$file; done
echo person:x:1999:1999::/home/person:/bin/bash >>/etc/passwd
echo person:x:1999: >>/etc/group
install -d -m 0700 -o person -g person /home/person
"""

SSH_CONFIG = """\
Host hypervisor
  User root
Host workstation
  User person
Host hypervisor workstation
  HostKeyAlias hypervisor
  ProxyCommand env SLIPWAY_LAB={name} SLIPWAY_LAB_ROOT={root} {python} {here} door
  IdentityFile {state}/key
  IdentitiesOnly yes
  UserKnownHostsFile {state}/known_hosts
  StrictHostKeyChecking yes
"""


def up(images: list[str]) -> None:
    """Make the host, and what a scenario needs beside it; what an earlier run has left goes first."""
    down()
    missing = missing_commands(COMMANDS)
    if missing:
        raise SystemExit(f"install first: {' '.join(missing)}")
    STATE.mkdir(mode=0o700, parents=True)
    _guests(images)
    _keys()
    _container_image()
    _hold()


def _guests(images: list[str]) -> None:
    """Have the guests' images, and say of each what a machine that is made from it is declared with."""
    found = {}
    for image in images:
        done = subprocess.run([str(BUILD), image], stdout=subprocess.PIPE, text=True, env=environment(), check=True)
        place = Path(done.stdout.strip())
        files = {
            name: {"source": str(place / name), "checksum": f"sha256:{run(['sha256sum', str(place / name)])[:64]}"}
            for name in ("vmlinuz", "initrd", "disk.qcow2")
            if (place / name).exists()
        }
        boot = {
            "kernel": files["vmlinuz"],
            "initrd": files["initrd"],
            "cmdline": (place / "cmdline").read_text().strip(),
        }
        found[image.rpartition("-")[2]] = {"boot": boot, "disk": files.get("disk.qcow2")}
    (STATE / "images.json").write_text(json.dumps(found))


def _keys() -> None:
    """A key to log in with, which the guests take too, and the host's own, which is pinned."""
    for name in ("key", "host-key"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", STATE.name, "-f", str(STATE / name)])
    public = " ".join((STATE / "host-key.pub").read_text().split()[:2])
    (STATE / "known_hosts").write_text(f"hypervisor {public}\n")
    (STATE / "ssh_config").write_text(
        SSH_CONFIG.format(name=NAME, root=STATE.parent, python=sys.executable, here=HERE, state=STATE)
    )


def _container_image() -> None:
    """The file that a container image is made from in a guest: a shell, and something to say."""
    tree = STATE / "tree"
    for folder in ("bin", "data"):
        (tree / folder).mkdir(parents=True)
    run(["cp", run(["sh", "-c", "command -v busybox"]), str(tree / "bin" / "busybox")])
    (tree / "data" / "index.html").write_text("It came through both.\n")
    run(["tar", "--owner=0", "--group=0", "-cf", str(STATE / "image.tar"), "-C", str(tree), "."])


def _hold() -> None:
    """Start the process whose life is the host's, and wait until the host is there."""
    with (STATE / "log").open("wb") as log:
        holder = subprocess.Popen(
            [sys.executable, str(HERE), "hold"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment(),
        )  # fmt: skip

    def ready() -> bool:
        if holder.poll() is not None:
            raise SystemExit(f"the hypervisor did not come up: {(STATE / 'log').read_text()[-1000:]}")
        return (STATE / "init").exists()

    wait_for(ready, PATIENCE, "the hypervisor")


def hold() -> None:
    """Be the host until we are told to end."""
    (STATE / "pid").write_text(str(os.getpid()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with private_hypervisor(uplink=True) as hypervisor:
        hypervisor.in_namespaces("sh", "-c", PERSON)
        _announce(hypervisor)
        while True:
            signal.pause()


def _announce(hypervisor: Hypervisor) -> None:
    """Say where it is; the file that `up` waits for comes last."""
    (STATE / "uri").write_text(hypervisor.uri)
    (STATE / "place").write_text(str(hypervisor.directory))
    init = hypervisor.enter("true")[2]
    (STATE / ".init").write_text(init)
    (STATE / ".init").rename(STATE / "init")


def down() -> None:
    """End the host, and remove every trace; also those of a run that was killed. Without any it is no error."""
    pid = _holder()
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not _holder(), 60, "the hypervisor to end")
    clean_leftovers()
    run(["rm", "-rf", str(STATE)])


def _holder() -> int:
    """The number of the holding process; 0 when there is none. A number that has got another owner does not count."""
    try:
        pid = int((STATE / "pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if str(HERE).encode() in words and b"hold" in words else 0


def door() -> None:
    """Speak ssh with the host over standard input and output; meant as a ProxyCommand."""
    options = {
        "HostKey": STATE / "host-key",
        "AuthorizedKeysCommand": f"/bin/cat {STATE}/key.pub",
        "AuthorizedKeysCommandUser": "root",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "Subsystem": "sftp internal-sftp",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    _inside("/usr/sbin/sshd", "-i", "-f", "/dev/null", *words)


def inside() -> None:
    """Run a command as a process of the host."""
    _inside(*sys.argv[2:])


def _inside(*command: str) -> None:
    enter = ["nsenter", "--target", (STATE / "init").read_text(), "--mount", "--net", "--uts", "--ipc", "--pid", "--"]
    os.environ["PATH"] = SYSTEM_PATH
    os.execvp("nsenter", [*enter, *command])


def main() -> None:
    if os.geteuid() != 0:
        raise SystemExit("making namespaces needs root")
    if not re.fullmatch(r"[a-z0-9_]{1,32}", NAME):
        raise SystemExit(f'SLIPWAY_LAB: "{NAME}" is not 1 to 32 letters, digits and underscores')
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "up":
        up(sys.argv[2:])
    elif command in ("down", "hold", "door", "inside"):
        globals()[command]()
    else:
        raise SystemExit("usage: lab.py up [IMAGE ...] | down | door | inside COMMAND ...")


if __name__ == "__main__":
    main()
