# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine is written and read without loss, and changed without touching what is not meant."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._libvirt import names, xml

from .documents import CHANGES, ELSEWHERE, IMAGES, MACHINES, MIB, disk, folder, interface, machine, user_card
from .schema import check

HERE = Path(__file__).parent
ALL = {**MACHINES, **ELSEWHERE}
RECORDED = (*MACHINES, "foreign")


def recorded(name: str) -> str:
    """Return what libvirt 9.0 answered; record.py made it."""
    return (HERE / "fixtures" / f"{name}.xml").read_text()


def as_sent(document: dict[str, Any]) -> dict[str, Any]:
    """What libvirt answered, without the version that it wrote down where none was said."""
    return {**document, "MachineType": names.family(document["MachineType"])}


@pytest.mark.parametrize("name", ALL)
def test_what_is_written_is_read_again(name: str) -> None:
    assert xml.document(xml.render(ALL[name])) == ALL[name]


@pytest.mark.parametrize("name", [*MACHINES, "test"])
def test_what_libvirt_makes_of_it_is_what_was_sent(name: str) -> None:
    assert as_sent(xml.document(recorded(name))) == ALL[name]


@pytest.mark.parametrize("name", RECORDED)
def test_no_change_is_no_change_to_the_byte(name: str) -> None:
    text = recorded(name)
    assert xml.patch(text, {}) == text
    assert xml.patch(text, xml.document(text)) == text


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", RECORDED)
def test_a_change_is_made_and_no_other(name: str, change: str) -> None:
    text, changes = recorded(name), CHANGES[change]
    patched = xml.patch(text, changes)
    assert xml.document(patched) == {**xml.document(text), **changes}
    assert xml.patch(patched, changes) == patched


# Another board is laid out anew.
@pytest.mark.parametrize("change", [name for name, values in CHANGES.items() if "MachineType" not in values])
@pytest.mark.parametrize("name", RECORDED)
def test_devices_that_are_not_meant_stay_to_the_byte(name: str, change: str) -> None:
    text = recorded(name)
    before, now = xml.document(text), CHANGES[change]
    patched = xml.patch(text, now)
    same = {"agent"} if before["Agent"] == now.get("Agent", before["Agent"]) else set()
    for key, prefix in (("Disks", "disk-"), ("Interfaces", "net-")):
        same |= {prefix + one for one, value in before[key].items() if now.get(key, before[key]).get(one) == value}
    for key in ("Root", "Seed"):
        same |= {key.lower()} if before[key] == now.get(key, before[key]) else set()
    found = xml.devices(patched)
    for device, said in xml.devices(text).items():
        if device in same:
            assert without_alias(found[device]) == without_alias(said)
    for line in ("<uuid>", "<emulator>", "libosinfo", "guest=theirs", "<memballoon", "<video>", "passwd="):
        assert patched.count(line) == text.count(line)


def without_alias(text: str) -> str:
    """What others made gets a name when devices beside it come or go."""
    return re.sub(r"\n *<alias name='[^']*'/>", "", text)


def test_any_machine_becomes_any_other_of_its_kind() -> None:
    for before, after in permutations(MACHINES.values(), 2):
        wanted = {**after, "MachineType": before["MachineType"]}
        assert xml.document(xml.patch(xml.render(before), wanted)) == wanted


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValueError, match="Colour is no key of a machine; it has Name, UUID"):
        xml.patch(recorded("q35"), {"Colour": "red"})
    with pytest.raises(ValueError, match="<network> is not a domain"):
        xml.document("<network/>")


def test_a_running_machine_is_read_the_same() -> None:
    """Three disks and an interface were plugged in while it ran, which the spare ports allow; no guest answers the balloon."""
    document = as_sent(xml.document(recorded("running")))
    assert list(document["Disks"]) == ["data", "one", "two", "three"]
    assert list(document["Interfaces"]) == ["0", "1"]
    assert document["Memory"] == document["MemoryMax"]
    same = set(document) - {"Disks", "Interfaces", "Memory"}
    assert {key: document[key] for key in same} == {key: MACHINES["q35"][key] for key in same}


