# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Order among things that need one another; pure functions over {node: [nodes it needs]}."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping


def find_cycle(edges: Mapping[Hashable, Iterable[Hashable]]) -> list:
    """Return one circle as a path that ends where it began, or an empty list."""
    done: set = set()
    for start in sorted(edges, key=repr):
        path: list = []
        stack = [(start, iter(sorted(edges.get(start, ()), key=repr)))] if start not in done else []
        on_path = {start}
        path.append(start)
        while stack:
            node, successors = stack[-1]
            following = next((item for item in successors if item not in done), None)
            if following is None:
                done.add(node)
                stack.pop()
                on_path.discard(path.pop())
            elif following in on_path:
                return [*path[path.index(following) :], following]
            else:
                path.append(following)
                on_path.add(following)
                stack.append((following, iter(sorted(edges.get(following, ()), key=repr))))
    return []


def topological(edges: Mapping[Hashable, Iterable[Hashable]]) -> list:
    """Return the nodes so that each comes after what it needs; ties in the order of the mapping."""
    order: list = []
    placed: set = set()

    def place(node: Hashable) -> None:
        stack = [(node, iter(edges.get(node, ())))]
        placed.add(node)
        while stack:
            current, needed = stack[-1]
            following = next((item for item in needed if item in edges and item not in placed), None)
            if following is None:
                order.append(current)
                stack.pop()
            else:
                placed.add(following)
                stack.append((following, iter(edges.get(following, ()))))

    for node in edges:
        if node not in placed:
            place(node)
    return order
