# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One task as tests write it, and the promises that hold for every one of them."""

from __future__ import annotations

from typing import Any

from .engine import Engine
from .promises import Promises
from .proxy import Call, RecordingProxy
from .run import Result, Runner

QUICK = {"min_healthy_time": 0.2, "deadline": 20}  # seconds; a test does not wait as long as a user would
# A program that runs until it is told to stop; `sleep` as a container's first process would not hear it.
STAYS = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]
WATCHING = ("container", "containers")


class Task(Promises):
    """Runs modules against the engine behind the proxy; each run has a record of its own in ``calls``."""

    def __init__(self, runner: Runner, proxy: RecordingProxy, engine: Engine) -> None:
        self.runner, self.proxy, self.engine = runner, proxy, engine

    def __call__(
        self, module: str, *, check: bool = False, environ: dict[str, str] | None = None, **arguments: Any
    ) -> Result:
        """Run a module; the options are those a user would write."""
        quick = QUICK if module in WATCHING else {}
        self.proxy.forget()
        return self.runner.module(
            module, {"docker_host": self.proxy.url, **quick, **arguments}, check=check, env=environ
        )

    @property
    def calls(self) -> list[Call]:
        """All calls of the last run."""
        return self.proxy.calls

    @property
    def mutating(self) -> list[str]:
        """The calls of the last run that may have changed something, as text."""
        return [str(call) for call in self.proxy.mutating]

    def everything(self) -> Any:
        """What exists on the engine."""
        return self.engine.snapshot()
