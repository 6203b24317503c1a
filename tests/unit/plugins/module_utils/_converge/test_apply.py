# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The walk: order, parallelism, what a failure stops and undoes."""

from __future__ import annotations

import threading

from ansible_collections.slipway.docker.plugins.module_utils._converge.action import Action, Phase
from ansible_collections.slipway.docker.plugins.module_utils._converge.apply import apply
from ansible_collections.slipway.docker.plugins.module_utils._converge.errors import EngineError
from ansible_collections.slipway.docker.plugins.module_utils._converge.journal import FAILED, STUCK, UNDONE
from ansible_collections.slipway.docker.plugins.module_utils._converge.report import failure


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
    assert failure(journal) == "do c: no. All that had been done was undone (3 steps); what ran before runs on"


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
    assert "Undoing it was not complete: undo a: no" in failure(journal)


def test_a_doubtful_undo_may_fail_in_silence() -> None:
    journal = apply([action("a")], Recorder("do a", "undo a"))
    assert journal.of(STUCK) == []
    assert failure(journal) == "do a: no; nothing had been changed"


def test_keep_undoes_nothing() -> None:
    record = Recorder("do b")
    journal = apply([action("a"), action("b", "a")], record, rollback=False)
    assert record.seen == ["do a", "do b"]
    assert "what had been done was kept" in failure(journal)


def test_an_unexpected_error_is_a_failure_too() -> None:
    def perform(_item: Action) -> None:
        raise RuntimeError("surprise")

    journal = apply([action("a")], perform)
    assert [entry.error for entry in journal.of(FAILED)] == ["RuntimeError: surprise"]
