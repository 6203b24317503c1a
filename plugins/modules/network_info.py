#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: network_info
short_description: Read what the engine says of networks
version_added: 0.1.0
description:
  - Returns the engine's own documents of networks, as C(docker network inspect) shows them.
  - Without a name or a project it returns all of them.
options:
  name:
    description: The network to look for.
    type: str
  project:
    description: Return all networks that carry this project's label.
    type: str
seealso:
  - module: slipway.docker.network
extends_documentation_fragment:
  - slipway.docker.docker
  - slipway.docker.attributes
  - slipway.docker.attributes.info
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: Which networks has the project?
  slipway.docker.network_info:
    project: shop
  register: found
"""

RETURN = r"""
exists:
  description: Whether the network is there.
  returned: when O(name) is given
  type: bool
network:
  description: The engine's document of the network, null when it is not there.
  returned: when O(name) is given
  type: dict
networks:
  description: The engine's documents of all networks that were asked for.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.slipway.docker.plugins.module_utils._info import networks


def main() -> None:
    """Return networks."""
    networks()


if __name__ == "__main__":
    main()
