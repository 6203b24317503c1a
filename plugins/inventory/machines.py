# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inventory of the machines on hypervisors, each pinned to its host key."""

from __future__ import annotations

DOCUMENTATION = r"""
name: machines
short_description: Machines of libvirt hypervisors as hosts
version_added: 0.1.0
description:
  - Gives every virtual machine that M(slipway.docker.machines) or M(slipway.docker.machine) keeps as a host, with its address, its user, and
    SSH arguments that take the machine's own host key and no other. Machines of other owners are not shown.
  - The file's name must be V(machines.yml), or end with V(.machines.yml); V(.yaml) is as good.
  - The address is the first of these - one of the hypervisor's host from where a port leads to SSH in the guest, what the DHCP server of its network
    keeps for its MAC, a lease for its MAC that has not expired, what its guest agent says, what the hypervisor's ARP table says. Loopback, link-local
    addresses and the guest's own bridges do not count in what the guest says. Of a machine that does not run only the first two are known.
  - Groups - C(machines) has all; C(machines_state_running), C(machines_network_NAME), C(machines_project_NAME) the machines in that state, on
    that network or bridge, of that project. A character that a group's name cannot have becomes C(_).
  - Variables of each host - C(slipway_machine) with C(name), C(uuid), C(state), C(uri), C(project), C(networks), C(addresses), C(port), C(macs), C(labels),
    C(image), C(memory) in bytes, C(cpus), C(host_key); C(slipway_machine_name) and C(slipway_machine_uri), which are what the connection
    P(slipway.docker.machine#connection) asks for.
requirements:
  - libvirt for Python on the controller (python3-libvirt, or libvirt-python from PyPI)
  - OpenSSH 8.5 or newer on the controller
options:
  plugin:
    description: Marks the file as one of this plugin.
    type: str
    required: true
    choices: [slipway.docker.machines]
  uri:
    description: The hypervisors, by their libvirt URI. When one of them does not answer, the inventory fails.
    type: list
    elements: str
    default: ['qemu:///system']
  project:
    description: Machines of this project only. By default those of all projects.
    type: str
    default: ''
  only_running:
    description: Machines that run only.
    type: bool
    default: false
  user:
    description: Whom to be in the machines. By default the user that each machine was made with.
    type: str
  private_key:
    description: File of the private key to log in with.
    type: path
  proxy_jump:
    description:
      - Host to reach the machines through, as C([user@]host[:port]).
      - By default the hypervisor's own host when its URI goes by SSH, such as C(qemu+ssh://root@host/system), and none otherwise. V(none) says that
        they are in reach without.
      - The host key of that host is checked as C(ssh) is configured to, it is no business of the machines.
    type: str
notes:
  - A machine without a host key that we made, such as one that was adopted, gets no SSH arguments, and a warning. C(ssh) then checks its key
    as it is configured to.
  - The pin is in C(ansible_ssh_args), which comes first, so that neither C(host_key_checking) nor C(ssh_args) of C(ansible.cfg) can undo it; C(ssh_args) of
    C(ansible.cfg) are not used for these hosts. Arguments of your own belong into C(ansible_ssh_extra_args), and into C(ansible_ssh_common_args) when there is
    no host to jump through.
  - What hypervisors and guests say is marked as unsafe; nothing in it is ever taken for a template.
extends_documentation_fragment:
  - constructed
  - inventory_cache
seealso:
  - plugin: slipway.docker.machine
    plugin_type: connection
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
# machines.yml - all machines of this host
plugin: slipway.docker.machines

---
# shop.machines.yml - one project on two hypervisors, reached by way of them
plugin: slipway.docker.machines
uri: ['qemu+ssh://root@hv1.example.org/system', 'qemu+ssh://root@hv2.example.org/system']
project: shop
only_running: true
private_key: ~/.ssh/id_shop
# `labels: {role: db, tier: gold}` of a machine makes the groups role_db and tier_gold.
keyed_groups:
  - prefix: role
    key: slipway_machine.labels.role
  - prefix: tier
    key: slipway_machine.labels.tier
groups:
  small: slipway_machine.memory < 1073741824
# A machine that has no address is reached through its guest agent.
compose:
  ansible_connection: "'ssh' if slipway_machine.addresses else 'slipway.docker.machine'"
"""

import re
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.plugin_utils import hypervisor, machine, ssh

try:
    from ansible.utils.unsafe_proxy import wrap_var
except ImportError:  # newer Ansible takes only what is marked as trusted for a template

    def wrap_var(v: Any) -> Any:
        """Return it as it is."""
        return v


