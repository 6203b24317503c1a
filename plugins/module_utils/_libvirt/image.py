# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a base image: a file that is known by its digest, kept in a pool and never written to again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from .._converge.action import Reason, Symbol
from .._converge.desired import Resource, quote
from .._converge.kind import Kind, Need, Step
from .._converge.observed import Observed, World
from .._converge.option import Option
from . import names

CHECKSUM = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
FORMATS = ("qcow2", "raw")
SHORT = 12  # digits of a digest that are shown


def digest(value: str) -> str:
    """The 64 digits of a checksum."""
    match = CHECKSUM.fullmatch(value.strip().lower())
    if not match:
        raise ValueError(
            f"{quote(value)} is not a checksum; write sha256: and the 64 digits that `sha256sum FILE` prints"
        )
    return match[1]


def too_small(size: int, least: int) -> str:
    """What is said of a root disk that cannot hold its image."""
    return f"{size} is less than the disk in the image has ({least}); write a size that is not smaller, or leave it out"


def check(spec: Mapping) -> Iterator[tuple[str, str]]:
    """Mistakes in the dictionary that names an image."""
    try:
        digest(spec["checksum"])
    except ValueError as error:
        yield "checksum", str(error)
    source = spec.get("source") or ""
    if source and not source.startswith(("/", "http://", "https://", "file:///")):
        yield (
            "source",
            f"{quote(source)} is neither an absolute path nor an http(s) URL; write /srv/images/debian.qcow2",
        )


def _steps(resource: Resource, observed: Observed | None, world: World) -> Iterable[tuple]:
    if observed is not None:
        return
    source = resource.intent.get("source")
    words = f"fetch the image {resource.name} from {source}"
    payload = {
        "source": source,
        "digest": digest(resource.intent["checksum"]),
        "format": resource.intent.get("format"),
        "pool": resource.intent["pool"],
        "path": "/".join(
            (
                world.facts["pools"][resource.intent["pool"]],
                names.image(digest(resource.intent["checksum"]), resource.intent["format"]),
            )
        ),
    }
    undo = ("remove", f"remove the image {resource.name}", {"path": payload["path"]})
    yield Symbol.CREATE, Reason.MISSING, [], [Step("fetch", words, payload, undo)]


def _needs(spec: Mapping) -> Iterable[Need]:
    yield Need("pool", spec["pool"])


OPTIONS = (
    Option("name"),
    Option("state", choices=("present", "absent"), default="present"),
    Option("source", "path"),
    Option("checksum", required=True),
    Option("format", choices=FORMATS, default="qcow2"),
    Option("pool"),
)

KIND = Kind("image", OPTIONS, needs=_needs, check=check, steps=_steps)
