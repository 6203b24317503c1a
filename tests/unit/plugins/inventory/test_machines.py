# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines as hosts: what the inventory says of recorded hypervisors."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader

from ansible_collections.slipway.docker.plugins.inventory import machines
from ansible_collections.slipway.docker.plugins.plugin_utils import hypervisor

from ..fake_libvirt import libvirt, libvirt_qemu

FAKE = Path(libvirt.__file__).parent
WEB = (FAKE / "recorded" / "web.xml").read_text()
BACK = (FAKE / "recorded" / "back.xml").read_text()
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINUt3jodEHy17cGgnz7waU+hnj+4jCEI4HR9YPEvDcfe"
URI = "qemu:///system"
AGENT, ARP = "1", "2"


class Machines(machines.InventoryModule):
    """The plugin with its options at hand, and warnings to look at."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        documented = yaml.safe_load(machines.DOCUMENTATION)["options"]
        defaults = {name: option.get("default") for name, option in documented.items()}
        constructed = {"strict": True, "compose": {}, "groups": {}, "keyed_groups": [], "cache": False}
        self.given = {**defaults, **constructed, **options}
        self.warnings: list[str] = []
        self.display = self

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def vvv(self, text: str) -> None:
        pass

    def get_option(self, name: str, hostvars: Any = None) -> Any:
        return self.given[name]

    def get_cache_key(self, path: str) -> str:
        return path

    def _read_config_data(self, path: str) -> None:
        pass


def lease(ip: str, seconds: int, mac: str = "52:54:00:0a:5d:01") -> dict[str, Any]:
    return {"expirytime": int(time.time()) + seconds, "mac": mac, "ipaddr": ip, "type": 0, "prefix": 24}


def interface(ip: str, mac: str) -> dict[str, Any]:
    return {"hwaddr": mac, "addrs": [{"type": 0, "addr": ip, "prefix": 24}]}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A hypervisor with one machine that runs, and a stranger's."""
    stranger = "<domain type='kvm'><name>other</name></domain>"
    known = {
        "domains": {"other": {"xml": stranger}, "web": {"xml": WEB}},
        "networks": {"back": {"xml": BACK, "leases": [lease("10.93.0.57", 3600)]}},
    }
    monkeypatch.setattr(hypervisor, "libvirt", libvirt)
    monkeypatch.setattr(hypervisor, "libvirt_qemu", libvirt_qemu)
    monkeypatch.setattr(libvirt, "HOSTS", {URI: known})
    monkeypatch.setattr(libvirt, "CLOSED", [])
    return known


def parsed(plugin: Machines, cache: bool = True) -> InventoryData:
    inventory = InventoryData()
    plugin.parse(inventory, DataLoader(), "/x/machines.yml", cache=cache)
    return inventory


def of(inventory: InventoryData, name: str = "web") -> dict[str, Any]:
    return inventory.get_host(name).vars


def groups(inventory: InventoryData, name: str = "web") -> set[str]:
    return {group.name for group in inventory.get_host(name).get_groups()} - {"all"}


def test_a_machine_is_a_host_with_all_that_is_known_of_it(host: dict[str, Any]) -> None:
    inventory = parsed(Machines())
    assert set(inventory.hosts) == {"web"}
    known = of(inventory)
    assert (known["ansible_host"], known["ansible_port"]) == ("10.93.0.57", 22)
    assert known["ansible_user"] == "debian"
    assert known["slipway_machine_name"] == "web" and known["slipway_machine_uri"] == URI
    assert known["slipway_machine"] == {
        "name": "web",
        "uuid": "6f5b2a0e-3c1d-5f7a-9b8e-2d4c6a8e0f12",
        "state": "running",
        "uri": URI,
        "project": "shop",
        "networks": ["back", "br0"],
        "addresses": ["10.93.0.57"],
        "port": 22,
        "macs": ["52:54:00:0a:5d:01", "52:54:00:0a:5d:02"],
        "labels": {"role": "front", "note": "{{ lookup('pipe', 'id') }}"},
        "image": "sha256:4fe9a3c2f1b0d8e7a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3",
        "memory": 1 << 30,
        "cpus": 1,
        "host_key": KEY,
    }
    assert groups(inventory) == {
        "machines",
        "machines_state_running",
        "machines_project_shop",
        "machines_network_back",
        "machines_network_br0",
    }
    assert libvirt.CLOSED == [URI]


