# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One faulted run: a scenario, a call, and what happens to it; what is looked at afterwards, and the figures of all such runs."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.engine import Engine
from harness.promises import crashed
from harness.proxy import RecordingProxy, Rule
from harness.run import Killed, Result
from harness.task import Task

from .scenarios import Scenario

# What breaks a call -> the proxy's word for it, and what goes with it.
KINDS = ("drop", "cut", "lost", "status", "truncated", "hang", "kill", "killafter")
KILLS = ("kill", "killafter")
LASTING = "sick"  # from one call on, the engine refuses whatever would change something
FEW = 3
TIMEOUT = 2.0  # seconds: of each call, in runs that are made to hang
PATIENCE = 5.0  # seconds that a run may take beyond its timeout to say that it failed
BOUND = 90.0  # seconds after which a run is said to hang
# A pull, a build, a load and an import say nothing for as long as they like; they have a patience of their own.
LONG = r"^(?!/images/create|/build|/images/load|/events)"


def sample(indices: int, kinds: tuple[str, ...], part: float, offset: int = 0) -> list[tuple[int, str]]:
    """(index, kind) pairs: all, or a part that takes them by turns, the same each time and another in each scenario."""
    everything = [(index, kind) for index in range(1, indices + 1) for kind in kinds]
    if part >= 1:
        return everything
    count = max(1, round(len(everything) * part))
    count = count if part >= 0.1 else min(count, FEW)  # the everyday sample is not for the longest
    step = len(everything) / count
    return [everything[int(offset + number * step) % len(everything)] for number in range(count)]


@dataclass
class Figures:
    """What was counted over all runs."""

    runs: int = 0
    unreached: int = 0
    counts: Counter = field(default_factory=Counter)
    slowest: float = 0.0

    def lines(self) -> Iterator[tuple[str, str]]:
        """The figures as text: what was counted, and how much of it."""
        c = self.counts
        yield "runs, and those in which the fault was reached", f"{self.runs}, {self.runs - self.unreached}"
        yield "service up after a run that was not killed", f"{c['up']} of {c['asked']}"
        yield "service up after a killed run", f"{c['up after a kill']} of {c['asked after a kill']}"
        yield "failed runs that said so; that reached their goal all the same", f"{c['failed']}; {c['reached']}"
        yield "next run converged", f"{c['converged']} of {self.runs}"
        yield "leftovers; tracebacks", f"{c['leftovers']}; {c['tracebacks']}"
        yield f"slowest failure of a hanging call, with a timeout of {TIMEOUT:g} s", f"{self.slowest:.1f} s"


@dataclass
class Driver:
    """Runs scenarios with faults; keeps the engine where the last run left it, so that the next has little to prepare."""

    task: Task
    engine: Engine
    proxy: RecordingProxy
    figures: Figures
    round: int = 0
    hung: bool = False

    def begin(self, scenario: Scenario) -> int:
        """Bring the engine to the scenario's start and return the number of the round."""
        self.round += 1
        spec = scenario.start(self.round)
        if spec is None:
            self.engine.clean()
        else:
            self.task("containers", **{"orphans": "remove", **spec}).ok()
        return self.round

    def count(self, scenario: Scenario) -> tuple[int, float]:
        """(calls, seconds) of a run that nothing breaks."""
        number = self.begin(scenario)
        began = time.monotonic()
        self.task("containers", **scenario.goal(number)).ok()
        return len(self.proxy.calls), time.monotonic() - began

    def faulted(self, scenario: Scenario, number: int, index: int, kind: str) -> tuple[Result | None, Rule, float]:
        """Run towards the goal with the call number ``index`` broken; None for a run that was killed."""
        kill = self.task.runner.kill
        rules = {"kill": ("call", kill), "killafter": ("lost", kill), "status": ("status", 500)}
        fault, value = rules.get(kind, (kind, None))
        if kind == LASTING:
            rule = self.proxy.fault("status", 500, nth=index, count=None, mutating=True)
        else:
            rule = self.proxy.fault(fault, value, nth=index, path=LONG if kind == "hang" else "")
        more = {"timeout": TIMEOUT} if kind == "hang" else {}
        self.hung = False

        def give_up() -> None:
            self.hung = True
            kill()

        watchdog = threading.Timer(BOUND, give_up)
        watchdog.start()
        began = time.monotonic()
        try:
            return self.task("containers", **{**scenario.goal(number), **more}), rule, time.monotonic() - began
        except Killed:
            self.proxy.drain()
            return None, rule, time.monotonic() - began
        finally:
            watchdog.cancel()
            self.proxy.heal()

    def up(self, scenario: Scenario, by_name: bool = True) -> bool:
        """Whether every service runs (with ``by_name`` under its own name, else under that of its stand-in too) and the port answers."""
        running = [name[1:] for item in self.engine.api("GET", "/containers/json") for name in item["Names"]]
        for service in scenario.services:
            if service not in running and (
                by_name or not any(name.startswith(f"{service}-slipway-") for name in running)
            ):
                return False
        return not scenario.port or self.answers(scenario.port)

    def answers(self, port: str) -> bool:
        """Whether an HTTP server answers behind a published port."""
        ask = ("curl", "--silent", "--max-time", "2", "--retry", "5", "--retry-connrefused", "--retry-delay", "1")
        return "root:" in self.engine.in_netns(*ask, f"http://127.0.0.1:{port}/passwd", check=False)


