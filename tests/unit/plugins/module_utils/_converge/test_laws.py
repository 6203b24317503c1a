# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Laws over generated projects, on an engine in memory that fails on demand."""

from __future__ import annotations

import copy
import os
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.slipway.docker.plugins.module_utils._converge.action import Phase
from ansible_collections.slipway.docker.plugins.module_utils._docker import container

from ..fake_engine import BROKEN, FakeEngine, Fault
from .support import converge, planned

NAMES = ("aa", "bb", "cc", "dd")
NETS = ("front", "back", "side")

sizes = st.sampled_from(["64m", "128m", 67108864, "1g", 0])


@st.composite
def containers(draw: st.DrawFn, images: tuple[str, ...] = ("app:1", "app:2")) -> dict[str, Any]:
    """A project of containers that can work."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    networks = [draw(network(name)) for name in NETS]
    found = [draw(one(name, names[:index], images)) for index, name in enumerate(names)]
    inner = {item["name"] for item in networks if item.get("internal")}
    for item in found:
        joined = {joined["name"] for joined in item.get("networks", ())}
        if joined and joined <= inner:  # nothing can be published there
            item.pop("published_ports", None)
    return {
        "project": "shop",
        "orphans": draw(st.sampled_from(["report", "remove"])),
        "networks": networks,
        "volumes": [{"name": "data"}],
        "containers": found,
    }


@st.composite
def network(draw: st.DrawFn, name: str) -> dict[str, Any]:
    optional = {
        "internal": st.booleans(),
        "labels": st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2),
    }
    return {"name": name, **draw(st.fixed_dictionaries({}, optional=optional))}


@st.composite
def one(draw: st.DrawFn, name: str, earlier: list[str], images: tuple[str, ...]) -> dict[str, Any]:
    optional = {
        "command": st.sampled_from(["sleep 1", ["sleep", "1"], ["sleep", "2"]]),
        "env": st.dictionaries(
            st.sampled_from(["A", "B", "DB_PASSWORD"]), st.sampled_from([1, "1", "two"]), max_size=3
        ),
        "labels": st.dictionaries(st.sampled_from(["l", "m"]), st.sampled_from(["1", "2"]), max_size=2),
        "memory": sizes,
        "cpus": st.sampled_from([0.5, 1, 1.5]),
        "pids_limit": st.sampled_from([0, -1, 50, 100]),
        "restart_policy": st.sampled_from(["no", "always", "unless-stopped"]),
        "published_ports": st.sampled_from([["80"], ["127.0.0.1::80", "81/udp"], ["80", "90-92"]]),
        "networks": st.lists(st.sampled_from(NETS), unique=True, max_size=3).map(
            lambda names: [{"name": item, "aliases": [item + "x"]} for item in names]
        ),
        "volumes": st.sampled_from([["data:/data"], ["data:/data:ro", "/anon"], ["/srv:/srv"]]),
        "state": st.sampled_from(["present", "started", "stopped", "healthy"]),
        "healthcheck": st.sampled_from(
            [{"test": "true"}, {"test": ["CMD", "true"], "interval": "30s"}, {"test": "true", "interval": 30}]
        ),
        "depends_on": st.lists(st.sampled_from(earlier), unique=True) if earlier else st.just([]),
    }
    said = draw(st.fixed_dictionaries({}, optional=optional))
    return {
        "name": name,
        "image": draw(st.sampled_from(images)),
        **said,
        **(hardened(said) if draw(st.booleans()) else {}),
    }


def hardened(said: dict[str, Any]) -> dict[str, Any]:
    """Hardening that fills in what is not said, and excepts what these projects say or leave out against it."""
    allowed = [
        "user",
        "memory",
        "cpus",
        "healthcheck",
        "restart_policy",
        *(["pids_limit"] if "pids_limit" in said else []),
    ]
    return {"hardening": "cis", "hardening_allow": dict.fromkeys(allowed, "it is drawn")}


law = settings(
    max_examples=int(os.environ.get("SLIPWAY_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@law
@given(containers())
def test_a_second_run_does_nothing(params: dict) -> None:
    engine = FakeEngine()
    converge(engine, params)
    before = len(engine.calls)
    plan, _journal = converge(engine, params)
    assert plan.text() == []
    assert engine.calls[before:] == []


@law
@given(containers(), containers())
def test_after_any_transition_the_plan_is_empty(old: dict, new: dict) -> None:
    engine = FakeEngine()
    converge(engine, old)
    _plan, journal = converge(engine, new)
    assert journal.failed is None, journal.failed
    plan, _desired = planned(engine, new)
    assert plan.text() == []


@law
@given(containers(), containers(), st.randoms(use_true_random=False))
def test_input_order_does_not_matter(old: dict, new: dict, order: random.Random) -> None:
    engine = FakeEngine()
    converge(engine, old)
    shuffled = copy.deepcopy(new)
    for items in ("networks", "volumes", "containers"):
        order.shuffle(shuffled[items])
    one_way, other_way = planned(engine, new)[0], planned(engine, shuffled)[0]
    assert one_way.text() == other_way.text()
    assert [action.step for action in one_way.actions] == [action.step for action in other_way.actions]


@law
@given(containers(), containers(), st.integers(0, 40), st.sampled_from(["refuse", "lose"]))
def test_a_failure_at_any_action_leaves_the_engine_as_it_was(old: dict, new: dict, number: int, how: str) -> None:
    engine = FakeEngine()
    converge(engine, old)
    before = engine.state()
    engine.fault = Fault(len(engine.calls) + number, how)
    _plan, journal = converge(engine, new)
    failed = journal.failed
    if failed is None or failed.action.phase is Phase.FINAL:
        return
    assert engine.state() == before


@law
@given(containers(), containers(images=("app:1", BROKEN)))
def test_what_ran_before_runs_after_a_failed_start(old: dict, new: dict) -> None:
    engine = FakeEngine()
    converge(engine, old)
    before = engine.state()
    _plan, journal = converge(engine, new)
    if journal.failed is not None:
        assert engine.state() == before


@law
@given(containers(), containers(), st.integers(0, 40), st.sampled_from(["refuse", "lose"]))
def test_the_run_after_a_failure_converges_and_leaves_nothing_over(old: dict, new: dict, number: int, how: str) -> None:
    engine = FakeEngine()
    converge(engine, old)
    engine.fault = Fault(len(engine.calls) + number, how)
    converge(engine, new)
    engine.fault = None
    _plan, journal = converge(engine, new)
    assert journal.failed is None
    assert planned(engine, new)[0].text() == []
    assert [item["Name"] for item in engine.containers.values() if "-slipway-" in item["Name"]] == []


@law
@given(containers(), containers(), st.integers(0, 40))
def test_a_run_cut_off_anywhere_is_mended_by_the_next(old: dict, new: dict, number: int) -> None:
    """The process dies: nothing is undone, and the next run finds what is left."""
    engine = FakeEngine()
    converge(engine, old)
    plan, _desired = planned(engine, new)
    from ansible_collections.slipway.docker.plugins.module_utils._docker.perform import Performer

    perform = Performer(engine)
    for action in plan.actions[:number]:
        perform(action)
    _plan, journal = converge(engine, new)
    assert journal.failed is None, journal.failed
    assert planned(engine, new)[0].text() == []
    assert [item["Name"] for item in engine.containers.values() if "-slipway-" in item["Name"]] == []


@law
@given(containers(), containers())
def test_what_was_foretold_is_what_happens(old: dict, new: dict) -> None:
    engine = FakeEngine()
    converge(engine, old)
    foretold, _desired = planned(engine, new)
    _plan, journal = converge(engine, new)
    assert sorted(entry.action.step for entry in journal.of("done")) == sorted(
        action.step for action in foretold.actions
    )


@law
@given(containers())
def test_foreign_objects_are_not_touched(params: dict) -> None:
    engine = FakeEngine()
    engine.call(
        "POST",
        "/containers/create",
        query={"name": "zz"},
        body={"Image": "app:1", "Labels": {"slipway.project": "other", "slipway.key": "zz"}},
    )
    engine.call(
        "POST",
        "/containers/create",
        query={"name": "aa-slipway-old"},
        body={"Image": "app:1", "Labels": {"com.docker.compose.project": "x"}},
    )
    before = [copy.deepcopy(item) for item in engine.containers.values()]
    converge(engine, params)
    converge(engine, {"project": "shop", "state": "absent"})
    assert list(engine.containers.values()) == before


@law
@given(containers())
def test_absent_leaves_data_and_nothing_else(params: dict) -> None:
    engine = FakeEngine()
    before = sorted(engine.networks)
    converge(engine, params)
    converge(engine, {"project": "shop", "state": "absent"})
    assert engine.containers == {}
    assert sorted(engine.networks) == before
    assert list(engine.volumes) == ["data"]


@law
@given(containers())
def test_canonical_values_settle(params: dict) -> None:
    """What is sent and read back through a row is the canonical value that is compared."""
    for item in params["containers"]:
        for option in container.KIND.fields:
            if item.get(option.name):
                document: dict = {}
                from ansible_collections.slipway.docker.plugins.module_utils._converge.desired import Mistakes, convert

                value = convert(option, item[option.name], "", Mistakes())
                option.put(document, option.encode(value))
                if not option.attach:
                    assert option.observe(document) == option.canonical(value)
