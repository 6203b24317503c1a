# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check mode is the plan: what it says is what the next run does, call by call, and then nothing is left to do."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from harness.engine import Engine
from harness.proxy import Call
from harness.task import Task

from . import specs
from .exam import Exam, Example
from .hands import meddle

STEPS = 5  # transitions in one history
SAME = ("plan", "plan_id", "steps", "diff", "changed", "orphans")
ANSWERED = (200, 201, 204, 304, 404, 409)  # what removes itself when it stops is gone already (404), or going (409)
SUFFIX = re.compile(r"-slipway-(old|new)$")
ON_CONTAINER = re.compile(r"^/containers/([^/]+)/(\w+)$")
ON_NETWORK = re.compile(r"^/networks/([^/]+)/(connect|disconnect)$")
STEP = re.compile(r"(create|rename|start|stop|pause|unpause|update|restart|remove) (container|network|volume) (\S+)")
PEER = re.compile(r"(connect|disconnect) (\S+) (?:to|from) (\S+)")


def test_check_mode_is_what_happens(exam: Exam, task: Task, engine: Engine) -> None:
    for example in exam.sample("plan(check) = actions(run), over random transitions", 300 // STEPS):
        with example:
            engine.clean()
            spec = specs.spec(example.dice)
            for number in range(STEPS):
                example.tell(f"transition {number + 1}", spec)
                foretold_is_done(example, task, engine, spec)
                example.passed()
                spec = specs.changed(example.dice, spec)
                for _ in range(example.dice.choice((0, 0, 1, 2))):
                    example.tell("by hand", meddle(example.dice, engine))


def foretold_is_done(example: Example, task: Task, engine: Engine, spec: Mapping) -> None:
    check = task("containers", check=True, **spec)
    assert not task.mutating, f"check mode made mutating calls: {task.mutating}"
    names = known(engine)
    approved = {"plan_id": check["plan_id"]} if example.dice.likely(0.5) and not check.failed else {}
    run = task("containers", **spec, **approved)
    if check.failed:
        example.series.count("of them refused")
        example.tell("refused", check.msg)
        assert (run.failed, run.msg) == (True, check.msg), f"check mode refused, the run said: {run.msg or 'done'}"
        assert not task.mutating, f"it was refused after mutating calls: {task.mutating}"
        assert "bug in slipway" not in check.msg
        return
    example.tell("plan", check["plan"])
    run.ok()
    for part in SAME:
        assert run[part] == check[part], f"{part}: check mode said {check[part]}, the run {run[part]}"
    assert [item["line"] for item in run["actions"]] == run["plan"]
    calls = task.proxy.mutating
    assert Counter(made(calls, names)) == Counter(said(run["steps"], names)), (
        f"calls {[str(call) for call in calls]} for {run['steps']}"
    )
    in_order(made(calls, names), said(run["steps"], names))
    task.settled("containers", **spec)


def test_a_plan_is_carried_out_only_while_it_holds(exam: Exam, task: Task, engine: Engine) -> None:
    for example in exam.sample("an approved plan is done as it was approved, or not at all", 40):
        with example:
            engine.clean()
            before = specs.spec(example.dice)
            task("containers", **before).ok()
            spec = specs.changed(example.dice, before)
            example.tell("spec", spec)
            check = task("containers", check=True, **spec)
            if check.failed or not check.changed:
                example.series.count("of them without a plan")
                continue
            example.tell("plan", check["plan"])
            example.tell("by hand", meddle(example.dice, engine))
            run = task("containers", **spec, plan_id=check["plan_id"])
            if run.failed:
                example.series.count("refused")
                assert not task.mutating, f"it was refused after mutating calls: {task.mutating}"
            else:
                assert run["steps"] == check["steps"]


# -- steps in words, and calls, in one form: (verb, kind, object, peer) ------------------------------------------------


def known(engine: Engine) -> dict[str, str]:
    """Names and IDs of what there is -> the names by which steps are compared."""
    names = {}
    for item in engine.api("GET", "/containers/json", all=1):
        called = item["Names"][0].lstrip("/")
        names[item["Id"]] = names[called] = item["Labels"].get("slipway.key", called)
    for item in engine.api("GET", "/networks"):
        names[item["Id"]] = item["Name"]
    return names


def one(word: str, names: Mapping[str, str]) -> str:
    """The name of an object, whatever it is called during a replacement."""
    return SUFFIX.sub("", names.get(word, word))


def said(steps: Iterable[str], names: Mapping[str, str]) -> list[tuple]:
    """The calls that steps stand for."""
    found = []
    for step in steps:
        if step.startswith("wait until"):
            continue
        match, peers = STEP.match(step), PEER.match(step)
        assert match or peers, f"a step that says nothing: {step}"
        if match:
            found.append((match[1], match[2], one(match[3], names), ""))
        else:
            found.append((peers[1], "container", one(peers[2], names), peers[3]))
    return found


def made(calls: Iterable[Call], names: Mapping[str, str]) -> list[tuple]:
    """The same of calls as the engine received them."""
    found = []
    for call in calls:
        assert call.status in ANSWERED, f"{call} was answered with {call.status}"
        container, network = ON_CONTAINER.match(call.path), ON_NETWORK.match(call.path)
        body = json.loads(call.body) if call.body else {}
        if network:
            found.append((network[2], "container", one(body["Container"], names), one(network[1], names)))
        elif call.path.endswith("/create"):
            kind = call.path.split("/")[1].rstrip("s")
            found.append(("create", kind, one(call.query.get("name") or body["Name"], names), ""))
        elif call.method == "DELETE":
            _empty, plural, target = call.path.split("/", 2)
            found.append(("remove", plural.rstrip("s"), one(target, names), ""))
        else:
            assert container, f"a call of which no step speaks: {call}"
            found.append((container[2], "container", one(container[1], names), ""))
    return found


def in_order(calls: list[tuple], steps: list[tuple]) -> None:
    """For each object the calls came in the order of the steps."""
    for thing in {step[1:3] for step in steps}:
        came, foretold = ([item[0] for item in items if item[1:3] == thing and not item[3]] for items in (calls, steps))
        assert came == foretold, f"{'/'.join(thing)}: {foretold} was foretold, {came} came"