def debris(engine: Engine, project: str) -> list[str]:
    """Everything that should not be there whatever the scenario: strange names, objects without an owner, doubles."""
    found = []
    for item in engine.api("GET", "/containers/json", all=1):
        name = item["Names"][0][1:]
        if "-slipway-" in name or item["Labels"].get("slipway.project") != project:
            found.append(f"container {name}")
    networks = [item for item in engine.api("GET", "/networks") if item["Name"] not in ("bridge", "host", "none")]
    names = Counter(item["Name"] for item in networks)
    found += [f"network {name}, {count} times" for name, count in names.items() if count > 1]
    owned = [("network", item) for item in networks]
    owned += [("volume", item) for item in engine.api("GET", "/volumes").get("Volumes") or ()]
    found += [
        f"{kind} {item['Name']}" for kind, item in owned if (item["Labels"] or {}).get("slipway.project") != project
    ]
    found += [f"image {item['Id']}" for item in engine.api("GET", "/images/json") if not item["RepoTags"]]
    return found


def standing(engine: Engine) -> str:
    """What exists, in a form that is equal when the same containers run and the same other objects are there."""
    containers = sorted(
        (
            item["Id"][:12],
            item["Names"][0],
            item["State"],
            sorted((item["NetworkSettings"] or {}).get("Networks") or ()),
        )
        for item in engine.api("GET", "/containers/json", all=1)
    )
    return json.dumps([containers, engine.names("network"), engine.names("volume")])


def examine(driver: Driver, scenario: Scenario, index: int, kind: str, usual: float) -> list[str]:
    """Break one call of one run; look at once, run again, look again. Return what was wrong, and count."""
    figures, engine = driver.figures, driver.engine
    number = driver.begin(scenario)
    before = standing(engine)
    result, rule, seconds = driver.faulted(scenario, number, index, kind)
    wrong: list[str] = []
    figures.runs += 1
    reached = rule.seen >= rule.nth
    figures.unreached += not reached

    killed = result is None and not driver.hung
    if driver.hung:
        wrong.append(f"it did not end within {BOUND:g} s")
    if scenario.services and kind != LASTING:  # sick, it can put nothing back
        up = driver.up(scenario, by_name=not killed)
        asked = " after a kill" if killed else ""
        figures.counts[f"asked{asked}"] += 1
        figures.counts[f"up{asked}"] += up
        if not up:
            wrong.append("the service is down" + (" (killed)" if killed else ""))
    if result is not None:
        if crashed(result):
            figures.counts["tracebacks"] += 1
            wrong.append(f"it shows its inside: {result.msg or result.stderr}")
        figures.counts["failed" if result.failed else "reached"] += 1
        if result.failed:
            wrong += _message(result)
            if "was undone" in result.msg and standing(engine) != before:
                wrong.append(
                    f"it says that all was undone, yet\n{standing(engine)} differs from\n{before}\n{result.msg}"
                )
        if kind == "hang" and reached:
            late = seconds - usual - TIMEOUT
            figures.slowest = max(figures.slowest, seconds)
            if late > PATIENCE:
                wrong.append(f"it took {seconds:.1f} s; usually it is {usual:.1f} s")

    again = driver.task("containers", **scenario.goal(number))
    if again.failed:
        wrong.append(f"the next run failed: {again.msg}")
    elif result is not None and not result.failed and again.changed:
        wrong.append(f"it claimed success, and the next run changed {again['plan']}")
    third = driver.task("containers", **scenario.goal(number))
    if third.failed or third.changed or driver.task.mutating:
        wrong.append(f"a further run was not empty: {third.get('plan')} {third.msg} {driver.task.mutating}")
    if not scenario.reached(engine, number) or not driver.up(scenario):
        wrong.append("the goal is not reached")
    left = debris(engine, "sc")
    figures.counts["leftovers"] += len(left)
    if left:
        wrong.append(f"left over: {', '.join(left)}")
    figures.counts["converged"] += not (again.failed or third.failed or third.changed or left)
    return [f"{scenario.name}, call {index} {_which(rule)}, {kind}: {text}" for text in wrong]


def _which(rule: Rule) -> str:
    """The call that was broken, for a message."""
    return f"({rule.met})" if rule.met else "(not reached)"


def _message(result: Result) -> list[str]:
    """What is wrong with the message of a failure."""
    wrong = []
    if not 20 < len(result.msg) < 2000:
        wrong.append(f"a message of {len(result.msg)} characters: {result.msg[:500]}")
    if "<" in result.msg and " object at " in result.msg:
        wrong.append(f"not a sentence: {result.msg}")
    return wrong