def test_spare_ports_are_there_for_disks_and_interfaces() -> None:
    text = recorded("q35")
    ports = set(re.findall(r"<controller type='pci' index='(\d+)' model='pcie-root-port'>", text))
    taken = {str(int(bus, 16)) for bus in re.findall(r"bus='0x([0-9a-f]{2})' slot='0x00' function='0x0'", text)}
    assert len(ports - taken) == xml.SPARE_PORTS


def test_what_others_wrote_stays() -> None:
    text = recorded("foreign")
    patched = xml.patch(text, {"Labels": {"slipway.key": "x"}, "CpusMax": 8})
    for line in (
        "<!-- kept -->",
        '<libosinfo:os id="http://debian.org/debian/12"/>',
        "<vmport state='off'/>",
        "passwd='secret'",
    ):
        assert line in patched
    assert "<topology" not in patched
    assert xml.patch(patched, {"Labels": {}}).count("slipway") == 0


def test_what_others_made_is_known_by_its_place_until_it_has_a_name() -> None:
    document = xml.document(recorded("foreign"))
    assert document["Root"] == {"Path": "/srv/theirs.qcow2", "Format": "qcow2"}
    assert list(document["Disks"]) == ["vda"]
    assert document["Seed"] == "", "somebody's CD is not our seed"
    patched = xml.patch(recorded("foreign"), {"Root": {}, "Interfaces": {"1": document["Interfaces"]["1"]}})
    assert xml.document(patched)["Disks"] == document["Disks"]
    assert list(xml.document(patched)["Interfaces"]) == ["1"]
    assert "/srv/debian.iso" in patched


def test_a_card_in_user_mode_stands_beside_what_others_say_to_qemu() -> None:
    card = user_card(0x61, "127.0.0.1:60022:22", "5353:53/udp")
    text = recorded("foreign")
    there = xml.document(text)["Interfaces"]
    patched = xml.patch(text, {"Interfaces": {**there, "2": card}})
    assert re.findall(r"<qemu:arg value='([^']*)'/>", patched) == [
        "-name",
        "guest=theirs",
        "-netdev",
        "user,id=slipway-net-2,hostfwd=tcp:127.0.0.1:60022-:22,hostfwd=udp::5353-:53",
        "-device",
        "virtio-net-pci,netdev=slipway-net-2,id=slipway-net-2,mac=52:54:00:aa:00:61,addr=0x10",
    ]
    back = xml.patch(patched, {"Interfaces": there})
    assert xml.document(back) == xml.document(text)
    assert re.findall(r"<qemu:arg value='([^']*)'/>", back) == ["-name", "guest=theirs"]
    alone = xml.patch(recorded("q35"), {"Interfaces": {"0": card}})
    assert "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'" in alone
    assert "qemu:commandline" not in xml.patch(alone, {"Interfaces": {}})
    assert xml.document(xml.render({**MACHINES["q35"], "Interfaces": {"0": card}}))["Interfaces"] == {"0": card}


def test_a_guest_is_told_of_its_folders_in_the_words_of_fstab() -> None:
    text = xml.render(MACHINES["desktop"])
    assert said_to_the_guest(text) == [
        "folder-4264b5c0deb6 /home/ana/site 9p trans=virtio,version=9p2000.L,msize=262144,nofail 0 0",
        "folder-b7466667347d /srv/with\\040blank 9p trans=virtio,version=9p2000.L,msize=262144,ro,nofail 0 0",
    ]
    assert text.count("<filesystem type='mount' accessmode='squash' multidevs='remap'>") == 2
    assert "<smbios mode='sysinfo'/>" in text
    for empty in (xml.patch(text, {"Folders": {}}), xml.render({**MACHINES["desktop"], "Folders": {}})):
        assert not [word for word in ("filesystem", "smbios", "sysinfo", "oemStrings") if word in empty]


