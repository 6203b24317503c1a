# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a guest is, what is said of it, and how long is waited. Without ssh: tests/integration/ssh has it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import ready

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGsbpUgiInM4eVOtv2R5ydv7D4k+ix9iehkNW77Fbjzp"
HERE = "127.0.0.1"
DENIED = "root@192.0.2.7: Permission denied (publickey).\r\n"
CHANGED = f"The fingerprint for the ED25519 key sent by the remote host is\nSHA256:{'a' * 43}.\nHost key verification failed.\r\n"
BANNER = "SSH-2.0-test"


# -- the first two rungs ---------------------------------------------------------------------------------------

Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that says something to each who comes, and hangs up or not; its port."""
    listeners, held = [], []

    def start(*said: bytes, hang_up: bool = True) -> int:
        listener = socket.create_server((HERE, 0))
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    connection, _peer = listener.accept()
                except OSError:
                    return
                for part in said:
                    connection.sendall(part)
                held.append(connection)
                if hang_up:
                    connection.close()

        threading.Thread(target=run, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for item in listeners:
        item.shutdown(socket.SHUT_RDWR)
        item.close()
    for item in held:
        item.close()


@pytest.mark.parametrize("said", [[b"SSH-2.0-x y\r\n"], [b"hello\r\nSSH-2.", b"0-x y\r\n", b"more"]])
def test_the_banner_is_found(serve: Serve, said: list[bytes]) -> None:
    assert ready.probe(HERE, serve(*said)) == "SSH-2.0-x y"


@pytest.mark.parametrize(
    ("said", "hang_up", "words"),
    [
        ([], True, "hangs up without SSH's banner"),
        ([b"SSH-2.0-half"], True, 'hangs up without SSH\'s banner after "SSH-2.0-half"'),
        ([b"HTTP/1.1 400 \x1b[31mBad\r\n" * 30], False, r'is not SSH: "HTTP/1.1 400 \?\[31mBad'),
        ([b"x" * 20000], False, "is not SSH"),
        ([], False, "sends no SSH banner for 0.3 s"),
    ],
)
def test_what_is_no_banner_is_said(serve: Serve, said: list[bytes], hang_up: bool, words: str) -> None:
    with pytest.raises(ready.NotThere, match=words) as caught:
        ready.probe(HERE, serve(*said, hang_up=hang_up), 0.3)
    assert caught.value.rung == "banner"


def test_a_closed_port_is_said() -> None:
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ready.NotThere, match=f"{HERE} port {port}: Connection refused") as caught:
        ready.probe(HERE, port)
    assert caught.value.rung == "tcp"


# -- what ssh says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said", "with_key", "verdict"),
    [
        (0, "", True, (True, "auth", False)),
        (127, "sh: true: not found", True, (True, "auth", False)),
        (0, "", False, (True, "host key", False)),
        (255, DENIED, False, (True, "host key", False)),
        (255, DENIED, True, (False, "auth", False)),
        (255, "Permissions 0644 for 'k' are too open.\n" + DENIED, True, (False, "auth", False)),
        (255, CHANGED, True, (False, "host key", True)),
        (255, CHANGED, False, (False, "host key", True)),
        (255, "Connection reset by 192.0.2.7 port 22\n", False, (False, "host key", False)),
        (255, "", True, (False, "host key", False)),
        # what an impostor can make ssh say before its key is looked at
        (255, "Received disconnect from 192.0.2.7 port 22:2: x\n" + DENIED, False, (False, "host key", False)),
        (255, "Received disconnect from 192.0.2.7 port 22:2: " + DENIED, False, (False, "host key", False)),
        (255, DENIED + "Disconnected from 192.0.2.7 port 22\n", False, (False, "host key", False)),
        (255, DENIED.replace("root", "eve"), False, (False, "host key", False)),
    ],
)
def test_verdicts(code: int, said: str, with_key: bool, verdict: tuple[bool, str, bool]) -> None:
    found = ready.judge(code, said, "root@", with_key, BANNER)
    assert (found.ok, found.rung, found.final) == verdict


def test_an_impostor_is_named_by_its_key() -> None:
    assert f"the key that answers (SHA256:{'a' * 43}) is not the one" in str(
        ready.judge(255, CHANGED, "root@", True, BANNER)
    )


def test_an_old_client_is_an_error() -> None:
    with pytest.raises(SlipwayError, match=r"older than OpenSSH 8\.5"):
        ready.judge(255, "command-line: line 0: Bad configuration option: knownhostscommand", "root@", True, BANNER)


def test_what_others_say_is_one_short_line_without_control_characters() -> None:
    assert ready.shown("a\n\x1b]0;b\x07 c") == "a ?]0;b? c"
    assert len(ready.shown("x" * 5000)) == ready.SHOWN


# -- the waiting -----------------------------------------------------------------------------------------------


class Time:
    """A clock that moves when somebody waits, or by ``cost`` when a guest is looked at; and the guest's states in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *states: str, cost: float = 0.0) -> None:
        self.at = 100.0
        self.waits: list[float] = []
        self.states = list(states)
        self.probed = 0
        self.bounds: list[float] = []
        self.cost = cost
        monkeypatch.setattr(ready, "probe", self._probe)
        monkeypatch.setattr(ready, "login", self._login)

    def now(self) -> float:
        return self.at

    def wait(self, seconds: float) -> bool:
        self.waits.append(round(seconds, 3))
        self.at += seconds
        return False

    def _state(self, seconds: float) -> str:
        self.bounds.append(seconds)
        return self.states[0]

    def _next(self) -> None:
        self.at += self.cost
        if len(self.states) > 1:
            self.states.pop(0)

    def _probe(self, _address: str, _port: int, seconds: float) -> str:
        self.probed += 1
        state = self._state(seconds)
        if state in ("tcp", "banner"):
            self._next()
            raise ready.NotThere(state, f"no {state}")
        return BANNER

    def _login(self, *arguments: Any) -> tuple[int, str]:
        state = self._state(arguments[5])
        self._next()
        return {
            "reset": (255, "Connection reset\n"),
            "denied": (255, DENIED),
            "changed": (255, CHANGED),
            "in": (0, ""),
        }[state]


