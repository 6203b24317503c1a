# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of one network of a hypervisor."""

from __future__ import annotations


class ModuleDocFragment:
    """A network of libvirt's; ``_libvirt/network.py`` has the rows."""

    DOCUMENTATION = r"""
options:
  name:
    description: The network's name.
    type: str
    required: true
  state:
    description: Whether the network should be there. One that should is started, and starts with the host.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(nat) reaches the outside through the host's addresses, as a new network does where nothing is said.
      - V(isolated) reaches the host and its own machines alone.
      - V(bridge) is a bridge of the host, named by O(bridge), which somebody else has made.
    type: str
    choices: [nat, isolated, bridge]
  bridge:
    description:
      - The name of the bridge on the host, at most 15 characters. libvirt chooses one where none is given.
      - With O(mode=bridge) it must be given, and be there.
    type: str
  domain:
    description: The DNS domain of the network's machines.
    type: str
  address:
    description: The host's own address in the network, with the network's length, such as V(192.168.90.1/24).
    type: str
  dhcp:
    description: The addresses that are handed out. Addresses that are reserved for machines may lie outside of them.
    type: dict
    suboptions:
      start:
        description: The first one.
        type: str
        required: true
      end:
        description: The last one.
        type: str
        required: true
"""
