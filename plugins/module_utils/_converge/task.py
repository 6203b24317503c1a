# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every task says beside the objects that it is about: rows that providers share, and how they are read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .desired import Mistakes, convert_options
from .kind import Kind
from .option import Option
from .policy import ON_FAILURE, ROLLBACK, Policy

PROJECT = Option("project", "str", default="default")
STATE = Option("state", choices=("present", "absent"), default="present")
ORPHANS = Option("orphans", choices=("report", "remove", "ignore"), default="report")
ADOPT = Option("adopt", choices=("unowned", "any", "never"), default="unowned")
FAILURE = Option("on_failure", choices=ON_FAILURE, default=ROLLBACK)
PARALLELISM = Option("parallelism", "int", default=8)
GUARD = (Option("plan_id", "str"), Option("lock_timeout", "float", default=300.0))


def read_all_but(
    lists: Collection[str], options: Sequence[Option], params: Mapping[str, Any], mistakes: Mistakes
) -> dict[str, Any]:
    """The options of a task of lists; what is in the lists is left as it was written, to be read with its place."""
    shallow = [replace(option, suboptions=(), elements="raw") if option.name in lists else option for option in options]
    return convert_options(shallow, params, "", mistakes)


def read_own(
    kind: Kind, own: Sequence[Option], params: Mapping[str, Any], mistakes: Mistakes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the task's options, the object's as they were written) of a module for one object; ``own``: the rows that are the task's."""
    theirs = set(kind.by_name) - {option.name for option in own}
    settings = convert_options(own, {key: value for key, value in params.items() if key not in theirs}, "", mistakes)
    return settings, {key: value for key, value in params.items() if key in theirs and value is not None}


def check(settings: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Note what no task can ask for."""
    parallelism = settings.get("parallelism")
    if parallelism is not None and not 1 <= parallelism <= 64:
        mistakes.add("parallelism", f"{parallelism} is not a number from 1 to 64")
    for name in ("min_healthy_time", "deadline", "lock_timeout"):
        if settings.get(name) is not None and settings[name] < 0:
            mistakes.add(name, f"{settings[name]:g} is less than 0 seconds")
    if not settings.get("project", "default"):
        mistakes.add("project", "is empty; give the name by which these objects are known as yours")


def policy(settings: Mapping[str, Any], **more: Any) -> Policy:
    """What a task allows and asks for; ``more``: what only its provider knows how to read."""
    return Policy(
        project=settings.get("project") or "default",
        absent=settings.get("state") == "absent",
        orphans=settings.get("orphans") or "ignore",
        adopt=settings.get("adopt") or "unowned",
        **more,
    )
