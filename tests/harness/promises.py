# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every converging module promises, each proved with one call."""

from __future__ import annotations

from typing import Any

from .run import Result


class Promises:
    """Of one who runs modules when called with a name and options; ``mutating``: calls of the last run that may have changed something."""

    mutating: list[str]

    def __call__(self, module: str, *, check: bool = False, **arguments: Any) -> Result:
        """Run a module."""
        raise NotImplementedError

    def everything(self) -> Any:
        """What exists: equal before and after when nothing was touched."""
        raise NotImplementedError

    def foretell(self, module: str, **arguments: Any) -> Result:
        """Run in check mode and prove that it touched nothing."""
        before = self.everything()
        result = self(module, check=True, **arguments).ok()
        assert not self.mutating, "check mode made mutating calls"
        assert self.everything() == before
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
        assert not again.changed, f"a further run changed something: {again.get('plan')} {again.get('diff')}"
        assert again["plan"] == []
        assert not self.mutating, "a run without change made mutating calls"
        return again

    def refused(self, module: str, **arguments: Any) -> str:
        """Run and prove that it fails before any mutating call, without a traceback; return the message."""
        result = self(module, **arguments)
        assert result.failed, f"not refused: {result}"
        assert not self.mutating, "it touched something before it refused"
        assert not crashed(result)
        return result.msg


def crashed(result: Result) -> bool:
    """Whether a result shows our own inside to the user."""
    text = f"{result.msg}{result.stderr}{result.get('exception', '')}"
    return "Traceback" in text or "this is a bug in" in text
