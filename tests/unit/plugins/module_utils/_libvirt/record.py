# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Record fixtures/ anew, and try each change for real: python -m unit.plugins.module_utils._libvirt.record URI, from tests/.

Wants a libvirtd with QEMU and OVMF on which nothing else depends: it defines the machines of documents.py and removes them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import libvirt

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[4] / "build" / "collections"))

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import xml  # noqa: E402

from .documents import CHANGES, MACHINES, NETWORKS  # noqa: E402

INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
VALIDATE = libvirt.VIR_DOMAIN_DEFINE_VALIDATE


def define(connection: libvirt.virConnect, text: str) -> tuple[libvirt.virDomain, str]:
    domain = connection.defineXMLFlags(text, VALIDATE)
    return domain, domain.XMLDesc(INACTIVE)


def remove(domain: libvirt.virDomain) -> None:
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)


def record_machine(connection: libvirt.virConnect, name: str, wanted: str) -> None:
    domain, text = define(connection, wanted)
    (HERE / "fixtures" / f"{name}.xml").write_text(text)
    document = xml.document(text)
    same = define(connection, xml.patch(text, document))[1] == text
    remove(domain)
    print(f"{name}: {'the same when defined again' if same else 'CHANGED BY BEING DEFINED AGAIN'}")
    if name in MACHINES and document != MACHINES[name]:
        print(f"  IS NOT WHAT WAS SENT: {[key for key in document if document[key] != MACHINES[name][key]]}")
    for change, values in CHANGES.items():
        domain, text = define(connection, wanted)
        try:
            got = xml.document(define(connection, xml.patch(text, values))[1])
            wrong = [key for key in got if got[key] != {**document, **values}[key]]
            print(f"  {change}: {f'NOT TAKEN: {wrong}' if wrong else 'ok'}")
        except libvirt.libvirtError as error:
            print(f"  {change}: refused: {error}")
        remove(domain)


def main(uri: str) -> None:
    libvirt.registerErrorHandler(lambda *_: None, None)
    connection = libvirt.open(uri)
    for name, document in MACHINES.items():
        record_machine(connection, name, xml.render(document))
    record_machine(connection, "foreign", (HERE / "foreign.xml").read_text())
    for name, document in NETWORKS.items():
        network = connection.networkDefineXML(xml.network_xml(document))
        text = network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)
        (HERE / "fixtures" / f"network-{name}.xml").write_text(text)
        network.undefine()
        print(f"network {name}: {'ok' if xml.network_document(text) == document else 'IS NOT WHAT WAS SENT'}")


if __name__ == "__main__":
    main(sys.argv[1])
