#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: context
short_description: Keep a context of the docker CLI as declared
version_added: 0.2.0
description:
  - Keeps one context of the docker CLI, where the module runs, as declared, so that a plain C(docker) there reaches the engine that is meant.
  - The files are those that the CLI writes and reads. What else is in them, such as credentials in C(config.json), stays as it is.
  - The TLS files and the endpoint are looked at before anything is stored, and what is wrong is said with its reason.
  - The docker CLI need not be installed, nor the Docker SDK for Python.
notes:
  - The CLI takes C(--context), then C(--host), then E(DOCKER_HOST), then E(DOCKER_CONTEXT), then the current context. The module warns when a
    variable in its environment comes before the context that it makes current.
  - Run it as the user whose contexts they are, with C(become_user) if need be.
seealso:
  - module: slipway.docker.engine_info
options:
  name:
    description: The name of the context. V(default) is the CLI's own, and cannot be declared.
    type: str
    required: true
  state:
    description:
      - V(absent) removes the context and its TLS files. If it was current, the one that was current before it is current again, or
        V(default) when that is gone.
    type: str
    choices: [present, absent]
    default: present
  docker_host:
    description:
      - The engine's address, as C(unix:///var/run/docker.sock), C(tcp://host:2376), C(ssh://user@host) or C(npipe:////./pipe/docker_engine).
      - It is needed to make a context, and need not be said to change another thing of it.
      - An address of C(tcp) that is not this host's own must have TLS with a certificate of the client, unless O(allow_insecure) is said.
    type: str
  description:
    description: What C(docker context ls) shows beside the name.
    type: str
  ca_path:
    description:
      - The certificate of the authority that signed the engine's. A file where the module runs, whose content is stored in the context.
      - Once said and then left out, it is removed from the context. An empty text removes it too.
    type: path
  client_cert:
    description: The client's certificate, treated likewise. It goes with O(client_key).
    type: path
  client_key:
    description: The key of O(client_cert), treated likewise. It must not be encrypted, for the CLI asks for no passphrase.
    type: path
  skip_tls_verify:
    description: Take any engine for the right one. Prefer O(ca_path).
    type: bool
  current:
    description:
      - V(true) makes the context the one that the CLI uses. V(false) sees to it that it is not; the one before it is current again.
      - Once V(true) and then left out, it counts as V(false).
    type: bool
  verify:
    description:
      - Whether the endpoint is asked before it is stored or made current, in check mode too. A context at which no engine answers is refused.
      - By default it is asked where it can be, which is everywhere but at C(npipe).
    type: bool
  timeout:
    description: Seconds after which an endpoint without an answer is given up.
    type: float
    default: 30.0
  allow_insecure:
    description: Accept an address of C(tcp) at which the engine does not know its client, so that whoever reaches it is root there.
    type: bool
    default: false
  config_dir:
    description: The directory of the docker CLI. By default E(DOCKER_CONFIG), or C(~/.docker) of the user that the module runs as.
    type: path
extends_documentation_fragment:
  - slipway.docker.ownership.contexts
  - slipway.docker.guard_options
  - slipway.docker.attributes
  - slipway.docker.attributes.converge
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: A plain docker reaches the engine in the machine
  slipway.docker.context:
    name: lab
    docker_host: ssh://root@192.168.90.10
    description: The engine in the lab
    current: true

- name: The same with TLS on both sides
  slipway.docker.context:
    name: lab
    docker_host: tcp://192.168.90.10:2376
    ca_path: /etc/docker/tls/ca.pem
    client_cert: /etc/docker/tls/cert.pem
    client_key: /etc/docker/tls/key.pem

- name: It is gone, and what was current before is current again
  slipway.docker.context:
    name: lab
    state: absent
"""

RETURN = r"""
plan:
  description: What is to be done, with the reason. It is the same in check mode and in the run that follows.
  returned: always
  type: list
  elements: str
  sample: ["~ context/lab   docker_host: tcp://192.168.90.10:2376 -> tcp://192.168.90.11:2376"]
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
      description: The changes of files, in words.
      type: list
      elements: str
    seconds:
      description: How long it took. Not in check mode.
      type: float
steps:
  description: All changes of files in the order of the plan.
  returned: always
  type: list
  elements: str
  sample: [create context lab, make context lab current]
orphans:
  description: Empty; contexts are declared one by one.
  returned: always
  type: list
  elements: str
undone:
  description: What was done and taken back, after a failure.
  returned: on failure
  type: list
  elements: str
mistakes:
  description: Everything that is wrong with the options, the TLS files and the endpoint, each with its place.
  returned: when options are wrong
  type: list
  elements: str
resources:
  description:
    - The context as it is now, by C(context/name), with its C(docker_host), C(description), C(skip_tls_verify), C(current), the C(path) of
      its document, and C(tls), the roles (C(ca), C(cert), C(key)) of the files that are stored with it.
  returned: success
  type: dict
  sample: {"context/lab": {"name": "lab", "docker_host": "ssh://root@192.168.90.10", "current": true, "tls": []}}
"""

from ansible_collections.slipway.docker.plugins.module_utils._client import context, spec
from ansible_collections.slipway.docker.plugins.module_utils._client.session import client
from ansible_collections.slipway.docker.plugins.module_utils._docker.endpoint import verify
from ansible_collections.slipway.docker.plugins.module_utils._module import converge_one

OPTIONS = spec.OWN


def main() -> None:
    """Converge one context; the provider of engines asks its endpoint."""
    converge_one(client(verify), context.KIND, OPTIONS)


if __name__ == "__main__":
    main()
