# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The scenario set: what users do to an application, each as the way from one state to the next.

A scenario has rounds: round n leads from `start(n)` to `goal(n)`. Where a goal is as good a start as another, the next round
goes on from it, so that a run costs no more than the change itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine import Engine
from harness.task import STAYS

IMAGE = "slipway-test/busybox:1"
SERVES = ["sh", "-c", "trap 'exit 0' TERM; httpd -f -p 80 -h /etc & wait"]
PORT = "127.0.0.1:8080:80"
Spec = Mapping[str, Any]


def box(name: str, **options: Any) -> dict:
    """A container that stays up and ends at once when it is told to."""
    return {"name": name, "image": IMAGE, "command": STAYS, "stop_timeout": 3, **options}


@dataclass(frozen=True)
class Scenario:
    """``start`` and ``goal`` are tasks for the module `containers`; a start of None is an engine with nothing on it.

    ``services`` run before and after, and so all the while; ``replaced`` is how many of them make way for a successor.
    ``reached`` looks at the engine and says whether the goal's own mark is there. ``port`` is one that must answer.
    """

    name: str
    start: Callable[[int], Spec | None]
    goal: Callable[[int], Spec]
    reached: Callable[[Engine, int], bool]
    services: tuple[str, ...] = ()
    replaced: int = 0
    port: str = ""


def variable(engine: Engine, name: str, value: str) -> bool:
    """Whether a container has a variable."""
    found = engine.inspect("container", name)
    return bool(found) and value in found["Config"]["Env"]


def peers(engine: Engine, name: str) -> dict[str, dict]:
    """The networks of a container, by name."""
    return (engine.inspect("container", name) or {"NetworkSettings": {"Networks": {}}})["NetworkSettings"]["Networks"]


# -- the tasks ---------------------------------------------------------------------------------------------------------


def created(_round: int) -> Spec:
    return {"project": "sc", "containers": [box("web", env={"A": "1"}), box("api", memory="64m")]}


def replaced(number: int) -> Spec:
    return {"project": "sc", "containers": [box("web", env={"ROUND": str(number)})]}


def published(number: int) -> Spec:
    options = {"command": SERVES, "published_ports": [PORT], "env": {"ROUND": str(number)}}
    return {
        "project": "sc",
        "networks": [{"name": "front"}],
        "containers": [box("web", networks=[{"name": "front"}], **options)],
    }


def start_first(number: int) -> Spec:
    return {**replaced(number), "update_config": {"order": "start-first"}}


def one_by_one(number: int) -> Spec:
    containers = [box(f"web-{which}", env={"ROUND": str(number)}) for which in (1, 2, 3)]
    return {"project": "sc", "update_config": {"parallelism": 1}, "containers": containers}


def updated(number: int) -> Spec:
    odd = number % 2
    limits = {"memory": "96m" if odd else "64m", "restart_policy": "unless-stopped" if odd else "always"}
    joined = [{"name": "one"}, {"name": "three" if odd else "two", "aliases": ["other"]}]
    networks = [{"name": name} for name in ("one", "two", "three")]
    return {"project": "sc", "networks": networks, "containers": [box("web", networks=joined, **limits)]}


def remade(number: int) -> Spec:
    third = number % 2
    where = f"10.98.{third}"
    return {
        "project": "sc",
        "networks": [
            {"name": "back", "ipam_config": [{"subnet": f"{where}.0/24"}], "labels": {"round": str(number % 2)}}
        ],
        "containers": [
            box("web", networks=[{"name": "back", "ipv4_address": f"{where}.9", "aliases": ["front"]}]),
            box("api", networks=[{"name": "back", "aliases": ["backend", "api.local"]}]),
            box("store", networks=[{"name": "back"}]),
        ],
    }


def scaled(count: int) -> Spec:
    return {
        "project": "sc",
        "orphans": "remove",
        "containers": [box(f"web-{number}") for number in range(1, count + 1)],
    }


def with_extra(_round: int) -> Spec:
    return {
        "project": "sc",
        "networks": [{"name": "back"}, {"name": "spare"}],
        "containers": [
            box("web", networks=[{"name": "back"}]),
            box("old", networks=[{"name": "spare"}]),
            box("older", networks=[{"name": "back"}, {"name": "spare"}]),
        ],
    }


def without_extra(number: int) -> Spec:
    spec = with_extra(number)
    return {**spec, "orphans": "remove", "networks": spec["networks"][:1], "containers": spec["containers"][:1]}


