# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""engine_tls with state: absent: what is ours goes from the engine's host, once no daemon uses it. The authority is not even looked at."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from ansible_collections.slipway.docker.plugins.module_utils._converge.action import Action, Line, Reason, Symbol
from ansible_collections.slipway.docker.plugins.module_utils._converge.desired import Mistakes, quote
from ansible_collections.slipway.docker.plugins.module_utils._converge.plan import Plan
from ansible_collections.slipway.docker.plugins.module_utils._converge.report import foretold
from ansible_collections.slipway.docker.plugins.plugin_utils import engine_tls as tls


def remove(asked: tls.Asked, host: str, remote: Callable[..., Mapping[str, Any]], check: bool) -> dict[str, Any]:
    """Remove one engine's files, or say in check mode what would go; return what the task returns."""
    began = time.monotonic()
    seen = remote("owned", replace=asked.replace)["seen"]
    plan = _plan(asked, host, seen["files"])
    warned = list(_warnings(asked, seen, check))
    _refuse(asked, seen, check)
    result = foretold(plan, {}, asked.plan_id)
    if plan and not check:
        remote("remove", files=sorted(seen["files"]))
        for action in result["actions"]:
            action["seconds"] = round(time.monotonic() - began, 3)
    return {
        **result,
        "restart": False,
        "daemon_config": tls.daemon_config(asked.path),
        "resources": {},
        "warned": warned,
    }


def _plan(asked: tls.Asked, host: str, files: Mapping[str, str]) -> Plan:
    if not files:
        return Plan()
    resource = ("server", host)
    action = Action("0", "tls", resource, host, f"remove {', '.join(sorted(files))} from {asked.path}")
    before = {os.path.join(asked.path, name): f"mode {mode}" for name, mode in files.items()}
    return Plan((Line(Symbol.REMOVE, resource, Reason.REQUESTED, actions=(action.id,), before=before),), (action,))


def _refuse(asked: tls.Asked, seen: Mapping[str, Any], check: bool) -> None:
    mistakes = Mistakes()
    if seen["obstacle"]:
        mistakes.add("path", f"{quote(asked.path)} cannot be emptied: {seen['obstacle']}; run as root (become: true)")
    for place, words in () if check else _uses(seen):
        mistakes.add(
            place,
            f"{words}: state: absent would remove what a daemon needs here when it starts; take these out first, and restart it "
            f"(slipway.docker.daemon_config does both for what is said in daemon.json)",
        )
    mistakes.refuse()


def _warnings(asked: tls.Asked, seen: Mapping[str, Any], check: bool) -> Iterator[str]:
    if seen["theirs"]:
        yield (
            f"{asked.path}: {', '.join(sorted(seen['theirs']))} are not what engine_tls has put there, so they stay; "
            f"replace: true removes them"
        )
    # Check mode cannot know whether a task before this one takes them out.
    for place, words in _uses(seen) if check else ():
        yield f"{place}: {words}: this has to be taken out by a task before, or a run refuses to remove what it names"


def _uses(seen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(place, the words there that name what would go)."""
    for place, words in groupby(seen["used"], key=lambda one: one["place"]):
        yield place, ", ".join(f"{one['key']}: {one['value']}" for one in words)
