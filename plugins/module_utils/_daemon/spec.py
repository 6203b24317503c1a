# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A task's options, read and checked by themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._converge.desired import Mistakes, convert_options, quote
from .._converge.option import Option
from .._converge.task import GUARD, STATE
from . import flags as flag

AUTO, SEAMLESS, NEVER = "auto", "seamless", "never"
OPTIONS = (
    Option("config", "dict"),
    Option("exclusive", "bool", default=False),
    STATE,
    Option("path", "path", default=flag.CONFIG_FILE),
    Option("restart", choices=(AUTO, SEAMLESS, NEVER), default=AUTO),
    Option("start", "bool", default=False),
    Option("backup", "bool", default=False),
    Option("docker_host", "str"),
    Option("timeout", "float", default=60.0),
    *GUARD,
)


@dataclass(frozen=True)
class Asked:
    """What a task asks for: ``config`` as the user wrote it, ``socket`` is empty where the daemon's own word on it counts."""

    config: Mapping[str, Any]
    exclusive: bool
    absent: bool
    path: str
    restart: str
    start: bool
    backup: bool
    socket: str
    timeout: float
    plan_id: str
    lock_timeout: float


def read(params: Mapping[str, Any]) -> Asked:
    """Read the options; raise SpecError with every mistake."""
    mistakes = Mistakes()
    said = convert_options(OPTIONS, params, "", mistakes)
    host = said.get("docker_host") or ""
    if host and not (host.startswith("unix:///") and len(host) > len("unix:///")):
        mistakes.add(
            "docker_host",
            f"{quote(host)} is not a socket on this host; write unix:///var/run/docker.sock, and run the task on the engine's host",
        )
    if said.get("timeout") is not None and said["timeout"] <= 0:
        mistakes.add("timeout", f"{said['timeout']:g} is not a number of seconds above 0; write 60")
    if said.get("lock_timeout") is not None and said["lock_timeout"] < 0:
        mistakes.add("lock_timeout", f"{said['lock_timeout']:g} is less than 0 seconds")
    path = said.get("path") or ""
    if not path.startswith("/"):
        mistakes.add("path", f"{quote(path)} is not a path from the root; write {flag.CONFIG_FILE}")
    absent = said.get("state") == "absent"
    if said.get("config") is None and not absent and "config" not in params:
        mistakes.add(
            "config", "is missing; write the keys of daemon.json, or {} to take out those that were declared before"
        )
    mistakes.refuse()
    return Asked(
        config=said.get("config") or {},
        exclusive=said["exclusive"],
        absent=absent,
        path=path,
        restart=said["restart"],
        start=said["start"],
        backup=said["backup"],
        socket=host[len("unix://") :],
        timeout=said["timeout"],
        plan_id=said.get("plan_id") or "",
        lock_timeout=said["lock_timeout"],
    )
