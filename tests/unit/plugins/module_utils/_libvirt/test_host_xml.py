# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Volumes, pools and networks are written as libvirt takes them and read as it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import xml

from .documents import IMAGES, NETWORKS
from .schema import check

HERE = Path(__file__).parent
BACKING = {"Path": f"{IMAGES}/slipway.image.00.qcow2", "Format": "qcow2"}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_written_and_read_again(name: str) -> None:
    assert xml.network_document(xml.network_xml(NETWORKS[name])) == NETWORKS[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_what_libvirt_makes_of_a_network_is_what_was_sent(name: str) -> None:
    """Its labels too: libvirt 9.0 has no call for a network's metadata, but keeps what was defined."""
    assert xml.network_document((HERE / "fixtures" / f"network-{name}.xml").read_text()) == NETWORKS[name]


def test_a_network_that_others_made_is_read() -> None:
    text = (
        "<network><name>default</name><forward/><bridge name='virbr0'/>"
        "<ip family='ipv6' address='fd00::1' prefix='64'/>"
        "<ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/>"
        "<host mac='52:54:00:AA:00:01' ip='192.168.122.9'/><host name='x' ip='192.168.122.10'/></dhcp></ip></network>"
    )
    document = xml.network_document(text)
    assert document["Mode"] == "nat"
    assert document["Address"] == "192.168.122.1/24"
    assert document["Dhcp"] == {"Start": "192.168.122.2", "End": "192.168.122.254"}
    assert document["Hosts"] == {"52:54:00:aa:00:01": {"Ip": "192.168.122.9", "Name": ""}}
    with pytest.raises(ValueError, match="<domain> is not a network"):
        xml.network_document("<domain/>")


def test_a_volume_says_what_it_lies_on() -> None:
    document = xml.volume_document((HERE / "fixtures" / "volume.xml").read_text())
    assert document == {
        "Name": "slipway.default.web.root.qcow2",
        "Path": f"{IMAGES}/slipway.default.web.root.qcow2",
        "Format": "qcow2",
        "Capacity": 2 << 30,
        "Allocation": 200704,
        "Backing": BACKING["Path"],
    }


def test_a_reservation_is_one_element() -> None:
    said = xml.host_xml("52:54:00:aa:00:01", {"Ip": "10.0.0.2", "Name": "web"})
    assert said == "<host mac='52:54:00:aa:00:01' name='web' ip='10.0.0.2'/>\n"


def test_libvirt_s_schemas_take_them(tmp_path: Path) -> None:
    check("network", {name: xml.network_xml(document) for name, document in NETWORKS.items()}, tmp_path)
    volumes = {
        "overlay": xml.volume_xml("slipway.default.web.root.qcow2", 2 << 30, "qcow2", BACKING),
        "seed": xml.volume_xml("slipway.default.web.seed.iso", 4096, "raw"),
        "base": xml.volume_xml("slipway.image.00.qcow2", 1 << 30, "qcow2", mode="0444"),
    }
    check("storagevol", volumes, tmp_path)
    check("storagepool", {"pool": xml.pool_xml("slipway", IMAGES)}, tmp_path)
