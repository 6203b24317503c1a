# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines and networks as documents, and what may change in them; fixtures/ holds what libvirt 9.0 made of them."""

from __future__ import annotations

from typing import Any

IMAGES = "/var/lib/libvirt/images"
MIB = 1 << 20


def volume(machine: str, part: str, ending: str = "qcow2") -> str:
    return f"{IMAGES}/slipway.default.{machine}.{part}.{ending}"


def disk(machine: str, name: str, bus: str = "virtio") -> dict[str, str]:
    return {"Path": volume(machine, f"disk-{name}"), "Format": "qcow2", "Bus": bus, "Serial": name}


def interface(last: int, kind: str = "user", source: str = "", model: str = "virtio") -> dict[str, str]:
    return {"Type": kind, "Source": source, "Mac": f"52:54:00:aa:00:{last:02x}", "Model": model}


def user_card(last: int, *ports: str, model: str = "virtio") -> dict[str, Any]:
    """A card in user mode that QEMU itself carries."""
    return {**interface(last, model=model), "Ports": list(ports)}


def folder(source: str, read_only: bool = False, way: str = "9p") -> dict[str, Any]:
    return {"Source": source, "ReadOnly": read_only, "Way": way}


def machine(name: str, number: int, **others: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "UUID": f"6f1c1f3e-0000-5000-8000-{number:012x}",
        "Type": "qemu",
        "Arch": "x86_64",
        "MachineType": "q35",
        "Memory": 256 * MIB,
        "MemoryMax": 512 * MIB,
        "Cpus": 1,
        "CpusMax": 2,
        "Cpu": "maximum",
        "Firmware": "bios",
        "Boot": {},
        "Root": {"Path": volume(name, "root"), "Format": "qcow2"},
        "Disks": {"data": disk(name, "data")},
        "Seed": volume(name, "seed", "iso"),
        "Interfaces": {"0": interface(number)},
        "Folders": {},
        "FreePages": False,
        "Agent": True,
        "Serial": f"{IMAGES}/{name}.log",
        "Labels": {"slipway.project": "default", "slipway.key": name},
        **others,
    }


# What the hypervisors that run nowhere near say of devices: no aliases, no metadata, no choice of a board.
PLAIN = {"MachineType": "", "Cpu": "", "Agent": False, "Serial": "", "Labels": {}, "Cpus": 2, "Memory": 512 * MIB}

MACHINES = {
    "q35": machine("web", 1, Labels={"slipway.project": "default", "note": "a <b> & \"c\" 'd'\n\tnew line é"}),
    "pc": machine(
        "old",
        2,
        MachineType="pc",
        Cpu="",
        Cpus=2,
        Memory=512 * MIB,
        Disks={},
        Interfaces={
            "0": interface(0x20, "network", "default"),
            "1": interface(0x21, model="e1000"),
            "2": interface(0x22, "bridge", "br0"),
        },
        Labels={},
        Agent=False,
        Serial="",
    ),
    "ram": machine(
        "small",
        3,
        Root={},
        Disks={},
        Boot={"kernel": f"{IMAGES}/vmlinuz", "initrd": f"{IMAGES}/initrd", "cmdline": "console=ttyS0 a='b'"},
        Interfaces={},
    ),
    "disks": machine(
        "store",
        4,
        Cpu="Nehalem",
        Seed="",
        Disks={name: disk("store", name, bus) for name, bus in (("b", "scsi"), ("a", "sata"), ("c", "virtio"))},
    ),
    "efi": machine("uefi", 5, Firmware="efi", Cpu="host-model"),
    "desktop": machine(
        "desk",
        14,
        Interfaces={
            "0": interface(0x50, "bridge", "br0"),
            "1": user_card(0x51, "127.0.0.1:60022:22", "0.0.0.0:5353:53/udp", "8080:80"),
            "2": interface(0x52),
        },
        FreePages=True,
        Folders={"/home/ana/site": folder("/home/ana/site"), "/srv/with blank": folder("/home/ana/\\&'b", True)},
    ),
    "virtiofs": machine("shared", 15, Folders={"/srv/site": folder("/srv/site", way="virtiofs")}),
    "named-cpu": machine("named", 6, Cpu="qemu64"),
}
ELSEWHERE = {
    "hvf": machine(
        "mac",
        7,
        Type="hvf",
        Arch="aarch64",
        MachineType="virt",
        Firmware="efi",
        Cpu="host-passthrough",
    ),
    "hvf-intel": machine("intel", 8, Type="hvf", Cpu="host-passthrough"),
    "vbox": machine(
        "box",
        9,
        Type="vbox",
        Root={"Path": volume("box", "root", "vdi"), "Format": "vdi"},
        Disks={"data": {"Path": volume("box", "disk-data", "vdi"), "Format": "vdi", "Bus": "sata", "Serial": ""}},
        Interfaces={"0": interface(9, model="82540EM"), "1": interface(10, "bridge", "eth0", "82540EM")},
        **PLAIN,
    ),
    "hyperv": machine(
        "win",
        11,
        Type="hyperv",
        Root={"Path": r"C:\vm\slipway.default.win.root.vhdx", "Format": "vhdx"},
        Disks={
            "data": {
                "Path": r"C:\vm\slipway.default.win.disk-data.vhdx",
                "Format": "vhdx",
                "Bus": "scsi",
                "Serial": "",
            }
        },
        Seed=r"C:\vm\slipway.default.win.seed.iso",
        Interfaces={"0": interface(11, "bridge", "C08CB7B8-9B3C-408E-8E30-5E16A3AEB444", "netvsc")},
        **PLAIN,
    ),
    "kvm": machine("fast", 12, Type="kvm", Cpu="host-passthrough"),
    "test": machine("fake", 13, Type="test", MachineType="", Cpu="", Seed="", Agent=False, Serial=""),
}

