# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is there, what is to be done about it, and whether that can be: the file, the daemon, the engine, and a rehearsal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .._converge.action import Action, Line, Reason, Symbol
from .._converge.desired import Mistakes, quote
from .._converge.errors import SpecError
from .._converge.plan import Plan
from .._converge.secret import mask, secrets_in
from . import document, judge, rehearse, road, values
from . import flags as flag
from .api import Api, wait
from .document import Broken, Wanted
from .files import Files
from .flags import Flag
from .keys import HIDING, KEYS, version_of
from .process import Process, Service, find, run, search_path, service_of
from .road import Road, Running
from .spec import NEVER, SEAMLESS, Asked
from .unread import CLOSE, unread

RESOURCE = ("daemon_config",)
MEMBER = "swarm/docker-state.json"  # below the data root of a node of a swarm, whether its daemon runs or not


@dataclass
class Look:
    """One look: the file (``content``, ``before``), as it should be (``target``, ``after``), the daemon, and the way there.

    ``proven``: the content that is known to work, another than ``content`` after a run that was killed (``unfinished``).
    ``broken``: the content is no document. ``start``: a daemon that does not run is started. ``unread``: keys whose files the daemon has yet
    to read.
    """

    files: Files
    content: bytes | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    target: bytes | None
    declared: tuple[str, ...]
    managed: tuple[str, ...]
    proven: bytes | None = None
    unfinished: bool = False
    broken: bool = False
    start: bool = False
    unread: tuple[str, ...] = ()
    process: Process | None = None
    service: Service | None = None
    api: Api | None = None
    running: Running = field(default_factory=Running)
    road: Road = field(default_factory=lambda: Road((), road.NOTHING_DONE))
    rehearsed: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether nothing is to be done, not even to our notes."""
        noted = self.managed == self.declared and self.files.proven() is None
        return not self.road.stages and noted

    @property
    def runs(self) -> bool:
        """Whether a daemon runs when all is done, and has to be well."""
        return self.running.alive or self.unfinished or self.start

    @property
    def plan(self) -> Plan:
        """What is to be done, as every module says it."""
        if not self.road.stages:
            return Plan()
        actions = tuple(
            Action(f"{number}", stage.how, RESOURCE, self.files.path, stage.step)
            for number, stage in enumerate(self.road.stages)
        )
        changes = document.changes(self.before, self.after, self.managed)
        reasons = {change.reason for change in changes}
        notes = [Reason.LEFTOVER.value] if self.unfinished and changes else []
        if self.broken:
            notes.append("what was there is not JSON")
        if self.road.applied == road.START:
            notes.append("starts the daemon")
        if self.road.applied == road.RESTART:
            down = f", and {_count(self.road.down, 'container')} with it" if self.road.down else ""
            notes.append(f"restarts the daemon{down}")
        if self.unread and not changes:
            notes.append(f"which has yet to read {', '.join(self.after[name] for name in self.unread)}")
        gone, new = self.target is None, self.content is None
        line = Line(
            Symbol.UPDATE if gone == new else Symbol.CREATE if new else Symbol.REMOVE,
            RESOURCE,
            Reason.LEFTOVER
            if self.unfinished
            else reasons.pop()
            if len(reasons) == 1
            else Reason.CHANGED
            if changes or self.broken or self.unread
            else Reason.REQUESTED,
            changes,
            note="; ".join(notes),
            actions=tuple(action.id for action in actions),
        )
        return Plan(lines=(line,), actions=actions)


class Looker:
    """Looks for a task, as often as it is called; what was rehearsed once is not rehearsed again."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.tried: dict[bytes, str | SpecError] = {}
        self.program = shutil.which("dockerd", path=search_path()) or ""

    @cached_property
    def installed(self) -> tuple[tuple[int, int] | None, set[str]]:
        """(version, flags) of the daemon that is installed; it is the one that will read the file."""
        if not self.program:
            return None, set()
        words = run([self.program, "--version"], 30).stdout.decode(errors="replace").split()
        version = version_of(words[2].rstrip(",")) if len(words) > 2 else None
        return version, flag.known_from_help(run([self.program, "--help"], 30).stdout.decode(errors="replace"))

    def __call__(self) -> Look:
        """Look; raises SpecError with everything that is wrong, before anything is touched."""
        asked, mistakes = self.asked, Mistakes()
        files = Files(asked.path)
        content, managed, proven = files.content(), files.managed(), files.proven()
        before, broken = self._parse(content, mistakes)
        declared = self._declared(mistakes)
        after = document.merge(before, Wanted(declared, asked.exclusive, asked.absent), managed)
        ours = () if asked.absent else tuple(sorted(declared))
        look = Look(files, content, before, after, content, ours, managed)
        look.broken, look.start = broken, asked.start
        differs = broken or bool(document.differing(before, after))
        look.process = find(asked.path)
        look.unread = self._unread(look)
        if not differs and proven is None and not look.unread and not (asked.start and self._down(look)):
            mistakes.refuse()
            return look
        self._change(look, proven, differs, mistakes)
        return look

    def _parse(self, content: bytes | None, mistakes: Mistakes) -> tuple[dict[str, Any], bool]:
        """(the document, whether it is broken and will be replaced)."""
        try:
            return document.parse(content), False
        except Broken as error:
            if not self.asked.exclusive:
                mistakes.add(self.asked.path, f"{error}; mend it, or say exclusive: true to have it replaced")
            return {}, True

    def _unread(self, look: Look) -> tuple[str, ...]:
        """The keys of which the daemon that runs has yet to read the files."""
        return tuple(name for name in unread(look.process, look.after) if name in look.after) if look.process else ()

    def _down(self, look: Look) -> bool:
        """Whether no daemon that reads this file answers."""
        return look.process is None or not self._api(look.process.flags, look.before, 10).answers()

    def _declared(self, mistakes: Mistakes) -> dict[str, Any]:
        """The declared keys. The engine is asked what it knows only where the table alone does not take them."""
        asked = self.asked
        if asked.absent:
            return dict(asked.config)
        doubtful = any(name not in KEYS or KEYS[name].bounded for name in asked.config)
        version, known = self.installed if doubtful else (None, set())
        return values.read(asked.config, version, known, mistakes)

    def _change(self, look: Look, proven: bytes | None, differs: bool, mistakes: Mistakes) -> None:
        asked, files = self.asked, look.files
        look.service, look.process = service_of(asked.path, look.process, asked.timeout, files.start())
        flags = look.process.flags if look.process else []
        unit = look.service.unit_flags()
        info: Mapping[str, Any] = {}
        if look.process is not None:
            look.api = self._api(flags, look.before, asked.timeout)
            info = self._info(look)
            if look.process is not None and not info:
                mistakes.add(
                    "docker_host",
                    f"the daemon, process {look.process.pid}, does not answer at {look.api.path}; name its socket, "
                    f"or see to what keeps it from answering",
                )
        if look.process is None and os.path.exists(os.path.join(self._root(look.before, unit), MEMBER)):
            info = {"Swarm": {"LocalNodeState": "stopped"}}
        if asked.start and not self.program and look.process is None:
            mistakes.add("start", "true, and there is no dockerd on this host; install the engine first")
        settled = (
            proven is not None
            and not differs
            and look.process is not None
            and look.process.since > files.since() + CLOSE
        )
        settled = settled or (look.process is None and not self.program)  # nothing is left that could be started
        look.unfinished = proven is not None and not settled
        look.proven = (proven or None) if look.unfinished else look.content
        works = document.readable(look.proven)  # the document that is known to work
        look.target = self._target(look, works, [*flags, *unit], differs)
        look.running = Running(
            alive=look.process is not None,
            flags=flags,
            live=bool(info.get("LiveRestoreEnabled")),
            containers=info.get("ContainersRunning") or 0,
            swarm=bool(judge.Facts(info=info).swarm),
        )
        look.road = road.road(
            look.before, works, look.after, look.running, look.unfinished, asked.start, look.broken, look.unread
        )
        changed = sorted({*document.differing(look.before, look.after), *document.differing(works, look.after)})
        values.check_log_opts(look.after if {"log-opts", "log-driver"} & {*changed} else {}, mistakes)
        missing = [path for path in judge.paths(look.after) if not os.path.exists(path)]
        plugins = self._plugins(look) if "authorization-plugins" in changed else None
        facts = judge.Facts(flags, unit, info, missing, plugins)
        judge.judge(works, look.after, changed, facts, mistakes)
        opened = judge.open_by_flag(look.after, facts)
        if opened:
            look.notes.append(
                f"{quote(', '.join(opened))}, which the daemon has by a flag, lets anybody who reaches it become root on this host; "
                f"say tlsverify: true with tlscacert, tlscert and tlskey, or take the flag out"
            )
        self._allowed(look, changed, mistakes)
        obstacle = files.obstacle() if look.road.stages else ""
        if obstacle:
            mistakes.add("path", f"{quote(asked.path)} {obstacle}")
        mistakes.refuse()
        if look.road.stages:
            self._rehearse(look, flags or unit, info)

    def _info(self, look: Look) -> Mapping[str, Any]:
        """What the engine says of itself. One that comes up or ends just now, after a run that was killed, is given the time for it."""
        info = look.api.info()
        if not info:
            wait(lambda: not look.process.lives or look.api.answers(), self.asked.timeout)
            look.process = look.process if look.process.lives else None
            info = look.api.info() if look.process else {}
        return info

    def _target(self, look: Look, works: Mapping[str, Any], flags: list[Flag], differs: bool) -> bytes | None:
        """What the file will hold, byte for byte; None when it is to go."""
        # A daemon that is told of a file by a flag does not start when that is gone.
        if self.asked.absent and not look.after and not flag.value_of(flags, "config-file"):
            return None
        if look.unfinished and look.proven is not None and not document.differing(works, look.after):
            return look.proven
        return document.encode(look.after) if differs else look.content

    def _root(self, held: Mapping[str, Any], flags: list[Flag]) -> str:
        return held.get("data-root") or flag.value_of(flags, "data-root", flag.DATA_ROOT)

    def _api(self, flags: list[Flag], before: Mapping[str, Any], seconds: float) -> Api:
        hosts = flag.values_of(flags, "host") or before.get("hosts") or []
        return Api(self.asked.socket or flag.local_address(hosts) or flag.SOCKET, seconds)

    def _plugins(self, look: Look) -> list[str] | None:
        """The names of plugins that a daemon finds: those it runs, and those that say where they are."""
        if look.api is None:
            return None
        managed = look.api.call("GET", "/plugins") or []
        found = [item["Name"].partition(":")[0] for item in managed if item.get("Enabled")]
        for folder in ("/run/docker/plugins", "/etc/docker/plugins", "/usr/lib/docker/plugins"):
            if os.path.isdir(folder):
                found += [name.rpartition(".")[0] or name for name in os.listdir(folder)]
        return found

    def _allowed(self, look: Look, changed: list[str], mistakes: Mistakes) -> None:
        """Whether the task allows what the change takes."""
        way, restart = look.road, self.asked.restart
        hiding = sorted({*HIDING} & {*changed})
        if hiding and not look.running.alive and os.path.isdir(self._root(look.before, look.service.unit_flags())):
            look.notes.append(
                f"the engine does not run, so it cannot be asked what another value of {', '.join(hiding)} would hide; "
                f"should it hold containers or images, they would be out of its sight"
            )
        if way.applied != road.RESTART or not look.running.alive:
            return
        because = ", ".join(way.because) or "what a file that is not JSON may have said before"
        if restart == NEVER:
            mistakes.add(
                "restart",
                f"never, and a reload does not bring {because}; leave them as they are for now, or say restart: auto when it may be",
            )
        elif restart == SEAMLESS and look.running.containers:
            risky = road.unrestorable(changed)
            if way.down or risky:
                why = (
                    "this engine cannot keep them (swarm, or a flag of live-restore)"
                    if way.down
                    else f"{', '.join(risky)} may keep the daemon from finding them again"
                )
                mistakes.add(
                    "restart",
                    f"seamless, and a restart for {because} would end {_count(look.running.containers, 'container')}: {why}; "
                    f"leave these keys as they are for now, or say restart: auto when it may be",
                )
        if look.running.containers and road.unrestorable(changed) and not way.down:
            look.notes.append(
                f"with another value of {', '.join(road.unrestorable(changed))} the daemon may not find its containers again; "
                f"should one of them be lost, all is put back"
            )
        if way.down:
            look.notes.append(f"{_count(way.down, 'container')} will end with the daemon, and be started again")

    def _rehearse(self, look: Look, flags: list[Flag], info: Mapping[str, Any]) -> None:
        """Try the document where nobody sees it; raises SpecError with the daemon's own words when it does not start."""
        if not self.program:
            look.rehearsed = "not at all: there is no dockerd on this host yet"
            return
        key = document.encode(look.after)
        if key not in self.tried:
            try:
                self.tried[key] = self._try(look, flags, info)
            except SpecError as error:
                self.tried[key] = error
        found = self.tried[key]
        if isinstance(found, SpecError):
            secrets = secrets_in(document.flat(look.after))
            raise SpecError([mask(line, secrets) for line in found.mistakes])
        look.rehearsed = found

    def _try(self, look: Look, flags: list[Flag], info: Mapping[str, Any]) -> str:
        version, known = self.installed
        seconds, how = self.asked.timeout, []
        if "validate" in known or (version or (0, 0)) >= (23, 0):
            said = rehearse.validate(self.program, look.after, flags, seconds)
            if said:
                raise SpecError([f"config: the daemon does not take this: {said}; {_untouched(look)}"])
            how.append("dockerd --validate")
        why_not = rehearse.possible()
        if why_not:
            return " and ".join(how) or f"not at all: {why_not}"
        plugins = [
            name.partition(":")[0]
            for name in (info.get("Plugins") or {}).get("Log") or ()
            if name not in judge.LOG_DRIVERS
        ]
        root = self._root(look.after, flags)
        said = rehearse.rehearse(self.program, look.after, flags, root, seconds, plugins)
        if said:
            raise SpecError([f"config: a daemon does not start with this: {said}; {_untouched(look)}"])
        return " and ".join([*how, "a start of its own with a container, unseen"])


def _untouched(look: Look) -> str:
    return "nothing was touched" + (", and the engine goes on as before" if look.running.alive else "")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
