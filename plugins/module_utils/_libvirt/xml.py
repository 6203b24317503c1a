# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that is said to libvirt in XML, in one place: domains as documents, devices, volumes, pools, networks. Pure.

document(text) reads, render(document) writes a new domain, patch(text, changes) changes an existing one in places.
"""

from __future__ import annotations

from .xml_device import controller_xml, disk_xml, free_target, interface_xml, root_xml, seed_xml
from .xml_domain import NAMESPACE, alias_of, devices, document
from .xml_host import host_xml, network_document, network_xml, pool_path, pool_xml, volume_document, volume_xml
from .xml_patch import KEYS, patch
from .xml_render import SPARE_PORTS, render

__all__ = [
    "KEYS",
    "NAMESPACE",
    "SPARE_PORTS",
    "alias_of",
    "controller_xml",
    "devices",
    "disk_xml",
    "document",
    "free_target",
    "host_xml",
    "interface_xml",
    "network_document",
    "network_xml",
    "patch",
    "pool_path",
    "pool_xml",
    "render",
    "root_xml",
    "seed_xml",
    "volume_document",
    "volume_xml",
]
