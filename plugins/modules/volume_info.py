#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_info
short_description: Read what the engine says of volumes
version_added: 0.1.0
description:
  - Returns the engine's own documents of volumes, as C(docker volume inspect) shows them.
  - Without a name or a project it returns all of them.
options:
  name:
    description: The volume to look for.
    type: str
  project:
    description: Return all volumes that carry this project's label.
    type: str
seealso:
  - module: slipway.docker.volume
extends_documentation_fragment:
  - slipway.docker.docker
  - slipway.docker.attributes
  - slipway.docker.attributes.info
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: Is the volume there?
  slipway.docker.volume_info:
    name: data
  register: data
"""

RETURN = r"""
exists:
  description: Whether the volume is there.
  returned: when O(name) is given
  type: bool
volume:
  description: The engine's document of the volume, null when it is not there.
  returned: when O(name) is given
  type: dict
volumes:
  description: The engine's documents of all volumes that were asked for.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.slipway.docker.plugins.module_utils._info import volumes


def main() -> None:
    """Return volumes."""
    volumes()


if __name__ == "__main__":
    main()
