# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a volume. It holds data, so nothing of it changes unless the user names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .._converge.desired import quote
from .._converge.kind import Kind, Replace
from .._converge.option import Option
from .._converge.ownership import without_ours
from .._converge.secret import looks_secret
from . import values

LOCAL = ("type", "device", "o", "size")


def _check(spec: Mapping) -> Iterable[tuple[str, str]]:
    try:
        values.name(spec["name"])
    except ValueError as error:
        yield "name", str(error)
    if (spec.get("driver") or "local") == "local":
        yield from _check_local(spec.get("driver_options") or {})


def _check_local(options: Mapping) -> Iterable[tuple[str, str]]:
    for key in options:
        if key not in LOCAL:
            yield "driver_options", f"{quote(str(key))} is not an option of the driver local; it has {', '.join(LOCAL)}"


OPTIONS = (
    Option("name", required=True),
    Option("state", choices=("present", "absent"), default="present"),
    Option("driver", "str", "Driver", values.plugin, unset="local"),
    Option(
        "driver_options",
        "dict",
        "Options",
        values.texts,
        lambda value: dict(value or {}),
        keyed=True,
        hides=looks_secret,
    ),
    Option("labels", "dict", "Labels", values.texts, without_ours, keyed=True, hides=looks_secret),
)

KIND = Kind("volume", OPTIONS, replace=Replace.NEVER, labels="Labels", check=_check, born="CreatedAt")
