# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a run from doing another thing than was meant."""

from __future__ import annotations


class ModuleDocFragment:
    """An approved plan, and other runs at the same time."""

    DOCUMENTATION = r"""
options:
  plan_id:
    description:
      - The RV(plan_id) of the plan that was approved. The task fails, and nothing is touched, when its plan is another one by now.
      - When there is nothing left to do, the task succeeds.
    type: str
  lock_timeout:
    description:
      - Seconds to wait for another run that is changing objects of the same project on the same engine, hypervisor or client.
      - The lock is held on the host where the module runs; runs that reach it from several hosts do not see each other.
    type: float
    default: 300.0
"""
