# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of one network."""

from __future__ import annotations


class ModuleDocFragment:
    """A network; ``_docker/network.py`` has the rows."""

    DOCUMENTATION = r"""
options:
  name:
    description: The network's name.
    type: str
    required: true
  state:
    description: Whether the network should be there.
    type: str
    choices: [present, absent]
    default: present
  driver:
    description: The network driver, such as V(bridge), V(macvlan), V(ipvlan) or V(overlay).
    type: str
  driver_options:
    description: Options of the driver. Keys that are not named are left alone.
    type: dict
  internal:
    description: Cut the network off from the outside.
    type: bool
  attachable:
    description: Let plain containers join an overlay network.
    type: bool
  enable_ipv6:
    description: Give IPv6 addresses too.
    type: bool
  ipam_driver:
    description: The driver that hands out addresses.
    type: str
  ipam_config:
    description: The network's subnets.
    type: list
    elements: dict
    suboptions:
      subnet:
        description: The subnet, such as V(10.5.0.0/24).
        type: str
      gateway:
        description: The gateway's address in the subnet. The engine chooses one where none is given.
        type: str
      iprange:
        description: The part of the subnet from which containers get their addresses.
        type: str
        aliases: [ip_range]
      aux_addresses:
        description: Addresses, by a name for each, that no container may get.
        type: dict
  labels:
    description: Labels. Keys that are not named are left alone.
    type: dict
"""
