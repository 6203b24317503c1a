# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role `engine` on hosts, one of them or several side by side."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from harness.hosts import Lab

LAB = Lab("eng" + os.environ.get("PYTEST_XDIST_WORKER", ""))  # two lanes may be here at once
PLAYBOOK = "- {hosts: all, gather_facts: false, roles: [slipway.docker.engine]}\n"
VARIABLES = "[all:vars]\nansible_python_interpreter=/usr/bin/python3\n"


def prepare(folder: Path, *names: str) -> None:
    """Write the playbook, and an inventory of these hosts."""
    (folder / "inventory.ini").write_text(LAB.inventory(*names) + VARIABLES)
    (folder / "engine.yml").write_text(PLAYBOOK)


def role(folder: Path, check: bool = False, status: int = 0, **variables: object) -> str:
    """Run the role, which ends with this exit status; return what it said, as one line, however it was folded and quoted."""
    command = [
        "engine.yml",
        "-i",
        "inventory.ini",
        "--diff",
        "-e",
        json.dumps(variables),
        *(["--check"] if check else []),
    ]
    said = LAB.playbook(*command, folder=folder, status=status, seconds=400, ANSIBLE_DISPLAY_SKIPPED_HOSTS="false")
    print(said)
    return re.sub(r"\s+", " ", re.sub(r"\\\n\s*\\?", "", said)).replace('\\"', '"')