def test_its_host_key_is_pinned_whatever_ansible_cfg_says(host: dict[str, Any]) -> None:
    known = of(parsed(Machines()))
    arguments = shlex.split(known["ansible_ssh_args"])
    assert arguments[:2] == ["-o", "StrictHostKeyChecking=yes"], "of two, ssh takes the first"
    assert f"KnownHostsCommand=/bin/echo %H {KEY}" in arguments
    assert "ControlMaster=auto" in arguments
    assert known["ansible_host_key_checking"] is True
    assert "ansible_ssh_common_args" not in known


@pytest.mark.parametrize("label", ["", "ssh-ed25519 AAAA' -o 'ProxyCommand=touch /tmp/x"])
def test_without_a_host_key_there_are_no_ssh_arguments_but_a_warning(host: dict[str, Any], label: str) -> None:
    host["domains"]["web"]["xml"] = WEB.replace(KEY, label)
    plugin = Machines(proxy_jump="root@hv")
    known = of(parsed(plugin))
    assert not [name for name in known if name.startswith("ansible_ssh") or "key_checking" in name]
    assert len(plugin.warnings) == 1 and "no SSH host key" in plugin.warnings[0]
    assert known["slipway_machine"]["host_key"] == ""


def test_a_reservation_comes_before_a_lease(host: dict[str, Any]) -> None:
    host["networks"]["back"]["xml"] = BACK.replace("0A:5D:09", "0a:5d:01")
    assert of(parsed(Machines()))["ansible_host"] == "10.93.0.10"


USER_CARD = """
  <qemu:commandline>
    <qemu:arg value='-netdev'/>
    <qemu:arg value='user,id=slipway-net-2,hostfwd=tcp::8080-:80,hostfwd=tcp:{}:60022-:22'/>
    <qemu:arg value='-device'/>
    <qemu:arg value='virtio-net-pci,netdev=slipway-net-2,id=slipway-net-2,mac=52:54:00:0a:5d:03,addr=0x10'/>
  </qemu:commandline>
</domain>"""


@pytest.mark.parametrize(
    ("bound", "reached"), [("127.0.0.1", "127.0.0.1"), ("", "127.0.0.1"), ("192.0.2.9", "192.0.2.9")]
)
def test_a_port_of_the_host_that_leads_to_ssh_comes_first_whether_it_runs_or_not(
    host: dict[str, Any], bound: str, reached: str
) -> None:
    text = WEB.replace("<domain ", "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' ")
    host["domains"]["web"]["xml"] = text.replace("</domain>", USER_CARD.format(bound))
    known = of(parsed(Machines()))
    assert (known["ansible_host"], known["ansible_port"]) == (reached, 60022)
    assert known["slipway_machine"]["addresses"] == [reached, "10.93.0.57"]
    assert known["slipway_machine"]["macs"][2] == "52:54:00:0a:5d:03"
    host["domains"]["web"]["state"] = 5
    known = of(parsed(Machines()))
    assert (known["ansible_host"], known["ansible_port"]) == (reached, 60022)


def test_a_lease_that_has_expired_is_no_address(host: dict[str, Any]) -> None:
    host["networks"]["back"]["leases"] = [lease("10.93.0.57", -1)]
    host["domains"]["web"]["addresses"] = {AGENT: {"eth0": interface("10.93.0.60", "52:54:00:0a:5d:01")}}
    assert of(parsed(Machines()))["ansible_host"] == "10.93.0.60"


