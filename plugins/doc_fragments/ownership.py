# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose objects are whose: options of the modules for one object and for many."""

from __future__ import annotations


class ModuleDocFragment:
    """Project and adoption, of containers and what is theirs, of machines, and of contexts."""

    DOCUMENTATION = r"""
options:
  project:
    description:
      - The owner of the objects. It is written on each object as the label C(slipway.project).
      - What carries another project's label is never touched.
    type: str
    default: default
  adopt:
    description:
      - What to do with an object of that name which this project did not make.
      - V(unowned) takes it over when nobody owns it, which means that it has no label of Slipway, Compose, podman-compose or a swarm.
        Taking over an object that is already as declared changes nothing.
      - V(any) takes it over from another owner too. V(never) takes over nothing.
    type: str
    choices: [unowned, any, never]
    default: unowned
"""

    MACHINES = r"""
options:
  project:
    description:
      - The owner of the objects. Machines and networks carry it as the label C(slipway.project), files of disks have it in their names.
      - What carries another project's label is never touched.
    type: str
    default: default
  adopt:
    description:
      - What to do with a machine or a network of that name which this project did not make.
      - V(unowned) takes it over when nobody owns it, which means that it has no label of Slipway. Taking over what is already as
        declared writes its labels and changes nothing else.
      - V(any) takes it over from another project too. V(never) takes over nothing.
    type: str
    choices: [unowned, any, never]
    default: unowned
"""

    CONTEXTS = r"""
options:
  project:
    description:
      - The owner of the context. It is written into the context's metadata as C(slipway.project), where the docker CLI keeps it.
      - What carries another project's label is never touched.
    type: str
    default: default
  adopt:
    description:
      - What to do with a context of that name which this project did not make.
      - V(unowned) takes it over when nobody owns it, which means that it has no label of Slipway. Taking over a context that is already as
        declared changes nothing.
      - V(any) takes it over from another project too. V(never) takes over nothing.
    type: str
    choices: [unowned, any, never]
    default: unowned
"""
