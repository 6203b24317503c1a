# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""File secrets: files on the engine's host that a container mounts read-only; the row's functions, and what is there now.

An engine by itself keeps no secrets, so each container has a directory of its own, DIRECTORY/PROJECT/CONTAINER/TOKEN, which only
root can enter. What a file holds is in that file alone: the engine knows its path, and comparing means reading it again.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote as escape

from .._converge.desired import Resource, join, quote
from .._converge.errors import SpecError
from .._converge.option import Option, dig
from .._converge.policy import Policy
from .connection import Address

DIRECTORY = "/run/slipway/secrets"
INSIDE = "/run/secrets"  # where a container finds them, as in a swarm and in Compose

TOKEN = re.compile(r"slipway-(?P<engine>[0-9a-f]{12})-[0-9a-f]{32}")
SOURCE = re.compile(rf"(?P<directory>/.*)/[^/]+/[^/]+/(?P<token>{TOKEN.pattern})/(?P<name>[^/]+)")

OPTIONS = (
    Option("name", required=True),
    Option("value", no_log=True),
    Option("file", "path"),
    Option("target"),
    Option("uid", "int", default=0),
    Option("gid", "int", default=0),
    Option("mode", "raw", default="0400"),
)


@dataclass(frozen=True)
class Secret:
    """One file. ``content`` is None when it is not there, ``source`` its path on the host, ``directory`` what is above it."""

    target: str
    uid: int
    gid: int
    mode: int
    content: str | None = field(repr=False)
    directory: str = ""
    source: str = field(default="", compare=False)


# -- the row ---------------------------------------------------------------------------------------------------


def encode(items: Sequence[Mapping]) -> dict[str, Secret]:
    """{name: secret}; no sentence shows a value."""
    found: dict[str, Secret] = {}
    for item in items:
        name, target = item["name"], item.get("target")
        if not re.fullmatch(r"[^/\x00-\x1f\x7f]{1,200}", name) or name in (".", ".."):
            raise ValueError(f"{quote(name)} is not a file's name; write db_password, and the path in target")
        if name in found:
            raise ValueError(f"{quote(name)} is there twice; give each its own name")
        if (item.get("value") is None) == (item.get("file") is None):
            raise ValueError(f"{quote(name)} needs value or file, and not both")
        if target is not None and not re.fullmatch(r"/[^\x00]*[^/\x00]", target):
            raise ValueError(f"{quote(target)} is not the absolute path of a file; write {INSIDE}/{name}")
        for word in ("uid", "gid"):
            if not 0 <= item[word] < 1 << 32:
                raise ValueError(f"{word} {item[word]} of {quote(name)} is not a number from 0 to 4294967294")
        found[name] = Secret(
            target or f"{INSIDE}/{name}", item["uid"], item["gid"], _mode(item["mode"]), item.get("value")
        )
    return found


