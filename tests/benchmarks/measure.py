# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a command as a process of its own and keeps what it cost: seconds, processor seconds, the memory of its largest process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

# What would make one machine's runs unlike another's: Python reads its standard input one byte at a time where
# PYTHONUNBUFFERED is set, which a module sent by Ansible's pipelining pays for with half a millisecond per kilobyte.
FOREIGN = ("DOCKER_", "ANSIBLE_", "PYTHON")


class Cost(NamedTuple):
    """What one run cost; ``cpu`` counts its children too, ``memory`` is in MiB."""

    seconds: float
    cpu: float
    memory: float


class Done(NamedTuple):
    """A run that is over."""

    output: str
    cost: Cost


class Key(NamedTuple):
    """Which runs belong together."""

    contender: str
    operation: str
    count: int


@dataclass
class Figures:
    """All costs by key, one for each run."""

    costs: dict[Key, list[Cost]] = field(default_factory=dict)

    def note(self, key: Key, cost: Cost) -> None:
        """Keep one."""
        self.costs.setdefault(key, []).append(cost)

    def median(self, contender: str, operation: str, count: int, what: str = "seconds") -> float | None:
        """The median of one of the costs; None when there was no such run."""
        found = self.costs.get(Key(contender, operation, count))
        return statistics.median(getattr(cost, what) for cost in found) if found else None

    def least(self, contender: str, operation: str, count: int, what: str) -> float | None:
        """The least of one of the costs: of processor time, for other work on the machine adds to it and never takes away."""
        found = self.costs.get(Key(contender, operation, count))
        return min(getattr(cost, what) for cost in found) if found else None

    def document(self) -> list[dict]:
        """Everything, for a file."""
        return [
            {**key._asdict(), "runs": len(costs), **{name: [getattr(cost, name) for cost in costs] for name in Cost._fields}}
            for key, costs in self.costs.items()
        ]  # fmt: skip


def environment(**more: str) -> dict[str, str]:
    """The caller's environment less what is meant for other runs."""
    return {**{key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}, **more}


def timed(command: Sequence[str], environ: Mapping[str, str], place: Path, text: str = "") -> Done:
    """Run a command in a directory, with a text as its standard input; end everything when it fails."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as given:
        given.write(text.encode())
        given.seek(0)
        began = time.monotonic()
        process = subprocess.Popen(
            command, env=dict(environ), cwd=place, stdin=given, stdout=output, stderr=subprocess.STDOUT
        )
        _pid, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if process.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}: exit {process.returncode}: {said[-3000:]}")
    return Done(said, Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))


def say(text: str) -> None:
    """Tell what is being done."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
