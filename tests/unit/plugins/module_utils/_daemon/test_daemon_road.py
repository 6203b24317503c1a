# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way from one configuration to another, walked by a daemon that does what daemon/reload.go does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.slipway.docker.plugins.module_utils._daemon import flags, road
from ansible_collections.slipway.docker.plugins.module_utils._daemon.change import untaken
from ansible_collections.slipway.docker.plugins.module_utils._daemon.keys import KEYS, NOTHING, STICKY
from ansible_collections.slipway.docker.plugins.module_utils._daemon.road import (
    NOTHING_DONE,
    RELOAD,
    RESTART,
    START,
    WRITTEN,
    Running,
)

VALUES = {
    "debug": [True, False],
    "labels": [["a=1"], ["a=2", "b=1"], []],
    "live-restore": [True, False],
    "max-concurrent-downloads": [1, 9],
    "features": [{"buildkit": True}, {"buildkit": False}],
    "registry-mirrors": [["https://a"]],
    "default-cgroupns-mode": ["host", "private"],
    "log-driver": ["local", "journald"],
    "icc": [False],
}
DOCUMENTS = st.fixed_dictionaries({}, optional={name: st.sampled_from(options) for name, options in VALUES.items()})


@dataclass
class Daemon:
    """What a daemon takes of its file, and what becomes of its containers."""

    config: dict[str, Any] = field(default_factory=dict)
    containers: bool = True
    restarts: int = 0

    def reload(self, document: dict) -> None:
        for name, key in KEYS.items():
            if not key.reload:
                continue
            if name in document:
                self.config[name] = document[name]
            elif key.reset is NOTHING and name not in STICKY:
                self.config.pop(name, None)

    def restart(self, document: dict) -> None:
        self.restarts += 1
        kept = self.config.get("live-restore") and document.get("live-restore")
        self.containers = bool(self.containers and kept)
        self.config = dict(document)

    def walk(self, way: road.Road) -> None:
        for stage in way.stages:
            if stage.how == RELOAD:
                self.reload(dict(stage.document))
            elif stage.how == RESTART:
                self.restart(dict(stage.document))

    @property
    def effective(self) -> dict[str, Any]:
        """The configuration, in which a default that is said is one that is not."""
        return {name: value for name, value in self.config.items() if value != KEYS[name].reset}


@given(before=DOCUMENTS, after=DOCUMENTS, containers=st.booleans(), swarm=st.booleans())
def test_every_way_leads_there_and_containers_outlive_it(
    before: dict, after: dict, containers: bool, swarm: bool
) -> None:
    if swarm:
        before, after = ({k: v for k, v in doc.items() if k != "live-restore"} for doc in (before, after))
    daemon, fresh = Daemon(dict(before), containers), Daemon(dict(after))
    running = Running(True, (), bool(before.get("live-restore")), 2 if containers else 0, swarm)
    way = road.road(before, before, after, running)
    daemon.walk(way)
    assert daemon.effective == fresh.effective
    assert daemon.containers == (containers and not way.down)
    assert bool(way.down) == (containers and swarm and way.applied == RESTART)
    assert daemon.restarts == (way.applied == RESTART) <= bool(way.because)
    assert (way.applied == NOTHING_DONE) == (before == after) == (not way.stages)
    if way.stages:
        assert way.stages[-1].document == after


@given(proven=DOCUMENTS, here=DOCUMENTS, after=DOCUMENTS, live=st.booleans(), reloaded=st.booleans())
def test_after_a_run_that_was_killed_every_way_leads_there_too(
    proven: dict, here: dict, after: dict, live: bool, reloaded: bool
) -> None:
    """The daemon runs with what is proven, or has reloaded what the killed run had written."""
    daemon = Daemon(dict(proven))
    if live:
        daemon.config["live-restore"] = True
    if reloaded:
        daemon.reload(here)
    running = Running(True, (), bool(daemon.config.get("live-restore")), 2, False)
    daemon.walk(road.road(here, proven, after, running, unfinished=True))
    assert daemon.containers
    assert daemon.effective == Daemon(dict(after)).effective