# Each is right for any machine above that runs under QEMU.
CHANGES: dict[str, dict[str, Any]] = {
    "memory": {"Memory": 300 * MIB},
    "memory_max": {"MemoryMax": 1024 * MIB},
    "both_memories": {"Memory": 128 * MIB, "MemoryMax": 128 * MIB},
    "cpus": {"Cpus": 2},
    "cpus_max": {"CpusMax": 4},
    "both_cpus": {"Cpus": 3, "CpusMax": 3},
    "cpu": {"Cpu": "Westmere"},
    "any_cpu": {"Cpu": ""},
    "all_of_a_cpu": {"Cpu": "maximum"},
    "efi": {"Firmware": "efi"},
    "bios": {"Firmware": "bios"},
    "kernel": {"Boot": {"kernel": "/k & k", "initrd": "", "cmdline": "quiet"}},
    "from_disk": {"Boot": {}},
    "root": {"Root": {"Path": f"{IMAGES}/another.raw", "Format": "raw"}},
    "no_root": {"Root": {}},
    "no_disks": {"Disks": {}},
    "other_disks": {
        "Disks": {"data": disk("x", "data", "scsi"), "more": disk("x", "more"), "a": disk("x", "a", "sata")}
    },
    "many_disks": {"Disks": {f"d{number}": disk("x", f"d{number}") for number in range(12)}},
    "no_seed": {"Seed": ""},
    "seed": {"Seed": f"{IMAGES}/new.iso"},
    "no_interfaces": {"Interfaces": {}},
    "interfaces": {
        "Interfaces": {"0": interface(1, "network", "lab"), "1": interface(0x31), "3": interface(0x33, model="e1000")}
    },
    "user_card": {"Interfaces": {"0": user_card(0x35, "127.0.0.1:60022:22"), "1": interface(1)}},
    "other_user_card": {"Interfaces": {"1": user_card(0x35, model="e1000")}},
    "folders": {"Folders": {"/home/ana/site": folder("/home/ana/site", True), "/x": folder("/srv/x")}},
    "folders_by_virtiofs": {
        "Folders": {"/home/ana/site": folder("/home/ana/site", way="virtiofs"), "/x": folder("/srv/x", True)}
    },
    "no_folders": {"Folders": {}},
    "free_pages": {"FreePages": True},
    "no_free_pages": {"FreePages": False},
    "agent": {"Agent": True},
    "no_agent": {"Agent": False},
    "serial": {"Serial": f"{IMAGES}/other.log"},
    "no_serial": {"Serial": ""},
    "labels": {"Labels": {"a": "1", "b": "<2>"}},
    "no_labels": {"Labels": {}},
    "board": {"MachineType": "pc"},
    "newer_board": {"MachineType": "q35"},
    "all_at_once": {
        "Memory": 64 * MIB,
        "MemoryMax": 64 * MIB,
        "Cpus": 1,
        "CpusMax": 1,
        "Cpu": "host-model",
        "Seed": "",
        "Disks": {"new": disk("x", "new")},
        "Interfaces": {"1": interface(0x41)},
        "Folders": {"/a": folder("/b")},
        "Labels": {"slipway.user": "root"},
    },
}


def network(name: str, number: int, **others: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "UUID": f"6f1c1f3e-0000-5000-8000-0000000001{number:02x}",
        "Mode": "nat",
        "Bridge": f"slip{number}",
        "Domain": "vm.test",
        "Address": f"10.77.{number}.1/24",
        "Dhcp": {"Start": f"10.77.{number}.100", "End": f"10.77.{number}.200"},
        "Hosts": {},
        "Labels": {"slipway.project": "default", "slipway.key": name},
        **others,
    }


NETWORKS = {
    "nat": network("lab", 0, Hosts={"52:54:00:aa:00:01": {"Ip": "10.77.0.5", "Name": "web"}}),
    "isolated": network("inner", 1, Mode="isolated", Domain="", Dhcp={}, Labels={}),
    "route": network("routed", 2, Mode="route"),
    "bridge": network("outer", 3, Mode="bridge", Bridge="br0", Domain="", Address="", Dhcp={}),
}
