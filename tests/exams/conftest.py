# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Exams use an engine of their own, and their figures are shown below the results."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from harness.figures import show

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
def exam(request: pytest.FixtureRequest) -> Iterator[exams.Exam]:
    """The examples of one exam; what was tried, and in how many of how many it held."""
    held = exams.Exam(request.node.name)
    yield held
    for series in held.series:
        figure = f"{series.figure()}   ({series.seconds:.0f} s)"
        show(request.node, f"exams, seed {exams.SEED}", series.promise, figure)
