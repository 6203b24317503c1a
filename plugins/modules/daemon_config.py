#!/usr/bin/python
# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: daemon_config
short_description: Keep the configuration of the Docker daemon as declared
version_added: 0.2.0
description:
  - Keeps keys of C(daemon.json) as declared on the host where the module runs, and sees to it that the daemon has taken them and is well.
  - What is wrong is said all at once, before anything is touched, each mistake with its place, its value and the way out. That is what
    this version of the engine does not know, what has the wrong type or value, what the daemon is given as a flag already, what a swarm does
    not go with, what would hide containers and images, and an engine that whoever reaches it would be root at.
  - The daemon then tries the configuration where nobody sees it, with C(dockerd --validate) from 23.0 on, and by a start with mounts, network,
    processes and data of its own, in which it makes a container.
  - Where the daemon can reload each changed key, it reloads, also when a key is taken out. Else it restarts, and its containers are kept by
    C(live-restore), which is switched on for that moment even where it is not declared. In a swarm that is not possible; there the containers
    end with the daemon, and are started again.
  - A daemon that was started before its certificates were written is restarted likewise, for it reads them when it starts only.
  - When the engine does not come up, or comes up without a container that ran, the file is put back byte for byte, the engine is brought back
    with it, and the task fails with the daemon's own words. A run that was killed on the way is finished, or taken back, by the next.
  - The daemon is a unit of systemd, of an init script, or a process that nobody manages, which is started again with the words it was
    started with before.
options:
  config:
    description:
      - The keys and their values, as C(daemon.json) has them. Text that clearly means a number or a boolean is taken for one, for templates
        make text of them.
      - A key is yours whole. Keys that are in the file and were never declared are left alone. A key that was declared once and is left out
        now is taken out of the file.
      - It must be said unless O(state=absent), if only as V({}).
    type: dict
  exclusive:
    description: The file holds these keys and nothing else. A file that is not JSON is then replaced.
    type: bool
    default: false
  state:
    description:
      - V(absent) takes out the keys that were declared, now or before. With O(exclusive) it takes out all.
      - A file that holds nothing any more is removed, unless the daemon is given its name as a flag.
    type: str
    choices: [present, absent]
    default: present
  path:
    description: The file. The daemon that reads it is the one that is reloaded or restarted. With none, the file is written and that is all.
    type: path
    default: /etc/docker/daemon.json
  restart:
    description:
      - What a change may take that the daemon cannot reload.
      - V(auto) restarts the daemon, with the containers kept where that can be.
      - V(seamless) restarts it only when no container that runs would notice.
      - V(never) does not restart it. A change that needs it is refused, with the keys that do.
    type: str
    choices: [auto, seamless, never]
    default: auto
  start:
    description:
      - Start a daemon that does not run. When it does not come up with a new file, that is put back too, and the daemon started with it.
      - What starts it is systemd or its init script. Where neither can, it is a process that a reboot ends, and a warning says so.
    type: bool
    default: false
  backup:
    description: Leave a copy of the file, with the time in its name, before it is changed.
    type: bool
    default: false
  docker_host:
    description:
      - The socket of the daemon, as C(unix:///var/run/docker.sock). By default it is where the daemon was told to listen.
      - Only a socket on the host itself will do, for what is converged is a file there. E(DOCKER_HOST) does not count.
    type: str
  timeout:
    description: Seconds within which a daemon has to start, to end and to answer.
    type: float
    default: 60.0
notes:
  - The names of the keys that were declared are in C(daemon.json.managed) beside the file. While a change is on trial, C(daemon.json.proven)
    holds what worked last, and C(daemon.json.start) how a daemon that nobody manages was started.
  - It needs root, but neither the Docker SDK for Python nor the docker CLI. Places, addresses, plugins and a containerd that others use too
    hold on the real host alone, so the rehearsal leaves them out. What only the real daemon can notice is taken back.
  - A daemon that does not run is not started, unless O(start) says so.
seealso:
  - module: slipway.docker.engine_info
extends_documentation_fragment:
  - slipway.docker.guard_options
  - slipway.docker.attributes
  - slipway.docker.attributes.converge
author:
  - Contributors to the Slipway project (@slipway)
"""

EXAMPLES = r"""
- name: Logs do not fill the disk, and containers outlive the daemon
  slipway.docker.daemon_config:
    config:
      live-restore: true
      log-driver: local
      log-opts: {max-size: 10m, max-file: "5"}

- name: A mirror, which the daemon takes without a restart
  slipway.docker.daemon_config:
    config:
      registry-mirrors: ["https://mirror.example.org"]
    restart: never

- name: The file is exactly this, and no container may notice
  slipway.docker.daemon_config:
    config:
      log-driver: journald
      default-address-pools: [{base: 172.30.0.0/16, size: 24}]
    exclusive: true
    restart: seamless

- name: What was declared is gone, and what others have written stays
  slipway.docker.daemon_config:
    state: absent
"""

RETURN = r"""
plan:
  description: What is to be done, with the reason. It is the same in check mode and in the run that follows.
  returned: always
  type: list
  elements: str
  sample: ["~ daemon_config   restarts the daemon; log-opts.max-size: 10m -> 20m"]
plan_id:
  description: The identity of the plan, to approve it by. V(empty) when there is nothing to do.
  returned: always
  type: str
  sample: 5f2b8c0f6a1d4e7b9c3a2d1e0f4b6a7c
applied:
  description: How it came into force. V(written) is for a daemon that does not run, V(start) for one that was started. In check mode, how it would.
  returned: success
  type: str
  sample: reload
because:
  description: The changed keys that need a restart.
  returned: success
  type: list
  elements: str
  sample: [log-opts]
rehearsed:
  description: How the configuration was tried before. Empty when there was nothing to try.
  returned: success
  type: str
  sample: dockerd --validate and a start of its own with a container, unseen
started:
  description: Containers that ended with the daemon and were started again.
  returned: when something was changed
  type: list
  elements: str
backup_file:
  description: The copy of the file as it was.
  returned: when O(backup) and there was one
  type: str
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
      description: V(daemon_config).
      type: str
    reason:
      description: Why it was done.
      type: str
    steps:
      description: The steps, in words.
      type: list
      elements: str
    seconds:
      description: How long it took. Not in check mode.
      type: float
steps:
  description: All steps in the order of the plan.
  returned: success
  type: list
  elements: str
  sample: [write the file and reload the daemon]
orphans:
  description: Empty; keys that nobody declares are left alone.
  returned: success
  type: list
  elements: str
mistakes:
  description: Everything that is wrong with the options and the configuration, each with its place.
  returned: when something is
  type: list
  elements: str
resources:
  description: The file as it is now, by C(daemon_config), with its C(path), its C(config), masked, and the C(managed) keys.
  returned: success
  type: dict
  sample: {"daemon_config": {"path": "/etc/docker/daemon.json", "config": {"live-restore": true}, "managed": ["live-restore"]}}
"""

from ansible_collections.slipway.docker.plugins.module_utils._daemon_config import main

if __name__ == "__main__":
    main()
