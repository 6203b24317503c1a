# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can go wrong, in the user's words."""

from __future__ import annotations


class SlipwayError(Exception):
    """Anything that ends a run with one readable message."""


class Interrupted(BaseException):
    """A signal tells the run to end. As with KeyboardInterrupt, nothing that copes with an error may take it for one."""


class SpecError(SlipwayError):
    """What the user wrote cannot be; carries every mistake, each with its place."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = sorted(set(mistakes))
        super().__init__(self._text())

    def _text(self) -> str:
        if len(self.mistakes) == 1:
            return self.mistakes[0]
        return f"{len(self.mistakes)} mistakes, nothing was touched:\n" + "\n".join(
            f"- {line}" for line in self.mistakes
        )


class EngineError(SlipwayError):
    """The engine refused or did not answer. ``status`` is the HTTP status, 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class EngineLost(EngineError):
    """The connection could not be made, or broke before the answer was whole."""


class MissingLibrary(SlipwayError):
    """A library is not there for this Python: ``library`` in words, ``why``, and the ``way_out``."""

    def __init__(self, library: str, why: str, way_out: str) -> None:
        self.library, self.why, self.way_out = library, why, way_out
        super().__init__(f"{library} is not there ({why}); {way_out}")
