# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One task as tests write it, and the promises that hold for every one of them."""

from __future__ import annotations

from typing import Any

from .engine import Engine
from .proxy import Call, RecordingProxy
from .run import Result, Runner

QUICK = {"min_healthy_time": 0.2, "deadline": 20}  # seconds; a test does not wait as long as a user would
# A program that runs until it is told to stop; `sleep` as a container's first process would not hear it.
STAYS = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]
WATCHING = ("container", "containers")


class Task:
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

    def foretell(self, module: str, **arguments: Any) -> Result:
        """Run in check mode and prove that it touched nothing."""
        before = self.engine.snapshot()
        result = self(module, check=True, **arguments).ok()
        assert not self.mutating, "check mode made mutating calls"
        assert self.engine.snapshot() == before
        return result

    def change(self, module: str, **arguments: Any) -> Result:
        """Run for real and prove the three promises: foretold, carried out as foretold, and nothing left to do.

        Line for line: the plan of check mode is what the next run's actions are; then a further run makes no mutating call.
        """
        foretold = self.foretell(module, **arguments)
        assert foretold.changed, "check mode foretold no change"
        done = self(module, **arguments).ok()
        assert done.changed
        assert done["plan"] == foretold["plan"]
        assert [action["line"] for action in done["actions"]] == foretold["plan"]
        self.settled(module, **arguments)
        return done

    def settled(self, module: str, **arguments: Any) -> Result:
        """Run again and prove that there is nothing to do: not changed, an empty plan, no mutating call."""
        again = self(module, **arguments).ok()
        assert not again.changed, f"a further run changed something: {again.get('plan')}"
        assert again["plan"] == []
        assert not self.mutating, "a run without change made mutating calls"
        return again

    def refused(self, module: str, **arguments: Any) -> str:
        """Run and prove that it fails before any mutating call, without a traceback; return the message."""
        result = self(module, **arguments)
        assert result.failed, f"not refused: {result}"
        assert not self.mutating, "it touched something before it refused"
        assert "Traceback" not in f"{result.msg}{result.get('exception', '')}{result.stderr}"
        return result.msg
