# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An exam: one promise, tried on a number of random examples, each of which can be had again by its number.

The number of an example and the seed are all that an example depends on. `SLIPWAY_EXAM_SCALE` is the share of the full figure that is
tried (1 is all of it), `SLIPWAY_EXAM_SEED` begins another series, and `SLIPWAY_EXAM_ONLY=17` has number 17 again and no other.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

SCALE = float(os.environ.get("SLIPWAY_EXAM_SCALE", "0.02"))
SEED = os.environ.get("SLIPWAY_EXAM_SEED", "1")
ONLY = [int(number) for number in os.environ.get("SLIPWAY_EXAM_ONLY", "").split(",") if number]
SHOWN = 5  # failed examples whose story is told in full


class Dice(random.Random):
    """Random numbers that depend on a text only, and a few ways to throw them; ``volumes`` are those it has thrown."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.volumes: dict[str, dict] = {}

    def likely(self, chance: float) -> bool:
        """True in this share of throws."""
        return self.random() < chance

    def some(self, items: Sequence, least: int = 0, most: int | None = None) -> list:
        """A few of the items, in any order."""
        most = len(items) if most is None else min(most, len(items))
        return self.sample(list(items), self.randint(min(least, most), most))


class Example:
    """One example: its number, its dice, and what is told of it should it fail."""

    def __init__(self, series: Series, number: int) -> None:
        self.series, self.number = series, number
        self.dice = Dice(f"{SEED}/{series.name}/{number}")
        self.story: list[str] = []
        self.counted = 0

    def tell(self, what: str, value: Any = None) -> None:
        """Keep a line for the report of a failure."""
        self.story.append(what if value is None else f"{what}: {json.dumps(value, ensure_ascii=False, default=str)}")

    def passed(self, count: int = 1) -> None:
        """Count what has been shown; an example that counts nothing itself counts as one."""
        self.counted += count

    def __enter__(self) -> Example:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _trace: object) -> bool:
        if kind is None:
            self.series.passed += self.counted or 1
            return False
        if not issubclass(kind, Exception):
            return False
        self.series.passed += self.counted
        self.series.failures.append((self.number, f"{kind.__name__}: {error}", self.story))
        return True  # the others are tried all the same


class Series:
    """The examples of one promise and how they went."""

    def __init__(self, name: str, promise: str) -> None:
        self.name, self.promise = name, promise
        self.passed = 0
        self.failures: list[tuple[int, str, list[str]]] = []
        self.tally: dict[str, int] = {}
        self.seconds = 0.0

    def count(self, what: str, number: int = 1) -> None:
        """Count something that is said beside the figure, such as refusals."""
        self.tally[what] = self.tally.get(what, 0) + number

    def figure(self) -> str:
        """What of what, as the table shows it."""
        beside = "".join(f", {number} {what}" for what, number in sorted(self.tally.items()))
        return f"{self.passed} of {self.passed + len(self.failures)}{beside}"

    def report(self) -> str:
        """The failures, in a form to read and to repeat."""
        lines = [f"{self.promise}: {self.figure()}"]
        for number, error, story in self.failures[:SHOWN]:
            lines += [f"-- SLIPWAY_EXAM_SEED={SEED} SLIPWAY_EXAM_ONLY={number}", *story, error]
        return "\n".join(lines)


class Exam:
    """Gives a test its examples and keeps its figures."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.series: list[Series] = []

    def sample(self, promise: str, full: int, least: int = 2) -> Iterator[Example]:
        """Yield as many examples as the scale wants of ``full``; after the last one fail if any has failed.

        Each is used as `with example:`, which notes a failure and goes on.
        """
        series = Series(self.name, promise)
        self.series.append(series)
        count = min(full, max(least, math.ceil(full * SCALE)))
        began = time.monotonic()
        for number in ONLY or range(1, count + 1):
            yield Example(series, number)
            if series.failures and series.failures[-1][0] == number:
                print(f"failed: {self.name} {number}: {series.failures[-1][1]}", file=sys.stderr)
        series.seconds = time.monotonic() - began
        assert not series.failures, series.report()
