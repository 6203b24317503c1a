#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: container_info
short_description: Read what the engine says of containers
version_added: 0.1.0
description:
  - Returns the engine's own documents of containers, as C(docker container inspect) shows them, less the values of variables whose names look secret.
  - Without a name or a project it returns all of them.
options:
  name:
    description: The container to look for.
    type: str
  project:
    description: Return all containers that carry this project's label.
    type: str
seealso:
  - module: slipway.docker.container
extends_documentation_fragment:
  - slipway.docker.docker
  - slipway.docker.attributes
  - slipway.docker.attributes.info
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: Look at one container
  slipway.docker.container_info:
    name: web
  register: web

- name: It runs
  ansible.builtin.assert:
    that: web.exists and web.container.State.Running
"""

RETURN = r"""
exists:
  description: Whether the container is there.
  returned: when O(name) is given
  type: bool
container:
  description: The engine's document of the container, null when it is not there.
  returned: when O(name) is given
  type: dict
containers:
  description: The engine's documents of all containers that were asked for.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.slipway.docker.plugins.module_utils._info import containers


def main() -> None:
    """Return containers."""
    containers()


if __name__ == "__main__":
    main()