def said_to_the_guest(text: str) -> list[str]:
    (said,) = re.findall(r"io\.systemd\.credential\.binary:fstab\.extra=([A-Za-z0-9+/=]*)<", text)
    return base64.b64decode(said).decode().splitlines()


def test_virtiofs_needs_memory_that_is_shared() -> None:
    text = xml.render(MACHINES["virtiofs"])
    assert re.search(r"<memoryBacking>\s*<source type='memfd'/>\s*<access mode='shared'/>\s*</memoryBacking>", text)
    assert re.search(r"<filesystem type='mount' accessmode='passthrough'>\s*<driver type='virtiofs'/>", text)
    assert said_to_the_guest(text) == [f"folder-{sha256(b'/srv/site').hexdigest()[:12]} /srv/site virtiofs nofail 0 0"]
    by_9p = xml.patch(text, {"Folders": {"/srv/site": folder("/srv/site")}})
    assert "memoryBacking" not in by_9p and "virtiofs" not in by_9p
    huge = text.replace("<source type='memfd'/>", "<hugepages/>")
    assert "<hugepages/>" in xml.patch(huge, {"Folders": {}}), "what others say of memory stays"
    assert "memfd" not in xml.patch(xml.patch(huge, {"Folders": {}}), {"Folders": MACHINES["virtiofs"]["Folders"]})


def test_what_others_tell_a_guest_stays() -> None:
    theirs = base64.b64encode(b"tmpfs /scratch tmpfs defaults 0 0\n").decode()
    info = (
        "<sysinfo type='smbios'><system><entry name='vendor'>Them</entry></system><oemStrings><entry>a=b</entry>"
        f"<entry>io.systemd.credential.binary:fstab.extra={theirs}</entry></oemStrings></sysinfo>"
        "<sysinfo type='fwcfg'><entry name='opt/x'>y</entry></sysinfo>"
    )
    shared = "<filesystem type='mount'><source dir='/srv'/><target dir='theirs'/></filesystem></devices>"
    text = recorded("q35").replace("<features>", f"{info}<features>").replace("</devices>", shared)
    assert xml.document(text)["Folders"] == {}
    more = xml.patch(text, {"Folders": {"/x": folder("/y")}})
    assert xml.document(more)["Folders"] == {"/x": folder("/y")}
    assert said_to_the_guest(more)[0] == "tmpfs /scratch tmpfs defaults 0 0"
    less = xml.patch(more, {"Folders": {}})
    assert said_to_the_guest(less) == ["tmpfs /scratch tmpfs defaults 0 0"]
    for one in (more, less):
        assert all(said in one for said in ("<entry>a=b</entry>", ">Them<", "opt/x", "<target dir='theirs'/>"))


def test_a_folder_that_is_told_and_not_there_or_there_and_not_told_is_not_as_declared() -> None:
    text = xml.render(MACHINES["desktop"])
    gone = re.sub(r" *<filesystem .*?</filesystem>\n", "", text, count=1, flags=re.DOTALL)
    assert xml.document(gone)["Folders"] != MACHINES["desktop"]["Folders"]
    untold = re.sub(r" *<sysinfo .*?</sysinfo>\n", "", text, flags=re.DOTALL)
    assert set(xml.document(untold)["Folders"]) == {"folder-4264b5c0deb6", "folder-b7466667347d"}
    for wrong in (gone, untold):
        mended = xml.patch(wrong, {"Folders": MACHINES["desktop"]["Folders"]})
        assert xml.document(mended) == MACHINES["desktop"]
        assert said_to_the_guest(mended) == said_to_the_guest(text)


