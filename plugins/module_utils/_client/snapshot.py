# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The observed side: a context as the client has it, in the words of what is desired of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from .._converge.desired import Resource
from .._converge.errors import SpecError
from .._converge.observed import Observed, World
from .._converge.ownership import is_ours, managed_of, owner_of
from .._converge.policy import Policy
from . import context
from .material import Material
from .store import Broken, Store, Stored
from .values import RESERVED

OTHER, SOME = "another file", "a file"  # stored, and not the one that was said; stored, and none was said


def snapshot(store: Store, desired: Sequence[Resource], policy: Policy) -> World:
    """Return what is there of the contexts that are desired."""
    current = store.current
    objects: dict[tuple, Observed] = {}
    remains: dict[tuple, Observed] = {}
    for resource in desired:
        found = _stored(store, resource)
        if found is None and current != resource.name:
            continue
        observed = observe(store, resource, found or Stored(None, {}), current, policy.project)
        (remains if observed.raw["Document"] is None else objects)[resource.key] = observed
    facts = {"called": "client", "current": current, "made": _made(store, current), "project": policy.project}
    return World(objects, facts=facts, remains=remains)


def _stored(store: Store, resource: Resource) -> Stored | None:
    try:
        found = store.read(resource.name)
        if found is not None and found.document is not None:
            for key in ("Metadata", "Endpoints"):
                if not isinstance(found.document.get(key) or {}, Mapping):
                    raise Broken(
                        f"{store.document(resource.name)} holds no {key}; state: absent removes it, or mend it"
                    )
        return found
    except Broken:
        if resource.intent["state"] == "absent":
            return Stored(None, {})
        raise


def observe(store: Store, resource: Resource, found: Stored, current: str, project: str) -> Observed:
    """A context with, for each of its TLS files, the path that was said when that is what is stored."""
    name, document = resource.name, found.document
    tag = context.tag_of(document or {}, name)
    raw: dict[str, Any] = {
        "Document": document,
        "Metadata": (document or {}).get("Metadata") or {},
        "Endpoints": (document or {}).get("Endpoints") or {},
        "Tls": seen(found.tls, resource.intent["material"]),
        "Current": current == name,
        "Previous": _previous(store, tag, name),
        "Made": context.MADE in tag,
    }
    return Observed(
        context.KIND,
        name,
        name,
        raw,
        called=name,
        owner=owner_of(tag),
        ours=is_ours(tag, project, name) or document is None,
        managed=managed_of(tag),
    )


def seen(stored: Mapping[str, bytes], said: Material) -> dict[str, str]:
    """What is stored in each role, in the words of the options."""
    return {
        role: said.paths.get(role, SOME) if said.content.get(role, content) == content else OTHER
        for role, content in stored.items()
    }


def _previous(store: Store, tag: Mapping[str, str], name: str) -> str:
    before = tag.get(context.PREVIOUS, RESERVED)
    return before if before != name and store.exists(before) else RESERVED


def _made(store: Store, current: str) -> bool:
    """Whether config.json is there, or will be, for the sake of contexts of ours alone."""
    if not os.path.lexists(store.config):
        return True
    with suppress(SpecError):  # of the context that is current, which need not be the one in question
        found = store.read(current)
        return context.MADE in context.tag_of((found and found.document) or {}, current)
    return False
