# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What carries Slipway's labels and is used by nothing -> a plan that removes it. The rest of the engine is not looked at."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .._converge.action import Reason
from .._converge.compare import short_id
from .._converge.desired import Mistakes, quote
from .._converge.errors import SpecError
from .._converge.kind import Kind, Replace
from .._converge.observed import Observed, World
from .._converge.option import Option
from .._converge.ownership import KEY, PROJECT, is_ours, owner_of
from .._converge.plan import Plan, plan
from .._converge.policy import ASIDE, BESIDE, Policy
from .._converge.task import GUARD
from . import container, image, network, secret_files, values, volume
from .engine import Engine, path
from .secret_store import left_behind
from .snapshot import Listed, observe_container, parallel, resolve

OPTIONS = (
    Option("project", "str"),
    Option("leftovers", "bool", default=True),
    Option("containers", "bool", default=False),
    Option("networks", "bool", default=False),
    Option("images", "bool", default=False),
    Option("volumes", "list"),
    Option("until", "str"),
    Option("secrets_dir", "path", default=secret_files.DIRECTORY),
    *GUARD,
)
STOPPED = {"exited": "it has ended", "created": "it has never run", "dead": "it is dead"}

IMAGE = replace(image.KIND, steps=None)  # it is removed like anything else, by its ID
DATA = replace(volume.KIND, replace=Replace.BESIDE)  # the user named it, so it may go
SECRET = Kind("secret", ())


@dataclass(frozen=True)
class Found:
    """What can go: ``leftovers`` of interrupted runs, what is ``unused`` with a word on each, and whose it all is."""

    leftovers: Sequence[Observed]
    unused: Mapping[tuple, str]
    objects: Sequence[Observed]
    projects: frozenset

    def planned(self) -> tuple[Plan, World]:
        """The plan of its removal, and the world that it was made for."""
        world = World(leftovers=self.leftovers, orphans=self.objects)
        made = plan([], world, Policy(absent=True, orphans="ignore"))
        lines = (
            replace(line, reason=Reason.UNUSED, note=self.unused[line.resource])
            if line.resource in self.unused and line.reason is Reason.REQUESTED
            else line
            for line in made.lines
        )
        return replace(made, lines=tuple(lines)), world


def find(engine: Engine, asked: Mapping[str, Any], only: frozenset | None = None) -> Found:
    """Look for what can go, in these projects ``only``; raise SpecError when what the user named cannot."""
    search = _Search(engine, asked, only)
    search.containers()
    search.secrets()
    search.networks()
    search.images()
    search.volumes()
    if search.mistakes:
        raise SpecError(search.mistakes.lines)
    return Found(search.leftovers, search.unused, search.objects, frozenset(search.projects))


