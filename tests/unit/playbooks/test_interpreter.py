# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""With which Python the modules run on a workstation: that of the system, unless somebody has said another."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from harness.run import ansible_playbook

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
NAMED = {"localhost": {"ansible_connection": "local"}}
SAID = {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": "/opt/python"}}


@pytest.mark.parametrize(
    ("hosts", "options", "wanted"),
    [
        ({"other": None}, [], "/usr/bin/python3"),
        ({"other": None}, ["-e", "slipway_python=/opt/python"], "/opt/python"),
        ({"other": None}, ["-e", "ansible_python_interpreter=/opt/python"], "/opt/python"),
        (NAMED, [], "what Ansible finds"),
        (SAID, [], "/opt/python"),
        (SAID, ["-e", "slipway_python=/usr/bin/python3"], "/opt/python"),
    ],
)
def test_what_an_inventory_says_stays(hosts: dict, options: list[str], wanted: str, tmp_path: Path) -> None:
    found = "ansible_python_interpreter | default('what Ansible finds')"
    tasks = [
        {"ansible.builtin.import_tasks": str(PLAYBOOKS / "tasks" / "interpreter.yml")},
        {"ansible.builtin.assert": {"that": f"{found} == wanted", "fail_msg": "{{ " + found + " }}"}},
    ]
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"wanted": wanted}, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    done = ansible_playbook("-i", "hosts.yml", "play.yml", *options, directory=tmp_path, seconds=180)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["desktop", "toolbox"])
def test_a_playbook_for_this_host_sees_to_it_first(name: str) -> None:
    (play,) = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text())
    assert play["tasks"][0]["ansible.builtin.import_tasks"] == "tasks/interpreter.yml"
