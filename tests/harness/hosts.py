# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian hosts on which the role `engine` runs, one of them or several side by side."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HOSTS = ROOT / "tests" / "hosts"
LAB = "eng" + os.environ.get("PYTEST_XDIST_WORKER", "")  # two lanes may be here at once
STATE = Path(os.environ.get("SLIPWAY_LAB_ROOT", "/var/tmp")) / f"slipway-mol-{LAB}"
PLAYBOOK = "- {hosts: all, gather_facts: false, roles: [slipway.docker.engine]}\n"


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "SLIPWAY_LAB": LAB,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
        "NO_COLOR": "1",
    }


def up(*specs: str) -> Iterator[None]:
    """Have hosts (NAME=SUITE) while the generator is held."""
    done = subprocess.run([str(HOSTS / "up"), *specs], env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    yield
    subprocess.run([str(HOSTS / "down")], env=environment(), check=False)


def docker(*command: str, check: bool = True, stdin: str = "") -> str:
    """What the engine says under which the hosts run."""
    done = subprocess.run(
        ["docker", "-H", f"unix://{STATE}/docker.sock", *command],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sh(host: str, command: str, check: bool = True) -> str:
    """Run a command on a host, by something that is not under test."""
    return docker("exec", host, "sh", "-c", command, check=check)


def prepare(folder: Path, *names: str) -> None:
    """Write the playbook, and an inventory of these hosts."""
    ssh = f"-o UserKnownHostsFile={STATE}/known_hosts -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    (folder / "inventory.ini").write_text(
        "".join(
            f"{name} ansible_user=root ansible_python_interpreter=/usr/bin/python3 "
            f"ansible_ssh_private_key_file={STATE}/key ansible_ssh_common_args='{ssh} -o ProxyCommand=\"{HOSTS}/door %h\"'\n"
            for name in names
        )
    )
    (folder / "engine.yml").write_text(PLAYBOOK)


def role(folder: Path, check: bool = False, status: int = 0, **variables: object) -> str:
    """Run the role, which ends with this exit status; return what it said, as one line, however it was folded and quoted."""
    command = [
        str(BIN / "ansible-playbook"),
        "engine.yml",
        "-i",
        "inventory.ini",
        "--diff",
        "-e",
        json.dumps(variables),
    ]
    done = subprocess.run(
        [*command, *(["--check"] if check else [])],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == status, done.stdout[-8000:] + done.stderr[-2000:]
    return re.sub(r"\s+", " ", re.sub(r"\\\n\s*\\?", "", done.stdout)).replace('\\"', '"')


def changed(said: str) -> int:
    return sum(int(number) for number in re.findall(r"changed=(\d+)", said))
