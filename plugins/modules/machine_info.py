#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_info
short_description: Read what there is of machines, and what their hypervisor can do
version_added: 0.2.0
description:
  - Returns the machines of a hypervisor as they are now, with their addresses, files and snapshots, and how each is reached.
  - Without a name or a project it returns all of them, those that others made too.
  - Also says what the hypervisor is, what it can do, and whether it would emulate a new machine, and why.
options:
  name:
    description: The machine to look for.
    type: str
  project:
    description: Return all machines that carry this project's label.
    type: str
  console_lines:
    description:
      - So many last lines of what each machine has written to its first serial port, at most 10000. Machines that were made by
        Slipway keep that in a file.
      - Values that look secret are masked. All the same, what a machine writes there is its own affair.
    type: int
    default: 0
seealso:
  - module: slipway.docker.machine
  - module: slipway.docker.machines
extends_documentation_fragment:
  - slipway.docker.libvirt
  - slipway.docker.attributes
  - slipway.docker.attributes.info
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: Look at one machine
  slipway.docker.machine_info:
    name: web
    console_lines: 20
  register: web

- name: It runs, and with all that was declared
  ansible.builtin.assert:
    that:
      - web.exists and web.machine.state == 'running'
      - not web.machine.needs_restart
    fail_msg: "{{ web.machine.console | join('\n') }}"

- name: Machines of this project
  slipway.docker.machine_info:
    project: lab
  register: lab

- name: They are hosts of this play, each with its own host key pinned
  ansible.builtin.add_host: "{{ {'name': item.name, 'groups': 'lab'} | combine(item.connection) }}"
  loop: "{{ lab.machines | selectattr('address') }}"
  loop_control: {label: "{{ item.name }}"}
"""

RETURN = r"""
exists:
  description: Whether the machine is there.
  returned: when O(name) is given
  type: bool
machine:
  description: The machine, as in RV(machines), null when it is not there.
  returned: when O(name) is given
  type: dict
machines:
  description: All machines that were asked for, by their names.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name.
      type: str
    uuid:
      description: Its UUID.
      type: str
    project:
      description: Whose it is, empty when it carries no label of Slipway.
      type: str
    state:
      description: Such as V(running), V(stopped), V(paused) or V(crashed).
      type: str
    state_reason:
      description: Why it is in that state, as far as libvirt says, such as V(shut down) or V(an I/O error).
      type: str
    first_start:
      description: Whether the seed has done its work and is gone, V(finished) or V(not finished).
      type: str
    address:
      description: >-
        The address to reach it by, which is one of the host from where a port leads to its port 22, or else the one that is reserved for it, or else the
        first that is known.
      type: str
    port:
      description: The port at RV(machines[].address) where SSH answers, V(22) but for a port that is forwarded.
      type: int
    addresses:
      description: All addresses that are known of a running machine, one of the host that leads to it first, the others in the order of its cards.
      type: list
      elements: str
    macs:
      description: The cards' own addresses.
      type: list
      elements: str
    networks:
      description: The networks or bridges of the cards, empty for one in user mode.
      type: list
      elements: str
    connection:
      description: Variables by which Ansible reaches it over SSH and takes no other host for it. Empty without an address or a pinned key.
      type: dict
    user:
      description: Whom SSH lets in.
      type: str
    host_key:
      description: The public half of its SSH host key.
      type: str
    needs_restart:
      description: Options that count from its next start on.
      type: list
      elements: str
    memory:
      description: Bytes of memory, as defined.
      type: int
    memory_max:
      description: Up to how many bytes it can change while the machine runs.
      type: int
    cpus:
      description: The number of processors.
      type: int
    cpus_max:
      description: Up to how many it can change while the machine runs.
      type: int
    cpu:
      description: The model of the processor.
      type: str
    accel:
      description: How the processor is made, as V(kvm), V(tcg) or V(hvf).
      type: str
    accel_reason:
      description: Why so.
      type: str
    arch:
      description: The architecture.
      type: str
    machine_type:
      description: The model of the machine.
      type: str
    firmware:
      description: V(bios) or V(efi).
      type: str
    boot:
      description: The kernel, initrd and command line that the hypervisor starts, if it does.
      type: dict
    image:
      description: The checksum of the image that the root disk was made from.
      type: str
    root:
      description: The path of the root disk.
      type: str
    disks:
      description: The paths of data disks, by their names.
      type: dict
    folders:
      description: The folders of the host that the guest has too, by where it has them, with C(source) and C(read_only).
      type: dict
    storage:
      description: >-
        Each file, C(root), C(disks.NAME) and C(seed), with C(path), C(format), C(capacity), C(allocation) in bytes and C(backing),
        the file that it lies on. They are null for a file in no storage pool.
      type: dict
    snapshots:
      description: The names of its snapshots.
      type: list
      elements: str
    console:
      description: The last lines of its console.
      returned: when O(console_lines) is more than 0
      type: list
      elements: str
    agent:
      description: Whether there is a channel for the guest agent.
      type: bool
    autostart:
      description: Whether it starts with the host.
      type: bool
    protect:
      description: Whether it is protected from removal.
      type: bool
    labels:
      description: Its labels, less ours.
      type: dict
hypervisor:
  description: What the hypervisor is and can do.
  returned: always
  type: dict
  contains:
    uri:
      description: Where it was reached.
      type: str
    host:
      description: The UUID of its host, or the host's name.
      type: str
    libvirt_version:
      description: The version of libvirt there.
      type: str
    driver:
      description: The driver behind the URI, as V(qemu_system), V(qemu_session), V(hvf), V(vbox), V(hyperv) or V(test).
      type: str
    title:
      description: Its name for people.
      type: str
    capabilities:
      description: What machines there can have and do, each true or false.
      type: dict
      sample: {agent: true, attach: true, autostart: true, headroom: true, overlays: true}
    accels:
      description: The values of C(accel) that it knows.
      type: list
      elements: str
    accel:
      description: What C(accel=auto) is there.
      type: str
    accel_reason:
      description: Why so.
      type: str
    arch:
      description: The architecture of the host, and of new machines.
      type: str
    archs:
      description: The architectures that it can run.
      type: list
      elements: str
    machine_type:
      description: The model of new machines.
      type: str
    firmwares:
      description: The values of C(firmware) that it knows.
      type: list
      elements: str
    buses:
      description: The buses that it has for disks.
      type: list
      elements: str
"""

from ansible_collections.slipway.docker.plugins.module_utils._machine_info import machines


def main() -> None:
    """Return machines."""
    machines()


if __name__ == "__main__":
    main()
