# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests run against the collection that was built and installed, never against the sources beside them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
COLLECTIONS = TESTS.parent / "build" / "collections"
INSTALLED = COLLECTIONS / "ansible_collections" / "slipway" / "docker"

for entry in (str(COLLECTIONS), str(TESTS)):
    if entry not in sys.path:
        sys.path.insert(0, entry)

from harness import lanes  # noqa: E402
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
from harness.namespaces import end_with_parent  # noqa: E402
from harness.progress import Progress  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks, and stop early when there is nothing to test."""
    config.addinivalue_line("markers", "integration: needs a real engine, which it starts by itself")
    config.addinivalue_line("markers", "molecule: runs a Molecule scenario")
    config.addinivalue_line("markers", "slow: takes more than a few seconds")
    if not (INSTALLED / "plugins").is_dir():
        raise pytest.UsageError("the collection is not installed in build/collections; run `make install`")
    config.pluginmanager.register(Shown())
    if hasattr(config, "workerinput"):
        end_with_parent()  # and with it all namespaces, as when there is one process


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what lies in tests/integration; where there are lanes, put the tests in their order."""
    for item in items:
        if TESTS / "integration" in item.path.parents:
            item.add_marker(pytest.mark.integration)
        if lanes.EMULATES & set(getattr(item, "fixturenames", ())) and not lanes.one_by_one(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} emulates a processor; name it in tests/harness/lanes.py")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: lanes.in_order(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> lanes.Lanes:
    """Two lanes, with `-n 2`, in the order above."""
    config.option.loadscopereorder = False
    return lanes.Lanes(config, log)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Where the tests run in lanes, and nobody wants more or less than usual, say what is done part by part."""
    config = session.config
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal and config.getoption("numprocesses", None) and config.get_verbosity() == 0:
        terminal._show_progress_info = False  # a share of the tests, which says little about minutes
        config.pluginmanager.register(Progress(terminal))
