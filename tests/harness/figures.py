# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Figures that tests wish to see below the results. They travel with a test's report, since its process may not be the one that prints."""

from __future__ import annotations

from typing import Any

PROPERTY = "figure"


def show(node: Any, section: str, label: str, figure: str = "") -> None:
    """Have a line in a section below the results; said again under the same label it takes the earlier one's place. For fixtures of one test."""
    node.user_properties.append((PROPERTY, [section, label, figure]))


class Shown:
    """Collects what the tests wish to see, and prints it."""

    def __init__(self) -> None:
        self.sections: dict[str, dict[str, str]] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take what the test said; its last report has all of it."""
        if report.when == "teardown":
            for key, value in report.user_properties:
                if key == PROPERTY:
                    section, label, figure = value
                    self.sections.setdefault(section, {})[label] = figure

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print it."""
        for section, lines in self.sections.items():
            terminalreporter.section(section)
            width = max(len(label) for label in lines)
            for label, figure in lines.items():
                terminalreporter.line(f"{label.ljust(width)}   {figure}".rstrip())