def test_a_card_on_a_bridge_is_found_by_the_agent_and_else_by_arp(host: dict[str, Any]) -> None:
    host["domains"]["web"]["addresses"] = {
        AGENT: {"docker0": interface("172.17.0.1", "02:42:00:00:00:01")},
        ARP: {"vnet1": interface("192.0.2.7", "52:54:00:0a:5d:02")},
    }
    assert of(parsed(Machines()))["slipway_machine"]["addresses"] == ["10.93.0.57", "192.0.2.7"]
    assert host["domains"]["web"]["asked"] == [int(AGENT), int(ARP)]


def test_an_agent_that_is_not_connected_is_not_asked(host: dict[str, Any]) -> None:
    host["domains"]["web"]["xml"] = WEB.replace("'connected'", "'disconnected'")
    parsed(Machines())
    assert host["domains"]["web"]["asked"] == [int(ARP)]


def test_a_driver_that_knows_no_leases_and_a_network_that_is_gone_are_no_failure(host: dict[str, Any]) -> None:
    del host["networks"]["back"]["leases"]
    assert "ansible_host" not in of(parsed(Machines()))
    host["networks"].clear()
    assert "ansible_host" not in of(parsed(Machines()))


def test_of_a_machine_that_does_not_run_only_a_reservation_is_known(host: dict[str, Any]) -> None:
    host["domains"]["web"]["state"] = 5
    inventory = parsed(Machines())
    assert "ansible_host" not in of(inventory)
    assert "machines_state_stopped" in groups(inventory)
    host["networks"]["back"]["xml"] = BACK.replace("0A:5D:09", "0a:5d:01")
    assert of(parsed(Machines()))["ansible_host"] == "10.93.0.10"


def test_machines_are_left_out_by_state_and_by_project(host: dict[str, Any]) -> None:
    host["domains"]["web"]["state"] = 5
    assert set(parsed(Machines()).hosts) == {"web"}
    assert not parsed(Machines(only_running=True)).hosts
    assert not parsed(Machines(project="blog")).hosts
    assert set(parsed(Machines(project="shop")).hosts) == {"web"}


def test_a_machine_that_goes_meanwhile_is_not_there(host: dict[str, Any]) -> None:
    host["domains"]["web"]["gone"] = True
    inventory = parsed(Machines())
    assert not inventory.hosts and "machines" in inventory.groups


def test_a_user_and_a_key_can_be_given(host: dict[str, Any]) -> None:
    known = of(parsed(Machines(user="admin", private_key="/k")))
    assert known["ansible_user"] == "admin" and known["ansible_ssh_private_key_file"] == "/k"


@pytest.mark.parametrize(
    ("uri", "option", "jump"),
    [
        (URI, None, ""),
        (URI, "root@gate", "root@gate"),
        ("qemu+ssh://root@hv:2222/system", None, "root@hv:2222"),
        ("qemu+ssh://root@hv/system", "none", ""),
        ("qemu+ssh://root@hv/system", "gate,root@hv", "gate,root@hv"),
    ],
)
def test_machines_are_reached_through_the_host_of_their_hypervisor(
    host: dict[str, Any], uri: str, option: str | None, jump: str
) -> None:
    libvirt.HOSTS[uri] = host
    known = of(parsed(Machines(uri=[uri], proxy_jump=option)))
    assert known.get("ansible_ssh_common_args", "") == (f"-o ProxyJump={jump}" if jump else "")


def test_a_jump_that_is_no_host_is_refused(host: dict[str, Any]) -> None:
    with pytest.raises(AnsibleParserError, match="is no host"):
        parsed(Machines(proxy_jump="-oProxyCommand=id"))


def test_two_machines_with_one_name_are_refused(host: dict[str, Any]) -> None:
    libvirt.HOSTS["qemu:///session"] = host
    with pytest.raises(
        AnsibleParserError, match=r"two machines have the name web, one at .*system and one at .*session"
    ):
        parsed(Machines(uri=[URI, "qemu:///session"]))


