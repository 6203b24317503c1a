# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The main() of prune: look, plan, and unless in check mode remove, as every converging module does."""

from __future__ import annotations

from contextlib import ExitStack

from ._converge.desired import read_options
from ._converge.policy import Policy
from ._converge.provider import Task
from ._converge.report import foretold
from ._docker import connection, prune
from ._docker.engine import Engine
from ._docker.session import EngineSession, address
from ._module import SlipwayModule, Told, carry_out, run

OPTIONS = (*prune.OPTIONS, *connection.OPTIONS)


def main() -> None:
    """Remove what nothing uses any more."""
    run(OPTIONS, _prune)


def _prune(module: SlipwayModule) -> None:
    asked = read_options(OPTIONS, module.given())
    task = Task([], Policy(project=asked.get("project") or "default"), asked, [])
    told = Told()
    with EngineSession(Engine(address(module.given()))) as session:
        found = prune.find(session.engine, asked)
        planned, _world = found.planned()
        if planned and not module.check_mode:
            result = _remove(module, session, task, found, told)
        else:
            result = foretold(planned, session.kinds, asked.get("plan_id"))
        module.leave(**result)


def _remove(module: SlipwayModule, session: EngineSession, task: Task, found: prune.Found, told: Told) -> dict:
    """Hold the lock of each project that loses something, look again at these, and carry out the plan."""
    from ._converge.lock import locked

    with ExitStack() as held:
        for project in sorted(found.projects):
            held.enter_context(locked(session.identity, project, patience=task.settings["lock_timeout"]))
        planned, world = prune.find(session.engine, task.settings, found.projects).planned()
        result = foretold(planned, session.kinds, task.settings.get("plan_id"))
        return carry_out(module, session, task, planned, world, told) if planned else result
