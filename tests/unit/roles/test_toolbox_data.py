# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role toolbox: what its machines are declared with."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import variables
import yaml

ROLE = Path(__file__).parents[3] / "roles" / "toolbox"
FACTS = {
    "ansible_facts": {"user_dir": "/home/ana", "user_uid": 1000},
    "machine_ssh_public_key": "ssh-ed25519 AAAA",
    "small_linux_boot": {"kernel": {"checksum": "sha256:ab"}},
}
DATA = {"name": "data", "size": "20g"}


def rendered(text: str, **more: Any) -> Any:
    """A text with the role's own variables in it."""
    return variables.rendered("toolbox", text, **{**FACTS, **more})


def declared(*machines: dict, **more: Any) -> dict[str, dict]:
    """What the role machine is given, by name."""
    whole = rendered("{{ __toolbox_whole }}", toolbox_machines=list(machines), **more)
    return {machine["name"]: machine for machine in whole}


def test_what_a_machine_does_not_say_the_role_says_for_it() -> None:
    assert declared({"name": "work", "memory": "4g"})["work"] == {
        "name": "work",
        "state": "running",
        "boot": {"kernel": {"checksum": "sha256:ab"}},
        "cpus": 2,
        "memory": "4g",
        "disks": [DATA],
        "networks": [{"network": "toolbox"}],
        "seed": {"ssh_keys": ["ssh-ed25519 AAAA"]},
        "autostart": True,
        "timeout": 300,
    }


@pytest.mark.parametrize(
    ("said", "seed"),
    [
        ({"files": {"daemon.json": "{}"}}, {"ssh_keys": ["ssh-ed25519 AAAA"], "files": {"daemon.json": "{}"}}),
        ({"ssh_keys": ["ssh-ed25519 BBBB"]}, {"ssh_keys": ["ssh-ed25519 AAAA", "ssh-ed25519 BBBB"]}),
        ({"ssh_keys": ["ssh-ed25519 AAAA"]}, {"ssh_keys": ["ssh-ed25519 AAAA"]}),
    ],
)
def test_the_key_opens_a_machine_whatever_else_its_seed_has(said: dict, seed: dict) -> None:
    assert declared({"name": "work", "seed": said})["work"]["seed"] == seed


@pytest.mark.parametrize(
    ("said", "disks"),
    [
        ([{"name": "more", "size": "1g"}], [DATA, {"name": "more", "size": "1g"}]),
        ([{"name": "data", "size": "90g"}], [{"name": "data", "size": "90g"}]),
        (
            [{"name": "more", "size": "1g"}, {"name": "data", "size": "90g"}],
            [{"name": "more", "size": "1g"}, {"name": "data", "size": "90g"}],
        ),
        ([], [DATA]),
    ],
)
def test_the_disk_for_what_the_engine_stores_stays_beside_others(said: list, disks: list) -> None:
    machines = declared({"name": "work", "disks": said}, {"name": "try"})
    assert machines["work"]["disks"] == disks
    assert machines["try"]["disks"] == [DATA], "and what one says is of that one alone"


def test_an_image_of_its_own_is_not_mixed_with_that_of_the_others() -> None:
    boot = {"kernel": {"source": "/srv/vmlinuz", "checksum": "sha256:cd"}}
    machines = declared({"name": "work", "boot": boot, "networks": [{"network": "lab"}]})
    assert machines["work"]["boot"] == boot
    assert machines["work"]["networks"] == [{"network": "lab"}]


def test_of_a_machine_that_goes_no_more_is_asked_than_its_name_and_disk() -> None:
    gone = {"name": "work", "state": "absent", "disks": [DATA]}
    assert declared({"name": "work", "state": "absent"}, {"name": "try"})["work"] == gone
    assert declared({"name": "work"}, toolbox_state="absent") == {"work": gone}


@pytest.mark.parametrize(
    ("machines", "current"),
    [
        ([{"name": "work"}, {"name": "try"}], "work"),
        ([{"name": "work", "state": "absent"}, {"name": "try"}], "try"),
        ([{"name": "work", "state": "stopped"}, {"name": "try", "state": "restarted"}], "try"),
        ([{"name": "work", "state": "stopped"}], ""),
        ([{"name": "work", "state": "absent"}], ""),
        ([], ""),
    ],
)
def test_a_plain_docker_reaches_the_first_that_is_to_run(machines: list, current: str) -> None:
    assert rendered("{{ toolbox_current }}", toolbox_machines=machines) == current


@pytest.mark.parametrize(
    ("current", "right"), [("work", True), ("", True), ("wrok", False), ("gone", False), ("off", True)]
)
def test_a_machine_that_is_not_kept_is_not_reached(current: str, right: bool) -> None:
    task = next(task for task in yaml.safe_load((ROLE / "tasks" / "main.yml").read_text()) if "assert" in str(task))
    wanted = task["ansible.builtin.assert"]
    machines = [{"name": "work"}, {"name": "gone", "state": "absent"}, {"name": "off", "state": "stopped"}]
    told = {"toolbox_machines": machines, "toolbox_current": current}
    assert rendered(f"{{{{ {wanted['that']} }}}}", **told) is right
    message = rendered(wanted["fail_msg"], **told)
    assert message.startswith(f"toolbox_current: '{current}' is not") and "write one of work, off, or ''" in message


@pytest.mark.parametrize(
    ("become", "uid", "places"),
    [
        (True, 1000, ["/var/lib/slipway/small-linux", "/var/cache/slipway/small-linux"]),
        (False, 0, ["/var/lib/slipway/small-linux", "/var/cache/slipway/small-linux"]),
        (False, 1000, ["/home/ana/.local/share/slipway/toolbox", "/home/ana/.cache/slipway/small-linux"]),
    ],
)
def test_an_image_is_built_where_its_builder_may(become: bool, uid: int, places: list[str]) -> None:
    facts = {"user_dir": "/home/ana", "user_uid": uid}
    found = rendered("{{ __toolbox_place }}", toolbox_become=become, ansible_facts=facts)
    assert list(found.values()) == places


def test_the_image_that_goes_is_the_one_that_was_built_here() -> None:
    note = b64encode(json.dumps({"files": {"vmlinuz": "ab", "initrd": "cd"}}).encode()).decode()
    assert rendered("{{ __toolbox_digests }}", __toolbox_slurped={"content": note}) == ["ab", "cd"]
    assert rendered("{{ __toolbox_digests }}", __toolbox_slurped={"failed": False, "msg": "there is none"}) == []
