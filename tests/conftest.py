# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests run against the collection that was built and installed, never against the sources beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
COLLECTIONS = TESTS.parent / "build" / "collections"
INSTALLED = COLLECTIONS / "ansible_collections" / "slipway" / "docker"

for entry in (str(COLLECTIONS), str(TESTS)):
    if entry not in sys.path:
        sys.path.insert(0, entry)

from harness.figures import Shown  # noqa: E402
from harness.fixtures import (  # noqa: E402, F401
    engine,
    hypervisor,
    machines,
    proxy,
    registry,
    runner,
    session_engine,
    session_hypervisor,
    session_machines,
    small_guest,
    task,
    user_machines,
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks, and stop early when there is nothing to test."""
    config.addinivalue_line("markers", "integration: needs a real engine, which it starts by itself")
    config.addinivalue_line("markers", "molecule: runs a Molecule scenario")
    config.addinivalue_line("markers", "slow: takes more than a few seconds")
    if not (INSTALLED / "plugins").is_dir():
        raise pytest.UsageError("the collection is not installed in build/collections; run `make install`")
    config.pluginmanager.register(Shown())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in tests/integration."""
    for item in items:
        if TESTS / "integration" in item.path.parents:
            item.add_marker(pytest.mark.integration)
