# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One test for each Molecule scenario: `molecule test -s NAME`. What it says goes to build/molecule-NAME.log while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
MINUTES = 25


@pytest.mark.molecule
@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str) -> None:
    log = ROOT / "build" / f"molecule-{scenario}.log"
    log.parent.mkdir(exist_ok=True)
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin", "NO_COLOR": "1"}
    command = [str(BIN / "molecule"), "test", "-s", scenario]
    try:
        with log.open("w") as stream:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=MINUTES * 60,
                check=False,
            )
        outcome = f"ended with {done.returncode}"
        passed = done.returncode == 0
    except subprocess.TimeoutExpired:
        outcome, passed = f"was not done after {MINUTES} minutes", False
    if not passed:
        pytest.fail(
            f"molecule test -s {scenario} {outcome}; from {log}:\n{excerpt(log.read_text(errors='replace'))}",
            pytrace=False,
        )


def excerpt(said: str) -> str:
    """The first task that failed, with all it said, and the end, which after a failure is Molecule's own clearing up."""
    lines = said.splitlines()
    failed = next(
        (number for number, line in enumerate(lines) if line.startswith(("fatal:", "failed:", "[ERROR]"))), len(lines)
    )
    return "\n".join([*lines[failed : failed + 150], "[…]", *lines[-40:]])
