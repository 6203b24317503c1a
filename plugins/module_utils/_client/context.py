# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a context of the docker CLI: where an engine is, and what is shown to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._converge.action import Change, Phase
from .._converge.desired import Resource, quote
from .._converge.kind import Kind, Replace, Step
from .._converge.observed import Observed, World
from .._converge.option import Option
from .._converge.ownership import KEY, PROJECT, labels_of
from . import values
from .material import ROLES

OWN = "Slipway"  # the key of Metadata below which our labels are; the CLI keeps what it does not know there
PREVIOUS = "slipway.previous"  # which context was current before this one
MADE = "slipway.made"  # that config.json was made to say that this one is current


def _text(value: Any) -> str:
    return value or ""


OPTIONS = (
    Option("name", required=True),
    Option("state", choices=("present", "absent"), default="present"),
    Option("docker_host", "str", "Endpoints.docker.Host", values.host, update=True, resets=True),
    Option("description", "str", "Metadata.Description", decode=_text, update=True, resets=True, unset=""),
    Option("ca_path", "path", "Tls.ca", values.file, _text, update=True, resets=True, unset=""),
    Option("client_cert", "path", "Tls.cert", values.file, _text, update=True, resets=True, unset=""),
    Option("client_key", "path", "Tls.key", values.file, _text, update=True, resets=True, unset=""),
    Option(
        "skip_tls_verify", "bool", "Endpoints.docker.SkipTLSVerify", decode=bool, update=True, resets=True, unset=False
    ),
    Option("current", "bool", "Current", decode=bool, update=True, resets=True, unset=False),
)
ENDPOINT = ("docker_host", *ROLES, "skip_tls_verify")


def _check(spec: Mapping) -> Iterable[tuple[str, str]]:
    if spec["state"] == "absent":
        return
    if bool(spec.get("client_cert")) != bool(spec.get("client_key")):
        said, other = ("client_cert", "client_key") if spec.get("client_cert") else ("client_key", "client_cert")
        yield other, f"is missing; a certificate and its key go together, and {said} is {quote(spec[said])}"
    url = spec.get("docker_host")
    for option in (*ROLES, "skip_tls_verify"):
        if url and spec.get(option) and values.scheme(url) != "tcp":
            yield (
                option,
                f"{quote(spec[option])} is for tcp://, and docker_host is {quote(url)}, which knows no TLS; take one of them out",
            )


def tls_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """role -> path of the TLS files that were said; empty for one that is to go."""
    return {role: fields[option] for option, role in ROLES.items() if option in fields}


def _fill(document: dict, resource: Resource, world: World) -> dict:
    """The whole of a new context, with its keys in the CLI's order."""
    fields = resource.fields
    metadata: dict[str, Any] = {"Description": fields["description"]} if fields.get("description") else {}
    if fields.get("current"):
        metadata[OWN] = _becoming(resource.name, world)
    host = {"Host": fields.get("docker_host", ""), "SkipTLSVerify": bool(fields.get("skip_tls_verify"))}
    return {
        "Name": resource.name,
        "Metadata": metadata,
        "Endpoints": {"docker": host},
        "Tls": {role: path for role, path in tls_of(fields).items() if path},
    }


def _becoming(name: str, world: World) -> dict[str, str]:
    """What a context that becomes current must know, to put things back when it goes."""
    before = world.facts["current"]
    made = {MADE: "config.json"} if world.facts["made"] else {}
    return {PREVIOUS: before if before != name else values.RESERVED, **made}


def _settling(resource: Resource, world: World) -> Iterable[Step]:
    if resource.fields.get("current") and world.facts["current"] != resource.name:
        yield _use(resource.name, Phase.SWITCH)


def _use(name: str, phase: Phase | None = None, tidy: bool = False) -> Step:
    """Make a context current. ``tidy``: config.json was made for that alone, and goes when it says nothing else."""
    undo = ("use_again", "put back which context is current", {})
    return Step("use", f"make context {name} current", {"name": name, "tidy": tidy}, undo, phase)


def _updates(
    resource: Resource, observed: Observed, changes: Sequence[Change], world: World, live: bool
) -> Iterable[Step]:
    """One step writes all that has changed, another one makes it current, or no longer.

    A context knows what was before it for as long as it is current, whenever a run is cut off.
    """
    after = {change.option: change.after for change in changes}
    if after.get("current") is False:
        yield _use(observed.raw["Previous"], tidy=observed.raw["Made"])
    yield Step(
        "write",
        f"write context {resource.name}",
        {"document": _changed(resource, observed, after, world), "tls": tls_of(after)},
        ("put_back", f"put back context {resource.name}", {}),
    )
    if after.get("current"):
        yield _use(resource.name)


def _changed(resource: Resource, observed: Observed, after: Mapping[str, Any], world: World) -> dict:
    """The document of a context with what has changed; all else in it stays, in its order."""
    old = observed.raw["Document"]
    metadata = dict(old.get("Metadata") or {})
    endpoints = dict(old.get("Endpoints") or {})
    docker = dict(endpoints.get("docker") or {})
    if after.get("description"):
        metadata = {"Description": "", **metadata}  # first, where the CLI writes it, or where it is
        metadata["Description"] = after["description"]
    elif "description" in after:
        metadata.pop("Description", None)
    if "docker_host" in after:
        docker["Host"] = after["docker_host"]
    if "skip_tls_verify" in after:
        docker["SkipTLSVerify"] = after["skip_tls_verify"]
    tag = {**tag_of(old, resource.name), **labels_of(resource, world.facts["project"])}
    if "current" in after:
        tag = {key: value for key, value in tag.items() if key not in (PREVIOUS, MADE)}
        tag.update(_becoming(resource.name, world) if after["current"] else {})
    metadata[OWN] = tag
    return {**old, "Name": resource.name, "Metadata": metadata, "Endpoints": {**endpoints, "docker": docker}}


def _removing(observed: Observed) -> Iterable[Step]:
    """The previous context becomes current before this one goes; what an interrupted run has left goes too."""
    if observed.raw["Current"]:
        yield _use(observed.raw["Previous"], Phase.SWITCH, observed.raw["Made"])
    if observed.raw["Document"] is None:
        yield Step("remove", f"remove what is left of context {observed.name}")


def tag_of(document: Mapping, name: str) -> dict[str, str]:
    """Our labels on a context; none when they are those of another one, which it was copied from."""
    metadata = document.get("Metadata")
    tag = metadata.get(OWN) if isinstance(metadata, Mapping) else None
    if not isinstance(tag, Mapping) or tag.get(KEY) != name or not tag.get(PROJECT):
        return {}
    return {key: value for key, value in tag.items() if isinstance(value, str)}


KIND = Kind(
    "context",
    OPTIONS,
    replace=Replace.UNUSED,
    labels=f"Metadata.{OWN}",
    must=("docker_host",),
    check=_check,
    fill=_fill,
    settling=_settling,
    updates=_updates,
    removing=_removing,
)
