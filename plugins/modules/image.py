#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Keep one image as declared
version_added: 0.1.0
description:
  - Pulls, builds, loads or imports an image, gives it further references and pushes it.
  - Whether a pull is due is asked of the registry by digest; whether a build or an import is due is told by a digest of the
    files, which the image carries as the label C(slipway.source).
  - Credentials are those of the docker CLI on the managed host, from C(~/.docker/config.json) and its helpers.
seealso:
  - module: slipway.docker.containers
extends_documentation_fragment:
  - slipway.docker.image_options
  - slipway.docker.guard_options
  - slipway.docker.docker
  - slipway.docker.attributes
  - slipway.docker.attributes.converge
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: The newest image of a tag
  slipway.docker.image:
    name: nginx:1.27
    pull: always

- name: An image built here and pushed to a registry
  slipway.docker.image:
    name: shop/api
    build:
      path: /srv/shop/api
      args:
        VERSION: "4"
    tag: [registry.example.org/shop/api:4]
    push: true

- name: An image from an archive, for a host without a registry
  slipway.docker.image:
    name: shop/web:4
    load_path: /srv/images/web.tar
"""

RETURN = r"""
plan:
  description: What is to be done, one line for each object, with the reason. It is the same in check mode and in the run that follows.
  returned: always
  type: list
  elements: str
  sample: ["+ image/nginx:1.27   missing"]
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
      description: The calls to the engine, in words.
      type: list
      elements: str
    seconds:
      description: How long it took. Not in check mode.
      type: float
steps:
  description: All calls to the engine in the order of the plan.
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

from ansible_collections.slipway.docker.plugins.module_utils._converge import task
from ansible_collections.slipway.docker.plugins.module_utils._docker import image
from ansible_collections.slipway.docker.plugins.module_utils._docker.session import DOCKER
from ansible_collections.slipway.docker.plugins.module_utils._module import converge_one


def main() -> None:
    """Converge one image."""
    converge_one(DOCKER, image.KIND, task.GUARD)


if __name__ == "__main__":
    main()