@pytest.mark.parametrize(
    ("before", "after", "words", "because"),
    [
        ({}, {"debug": True}, "", []),
        ({"labels": ["a=1"]}, {}, "", []),
        ({}, {"log-driver": "local", "debug": True}, "", ["log-driver"]),
        ({}, {"features": {"buildkit": True}}, "", []),
        ({}, {"features": {"containerd-snapshotter": True}}, "", ["features"]),
        ({}, {"default-cgroupns-mode": "host"}, "", []),
        ({"default-cgroupns-mode": "host"}, {}, "", ["default-cgroupns-mode"]),
        ({}, {"runtimes": {"a": {}}}, "", []),
        ({}, {"runtimes": {"a": {}}}, "--add-runtime b=/b", ["runtimes"]),
        ({"runtimes": {"a": {}}}, {"runtimes": {"a": {}}, "debug": True}, "--add-runtime b=/b", ["runtimes"]),
        ({}, {"unknown-to-us": 1}, "", ["unknown-to-us"]),
    ],
)
def test_what_needs_a_restart(before: dict, after: dict, words: str, because: list[str]) -> None:
    running = Running(True, flags.parse(words.split()), False, 0, False)
    assert list(road.road(before, before, after, running).because) == because


def test_a_flag_of_live_restore_has_the_say() -> None:
    running = Running(True, flags.parse(["--live-restore=false"]), False, 2, False)
    way = road.road({}, {}, {"icc": False}, running)
    assert [stage.how for stage in way.stages] == [RESTART] and way.down == 2
    running = Running(True, flags.parse(["--live-restore"]), True, 2, False)
    way = road.road({}, {}, {"icc": False}, running)
    assert [stage.how for stage in way.stages] == [RESTART] and way.down == 0


def test_a_daemon_that_does_not_run() -> None:
    assert road.road({}, {}, {"icc": False}, Running()).applied == WRITTEN
    assert road.road({}, {}, {}, Running()).applied == NOTHING_DONE
    way = road.road({"icc": False}, {}, {"icc": False}, Running(), unfinished=True)
    assert way.applied == RESTART, "the run that was killed had ended it"


@pytest.mark.parametrize(
    ("here", "after", "broken", "step"),
    [
        ({"icc": False}, {"icc": False}, False, "start the daemon"),
        ({}, {"icc": False}, False, "write the file and start the daemon"),
        ({}, {}, True, "write the file and start the daemon"),
    ],
)
def test_a_daemon_that_does_not_run_and_is_to(here: dict, after: dict, broken: bool, step: str) -> None:
    way = road.road(here, here, after, Running(), start=True, broken=broken)
    assert [(stage.how, stage.step) for stage in way.stages] == [(RESTART, step)]
    assert way.applied == START and way.because == () and way.down == 0


def test_what_a_broken_file_has_said_goes_with_a_restart() -> None:
    daemon = Daemon({"debug": True, "icc": False})
    daemon.walk(road.road({}, {}, {}, Running(True, (), False, 2, False), broken=True))
    assert daemon.effective == Daemon({}).effective and daemon.containers and daemon.restarts == 1
    assert road.road({}, {}, {}, Running(), broken=True).applied == WRITTEN


def test_what_a_daemon_says_of_a_reload_is_compared() -> None:
    wanted = {
        "debug": True,
        "labels": ["a=1"],
        "max-concurrent-downloads": 0,
        "registry-mirrors": ["https://a"],
        "icc": False,
    }
    taken = {
        "debug": "true",
        "labels": '["a=1"]',
        "max-concurrent-downloads": "3",
        "registry-mirrors": '["https://a/"]',
    }
    assert untaken(wanted, taken) == []
    assert untaken(wanted, {**taken, "debug": "false", "labels": "[]"}) == ["debug", "labels"]
    assert untaken({"labels": []}, {"labels": '["a=1"]'}) == ["labels"]


def test_certificates_that_the_daemon_has_yet_to_read_take_a_restart_and_keep_containers() -> None:
    document = {"tlscert": "/etc/docker/tls/cert.pem"}
    found = road.road(document, document, document, Running(alive=True, containers=1), unread=["tlscert"])
    assert found.applied == road.RESTART and found.because == ("tlscert",) and found.down == 0
    assert found.stages[0].document == {**document, "live-restore": True} and found.stages[-1].document == document
    assert road.road(document, document, document, Running(alive=False), unread=[]).stages == ()
