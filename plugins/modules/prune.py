#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: prune
short_description: Remove what nothing uses any more
version_added: 0.1.0
description:
  - Removes what carries Slipway's labels and is used by nothing. What Compose, a swarm, a person or anybody else made is never touched.
  - By itself it removes only what interrupted runs have left behind. All else is asked for, and data is asked for by name.
  - In check mode it shows the plan, which is what a run then does. It is never part of what is declared, so run it when you want it.
options:
  project:
    description:
      - Only what this project owns. Without it, what any project owns.
      - Images belong to no project, so O(images) is not narrowed by it.
    type: str
  leftovers:
    description:
      - What an interrupted run has left behind, which are containers called C(NAME-slipway-new) or C(NAME-slipway-old) beside the
        one that counts, and files of secrets that no container mounts.
      - The next run of the project clears them away too, so this is for projects that are not run any more.
    type: bool
    default: true
  containers:
    description:
      - Containers that do not run. That includes those that are declared as V(stopped).
      - A container of which an interrupted run has left only C(NAME-slipway-old) stays, for it is the one that was well last.
    type: bool
    default: false
  networks:
    description: Networks that no container is connected to, running or not, apart from containers that go in the same run.
    type: bool
    default: false
  images:
    description:
      - Images that a build or an import of this collection made, that have no name any more, because a newer one has taken it, and
        that no container was made from.
      - An image with a name stays. To remove it, use M(slipway.docker.image).
    type: bool
    default: false
  volumes:
    description:
      - Names of volumes, which go with their data. No volume goes without being named here.
      - A volume that is not there is no mistake. One that a container uses or that is not the project's own is.
    type: list
    elements: str
  until:
    description:
      - Only what was made longer ago than this, such as V(24h) or V(30m). What O(volumes) names goes whatever its age.
    type: str
  secrets_dir:
    description: The directory on the engine's host below which the files of containers' secrets are. They are looked for only where the
      module runs on that host.
    type: path
    default: /run/slipway/secrets
seealso:
  - module: slipway.docker.containers
extends_documentation_fragment:
  - slipway.docker.guard_options
  - slipway.docker.docker
  - slipway.docker.attributes
  - slipway.docker.attributes.converge
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: What interrupted runs have left behind is gone
  slipway.docker.prune:

- name: What could go of the shop, without removing it
  slipway.docker.prune:
    project: shop
    containers: true
    networks: true
  check_mode: true
  register: foretold

- name: Images that newer builds have replaced, and containers that ended days ago, are gone
  slipway.docker.prune:
    containers: true
    images: true
    until: 72h

- name: The data of a project that is no more is gone too
  slipway.docker.prune:
    project: shop
    networks: true
    volumes: [data]
"""

RETURN = r"""
plan:
  description: What is to be removed, one line for each object, with the reason. It is the same in check mode and in the run that follows.
  returned: always
  type: list
  elements: str
  sample:
    - "- container/web-slipway-old   leftover of an interrupted run"
    - "- network/back                unused"
plan_id:
  description: The identity of the plan, to approve it by. V(empty) when there is nothing to do.
  returned: always
  type: str
  sample: 5f2b8c0f6a1d4e7b9c3a2d1e0f4b6a7c
actions:
  description: What was removed, one entry for each line of the plan. In check mode, what would be.
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
      description: Why it was removed.
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
  description: Always empty, for what nobody declares is what this module is about.
  returned: always
  type: list
  elements: str
undone:
  description: What was done and taken back, after a failure. A removal cannot be taken back, so it is empty.
  returned: on failure
  type: list
  elements: str
mistakes:
  description: Everything that is wrong with the options, each with its place.
  returned: when options are wrong
  type: list
  elements: str
"""

from ansible_collections.slipway.docker.plugins.module_utils._prune import main

if __name__ == "__main__":
    main()
