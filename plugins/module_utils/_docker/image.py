# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of an image, and the calls by which it comes to be: pull, build, load, import, tag, push."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._converge.action import Change, Reason, Symbol
from .._converge.compare import short_id
from .._converge.desired import Resource, quote
from .._converge.errors import SpecError
from .._converge.kind import Kind, Step
from .._converge.observed import Observed, World
from .._converge.option import Option, dig
from . import values

SOURCE = "slipway.source"  # label of built and imported images: the digest of the files they were made from

BUILD_OPTIONS = (
    Option("path", "path", required=True),
    Option("dockerfile"),
    Option("args", "dict"),
    Option("labels", "dict"),
    Option("target"),
    Option("network"),
    Option("platform"),
    Option("cache_from", "list"),
    Option("nocache", "bool"),
    Option("pull", "bool"),
)

OPTIONS = (
    Option("name", required=True),
    Option("state", choices=("present", "absent"), default="present"),
    Option("pull", choices=("missing", "always", "never"), default="missing"),
    Option("build", "dict", suboptions=BUILD_OPTIONS),
    Option("load_path", "path"),
    Option("import_path", "path"),
    Option("import_changes", "list"),
    Option("platform"),
    Option("tag", "list", aliases=("tags",)),
    Option("push", "bool", default=False),
    Option("force", "bool", default=False),
)


def _check(spec: Mapping) -> Iterable[tuple[str, str]]:
    sources = [option for option in ("build", "load_path", "import_path") if spec.get(option)]
    if len(sources) > 1:
        yield sources[1], f"and {sources[0]} exclude one another; an image comes from one place"
    for option in ("name", "tag"):
        for item in [spec[option]] if option == "name" else spec.get(option) or ():
            try:
                values.reference(item)
            except ValueError as error:
                yield option, str(error)
    if sources and "@" in spec["name"]:
        yield "name", f"{quote(spec['name'])} has a digest, which is known only after a pull; write name:tag"
    if spec.get("import_changes") and not spec.get("import_path"):
        yield "import_changes", "go with import_path only"


def source_of(resource: Resource) -> str:
    """How the image comes to be: build, load, import or pull."""
    intent = resource.intent
    return next(
        (
            how
            for how, option in (("build", "build"), ("load", "load_path"), ("import", "import_path"))
            if intent.get(option)
        ),
        "pull",
    )


def asks_more(resource: Resource) -> bool:
    """Whether it takes more than a look at the engine to know that the image is up to date."""
    return source_of(resource) != "pull" or resource.intent.get("pull") == "always" or bool(resource.intent.get("push"))


def steps(resource: Resource, observed: Observed | None, world: World) -> Iterable[tuple]:
    """Say what makes the image as desired; raise SpecError when nothing can."""
    making = _making(resource, observed, world)
    tagging = list(_tagging(resource, observed, world, bool(making)))
    pushing = list(_pushing(resource, observed, world, bool(making or tagging)))
    if not (making or tagging or pushing):
        return
    symbol, reason, changes, work = making or (Symbol.UPDATE, Reason.CHANGED, [], [])
    changes = [*changes, *(change for change, _step in tagging + pushing)]
    yield symbol, reason, changes, [*work, *(step for _change, step in tagging + pushing)]


def _making(resource: Resource, observed: Observed | None, world: World) -> tuple | None:
    how, reference, intent = source_of(resource), resource.name, resource.intent
    undo = (
        ("tag", f"tag {reference} back to {short_id(observed.id)}", {"source": observed.id, "as": reference})
        if observed
        else None
    )
    payload = {key: intent.get(key) for key in ("build", "load_path", "import_path", "import_changes", "platform")}
    payload["source"] = dig(world.facts, "sources") and world.facts["sources"].get(reference)
    step = Step(how, f"{how} image {reference}", payload, undo)
    if observed is None:
        if how == "pull" and intent.get("pull") == "never":
            raise SpecError(
                [
                    f"{resource.place}: the image {quote(reference)} is not on this engine and pull is never; load or build it, or let it be pulled"
                ]
            )
        return Symbol.CREATE, Reason.MISSING, [], [step]
    change = _outdated(how, observed, payload["source"], resource, world)
    return (Symbol.UPDATE, change.reason, [change], [step]) if change else None


def _outdated(how: str, observed: Observed, source: str | None, resource: Resource, world: World) -> Change | None:
    if how in ("build", "import"):
        made_from = (dig(observed.raw, "Labels") or {}).get(SOURCE)
        if made_from != source:
            return Change("source", short_id(made_from), short_id(source), reason=Reason.CHANGED)
    elif how == "load":
        if source and observed.id != source:
            return Change("id", short_id(observed.id), short_id(source), reason=Reason.CHANGED)
    elif resource.intent.get("pull") == "always":
        offered = (world.facts.get("registry") or {}).get(resource.name)
        here = digests(observed.raw)
        if offered and offered not in here:
            return Change("digest", short_id(next(iter(here), "")), short_id(offered), reason=Reason.IMAGE_UPDATED)
    return None


def digests(raw: Mapping) -> tuple[str, ...]:
    """The registry digests by which the engine knows an image."""
    return tuple(item.rpartition("@")[2] for item in raw.get("RepoDigests") or () if "@" in item)


def _tagging(
    resource: Resource, observed: Observed | None, world: World, remade: bool
) -> Iterable[tuple[Change, Step]]:
    for text in resource.intent.get("tag") or ():
        tag = values.reference(text)
        current = world.images.get(tag)
        if remade or observed is None or current != observed.id:
            undo = (
                ("tag", f"tag {tag} back to {short_id(current)}", {"source": current, "as": tag})
                if current
                else ("untag", f"untag {tag}", {"as": tag})
            )
            step = Step("tag", f"tag image {resource.name} as {tag}", {"source": resource.name, "as": tag}, undo)
            yield Change("tag", short_id(current) if current else None, tag), step


def _pushing(
    resource: Resource, observed: Observed | None, world: World, remade: bool
) -> Iterable[tuple[Change, Step]]:
    if not resource.intent.get("push"):
        return
    for reference in [resource.name, *(values.reference(tag) for tag in resource.intent.get("tag") or ())]:
        offered = (world.facts.get("registry") or {}).get(reference)
        if remade or observed is None or not offered or offered not in digests(observed.raw):
            yield (
                Change("pushed", short_id(offered) if offered else None, reference),
                Step("push", f"push image {reference}", {"reference": reference}),
            )


KIND = Kind("image", OPTIONS, naming=values.reference, check=_check, steps=steps)


def implied(reference: str, pull: str, place: str) -> Resource:
    """The image that a container names and nobody declared: fetched when something is made from it."""
    intent: dict[str, Any] = {"state": "present", "pull": pull, "implicit": True, "push": False}
    return Resource(KIND, reference, intent=intent, place=place)