class _Search:
    def __init__(self, engine: Engine, asked: Mapping[str, Any], only: frozenset | None) -> None:
        self.engine, self.asked, self.only = engine, asked, only
        self.mistakes = Mistakes()
        self.before = time.time() - _age(asked.get("until"), self.mistakes)
        if self.mistakes:
            raise SpecError(self.mistakes.lines)
        self.listed = Listed(engine.get("/containers/json", all=1))
        self.leftovers: list[Observed] = []
        self.objects: list[Observed] = []
        self.unused: dict[tuple, str] = {}
        self.projects: set[str] = set()
        self.going: set[str] = set()  # names of containers that go

    # -- whose it is, and how old ------------------------------------------------------------------------------

    def _asked_for(self, project: str) -> bool:
        return self.asked.get("project") in (None, project) and (self.only is None or project in self.only)

    def _ours(self, labels: Mapping | None, name: str = "") -> bool:
        project = (labels or {}).get(PROJECT) or ""
        return is_ours(labels, project, name) and self._asked_for(project)

    def _old(self, created: Any) -> bool:
        return not self.asked.get("until") or _moment(created) < self.before

    def _goes(self, observed: Observed, project: str, note: str | None = None) -> None:
        self.objects.append(observed)
        self.projects.add(project)
        if note is not None:
            self.unused[observed.key] = note

    # -- one kind after the other ------------------------------------------------------------------------------

    def containers(self) -> None:
        groups: dict[tuple, list[Observed]] = {}
        for summary in self.listed.summaries:
            labels = summary.get("Labels") or {}
            if self._ours(labels):
                name, owner = summary["Name"], owner_of(labels)
                observed = Observed(
                    container.KIND, labels[KEY], summary["Id"], summary, name, owner, True, status=summary["State"]
                )
                groups.setdefault((labels[PROJECT], labels[KEY]), []).append(observed)
        chosen: list[tuple[str, bool, Observed]] = []
        for (project, key), group in groups.items():
            debris = [item for item in resolve(group)[1] if item.called in (key + ASIDE, key + BESIDE)]
            for item in filter(lambda item: self._old(item.raw["Created"]), group):
                if item in debris and self.asked["leftovers"]:
                    chosen.append((project, True, item))
                elif self.asked["containers"] and item.status in STOPPED and not item.called.endswith((ASIDE, BESIDE)):
                    chosen.append((project, False, item))
        calls = [
            lambda item=item: self.engine.find(path("containers", item.id, "json"))
            for _project, _debris, item in chosen
        ]
        for (project, debris, item), raw in zip(chosen, parallel(calls) if calls else ()):
            if raw is None:
                continue
            raw = secret_files.observed(raw, self.engine.address)
            observed = observe_container(raw, item.name if debris else item.called, project, self.listed.names)
            self.going.add(item.called)
            self.projects.add(project)
            if debris:
                self.leftovers.append(observed)
            else:
                self._goes(observed, project, STOPPED[item.status])

    def secrets(self) -> None:
        """Files of containers that never came to be, or that somebody removed."""
        if not self.asked["leftovers"] or self.engine.address.scheme != "unix":
            return
        mounted = {source for summary in self.listed.summaries for source in secret_files.tokens(summary)}
        for project, name, folder, made in left_behind(self.engine, self.asked["secrets_dir"]):
            if folder.rpartition("/")[2] not in mounted and self._asked_for(project) and self._old(made):
                self.leftovers.append(Observed(SECRET, name, folder, {}, called=name, ours=True))
                self.projects.add(project)

    def networks(self) -> None:
        if not self.asked["networks"]:
            return
        used = self.listed.attached()
        for raw in self.engine.get("/networks"):
            labels, users = raw.get("Labels") or {}, used.get(("network", raw["Name"]), ())
            if self._ours(labels, raw["Name"]) and self._old(raw.get("Created")) and set(users) <= self.going:
                owner = owner_of(labels)
                observed = Observed(network.KIND, raw["Name"], raw["Id"], raw, raw["Name"], owner, True)
                self._goes(observed, labels[PROJECT], "")

    def images(self) -> None:
        if not self.asked["images"]:
            return
        used = {item["ImageID"] for item in self.listed.summaries if item["Name"] not in self.going}
        filters = {"dangling": ["true"], "label": [image.SOURCE]}
        for raw in self.engine.get("/images/json", filters=filters):
            if raw["Id"] not in used and self._old(raw.get("Created")):
                name = short_id(raw["Id"])
                observed = Observed(IMAGE, name, raw["Id"], raw, called=name, ours=True)
                self._goes(observed, self.asked.get("project") or "", "it has no name any more")

    def volumes(self) -> None:
        names = self.asked.get("volumes") or ()
        known = {raw["Name"]: raw for raw in (self.engine.get("/volumes").get("Volumes") or ())} if names else {}
        used = self.listed.attached()
        for name in sorted(set(names) & set(known)):
            labels = known[name].get("Labels") or {}
            users = sorted(set(used.get(("volume", name), ())) - self.going)
            project = labels.get(PROJECT) or ""
            if not is_ours(labels, project, name) or self.asked.get("project") not in (None, project):
                whose = owner_of(labels) or "nobody that Slipway knows"
                self.mistakes.add("volumes", f"{quote(name)} belongs to {whose}, so it is not pruned; take it out")
            elif users:
                self.mistakes.add(
                    "volumes",
                    f"{quote(name)} is in use by {', '.join(users)}; remove what uses it first, or take it out",
                )
            elif self._asked_for(project):
                self._goes(Observed(DATA, name, name, known[name], name, owner_of(labels), True), project)


def _age(text: str | None, mistakes: Mistakes) -> float:
    try:
        return values.duration(text) / 1e9 if text else 0.0
    except ValueError:
        mistakes.add("until", f"{quote(text)} is not an age; write 24h or 30m")
        return 0.0


def _moment(created: Any) -> float:
    """Seconds since the epoch of a number or a text such as 2026-01-31T12:00:00.123456789Z; what is neither is now."""
    if isinstance(created, (int, float)):
        return float(created)
    match = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?", str(created))
    if not match:
        return time.time()
    zone = match[2] if match[2] not in (None, "Z") else "+00:00"
    return datetime.fromisoformat(match[1] + zone).timestamp()
