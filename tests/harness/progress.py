# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done is said part by part: a line for each when it is done, instead of a dot for each test, since the dots of two lanes would be mixed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from .lanes import part


class Progress:
    """Writes a line for each part that is done, and for each failure at once."""

    def __init__(self, terminal: Any) -> None:
        self.terminal = terminal
        self.left: Counter[str] = Counter()
        self.outcomes: dict[str, Counter[str]] = {}
        self.seconds: Counter[str] = Counter()
        self.began = time.monotonic()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Count what is to be done."""
        self.left = Counter(map(part, ids))

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, tuple[str, str, Any], tuple[str, str, str]]:
        """No dots and letters."""
        category, _letter, _word = yield
        return category, "", ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count, and say what is done."""
        name = part(report.nodeid)
        self.seconds[name] += report.duration
        if report.when == "call" or not report.passed:
            self.outcomes.setdefault(name, Counter())[report.outcome] += 1
        if report.failed:
            self.say(f"{report.nodeid}: {report.when} failed", red=True)
        if report.when == "teardown":
            self.left[name] -= 1
            if not self.left[name]:
                counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self.outcomes[name].items()))
                self.say(f"{name.ljust(80)} {counts}, {self.seconds[name]:.0f} s")

    def say(self, line: str, **markup: bool) -> None:
        """Write a line, and when."""
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        self.terminal.write_line(f"{minutes:2}:{seconds:02}  {line}", **markup)
        self.terminal.flush()  # a log is read while it grows
