# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lists of the module containers: the options of each kind of object, one level down, so that they are written once."""

from __future__ import annotations

import textwrap

from . import container_options, image_options, network_options, volume_options

KINDS = (
    ("containers", "The project's containers.", container_options),
    ("images", "Images to pull, build, load or import before containers are made from them.", image_options),
    ("networks", "The project's networks.", network_options),
    (
        "volumes",
        "The project's volumes. They stay when the project goes, unless O(destroy) names them.",
        volume_options,
    ),
)


def one_level_down(name: str, description: str, fragment: object) -> str:
    """The options of a fragment as those of the entries of a list."""
    options = fragment.ModuleDocFragment.DOCUMENTATION.split("options:\n", 1)[1]  # type: ignore[attr-defined]
    head = f"  {name}:\n    description: {description}\n    type: list\n    elements: dict\n    suboptions:\n"
    return head + textwrap.indent(options, "    ")


class ModuleDocFragment:
    """Lists of objects."""

    DOCUMENTATION = "options:\n" + "".join(one_level_down(*kind) for kind in KINDS)
