# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A task's options -> desired contexts and policy. Beside the files that it names, nothing is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from .._converge import task
from .._converge.desired import Mistakes, read
from .._converge.kind import Kind
from .._converge.option import Option
from .._converge.provider import Task
from . import material, values

VERIFY = (
    Option("verify", "bool"),
    Option("timeout", "float", default=30.0),
    Option("allow_insecure", "bool", default=False),
)
OWN = (*VERIFY, task.PROJECT, task.ADOPT, *task.GUARD)


def read_one(kind: Kind, own: Sequence[Option], params: Mapping[str, Any], connection: Sequence[Option]) -> Task:
    """Read the options of the module; raise SpecError with every mistake, those in the TLS files too."""
    mistakes = Mistakes()
    settings, given = task.read_own(kind, (*own, *connection), params, mistakes)
    resource = read(kind, given, "", mistakes)
    try:
        values.name(str(given.get("name") or "none"))
    except ValueError as error:
        mistakes.add("name", str(error))
    said = _files(given)
    found = material.Material()
    if given.get("state") != "absent":
        found, unread = material.read(said)
        for option, sentence in (*unread, *material.check(found)):
            mistakes.add(option, sentence)
        _check_asking(settings, given, mistakes)
    task.check(settings, mistakes)
    mistakes.refuse()
    assert resource is not None  # else there was a mistake
    desired = replace(resource, intent={**resource.intent, "material": found})
    return Task([desired], task.policy(settings), settings)


def _files(given: Mapping[str, Any]) -> dict[str, str]:
    """option -> path, as far as they are paths; what is not has been told."""
    paths = {}
    for option in material.ROLES:
        with suppress(ValueError):
            path = values.file(given[option]) if isinstance(given.get(option), str) else ""
            paths.update({option: path} if path else {})
    return paths


def _check_asking(settings: Mapping[str, Any], given: Mapping[str, Any], mistakes: Mistakes) -> None:
    if settings.get("timeout") is not None and settings["timeout"] <= 0:
        mistakes.add("timeout", f"{settings['timeout']:g} is not a number of seconds above 0; write 30")
    if settings.get("verify") and values.scheme(str(given.get("docker_host"))) == "npipe":
        mistakes.add("verify", "a named pipe can be asked by Windows alone; leave verify out, or say verify: false")