def test_a_serial_or_a_file_names_a_disk_when_no_alias_does() -> None:
    text = re.sub(r" *<alias name='[^']*'/>\n", "", recorded("q35"))
    assert as_sent(xml.document(text)) == MACHINES["q35"]
    assert xml.document(re.sub(r" *<serial>[^<]*</serial>\n", "", text))["Root"] == MACHINES["q35"]["Root"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("<memory>1024</memory>", MIB),
        ("<memory unit='KiB'>1024</memory>", MIB),
        ("<memory unit='b'>1048576</memory>", MIB),
        ("<memory unit='M'>1</memory>", MIB),
        ("<memory unit='MB'>1</memory>", 1_000_000),
        ("<memory unit='gib'>1</memory>", 1024 * MIB),
    ],
)
def test_units_are_counted_in_bytes(said: str, meant: int) -> None:
    document = xml.document(f"<domain type='test'><name>a</name>{said}<os><type>hvm</type></os></domain>")
    assert (document["Memory"], document["MemoryMax"]) == (meant, meant)


def test_devices_are_written_for_being_plugged_in() -> None:
    text = recorded("disks")
    target = xml.free_target(text, "virtio")
    assert target == "vdc"
    assert xml.free_target(text, "scsi") == "sdc"
    plugged = xml.disk_xml("more", disk("store", "more"), target)
    assert plugged == (
        "<disk type='file' device='disk'>\n"
        "  <driver name='qemu' type='qcow2' discard='unmap'/>\n"
        f"  <source file='{IMAGES}/slipway.default.store.disk-more.qcow2'/>\n"
        "  <target dev='vdc' bus='virtio'/>\n"
        "  <serial>more</serial>\n"
        "  <alias name='ua-disk-more'/>\n"
        "</disk>\n"
    )
    assert "<alias name='ua-net-2'/>" in xml.interface_xml("2", interface(5))
    assert "<alias name='ua-seed'/>" in xml.seed_xml("/a.iso", "vdd")
    assert "<alias name='ua-root'/>" in xml.root_xml({"Path": "/a", "Format": "raw"}, "vda")
    assert xml.controller_xml(text, "scsi") == "", "it has one"
    assert xml.controller_xml(recorded("q35"), "scsi") == "<controller type='scsi' index='0' model='virtio-scsi'/>\n"
    assert xml.controller_xml(recorded("q35"), "virtio") == ""


def test_devices_are_found_for_being_taken_out() -> None:
    devices = xml.devices(recorded("running"))
    assert sorted(devices) == [
        "agent",
        "disk-data",
        "disk-one",
        "disk-three",
        "disk-two",
        "net-0",
        "net-1",
        "root",
        "seed",
    ]
    assert all(f"<alias name='{xml.alias_of(name)}'/>" in text for name, text in devices.items())
    assert devices["disk-two"].startswith("<disk type='file' device='disk'>")


def test_more_than_26_disks_have_names() -> None:
    many = {f"d{number:02}": disk("x", f"d{number:02}") for number in range(30)}
    text = xml.render(machine("x", 9, Disks=many))
    assert re.findall(r"dev='(vd\w+)'", text)[-5:] == ["vdab", "vdac", "vdad", "vdae", "vdaf"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_hypervisors_get_what_their_drivers_take(name: str) -> None:
    """hvf, vbox and hyperv: rendered and unit-tested, not run."""
    golden = HERE / "golden" / f"{name}.xml"
    assert xml.render(ELSEWHERE[name]) == golden.read_text()


def test_libvirt_s_schema_takes_all_we_write(tmp_path: Path) -> None:
    """Also of hvf, vbox and hyperv: rendered and unit-tested, not run."""
    texts = {name: xml.render(document) for name, document in ALL.items()}
    for name in RECORDED:
        texts.update({f"{name}-{change}": xml.patch(recorded(name), values) for change, values in CHANGES.items()})
    check("domain", texts, tmp_path)


def test_text_in_labels_comes_back_whatever_it_is() -> None:
    odd: dict[str, Any] = {"a": "", "b": " x ", "c": "<&>'\"", "d'\"": "1\n\t2", "é": "😀"}
    assert xml.document(xml.render({**MACHINES["q35"], "Labels": odd}))["Labels"] == odd
    with pytest.raises(ValueError, match="cannot stand in XML"):
        xml.render({**MACHINES["q35"], "Labels": {"a": "\x1b"}})
