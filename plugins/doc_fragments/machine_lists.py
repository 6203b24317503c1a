# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lists of the module machines: the options of each kind of object, one level down, so that they are written once."""

from __future__ import annotations

from . import machine_image_options, machine_network_options, machine_options
from .lists import one_level_down

KINDS = (
    ("machines", "The project's machines.", machine_options),
    ("images", "Base images to keep in the pool, beside those that machines name themselves.", machine_image_options),
    ("networks", "The project's networks.", machine_network_options),
)


class ModuleDocFragment:
    """Lists of objects."""

    DOCUMENTATION = "options:\n" + "".join(one_level_down(*kind) for kind in KINDS)
