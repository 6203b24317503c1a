# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""daemon.json of a real daemon, which no service manager runs: what is wrong does not reach it, and what is right does not touch containers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from harness.engine import IMAGE, Engine, private_engine
from harness.fixtures import failing_plainly
from harness.namespaces import wait_for
from harness.run import Killed, Result, Runner
from harness.task import STAYS

GOOD = {"log-driver": "local", "log-opts": {"max-size": "10m", "max-file": "5"}}


class Host:
    """The daemon's host: runs the module in its namespaces, and says what state all is in."""

    def __init__(self, engine: Engine, runner: Runner) -> None:
        self.engine, self.runner = engine, runner
        self.file = engine.directory / "daemon.json"

    def __call__(self, config: dict[str, Any] | None, *, check: bool = False, **options: Any) -> Result:
        """Run the module as a user would; the daemon's socket and file are where the harness has them."""
        said = {"path": str(self.file), "timeout": 30, **({} if config is None else {"config": config}), **options}
        return self.runner.module("daemon_config", said, check=check)

    def fresh(self, config: dict[str, Any]) -> Result:
        """Run the module in a process of its own, which can be killed."""
        said = {"path": str(self.file), "timeout": 30, "config": config}
        return self.runner.module("daemon_config", said, prefix=self.engine.enter())

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to what ``fresh`` has started, and to the nsenter before it only when it kills."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_bytes().split(b"\0")
                ours = b"daemon_config" in words and str(self.file).encode() in path.read_bytes()
                if ours and (number == signal.SIGKILL or b"nsenter" not in words):
                    os.kill(int(path.parent.name), number)

    @property
    def pid(self) -> str:
        """The daemon's process."""
        return (self.engine.directory / "pid").read_text().strip()

    def containers(self) -> dict[str, int]:
        """The containers that run, and their processes."""
        found = {}
        for item in self.engine.api("GET", "/containers/json"):
            found[item["Names"][0]] = self.engine.inspect("container", item["Id"])["State"]["Pid"]
        return found

    def state(self) -> tuple:
        """All that must stay when something is refused."""
        beside = sorted(path.name for path in self.file.parent.glob("daemon.json*"))
        return self.file.read_bytes(), self.pid, self.containers(), beside

    def document(self) -> dict[str, Any]:
        """What the file says."""
        return json.loads(self.file.read_text())


@pytest.fixture(scope="module")
def daemon() -> Iterator[tuple[Engine, Runner]]:
    with failing_plainly(), private_engine() as engine:
        engine.import_busybox(f"{IMAGE}:1")
        engine.keep_images()
        runner = Runner(engine.enter())
        yield engine, runner
        runner.close()


@pytest.fixture
def host(daemon: tuple[Engine, Runner]) -> Host:
    """A daemon with two containers, whose file is as a run has left it that declared ``GOOD``."""
    found = Host(*daemon)
    for name in ("web", "api"):
        if found.engine.inspect("container", name) is None:
            found.engine.run_cli("run", "--detach", "--name", name, f"{IMAGE}:1", *STAYS)
    found(GOOD, exclusive=True).ok()
    assert len(found.containers()) == 2
    return found


