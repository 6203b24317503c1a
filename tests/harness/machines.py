# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One task on a hypervisor as tests write it, and the promises that hold for every one of them."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .guest import Image, ssh_command
from .hypervisor import Hypervisor, UserSession
from .namespaces import run
from .promises import Promises
from .run import COLLECTIONS, HERE, Result, Runner

# What runs modules, and where an ordinary user sees it.
PYTHON_SEEN, HARNESS_SEEN, COLLECTIONS_SEEN = (f"/run/slipway/{name}" for name in ("python", "harness", "collections"))
SHOWN = {PYTHON_SEEN: Path(sys.prefix), HARNESS_SEEN: HERE, COLLECTIONS_SEEN: COLLECTIONS}


class Machines(Promises):
    """Runs modules where the guests can be reached; ``calls`` are the calls of the last run that changed something.

    ``pool`` is where they keep their files, in a pool that they make by themselves.
    """

    def __init__(self, runner: Runner, hypervisor: Hypervisor) -> None:
        self.runner, self.hypervisor = runner, hypervisor
        self.pool = hypervisor.directory / "pool"
        self.place = hypervisor.directory / "guests"
        self.record = hypervisor.directory / "calls"
        self.place.mkdir(exist_ok=True)
        self.usual = {"uri": hypervisor.uri, "pool_path": str(self.pool)}
        self.environment: dict[str, str] = {}

    def __call__(self, module: str, *, check: bool = False, fault: str = "", **arguments: Any) -> Result:
        """Run a module; the options are those a user would write. ``fault`` is "NUMBER KIND", as harness/mutations.py has it."""
        self.record.write_text("")
        env = {"SLIPWAY_CALLS": str(self.record), "SLIPWAY_FAULT": fault, **self.environment}
        return self.runner.module(module, {**self.usual, **arguments}, check=check, env=env)

    @property
    def calls(self) -> list[str]:
        """The calls of the last run that may have changed something, as text."""
        return self.record.read_text().splitlines()

    mutating = calls

    def everything(self) -> dict[str, Any]:
        """What exists, to the last character of each definition and the time each file was written; a guest asks for its lease when it likes."""
        h = self.hypervisor
        xml = {name: h.virsh("dumpxml", "--inactive", name, check=False) for name in h.names("domain")}
        xml |= {f"network {name}": h.virsh("net-dumpxml", "--inactive", name) for name in h.names("network")}
        files = [
            path for path in (*h.definitions.rglob("*.xml"), *self.pool.glob("*[!g]")) if path.is_file()
        ]  # a console.log grows
        return {
            **h.snapshot(),
            "leases": [],
            "xml": xml,
            "written": {str(path): path.stat().st_mtime_ns for path in files},
        }

    def settled(self, module: str, **arguments: Any) -> Result:
        """Nor is anything touched in another way."""
        with self.untouched():
            return super().settled(module, **arguments)

    def refused(self, module: str, **arguments: Any) -> str:
        """Nor is anything touched in another way."""
        with self.untouched():
            return super().refused(module, **arguments)

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Fail, saying what differs, when anything is touched meanwhile."""
        before = self.everything()
        yield
        after = self.everything()
        touched = {key: (before[key], after[key]) for key in before if after[key] != before[key]}
        assert not touched, f"touched: {touched}"

    def clean(self) -> None:
        """Remove what the test has made."""
        self.hypervisor.clean()
        shutil.rmtree(self.pool, ignore_errors=True)

    # -- what machines are made of -----------------------------------------------------------------------------------------

    def key(self) -> tuple[Path, str]:
        """The private half and the public line of the key by which tests log in."""
        private = self.place / "client"
        if not private.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(private)])
        return private, private.with_suffix(".pub").read_text().strip()

    def empty_image(self, size: str = "8M") -> dict[str, str]:
        """The image of a disk with nothing on it: its machines run, and do nothing."""
        path = self.place / f"empty-{size}.qcow2"
        if not path.exists():
            run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), size])
        return of(path)

    def small(self, image: Image, **more: Any) -> dict[str, Any]:
        """The options of a small guest that runs from RAM."""
        boot = {"kernel": of(image.kernel), "initrd": of(image.initrd), "cmdline": image.cmdline}
        return {"boot": boot, "memory": "256m", "seed": {"ssh_keys": [self.key()[1]]}, **more}

    def ssh(self, address: str, host_key: str, *command: str, check: bool = True) -> str:
        """Run a command in a guest whose host key is known; return its output."""
        return run(self.ssh_line(address, host_key, *command), check=check)

    def ssh_line(
        self, address: str, host_key: str, *command: str, user: str = "root", more: Sequence[str] = ()
    ) -> list[str]:
        """The command line of that, with ``more`` options."""
        return ssh_command(self.hypervisor, self.key()[0], host_key, address, *command, user=user, more=more)


class UserMachines(Machines):
    """Runs modules as an ordinary user, who keeps his machines where nobody has told him to."""

    def __init__(self, session: UserSession) -> None:
        command = ["env", f"PYTHONPATH={COLLECTIONS_SEEN}", f"{PYTHON_SEEN}/bin/python", f"{HARNESS_SEEN}/runner.py"]
        super().__init__(Runner(session.as_person(), command), session)
        self.pool = session.images
        self.record.touch()
        self.record.chmod(0o666)
        self.usual = {"uri": session.uri}
        self.environment = {**session.environment, "PYTHONPATH": COLLECTIONS_SEEN}


def told(raw: str) -> list[list[str]]:
    """The lines of fstab in the OEM strings of a guest's firmware, as systemd looks for them, each as its words."""
    (said,) = [text for text in raw.split("\0") if "io.systemd.credential.binary:fstab.extra=" in text]
    lines = base64.b64decode(said.partition("fstab.extra=")[2]).decode().splitlines()
    return [[word.replace("\\040", " ") for word in line.split(" ")] for line in lines]


def of(path: Path) -> dict[str, str]:
    """An image's place and checksum, as options have them."""
    done = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    return {"source": str(path), "checksum": "sha256:" + done.stdout.split()[0]}