def _mode(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch("0?[0-7]{3}", value):  # YAML reads a bare 0400 as 256
        raise ValueError(f'mode {quote(value)} is not a file mode in quotes; write "0400"')
    return int(value, 8)


def decode(found: Mapping | None) -> dict[str, Secret]:
    """The same, of what was said or of what is there."""
    return dict(found or {})


def read(raw: Mapping) -> Mapping[str, Secret]:
    """The secrets that `observed` found."""
    return raw.get("Secrets") or {}


def write(document: dict, found: Mapping[str, Secret]) -> None:
    """Into a create document, from which the performer takes them out again: the engine gets no more than paths."""
    document["Secrets"] = dict(found)


def always(_name: str) -> bool:
    """No value of a secret is ever shown."""
    return True


def texts(found: Mapping[str, Secret]) -> list[str]:
    """What must not show up in a message."""
    return [secret.content for secret in found.values() if secret.content and secret.content.strip()]


def targets(spec: Mapping) -> list[str]:
    """Paths in the container of the secrets of one container's options."""
    return [item.get("target") or f"{INSIDE}/{item['name']}" for item in spec.get("secrets") or ()]


# -- what a task says ------------------------------------------------------------------------------------------


def contents(items: Any, complain: Any) -> Any:
    """The items with each ``file`` replaced by the value that it holds; what cannot be read is complained of."""
    if not isinstance(items, (list, tuple)):
        return items
    found = []
    for item in items:
        name = item.get("file") if isinstance(item, Mapping) and item.get("value") is None else None
        if isinstance(name, str):
            item = {key: value for key, value in item.items() if key != "file"}
            item["value"] = ""
            try:
                with open(name, "rb") as file:
                    item["value"] = _text(file.read())
            except OSError as error:
                complain(f"{quote(name)} cannot be read on this host: {error.strerror}; correct the path")
        found.append(item)
    return found


def placed(resource: Resource, directory: str) -> Resource:
    """The resource with its secrets below a directory."""
    if not resource.fields.get("secrets"):
        return resource
    found = {name: replace(item, directory=directory) for name, item in resource.fields["secrets"].items()}
    return replace(resource, fields={**resource.fields, "secrets": found}, body={**resource.body, "Secrets": found})


def demand(address: Address, desired: Iterable[Resource], policy: Policy) -> None:
    """Raise SpecError when secrets are asked for that cannot be written from here."""
    for resource in desired:
        found = resource.fields.get("secrets")
        if not found or policy.absent or resource.intent.get("state") == "absent":
            continue
        trouble = _trouble(address, next(iter(found.values())).directory, policy.project, resource.name)
        owners = {item for secret in found.values() for item in ((secret.uid, "uid"), (secret.gid, "gid"))}
        if not trouble and os.geteuid():
            foreign = sorted(owners - {(os.geteuid(), "uid"), (os.getegid(), "gid")})
            trouble = (
                f"only root can give a file to {foreign[0][1]} {foreign[0][0]}; use become: true" if foreign else ""
            )
        if trouble:
            raise SpecError([f"{join(resource.place, 'secrets')}: {trouble}"])


def _trouble(address: Address, directory: str, project: str, name: str) -> str:
    if address.scheme != "unix":
        return (
            f"the files can be written on the engine's own host only, and it is at {address.url}; "
            f"run the task there, with its local socket"
        )
    with suppress(OSError):
        state = os.stat(directory)
        if not stat.S_ISDIR(state.st_mode) or state.st_uid not in (0, os.geteuid()) or state.st_mode & 0o022:
            return f"others may write to {quote(directory)}; name a directory of root's in secrets_dir"
    above = os.path.join(directory, part(project), name)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above) or not os.access(above, os.W_OK | os.X_OK):
        return f"nothing can be written to {quote(above)}; use become: true, or name another directory in secrets_dir"
    return ""


# -- what is there ---------------------------------------------------------------------------------------------


def observed(raw: Mapping, address: Address) -> Mapping:
    """An inspect document with the secrets apart from the mounts, each with what its file holds now."""
    mounts = dig(raw, "HostConfig.Mounts") or ()
    found, rest = {}, []
    for mount in mounts:
        match = SOURCE.fullmatch(mount.get("Source") or "") if mount.get("Type") == "bind" else None
        if match:
            found[match["name"]] = _look(mount, match["directory"], address.scheme == "unix")
        else:
            rest.append(mount)
    if not found:
        return raw
    return {**raw, "Secrets": found, "HostConfig": {**raw["HostConfig"], "Mounts": rest}}


def tokens(summary: Mapping) -> set[str]:
    """What tells the directories apart that a container of the engine's list has mounted."""
    return {os.path.basename(os.path.dirname(mount.get("Source") or "")) for mount in summary.get("Mounts") or ()}


def _look(mount: Mapping, directory: str, here: bool) -> Secret:
    target, source = mount.get("Target") or "", mount["Source"]
    with suppress(OSError):
        number = os.open(source if here else "", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(number, "rb") as file:
            state = os.fstat(number)
            mode = stat.S_IMODE(state.st_mode)
            return Secret(target, state.st_uid, state.st_gid, mode, _text(file.read()), directory, source)
    return Secret(target, 0, 0, 0, None, directory, source)


def _text(data: bytes) -> str:
    """Bytes as a text that turns into the same bytes again."""
    return data.decode("utf-8", "surrogateescape")


def part(name: str) -> str:
    """A project's name as one part of a path."""
    shown = escape(name, safe="")
    return "%2E" + shown[1:] if shown.startswith(".") else shown
