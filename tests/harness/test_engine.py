# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The private engine is real, and leaves nothing, not even when its owner is killed."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine import ROOT, Engine, clean_leftovers, private_engine, wait_for

pytestmark = pytest.mark.integration

OWNER = """
import sys
sys.path.insert(0, {tests!r})
from harness.engine import private_engine
with private_engine() as engine:
    engine.import_test_images()
    engine.run_cli("run", "-d", "--name", "left", "slipway-test/busybox:1", "sleep", "1000")
    print(engine.name, flush=True)
    input()
"""


def test_it_runs_containers_with_limits_and_ports(engine: Engine) -> None:
    serve = "mkdir /www && echo hello >/www/index.html && exec httpd -f -h /www"
    engine.run_cli(
        "run",
        "-d",
        "--name",
        "web",
        "-m",
        "32m",
        "--privileged",
        "-p",
        "127.0.0.1:8080:80",
        "slipway-test/busybox:1",
        "sh",
        "-c",
        serve,
    )
    assert (
        wait_for(lambda: engine.in_netns("curl", "-s", "http://127.0.0.1:8080/", check=False), 5, "the page") == "hello"
    )
    assert engine.inspect("container", "web")["HostConfig"]["Memory"] == 32 << 20
    assert engine.names("container") == ["web"]


def test_cleaning_leaves_the_test_images_only(engine: Engine) -> None:
    engine.run_cli("network", "create", "net")
    engine.run_cli("volume", "create", "vol")
    engine.run_cli("tag", "slipway-test/busybox:1", "other:1")
    engine.run_cli(
        "run", "-d", "--name", "busy", "--network", "net", "-v", "vol:/x", "slipway-test/busybox:1", "sleep", "1000"
    )
    engine.clean()
    assert [engine.names(kind) for kind in ("container", "network", "volume")] == [[], [], []]
    assert engine.names("image") == ["slipway-test/app:1", "slipway-test/busybox:1", "slipway-test/busybox:2"]


def test_a_killed_run_leaves_nothing_running_and_the_next_one_cleans_up() -> None:
    tests = str(Path(__file__).parent.parent)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(tests=tests)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    name = owner.stdout.readline().strip()
    assert name
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    wait_for(lambda: not Engine(name).answers(), 10, "the daemon to end with its owner")
    assert (ROOT / name).exists()
    clean_leftovers()  # unless another run that begins just now is quicker
    wait_for(lambda: not (ROOT / name).exists(), 15, "the directory to go")
    assert not glob.glob(f"/sys/fs/cgroup/*/{name}")


def test_two_engines_do_not_know_each_other(engine: Engine) -> None:
    with private_engine() as other:
        assert other.name != engine.name
        other.run_cli("volume", "create", "theirs")
        assert engine.names("volume") == []
        directory = other.directory
    assert not directory.exists()


def test_the_daemon_can_be_restarted() -> None:
    with private_engine() as engine:
        engine.run_cli("volume", "create", "stays")
        engine.stop_daemon()
        assert not engine.answers()
        engine.start_daemon()
        assert engine.names("volume") == ["stays"]
