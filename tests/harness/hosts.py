# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian hosts that nobody has touched: containers of an engine in a network namespace of its own, made by tests/hosts."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HOSTS = ROOT / "tests" / "hosts"


class Lab:
    """Hosts side by side, whose only way in is ssh, as any host's. ``name`` is 1 to 8 letters or digits, and nobody else's meanwhile."""

    def __init__(self, name: str) -> None:
        self.state = Path(os.environ.get("SLIPWAY_LAB_ROOT", "/var/tmp")) / f"slipway-mol-{name}"
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin",
            "SLIPWAY_LAB": name,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "NO_COLOR": "1",
        }

    def up(self, *specs: str) -> Iterator[None]:
        """Have hosts (NAME=SUITE) while the generator is held."""
        up = [str(HOSTS / "up"), *specs]
        done = subprocess.run(up, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"{shlex.join(up)} ended with {done.returncode}. {done.stderr}{done.stdout}", pytrace=False)
        yield
        subprocess.run([str(HOSTS / "down")], env=self.environment, check=False)

    def inventory(self, *names: str) -> str:
        """These hosts, as an inventory in the form of INI."""
        return "".join(f"{name} ansible_ssh_common_args='-F {self.state}/ssh_config'\n" for name in names)

    def playbook(self, *arguments: str, folder: Path, status: int, seconds: float, **environment: str) -> str:
        """Run ansible-playbook in a folder, which ends with this exit status; return what it printed."""
        done = subprocess.run(
            [str(BIN / "ansible-playbook"), *arguments],
            cwd=folder,
            env={**self.environment, "PWD": str(folder), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == status, done.stdout[-8000:] + done.stderr[-2000:]
        return done.stdout

    def docker(self, *command: str, check: bool = True, stdin: str = "", seconds: float = 180) -> str:
        """What the engine says under which the hosts run."""
        done = subprocess.run(
            ["docker", "-H", f"unix://{self.state}/docker.sock", *command],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sh(self, host: str, command: str, check: bool = True) -> str:
        """Run a command on a host, by something that is not under test."""
        return self.docker("exec", host, "sh", "-c", command, check=check)


def changed(said: str) -> int:
    """How many tasks changed something, by the recap."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", said))
