# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The walk: order, parallelism, what a failure stops and undoes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.action import Action, Phase
from ansible_collections.slipway.docker.plugins.module_utils._converge.apply import Run
from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import EngineError
from ansible_collections.slipway.docker.plugins.module_utils._converge.journal import FAILED, STUCK, UNDONE, Journal
from ansible_collections.slipway.docker.plugins.module_utils._converge.report import failure


def apply(actions: list[Action], perform: Callable[[Action], object], **options: Any) -> Journal:
    return Run(perform, **options)(actions)


def action(name: str, *needs: str, phase: Phase = Phase.PREPARE, undoes: bool = True, waits: bool = False) -> Action:
    undo = Action(f"{name} undo", "undo", ("thing", name), name, f"undo {name}") if undoes else None
    return Action(
        name, "do", ("thing", name), name, f"do {name}", needs=frozenset(needs), phase=phase, undo=undo, waits=waits
    )


class Recorder:
    """Performs nothing, notes everything, fails where it is told to."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.seen: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, item: Action) -> None:
        with self.lock:
            self.seen.append(item.step)
        if item.step in self.failing:
            raise EngineError("no")


def test_needs_come_first_and_phases_one_by_one() -> None:
    record = Recorder()
    apply([action("d", "a", phase=Phase.FINAL), action("c", "b"), action("b"), action("a", phase=Phase.SWITCH)], record)
    assert record.seen == ["do b", "do c", "do a", "do d"]


def test_independent_actions_run_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=5)
    journal = apply([action(name) for name in "abc"], lambda _item: meeting.wait(), parallelism=3)
    assert journal.failed is None


def test_waiting_takes_no_worker() -> None:
    gate = threading.Event()

    def perform(item: Action) -> None:
        if item.waits:
            assert gate.wait(5)
        elif item.id == "opens":
            gate.set()

    waiting = [action(f"w{number}", waits=True) for number in range(20)]
    journal = apply([*waiting, action("opens")], perform, parallelism=1)
    assert journal.failed is None


def test_a_failure_stops_new_work_and_is_undone_backwards() -> None:
    record = Recorder("do c")
    journal = apply([action("a"), action("b", "a"), action("c", "b"), action("d", "c")], record, parallelism=1)
    assert record.seen == ["do a", "do b", "do c", "undo c", "undo b", "undo a"]
    assert [entry.action.step for entry in journal.of(UNDONE)] == ["undo c", "undo b", "undo a"]
    assert (
        failure(journal, "rollback") == "do c: no. All that had been done was undone (3 steps); what ran before runs on"
    )


def test_switches_are_undone_before_preparations() -> None:
    record = Recorder("do c")
    apply([action("a"), action("b", phase=Phase.SWITCH), action("c", "b", phase=Phase.SWITCH)], record)
    assert record.seen[3:] == ["undo c", "undo b", "undo a"]


def test_a_final_failure_undoes_nothing() -> None:
    record = Recorder("do b")
    journal = apply([action("a"), action("b", phase=Phase.FINAL)], record)
    assert journal.committed
    assert record.seen == ["do a", "do b"]


def test_what_cannot_be_undone_is_said() -> None:
    record = Recorder("do b", "undo a")
    journal = apply([action("a"), action("b", "a")], record)
    assert [entry.action.step for entry in journal.of(STUCK)] == ["undo a"]
    assert "Undoing it was not complete: undo a: no" in failure(journal, "rollback")


def test_a_doubtful_undo_may_fail_in_silence() -> None:
    journal = apply([action("a")], Recorder("do a", "undo a"))
    assert journal.of(STUCK) == []
    assert failure(journal, "rollback") == "do a: no. Nothing had been changed"


def test_keep_undoes_nothing() -> None:
    record = Recorder("do b")
    journal = apply([action("a"), action("b", "a")], record, on_failure="keep")
    assert record.seen == ["do a", "do b"]
    assert "What had been done was kept" in failure(journal, "keep")


def test_an_unexpected_error_is_a_failure_too() -> None:
    def perform(_item: Action) -> None:
        raise RuntimeError("surprise")

    journal = apply([action("a")], perform)
    assert [entry.error for entry in journal.of(FAILED)] == ["RuntimeError: surprise"]


def chain(name: str, *parts: str, needs: str = "", after: str = "", waits: str = "") -> list[Action]:
    """The actions of one resource: prepared, switched in further parts, and tidied up."""
    actions = []
    before: frozenset = frozenset()
    for part in ("make", *parts, "tidy"):
        phase = {"make": Phase.PREPARE, "tidy": Phase.FINAL}.get(part, Phase.SWITCH)
        step = f"{part} {name}"
        undo = (
            Action(f"{step} undo", "undo", ("thing", name), name, f"undo {step}") if phase is not Phase.FINAL else None
        )
        first = phase is Phase.SWITCH and len(actions) == 1
        later = frozenset([after] if after and first else [])
        before |= frozenset([needs] if needs and first else [])
        actions.append(
            Action(step, "do", ("thing", name), name, step, {}, before, phase, undo, part == waits, later)
        )  # fmt: skip
        before = frozenset([step])
    return actions


def test_a_tolerated_failure_is_undone_alone_and_the_others_go_on() -> None:
    record = Recorder("go b")
    journal = apply([*chain("a", "go"), *chain("b", "go"), *chain("c", "go")], record, max_failures=1)
    assert {"tidy a", "tidy c", "undo make b"} <= set(record.seen)
    assert not {"tidy b", "undo go a", "undo make a"} & set(record.seen)
    assert not journal.whole and not journal.stopped
    assert failure(journal, "rollback").endswith(
        "That was undone (2 steps), so what ran before runs on; the others are as declared"
    )


def test_one_failure_too_many_undoes_all() -> None:
    record = Recorder("go b", "go c")
    journal = apply([*chain("a", "go"), *chain("b", "go"), *chain("c", "go")], record, parallelism=1, max_failures=1)
    assert journal.stopped
    assert {"undo make a", "undo make b", "undo make c"} <= set(record.seen)
    assert record.seen.count("undo make b") == 1, "an undo was done twice"


def test_what_needs_a_failed_one_is_held_back_and_undone_too() -> None:
    record = Recorder("go a")
    journal = apply([*chain("a", "go"), *chain("b", "go", needs="go a"), *chain("c", "go")], record, max_failures=1)
    assert journal.aside == {("thing", "b")}
    assert "tidy c" in record.seen and "go b" not in record.seen and "undo make b" in record.seen
    assert "Held back with it: thing/b." in failure(journal, "rollback")


def test_turns_go_on_when_one_has_failed_and_is_undone() -> None:
    record = Recorder("go b")
    actions = [*chain("a", "go"), *chain("b", "go", after="go a"), *chain("c", "go", after="go b")]
    apply(actions, record, max_failures=1)
    seen = record.seen
    assert seen.index("go a") < seen.index("go b") < seen.index("undo make b") < seen.index("go c")


def test_pause_keeps_what_is_through_and_undoes_what_was_begun() -> None:
    record = Recorder("go b")
    actions = [*chain("a", "go"), *chain("b", "go", after="go a"), *chain("c", "go", after="go b")]
    journal = apply(actions, record, on_failure="pause")
    assert set(record.seen) == {
        "make a", "make b", "make c", "go a", "go b", "undo go b", "undo make b", "undo make c", "tidy a",
    }  # fmt: skip
    assert "Paused: thing/a stays as declared, the rest is as it was" in failure(journal, "pause")


def test_a_wait_is_abandoned_when_something_else_fails() -> None:
    never = threading.Event()

    def perform(item: Action) -> None:
        if item.waits:
            never.wait(30)
        elif item.step == "go b":
            raise EngineError("no")

    began = time.monotonic()
    journal = apply([*chain("a", "go", "watch", waits="watch"), *chain("b", "go")], perform)
    never.set()
    assert time.monotonic() - began < 5
    assert {entry.action.step for entry in journal.of(UNDONE)} == {
        "undo go a",
        "undo make a",
        "undo go b",
        "undo make b",
    }


def test_an_interruption_stops_and_undoes() -> None:
    run: Run

    def perform(item: Action) -> None:
        if item.step == "go a":
            run.interrupt("interrupted by SIGTERM")

    run = Run(perform)
    journal = run([*chain("a", "go", "more")])
    assert journal.stopped and not journal.committed
    assert failure(journal, "rollback").startswith("interrupted by SIGTERM. All that had been done was undone (")


def test_without_an_engine_nothing_is_undone() -> None:
    record = Recorder("go a")
    journal = apply(chain("a", "go"), record, ready=lambda: False)
    assert record.seen == ["make a", "go a"]
    assert "The engine does not answer, so nothing could be undone" in failure(journal, "rollback")


def test_a_clear_refusal_did_not_happen() -> None:
    def perform(item: Action) -> None:
        seen.append(item.step)
        if item.step == "make a":
            raise EngineError("the name is in use", 409)

    seen: list[str] = []
    apply(chain("a"), perform)
    assert seen == ["make a"], "an undo could have hit what somebody else has made"