def climb(time: Time, timeout: float = 60.0, key: str | None = __file__, **more: Any) -> ready.Verdict:
    return ready.ssh_ready("192.0.2.7", "root", KEY, key, timeout, **{"now": time.now, "wait": time.wait, **more})


def test_pauses_grow_and_begin_anew_at_each_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, *["tcp"] * 5, *["banner"] * 8, "reset", "in")
    assert climb(time).ok
    assert time.waits == [0.2, 0.3, 0.45, 0.5, 0.5, 0.2, 0.3, 0.45, 0.675, 1.013, 1.519, 2.0, 2.0, 0.2]


def test_a_look_that_took_long_is_part_of_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, *["banner"] * 8, "in", cost=1.5)
    climb(time)
    assert time.waits == [0.2] * 6 + [0.5] * 2


def test_the_deadline_names_the_rung_and_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, "banner")
    verdict = climb(time, 10.0)
    assert str(verdict) == 'not ready at the rung "banner": no banner (for 10 s)'
    assert time.at == pytest.approx(110.0)


def test_each_look_is_bounded_by_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, "reset", cost=4.0)
    climb(time, 9.0)
    assert time.bounds[:2] == [ready.FIRST_BANNER, 9.0]
    assert all(bound <= max(0.1, 109.0 - 100.0) for bound in time.bounds)
    assert time.at <= 113.0


def test_the_banner_is_waited_for_a_little_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, "tcp", *["banner"] * 5, "in")
    climb(time)
    assert time.bounds[:6] == pytest.approx([1.0, 1.0, 1.2, 1.44, 1.728, 2.0736])


def test_an_impostor_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, "changed")
    assert climb(time).final
    assert time.waits == []


def test_a_refused_login_is_repeated_slowly_and_without_further_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, "denied", "denied", "in")
    assert climb(time).rung == "auth"
    assert time.waits == [ready.PAUSE_AFTER_REFUSAL] * 2
    assert time.probed == 1


def test_a_server_that_went_away_is_probed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, "reset", "tcp", "in")
    assert climb(time).ok
    assert time.probed == 3


def test_without_a_private_key_a_refusal_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, "denied")
    assert str(climb(time, key=None)) == f'ready at the rung "host key": {BANNER}'


def test_the_waiting_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = climb(Time(monkeypatch, "tcp"), wait=lambda _seconds: True)
    assert verdict.evidence == "no tcp (the waiting was ended)"


def test_a_private_key_that_is_not_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    time = Time(monkeypatch, "in")
    verdict = climb(time, key=str(tmp_path / "none"))
    assert (verdict.ok, verdict.rung, verdict.final) == (False, "auth", True)
    assert time.probed == 0


def test_a_pin_that_is_no_key_is_refused_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, "in")
    with pytest.raises(SlipwayError, match="is not a public key"):
        ready.ssh_ready("192.0.2.7", "root", "ssh-rsa AAAA", now=time.now, wait=time.wait)
    assert time.probed == 0
