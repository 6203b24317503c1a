# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a plan must wait for what, beyond what each resource needs: removals for users, takers for givers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .action import Action, Phase
from .desired import Resource
from .observed import World

GIVING = ("stop", "disconnect", "remove")  # verbs after which what only one can hold is free

Actions = dict  # {id: Action}; the functions here change it


def removals(actions: Actions, removed: Mapping[str, bool]) -> None:
    """What runs goes before what it uses. ``removed``: ids of removals -> whether the object runs."""
    users = frozenset(identity for identity, runs in removed.items() if runs)
    for identity, runs in removed.items():
        if not runs:
            action = actions[identity]
            actions[identity] = replace(action, needs=action.needs | users)


def claims(actions: Actions, world: World, desired: Mapping[tuple, Resource]) -> None:
    """What only one can hold is taken when the one that has it has given it up."""
    freed: dict[tuple, list[str]] = {}
    known = {item.id: item for item in world.everything}
    for action in actions.values():
        item = known.get(action.target)
        if item is not None and action.phase is Phase.SWITCH and action.verb in GIVING:
            for claim in item.kind.held(item):
                if action.verb != "disconnect" or claim[0] == action.payload["peer"]:
                    freed.setdefault(claim, []).append(action.id)
    for action in tuple(actions.values()) if freed else ():
        item = known.get(action.target)
        resource = desired.get(item.key if item is not None else action.resource)
        taking = "start" if resource is not None and resource.kind.runs else "create"
        if resource is None or action.verb not in (taking, "connect") or action.phase is not Phase.SWITCH:
            continue
        for claim in sorted(resource.kind.wanted(resource)):
            if action.verb != "connect" or claim[0] == action.payload["peer"]:
                for release in freed.get(claim, ()):
                    _after(actions, action.id, release)


def _after(actions: Actions, later: str, earlier: str) -> None:
    """Let one action wait for another, unless that one waits for it; where taking turns is all that it waits for, it does not."""
    if _waits_for(actions, earlier, later):
        waiting = actions[earlier].resource
        for action in tuple(actions.values()):
            if action.resource == waiting and action.after:
                actions[action.id] = replace(action, after=frozenset())
    if not _waits_for(actions, earlier, later):
        action = actions[later]
        actions[later] = replace(action, needs=action.needs | {earlier})


def _waits_for(actions: Mapping[str, Action], later: str, earlier: str) -> bool:
    stack, seen = [later], {later}
    while stack:
        current = stack.pop()
        if current == earlier:
            return True
        action = actions[current]
        fresh = (action.needs | action.after) - seen
        seen |= fresh
        stack += fresh
    return False
