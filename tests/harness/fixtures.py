# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pytest fixtures that tests share. An engine costs half a second, so one serves the session; what is in it goes after each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .engine import Engine, private_engine
from .guest import Image, image_in
from .hypervisor import Hypervisor, private_hypervisor, user_session
from .machines import SHOWN, Machines, UserMachines
from .namespaces import NamespacesFailed
from .proxy import RecordingProxy
from .registry import Registry, registry_in
from .run import Runner
from .task import Task


@contextmanager
def failing_plainly() -> Iterator[None]:
    """What cannot be started fails the test with one sentence."""
    try:
        yield
    except NamespacesFailed as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def session_engine() -> Iterator[Engine]:
    """The engine of this session, with the test images; use `engine`, which is cleaned after each test."""
    with failing_plainly(), private_engine() as engine:
        engine.import_test_images()
        yield engine


@pytest.fixture
def engine(session_engine: Engine) -> Iterator[Engine]:
    """A real engine that holds the test images and nothing else."""
    yield session_engine
    session_engine.clean()


@pytest.fixture(scope="session")
def registry(session_engine: Engine) -> Iterator[Registry]:
    """A real registry that the engine can reach."""
    with registry_in(session_engine) as running:
        yield running


@pytest.fixture
def proxy(engine: Engine) -> Iterator[RecordingProxy]:
    """A recording proxy before the engine."""
    with RecordingProxy(engine.socket) as running:
        yield running


@pytest.fixture(scope="session")
def session_hypervisor() -> Iterator[Hypervisor]:
    """The hypervisor of this session, with a network and a pool; use `hypervisor`, which is cleaned after each test."""
    with failing_plainly(), private_hypervisor() as hypervisor:
        hypervisor.furnish()
        yield hypervisor


@pytest.fixture
def hypervisor(session_hypervisor: Hypervisor) -> Iterator[Hypervisor]:
    """A real hypervisor that has the network and the pool ``default``, and nothing else."""
    yield session_hypervisor
    session_hypervisor.clean()


@pytest.fixture(scope="session")
def small_guest(session_hypervisor: Hypervisor) -> Image:
    """The image of the small guest, which runs from RAM, where the hypervisor may read it."""
    with failing_plainly():
        return image_in(session_hypervisor, "small")


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """Runs modules of the installed collection."""
    running = Runner()
    yield running
    running.close()


@pytest.fixture
def task(runner: Runner, proxy: RecordingProxy, engine: Engine) -> Task:
    """Runs modules through the proxy: `task("containers", project="p", ...)`."""
    return Task(runner, proxy, engine)


@pytest.fixture(scope="session")
def session_machines(session_hypervisor: Hypervisor) -> Iterator[Machines]:
    """Runs modules in the network of the session's hypervisor; use `machines`, which is cleaned after each test."""
    running = Runner(session_hypervisor.enter(pid=False))
    yield Machines(running, session_hypervisor)
    running.close()


@pytest.fixture
def machines(session_machines: Machines) -> Iterator[Machines]:
    """Runs modules on a hypervisor that has the network and the pool ``default``: `machines("machine", name="web", ...)`."""
    yield session_machines
    session_machines.clean()


@pytest.fixture(scope="module")
def user_machines() -> Iterator[UserMachines]:
    """Runs modules as an ordinary user, on a hypervisor of his own that has nothing yet."""
    with failing_plainly(), user_session(SHOWN) as session:
        running = UserMachines(session)
        yield running
        running.runner.close()
