# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The daemon dies, restarts or freezes in the middle of a run: the run ends in time and says so, and the next one converges."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness.engine import Engine, private_engine
from harness.promises import crashed
from harness.proxy import Call, RecordingProxy
from harness.run import Result, Runner
from harness.task import Task

from .exam import SCALE
from .faults_run import debris
from .scenarios import published, remade, replaced

TIMEOUT = 2.0  # seconds of each call, where the daemon is frozen
PATIENCE = 5.0
WHOLE = SCALE >= 0.1


@pytest.fixture(scope="module")
def mortal() -> Iterator[Engine]:
    """An engine of these tests' own, whose containers outlive its daemon."""
    with private_engine("--live-restore") as engine:
        engine.import_test_images()
        yield engine


@pytest.fixture
def run(mortal: Engine, runner: Runner) -> Iterator[Task]:
    """Runs modules against it, through a proxy."""
    with RecordingProxy(mortal.socket) as proxy:
        yield Task(runner, proxy, mortal)
    mortal.clean()


class Restart:
    """Kills the daemon when it is called (as a fault of the proxy) and starts it again ``seconds`` later."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        self.engine, self.seconds = engine, seconds
        self.back = threading.Event()
        self.trouble: Exception | None = None

    def __call__(self, _call: Call) -> bool:
        self.engine.stop_daemon("KILL")
        threading.Thread(target=self._start, daemon=True).start()
        return False

    def _start(self) -> None:
        time.sleep(self.seconds)
        try:
            self.engine.start_daemon()
        except Exception as error:
            self.trouble = error
        self.back.set()

    def wait(self) -> None:
        """Wait until the daemon is back."""
        assert self.back.wait(60) and self.trouble is None, self.trouble


def settled(run: Task, spec: dict, services: tuple[str, ...]) -> None:
    """The next run converges, the one after it is empty, and nothing is left over."""
    run("containers", **spec).ok()
    run.settled("containers", **spec)
    assert not debris(run.engine, "sc")
    assert {name[1:] for item in run.engine.api("GET", "/containers/json") for name in item["Names"]} >= set(services)


def readable(result: Result) -> None:
    assert not crashed(result)
    assert not result.failed or "engine" in result.msg


READS = {
    "the list of containers": r"/containers/json$",
    "a container": r"/containers/.+/json$",
    "the networks": r"/networks$",
}


@pytest.mark.parametrize("path", READS.values(), ids=list(READS))
def test_a_restart_between_two_reads_is_waited_for(run: Task, path: str) -> None:
    run("containers", **replaced(1)).ok()
    pid = run.engine.inspect("container", "web")["State"]["Pid"]
    restart = Restart(run.engine, 1.0)
    run.proxy.fault("call", restart, method="GET", path=path)
    again = run("containers", **replaced(1))
    restart.wait()
    assert not again.ok().changed
    assert run.engine.inspect("container", "web")["State"]["Pid"] == pid
    settled(run, replaced(2), ("web",))


def struck(run: Task, old: dict, new: dict, nth: int) -> tuple[Result, list[str]]:
    """What a run returns whose nth mutating call meets a restart of the daemon, and what runs then."""
    run("containers", **old).ok()
    restart = Restart(run.engine, 0.5)
    run.proxy.fault("call", restart, mutating=True, nth=nth)
    result = run("containers", **new)
    restart.wait()
    readable(result)
    return result, sorted(name for item in run.engine.api("GET", "/containers/json") for name in item["Names"])


@pytest.mark.parametrize("nth", range(1, 7) if WHOLE else [3, 5])
def test_a_restart_in_the_middle_of_a_replacement(run: Task, nth: int) -> None:
    result, running = struck(run, published(1), published(2), nth)
    assert result.failed or nth == 6
    assert running == ["/web"], f"{running}: {result.msg}"
    settled(run, published(2), ("web",))


@pytest.mark.parametrize("nth", [1, 4, 5, 7] if WHOLE else [5])
def test_a_restart_in_the_middle_of_a_remade_network(run: Task, nth: int) -> None:
    result, running = struck(run, remade(1), remade(2), nth)
    assert result.failed
    assert running == ["/api", "/store", "/web"]
    settled(run, remade(2), ("api", "store", "web"))


@pytest.mark.skipif(not WHOLE, reason="takes a minute; SLIPWAY_EXAM_SCALE=1 has it")
def test_a_daemon_that_does_not_come_back(run: Task) -> None:
    """The run waits for as long as a restart may take, and then says that it could not undo anything."""
    run("containers", **replaced(1)).ok()
    restart = Restart(run.engine, 45.0)
    run.proxy.fault("call", restart, method="POST", path="/start$")
    began = time.monotonic()
    result = run("containers", **replaced(2))
    assert time.monotonic() - began < 40
    assert result.failed and not crashed(result)
    assert "run again" in result.msg.lower() and "nothing could be undone" in result.msg
    restart.wait()
    settled(run, replaced(2), ("web",))


@contextmanager
def frozen(engine: Engine) -> Iterator[None]:
    engine.close_connection()
    engine.signal_daemon("STOP")
    try:
        yield
    finally:
        engine.signal_daemon("CONT")


def test_a_frozen_daemon_is_not_waited_for_for_ever(run: Task) -> None:
    run("containers", **replaced(1)).ok()
    with frozen(run.engine):
        began = time.monotonic()
        result = run("containers", **replaced(2), timeout=TIMEOUT)
        seconds = time.monotonic() - began
    assert result.failed and not crashed(result)
    assert f"within {TIMEOUT:g} s" in result.msg
    assert seconds <= TIMEOUT + PATIENCE
    settled(run, replaced(2), ("web",))


PLACES = {
    "at a read": ("GET", "/networks$"),
    "at the create": ("POST", "/containers/create"),
    "at the stop": ("POST", "/stop$"),
    "at the start": ("POST", "/start$"),
    "while it watches": ("GET", "/containers/web/json"),
    "at the removal": ("DELETE", "/containers/"),
}


@pytest.mark.parametrize("place", PLACES if WHOLE else ["at the stop", "at the start"])
def test_a_daemon_that_freezes_in_the_middle(run: Task, place: str) -> None:
    method, path = PLACES[place]
    run("containers", **replaced(1)).ok()
    began = time.monotonic()
    run("containers", **replaced(2)).ok()
    usual = time.monotonic() - began
    run.engine.close_connection()
    run.proxy.fault("call", lambda _call: run.engine.signal_daemon("STOP"), method=method, path=path)
    began = time.monotonic()
    try:
        result = run("containers", **replaced(3), timeout=TIMEOUT)
        seconds = time.monotonic() - began
    finally:
        run.engine.signal_daemon("CONT")
    run.proxy.drain()
    assert result.failed and not crashed(result)
    stopping = 3.0 if place == "at the stop" else 0.0  # what the container may take is not the engine's slowness
    assert seconds <= usual + TIMEOUT + stopping + PATIENCE, f"{seconds:.1f} s, usually {usual:.1f} s: {result.msg}"
    settled(run, replaced(3), ("web",))
