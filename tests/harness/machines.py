# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One task on a hypervisor as tests write it, and the promises that hold for every one of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from .guest import Image
from .hypervisor import Hypervisor
from .namespaces import run
from .run import Result, Runner


class Machines:
    """Runs modules where the guests can be reached; ``calls`` are the calls of the last run that changed something.

    ``pool`` is where they keep their files, in a pool that they make by themselves.
    """

    def __init__(self, runner: Runner, hypervisor: Hypervisor) -> None:
        self.runner, self.hypervisor = runner, hypervisor
        self.pool = hypervisor.directory / "pool"
        self.place = hypervisor.directory / "guests"
        self.record = hypervisor.directory / "calls"
        self.place.mkdir(exist_ok=True)

    def __call__(self, module: str, *, check: bool = False, fault: str = "", **arguments: Any) -> Result:
        """Run a module; the options are those a user would write. ``fault`` is "NUMBER KIND", as harness/mutations.py has it."""
        self.record.write_text("")
        return self.runner.module(
            module,
            {"uri": self.hypervisor.uri, "pool_path": str(self.pool), **arguments},
            check=check,
            env={"SLIPWAY_CALLS": str(self.record), "SLIPWAY_FAULT": fault},
        )

    @property
    def calls(self) -> list[str]:
        """The calls of the last run that may have changed something, as text."""
        return self.record.read_text().splitlines()

    def everything(self) -> dict[str, Any]:
        """What exists, to the last character of each definition and the time each file was written; a guest asks for its lease when it likes."""
        h = self.hypervisor
        xml = {name: h.virsh("dumpxml", "--inactive", name, check=False) for name in h.names("domain")}
        xml |= {f"network {name}": h.virsh("net-dumpxml", "--inactive", name) for name in h.names("network")}
        top = h.directory / "etc" / "qemu"
        files = [
            path for path in (*top.rglob("*.xml"), *self.pool.glob("*[!g]")) if path.is_file()
        ]  # a console.log grows
        return {
            **h.snapshot(),
            "leases": [],
            "xml": xml,
            "written": {str(path): path.stat().st_mtime_ns for path in files},
        }

    def foretell(self, module: str, **arguments: Any) -> Result:
        """Run in check mode and prove that it touched nothing."""
        before = self.everything()
        result = self(module, check=True, **arguments).ok()
        assert not self.calls, "check mode made mutating calls"
        assert self.everything() == before
        return result

    def change(self, module: str, **arguments: Any) -> Result:
        """Run for real and prove the three promises: foretold, carried out as foretold, and nothing left to do."""
        foretold = self.foretell(module, **arguments)
        assert foretold.changed, "check mode foretold no change"
        done = self(module, **arguments).ok()
        assert done.changed
        assert done["plan"] == foretold["plan"]
        assert [action["line"] for action in done["actions"]] == foretold["plan"]
        self.settled(module, **arguments)
        return done

    def settled(self, module: str, **arguments: Any) -> Result:
        """Run again and prove that there is nothing to do: not changed, an empty plan, nothing touched."""
        before = self.everything()
        again = self(module, **arguments).ok()
        assert not again.changed, f"a further run changed something: {again.get('plan')} {again.get('diff')}"
        assert again["plan"] == []
        assert not self.calls, "a run without change made mutating calls"
        assert self.everything() == before
        return again

    def refused(self, module: str, **arguments: Any) -> str:
        """Run and prove that it fails before any mutating call, without a traceback; return the message."""
        before = self.everything()
        result = self(module, **arguments)
        assert result.failed, f"not refused: {result}"
        assert not self.calls, "it touched something before it refused"
        assert self.everything() == before
        assert not crashed(result)
        return result.msg

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

    def empty_image(self) -> dict[str, str]:
        """The image of a disk with nothing on it: its machines run, and do nothing."""
        path = self.place / "empty.qcow2"
        if not path.exists():
            run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "8M"])
        return of(path)

    def small(self, image: Image, **more: Any) -> dict[str, Any]:
        """The options of a small guest that runs from RAM."""
        boot = {"kernel": of(image.kernel), "initrd": of(image.initrd), "cmdline": image.cmdline}
        return {"boot": boot, "memory": "256m", "seed": {"ssh_keys": [self.key()[1]]}, **more}

    def ssh(self, address: str, host_key: str, *command: str, check: bool = True) -> str:
        """Run a command in a guest whose host key is known; return its output."""
        options = {
            "IdentityFile": self.key()[0],
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
        line = self.hypervisor.enter("ssh", "-F", "none", *flags, f"root@{address}", "--", *command, pid=False)
        return run(line, check=check)


def of(path: Path) -> dict[str, str]:
    """An image's place and checksum, as options have them."""
    done = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    return {"source": str(path), "checksum": "sha256:" + done.stdout.split()[0]}


def crashed(result: Result) -> bool:
    """Whether a result shows our own inside to the user."""
    text = f"{result.msg}{result.stderr}{result.get('exception', '')}"
    return "Traceback" in text or "this is a bug in" in text
