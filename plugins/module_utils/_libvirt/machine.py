# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a machine: a virtual machine with its root disk, seed and address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._converge.desired import quote
from .._converge.kind import Kind, Need, Replace
from .._converge.option import Option
from . import address, changing, disk, image, making, names, seed, values

BUSES = ("virtio", "scsi", "sata")
WAITS = ("none", "running", "address", "ssh")
BOOT_IMAGE = (Option("source", "path"), Option("checksum", required=True))
BOOT = (
    Option("kernel", "dict", suboptions=BOOT_IMAGE, required=True),
    Option("initrd", "dict", suboptions=BOOT_IMAGE),
    Option("cmdline", "str", default=""),
)
IMAGE_OF = (*BOOT_IMAGE, Option("format", choices=image.FORMATS, default="qcow2"))
DISK = (
    Option("name", required=True),
    Option("size", "str", required=True),
    Option("bus", choices=BUSES, default="virtio"),
    Option("format", choices=disk.FORMATS, default="qcow2"),
)
CARD = (
    Option("network", "str"),
    Option("bridge", "str"),
    Option("user", "bool"),
    Option("ports", "list"),
    Option("mac", "str"),
    Option("address", "str"),
    Option("model", "str", default="virtio"),
)
FOLDER = (
    Option("source", "path", required=True),
    Option("target", "str"),
    Option("read_only", "bool", default=False),
)
SEED = (
    Option("hostname", "str"),
    Option("user", "str", default="root"),
    Option("ssh_keys", "list"),
    Option("user_data", "dict"),
    Option("network_config", "dict"),
    Option("files", "dict", no_log=True),
)


def _check(spec: Mapping) -> Iterator[tuple[str, str]]:
    try:
        names.label(spec["name"])
    except ValueError as error:
        yield "name", str(error)
    for place, said in _images(spec):
        for option, sentence in image.check({**said, "format": said.get("format")}):
            yield f"{place}.{option}", sentence
    if spec.get("size") and not spec.get("image"):
        yield "size", "is the size of the root disk, which is made from image; add image, or leave size out"
    for name in ("memory", "cpus"):
        most = spec.get(name + "_max")
        if most and spec.get(name):
            encode = values.memory if name == "memory" else values.count
            if encode(spec[name]) > encode(most):
                yield name, f"{quote(spec[name])} is more than {name}_max ({most}); raise {name}_max"
        elif most:
            yield name + "_max", f"goes with {name}; add {name}"
    if spec["state"] in ("running", "restarted"):
        yield from _check_reach(spec)
    given = spec.get("seed") or {}
    for place, sentence in seed.check({**given, "hostname": given.get("hostname") or "machine"}):
        yield f"seed.{place}", sentence
    if spec.get("timeout") is not None and spec["timeout"] <= 0:
        yield "timeout", f"{spec['timeout']:g} is not a number of seconds above 0; write 300"


def _check_reach(spec: Mapping) -> Iterator[tuple[str, str]]:
    """Whether what is waited for can come."""
    if spec.get("wait_for") == "ssh" and not spec.get("networks"):
        yield "wait_for", "ssh needs a network; add networks, or say wait_for: running"
    elif spec.get("wait_for") in ("ssh", "address"):
        cards = values.cards(spec.get("networks") or ())
        if cards and not address.outside(cards) and not address.forwarded(cards):
            yield (
                "wait_for",
                f"{spec['wait_for']} needs a way into the machine, and its only card is in user mode; "
                f'publish the guest\'s port 22, as ports: ["127.0.0.1:60022:22"], or say wait_for: running',
            )


def _images(spec: Mapping) -> Iterator[tuple[str, Mapping]]:
    if spec.get("image"):
        yield "image", spec["image"]
    for part in ("kernel", "initrd"):
        if (spec.get("boot") or {}).get(part):
            yield f"boot.{part}", spec["boot"][part]


def images(spec: Mapping) -> list[dict[str, Any]]:
    """The base images that a machine is made from, as options of the kind image."""
    return [{"format": "qcow2" if place == "image" else "raw", **said} for place, said in _images(spec)]


def _needs(spec: Mapping) -> Iterator[Need]:
    if spec["state"] == "absent":
        return
    yield Need("pool", spec["pool"])
    for said in images(spec):
        yield Need("image", said["checksum"].rpartition(":")[2].lower()[: image.SHORT])
    for item in spec.get("disks") or ():
        yield Need("disk", f"{spec['name']}/{item['name']}")
    for index, card in enumerate(spec.get("networks") or ()):
        if card.get("network"):
            yield Need("network", card["network"], strict=True, option=f"networks[{index}].network")


OPTIONS = (
    Option("name", required=True),
    Option("state", choices=("running", "stopped", "present", "restarted", "absent"), default="running"),
    Option("image", "dict", "Image", lambda value: image.digest(value["checksum"]), values.short, suboptions=IMAGE_OF),
    Option("size", "str", "Root.Capacity", disk.capacity, update=True, resets=True),
    Option("boot", "dict", "Boot", values.boot, values.boot_back, suboptions=BOOT, keyed=True, update=True, resets=True),
    Option("cpus", "int", "Cpus", values.count, update=True, resets=True),
    Option("cpus_max", "int", "CpusMax", values.count, update=True, resets=True),
    Option("memory", "str", "Memory", values.memory, update=True, resets=True),
    Option("memory_max", "str", "MemoryMax", values.memory, update=True, resets=True),
    Option("cpu", "str", "Cpu", update=True, resets=True),
    Option("machine_type", "str", "MachineType", matches=names.same_board, update=True, resets=True),
    Option("firmware", "str", "Firmware", choices=("bios", "efi"), update=True, resets=True),
    Option("accel", "str", "Type", values.accelerator, matches=values.accelerator_matches, choices=("auto", *values.ACCELERATORS), update=True, resets=True),
    Option("disks", "list", "Disks", values.disks, values.disks_back, elements="dict", suboptions=DISK, keyed=True, update=True, resets=True, unset={}),
    Option("networks", "list", "Interfaces", values.cards, values.cards_back, values.cards_match, elements="dict", suboptions=CARD, update=True, resets=True, unset={}),
    Option("folders", "list", "Folders", values.folders, values.folders_back, elements="dict", suboptions=FOLDER, keyed=True, update=True, resets=True, unset={}),
    Option("autostart", "bool", "Autostart", decode=bool, update=True, resets=True, unset=False),
    Option("agent", "bool", "Agent", decode=bool, update=True, resets=True),
    Option("protect", "bool", "Protect", decode=bool, update=True, resets=True, unset=False),
    Option("labels", "dict", "Labels", values.labels, values.own_labels_out, keyed=True, update=True, resets=True),
    Option("seed", "dict", suboptions=SEED),
    Option("pool", "str"),
    Option("wait_for", choices=WAITS),
    Option("timeout", "float", default=300.0),
    Option("shutdown_timeout", "float", default=120.0),
)  # fmt: skip

KIND = Kind(
    "machine",
    OPTIONS,
    replace=Replace.NEVER,
    disposable=True,
    runs=True,
    labels="Labels",
    relabels=True,
    must=("memory",),
    needs=_needs,
    check=_check,
    making=making.making,
    settling=making.settling,
    removing=making.removing,
    left=making.left,
    fill=making.fill,
    updates=changing.updates,
    stops=changing.stops,
    awaited=making.awaited,
    grace=changing.grace,
)
