#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_info
short_description: Read what the engine says of itself
version_added: 0.1.0
description:
  - Returns the engine's version, the API version that was negotiated, and what it runs on.
  - It fails with one line that says what to do when no engine answers, so that it also serves as a check.
extends_documentation_fragment:
  - slipway.docker.docker
  - slipway.docker.attributes
  - slipway.docker.attributes.info
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: The engine answers
  slipway.docker.engine_info:
  register: found

- name: Say which it is
  ansible.builtin.debug:
    msg: "Docker {{ found.engine.version }}, API {{ found.engine.api_version }}"
"""

RETURN = r"""
engine:
  description: Facts of the engine.
  returned: always
  type: dict
  contains:
    address:
      description: Where it was reached.
      type: str
    version:
      description: Its version.
      type: str
    api_version:
      description: The API version that was negotiated.
      type: str
    min_api_version:
      description: The oldest API version it speaks.
      type: str
    max_api_version:
      description: The newest API version it speaks.
      type: str
    name:
      description: The host's name.
      type: str
    id:
      description: The engine's ID.
      type: str
    os:
      description: The operating system.
      type: str
    kernel:
      description: The kernel's version.
      type: str
    architecture:
      description: The architecture.
      type: str
    cpus:
      description: The number of processors.
      type: int
    memory:
      description: Bytes of memory.
      type: int
    root_dir:
      description: Where its data is.
      type: str
    storage_driver:
      description: How layers are stored.
      type: str
    logging_driver:
      description: The default log driver.
      type: str
    cgroup_driver:
      description: Who manages cgroups.
      type: str
    cgroup_version:
      description: The version of cgroups.
      type: str
    live_restore:
      description: Whether containers outlive the engine.
      type: bool
    swarm:
      description: The node's state in a swarm.
      type: str
    security_options:
      description: What confines containers.
      type: list
      elements: str
    containers:
      description: How many containers there are, and how many run.
      type: dict
    images:
      description: How many images there are.
      type: int
    warnings:
      description: What the engine complains about.
      type: list
      elements: str
"""

from ansible_collections.slipway.docker.plugins.module_utils._info import engine


def main() -> None:
    """Return facts of the engine."""
    engine()


if __name__ == "__main__":
    main()
