# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a run of machines is carried out."""

from __future__ import annotations


class ModuleDocFragment:
    """Parallelism and what a failure means; where files are kept; changes that need a restart. ``_libvirt/spec.py`` has the rows."""

    DOCUMENTATION = r"""
options:
  on_failure:
    description:
      - What happens to what was already done when a step fails.
      - V(rollback) undoes all of it, so that what ran before runs on.
      - V(pause) keeps the objects that are through, and undoes what was begun and not finished. Run again to go on.
      - V(keep) undoes nothing and leaves everything for you to look at.
    type: str
    choices: [rollback, pause, keep]
    default: rollback
  parallelism:
    description: How many calls are made to the hypervisor at once. Machines that are only waited for do not count.
    type: int
    default: 8
"""

    POOL = r"""
options:
  pool:
    description: The storage pool in which base images, disks and seeds are kept. It must be a directory. It is made when it is missing.
    type: str
    default: slipway
  pool_path:
    description:
      - The directory of O(pool), on the hypervisor's host. It counts only when the pool is made.
      - By default V(/var/lib/libvirt/images/slipway), and in a session of QEMU V(~/.local/share/libvirt/images/slipway) of whoever runs the module.
        A session on another host needs it.
    type: path
"""

    RESTART = r"""
options:
  on_restart_required:
    description:
      - What becomes of a change that a running machine cannot take, such as another firmware, or more memory than its maximum.
      - V(fail) says which option it is and touches nothing.
      - V(defer) writes it into the definition, and it counts from the next start on.
      - V(restart) shuts the machine down, changes it and starts it again.
    type: str
    choices: [restart, defer, fail]
    default: fail
"""
