#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: containers
short_description: Keep an application of containers as declared, in one task
version_added: 0.1.0
description:
  - Compares containers, networks, volumes and images with what the engine has, says what differs and why, and changes that
    in parallel. What cannot change in place is replaced, and the old container stays until the new one is well.
  - When a step fails, what was done is undone, so that what ran before runs on.
  - One task is one snapshot and one plan, however many objects it has.
options:
  state:
    description:
      - V(present) keeps each object by its own O(containers[].state).
      - V(absent) removes the containers and networks that are listed or carry the project's label. Volumes and images
        stay unless O(destroy) names them.
    type: str
    choices: [present, absent]
    default: present
  orphans:
    description:
      - What happens to objects that carry the project's label and are no longer declared.
      - V(report) names them in a warning and in RV(orphans). V(remove) removes containers and networks. V(ignore) says nothing.
      - Volumes are never removed as orphans; name them in O(destroy).
    type: str
    choices: [report, remove, ignore]
    default: report
  destroy:
    description: Data that may go. Nothing that holds data is removed or made anew unless it is named here.
    type: dict
    suboptions:
      volumes:
        description: Names of volumes to remove, or to make anew when a field of theirs has changed.
        type: list
        elements: str
      images:
        description: References of images to remove.
        type: list
        elements: str
  hardening:
    description: The O(containers[].hardening) of containers that do not say it themselves.
    type: str
    choices: [none, cis]
extends_documentation_fragment:
  - slipway.docker.lists
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
- name: The shop runs as declared
  slipway.docker.containers:
    project: shop
    networks:
      - name: back
    volumes:
      - name: data
    images:
      - name: shop/api
        build:
          path: /srv/shop/api
    containers:
      - name: web
        image: nginx:1.27
        published_ports: ["127.0.0.1:8080:80"]
        networks: [{name: back}]
        depends_on: [api]
      - name: api
        image: shop/api
        networks: [{name: back}]
        volumes: ["data:/var/lib/api"]
        memory: 256m
        restart_policy: unless-stopped
        healthcheck:
          test: [CMD, /bin/api, --ping]
          interval: 5s
        state: healthy

- name: What would change, without changing it
  slipway.docker.containers:
    project: shop
    containers: "{{ shop_containers }}"
  check_mode: true
  register: foretold

- name: The shop keeps to the CIS Docker Benchmark, but for one thing
  slipway.docker.containers:
    project: shop
    hardening: cis
    networks:
      - name: back
    containers:
      - name: api
        image: shop/api
        networks: [{name: back}]
        published_ports: ["8000:8000"] # on 127.0.0.1
        user: "1000:1000"
        memory: 256m
        cpus: 0.5
        tmpfs: [/tmp] # its root cannot be written
        healthcheck:
          test: [CMD, /bin/api, --ping]
      - name: vpn
        image: shop/vpn
        networks: [{name: back}]
        user: "1000:1000"
        capabilities: [NET_ADMIN]
        memory: 64m
        cpu_shares: 512
        healthcheck:
          test: [CMD, /bin/vpn, --ping]
        hardening_allow:
          capabilities: it makes the tunnel

- name: The shop is gone, and so are its orders
  slipway.docker.containers:
    project: shop
    state: absent
    destroy:
      volumes: [data]
"""

RETURN = r"""
plan:
  description: What is to be done, one line for each object, with the reason. It is the same in check mode and in the run that follows.
  returned: always
  type: list
  elements: str
  sample: ["+ container/web   missing"]
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
  returned: when a container has O(containers[].hardening=cis)
  type: list
  elements: str
  sample:
    - "containers.vpn.capabilities: NET_ADMIN is more than an engine gives by itself (hardening: cis, 5.4), allowed: it makes the tunnel"
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

from ansible_collections.slipway.docker.plugins.module_utils._docker.session import DOCKER
from ansible_collections.slipway.docker.plugins.module_utils._module import converge_lists


def main() -> None:
    """Converge a whole application in one call."""
    converge_lists(DOCKER)


if __name__ == "__main__":
    main()
