# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role desktop: the service of a user's systemd, and what the machine is declared with on each hypervisor."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import variables
import yaml

ROLE = Path(__file__).parents[3] / "roles" / "desktop"
FACTS = {
    "ansible_facts": {"user_dir": "/home/ana", "user_uid": 1000, "architecture": "x86_64"},
    "machine_ssh_public_key": "ssh-ed25519 AAAA",
}


def rendered(text: str, **more: Any) -> Any:
    """A text with the role's own variables in it."""
    return variables.rendered("desktop", text, **{**FACTS, "ansible_managed": "Kept", **more})


def test_the_service_runs_the_program_for_as_long_as_the_session() -> None:
    unit = ConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(rendered((ROLE / "templates" / "desktop.service.j2").read_text()))
    place = "/home/ana/.local/share/slipway/desktop/desktop"
    assert unit["Service"]["ExecStart"] == f"/usr/bin/env python3 {place}/slipway_desktop run {place}/config.json"
    assert unit["Service"]["Restart"] == "always"
    assert unit["Service"]["KillMode"] == "process", "a machine that it has started is one of its processes"
    assert unit["Install"]["WantedBy"] == "default.target"


@pytest.mark.parametrize(
    ("uri", "card", "image"),
    [
        ("qemu:///session", {"user": True, "ports": ["127.0.0.1:60022:22"]}, "/home/ana/.local/share/slipway/small-linux"),
        ("qemu:///system", {"network": "desktop"}, "/var/lib/slipway/small-linux"),
        ("qemu:///session?socket=/run/x", {"user": True, "ports": ["127.0.0.1:60022:22"]}, "/home/ana/.local/share/slipway/small-linux"),
    ],
)  # fmt: skip
def test_a_hypervisor_of_the_users_own_has_no_networks(uri: str, card: dict, image: str) -> None:
    machine = rendered("{{ __desktop_machine }}", desktop_uri=uri)
    assert machine["networks"] == [card]
    assert machine["folders"] == [{"source": "/home/ana"}]
    assert rendered("{{ __desktop_image_directory }}", desktop_uri=uri) == image


@pytest.mark.parametrize(
    ("uri", "state", "autostart"),
    [("qemu:///session", "present", None), ("qemu:///system", "present", True), ("qemu:///system", "stopped", False)],
)
def test_a_machine_of_the_systems_hypervisor_starts_with_the_host(uri: str, state: str, autostart: bool | None) -> None:
    machine = rendered("{{ __desktop_machine }}", desktop_uri=uri, desktop_state=state)
    assert machine.get("autostart") is autostart


@pytest.mark.parametrize(
    ("architecture", "folders", "firmware"),
    [
        ("x86_64", [{"source": "/home/ana"}], None),
        ("aarch64", [{"source": "/home/ana"}], "efi"),
        ("arm64", [{"source": "/home/ana"}], "efi"),
        ("aarch64", [], None),
    ],
)
def test_folders_on_arm64_need_uefi(architecture: str, folders: list, firmware: str | None) -> None:
    facts = {**FACTS["ansible_facts"], "architecture": architecture}
    machine = rendered("{{ __desktop_machine }}", ansible_facts=facts, desktop_folders=folders)
    assert machine.get("firmware") == firmware


def test_the_user_is_looked_at_and_not_root() -> None:
    """Also where the play becomes root."""
    tasks = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
    looks = [task for task in tasks if {"ansible.builtin.setup", "ansible.builtin.stat"} & set(task)]
    assert len(looks) == 2
    assert [task["become"] for task in looks] == [False, False]
    facts = dict.fromkeys(["architecture", "os_family", "pkg_mgr", "user_dir"], "x")
    assert rendered(f"{{{{ {looks[0]['when']} }}}}", ansible_facts=facts) is False, "what is known is not asked for"
    assert rendered(f"{{{{ {looks[0]['when']} }}}}", ansible_facts={}) is True


def test_of_a_machine_that_goes_no_more_is_asked_than_its_name_and_disk() -> None:
    machine = rendered("{{ __desktop_machine }}", desktop_state="absent")
    assert machine == {"name": "desktop", "state": "absent", "disks": [{"name": "data", "size": "60g"}]}
