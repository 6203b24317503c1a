# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role `engine` declares of daemon.json: the profile, what the role needs, and what the user says, rendered by Ansible itself."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import yaml
from conftest import INSTALLED
from harness.run import ansible_playbook

ROLE = INSTALLED / "roles" / "engine"
STANDARD = {
    "icc": False,
    "live-restore": True,
    "log-driver": "local",
    "log-level": "info",
    "log-opts": {"max-file": "5", "max-size": "10m"},
}
MORE = {
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 16384}},
    "no-new-privileges": True,
    "userland-proxy": False,
    "userns-remap": "default",
}
LOCAL = {"log-driver": "local", "log-opts": {"max-size": "1m"}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "standard": ({}, STANDARD),
    "hardened": ({"engine_profile": "hardened"}, {**STANDARD, **MORE}),
    "the user adds": ({"engine_daemon_config": {"debug": True}}, {**STANDARD, "debug": True}),
    "each key counts whole": ({"engine_daemon_config": LOCAL}, {**STANDARD, **LOCAL}),
    "null takes a key out": (
        {"engine_profile": "hardened", "engine_daemon_config": {"userns-remap": None, "icc": None}},
        {k: v for k, v in {**STANDARD, **MORE}.items() if k not in ("userns-remap", "icc")},
    ),
    "another log driver has options of its own": (
        {"engine_daemon_config": {"log-driver": "journald"}},
        {**{k: v for k, v in STANDARD.items() if k != "log-opts"}, "log-driver": "journald"},
    ),
    "the role stands between": (
        {"__engine_role_config": {"tlsverify": True, "icc": True}, "engine_daemon_config": {"tlsverify": False}},
        {**STANDARD, "tlsverify": False, "icc": True},
    ),
    "a node of a swarm": (
        {"__engine_answer": {"stdout": '{"ServerVersion": "1", "Swarm": {"LocalNodeState": "active"}}'}},
        {k: v for k, v in STANDARD.items() if k != "live-restore"},
    ),
    "a node of a swarm that does not run": (
        {"__engine_member": {"stat": {"exists": True}}},
        {k: v for k, v in STANDARD.items() if k != "live-restore"},
    ),
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each case comes to, all in one run."""
    folder = tmp_path_factory.mktemp("config")
    found = {
        "__engine_binary": {"stdout_lines": ["/usr/sbin/dockerd"]},
        "__engine_answer": {"stdout": ""},
        "__engine_member": {"stat": {"exists": False}},
    }
    tasks = [
        {"ansible.builtin.set_fact": {f"case_{number}": "{{ __engine_config | to_json }}"}, "vars": {**found, **said}}
        for number, (said, _wanted) in enumerate(CASES.values())
    ]
    content = "\n".join(f"{{{{ case_{number} | from_json | to_json }}}}" for number in range(len(CASES)))
    tasks.append({"ansible.builtin.copy": {"content": content, "dest": str(folder / "said")}})
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults" / "main.yml"), *map(str, sorted((ROLE / "vars" / "main").glob("*.yml")))],
        "tasks": tasks,
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    line = ["-i", "localhost,", "-c", "local", "play.yml", "-e", f"ansible_python_interpreter={sys.executable}"]
    done = ansible_playbook(*line, directory=folder, seconds=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return dict(zip(CASES, map(json.loads, (folder / "said").read_text().splitlines())))


@pytest.mark.parametrize("case", CASES)
def test_what_is_declared(rendered: dict[str, Any], case: str) -> None:
    assert rendered[case] == CASES[case][1]
