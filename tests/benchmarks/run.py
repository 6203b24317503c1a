# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long it takes, beside everybody else: create, no-op, change one, switch all and remove, of the same containers on the same engine.

    python tests/benchmarks/run.py [--counts 1,10,100] [--rounds 1] [--no-ops 5] [--peers-count 5] [--contenders ours,compose]

A round of a contender begins with an empty engine and ends with one; after every operation the engine is asked whether what runs is
what was meant. Every figure is the whole time of a process of its own, from its start to its end (of the bare API client: from its first
call to its last), the median of the rounds. `ansible -m ping` runs in turns with our no-op, so that whatever else the machine does hits
both. Peers that work through a loop are measured on `--peers-count` containers and scaled where the table says so; with
`--peers-count 500` nothing is scaled. The table is printed; everything measured is written to build/bench.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
sys.path.insert(0, str(TESTS))

import peers  # noqa: E402
from contenders import (  # noqa: E402
    CONTENDERS,
    CREATE,
    NO_OP,
    OPERATIONS,
    PING,
    REMOVE,
    SLIPWAY,
    Contender,
    Place,
    specs,
    wanted,
)
from harness.engine import Engine, private_engine  # noqa: E402
from measure import Cost, Figures, Key, say  # noqa: E402
from table import UNSTARTED, Results, lines, verdict_lines  # noqa: E402

COST_COUNTS = (100, 500)  # between which one more container is priced


class Bench:
    """Runs contenders against an engine and keeps what each run cost."""

    def __init__(self, engine: Engine, place: Place, figures: Figures) -> None:
        self.engine, self.place, self.figures = engine, place, figures

    def round(self, contender: Contender, count: int, no_ops: int) -> None:
        """One contender, from an empty engine through all operations to an empty engine."""
        say(f"{contender.name}: {count} containers")
        self.expect([])
        for operation in OPERATIONS:
            containers = wanted(operation, count)
            for _ in range(no_ops if operation == NO_OP else 1):
                if operation == NO_OP and contender is SLIPWAY:
                    self.note(PING, NO_OP, count, PING.run(self.place, NO_OP, []))
                self.note(contender, operation, count, contender.run(self.place, operation, containers))
            self.expect([] if operation == REMOVE else containers)

    def one_more(self, no_ops: int) -> None:
        """What one more container costs a run that changes nothing; they are not started, which is all the same to it."""
        for count in COST_COUNTS:
            say(f"{SLIPWAY.name}: {count} containers, not started")
            containers = [{**spec, "state": "present"} for spec in specs(count)]
            SLIPWAY.run(self.place, CREATE, containers)
            for _ in range(no_ops):
                self.note(SLIPWAY, UNSTARTED, count, SLIPWAY.run(self.place, NO_OP, containers))
            SLIPWAY.run(self.place, REMOVE, containers)

    def note(self, contender: Contender, operation: str, count: int, cost: Cost) -> None:
        """Keep what a run cost."""
        self.figures.note(Key(contender.key, operation, count), cost)

    def expect(self, containers: Sequence[dict]) -> None:
        """End everything when the engine runs anything else than these containers."""
        found = {item["Names"][0].lstrip("/"): item["Image"] for item in self.engine.api("GET", "/containers/json")}
        if found != {spec["name"]: spec["image"] for spec in containers}:
            raise SystemExit(f"{len(containers)} containers should run; these do: {found}")
        if containers:
            first = containers[0]
            env = self.engine.inspect("container", first["name"])["Config"]["Env"]
            if f"LEVEL={first['env']['LEVEL']}" not in env:
                raise SystemExit(f"{first['name']} runs with another environment than it should: {env}")


def options() -> argparse.Namespace:
    """What the command line says."""
    keys = [contender.key for contender in CONTENDERS]
    parser = argparse.ArgumentParser(description="How long it takes, beside everybody else.")
    numbers = lambda text: sorted({int(word) for word in text.split(",")})  # noqa: E731
    words = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--counts", type=numbers, default=[1, 10, 100], help="containers (default 1,10,100)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds of each contender (default 1)")
    parser.add_argument("--no-ops", type=int, default=5, help="no-ops in a round (default 5)")
    parser.add_argument("--peers-count", type=int, default=5, help="most containers of community.docker (default 5)")
    parser.add_argument("--contenders", type=words, default=keys, help=f"some of {','.join(keys)} (default all)")
    parser.add_argument("--skip-cost", action="store_true", help="leave out what one more container costs")
    found = parser.parse_args()
    unknown = set(found.contenders) - set(keys)
    if unknown:
        parser.error(f"no such contenders: {', '.join(sorted(unknown))}")
    return found


def measure(bench: Bench, asked: argparse.Namespace, contenders: Sequence[Contender]) -> None:
    """All rounds of all contenders, in turns."""
    done = set()
    for count in asked.counts:
        for number in range(asked.rounds):
            for contender in contenders:
                on = min(count, asked.peers_count) if contender.peer else count
                if (contender, on, number) not in done:
                    done.add((contender, on, number))
                    bench.round(contender, on, 1 if contender.peer else asked.no_ops)
    if SLIPWAY in contenders and not asked.skip_cost:
        bench.one_more(asked.no_ops)


def main() -> None:
    """Measure, print, write."""
    asked = options()
    contenders = [contender for contender in CONTENDERS if contender.key in asked.contenders]
    programs = peers.environment()
    peers.compose()
    figures = Figures()
    with private_engine() as engine, tempfile.TemporaryDirectory(prefix="slipway-bench-") as directory:
        engine.import_test_images()
        measure(Bench(engine, Place(engine.url, Path(directory), programs), figures), asked, contenders)
    results = Results(figures, contenders, asked.counts, asked.peers_count, COST_COUNTS)
    print(
        f"\nwhole processes; medians of {asked.rounds} rounds with {asked.no_ops} no-ops each; {os.cpu_count()} processors"
    )
    print("\n".join(lines(results)))
    report = {"options": vars(asked), "measured": figures.document(), "targets": verdict_lines(results)}
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
