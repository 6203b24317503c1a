# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The observed side: one list call for each kind that matters and parallel inspects, as close to one moment as the API allows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._converge.desired import Resource
from .._converge.kind import Kind
from .._converge.observed import Observed, World
from .._converge.option import dig
from .._converge.ownership import KEY, is_ours, managed_of, owner_of
from .._converge.policy import ASIDE, BESIDE, Policy
from . import container, image, network, secret_files, values, volume
from .engine import Engine, path

PARALLEL = 8


def snapshot(engine: Engine, desired: Sequence[Resource], policy: Policy) -> World:
    """Return what the engine has of what is desired, needed or named by the policy, and what else is the project's."""
    project = policy.project
    secret_files.demand(engine.address, desired, policy)
    wanted = {resource.key for resource in desired} | set(policy.destroy)
    wanted |= {need.key for resource in desired for need in resource.needs}
    kinds = {key[0] for key in wanted}
    reads: dict[str, Callable[[], Any]] = {
        "containers": lambda: engine.get("/containers/json", all=1),
        "networks": lambda: engine.get("/networks"),
        "volumes": lambda: engine.get("/volumes"),
    }
    if "image" in kinds:
        reads["images"] = lambda: engine.get("/images/json", all=0)
    if kinds == {"image"}:
        reads = {name: reads[name] for name in ("containers", "images")}
    lists = dict(zip(reads, parallel(list(reads.values()))))
    listed = Listed(lists.get("containers") or [])
    images = _Images(lists.get("images") or [])
    objects: dict[tuple, Observed] = {}
    leftovers: list[Observed] = []
    orphans: list[Observed] = []

    containers = _containers(engine, listed, wanted, policy) if "containers" in lists else []
    for key, group in _by_key(containers).items():
        current, debris = resolve(group)
        leftovers += debris
        if key in wanted:
            objects[key] = current
        else:
            orphans.append(current)
    for kind, raws in (
        (network.KIND, lists.get("networks") or []),
        (volume.KIND, (lists.get("volumes") or {}).get("Volumes") or []),
    ):
        for observed in _plain(kind, raws, wanted, project):
            if observed.key in wanted:
                objects.setdefault(observed.key, observed)
            else:
                orphans.append(observed)
    references = [name for kind, name in sorted(wanted) if kind == "image"]
    for reference in references:
        raw = images.get(reference)
        if raw is not None:
            objects[("image", reference)] = Observed(image.KIND, reference, raw["Id"], raw, called=reference, ours=True)
    tags = [
        values.reference(tag)
        for resource in desired
        if resource.kind is image.KIND
        for tag in resource.intent.get("tag") or ()
    ]
    ids = {reference: images.get(reference)["Id"] for reference in references + tags if images.get(reference)}
    facts = {
        **_sources(engine, desired, objects),
        "listed": listed.summaries,
        "networks": lists.get("networks") or [],
    }
    attached = {**listed.attached(), **listed.made_from(images, references)}
    return World(objects, leftovers, orphans, attached, ids, facts)


def _sources(engine: Engine, desired: Sequence[Resource], objects: Mapping[tuple, Observed]) -> Mapping[str, Any]:
    """Digests of what images are made from, loaded only where an image is more than a name."""
    if not any(resource.kind is image.KIND and image.asks_more(resource) for resource in desired):
        return {}
    from . import sources

    return sources.facts(engine, desired, objects)


