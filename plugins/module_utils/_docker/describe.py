# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Objects as a task returns them: what a playbook needs to go on, and no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._converge.observed import Observed, World
from .._converge.option import dig
from .._converge.ownership import without_ours
from .._converge.secret import HIDDEN, hide, looks_secret


def resources(world: World, keys: Any) -> dict[str, dict]:
    """{"kind/name": facts} of the objects of these keys that are there."""
    return {"/".join(key): describe(world.objects[key]) for key in sorted(keys) if key in world.objects}


def describe(observed: Observed) -> dict[str, Any]:
    """The facts of one object."""
    raw = observed.raw
    if observed.kind.name == "container":
        return {
            "id": observed.id,
            "name": observed.called,
            "image": dig(raw, "Config.Image"),
            "image_id": raw.get("Image"),
            "status": observed.status,
            "health": observed.health,
            "started_at": dig(raw, "State.StartedAt"),
            "ports": dig(raw, "NetworkSettings.Ports") or {},
            "networks": {
                name: _endpoint(settings or {})
                for name, settings in (dig(raw, "NetworkSettings.Networks") or {}).items()
            },
            "labels": hide(without_ours(dig(raw, "Config.Labels"))),
        }
    if observed.kind.name == "image":
        return {
            "id": observed.id,
            "name": observed.name,
            "tags": raw.get("RepoTags") or [],
            "digests": raw.get("RepoDigests") or [],
            "size": raw.get("Size"),
        }
    if observed.kind.name == "network":
        return {
            "id": observed.id,
            "name": observed.called,
            "driver": raw.get("Driver"),
            "subnets": [block.get("Subnet") for block in dig(raw, "IPAM.Config") or ()],
            "labels": hide(without_ours(raw.get("Labels"))),
        }
    return {
        "name": observed.called,
        "driver": raw.get("Driver"),
        "mountpoint": raw.get("Mountpoint"),
        "labels": hide(without_ours(raw.get("Labels"))),
    }


def _endpoint(settings: Mapping) -> dict[str, Any]:
    return {
        "ip_address": settings.get("IPAddress"),
        "ipv6_address": settings.get("GlobalIPv6Address"),
        "mac_address": settings.get("MacAddress"),
        "aliases": settings.get("Aliases") or [],
    }


def without_secrets(raw: Mapping) -> dict[str, Any]:
    """A container's inspect document with the values of secret-looking variables hidden."""
    config = raw.get("Config")
    if not isinstance(config, Mapping) or not config.get("Env"):
        return dict(raw)
    lines = []
    for line in config["Env"]:
        name, separator, _value = line.partition("=")
        lines.append(f"{name}={HIDDEN}" if separator and looks_secret(name) else line)
    return {**raw, "Config": {**config, "Env": lines}}