# What must be refused, and what the message says: the place, the value or the daemon's own word, and the way out.
WRONG = {
    "unknown key": ({"no-such-key": True}, ["config.no-such-key", "no such key"]),
    "unknown runtime": ({"default-runtime": "nonsense"}, ['"nonsense" is none of the runtimes', "add it to runtimes"]),
    "flag and file": ({"data-root": "/srv/docker"}, ["--data-root", "leave it out here"]),
    "log option": ({"log-opts": {"max-sizes": "10m"}}, ["log-opts.max-sizes", "did you mean max-size?"]),
    "log driver": ({"log-driver": "nonsense", "log-opts": {}}, ['"nonsense" is none of the log drivers']),
    "bridge address": ({"bip": "300.1.1.1/24"}, ["config.bip", "300.1.1.1/24", "write one such as"]),
    "missing certificate": ({"tlsverify": True, "tlscacert": "/nowhere/ca.pem"}, ["/nowhere/ca.pem", "is not there"]),
    "host": ({"hosts": ["nonsense://x"]}, ["nonsense://x", "write unix:///var/run/docker.sock"]),
    "storage driver": (
        {"storage-driver": "nonsense"},
        ['would change from "the default" to "nonsense"', "2 containers"],
    ),
    "pool size": ({"default-address-pools": [{"base": "10.0.0.0/16", "size": 8}]}, ["size 8 does not fit 10.0.0.0/16"]),
    "tcp without tls": ({"hosts": ["unix:///run/x.sock", "tcp://0.0.0.0:2375"]}, ["tcp://0.0.0.0:2375", "become root"]),
    "user namespaces": ({"userns-remap": "default"}, ["config.userns-remap", "out of its sight"]),
    # What the table takes for right, and only a daemon knows better.
    "log option's value": ({"log-opts": {"max-size": "tens"}}, ["does not start with this", "tens"]),
    "two bridges": ({"bip": "172.30.0.1/16", "bridge": "br0"}, ["does not start with this", "mutually exclusive"]),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_does_not_reach_the_daemon(host: Host, mistake: str) -> None:
    config, words = WRONG[mistake]
    before = host.state()
    for check in (True, False) if words[0].startswith("config.") else (False,):
        result = host({**GOOD, **config}, check=check)
        assert result.failed
        for word in words:
            assert word in result.msg
        assert host.state() == before


# What is right on its host, and what it needs of that is not around a rehearsal.
RIGHT = {
    "logs to another host": {"log-driver": "syslog", "log-opts": {"syslog-address": "tcp://192.0.2.1:514"}},
    "logs to a program": {"log-driver": "fluentd", "log-opts": {"fluentd-address": "192.0.2.1:24224"}},
    "logs to the journal": {"log-driver": "journald", "log-opts": {}},
    "a bridge of the host": {"bridge": "slipway-br", "fixed-cidr": "198.51.100.128/25"},
}


@pytest.mark.parametrize("what", RIGHT)
def test_what_only_a_rehearsal_lacks_is_not_held_against_it(host: Host, what: str) -> None:
    host.engine.in_namespaces("ip", "link", "add", "name", "slipway-br", "type", "bridge")
    host.engine.in_namespaces("ip", "address", "add", "198.51.100.1/24", "dev", "slipway-br")
    before = host.state()
    try:
        assert "with a container, unseen" in host({**GOOD, **RIGHT[what]}, check=True).ok()["rehearsed"]
    finally:
        host.engine.in_namespaces("ip", "link", "delete", "slipway-br")
    assert host.state() == before


def test_an_option_that_a_log_driver_of_the_network_does_not_know(host: Host) -> None:
    result = host({"log-driver": "syslog", "log-opts": {"syslog-adress": "tcp://192.0.2.1:514"}}, check=True)
    assert result.failed and "syslog-adress" in result.msg


def test_all_mistakes_are_said_at_once(host: Host) -> None:
    result = host({"bip": "x", "mtu": "big", "log_driver": "local", "hosts": ["tcp://0.0.0.0:2375"]})
    assert result.failed and len(result["mistakes"]) == 6
    assert "config.log_driver: there is no such key; did you mean log-driver?" in result["mistakes"]


def test_a_broken_file_is_left_to_those_who_know_what_it_meant(host: Host) -> None:
    host.file.write_text('{"live-restore": tru')
    before = host.state()
    result = host(GOOD)
    assert "is not JSON (line 1, column 18" in result.msg and "exclusive: true" in result.msg
    assert host.state() == before
    host(GOOD, exclusive=True).ok()
    assert host.document() == GOOD


def test_a_broken_file_is_replaced_by_nothing_at_all(host: Host) -> None:
    host.file.write_text('{"live-restore": tru')
    before = host.state()
    assert "what a file that is not JSON may have said" in host({}, exclusive=True, restart="never").msg
    foretold = host({}, exclusive=True, check=True).ok()
    assert foretold["plan"] == ["~ daemon_config   changed; what was there is not JSON; restarts the daemon"]
    assert host.state() == before
    done = host({}, exclusive=True).ok()
    assert done["plan"] == foretold["plan"] and done["plan_id"] == foretold["plan_id"] and done["applied"] == "restart"
    assert host.document() == {} and host.containers() == before[2]
    assert not host({}, exclusive=True).ok().changed


def test_a_mistake_that_only_the_real_daemon_can_notice(host: Host) -> None:
    before = host.state()
    result = host({**GOOD, "metrics-addr": "192.0.2.1:9323"})
    assert result.failed
    assert "cannot assign requested address" in result.msg
    assert "is back, byte for byte, and the engine runs with it" in result.msg
    after = host.state()
    assert (after[0], after[2], after[3]) == (before[0], before[2], before[3]) and after[1] != before[1]
    assert host.engine.api("GET", "/info")["LiveRestoreEnabled"] is False


def test_first_run_second_run_and_what_check_mode_foretold(host: Host) -> None:
    wanted = {**GOOD, "max-concurrent-downloads": 6, "log-opts": {"max-size": "20m", "max-file": 5}}
    before = host.state()
    foretold = host(wanted, check=True).ok()
    assert host.state() == before
    done = host(wanted).ok()
    assert done["plan"] == foretold["plan"] and done["plan_id"] == foretold["plan_id"]
    assert done["plan"] == [
        "~ daemon_config   restarts the daemon; log-opts.max-size: 10m -> 20m; max-concurrent-downloads: none -> 6"
    ]
    assert done["applied"] == foretold["applied"] == "restart" and done["because"] == ["log-opts"]
    assert done["steps"] == foretold["steps"]
    before = host.state()
    again = host(wanted).ok()
    assert not again.changed and again["applied"] == "nothing" and again["plan"] == []
    assert host.state() == before


def test_what_a_daemon_can_reload_touches_nothing_that_runs(host: Host) -> None:
    before = host.state()
    result = host({**GOOD, "labels": ["rack=7"], "debug": True}).ok()
    assert result["applied"] == "reload"
    info = host.engine.api("GET", "/info")
    assert info["Labels"] == ["rack=7"] and info["Debug"]
    assert host.state()[1:] == before[1:]
    dropped = host(GOOD).ok()
    assert dropped["plan"] == ["~ daemon_config   debug: true -> no longer said; labels: [rack=7] -> no longer said"]
    info = host.engine.api("GET", "/info")
    assert info["Labels"] == [] and not info["Debug"], "a reload by itself leaves what was"
    assert host.state() == before


def test_containers_outlive_a_restart(host: Host) -> None:
    before = host.state()
    result = host({**GOOD, "live-restore": True, "log-opts": {"max-size": "30m"}}, restart="seamless").ok()
    assert result["applied"] == "restart" and result["started"] == []
    after = host.state()
    assert after[2] == before[2] and after[1] != before[1]
    assert host.engine.api("GET", "/info")["LiveRestoreEnabled"]
    result = host(GOOD, restart="seamless").ok()  # live-restore itself goes, and the containers stay
    assert host.state()[2] == before[2] and host.state()[0] == before[0]
    assert not host.engine.api("GET", "/info")["LiveRestoreEnabled"]


def test_a_restart_that_is_not_allowed(host: Host) -> None:
    before = host.state()
    result = host({**GOOD, "log-level": "warn", "icc": False, "debug": True}, restart="never")
    assert result.failed and "restart: never, and a reload does not bring icc, log-level" in result.msg
    result = host({**GOOD, "bip": "172.30.0.1/16"}, restart="seamless")
    assert result.failed and "would end 2 containers" in result.msg
    assert host.state() == before


def test_keys_of_others_stay_and_ours_go(host: Host) -> None:
    document = {"debug": True, **GOOD}
    host.file.write_text(json.dumps(document))
    host({**GOOD, "max-concurrent-uploads": 2}, backup=True).ok()
    assert host.document() == {**document, "max-concurrent-uploads": 2}
    assert list(host.document()) == ["debug", "log-driver", "log-opts", "max-concurrent-uploads"]
    backups = list(host.file.parent.glob("daemon.json.*~"))
    assert [json.loads(path.read_text()) for path in backups] == [document]
    backups[0].unlink()
    gone = host(None, state="absent").ok()
    assert gone["applied"] == "restart" and host.document() == {"debug": True}
    assert not host(None, state="absent").ok().changed


def test_secrets_are_not_shown(host: Host) -> None:
    result = host({**GOOD, "labels": ["db_password=hunter22"]}, check=True).ok()
    assert "hunter22" not in json.dumps(result)
    result = host({"proxies": {"http-proxy": "http://me:hunter22@proxy:3128"}}, check=True)
    assert "hunter22" not in json.dumps(result)


@pytest.mark.parametrize("then", ["goes on", "goes back"])
def test_a_run_that_is_killed_between_writing_and_restarting(host: Host, then: str) -> None:
    live = {**GOOD, "live-restore": True}
    host(live).ok()
    before = host.state()
    new = {**live, "log-opts": {"max-size": "40m"}}
    with ThreadPoolExecutor() as pool:
        run = pool.submit(host.fresh, new)
        wait_for(lambda: b"40m" in host.file.read_bytes() or run.done(), 30, "the file to be written")
        host.kill()
        with pytest.raises(Killed):
            run.result()
    try:
        wait_for(lambda: not host.engine.answers(), 30, "the daemon to end, as it was told")
    except TimeoutError:
        assert host.pid == before[1], "killed before it was told, it is the daemon that there was"
    assert host.file.with_name("daemon.json.proven").read_bytes() == before[0]
    foretold = host(new if then == "goes on" else live, check=True).ok()
    result = host(new if then == "goes on" else live).ok()
    assert result.changed and result["applied"] == "restart" and result["plan"] == foretold["plan"]
    assert "leftover of an interrupted run" in result["plan"][0]
    after = host.state()
    assert after[2] == before[2] and after[3] == before[3]
    assert host.document() == (new if then == "goes on" else live)
    if then == "goes back":
        assert after[0] == before[0]
    assert not host(new if then == "goes on" else live).ok().changed


@pytest.mark.parametrize("moment", ["the file is written", "the daemon has ended", "another daemon starts"])
def test_a_run_that_is_told_to_end_puts_everything_back(host: Host, moment: str) -> None:
    live = {**GOOD, "live-restore": True}
    host(live).ok()
    before = host.state()
    pid = host.engine.directory / "pid"
    reached = {
        "the file is written": lambda: b"40m" in host.file.read_bytes(),
        "the daemon has ended": lambda: not pid.exists(),
        "another daemon starts": lambda: pid.exists() and pid.read_text().strip() not in ("", before[1]),
    }[moment]
    with ThreadPoolExecutor() as pool:
        run = pool.submit(host.fresh, {**live, "log-opts": {"max-size": "40m"}})
        wait_for(lambda: reached() or run.done(), 30, moment)
        host.kill(signal.SIGTERM)
        result = run.result()
    assert result.failed and "interrupted by SIGTERM" in result.msg
    assert "byte for byte" in result.msg or (moment == "the file is written" and "heard of nothing" in result.msg)
    after = host.state()
    assert (after[0], after[2], after[3]) == (before[0], before[2], before[3])


def test_where_containers_cannot_be_kept_they_are_started_again() -> None:
    with failing_plainly(), private_engine("--live-restore=false") as engine:
        engine.import_busybox(f"{IMAGE}:1")
        host = Host(engine, Runner(engine.enter()))
        engine.run_cli("run", "--detach", "--name", "web", f"{IMAGE}:1", *STAYS)
        before = host.state()
        assert "would end 1 container" in host(GOOD, restart="seamless").msg
        assert host.state() == before
        result = host(GOOD).ok()
        assert result["plan"][0].startswith(
            "~ daemon_config   restarts the daemon, and 1 container with it; log-driver"
        )
        assert result["started"] == ["web"] and "be started again" in result.warned[0]
        assert list(host.containers()) == ["/web"]
        assert "the flag --live-restore=false" in host({"live-restore": True}).msg
        host.runner.close()


def test_a_file_that_no_daemon_reads_is_written_and_that_is_all(host: Host) -> None:
    other = host.file.with_name("other.json")
    result = host(GOOD, path=str(other)).ok()
    assert result["applied"] == "written" and json.loads(other.read_text()) == GOOD
    assert not host(GOOD, path=str(other)).ok().changed
    assert "does not start with this" in host({"bip": "172.30.0.1/16", "bridge": "br0"}, path=str(other)).msg
    assert host(None, path=str(other), state="absent").ok().changed
    assert not list(other.parent.glob("other.json*"))


class Stopped(Host):
    """A daemon that has ended, of which a killed run left word how it was started."""

    def __init__(self, engine: Engine, runner: Runner) -> None:
        super().__init__(engine, runner)
        words = engine.in_namespaces("cat", f"/proc/{self.pid}/cmdline").rstrip("\0").split("\0")
        log = str(engine.directory / "log")
        self.word = json.dumps({"arguments": words, "environment": dict(os.environ), "log": log})

    def end(self) -> None:
        """The daemon ends."""
        self.engine.stop_daemon()
        self.leave_word()

    def leave_word(self) -> None:
        """How it was started is where a killed run has left it."""
        self.file.with_name("daemon.json.start").write_text(self.word)


def test_a_daemon_that_does_not_run() -> None:
    wrong = {**GOOD, "metrics-addr": "192.0.2.1:9323"}
    with failing_plainly(), private_engine() as engine:
        host = Stopped(engine, Runner(engine.enter()))
        engine.import_busybox(f"{IMAGE}:1")
        host.end()
        assert host(GOOD).ok()["applied"] == "written" and not engine.answers()

        host.leave_word()
        foretold = host(GOOD, start=True, check=True).ok()
        assert foretold["plan"] == ["~ daemon_config   requested; starts the daemon"] and not engine.answers()
        done = host(GOOD, start=True).ok()
        assert done["plan"] == foretold["plan"] and done["applied"] == foretold["applied"] == "start"
        assert engine.answers() and "a reboot ends it" in done.warned[0]
        assert not host(GOOD, start=True).ok().changed

        # A file with which it does not come up is put back, and the engine is there all the same.
        host.end()
        before = host.file.read_bytes()
        refused = host(wrong, start=True)
        assert "cannot assign requested address" in refused.msg and "the engine runs with it" in refused.msg
        assert engine.answers() and host.file.read_bytes() == before
        assert not host(GOOD, start=True).ok().changed

        # Where there is nothing to put back, the cause is said; and what somebody else has broken is mended.
        host.end()
        host.file.write_text(json.dumps(wrong))
        refused = host(GOOD, start=True)
        assert "the daemon does not come up: " in refused.msg and "cannot assign requested address" in refused.msg
        host.leave_word()
        assert host(GOOD, start=True, exclusive=True).ok()["applied"] == "start"
        assert engine.answers() and host.document() == GOOD
        host.runner.close()


def test_a_node_of_a_swarm_whose_daemon_does_not_run() -> None:
    with failing_plainly(), private_engine() as engine:
        host = Stopped(engine, Runner(engine.enter()))
        engine.run_cli("swarm", "init", "--advertise-addr", "127.0.0.1")
        host.end()
        host.file.write_text(json.dumps({"data-root": str(engine.directory / "data")}))
        result = host({"live-restore": True}, start=True)
        assert "config.live-restore: this engine is part of a swarm (stopped)" in result.msg
        host.runner.close()
