# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a run of containers is carried out."""

from __future__ import annotations


class ModuleDocFragment:
    """Parallelism, patience, and what a failure means."""

    DOCUMENTATION = r"""
options:
  default_host_ip:
    description:
      - The host address for published ports that name none. Without it such a port can be reached on every address of the
        host, as with the docker CLI, and the module warns.
    type: str
  secrets_dir:
    description:
      - The directory on the engine's host below which the files of containers' secrets are written. What is not there is
        made so that only root can enter it.
      - V(/run) is in memory, so that no secret reaches a disk, and nothing is there after a restart of the host. A container
        whose secrets are gone cannot start until the next run has replaced it. Where containers must start by themselves,
        name a directory on disk, such as V(/var/lib/slipway/secrets).
      - Another directory replaces the containers that have their secrets elsewhere.
    type: path
    default: /run/slipway/secrets
  on_failure:
    description:
      - What happens to what was already done when a step fails.
      - V(rollback) undoes all of it, so that what ran before runs on.
      - V(pause) keeps the objects that are through, and undoes what was begun and not finished. Run again to go on.
      - V(keep) undoes nothing and leaves everything for you to look at.
    type: str
    choices: [rollback, pause, keep]
    default: rollback
  update_config:
    description: How running containers are exchanged for new ones, where there are several.
    type: dict
    suboptions:
      parallelism:
        description: How many are exchanged at a time; the next one has its turn when one is through. V(0) is all at once.
        type: int
        default: 0
      order:
        description:
          - V(stop-first) stops the old container before the new one starts.
          - V(start-first) stops it when the new one is well, so that one of them runs at any time. Not for containers with a
            fixed port of the host or a static address, which two cannot hold.
        type: str
        choices: [stop-first, start-first]
        default: stop-first
      max_failures:
        description:
          - So many objects may fail. Each gets back what ran before, what depends on it is held back, and the others go on.
          - The task fails all the same, for not everything is as declared. One failure more and O(on_failure) has its way with all.
        type: int
        default: 0
  parallelism:
    description: How many calls are made to the engine at once.
    type: int
    default: 8
  min_healthy_time:
    description: Seconds a started container must stay up before it counts as started.
    type: float
    default: 3.0
  deadline:
    description: Seconds a container with a health check may take to become healthy.
    type: float
    default: 300.0
"""
