# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of what we make. A volume can carry no label, so its name says whose it is."""

from __future__ import annotations

import re
import uuid
from hashlib import sha256

from .._converge.desired import quote

PREFIX = "slipway"
MACHINE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
SPACE = uuid.UUID("6a9f1f0e-6f0c-5a0b-9f0d-51a9d0c4e2b7")  # the namespace of our own name-based UUIDs
OWN = "slipway."  # labels of ours begin so
IMAGE, USER, HOST_KEY, GENERATION, PROTECT = (
    OWN + word for word in ("image", "user", "host-key", "generation", "protect")
)
SUFFIX = {"qcow2": "qcow2", "raw": "raw", "iso": "iso", "log": "log"}


def label(value: str) -> str:
    """A name that is a host name too (RFC 1123): machines and their disks."""
    if not MACHINE.fullmatch(value):
        raise ValueError(f"{quote(value)} is not a name; use lower-case letters, digits and hyphens, at most 63")
    return value


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace(".", "%2E").replace("/", "%2F")


def volume(project: str, machine: str, part: str, form: str) -> str:
    """The name of a machine's volume; ``part`` is root-GENERATION, disk-NAME, seed or console."""
    return f"{PREFIX}.{_escaped(project)}.{machine}.{part}.{form}"


def parts(name: str, project: str) -> tuple[str, str] | None:
    """(machine, part) of a volume's name when it is this project's, else None."""
    found = name.split(".")
    if len(found) != 5 or found[0] != PREFIX or found[1] != _escaped(project) or found[4] not in SUFFIX:
        return None
    return found[2], found[3]


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


def mac(identity: str, position: str) -> str:
    """The address of a card: from the machine's UUID, so that its lease and its trust outlast a rebuild."""
    digits = sha256(f"{identity}/{position}".encode()).hexdigest()
    return "52:54:00:" + ":".join(digits[index : index + 2] for index in (0, 2, 4))
