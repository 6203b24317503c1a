#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_image
short_description: Keep a base image in a pool
version_added: 0.2.0
description:
  - Brings an image into a pool, under the name of its digest. It is kept only when it has the checksum that was said, and its content is
    read once more whenever a machine is made from it.
  - An image that a machine is made from is never removed, however far down it lies.
seealso:
  - module: slipway.docker.machine
extends_documentation_fragment:
  - slipway.docker.machine_image_options
  - slipway.docker.machine_run_options
  - slipway.docker.machine_run_options.pool
  - slipway.docker.guard_options
  - slipway.docker.libvirt
  - slipway.docker.attributes
  - slipway.docker.attributes.converge
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: The image of Debian 12 is on the hypervisor
  slipway.docker.machine_image:
    source: https://images.example.com/debian-12-generic-amd64.qcow2
    checksum: sha256:6f1a2d3c4b5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8
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

from ansible_collections.slipway.docker.plugins.module_utils._converge import task
from ansible_collections.slipway.docker.plugins.module_utils._libvirt import image, spec
from ansible_collections.slipway.docker.plugins.module_utils._libvirt.session import LIBVIRT
from ansible_collections.slipway.docker.plugins.module_utils._module import converge_one

OPTIONS = (*spec.POOL, *spec.RUN, *task.GUARD)


def main() -> None:
    """Converge one image."""
    converge_one(LIBVIRT, image.KIND, OPTIONS)


if __name__ == "__main__":
    main()