FILE = re.compile(r"(?:.*[./])?machines\.ya?ml")
GROUP = "machines"
SHOWN = ("name", "uuid", "state", "uri", "project", "addresses", "port", "labels", "image", "memory", "cpus")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Machines as hosts."""

    NAME = "slipway.docker.machines"

    def verify_file(self, path: str) -> bool:
        """Whether the file's name says that it is ours."""
        return super().verify_file(path) and bool(FILE.fullmatch(path))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the machines to the inventory."""
        super().parse(inventory, loader, path, cache=cache)
        self._read_config_data(path)
        jump = self.get_option("proxy_jump") or ""
        if jump not in ("", "none") and not ssh.is_hop(jump):
            raise AnsibleParserError(f'proxy_jump: "{jump}" is no host; write [user@]host[:port], or none')
        self.inventory.add_group(GROUP)
        known: dict[str, str] = {}
        for record in self._records(path, cache):
            name, uri = record["name"], record["uri"]
            if not machine.NAME.fullmatch(name):
                self.display.warning(f"the machine {name!r} at {uri} is left out: its name cannot be a host's name")
                continue
            if name in known:
                raise AnsibleParserError(
                    f"two machines have the name {name}, one at {known[name]} and one at {uri}, and a host can only be one of them; "
                    f"say which with `project`, or give them other names"
                )
            known[name] = uri
            self._add(record, jump)

    def _records(self, path: str, cache: bool) -> list[dict[str, Any]]:
        """What is known of the machines: from the cache when it has the answer to this very question."""
        asked = {name: self.get_option(name) for name in ("uri", "project", "only_running")}
        caching, key = self.get_option("cache"), self.get_cache_key(path)
        if caching and cache:
            kept = self._cache.get(key) or {}
            if kept.get("asked") == asked:
                return kept["machines"]
        records = self._ask(**asked)
        if caching:
            self._cache[key] = {"asked": asked, "machines": records}
        return records

    def _ask(self, uri: list[str], project: str, only_running: bool) -> list[dict[str, Any]]:
        records = []
        try:
            for one in uri:
                with hypervisor.connected(one) as connection:
                    records.extend(connection.machines(project, only_running))
        except SlipwayError as error:
            raise AnsibleParserError(str(error)) from error
        return records

    def _add(self, record: dict[str, Any], jump: str) -> None:
        name = self.inventory.add_host(record["name"], group=GROUP)
        networks = [card["source"] for card in record["interfaces"] if card["source"]]
        variables: dict[str, Any] = {
            "slipway_machine": {
                **{field: record[field] for field in SHOWN},
                "networks": networks,
                "macs": [card["mac"] for card in record["interfaces"] if card["mac"]],
                "host_key": ssh.host_key(record["host_key"]),
            },
            "slipway_machine_name": record["name"],
            "slipway_machine_uri": record["uri"],
            **self._connection_variables(record, jump),
        }
        for variable, value in variables.items():
            self.inventory.set_variable(name, variable, wrap_var(value))
        if self.get_option("private_key"):
            self.inventory.set_variable(name, "ansible_ssh_private_key_file", self.get_option("private_key"))
        groups = [f"state_{record['state']}", f"project_{record['project']}", *(f"network_{one}" for one in networks)]
        for group in groups:
            safe = to_safe_group_name(f"{GROUP}_{group}", force=True, silent=True)
            self.inventory.add_child(self.inventory.add_group(safe), name)
        self._construct(name)

    def _connection_variables(self, record: dict[str, Any], jump: str) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        if record["addresses"]:
            variables["ansible_host"] = record["addresses"][0]
            variables["ansible_port"] = record["port"]
        user = self.get_option("user") or record["user"]
        if user:
            variables["ansible_user"] = user
        key = ssh.host_key(record["host_key"])
        if key:
            hop = jump or ssh.hop_of(record["uri"])
            if hop and hop != "none" and not ssh.is_hop(hop):
                raise AnsibleParserError(f'uri: "{hop}" of {record["uri"]} is no host to jump through; say proxy_jump')
            variables.update(ssh.variables(key, "" if hop == "none" else hop))
        else:
            self.display.warning(
                f"the machine {record['name']} at {record['uri']} has no SSH host key that we made, so nothing pins it, and it gets no SSH "
                f"arguments; make it anew with a seed, or see to its key in known_hosts"
            )
        return variables

    def _construct(self, name: str) -> None:
        """Variables and groups by the user's expressions."""
        strict = self.get_option("strict")
        variables = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        variables = self.inventory.get_host(name).get_vars()
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)
