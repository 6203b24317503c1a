#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: image_info
short_description: Read what the engine says of images
version_added: 0.1.0
description:
  - Returns the engine's own documents of images, as C(docker image inspect) shows them.
  - Without a name it returns all of them.
options:
  name:
    description: The image to look for. A reference, a digest or an ID.
    type: str
seealso:
  - module: slipway.docker.image
extends_documentation_fragment:
  - slipway.docker.docker
  - slipway.docker.attributes
  - slipway.docker.attributes.info
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: Which digest has the image?
  slipway.docker.image_info:
    name: nginx:1.27
  register: nginx
"""

RETURN = r"""
exists:
  description: Whether the image is there.
  returned: when O(name) is given
  type: bool
image:
  description: The engine's document of the image, null when it is not there.
  returned: when O(name) is given
  type: dict
images:
  description: The engine's documents of all images that were asked for.
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.slipway.docker.plugins.module_utils._info import images


def main() -> None:
    """Return images."""
    images()


if __name__ == "__main__":
    main()
