#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_tls
short_description: Keep the certificates of an engine that is reached over TCP, and of its clients
version_added: 0.2.0
description:
  - Keeps an authority of your own on the controller, a certificate of it on the engine's host, and one for each client, so that an engine can
    listen on TCP with TLS on both sides.
  - The authority's key never leaves the controller, and the engine's key never leaves its host, where it is made.
  - A certificate is renewed when a third of its life is left, when the host has another name or address, and when anything about it is
    wrong. It keeps its key, unless others may have that, so no client ever sees one half of a pair.
  - It says the keys of C(daemon.json) that use them, RV(daemon_config), and whether a daemon has yet to read them, RV(restart). It neither
    writes C(daemon.json) nor restarts the daemon; M(slipway.docker.daemon_config) and the role C(slipway.docker.engine) do.
  - What is wrong with the authority is said all at once, before anything is touched on either side.
  - In check mode it warns of a certificate that a run would renew, and fails when one has less than seven days left.
options:
  state:
    description:
      - V(absent) removes from the engine's host what the module has put at O(path), the key first, and the directory when it is empty then.
        Files of others stay, and so does everything on the controller; the authority is the business of other engines too.
      - What a daemon uses is not removed. Take the keys of RV(daemon_config) out of C(daemon.json) first, with M(slipway.docker.daemon_config),
        which restarts the daemon. In check mode, where a task before may do so, it is a warning.
      - Of the other options O(path), O(replace) and O(plan_id) count then, and O(rotate) is refused.
    type: str
    choices: [present, absent]
    default: present
  authority:
    description:
      - The directory of the authority, on the controller. A relative path is below the playbook. It is made when there is none.
      - It must be said unless O(state=absent).
      - It holds C(ca.pem), what engines and clients trust, C(ca-key.pem), 0400, and in C(clients/NAME) the files that a client needs, as
        E(DOCKER_CERT_PATH) wants them. Keep it, and keep it secret; whoever has it is root on all its engines.
    type: path
  names:
    description:
      - Names and IP addresses by which clients reach the engine, beside those that it has by itself. These are the name in the inventory,
        C(ansible_host), the host's own name, V(localhost), V(127.0.0.1), and what O(addresses) adds.
      - Another name makes another certificate. An address that is gone stays in it until the next.
    type: list
    elements: str
  addresses:
    description: The engine's certificate is also for each address of the host that others reach it by, which leaves out those of Docker's bridges.
    type: bool
    default: true
  clients:
    description:
      - Names of clients that get a certificate. All those that have a directory in the O(authority) are kept up to date, named here or not.
      - A client is not locked out when its name is taken out here. Remove its directory, and rotate the authority.
    type: list
    elements: str
  path:
    description:
      - The directory on the engine's host, for C(ca.pem) and C(cert.pem), 0444, and C(key.pem), 0400.
      - In C(.managed) beside them is noted which certificates the module has put there, by their digests.
    type: path
    default: /etc/docker/tls
  rotate:
    description:
      - A step of the rotation of the authority. Each is taken on all hosts, their daemons restarted, before the next, so that no call fails.
      - V(trust) makes the next authority, which all sides trust beside the one that signs. V(issue) has it sign, and all certificates made
        anew. V(finish) has the old one trusted no longer.
      - A step that has been taken already changes nothing, so what was interrupted can be run again from V(trust) on.
    type: str
    choices: [trust, issue, finish]
  replace:
    description:
      - Take the place of a certificate at O(path) that was signed by another authority, whose clients no longer reach the engine then.
      - With O(state=absent), remove C(ca.pem), C(cert.pem) and C(key.pem) also where the certificate is not one that the module has put there.
        Otherwise they stay, with a warning.
    type: bool
    default: false
  server_days:
    description: Days that a certificate of the engine is valid.
    type: int
    default: 90
  client_days:
    description: Days that a certificate of a client is valid.
    type: int
    default: 30
  authority_days:
    description: Days that an authority is valid, when one is made. It is not renewed but rotated.
    type: int
    default: 1825
