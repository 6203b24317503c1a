# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the table says of figures that are known."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from contenders import CHANGE_ONE, COMPOSE, CREATE, FLOOR, NO_OP, PING, PIPELINED, SLIPWAY, Contender  # noqa: E402
from measure import Cost, Figures, Key  # noqa: E402
from table import UNSTARTED, Results, lines, verdict_lines  # noqa: E402


def results(**measured: dict) -> Results:
    figures = Figures()
    for key, operations in measured.items():
        for (operation, count), seconds in operations.items():
            figures.note(Key(key, operation, count), Cost(seconds, seconds, 50.0))
    return Results(figures, (FLOOR, SLIPWAY, COMPOSE, PIPELINED), [100], peers_count=10, cost_counts=(100, 500))


@pytest.fixture
def found() -> Results:
    return results(
        ping={(NO_OP, 100): 1.0},
        floor={(CREATE, 100): 10.0, (NO_OP, 100): 0.2},
        ours={(CREATE, 100): 12.0, (NO_OP, 100): 1.8, (UNSTARTED, 100): 1.0, (UNSTARTED, 500): 1.4},
        compose={(CREATE, 100): 12.0},
        pipelining={(CREATE, 10): 11.0, (NO_OP, 10): 6.0, (CHANGE_ONE, 10): 7.0},
    )


@pytest.mark.parametrize(
    ("operation", "seconds"),
    [(CREATE, 101.0), (NO_OP, 51.0), (CHANGE_ONE, 52.0)],  # 10, 5 and 5 seconds for each ten, and one start of Ansible
)
def test_a_peer_is_scaled_by_its_containers_and_not_by_its_start(
    found: Results, operation: str, seconds: float
) -> None:
    assert found.seconds(PIPELINED, operation, 100) == pytest.approx(seconds)


def test_what_was_measured_is_not_scaled(found: Results) -> None:
    assert found.seconds(SLIPWAY, CREATE, 100) == 12.0
    assert found.seconds(COMPOSE, NO_OP, 100) is None


def test_targets_are_met_or_not(found: Results) -> None:
    verdicts = {item["what"]: (item["measured"], item["verdict"]) for item in verdict_lines(found)}

    def against(operation: str, other: Contender) -> tuple[float, str]:
        return verdicts[f"{operation} / {other.name}"]

    assert against(CREATE, FLOOR) == (1.2, "NOT MET")
    assert against(CREATE, COMPOSE) == (1.0, "met")
    assert verdicts[f"{NO_OP} / ({PING.name} + floor)"] == (1.5, "NOT MET")
    assert verdicts["no-op, each of 100 to 500 more: CPU, ms"] == (pytest.approx(1.0), "met")
    assert not [what for what in verdicts if CHANGE_ONE in what], "nothing is said of what was not measured"


def test_the_table_marks_what_was_scaled(found: Results) -> None:
    text = "\n".join(lines(found))
    assert "~101" in text and "~ measured on 10 containers" in text
