# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plan and journal -> what a task returns. The one place where values that must not be shown are masked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .action import Line, show
from .errors import SlipwayError
from .journal import DONE, FAILED, STUCK, UNDONE, Journal, seconds_of
from .kind import Kind
from .plan import Plan
from .policy import KEEP, PAUSE
from .secret import HIDDEN

EMPTY = "empty"  # the identity of a plan that does nothing


def report(plan: Plan, journal: Journal | None, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return ``changed``, ``plan``, ``plan_id``, ``actions``, ``steps``, ``orphans`` and ``diff``.

    Without a journal (check mode) ``actions`` is what would be done; with one, what was done and how long it took.
    """
    diffs = [diff(line, kinds) for line in plan.lines]
    done = None if journal is None else {entry.action.id for entry in journal.of(DONE)}
    return {
        "changed": bool(plan.lines) if journal is None else bool(journal.standing),
        "plan_id": identity(plan, diffs),
        "plan": plan.text(),
        "actions": actions(plan, journal),
        "steps": [action.step for action in plan.actions if done is None or action.id in done],
        "orphans": list(plan.orphans),
        "diff": diffs,
    }


def foretold(plan: Plan, kinds: Mapping[str, Kind], approved: str | None) -> dict[str, Any]:
    """The report before anything is done; raises SlipwayError when another plan than this was ``approved``, by its identity."""
    result = report(plan, None, kinds)
    if approved and plan and result["plan_id"] != approved:
        lines = "\n".join(result["plan"])
        raise SlipwayError(
            f"plan_id: {approved} was approved, and the plan is {result['plan_id']} by now, so nothing was touched. "
            f"Look at the new plan and approve it:\n{lines}"
        )
    return result


def identity(plan: Plan, diffs: Sequence[Mapping[str, Any]]) -> str:
    """The plan's ``plan_id``: two plans with one identity do the same to the same objects, for the same reasons.

    It is made from what the plan shows, masked as there, and from the IDs of the objects it is about: no secret can be guessed from it.
    """
    if not plan:
        return EMPTY
    from hashlib import sha256

    shown = [
        diffs,
        [[action.verb, action.target, action.step] for action in plan.actions],
        plan.basis,
    ]
    return sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:32]


def actions(plan: Plan, journal: Journal | None) -> list[dict[str, Any]]:
    """One entry per line of the plan; after a run only the lines of which something was done."""
    by_id = {action.id: action for action in plan.actions}
    seconds = seconds_of(journal) if journal else {}
    done = {entry.action.id for entry in journal.of(DONE)} if journal else set(by_id)
    entries = []
    for text, line in zip(plan.text(), plan.lines):
        carried_out = [by_id[item] for item in line.actions if item in done]
        if not carried_out:
            continue
        entry = {
            "line": text,
            "target": line.label,
            "reason": line.reason.value,
            "steps": [action.step for action in carried_out],
        }
        if journal:
            entry["seconds"] = round(sum(seconds.get(action.id, 0.0) for action in carried_out), 3)
        entries.append(entry)
    return entries


def diff(line: Line, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """One object before and after, in the form Ansible prints."""
    before: dict[str, Any] = dict(line.before)
    after: dict[str, Any] = masked(kinds.get(line.resource[0]), line.after)
    for change in line.changes:
        before[change.field] = HIDDEN if change.secret else change.before
        after[change.field] = f"{HIDDEN} (other)" if change.secret else change.after
    header = f"{line.label} ({line.why})"
    return {
        "before_header": header,
        "after_header": header,
        "before": _lines(before),
        "after": _lines(after),
    }


def _lines(values: Mapping[str, Any]) -> str:
    return "".join(f"{name}: {show(values[name])}\n" for name in sorted(values))


def masked(kind: Kind | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with secret values hidden."""
    shown: dict[str, Any] = {}
    for name, value in values.items():
        option = kind.by_name.get(name) if kind else None
        if option is not None and option.no_log:
            value = HIDDEN
        elif option is not None and option.hides and isinstance(value, Mapping):
            value = {key: HIDDEN if option.hides(key) else item for key, item in value.items()}
        shown[name] = value
    return shown


def failure(journal: Journal, on_failure: str) -> str:
    """Say what failed, on which object, what was done about it and what to do."""
    failed = journal.of(FAILED)
    what = "; ".join(f"{entry.action.step}: {entry.error}" for entry in failed) or journal.interrupted
    held = ", ".join(sorted("/".join(key) for key in journal.aside))
    return f"{what}. {f'Held back with it: {held}. ' if held else ''}{_left(journal, on_failure)}"


def _left(journal: Journal, on_failure: str) -> str:
    """In which state everything was left, and what to do now."""
    stuck, undone = journal.of(STUCK), journal.of(UNDONE)
    if journal.unreachable:
        return "The engine does not answer, so nothing could be undone. Run again when it does: what is left is found by its labels"
    if stuck:
        problems = "; ".join(f"{entry.action.step}: {entry.error}" for entry in stuck)
        return f"Undoing it was not complete: {problems}. Run again: leftovers are found by their labels"
    if journal.committed:
        return "Everything before this last step is in place and stays; see to the cause, then run again to finish it"
    if not journal.stopped:
        return f"That was undone ({len(undone)} steps), so what ran before runs on; the others are as declared"
    if on_failure == KEEP:
        return "What had been done was kept" if journal.standing else "Nothing had been changed"
    if on_failure == PAUSE and journal.standing:
        through = sorted(
            {"/".join(entry.action.resource) for entry in journal.of(DONE) if entry.action.id in journal.standing}
        )
        return f"Paused: {', '.join(through)} stays as declared, the rest is as it was; run again to go on"
    if undone:
        return f"All that had been done was undone ({len(undone)} steps); what ran before runs on"
    return "Nothing had been changed"
