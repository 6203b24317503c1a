# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The quickstart on a bare host: app answers, again nothing changes, drift is planned and mended, and what is taken away is gone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HOSTS = ROOT / "tests" / "hosts"
LAB = "quick"
STATE = Path(os.environ.get("SLIPWAY_LAB_ROOT", "/var/tmp")) / f"slipway-mol-{LAB}"
# The inventory of a host whose only way in is ssh, as any host's.
ADDRESS = (
    f"quick ansible_user=root ansible_ssh_private_key_file={STATE}/key ansible_ssh_common_args='"
    f"-o UserKnownHostsFile={STATE}/known_hosts -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    f' -o ProxyCommand="{HOSTS}/door %h"\'\n'
)
VARIABLES = ROOT / "build/collections/ansible_collections/slipway/docker/playbooks/vars/quickstart.yml"

pytestmark = [pytest.mark.molecule, pytest.mark.slow]


def environment() -> dict[str, str]:
    """The environment of everything that is run here."""
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "SLIPWAY_LAB": LAB,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "NO_COLOR": "1",
    }


class Host:
    """A Debian host that nobody has touched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory.ini"
        self.inventory.write_text(ADDRESS)

    def play(self, playbook: str, *arguments: str, status: int = 0) -> str:
        """Run a playbook of the collection from the controller, which ends with this exit status; return what it printed."""
        command = [str(BIN / "ansible-playbook"), f"slipway.docker.{playbook}", "-i", str(self.inventory)]
        common = ["-e", f"@{VARIABLES}", "-e", "quickstart_hosts=quick slipway_become=false"]
        done = subprocess.run(
            [*command, *common, *arguments],
            cwd=self.folder,
            env={**environment(), "PWD": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == status, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command on the host, by something that is not under test."""
        socket = f"unix://{STATE}/docker.sock"
        return subprocess.run(
            ["docker", "-H", socket, "exec", "quick", *command],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        ).stdout


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host in a lab of its own."""
    done = subprocess.run(
        [str(HOSTS / "up"), "quick=bookworm"], env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    yield Host(tmp_path_factory.mktemp("quickstart"))
    subprocess.run([str(HOSTS / "down")], env=environment(), check=False)


def changed(said: str) -> int:
    """How many tasks changed something, by the recap."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", said))


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
