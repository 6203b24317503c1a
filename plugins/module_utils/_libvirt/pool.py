# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a pool: a directory for volumes. It is made when something is to be kept in it, and never taken away with what it holds."""

from __future__ import annotations

from .._converge.kind import Kind, Replace
from .._converge.option import Option

OPTIONS = (
    Option("name", required=True),
    Option("state", choices=("present", "absent"), default="present"),
    Option("path", "path", "Path"),
)

KIND = Kind("pool", OPTIONS, replace=Replace.UNUSED, must=("path",))
