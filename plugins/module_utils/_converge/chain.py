# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chain: the actions of one resource, each needing the one before."""

from __future__ import annotations

from collections.abc import Mapping

from .action import Action, Phase
from .desired import Resource
from .kind import Kind, Step
from .observed import Observed


class Chain:
    """Appends actions of one resource to ``actions``; what is set in ``needs``, ``after`` and ``phase`` holds for the next one."""

    def __init__(self, actions: dict[str, Action], subject: Resource | Observed, tag: str = "") -> None:
        self.actions = actions
        self.kind: Kind = subject.kind
        self.resource = subject.key
        self.tag = tag or "/".join(subject.key)
        self.needs: set[str] = set()
        self.after: set[str] = set()
        self.phase = Phase.PREPARE
        self.ids: list[str] = []

    def add(
        self, verb: str, target: str, step: str, payload: Mapping, undo: tuple | None = None, waits: bool = False
    ) -> None:
        """Append an action; ``undo`` is (verb, target, step, payload) of its inverse."""
        number = len(self.actions)
        identity = f"{number:05d} {self.tag} {verb}"
        inverse = None
        if undo:
            undo_verb, undo_target, undo_step, undo_payload = undo
            inverse = Action(identity + " undo", undo_verb, self.resource, undo_target, undo_step, undo_payload)
        self.actions[identity] = Action(
            identity, verb, self.resource, target, step, payload,
            frozenset(self.needs), self.phase, inverse, waits, frozenset(self.after),
        )  # fmt: skip
        self.ids.append(identity)
        self.needs, self.after = {identity}, set()

    def step(self, step: Step) -> None:
        """Append an action that a kind asked for itself."""
        name = self.resource[1]
        undo = (step.undo[0], name, step.undo[1], step.undo[2]) if step.undo else None
        usual, self.phase = self.phase, self.phase if step.phase is None else step.phase
        self.add(step.verb, name, step.words, step.payload, undo=undo)
        self.phase = usual

    def rename(self, target: str, before: str, after: str) -> None:
        """Give an object another name; ``target`` is how the engine finds it now."""
        back = after if target == before else target
        kind = self.kind.name
        self.add(
            "rename", target, f"rename {kind} {before} to {after}", {"name": after},
            undo=("rename", back, f"rename {kind} {after} back to {before}", {"name": before}),
        )  # fmt: skip

    def stop(self, observed: Observed, words: str) -> None:
        """Stop a running object, which has its own time for it; undone by starting it."""
        if observed.status == "paused":
            which = f"{observed.kind.name} {observed.called}"
            self.add("unpause", observed.id, f"unpause {which}", {}, undo=("pause", observed.id, f"pause {which}", {}))
        grace = {"grace": observed.kind.grace(observed)}
        back = ("resume", observed.id, f"start {observed.kind.name} {observed.called} again", grace)
        self.add("stop", observed.id, words, grace, undo=back)

    def connect(self, kind: Kind, peer: str, target: str, settings: Mapping, called: str = "") -> None:
        """Connect an object of a kind to a peer; undone by disconnecting it."""
        there, back = _connection(kind, peer, target, settings, called or target)
        self.add(*there, undo=back)

    def disconnect(self, kind: Kind, peer: str, target: str, settings: Mapping, called: str = "") -> None:
        """Disconnect an object from a peer; undone by connecting it with the same settings."""
        back, there = _connection(kind, peer, target, settings, called or target)
        self.add(*there, undo=back)


def _connection(kind: Kind, peer: str, target: str, settings: Mapping, called: str) -> tuple[tuple, tuple]:
    """(verb, target, step, payload) of a connect and of its inverse."""
    ends = {"kind": kind.name, "peer": peer}
    return (
        ("connect", target, f"connect {called} to {peer}", {**ends, "settings": settings}),
        ("disconnect", target, f"disconnect {called} from {peer}", ends),
    )
