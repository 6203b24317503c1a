# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of one volume."""

from __future__ import annotations


class ModuleDocFragment:
    """A volume; ``_docker/volume.py`` has the rows."""

    DOCUMENTATION = r"""
options:
  name:
    description: The volume's name.
    type: str
    required: true
  state:
    description: Whether the volume should be there. V(absent) removes its data.
    type: str
    choices: [present, absent]
    default: present
  driver:
    description: The volume driver.
    type: str
  driver_options:
    description: Options of the driver. Keys that are not named are left alone.
    type: dict
  labels:
    description: Labels. Keys that are not named are left alone.
    type: dict
"""
