# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a container counts as well, and what is said when it does not get well."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import EngineError
from ansible_collections.slipway.docker.plugins.module_utils._docker import watch


class Container:
    """An engine that shows one container, a new state at each look."""

    def __init__(self, *states: dict[str, Any], log: bytes = b"") -> None:
        self.states = list(states)
        self.log = log

    def get(self, _path: str) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"Id": "a" * 64, "State": state, "RestartCount": state.get("Restarts", 0), "Config": {"Tty": True}}

    def raw(self, _path: str, **_query: Any) -> bytes:
        return self.log

    def progress(self, *_args: Any, **_options: Any) -> Any:
        raise EngineError("no events")


def wait(engine: Container, **options: Any) -> None:
    watch.Watch(engine).until_well("web", **{"healthy": False, "watch": 0.0, "deadline": 0.3, **options})


RUNNING = {"Status": "running"}


def health(status: str, **log: Any) -> dict[str, Any]:
    return {"Status": "running", "Health": {"Status": status, "Log": [{"ExitCode": 1, "Output": "no\nanswer", **log}]}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL", 0.02)


def test_running_is_enough_when_health_was_not_asked_for() -> None:
    wait(Container(health("starting")))


def test_it_must_stay_up() -> None:
    with pytest.raises(EngineError, match=r"did not stay up: exited with exit code 3; its last lines: one . two"):
        wait(Container(RUNNING, {"Status": "exited", "ExitCode": 3}, log=b"one\ntwo\n"), watch=0.1)


def test_healthy_waits_for_the_check() -> None:
    wait(Container(health("starting"), health("starting"), health("healthy")), healthy=True)


def test_healthy_without_a_check_is_staying_up() -> None:
    wait(Container(RUNNING), healthy=True)


def test_unhealthy_fails_at_once_with_what_the_check_said() -> None:
    with pytest.raises(EngineError, match="is unhealthy; its health check said: no answer"):
        wait(Container(health("unhealthy")), healthy=True)


def test_the_deadline_ends_it() -> None:
    with pytest.raises(EngineError, match=r"is still starting after 0\.1 s"):
        wait(Container(health("starting")), healthy=True, deadline=0.1)


def test_a_crash_loop_is_seen() -> None:
    with pytest.raises(EngineError, match="restarted again and again"):
        wait(Container(RUNNING, {**RUNNING, "Restarts": 1}), watch=0.1)


def test_want_of_memory_is_said() -> None:
    with pytest.raises(EngineError, match="killed for want of memory"):
        wait(Container({"Status": "exited", "ExitCode": 137, "OOMKilled": True}))


def test_secrets_are_masked_in_logs() -> None:
    with pytest.raises(EngineError) as caught:
        wait(Container({"Status": "exited", "ExitCode": 1}, log=b"login with hunter2 failed"), hidden=("hunter2",))
    assert "hunter2" not in str(caught.value)
    assert "login with ****** failed" in str(caught.value)
