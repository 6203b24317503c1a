# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The labels by which an object is known as ours: names only, never values or their digests."""

from __future__ import annotations

import json
from collections.abc import Mapping

from .desired import Resource

PROJECT = "slipway.project"
KEY = "slipway.key"
MANAGED = "slipway.managed"
OURS = (PROJECT, KEY, MANAGED)

# Labels by which others say that an object is theirs: (label, how to call the owner).
OTHERS = (
    ("com.docker.compose.project", "the Compose project {}"),
    ("io.podman.compose.project", "the podman-compose project {}"),
    ("com.docker.stack.namespace", "the stack {}"),
    ("com.docker.swarm.service.name", "the swarm service {}"),
    ("com.docker.swarm.service.id", "the swarm service {}"),
)


def labels_of(resource: Resource, project: str) -> dict[str, str]:
    """Return the labels that make an object of this resource ours."""
    return {
        PROJECT: project,
        KEY: resource.name,
        MANAGED: json.dumps(list(resource.managed), separators=(",", ":"), ensure_ascii=False),
    }


def owner_of(labels: Mapping | None) -> str:
    """Say in words who owns an object with these labels; empty when nobody does."""
    labels = labels or {}
    if PROJECT in labels:
        return f"the Slipway project {labels[PROJECT]}"
    for label, words in OTHERS:
        if label in labels:
            return words.format(labels[label])
    return ""


def is_ours(labels: Mapping | None, project: str, name: str = "") -> bool:
    """Whether both labels say that an object is this project's; half of them is not enough. With a name: its key is that name."""
    labels = labels or {}
    return labels.get(PROJECT) == project and bool(labels.get(KEY)) and name in ("", labels[KEY])


def managed_of(labels: Mapping | None) -> tuple[str, ...] | None:
    """Return the names an earlier run managed; None when the label is absent or not ours to read."""
    text = (labels or {}).get(MANAGED)
    if text is None:
        return None
    try:
        names = json.loads(text)
    except ValueError:
        return None
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else None


def without_ours(labels: Mapping | None) -> dict[str, str]:
    """Return labels as the user knows them."""
    return {key: value for key, value in (labels or {}).items() if key not in OURS}
