# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every main() does: read, plan, apply, exit. The only place that fails a module."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from . import _archive  # noqa: F401 - before the others, which it makes faster
from ._converge.errors import EngineError, Interrupted, MissingLibrary, SlipwayError, SpecError
from ._converge.journal import UNDONE
from ._converge.kind import Kind
from ._converge.option import Option, argument_spec
from ._converge.plan import Plan
from ._converge.policy import ROLLBACK
from ._converge.provider import Provider, Session, Task
from ._converge.report import failure, foretold, report
from ._converge.secret import SHORTEST, hide, mask

TIDYING = 5.0  # seconds in which what was removed has to be out of sight


class SlipwayModule(AnsibleModule):
    """An AnsibleModule whose values are checked by the rows, so that every mistake is reported at once and with its place.

    Ansible checks the names of the options only; ``full_spec`` is the argument_spec that the documentation describes.
    """

    def __init__(self, options: Sequence[Option], supports_check_mode: bool = True) -> None:
        self.full_spec = argument_spec(tuple(options))
        loose = {name: _loose(entry) for name, entry in self.full_spec.items()}
        super().__init__(argument_spec=loose, supports_check_mode=supports_check_mode)
        self.no_log_values.update(unshown(options, self.params))

    def _log_invocation(self) -> None:
        """Log what was asked for without the values that must not be shown."""
        shown, self.params = self.params, hide(self.params)
        try:
            super()._log_invocation()
        finally:
            self.params = shown

    def given(self) -> dict[str, Any]:
        """The options as the user wrote them, less those that were left out."""
        return {key: value for key, value in self.params.items() if value is not None and key in self.argument_spec}

    def leave(self, **result: Any) -> None:
        """Exit with a result."""
        self.exit_json(invocation={"module_args": hide(self.params)}, **result)

    def fail(self, message: str, **result: Any) -> None:
        """Fail with a message and what is known."""
        self.fail_json(msg=mask(message), invocation={"module_args": hide(self.params)}, **result)


def _loose(entry: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: entry[key] for key in ("aliases", "no_log") if key in entry}
    return {"type": "raw", **kept}


def unshown(options: Sequence[Option], params: Any) -> Iterator[str]:
    """Values, however deep, of options that must not be shown: Ansible masks them, whatever prints one."""
    for option in options if isinstance(params, Mapping) else ():
        for value in (params.get(name) for name in (option.name, *option.aliases)):
            secrets = value.values() if isinstance(value, Mapping) else (value,)
            for text in secrets if option.no_log else ():
                if isinstance(text, (str, int, float)) and len(str(text)) >= SHORTEST:
                    yield str(text)
            for item in value if isinstance(value, (list, tuple)) else (value,):
                yield from unshown(option.suboptions, item)


def run(options: Sequence[Option], work: Callable[[SlipwayModule], None]) -> None:
    """Make the module, do its work, and turn every failure into one message."""
    module = SlipwayModule(options)
    try:
        work(module)
    except MissingLibrary as error:
        module.fail(f"{error.library} is not there for {sys.executable} ({error.why}); {error.way_out}")
    except (SlipwayError, Interrupted) as error:
        module.fail(str(error), **({"mistakes": error.mistakes} if isinstance(error, SpecError) else {}))
    except Exception as error:  # a user should read a sentence even where we were wrong
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{where.filename.rpartition('/')[2]}:{where.lineno}"
        module.fail(
            f"this is a bug in slipway.docker ({type(error).__name__} at {place}: {error}); please report it with the task"
        )


def converge(module: SlipwayModule, provider: Provider, task: Task) -> None:
    """Plan, and unless in check mode apply; exit with the report.

    What only a change needs is imported where a change begins: a run that finds nothing to do is over sooner.
    """
    told = Told()
    with provider.open(module.given()) as session:
        try:
            seen = session.look(task)
        except SpecError:
            if module.check_mode:
                raise
            seen = None  # another run may be in the middle of its work; what is seen under the lock counts
        if seen is None or (seen[0].actions and not module.check_mode):
            planned, world, result = _change(module, session, task, told)
        else:
            planned, world = seen
            result = foretold(planned, session.kinds, task.settings.get("plan_id"))
        for warning in (
            *task.warnings,
            *planned.notes,
            *session.warnings(world),
            *_orphan_warnings(task, planned.orphans),
        ):
            module.warn(warning)
        module.leave(
            **result, **task.tells, resources=session.describe(world, [resource.key for resource in task.desired])
        )


