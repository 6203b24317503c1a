# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who runs the daemon where systemd does not: its init script, or nobody where that cannot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._daemon import process
from ansible_collections.slipway.docker.plugins.module_utils._daemon.flags import CONFIG_FILE
from ansible_collections.slipway.docker.plugins.module_utils._daemon.process import Alone, Process, Script, service_of

DAEMON = Process(os.getpid(), ("dockerd",))


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An init script that says what it was told, and whose status is ``status``."""
    path = tmp_path / "docker"
    path.write_text(f'#!/bin/sh\necho "$1" >>{tmp_path}/told; exit "$(cat {tmp_path}/"$1" 2>/dev/null || echo 0)"\n')
    path.chmod(0o755)
    monkeypatch.setattr(process, "SCRIPT", str(path))
    monkeypatch.setattr(process, "UNITS", str(tmp_path / "no-systemd"))
    return path


def told(script: Path) -> list[str]:
    """What the script was told."""
    path = script.with_name("told")
    return path.read_text().split() if path.exists() else []


def test_a_daemon_that_its_script_runs_is_restarted_by_it(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service, found = service_of(CONFIG_FILE, DAEMON, 1, None)
    assert isinstance(service, Script) and found is DAEMON
    monkeypatch.setattr(process, "find", lambda _path: DAEMON)
    service.restart()
    assert told(script) == ["status", "restart"] and not service.by_hand and not service.ended()
    monkeypatch.setattr(process, "find", lambda _path: None)
    assert service.ended(), "it was there and is no more"


def test_a_daemon_that_its_script_does_not_know_is_a_process(script: Path) -> None:
    script.with_name("status").write_text("3")
    assert type(service_of(CONFIG_FILE, DAEMON, 1, None)[0]) is Alone
    assert type(service_of("/srv/daemon.json", None, 1, None)[0]) is Alone


def test_where_the_script_cannot_the_daemon_is_started_by_hand(
    script: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script.with_name("start").write_text("1")
    notes = {"arguments": ["sleep", "60"], "environment": dict(os.environ), "log": str(tmp_path / "log")}
    monkeypatch.setattr(process, "find", lambda _path: None)
    service, _found = service_of(CONFIG_FILE, None, 1, notes)
    service.restart()
    assert told(script) == ["start"] and service.by_hand and not service.ended()
    service.started.kill()
    service.started.wait()
    assert service.ended()


def test_a_script_whose_daemon_never_shows_has_ended(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find", lambda _path: None)
    monkeypatch.setattr(process, "APPEARS", 0.05)
    service, _found = service_of(CONFIG_FILE, None, 1, {"arguments": ["false"], "environment": {}, "log": os.devnull})
    service.restart()
    assert process.wait(service.ended, 5)
