# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a playbook says when it is done."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

TEMPLATES = Path(__file__).parents[3] / "playbooks" / "templates"
FOUND = {
    "ansible_check_mode": False,
    "machine_result": {"plan": []},
    "desktop_result": {"name": "desktop", "status": "python3 program status"},
    "toolbox_hosts": [{"name": "toolbox", "address": "192.168.99.100"}],
}


def said(name: str, **found: object) -> str:
    text = (TEMPLATES / f"{name}.txt.j2").read_text()
    return Templar(DataLoader(), variables={**FOUND, **found}).template(trust_as_template(text))


@pytest.mark.parametrize("name", ["desktop", "toolbox"])
def test_a_workstation_without_docker_is_told_where_it_is(name: str) -> None:
    assert "docker-cli of Debian 13" in said(name, slipway_client={"rc": 127})
    assert "docker run" in said(name, slipway_client={"rc": 0})
    assert "docker-cli" not in said(name, slipway_client={"rc": 0})


def test_a_machine_that_is_pasted_is_reached() -> None:
    """What is printed is a machine, whole: it has a card, or nobody would get an address to wait for."""
    boot = {"kernel": {"checksum": "sha256:ab"}, "initrd": {"checksum": "sha256:cd"}, "cmdline": "quiet"}
    image = {"reason": "", "engine": "26.1.5", "kernel": "6.12", "packages": 90}
    text = said("small_linux", small_linux_boot=boot, small_linux_image=image)
    (machine,) = yaml.safe_load(text.rpartition("\nDocker ")[0])
    assert machine["boot"] == boot
    assert machine["networks"] == [{"network": "default"}]
    assert set(machine) == {"name", "boot", "memory", "disks", "networks", "seed"}