def stack(_round: int) -> Spec:
    """Twelve containers in three tiers on two networks with two volumes."""
    tiers = {"web": ["front"], "api": ["front", "back"], "store": ["back"]}
    needs = {"web": "api", "api": "store"}
    containers = [
        box(
            f"{tier}-{number}",
            networks=[{"name": name} for name in networks],
            **(
                {"depends_on": [f"{needs[tier]}-{number}"]}
                if tier in needs
                else {"volumes": [f"data-{number % 2}:/data"]}
            ),
        )
        for tier, networks in tiers.items()
        for number in range(4)
    ]
    return {
        "project": "sc",
        "networks": [{"name": "front"}, {"name": "back"}],
        "volumes": [{"name": "data-0"}, {"name": "data-1"}],
        "containers": containers,
    }


def from_nothing(registry: str, archive: Path) -> Callable[[int], Spec]:
    """An image that is pulled and one that is imported, a volume, and a container of each."""

    def spec(_round: int) -> Spec:
        return {
            "project": "sc",
            "images": [{"name": f"{registry}/sc/pulled:1"}, {"name": "sc/imported:1", "import_path": str(archive)}],
            "volumes": [{"name": "data"}],
            "containers": [
                box("web", image=f"{registry}/sc/pulled:1", volumes=["data:/data"]),
                box("api", image="sc/imported:1"),
            ],
        }

    return spec


# -- the set -----------------------------------------------------------------------------------------------------------


def nothing(_round: int) -> None:
    return None


def scenarios(registry: str, archive: Path) -> dict[str, Scenario]:
    """The set, by name; ``registry`` is the address of one that has sc/pulled:1, ``archive`` a root file system."""

    def before(tasks: Callable[[int], Spec]) -> Callable[[int], Spec]:
        return lambda number: tasks(number - 1)

    def runs(*names: str) -> Callable[[Engine, int], bool]:
        return lambda engine, _round: all(
            (engine.inspect("container", name) or {"State": {"Running": False}})["State"]["Running"] for name in names
        )

    def round_variable(engine: Engine, number: int) -> bool:
        return variable(engine, "web", f"ROUND={number}")

    def all_rounds(engine: Engine, number: int) -> bool:
        return all(variable(engine, f"web-{which}", f"ROUND={number}") for which in (1, 2, 3))

    def update_reached(engine: Engine, number: int) -> bool:
        found = engine.inspect("container", "web")
        other = "three" if number % 2 else "two"
        return (
            found["HostConfig"]["Memory"] == (96 if number % 2 else 64) << 20
            and found["HostConfig"]["RestartPolicy"]["Name"] == ("unless-stopped" if number % 2 else "always")
            and sorted(peers(engine, "web")) == sorted(["one", other])
            and "other" in peers(engine, "web")[other]["Aliases"]
        )

    def remake_reached(engine: Engine, number: int) -> bool:
        found = {name: peers(engine, name).get("back") for name in ("web", "api", "store")}
        where = f"10.98.{number % 2}."
        return (
            all(item and item["IPAddress"].startswith(where) for item in found.values())
            and found["web"]["IPAddress"] == f"{where}9"
            and "front" in found["web"]["Aliases"]
            and {"backend", "api.local"} <= set(found["api"]["Aliases"])
        )

    def removed(engine: Engine, _round: int) -> bool:
        return engine.names("container") == ["web"] and engine.names("network") == ["back"]

    def whole_stack(engine: Engine, _round: int) -> bool:
        return len(engine.api("GET", "/containers/json")) == 12 and engine.names("volume") == ["data-0", "data-1"]

    def scale_is(count: int) -> Callable[[Engine, int], bool]:
        names = [f"web-{number}" for number in range(1, count + 1)]
        return lambda engine, number: engine.names("container") == names and runs(*names)(engine, number)

    nothing_yet = from_nothing(registry, archive)
    found = (
        Scenario("create", nothing, created, runs("web", "api")),
        Scenario("update in place", before(updated), updated, update_reached, ("web",)),
        Scenario("replace", before(replaced), replaced, round_variable, ("web",), replaced=1),
        Scenario(
            "replace under a port", before(published), published, round_variable, ("web",), replaced=1, port="8080"
        ),
        Scenario("replace, start first", before(start_first), start_first, round_variable, ("web",)),
        Scenario(
            "three, one by one", before(one_by_one), one_by_one, all_rounds, ("web-1", "web-2", "web-3"), replaced=3
        ),
        Scenario("remake a network", before(remade), remade, remake_reached, ("web", "api", "store")),
        Scenario("from nothing", nothing, nothing_yet, runs("web", "api")),
        Scenario("scale up", lambda _round: scaled(1), lambda _round: scaled(3), scale_is(3), ("web-1",)),
        Scenario("scale down", lambda _round: scaled(3), lambda _round: scaled(1), scale_is(1), ("web-1",)),
        Scenario("remove with orphans", with_extra, without_extra, removed, ("web",)),
        Scenario("twelve containers", nothing, stack, whole_stack),
    )
    return {scenario.name: scenario for scenario in found}
