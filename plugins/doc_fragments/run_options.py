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
  on_failure:
    description:
      - What happens to what was already done when a step fails.
      - V(rollback) undoes it, so that what ran before runs on. V(keep) leaves it for you to look at.
    type: str
    choices: [rollback, keep]
    default: rollback
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
