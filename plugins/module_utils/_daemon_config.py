# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The main() of daemon_config: look, plan, and unless in check mode change, as every converging module does."""

from __future__ import annotations

import os
from typing import Any

from ._converge.errors import SpecError
from ._converge.report import foretold
from ._converge.secret import hide
from ._daemon import spec
from ._daemon.look import Look, Looker
from ._module import SlipwayModule, Told, run


def main() -> None:
    """Converge the daemon's configuration."""
    run(spec.OPTIONS, _converge)


def _converge(module: SlipwayModule) -> None:
    asked = spec.read(module.given())
    told, looker = Told(), Looker(asked)
    try:
        look = looker()
    except SpecError:
        if module.check_mode:
            raise
        look = None  # another run may be in the middle of its work; what is seen under the lock counts
    if look is None or not (look.settled or module.check_mode):
        look, result = _change(looker, asked, told)
    else:
        result = _foretold(look, asked)
    for note in look.notes:
        module.warn(note)
    module.leave(**result)


def _foretold(look: Look, asked: spec.Asked) -> dict[str, Any]:
    """The report before anything is done; raises SlipwayError when another plan was approved."""
    shown = {"path": asked.path, "config": hide(dict(look.after)), "managed": list(look.declared)}
    return {
        **foretold(look.plan, {}, asked.plan_id),
        "applied": look.road.applied,
        "because": list(look.road.because),
        "rehearsed": look.rehearsed,
        "resources": {"daemon_config": shown},
    }


def _change(looker: Looker, asked: spec.Asked, told: Told) -> tuple[Look, dict[str, Any]]:
    """Hold the lock, look again, for another run may have been at work, and take the way."""
    from ._converge.lock import locked
    from ._daemon.change import Change

    with locked("daemon_config", os.path.realpath(asked.path), patience=asked.lock_timeout):
        look = looker()
        result = _foretold(look, asked)
        if not look.road.stages:
            look.files.note_managed(look.declared)
            look.files.end_trial()
            return look, result
        change = told.run = Change(look, asked.socket, asked.timeout, asked.backup)
        change()
    if asked.start and look.service.by_hand:
        look.notes.append(
            f"no service manager can run the daemon on this host, so it is a process by itself, whose words go to {look.service.notes['log']}; "
            f"a reboot ends it: run this again afterwards"
        )
    for action in result["actions"]:
        action["seconds"] = round(sum(change.seconds), 3)
    if change.backup_file:
        result["backup_file"] = change.backup_file
    return look, {**result, "started": sorted(change.started)}
