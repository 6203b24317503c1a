#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: machine
short_description: Keep one virtual machine as declared
version_added: 0.2.0
description:
  - Makes a virtual machine through libvirt, with its root disk, data disks, seed and address, starts it and waits until it answers.
  - An existing machine is compared field by field. What can change while it runs is changed so; what cannot is changed only as far as
    O(on_restart_required) allows; a new image is taken only where O(destroy) allows the root disk to go.
options:
  destroy:
    description:
      - The data of this machine may go. With another image it gets a new root disk, and with O(state=absent) its data disks go too.
    type: bool
    default: false
seealso:
  - module: slipway.docker.machines
extends_documentation_fragment:
  - slipway.docker.machine_options
  - slipway.docker.machine_run_options
  - slipway.docker.machine_run_options.pool
  - slipway.docker.machine_run_options.restart
  - slipway.docker.ownership.machines
  - slipway.docker.guard_options
  - slipway.docker.libvirt
  - slipway.docker.attributes
  - slipway.docker.attributes.converge
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: A machine with a disk for data
  slipway.docker.machine:
    name: web
    image:
      source: /srv/images/debian-12.qcow2
      checksum: sha256:6f1a2d3c4b5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8
    memory: 1g
    cpus: 2
    disks:
      - {name: data, size: 20g}
    networks:
      - {network: default}
    seed:
      ssh_keys: ["{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"]
  register: web

- name: It is a host of this play's inventory from now on, with its host key pinned
  ansible.builtin.add_host: "{{ {'name': 'web', 'groups': 'machines'} | combine(web.resources['machine/web'].connection) }}"

- name: A machine of your own, without root, with SSH and the site on this host's loopback, and with your folder of that site
  slipway.docker.machine:
    uri: qemu:///session
    name: desk
    image:
      source: /srv/images/debian-12.qcow2
      checksum: sha256:6f1a2d3c4b5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8
    memory: 2g
    networks:
      - {user: true, ports: ["127.0.0.1:60022:22", "127.0.0.1:8080:80"]}
    folders:
      - {source: ~/site}
      - {source: /usr/share/doc, target: /srv/doc, read_only: true}
    seed:
      ssh_keys: ["{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"]

- name: The machine and all that it had are gone
  slipway.docker.machine:
    name: web
    state: absent
    destroy: true
"""

RETURN = r"""
plan:
  description: What is to be done, one line for each object, with the reason. It is the same in check mode and in the run that follows.
  returned: always
  type: list
  elements: str
  sample: ["+ machine/web   missing"]
plan_id:
  description: The identity of the plan, to approve it by. V(empty) when there is nothing to do.
  returned: always
  type: str
  sample: 5f2b8c0f6a1d4e7b9c3a2d1e0f4b6a7c
actions:
  description: What was done, one entry for each line of the plan. In check mode, what would be.
  returned: always
  type: list
  elements: dict
  contains:
    line:
      description: The line of the plan.
      type: str
    target:
      description: The object, as C(kind/name).
      type: str
    reason:
      description: Why it was done.
      type: str
    steps:
      description: The calls to the hypervisor, in words.
      type: list
      elements: str
    seconds:
      description: How long it took. Not in check mode.
      type: float
steps:
  description: All calls to the hypervisor in the order of the plan.
  returned: always
  type: list
  elements: str
orphans:
  description: Objects with the project's label that nothing declares any more, as C(kind/name).
  returned: always
  type: list
  elements: str
undone:
  description: What was done and taken back, after a failure.
  returned: on failure
  type: list
  elements: str
mistakes:
  description: Everything that is wrong with the options, each with its place.
  returned: when options are wrong
  type: list
  elements: str
resources:
  description: The declared objects as they are now, by C(kind/name).
  returned: success
  type: dict
"""

from ansible_collections.slipway.docker.plugins.module_utils._converge.option import Option
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import machine, spec
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.session import LIBVIRT
from ansible_collections.slipway.docker.plugins.module_utils._module import converge_one

OPTIONS = (*spec.SHARED, Option("destroy", "bool", default=False))


def main() -> None:
    """Converge one machine."""
    converge_one(LIBVIRT, machine.KIND, OPTIONS)


if __name__ == "__main__":
    main()
