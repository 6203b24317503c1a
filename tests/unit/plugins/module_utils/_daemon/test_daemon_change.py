# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A daemon that does not take what a rehearsal has taken: the file is put back byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.module_utils._daemon import change, document, road
from ansible_collections.slipway.docker.plugins.module_utils._daemon.files import Files
from ansible_collections.slipway.docker.plugins.module_utils._daemon.look import Look
from ansible_collections.slipway.docker.plugins.module_utils._daemon.process import Process, Service

BEFORE = b'{ "debug" : false }'


class Daemon(Service):
    """A daemon that takes documents in which ``refuses`` is not, and remembers what it took."""

    def __init__(self, files: Files, refuses: str, words: str) -> None:
        super().__init__(1)
        self.files, self.refuses, self.complaint = files, refuses, words
        self.took: list[Mapping[str, Any]] = []
        self.answer: dict[str, str] | None = None
        self.path = "/run/x.sock"
        self.while_restarting: Callable[[], None] = lambda: None

    # -- as a service ------------------------------------------------------------------------------------------

    def reload(self, process: Process) -> None:
        held = document.parse(self.files.content())
        self.answer = None if self.refuses in held else {"debug": str(held.get("debug", False)).lower()}
        if self.answer is not None:
            self.took.append(held)

    def restart(self) -> None:
        self.while_restarting()
        held = document.parse(self.files.content())
        if self.refuses in held:
            raise SlipwayError("ended")
        self.took.append(held)

    def mark(self) -> int:
        return 0

    def lines(self, mark: int) -> list[str]:
        return [self.complaint]

    # -- as its API --------------------------------------------------------------------------------------------

    def answers(self) -> bool:
        return True

    def running(self) -> dict:
        return {}

    def reload_events(self) -> Daemon:
        return self

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def attributes(self, _seconds: float) -> dict[str, str] | None:
        return self.answer


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a change of a file that holds BEFORE; returns (the daemon, the error's text)."""
    monkeypatch.setattr(change, "find", lambda _path: Process(1, ("dockerd",)))
    monkeypatch.setattr(change, "RELOAD_SECONDS", 0.1)

    def run(
        after: dict[str, Any], refuses: str, words: str, held: bytes = BEFORE, told_to_end: bool = False
    ) -> tuple[Daemon, str]:
        files = Files(str(tmp_path / "daemon.json"))
        files.put(held, 0o640)
        daemon = Daemon(files, refuses, words)
        monkeypatch.setattr(change, "Api", lambda *_arguments: daemon)
        before = document.readable(held)
        running = road.Running(alive=True)
        look = Look(files, held, before, after, document.encode(after), tuple(after), ("debug",), held)
        look.process, look.service, look.api, look.running = Process(1, ("dockerd",)), daemon, daemon, running
        look.road = road.road(before, before, after, running)
        error = ""
        this = change.Change(look, "", 1, False)
        if told_to_end:
            daemon.while_restarting = lambda: this.interrupt("interrupted by SIGTERM")
        try:
            this()
        except SlipwayError as trouble:
            error = str(trouble)
        return daemon, error

    return run


def test_a_change_that_is_taken(run: Any) -> None:
    daemon, error = run({"debug": True}, "nothing", "")
    assert error == "" and daemon.took == [{"debug": True}]
    assert daemon.files.content() == document.encode({"debug": True})
    assert daemon.files.proven() is None and daemon.files.managed() == ("debug",)


@pytest.mark.parametrize(("refuses", "left"), [("nothing", 0o600), ("proxies", 0o640)])
def test_a_secret_is_for_root_only_and_the_file_before_as_it_was(run: Any, refuses: str, left: int) -> None:
    daemon, error = run({"proxies": {"http-proxy": "http://me:hunter22@proxy:3128"}}, refuses, "")
    assert bool(error) == (refuses == "proxies")
    assert (Path(daemon.files.path).stat().st_mode & 0o777) == left


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (
            {"debug": True, "labels": ["db_password=hunter22"]},
            'level=error msg="Error reconfiguring the daemon: no hunter22"',
        ),
        ({"debug": True, "labels": ["a=1"], "icc": False}, "failed to start daemon: no"),
    ],
)
def test_a_change_that_is_not_taken(run: Any, after: dict[str, Any], words: str) -> None:
    daemon, error = run(after, "labels", words)
    assert "no" in error and "The file before is back, byte for byte, and the engine runs with it" in error
    assert daemon.files.content() == BEFORE and daemon.took[-1] == {"debug": False}
    assert daemon.files.proven() is None and daemon.files.managed() == ("debug",)
    assert (Path(daemon.files.path).stat().st_mode & 0o777) == 0o640


def test_a_daemon_that_does_not_come_back_either(run: Any) -> None:
    daemon, error = run({"debug": True, "icc": False}, "debug", "failed to start daemon: the disk is full")
    assert error.count("the disk is full") == 2 and "the engine does not come up with it" in error
    assert daemon.files.content() == daemon.files.proven() == BEFORE, "the next run knows what worked"


def test_a_file_that_was_broken_is_back_as_it_was_and_the_engine_runs(run: Any) -> None:
    daemon, error = run({"icc": False}, "icc", "failed to start daemon: no", b'{"icc": fal')
    assert "the engine runs" in error
    assert daemon.files.content() == b'{"icc": fal' and daemon.took[-1] == {}


def test_a_signal_is_told_as_one_whatever_the_daemon_says_as_it_ends(run: Any) -> None:
    daemon, error = run({"icc": False}, "nothing", 'level=error msg="transport is closing"', told_to_end=True)
    assert "interrupted by SIGTERM" in error and "transport" not in error
    assert daemon.files.content() == BEFORE and daemon.took == [{"debug": False}]
