# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection to a machine through its QEMU guest agent."""

from __future__ import annotations

DOCUMENTATION = r"""
name: machine
short_description: Reach a machine through its guest agent
version_added: 0.1.0
description:
  - Runs commands and moves files in a virtual machine through its hypervisor and the QEMU guest agent, with no network between the controller and
    the guest. It is for machines that have no network, or not yet, or no longer; where SSH works, SSH is faster.
  - The machine needs C(agent=true) of M(slipway.docker.machine), and the package C(qemu-guest-agent) that runs in the guest. Some distributions,
    such as those of the RHEL family, block what this needs; take C(guest-exec), C(guest-exec-status) and the C(guest-file-) commands out of the
    blocked RPCs there.
requirements:
  - libvirt for Python on the controller (python3-libvirt, or libvirt-python from PyPI)
  - a hypervisor of the QEMU driver
  - the right to change machines there, as root or a member of the group libvirt has; a read-only connection is not enough
options:
  remote_addr:
    description: The machine, as the hypervisor names it.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: slipway_machine_name
  uri:
    description: The hypervisor, by its libvirt URI.
    type: str
    default: qemu:///system
    env:
      - name: LIBVIRT_DEFAULT_URI
    vars:
      - name: slipway_machine_uri
  agent_timeout:
    description:
      - Seconds in which the guest agent must answer a question. A command may take longer, for it is asked about again and again; the keyword
        C(timeout) of a task limits it.
    type: int
    default: 30
    env:
      - name: SLIPWAY_MACHINE_TIMEOUT
    vars:
      - name: slipway_machine_timeout
  executable:
    description: The shell in the guest.
    type: str
    default: /bin/sh
    vars:
      - name: ansible_executable
      - name: slipway_machine_executable
notes:
  - Commands run as the agent does, which is root. Whoever may talk to libvirt is root in every guest whose agent allows it, with this plugin or
    without it. Other users are reached by C(become), as long as it asks for no password.
  - A command's output is limited by what libvirt passes on, some 3 MB. What is longer is an error and not cut off, so redirect it to a file and fetch that.
  - Pipelining works, and saves more than with SSH.
extends_documentation_fragment:
  - connection_pipelining
seealso:
  - plugin: slipway.docker.machines
    plugin_type: inventory
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
# Hosts of the inventory plugin slipway.docker.machines bring what this connection needs to know.
- name: A machine whose network does not work
  hosts: web
  gather_facts: false
  vars:
    ansible_connection: slipway.docker.machine
    ansible_pipelining: true
  tasks:
    - name: Bring the network back
      ansible.builtin.command: networkctl reload
      changed_when: true

- name: A machine by its name, on another hypervisor
  hosts: db
  vars:
    ansible_connection: slipway.docker.machine
    slipway_machine_name: shop-db
    slipway_machine_uri: qemu+ssh://root@hv1.example.org/system
  tasks:
    - name: Is it there
      ansible.builtin.ping:
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SlipwayError
from ansible_collections.slipway.docker.plugins.plugin_utils import hypervisor
from ansible_collections.slipway.docker.plugins.plugin_utils.guest_agent import Agent, pieces

# A service has no home, and Ansible keeps its files in one.
HOME = '[ -n "$HOME" ] || { HOME=~root; export HOME; }; '


class Connection(ConnectionBase):
    """One machine, through the agent in it."""

    transport = "slipway.docker.machine"
    has_pipelining = True
    has_tty = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hypervisor: hypervisor.Hypervisor | None = None
        self._agent: Agent | None = None

    def _connect(self) -> Connection:
        if not self._connected:
            name = self.get_option("remote_addr")
            with self._failures():
                self._hypervisor = hypervisor.connect(self.get_option("uri"))
                self._agent = Agent(self._hypervisor.agent(name, self.get_option("agent_timeout")))
            self._display.vvv(f"THROUGH THE GUEST AGENT OF {name} AT {self.get_option('uri')}", host=name)
            self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command in the guest's shell."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        self._display.vvv(f"EXEC {cmd}", host=self.get_option("remote_addr"))
        with self._failures():
            return self._agent.run(self.get_option("executable"), ["-c", HOME + cmd], in_data)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the guest."""
        super().put_file(in_path, out_path)
        self._display.vvv(f"PUT {in_path} TO {out_path}", host=self.get_option("remote_addr"))
        if not os.path.exists(in_path):
            raise AnsibleFileNotFound(f"{in_path} is not there, so it cannot be copied to the machine")
        with open(in_path, "rb") as file, self._failures():
            self._make(out_path)
            self._agent.write(out_path, pieces(file))

    def _make(self, path: str) -> None:
        """The agent makes files that everybody may write, so the file is there before, and root's alone."""
        code, _, errors = self._agent.run("/bin/sh", ["-c", f"umask 077 && : > {shlex.quote(path)}"])
        if code:
            raise SlipwayError(f"{path} cannot be made in the machine: {errors.decode(errors='replace').strip()}")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the guest."""
        super().fetch_file(in_path, out_path)
        self._display.vvv(f"FETCH {in_path} TO {out_path}", host=self.get_option("remote_addr"))
        with self._failures(), open(out_path, "wb") as file:
            for piece in self._agent.read(in_path):
                file.write(piece)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """A hypervisor or agent that cannot be reached is an unreachable host; what the agent refused is a failed task."""
        try:
            yield
        except hypervisor.AgentUnreachable as error:
            raise AnsibleConnectionFailure(str(error)) from error
        except SlipwayError as error:
            raise (AnsibleError if self._connected else AnsibleConnectionFailure)(str(error)) from error

    def reset(self) -> None:
        """Connect anew."""
        self.close()
        self._connect()

    def close(self) -> None:
        """Let go of the hypervisor."""
        if self._hypervisor is not None:
            self._hypervisor.close()
        self._hypervisor = self._agent = None
        self._connected = False
