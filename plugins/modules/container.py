#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: container
short_description: Keep one container as declared
version_added: 0.1.0
description:
  - Compares a container field by field with what the engine has, and changes what differs, in place where the engine can.
  - What cannot change in place is replaced, and the old container stays until the new one is well.
  - For more than one container use M(slipway.docker.containers), which does all of them in one call.
seealso:
  - module: slipway.docker.containers
extends_documentation_fragment:
  - slipway.docker.container_options
  - slipway.docker.ownership
  - slipway.docker.guard_options
  - slipway.docker.run_options
  - slipway.docker.docker
  - slipway.docker.attributes
  - slipway.docker.attributes.converge
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: A web server answers on port 8080 of this host
  slipway.docker.container:
    name: web
    image: nginx:1.27
    published_ports: ["127.0.0.1:8080:80"]
    restart_policy: unless-stopped
    memory: 128m

- name: It is healthy before the play goes on
  slipway.docker.container:
    name: api
    image: registry.example.org/shop/api:4
    env:
      DB_HOST: db
      DB_PASSWORD: "{{ vault_db_password }}"
    healthcheck:
      test: curl -fs http://127.0.0.1:8000/health
      interval: 5s
    state: healthy

- name: It has no more rights than it needs, as the CIS Docker Benchmark asks
  slipway.docker.container:
    name: api
    image: registry.example.org/shop/api:4
    hardening: cis
    user: "1000:1000"
    memory: 256m
    cpus: 0.5
    tmpfs: [/tmp] # its root cannot be written
    healthcheck:
      test: curl -fs http://127.0.0.1:8000/health

- name: It is gone
  slipway.docker.container:
    name: web
    state: absent
"""

RETURN = r"""
plan:
  description: What is to be done, one line for each object, with the reason. It is the same in check mode and in the run that follows.
  returned: always
  type: list
  elements: str
  sample: ["~ container/web   memory: 67108864 -> 134217728"]
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
exceptions:
  description: What is allowed against the hardening, each with its place, what is wrong with it and the reason.
  returned: when a container has O(hardening=cis)
  type: list
  elements: str
  sample:
    - "capabilities: NET_ADMIN is more than an engine gives by itself (hardening: cis, 5.4), allowed: it makes the tunnel"
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
from ansible_collections.slipway.docker.plugins.module_utils._docker import container, spec
from ansible_collections.slipway.docker.plugins.module_utils._docker.session import DOCKER
from ansible_collections.slipway.docker.plugins.module_utils._module import converge_one

OPTIONS = (task.PROJECT, task.ADOPT, *spec.RUN, *task.GUARD)


def main() -> None:
    """Converge one container."""
    converge_one(DOCKER, container.KIND, OPTIONS)


if __name__ == "__main__":
    main()