notes:
  - It works on the controller, which needs the Python library C(cryptography) 40 or newer, and on the host, which needs C(openssl) to make a
    key, and root.
  - Docker has no list of revoked certificates. What ends a certificate before its time is a rotation.
seealso:
  - module: slipway.docker.daemon_config
  - module: slipway.docker.context
extends_documentation_fragment:
  - slipway.docker.guard_options
  - slipway.docker.attributes
  - slipway.docker.attributes.converge
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: The engine has a certificate, and so has whoever administers it
  slipway.docker.engine_tls:
    authority: "{{ inventory_dir }}/engines-tls"
    names: [docker.example.org]
    clients: [admin]
  register: tls

- name: The daemon uses it
  slipway.docker.daemon_config:
    config: "{{ {'hosts': ['unix:///var/run/docker.sock', 'tcp://0.0.0.0:2376'], 'live-restore': true} | combine(tls.daemon_config) }}"

- name: A plain docker on the workstation reaches the engine
  slipway.docker.context:
    name: lab
    docker_host: tcp://docker.example.org:2376
    ca_path: "{{ inventory_dir }}/engines-tls/clients/admin/ca.pem"
    client_cert: "{{ inventory_dir }}/engines-tls/clients/admin/cert.pem"
    client_key: "{{ inventory_dir }}/engines-tls/clients/admin/key.pem"
  delegate_to: localhost
  become: false

- name: The next authority is trusted beside the one that signs
  slipway.docker.engine_tls:
    authority: "{{ inventory_dir }}/engines-tls"
    rotate: trust

- name: The daemon does without them again
  slipway.docker.daemon_config:
    config:
      live-restore: true

- name: So they go, and the engine's key with them
  slipway.docker.engine_tls:
    state: absent
"""

RETURN = r"""
plan:
  description: What is to be done, with the reason. It is the same in check mode and in the run that follows.
  returned: success
  type: list
  elements: str
  sample: ["+ authority    missing", "+ client/admin   missing", "+ server/web1    missing"]
plan_id:
  description: The identity of the plan, to approve it by. V(empty) when there is nothing to do.
  returned: success
  type: str
  sample: 5f2b8c0f6a1d4e7b9c3a2d1e0f4b6a7c
restart:
  description:
    - Whether a daemon that runs with the files has yet to read them, which it does only when it starts. In check mode, whether one would.
    - V(false) with O(state=absent).
  returned: success
  type: bool
daemon_config:
  description: The keys of C(daemon.json) by which a daemon uses them. With O(state=absent), those that are to be taken out before.
  returned: success
  type: dict
  sample: {"tlsverify": true, "tlscacert": "/etc/docker/tls/ca.pem", "tlscert": "/etc/docker/tls/cert.pem", "tlskey": "/etc/docker/tls/key.pem"}
actions:
  description: What was done, one entry for each line of the plan. In check mode, what would be.
  returned: success
  type: list
  elements: dict
  contains:
    line:
      description: The line of the plan.
      type: str
    target:
      description: V(authority), C(client/NAME) or C(server/HOST).
      type: str
    reason:
      description: Why it was done.
      type: str
    steps:
      description: The steps, in words.
      type: list
      elements: str
    seconds:
      description: How long all of it took. Not in check mode.
      type: float
steps:
  description: All steps in the order of the plan.
  returned: success
  type: list
  elements: str
orphans:
  description: Empty; certificates that nobody declares are kept up to date.
  returned: success
  type: list
  elements: str
mistakes:
  description: Everything that is wrong with the options, the authority and the host, each with its place.
  returned: when something is
  type: list
  elements: str
resources:
  description:
    - The C(authority), with its C(path) on the controller and the authorities that are C(trusted), C(client/NAME), with the C(path) of its
      directory there, and C(server/HOST), with its C(path) there, its C(names), when it C(ends), and who has C(signed_by) it.
    - Empty with O(state=absent).
  returned: success
  type: dict
  sample: {"client/admin": {"path": "/srv/inventory/engines-tls/clients/admin"}}
"""

from ansible_collections.slipway.docker.plugins.module_utils._engine_tls import main

if __name__ == "__main__":
    main()
