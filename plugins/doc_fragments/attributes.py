# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module promises."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of modules."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Foretells what a run would do and changes nothing.
    support: full
  diff_mode:
    description: Shows each object before and after, with secrets masked.
    support: full
"""

    CONVERGE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: The plan that is returned is, line for line, what the next run does.
  diff_mode:
    support: full
    details: Values whose names look secret are masked.
  idempotent:
    description: A second run with the same options changes nothing and calls nothing that could.
    support: full
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: It only reads.
  diff_mode:
    support: N/A
  idempotent:
    description: A second run with the same options changes nothing and calls nothing that could.
    support: full
"""
