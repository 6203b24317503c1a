# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Exams use an engine of their own, and end with a table of figures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from . import exam as exams
from . import specs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every exam needs a real engine."""
    for item in items:
        if "exams" in item.path.parts:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session", autouse=True)
def secrets() -> Iterator[None]:
    """The files of secrets are nowhere else, and go with the session."""
    yield
    shutil.rmtree(specs.SECRETS, ignore_errors=True)


@pytest.fixture
def exam(request: pytest.FixtureRequest) -> exams.Exam:
    """The examples and figures of one exam."""
    return exams.Exam(request.node.name)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was tried, and in how many of how many it held."""
    if not exams.FINISHED:
        return
    terminalreporter.section(f"exams, seed {exams.SEED}")
    width = max(len(series.promise) for series in exams.FINISHED)
    for series in exams.FINISHED:
        terminalreporter.line(f"{series.promise.ljust(width)}   {series.figure()}   ({series.seconds:.0f} s)")
