# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Order and circles."""

from __future__ import annotations

from ansible_collections.slipway.docker.plugins.module_utils._converge.graph import find_cycle, topological


def test_no_circle() -> None:
    assert find_cycle({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_a_circle_is_a_path_that_closes() -> None:
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]


def test_itself_is_a_circle() -> None:
    assert find_cycle({"a": ["a"]}) == ["a", "a"]


def test_what_is_needed_comes_first_and_strangers_do_not_count() -> None:
    assert topological({"a": ["c", "stranger"], "b": [], "c": ["b"]}) == ["b", "c", "a"]


def test_a_long_chain_does_not_recurse() -> None:
    chain = {number: [number + 1] for number in range(5000)}
    assert topological({**chain, 5000: []})[0] == 5000
    assert find_cycle(chain) == []