def test_a_name_that_no_host_can_have_is_left_out_with_a_warning(host: dict[str, Any]) -> None:
    host["domains"]["web"]["xml"] = WEB.replace("<name>web</name>", "<name>-oProxyCommand</name>")
    plugin = Machines()
    assert not parsed(plugin).hosts
    assert "is left out" in plugin.warnings[0]


def test_a_hypervisor_that_does_not_answer_is_named(host: dict[str, Any]) -> None:
    with pytest.raises(
        AnsibleParserError, match=r"the hypervisor qemu\+ssh://hv9/system cannot be reached: .*libvirtd"
    ):
        parsed(Machines(uri=[URI, "qemu+ssh://hv9/system"]))
    assert libvirt.CLOSED == [URI]


def test_a_missing_library_is_named_with_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hypervisor, "libvirt", None)
    monkeypatch.setattr(hypervisor, "MISSING", "No module named 'libvirt'", raising=False)
    with pytest.raises(AnsibleParserError, match=r"install python3-libvirt .*pip install libvirt-python"):
        parsed(Machines())


def test_the_cache_answers_the_same_question_only(host: dict[str, Any]) -> None:
    kept: dict[str, Any] = {}

    def asked(cache: bool = True, **options: Any) -> InventoryData:
        plugin = Machines(**{"cache": True, **options})
        plugin._cache = kept
        inventory = parsed(plugin, cache=cache)
        json.dumps(kept)
        return inventory

    first = of(asked())
    host["domains"]["web"]["state"] = 5
    assert of(asked()) == first, "from the cache"
    assert len(libvirt.CLOSED) == 1
    assert not asked(project="blog").hosts, "another question"
    assert of(asked())["slipway_machine"]["state"] == "stopped"
    host["domains"]["web"]["state"] = 1
    assert of(asked(cache=False)) == first, "refreshed"
    assert of(asked()) == first


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("machines.yml", True),
        ("machines.yaml", True),
        ("shop.machines.yml", True),
        ("shop.machines.yaml", True),
        ("mymachines.yml", False),
        ("machines.json", False),
        ("hosts.yml", False),
    ],
)
def test_the_name_says_whose_the_file_is(tmp_path: Path, name: str, ours: bool) -> None:
    (tmp_path / name).touch()
    assert Machines().verify_file(str(tmp_path / name)) is ours
    assert not Machines().verify_file(str(tmp_path / "no" / name))


def test_ansible_reads_it_and_templates_nothing_of_it(tmp_path: Path) -> None:
    known = {
        "domains": {"web": {"xml": WEB}},
        "networks": {"back": {"xml": BACK, "leases": [lease("10.93.0.57", 3600)]}},
    }
    (tmp_path / "host.json").write_text(json.dumps(known))
    asked = {
        "plugin": "slipway.docker.machines",
        "uri": f"fake://{tmp_path}/host.json",
        "strict": True,
        "compose": {"note": "slipway_machine.labels.note"},
        "groups": {"small": "slipway_machine.memory < 2147483648"},
        "keyed_groups": [{"prefix": "role", "key": "slipway_machine.labels.role"}],
        "cache": True,
        "cache_plugin": "jsonfile",
        "cache_connection": str(tmp_path / "cache"),
    }
    source = tmp_path / "shop.machines.yml"
    source.write_text(json.dumps(asked))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(Path(machines.__file__).parents[5]),
        "PYTHONPATH": str(FAKE),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    command = [str(Path(sys.executable).parent / "ansible"), "web", "-i", str(source), "-m", "debug"]
    question = json.dumps({"msg": "{{ note }} {{ group_names }} {{ ansible_host }} {{ slipway_machine.labels.note }}"})
    for _ in range(2):
        done = subprocess.run([*command, "-a", question], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert "uid=" not in done.stdout
        for word in ("lookup('pipe', 'id')", "'role_front'", "'small'", "'machines_network_back'", "10.93.0.57"):
            assert word in done.stdout.replace('\\"', "'")
        (tmp_path / "host.json").unlink(missing_ok=True)  # the second time, the cache knows
