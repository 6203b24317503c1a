# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes the way that was planned, watches whether the engine is well, and else puts the file and the engine back."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .._converge.errors import EngineError, Interrupted, SlipwayError
from .._converge.secret import mask, secrets_in
from . import document, road
from . import flags as flag
from .api import Api, wait
from .files import OPEN, PRIVATE
from .look import Look
from .process import find
from .road import RELOAD, RESTART, Stage

RELOAD_SECONDS = 20.0  # within which a daemon takes a reload; it is a matter of milliseconds
REFUSALS = ("unable to configure the Docker daemon", "Error reconfiguring", "Error validating")
# Answers of a container that has ended because its daemon has, and not by itself.
KILLED = (137, 143, 255)


class Failed(SlipwayError):
    """A stage did not come to its end."""


class Change:
    """One change. ``started``: names of containers that were started again, ``seconds``: how long each stage took."""

    def __init__(self, look: Look, socket: str, timeout: float, backup: bool) -> None:
        self.look, self.socket, self.timeout, self.wants_backup = look, socket, timeout, backup
        self.files, self.service = look.files, look.service
        self.mode = self.files.mode()
        self.api = look.api
        self.containers: dict[str, dict[str, Any]] = {}
        self.restarted = self.reloaded = self.kept = self.done = False
        self.last: Mapping[str, Any] = look.before
        self.backup_file = ""
        self.started: list[str] = []
        self.seconds: list[float] = []

    def interrupt(self, words: str) -> None:
        """A signal tells us to end: what was done is taken back, unless that is being done, or all is."""
        if not self.done:
            self.done = True  # one signal is enough: the next must not disturb the way back
            raise Interrupted(words)

    # -- the way there -----------------------------------------------------------------------------------------

    def __call__(self) -> None:
        """Carry it out; raises SlipwayError, with all put back, when it does not work."""
        look = self.look
        try:
            self.files.note_managed(tuple({*look.managed, *look.declared}))
            if self.wants_backup:
                self.backup_file = self.files.backup()
            if look.runs:
                if self.api is not None:
                    self.containers = self.api.running()
                self.files.begin_trial(look.content, self.service.start_notes(look.process))
            self.kept = look.running.live
            for stage in look.road.stages:
                began = time.monotonic()
                self._go(stage)
                self.seconds.append(round(time.monotonic() - began, 3))
            if look.runs:
                self._well()
        except (SlipwayError, OSError, Interrupted) as error:
            self.done = True
            secrets = secrets_in({**document.flat(look.before), **document.flat(look.after)})
            raise SlipwayError(mask(self._back(str(error)), secrets)) from None
        self.done = True
        self.files.end_trial()
        self.files.note_managed(look.declared)

    def _go(self, stage: Stage, content: bytes | None = None) -> None:
        """The file holds a stage's document, and the daemon has heard of it."""
        last = stage is self.look.road.stages[-1] or stage.document == self.look.after
        held = content if content is not None else self.look.target if last else document.encode(stage.document)
        if held != self.files.content():
            self.files.put(held, _mode(stage.document, OPEN))
        self.last = stage.document
        if stage.how == RELOAD:
            self._reload(stage.document)
        elif stage.how == RESTART:
            self._restart(stage.document)

    def _reload(self, wanted: Mapping[str, Any]) -> None:
        """The daemon says that it has reloaded, and what it took is what was meant."""
        process = find(self.files.path)
        if process is None or self.api is None:
            raise Failed("the daemon has ended")
        mark = self.service.mark()
        self.reloaded = True
        with self.api.reload_events() as events:
            self.service.reload(process)
            deadline, asked = time.monotonic() + min(self.timeout, RELOAD_SECONDS), time.monotonic()
            while True:
                taken = events.attributes(0.1)
                if taken is not None:
                    break
                if time.monotonic() - asked > 0.5:
                    asked = time.monotonic()
                    words = self.service.words(mark)
                    if any(refusal in words for refusal in REFUSALS):
                        raise Failed(f"the daemon did not take it: {words}")
                if not process.lives:
                    raise Failed(f"the daemon ended over the reload: {self.service.words(mark) or 'no word from it'}")
                if time.monotonic() > deadline:
                    raise Failed(f"the daemon did not reload: {self.service.words(mark) or 'no word from it'}")
        wrong = untaken(wanted, taken)
        if wrong:
            raise Failed(f"the daemon reloaded and did not take {', '.join(wrong)}")
        if wanted.get(road.LIVE) is not None:
            self.kept = bool(wanted[road.LIVE])

    def _restart(self, wanted: Mapping[str, Any]) -> None:
        """Another daemon answers."""
        mark = self.service.mark()
        self.restarted = True
        try:
            self.service.restart()
        except SlipwayError as error:
            raise Failed(self.service.words(mark) or str(error)) from None
        if not wait(lambda: self.service.ended() or self._answers(wanted), self.timeout) or self.service.ended():
            where = self.api.path if self.api is not None else flag.SOCKET
            raise Failed(self.service.words(mark) or f"it does not answer at {where} after {self.timeout:g} s")

    def _answers(self, wanted: Mapping[str, Any]) -> bool:
        """Whether the daemon that was started answers; where it listens may show only when it has begun."""
        hosts = flag.values_of(self.look.running.flags, "host") or wanted.get("hosts") or []
        self.api = Api(
            self.socket or (flag.local_address(hosts) if self.look.process else "") or self._usual(wanted), self.timeout
        )
        return self.api.answers()

    def _usual(self, wanted: Mapping[str, Any]) -> str:
        process = find(self.files.path)
        told = flag.values_of(process.flags, "host") if process else []
        return flag.local_address(told or wanted.get("hosts") or []) or flag.SOCKET

    # -- is it well --------------------------------------------------------------------------------------------

    def _well(self) -> None:
        """The engine answers, and what ran runs: as the same process where it was kept, else started again."""
        assert self.api is not None
        if not wait(self.api.answers, self.timeout):
            raise Failed(f"it does not answer at {self.api.path} after {self.timeout:g} s")
        if not self.restarted:
            return
        kept = not self.look.road.down
        lost = self._lost(same=kept)
        if lost and kept:
            raise Failed(f"the daemon came up without {', '.join(sorted(lost))}, which ran before")
        self._start_again()

    def _lost(self, same: bool) -> list[str]:
        """Names of containers that ran and do not any more, or not as the same process; one that has ended by itself is not lost."""
        now = self.api.running()
        lost = []
        for identity, was in self.containers.items():
            if identity in now:
                if same and now[identity]["pid"] != was["pid"]:
                    lost.append(was["name"])
            elif not self._ended_by_itself(identity, was):
                lost.append(was["name"])
        return lost

    def _ended_by_itself(self, identity: str, was: Mapping[str, Any]) -> bool:
        try:
            state = self.api.call("GET", f"/containers/{identity}/json")["State"]
        except EngineError:
            return bool(was["vanishes"])
        return state.get("Status") == "exited" and state.get("ExitCode") not in KILLED

    def _start_again(self) -> None:
        """What the daemon took along when it ended runs again."""
        now = self.api.running()
        for identity, was in self.containers.items():
            if identity in now or was["vanishes"]:
                continue
            try:
                self.api.call("POST", f"/containers/{identity}/start")
            except EngineError as error:
                raise Failed(f"the container {was['name']}, which ran before, does not start again: {error}") from None
            self.started.append(was["name"])

    # -- the way back ------------------------------------------------------------------------------------------

    def _back(self, why: str) -> str:
        """Put the file back byte for byte and bring the engine back with it; says what happened."""
        look = self.look
        works = document.readable(look.proven)
        path = self.files.path
        if not look.runs:
            self._restore()
            return f"{why}. {path} is as it was"
        if not (look.running.alive or look.unfinished) and look.proven == look.target:
            self.files.end_trial()
            return f"the daemon does not come up: {why}. {path} is as it was; see to the cause, then run again"
        began = f"the daemon did not come up with the new {path}" if self.restarted else f"the new {path} was not taken"
        try:
            self._return(works)
        except (SlipwayError, OSError) as error:
            with suppress(OSError, SlipwayError):
                self._put_back()
            return (
                f"{began}: {why}. The file before is back, but the engine does not come up with it: {error}. "
                f"See to that, then run again: {self.files.proven_path} keeps what worked last"
            )
        self._restore()
        again = f"; started again: {', '.join(sorted(self.started))}" if self.started else ""
        if not (self.restarted or self.reloaded):
            return f"{why}. {path} is as it was, and the engine has heard of nothing"
        back = "The file before is back, byte for byte" if look.proven is not None else "There is no such file again"
        return f"{began}: {why}. {back}, and the engine runs with it{again}"

    def _return(self, works: Mapping[str, Any]) -> None:
        process = find(self.files.path)
        if not self.restarted and not self.reloaded and process is not None:
            return
        if not self.restarted and process is not None:
            try:
                for stage in road.reloading(self.last, works):
                    self._go_back(stage)
                return
            except SlipwayError:
                pass
        stages = [Stage(works, RESTART, "")]
        if self.containers and self.kept and not works.get(road.LIVE) and self.look.running.can_be_told:
            stages = road.returning(works)
        for stage in stages:
            self._go_back(stage)
        with suppress(SlipwayError):
            self._start_again()

    def _go_back(self, stage: Stage) -> None:
        """A stage of the way back; the last has what the file held, where the daemon can read that."""
        proven = self.look.proven or b""
        whole = bool(proven.strip()) and document.same(stage.document, document.readable(proven))
        broken = whole and not stage.document and document.encode({}).strip() != proven.strip()
        self._go(stage, proven if whole and not broken else document.encode(stage.document))

    def _restore(self) -> None:
        self._put_back()
        self.files.end_trial()
        self.files.note_managed(self.look.managed)

    def _put_back(self) -> None:
        proven = self.look.proven
        self.files.put_back(proven, self.mode & _mode(document.readable(proven), self.mode))


def _mode(held: Mapping[str, Any], otherwise: int) -> int:
    """The mode of a file that holds a document: what is secret, only root reads."""
    return PRIVATE if secrets_in(document.flat(held)) else otherwise


def untaken(wanted: Mapping[str, Any], taken: Mapping[str, str]) -> list[str]:
    """The keys of which a daemon that has reloaded says another value than was meant; what it does not speak of counts as taken."""
    return [name for name in sorted(wanted) if name in taken and not _agrees(wanted[name], taken[name])]


def _agrees(wanted: Any, taken: str) -> bool:
    if isinstance(wanted, bool):
        return taken == ("true" if wanted else "false")
    if isinstance(wanted, int):
        return not wanted or taken == str(wanted)  # 0 is the default, whatever that is
    if isinstance(wanted, list):
        try:
            found = json.loads(taken or "[]") or []
        except ValueError:
            return True
        return {str(item).rstrip("/") for item in wanted} == {str(item).rstrip("/") for item in found}
    return True
