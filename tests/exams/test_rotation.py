# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The authority of an engine becomes another one while a client calls five times a second: no call fails. A minute of it is the whole exam."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness.engine import IMAGE
from harness.figures import show
from harness.fixtures import failing_plainly
from harness.task import STAYS
from harness.tls import Poll, Tls, tls_engine

from .exam import SCALE

SECONDS = max(9.0, 60 * SCALE)
STEPS = ("trust", "issue", "finish")


def test_no_call_fails_while_the_authority_is_rotated(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with failing_plainly(), tls_engine(tmp_path) as tls:
        engine = tls.engine
        engine.import_busybox(f"{IMAGE}:1")
        tls().ok()
        tls.serve()
        engine.run_cli("run", "--detach", "--name", "web", f"{IMAGE}:1", *STAYS)
        container = engine.inspect("container", "web")["State"]["Pid"]
        before = authority_of(tls)
        with Poll(tls.command("ps", "--quiet")) as poll:
            began = time.monotonic()
            for number, step in enumerate(STEPS):
                assert tls(rotate=step).ok()["restart"]
                time.sleep(0.5)  # clients have new files, the daemon has old ones
                engine.restart()
                assert not tls(rotate=step).ok()["restart"]
                time.sleep(max(0.0, SECONDS * (number + 1) / len(STEPS) - (time.monotonic() - began)))
        figure = f"{len(poll.failed)} of {poll.calls} in {SECONDS:g} s, the slowest took {poll.slowest:.2f} s"
        show(request.node, "rotation of an authority", "calls that failed", figure)
        assert poll.failed == [] and poll.calls >= SECONDS
        assert authority_of(tls) != before and engine.inspect("container", "web")["State"]["Pid"] == container


def authority_of(tls: Tls) -> str:
    """The one authority that is trusted."""
    text = (tls.path / "ca.pem").read_text()
    assert text.count("BEGIN CERTIFICATE") == 1
    return text
