# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The quickstart on a bare host: app answers, again nothing changes, drift is planned and mended, and what is taken away is gone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.hosts import ROOT, Lab, changed

LAB = Lab("quick")
VARIABLES = ROOT / "build/collections/ansible_collections/slipway/docker/playbooks/vars/quickstart.yml"

pytestmark = [pytest.mark.molecule, pytest.mark.slow]


class Host:
    """A Debian host that nobody has touched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory.ini"
        self.inventory.write_text(LAB.inventory("quick"))

    def play(self, playbook: str, *arguments: str, status: int = 0) -> str:
        """Run a playbook of the collection from the controller, which ends with this exit status; return what it printed."""
        command = [f"slipway.docker.{playbook}", "-i", str(self.inventory)]
        common = ["-e", f"@{VARIABLES}", "-e", "quickstart_hosts=quick slipway_become=false"]
        return LAB.playbook(*command, *common, *arguments, folder=self.folder, status=status, seconds=900)

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command on the host, by something that is not under test."""
        return LAB.docker("exec", "quick", *command, check=check, seconds=60)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host in a lab of its own."""
    for _ in LAB.up("quick=bookworm"):
        yield Host(tmp_path_factory.mktemp("quickstart"))


def test_it_answers_and_the_second_run_changes_nothing(host: Host) -> None:
    first = host.play("quickstart")
    assert "+ container/quickstart-web" in first
    assert "You are visitor 1." in first
    assert changed(host.play("quickstart")) == 0
    published = json.loads(host.run("docker", "inspect", "quickstart-web"))[0]["HostConfig"]["PortBindings"]
    assert published == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}


def test_drift_is_planned_and_mended(host: Host) -> None:
    host.run("docker", "update", "--restart", "no", "quickstart-api")
    host.play("plan", "-e", "plan_file=drift.json")
    plan = json.loads((host.folder / "drift.json").read_text())
    assert plan["hosts"]["quick"]["plan"] == ["~ container/quickstart-api   restart_policy: no -> unless-stopped"]
    assert plan["hosts"]["quick"]["plan"][0] in (host.folder / "drift.md").read_text()
    assert changed(host.play("quickstart")) == 1
    host.play("drift", "-e", "slipway_engine=true")


def test_one_changed_line_replaces_one_container(host: Host) -> None:
    said = host.play("quickstart", "-e", "quickstart_greeting=Ahoy")
    assert "± container/quickstart-api   env.GREETING: Hello from three containers -> Ahoy" in said
    assert re.search(r"Ahoy\. You are visitor [2-9]\.", said)


def test_data_goes_only_by_name(host: Host) -> None:
    host.play("teardown")
    assert host.run("docker", "ps", "--all", "--quiet") == ""
    assert host.run("docker", "volume", "ls", "--quiet").split() == ["quickstart-data"]
    host.play("teardown", "-e", '{"slipway_destroy": {"volumes": ["quickstart-data"]}}')
    assert host.run("docker", "volume", "ls", "--quiet") == ""
