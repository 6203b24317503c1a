# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a set of running containers is exchanged: so many at a time, the old or the new one first."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import SpecError

from ..fake_engine import FakeEngine
from .support import converge, planned, task


def project(round_: str, **options: Any) -> dict[str, Any]:
    names = ("aa", "bb", "cc")
    containers = [{"name": name, "image": "app:1", "env": {"ROUND": round_}} for name in names]
    return {"project": "shop", "containers": containers, **options}


def order(engine: FakeEngine, params: dict) -> list[str]:
    """What happens to running containers, in the order in which it may happen at the earliest."""
    plan, _desired = planned(engine, params)
    done: list[str] = []
    left = list(plan.actions)
    while left:
        ids = {action.id for action in left}
        ready = [action for action in left if not (action.needs | action.after) & ids and action.phase is left[0].phase]
        done.append(" + ".join(sorted(action.step for action in ready)))
        left = [action for action in left if action not in ready]
    return done


def test_all_at_once_unless_told_otherwise() -> None:
    engine = FakeEngine()
    converge(engine, project("1"))
    steps = order(engine, project("2"))
    assert "stop container aa-slipway-old + stop container bb-slipway-old + stop container cc-slipway-old" in steps


def test_one_at_a_time() -> None:
    engine = FakeEngine()
    converge(engine, project("1"))
    steps = order(engine, project("2", update_config={"parallelism": 1}))
    stops = [steps.index(f"stop container {name}-slipway-old") for name in ("aa", "bb", "cc")]
    waits = [steps.index(f"wait until container {name} stays up") for name in ("aa", "bb", "cc")]
    assert stops[0] < waits[0] < stops[1] < waits[1] < stops[2] < waits[2]
    assert steps[-1].count("remove container") == 3, "the old ones stay until all is well"


def test_one_at_a_time_follows_what_depends_on_what() -> None:
    engine = FakeEngine()
    params = [project(round_, update_config={"parallelism": 1}) for round_ in "12"]
    for item in params:
        item["containers"][0]["depends_on"] = ["cc"]
    converge(engine, params[0])
    _plan, journal = converge(engine, params[1])
    assert journal.whole


def test_start_first_has_one_running_at_any_time() -> None:
    engine = FakeEngine()
    params = [{"project": "shop", "containers": [{"name": "aa", "image": f"app:{number}", "update_order": "start-first"}]} for number in (1, 2)]  # fmt: skip
    converge(engine, params[0])
    plan, _desired = planned(engine, params[1])
    assert [action.step for action in plan.actions] == [
        "create container aa-slipway-new",
        "start container aa",
        "wait until container aa stays up",
        "rename container aa to aa-slipway-old",
        "rename container aa-slipway-new to aa",
        "stop container aa-slipway-old",
        "remove container aa-slipway-old",
    ]


@pytest.mark.parametrize(
    ("option", "held"),
    [
        ({"published_ports": ["8080:80"]}, "published_ports: port 8080/tcp cannot be held"),
        ({"networks": [{"name": "front", "ipv4_address": "10.1.1.2"}]}, "networks.front: the address 10.1.1.2 cannot"),
    ],
)
def test_start_first_is_refused_where_two_cannot_stand(option: dict, held: str) -> None:
    containers = [{"name": "aa", "image": "app:1", **option}]
    with pytest.raises(SpecError, match=held):
        task({"update_config": {"order": "start-first"}, "containers": containers})
    task({"update_config": {"order": "start-first"}, "containers": [{**containers[0], "update_order": "stop-first"}]})


def test_failures_that_are_tolerated_leave_the_old_ones() -> None:
    engine = FakeEngine()
    converge(engine, project("1"))
    new = project("2", update_config={"max_failures": 1, "parallelism": 1})
    new["containers"][1]["image"] = "broken"
    _plan, journal = converge(engine, new)
    rounds = {item["Name"]: item["Config"]["Env"] for item in engine.containers.values()}
    assert rounds == {"/aa": ["ROUND=2"], "/bb": ["ROUND=1"], "/cc": ["ROUND=2"]}
    assert {item["State"]["Status"] for item in engine.containers.values()} == {"running"}
    assert not journal.whole


def test_pause_stops_where_it_failed() -> None:
    engine = FakeEngine()
    converge(engine, project("1"))
    new = project("2", update_config={"parallelism": 1}, on_failure="pause")
    new["containers"][1]["image"] = "broken"
    converge(engine, new)
    rounds = {item["Name"]: item["Config"]["Env"] for item in engine.containers.values()}
    assert rounds == {"/aa": ["ROUND=2"], "/bb": ["ROUND=1"], "/cc": ["ROUND=1"]}
    assert {item["State"]["Status"] for item in engine.containers.values()} == {"running"}
