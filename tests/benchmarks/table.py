# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was measured, as tables: seconds, ours against each of the others, and the targets with what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contenders import (
    CHANGE_ONE,
    COMPOSE,
    CREATE,
    FLOOR,
    NO_OP,
    OPERATIONS,
    PING,
    PIPELINED,
    SLIPWAY,
    SWITCH_ALL,
    UNWATCHED,
    Contender,
)
from measure import Figures

WIDTH, COLUMN = 44, 13
TARGETS_FROM = 100  # containers; with fewer, Ansible's own start is most of what is measured
UNSTARTED = "no-op, created only"  # of the runs that show what one more container costs


class Target(NamedTuple):
    """A ratio of ours to another's seconds that is to be reached, or a difference."""

    operation: str
    other: Contender
    most: float
    behind: bool = False


TARGETS = (
    Target(NO_OP, PIPELINED, 1 / 50),
    Target(NO_OP, PING, 1.4),
    Target(CREATE, PIPELINED, 1 / 5),
    Target(CREATE, COMPOSE, 1.1),
    Target(CREATE, FLOOR, 1.1),
    Target(CHANGE_ONE, COMPOSE, 1.5, behind=True),
    Target(SWITCH_ALL, COMPOSE, 1.1),
)
CPU_TARGET, MEMORY_TARGET = 2.0, 150.0  # milliseconds of processor time for one more container; MiB


@dataclass
class Results:
    """The figures, and how many containers a peer was measured on where that is fewer."""

    figures: Figures
    contenders: Sequence[Contender]
    counts: Sequence[int]
    peers_count: int
    cost_counts: tuple[int, int]

    def measured_on(self, contender: Contender, count: int) -> int:
        """How many containers stand behind a figure."""
        return min(count, self.peers_count) if contender.peer else count

    def seconds(self, contender: Contender, operation: str, count: int) -> float | None:
        """The median; of a peer that was measured on fewer containers, what it would be if each further one cost as much."""
        on = self.measured_on(contender, count)
        found = self.figures.median(contender.key, operation, on)
        if found is None or on == count:
            return found
        start = self.figures.median(PING.key, NO_OP, count) or 0.0
        unchanged = self.figures.median(contender.key, NO_OP, on) or 0.0
        each = unchanged if operation == CHANGE_ONE else found
        return found + (each - start) * (count - on) / on

    def compared(self, ours: Contender, target: Target, count: int) -> float | None:
        """Ours against another: the ratio, or the seconds behind. A ping stands for a ping and the floor."""
        mine, other = (self.seconds(who, target.operation, count) for who in (ours, target.other))
        if target.other is PING:
            floor = self.seconds(FLOOR, target.operation, count)
            other = None if other is None or floor is None else other + floor
        if mine is None or other is None:
            return None
        return mine - other if target.behind else mine / other

    def one_more(self) -> tuple[float | None, float | None]:
        """Milliseconds of processor time (Ansible's with it) of one more container in a run without change; MiB at the larger count."""
        few, many = self.cost_counts
        less, more = (self.figures.least(SLIPWAY.key, UNSTARTED, count, "cpu") for count in (few, many))
        memory = self.figures.median(SLIPWAY.key, UNSTARTED, many, "memory")
        return (None if less is None or more is None else (more - less) / (many - few) * 1000), memory


def lines(results: Results) -> Iterator[str]:
    """Everything that is printed."""
    for count in results.counts:
        yield from _seconds(results, count)
        yield from _ratios(results, count)
    yield from _targets(results)


def _seconds(results: Results, count: int) -> Iterator[str]:
    yield ""
    yield _row(f"{count} containers, seconds", OPERATIONS)
    scaled = False
    for contender in (PING, *results.contenders):
        mark = "~" if results.measured_on(contender, count) != count else ""
        cells = [_figure(results.seconds(contender, operation, count), mark) for operation in OPERATIONS]
        if any(cells):
            scaled = scaled or bool(mark)
            yield _row(f"  {contender.name}", cells)
    if scaled:
        yield f"  ~ measured on {results.peers_count} containers; each further one is taken to cost as much"


def _ratios(results: Results, count: int) -> Iterator[str]:
    yield _row(f"{SLIPWAY.name} divided by", [])
    for contender in results.contenders:
        if contender in (SLIPWAY, UNWATCHED):
            continue
        mark = "~" if results.measured_on(contender, count) != count else ""
        ratios = [results.compared(SLIPWAY, Target(operation, contender, 0), count) for operation in OPERATIONS]
        if any(ratios):
            yield _row(f"  {contender.name}", [_figure(ratio, mark) for ratio in ratios])


def _targets(results: Results) -> Iterator[str]:
    verdicts = verdict_lines(results)
    if verdicts:
        yield ""
        yield _row("target", ["containers", "at most", "measured", "", "unwatched"])
        yield from (
            _row(
                f"  {item['what']}",
                [str(item["count"]), _figure(item["most"]), _figure(item["measured"]), item["verdict"], _figure(item["unwatched"])],
            )
            for item in verdicts
        )  # fmt: skip
        yield "  unwatched: with min_healthy_time: 0, that is without the 3 s in which a new container must stay well"


def verdict_lines(results: Results) -> list[dict]:
    """Every target that something was measured for, and whether it is met."""
    found = []
    for count in [count for count in results.counts if count >= TARGETS_FROM]:
        for target in TARGETS:
            other = "(ansible -m ping + floor)" if target.other is PING else target.other.name
            what = f"{target.operation}, seconds behind {other}" if target.behind else f"{target.operation} / {other}"
            unwatched = results.compared(UNWATCHED, target, count)
            found.append(_verdict(what, count, target.most, results.compared(SLIPWAY, target, count), unwatched))
    cpu, memory = results.one_more()
    few, many = results.cost_counts
    found.append(_verdict(f"no-op, each of {few} to {many} more: CPU, ms", many, CPU_TARGET, cpu))
    found.append(_verdict("no-op: largest process, MiB", many, MEMORY_TARGET, memory))
    return [item for item in found if item["measured"] is not None]


def _verdict(what: str, count: int, most: float, measured: float | None, unwatched: float | None = None) -> dict:
    met = measured is not None and measured <= most
    return {
        "what": what,
        "count": count,
        "most": most,
        "measured": measured,
        "verdict": "met" if met else "NOT MET",
        "unwatched": unwatched,
    }


def _figure(value: float | None, mark: str = "") -> str:
    if value is None:
        return ""
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 0
    return f"{mark}{value:.{digits}f}"


def _row(name: str, cells: Sequence[str]) -> str:
    return (f"{name:<{WIDTH}}" + "".join(f"{cell:>{COLUMN}}" for cell in cells)).rstrip()
