# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of what we make. A volume can carry no label, so its name says whose it is."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from hashlib import sha256

from .._converge.desired import quote

PREFIX = "slipway"
MACHINE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
SPACE = uuid.UUID("6a9f1f0e-6f0c-5a0b-9f0d-51a9d0c4e2b7")  # the namespace of our own name-based UUIDs
OWN = "slipway."  # labels of ours begin so
IMAGE, USER, HOST_KEY, GENERATION, PROTECT = (
    OWN + word for word in ("image", "user", "host-key", "generation", "protect")
)
# What a part is to its machine, in names of any project and any hypervisor.
DEVICE = re.compile(
    rf"(?:^|[/\\]){PREFIX}\.[^./\\]+\.[^./\\]+\.(?:(root)(?:-[0-9]+)?|(seed|disk-[a-z0-9-]+))\.[a-z0-9]+$"
)
FORMS = ("qcow2", "raw", "iso", "log")
# Parts of a machine: a root disk has a generation, a data disk a name.
ROOT, DISK, SEED, CONSOLE = "root-", "disk-", "seed", "console"


def label(value: str) -> str:
    """A name that is a host name too (RFC 1123): machines and their disks."""
    if not MACHINE.fullmatch(value):
        raise ValueError(f"{quote(value)} is not a name; use lower-case letters, digits and hyphens, at most 63")
    return value


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace(".", "%2E").replace("/", "%2F")


@dataclass(frozen=True)
class Volume:
    """What a volume's name says: of which machine it is which part (root-GENERATION, disk-NAME, seed or console)."""

    machine: str
    part: str

    @property
    def disk(self) -> str:
        """MACHINE/NAME of a data disk, empty when it is none."""
        return f"{self.machine}/{self.part[len(DISK) :]}" if self.part.startswith(DISK) else ""

    @property
    def generation(self) -> int:
        """Which of the machine's root disks it is, 0 when it is none."""
        return int(self.part[len(ROOT) :]) if re.fullmatch(ROOT + "[0-9]+", self.part) else 0


def volume(project: str, machine: str, part: str, form: str) -> str:
    """The name of a machine's volume."""
    return f"{PREFIX}.{_escaped(project)}.{machine}.{part}.{form}"


def volume_of(path: str, project: str) -> Volume | None:
    """What the name of the volume at a path says when it is this project's, else None."""
    found = path.rpartition("/")[2].split(".")
    if len(found) != 5 or found[0] != PREFIX or found[1] != _escaped(project) or found[4] not in FORMS:
        return None
    return Volume(found[2], found[3])


def device_of(path: str) -> str:
    """What a volume of ours, of whichever project and hypervisor, is to its machine: root, seed or disk-NAME; else empty."""
    match = DEVICE.search(path)
    return (match[1] or match[2]) if match else ""


def image(digest: str, form: str) -> str:
    """The name of the volume that holds a base image; ``digest`` is 64 hexadecimal digits."""
    return f"{PREFIX}.image.{digest}.{form}"


def digest_of(path: str) -> str:
    """The digest in the name of a base image's volume, empty when it is no such name."""
    found = path.rpartition("/")[2].split(".")
    return found[2] if len(found) == 4 and found[:2] == [PREFIX, "image"] else ""


def identity(host: str, kind: str, project: str, name: str) -> str:
    """The UUID of an object of ours: the same name on the same host has the same one for ever."""
    return str(uuid.uuid5(SPACE, "/".join((host, kind, _escaped(project), name))))


def session(host: str) -> str:
    """The UUID of the sessions on a host that is known by this; it does not give away what that is."""
    return str(uuid.uuid5(SPACE, f"session/{host}"))


def mac(identity: str, position: str) -> str:
    """The address of a card: from the machine's UUID, so that its lease and its trust outlast a rebuild."""
    digits = sha256(f"{identity}/{position}".encode()).hexdigest()
    return "52:54:00:" + ":".join(digits[index : index + 2] for index in (0, 2, 4))


def family(machine: str) -> str:
    """Return the name that a versioned machine type is found under: pc-q35-7.2 is a q35."""
    if machine.startswith("pc-q35"):
        return "q35"
    if machine.startswith("pc-"):
        return "pc"
    return re.sub(r"-\d+(\.\d+)*$", "", machine)


def same_board(wanted: str, found: str) -> bool:
    """Whether a machine type is the one that was asked for: libvirt writes a version down where none was said."""
    return wanted in (found, family(found))