class Told:
    """What becomes of a signal that tells the module to end: the run undoes what it did; before there is one, nothing was done;
    after it, the report is all that is left to do."""

    def __init__(self) -> None:
        self.run: Any = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self)

    def __call__(self, number: int, _frame: Any) -> None:
        words = f"interrupted by {signal.Signals(number).name}"
        if self.run is None:
            raise Interrupted(f"{words}; nothing was changed")
        self.run.interrupt(words)


def _change(module: SlipwayModule, session: Session, task: Task, told: Told) -> tuple[Plan, Any, dict[str, Any]]:
    """Hold the lock, look again, for another run may have been at work, and carry out the plan."""
    from ._converge.lock import locked

    with locked(session.identity, task.policy.project, patience=task.settings["lock_timeout"]):
        planned, world = session.look(task)
        result = foretold(planned, session.kinds, task.settings.get("plan_id"))
        if planned.actions:
            result = carry_out(module, session, task, planned, world, told)
            world, remaining = look_back(module, session, task, planned, world)
            if remaining:
                module.fail(remaining, **result)
    return planned, world, result


def look_back(module: SlipwayModule, session: Session, task: Task, planned: Plan, before: Any) -> tuple[Any, str]:
    """(What is there when all is done, what to say of that which was removed and is there all the same).

    The other end has a moment to tidy up after it has said that something is gone.
    """
    from ._converge.left import left, message

    deadline = time.monotonic() + TIDYING
    try:
        while True:
            world = session.snapshot(task)
            found = left(planned, before, world)
            if not found or time.monotonic() > deadline:
                return world, message(found) if found else ""
            time.sleep(0.2)
    except EngineError as error:
        module.warn(
            f"all was done; resources shows how it was before, for the {session.called} could not be asked again: {error}"
        )
        return before, ""


def carry_out(
    module: SlipwayModule, session: Session, task: Task, planned: Plan, world: Any, told: Told
) -> dict[str, Any]:
    """Carry out a plan; fails the module, with the report, when it could not be carried out to its end."""
    from ._converge.apply import Run

    settings = task.settings
    perform = session.performer(task, world)
    on_failure = settings.get("on_failure") or ROLLBACK
    run = told.run = Run(
        perform,
        parallelism=settings.get("parallelism") or 8,
        on_failure=on_failure,
        max_failures=(settings.get("update_config") or {}).get("max_failures") or 0,
        ready=perform.ready,
    )
    journal = run(planned.actions)
    if not journal.unreachable:
        perform.tidy()
    result = report(planned, journal, session.kinds)
    if not journal.whole:
        undone = [entry.action.step for entry in journal.of(UNDONE)]
        module.fail(failure(journal, on_failure), **result, undone=undone)
    return result


def _orphan_warnings(task: Task, orphans: Sequence[str]) -> list[str]:
    if not orphans or task.policy.absent:
        return []
    names = ", ".join(orphans)
    return [
        f"orphans of the project {task.policy.project}, which nothing declares any more: {names}; orphans: remove takes away what holds no data"
    ]


def converge_one(provider: Provider, kind: Kind, own: Sequence[Option]) -> None:
    """The main() of a module for one object: a list of one."""
    options = (*provider.options(kind), *own, *provider.connection)
    run(options, lambda module: converge(module, provider, provider.read_one(kind, own, module.given())))


def converge_lists(provider: Provider) -> None:
    """The main() of a module for many objects."""
    options = (*provider.task, *provider.connection)
    run(options, lambda module: converge(module, provider, provider.read_lists(module.given())))
