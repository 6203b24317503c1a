#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: machines
short_description: Keep virtual machines, their networks and images as declared, in one task
version_added: 0.2.0
description:
  - Compares machines, networks and base images with what the hypervisor has, says what differs and why, and changes that in parallel.
    Machines start side by side, and the task is over when each of them answers.
  - When a step fails, what was done is undone.
options:
  state:
    description:
      - V(present) keeps each object by its own O(machines[].state).
      - V(absent) removes the machines and networks that are listed or are the project's. Data disks stay unless O(destroy) names them.
    type: str
    choices: [present, absent]
    default: present
  orphans:
    description:
      - What happens to objects that are the project's and are no longer declared. Data disks are never removed as orphans.
    type: str
    choices: [report, remove, ignore]
    default: report
  destroy:
    description: Data that may go. Nothing that holds data is removed or made anew unless it is named here.
    type: dict
    suboptions:
      machines:
        description: Machines whose root disk may be made anew from another image.
        type: list
        elements: str
      disks:
        description: Data disks to remove, as V(MACHINE/DISK).
        type: list
        elements: str
      images:
        description: Checksums of base images to remove.
        type: list
        elements: str
seealso:
  - module: slipway.docker.machine
  - module: slipway.docker.machine_info
extends_documentation_fragment:
  - slipway.docker.machine_lists
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
- name: Three machines in a network of their own
  slipway.docker.machines:
    project: lab
    networks:
      - {name: lab, address: 192.168.90.1/24, dhcp: {start: 192.168.90.50, end: 192.168.90.99}}
    machines:
      - name: engine
        image: "{{ debian_12 }}"
        memory: 1g
        networks: [{network: lab, address: 192.168.90.10}]
        seed: {ssh_keys: "{{ lab_keys }}"}
      - name: other
        image: "{{ debian_13 }}"
        memory: 512m
        networks: [{network: lab}]
        seed: {ssh_keys: "{{ lab_keys }}"}
      - name: small
        boot: {kernel: "{{ small_kernel }}", initrd: "{{ small_initrd }}", cmdline: console=ttyS0}
        memory: 256m
        networks: [{network: lab}]
        seed: {ssh_keys: "{{ lab_keys }}"}

- name: All of it is gone, and one data disk with it
  slipway.docker.machines:
    project: lab
    state: absent
    destroy:
      disks: [engine/data]
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

from ansible_collections.slipway.docker.plugins.module_utils._libvirt.session import LIBVIRT
from ansible_collections.slipway.docker.plugins.module_utils._module import converge_lists


def main() -> None:
    """Converge machines and what they stand on in one call."""
    converge_lists(LIBVIRT)


if __name__ == "__main__":
    main()
