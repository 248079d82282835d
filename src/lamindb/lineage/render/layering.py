"""In which column each node of a drawing stands, and which edges run backwards."""

from __future__ import annotations

from collections.abc import Sequence

Pair = tuple[int, int]


def turn_back_edges(count: int, edges: Sequence[Pair]) -> tuple[list[Pair], list[bool]]:
    """Turn round the edges that close a cycle, so that all run one way.

    Returns:
        The edges, none of which closes a cycle any more, and for each whether it was turned. A self-loop counts
        as turned and stays as it is: callers leave it out.
    """
    after: list[list[Pair]] = [[] for _ in range(count)]
    for number, (source, target) in enumerate(edges):
        after[source].append((target, number))
    turned = [False] * len(edges)
    state = bytearray(count)
    for root in [*_without_predecessor(count, edges), *range(count)]:
        if state[root]:
            continue
        state[root] = 1
        stack = [(root, iter(after[root]))]
        while stack:
            node, rest = stack[-1]
            for target, number in rest:
                if state[target] == 0:
                    state[target] = 1
                    stack.append((target, iter(after[target])))
                    break
                if state[target] == 1:
                    turned[number] = True
            else:
                state[node] = 2
                stack.pop()
    directed = [(t, s) if back else (s, t) for (s, t), back in zip(edges, turned, strict=True)]
    return directed, turned


def _without_predecessor(count: int, edges: Sequence[Pair]) -> list[int]:
    has_predecessor = bytearray(count)
    for source, target in edges:
        if source != target:
            has_predecessor[target] = 1
    return [node for node in range(count) if not has_predecessor[node]]


def assign_columns(count: int, edges: Sequence[Pair], first_columns: Sequence[int]) -> list[int]:
    """Give each node a column, each edge running to a later one, and edges short.

    Nodes go as far left as their predecessors let them; then those that pull more to the right than to the left,
    a source that is first used late, move up to their successors. Columns move by even steps where the first
    columns of the two ends of each edge differ by one, so files and runs keep to columns of their own.

    Args:
        count: The number of nodes.
        edges: Without cycles.
        first_columns: The leftmost column allowed for each node.
    """
    after: list[list[int]] = [[] for _ in range(count)]
    before: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
        waiting[target] += 1
    columns = list(first_columns)
    order = [node for node in range(count) if not waiting[node]]
    for node in order:
        following = columns[node] + 1
        for target in after[node]:
            columns[target] = max(columns[target], following)
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    _pull_right(order, columns, before, after)
    return columns


def _pull_right(order: list[int], columns: list[int], before: list[list[int]], after: list[list[int]]) -> None:
    for _ in range(4):
        moved = False
        for node in reversed(order):
            if len(after[node]) > len(before[node]):
                column = min([columns[target] for target in after[node]]) - 1
                if column > columns[node]:
                    columns[node] = column
                    moved = True
        if not moved:
            return


def split_components(count: int, edges: Sequence[Pair]) -> list[list[int]]:
    """Group the nodes that hang together; groups and nodes in the order of their first node."""
    linked: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        linked[source].append(target)
        linked[target].append(source)
    seen = bytearray(count)
    components = []
    for root in range(count):
        if seen[root]:
            continue
        seen[root] = 1
        component = [root]
        for node in component:
            for other in linked[node]:
                if not seen[other]:
                    seen[other] = 1
                    component.append(other)
        components.append(sorted(component))
    return components