def parallel(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make reading calls side by side; their results in order, or the first error."""
    results: list[Any] = [None] * len(calls)
    errors: list[BaseException] = []
    numbers = iter(range(len(calls)))
    lock = threading.Lock()

    def work() -> None:
        while not errors:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results[number] = calls[number]()
            except BaseException as error:
                errors.append(error)

    if len(calls) == 1:
        work()
    else:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(PARALLEL, len(calls)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return results


class Listed:
    """What the list of all containers tells: names, networks and volumes in use, who labelled what."""

    def __init__(self, summaries: Sequence[Mapping]) -> None:
        self.summaries = [{**summary, "Name": _name(summary)} for summary in summaries]
        self.names = {summary["Id"]: summary["Name"] for summary in self.summaries}

    def attached(self) -> dict[tuple, list[str]]:
        """(kind, name) of networks and volumes -> names of the containers that use them."""
        users: dict[tuple, list[str]] = {}
        for summary in self.summaries:
            for name in dig(summary, "NetworkSettings.Networks") or ():
                users.setdefault(("network", name), []).append(summary["Name"])
            for mount in summary.get("Mounts") or ():
                if mount.get("Type") == "volume" and mount.get("Name"):
                    users.setdefault(("volume", mount["Name"]), []).append(summary["Name"])
        return users

    def made_from(self, images: _Images, references: Iterable[str]) -> dict[tuple, list[str]]:
        """("image", reference) -> names of the containers that hold the image, where the reference is its last."""
        users: dict[tuple, list[str]] = {}
        for reference in references:
            raw = images.get(reference) or {}
            names = [item["Name"] for item in self.summaries if item.get("ImageID") == raw.get("Id")]
            if names and len(raw.get("RepoTags") or ()) < 2:
                users["image", reference] = names
        return users


def _name(summary: Mapping) -> str:
    """A container's own name; the others, with a second slash, are legacy links."""
    names = [name[1:] for name in summary.get("Names") or () if "/" not in name[1:]]
    return names[0] if names else summary["Id"][:12]


class _Images:
    """References of all kinds -> summaries of images."""

    def __init__(self, summaries: Sequence[Mapping]) -> None:
        self.table: dict[str, Mapping] = {}
        for summary in summaries:
            self.table[summary["Id"]] = summary
            for reference in [*(summary.get("RepoTags") or ()), *(summary.get("RepoDigests") or ())]:
                if "<none>" not in reference:
                    self.table[values.reference(reference)] = summary

    def get(self, reference: str) -> Mapping | None:
        """The image of a reference; with a digest, the tag beside it is only for people."""
        if "@" in reference:
            name, _at, digest = reference.partition("@")
            head, _slash, last = name.rpartition("/")
            name = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
            reference = f"{name}@{digest}"
        return self.table.get(reference)


def _containers(engine: Engine, listed: Listed, wanted: set, policy: Policy) -> list[Observed]:
    chosen = []
    for summary in listed.summaries:
        key = _key_of(summary["Name"], summary.get("Labels") or {}, wanted, policy.project)
        if key is not None and (("container", key) in wanted or policy.wants_orphans or _on(summary, wanted)):
            chosen.append((key, summary))
    raws = (
        parallel(
            [lambda summary=summary: engine.find(path("containers", summary["Id"], "json")) for _key, summary in chosen]
        )
        if chosen
        else []
    )
    found = [
        observe_container(secret_files.observed(raw, engine.address), key, policy.project, listed.names)
        for (key, _summary), raw in zip(chosen, raws)
        if raw is not None
    ]
    known: dict[str, Mapping] = {}
    return [replace(item, origin=_Origin(engine, item.raw.get("Image") or "", known)) for item in found]


def _on(summary: Mapping, wanted: set) -> bool:
    """Whether a container is on a network that this run is about, which might have to be made anew under it."""
    return any(("network", name) in wanted for name in dig(summary, "NetworkSettings.Networks") or ())


def _key_of(name: str, labels: Mapping, wanted: set, project: str) -> str | None:
    """The key of a container that matters to this run, by its label, else by its name."""
    if is_ours(labels, project):
        return labels[KEY]
    if ("container", name) in wanted:
        return name
    for suffix in (ASIDE, BESIDE):
        base = name[: -len(suffix)] if name.endswith(suffix) else ""
        if base and ("container", base) in wanted and not owner_of(labels):
            return base
    return None


def observe_container(raw: Mapping, key: str, project: str, names: Mapping[str, str]) -> Observed:
    """An inspect document as an Observed."""
    labels = dig(raw, "Config.Labels") or {}
    raw = {**raw, "HostConfig": _by_name(raw.get("HostConfig") or {}, names)}
    return Observed(
        container.KIND,
        key,
        raw["Id"],
        raw,
        called=raw["Name"].lstrip("/"),
        owner=owner_of(labels),
        ours=is_ours(labels, project, key),
        managed=managed_of(labels),
        status=dig(raw, "State.Status") or "",
        health=dig(raw, "State.Health.Status") or "",
    )


def _by_name(host: Mapping, names: Mapping[str, str]) -> dict:
    """Namespaces shared with a container, by its name: engines turn names into IDs."""
    found = dict(host)
    for field in ("NetworkMode", "PidMode", "IpcMode"):
        word, _colon, identity = (host.get(field) or "").partition(":")
        if word == "container" and identity in names:
            found[field] = f"container:{names[identity]}"
    return found


class _Origin(Mapping):
    """The configuration of an image, read when it is first asked for: most runs never ask."""

    def __init__(self, engine: Engine, identity: str, known: dict[str, Mapping]) -> None:
        self.engine, self.identity, self.known = engine, identity, known

    def _read(self) -> Mapping:
        if self.identity not in self.known:
            raw = self.engine.find(path("images", self.identity, "json")) or {}
            self.known[self.identity] = raw.get("Config") or {}
        return self.known[self.identity]

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


def _by_key(items: Iterable[Observed]) -> dict[tuple, list[Observed]]:
    groups: dict[tuple, list[Observed]] = {}
    for item in items:
        groups.setdefault(item.key, []).append(item)
    return groups


def resolve(group: Sequence[Observed]) -> tuple[Observed, list[Observed]]:
    """Tell the object that counts from the debris of a replacement that was cut off.

    The one that runs under its own name counts. Where that one does not run and an old one was set aside, the old one
    counts, for it was well once. What was made beside and never took over is debris.
    """
    name = group[0].name
    named = next((item for item in group if item.called == name), None)
    aside = next((item for item in group if item.called == name + ASIDE), None)
    others = [item for item in group if item is not named and item is not aside]
    if named is not None and not named.ours and named.owner:
        current = named
    elif aside is not None and (named is None or not named.running):
        current = aside
    elif named is not None:
        current = named
    else:
        current = next((item for item in others if item.called != name + BESIDE), others[0])
    return current, [item for item in group if item is not current]


def _plain(kind: Kind, raws: Iterable[Mapping], wanted: set, project: str) -> list[Observed]:
    """Networks and volumes; of several with one name, ours first."""
    found = []
    for raw in raws:
        labels = raw.get("Labels") or {}
        ours = is_ours(labels, project, raw["Name"])
        if ours or (kind.name, raw["Name"]) in wanted:
            found.append(
                Observed(
                    kind,
                    raw["Name"],
                    raw.get("Id") or raw["Name"],
                    raw,
                    raw["Name"],
                    owner_of(labels),
                    ours,
                    managed_of(labels),
                )
            )
    return sorted(found, key=lambda item: (item.name, not item.ours, item.id))
