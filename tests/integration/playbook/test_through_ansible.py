# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same through the real ansible-playbook: options as Ansible passes them, defaults set once, check mode, diff, failures."""

from __future__ import annotations

import pytest
from harness.engine import Engine
from harness.proxy import RecordingProxy
from harness.run import playbook

TASK = """
- name: Converge
  hosts: localhost
  gather_facts: false
  module_defaults:
    group/slipway.docker.docker:
      docker_host: {url}
  tasks:
    - name: Engine
      slipway.docker.engine_info:
    - name: Shop
      slipway.docker.containers:
        project: shop
        min_healthy_time: 0.2
        networks: [{{name: back}}]
        volumes: [{{name: data}}]
        containers:
          - name: web
            image: slipway-test/busybox:1
            command: ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]
            memory: {memory}
            published_ports: ["127.0.0.1:8080:80"]
            networks: [{{name: back}}]
            volumes: ["data:/data"]
            env:
              DB_PASSWORD: hunter2-canary
    - name: Web
      slipway.docker.container_info:
        name: web
"""


def test_check_apply_and_again(engine: Engine, proxy: RecordingProxy) -> None:
    text = TASK.format(url=proxy.url, memory="64m")
    foretold = playbook(text, "--check", "--diff")
    assert foretold.rc == 0, foretold.output
    assert not proxy.mutating
    plan = foretold.result("Shop")["plan"]
    applied = playbook(text, "--diff")
    assert applied.rc == 0, applied.output
    assert [action["line"] for action in applied.result("Shop")["actions"]] == plan
    assert applied.result("Web")["exists"]
    proxy.forget()
    again = playbook(text)
    assert "changed=0" in again.output and not proxy.mutating
    assert engine.inspect("container", "web")["HostConfig"]["Memory"] == 64 << 20
    for run in (foretold, applied, again):
        assert "hunter2-canary" not in run.output


def test_a_diff_is_readable(engine: Engine, proxy: RecordingProxy) -> None:
    playbook(TASK.format(url=proxy.url, memory="64m"))
    shown = playbook(TASK.format(url=proxy.url, memory="128m"), "--check", "--diff").output
    assert "container/web" in shown and "-memory" in shown and "+memory" in shown


def test_a_mistake_is_one_message(proxy: RecordingProxy) -> None:
    failed = playbook(TASK.format(url=proxy.url, memory="12x"))
    assert failed.rc == 2
    assert "containers.web.memory" in failed.result("Shop").msg
    assert "Traceback" not in failed.output
    assert not proxy.mutating


@pytest.mark.slow
def test_verbosity_does_not_show_secrets(proxy: RecordingProxy) -> None:
    text = TASK.format(url=proxy.url, memory="64m")
    assert "hunter2-canary" not in playbook(text, "-vvv", "--diff").output.replace("DB_PASSWORD: hunter2-canary", "")
