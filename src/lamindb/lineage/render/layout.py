"""Layout of a layered drawing from left to right (Sugiyama's method): no dependency, deterministic.

1. Columns: edges that close a cycle are reversed; every node gets a column.
2. Bends: an edge longer than one column gets a bend in each column that it crosses, ordered like a node there.
3. Order: each column is sorted so that few edges cross.
4. Heights: every node moves towards the mean of its neighbours, with a minimum distance to the next node.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Pair = tuple[int, int]


def reverse_back_edges(count: int, edges: Sequence[Pair]) -> tuple[list[Pair], list[bool]]:
    """Reverse the edges that close a cycle, so that the graph is acyclic.

    Returns:
        The edges, and for each whether it was reversed. A self-loop counts as reversed and is kept: callers skip it.
    """
    after: list[list[Pair]] = [[] for _ in range(count)]
    for number, (source, target) in enumerate(edges):
        after[source].append((target, number))
    is_reversed = [False] * len(edges)
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
                    is_reversed[number] = True
            else:
                state[node] = 2
                stack.pop()
    directed = [(t, s) if back else (s, t) for (s, t), back in zip(edges, is_reversed, strict=True)]
    return directed, is_reversed


def _without_predecessor(count: int, edges: Sequence[Pair]) -> list[int]:
    has_predecessor = bytearray(count)
    for source, target in edges:
        if source != target:
            has_predecessor[target] = 1
    return [node for node in range(count) if not has_predecessor[node]]


def assign_columns(count: int, edges: Sequence[Pair], first_columns: Sequence[int]) -> list[int]:
    """Return a column for each node such that every edge goes to a later column and edges are short.

    Nodes are placed as far left as their predecessors allow. Then a node with more successors than predecessors, such
    as a source that is first used late, moves next to its successors. If the first columns of the two ends of every
    edge differ by one, nodes move by even numbers of columns, so files and runs never share a column.

    Args:
        count: The number of nodes.
        edges: The edges, without cycles.
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
        next_column = columns[node] + 1
        for target in after[node]:
            columns[target] = max(columns[target], next_column)
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
    """Return the connected components, in the order of their first nodes; nodes are sorted."""
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        neighbours[source].append(target)
        neighbours[target].append(source)
    seen = bytearray(count)
    components = []
    for root in range(count):
        if seen[root]:
            continue
        seen[root] = 1
        component = [root]
        for node in component:
            for other in neighbours[node]:
                if not seen[other]:
                    seen[other] = 1
                    component.append(other)
        components.append(sorted(component))
    return components


WORK = 60_000
"""The number of edges visited to improve the order: small drawings get many rounds, large ones few."""

SWAP_LIMIT = 1_500
"""The number of edges up to which adjacent nodes are also swapped one by one."""


def order_columns(columns: list[list[int]], before: Sequence[list[int]], after: Sequence[list[int]]) -> None:
    """Reorder each column in place so that few edges between adjacent columns cross.

    Sweeps over the columns and sorts each by the mean position of its neighbours in the previous one (barycentre
    method), keeps the best order found, and ends with swaps of adjacent nodes. The result is deterministic; the time
    is bounded by `WORK`.

    Args:
        columns: The nodes of each column, from left to right.
        before: For each node its neighbours one column to the left.
        after: For each node its neighbours one column to the right.
    """
    size = sum(map(len, after))
    position = [0] * len(before)
    _number(columns, position)
    best, fewest = [list(column) for column in columns], count_crossings(columns, after, position)
    stale = 0
    for turn in range(max(4, min(24, WORK // (size + 1)))):
        if not fewest or stale >= 4:
            break
        to_right = turn % 2 == 0
        _sweep(columns, before if to_right else after, position, to_right=to_right)
        crossings = count_crossings(columns, after, position)
        stale += 1
        if crossings < fewest:
            best, fewest, stale = [list(column) for column in columns], crossings, 0
    columns[:] = best
    _number(columns, position)
    if fewest and size <= SWAP_LIMIT:
        _swap_neighbours(columns, before, after, position)


def _number(columns: list[list[int]], position: list[int]) -> None:
    for column in columns:
        for index, node in enumerate(column):
            position[node] = index


def _sweep(columns: list[list[int]], neighbours: Sequence[list[int]], position: list[int], *, to_right: bool) -> None:
    numbers = range(1, len(columns)) if to_right else range(len(columns) - 2, -1, -1)
    for number in numbers:
        column = columns[number]
        if len(column) < 2:
            continue
        keys = {}
        for node in column:
            others = neighbours[node]
            if not others:
                keys[node] = float(position[node])
            elif len(others) == 1:
                keys[node] = float(position[others[0]])
            else:
                keys[node] = sum([position[other] for other in others]) / len(others)
        column.sort(key=keys.__getitem__)
        for index, node in enumerate(column):
            position[node] = index


def count_crossings(columns: list[list[int]], after: Sequence[list[int]], position: list[int]) -> int:
    """Return the number of crossings of edges between adjacent columns."""
    crossings = 0
    for column in columns:
        passed: list[int] = []
        for node in column:
            targets = after[node]
            if len(targets) == 1:
                row = position[targets[0]]
                if passed and row < passed[-1]:
                    crossings += len(passed) - bisect_right(passed, row)
                    insort(passed, row)
                else:
                    passed.append(row)
            elif targets:
                rows = [position[target] for target in targets]
                for row in rows:
                    crossings += len(passed) - bisect_right(passed, row)
                for row in rows:
                    insort(passed, row)
    return crossings


def _swap_neighbours(
    columns: list[list[int]], before: Sequence[list[int]], after: Sequence[list[int]], position: list[int]
) -> None:
    for _ in range(8):
        improved = False
        for column in columns:
            for row in range(len(column) - 1):
                upper, lower = column[row], column[row + 1]
                gain = _gain(before[upper], before[lower], position) + _gain(after[upper], after[lower], position)
                if gain > 0:
                    column[row], column[row + 1] = lower, upper
                    position[upper], position[lower] = row + 1, row
                    improved = True
        if not improved:
            return


def _gain(upper: list[int], lower: list[int], position: list[int]) -> int:
    """Return how many crossings on one side a swap of two adjacent nodes removes."""
    gain = 0
    for first in upper:
        row = position[first]
        for second in lower:
            other = position[second]
            if row > other:
                gain += 1
            elif row < other:
                gain -= 1
    return gain


MAX_BENDS = 6_000
"""The maximum number of bends in a drawing; the longest edges get none if there would be more."""

_HEIGHT_WORK = 60_000
"""The number of moves to improve heights: small drawings get many rounds, large ones few."""

_NODE_SNAP = 9.0
_BEND_SNAP = 26.0
_NODE_GAP = 14.0
_BEND_GAP = 9.0
_COMPONENT_GAP = 30.0
_MIN_COLUMN_GAP = 36.0
_MAX_COLUMN_GAP = 140.0


@dataclass(frozen=True, slots=True)
class Box:
    """The rectangle of a node in pixels, as wide as its column."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The y coordinate at which edges arrive and leave."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Route:
    """The line of an edge in pixels, from its source to its target.

    Segments of `points` alternate: the first crosses the gap between two columns, the second a column, and so on. An
    edge that closes a cycle (`is_back`) goes from right to left. A self-loop has no points.
    """

    points: tuple[tuple[float, float], ...]
    is_back: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """A finished layout: boxes in the order of the nodes, routes in the order of the edges."""

    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]
    width: float
    height: float


def lay_out(sizes: Sequence[tuple[float, float]], edges: Sequence[Pair], first_columns: Sequence[int]) -> Placement:
    """Return the layout of a graph, which may have cycles and self-loops. It is deterministic.

    Args:
        sizes: The width and height of each node, in pixels.
        edges: Pairs of node numbers.
        first_columns: The leftmost column allowed for each node: 0 for files and 1 for runs keeps them apart.
    """
    count = len(sizes)
    directed, is_reversed = reverse_back_edges(count, edges)
    forward = [(source, target) for source, target in directed if source != target]
    columns = assign_columns(count, forward, first_columns)
    chains, mesh = _cut_edges(directed, columns, _longest_edge(forward, columns))
    heights = [height for _, height in sizes] + [0.0] * (len(mesh.column) - count)
    middles = _find_heights(mesh, heights, count, split_components(count, forward))
    lefts, widths = _find_columns(sizes, mesh, middles, directed)

    boxes = tuple(
        Box(lefts[columns[node]], middles[node] - height / 2, widths[columns[node]], height)
        for node, (_, height) in enumerate(sizes)
    )
    routes = tuple(
        _route(
            boxes[source],
            boxes[target],
            [(lefts[mesh.column[bend]], widths[mesh.column[bend]], middles[bend]) for bend in bends],
            back,
        )
        for (source, target), bends, back in zip(directed, chains, is_reversed, strict=True)
    )
    width = max((box.x + box.width for box in boxes), default=0.0)
    height = max((box.y + box.height for box in boxes), default=0.0)
    height = max([height, *(y for route in routes for _, y in route.points)])
    return Placement(boxes, routes, width, height)


@dataclass(frozen=True, slots=True)
class _Mesh:
    """Nodes and bends, with edges between adjacent columns only."""

    column: list[int]
    before: list[list[int]]
    after: list[list[int]]


def _longest_edge(edges: Sequence[Pair], columns: list[int]) -> int:
    """Return the length up to which edges get bends, so that there are at most `MAX_BENDS`."""
    bends = 0
    for length in sorted([columns[target] - columns[source] for source, target in edges]):
        bends += length - 1
        if bends > MAX_BENDS:
            return length - 1
    return len(columns) + 1


def _cut_edges(edges: Sequence[Pair], columns: list[int], longest: int) -> tuple[list[list[int]], _Mesh]:
    mesh = _Mesh(list(columns), [[] for _ in columns], [[] for _ in columns])
    chains: list[list[int]] = []
    known: dict[Pair, list[int]] = {}
    for source, target in edges:
        length = columns[target] - columns[source]
        if source == target or length > longest:
            chains.append([])
            continue
        bends = known.get((source, target))
        if bends is None:
            bends = list(range(len(mesh.column), len(mesh.column) + length - 1))
            known[source, target] = bends
            mesh.column.extend(range(columns[source] + 1, columns[target]))
            mesh.before.extend([] for _ in bends)
            mesh.after.extend([] for _ in bends)
            walk = [source, *bends, target]
            for left, right in pairwise(walk):
                mesh.after[left].append(right)
                mesh.before[right].append(left)
        chains.append(bends)
    return chains, mesh


def _find_heights(mesh: _Mesh, heights: list[float], count: int, components: list[list[int]]) -> list[float]:
    """Stack the components; return the y coordinate of the middle of every node and bend."""
    middles = [0.0] * len(mesh.column)
    top = 0.0
    for component in components:
        by_column = _walk(component, mesh)
        order_columns(by_column, mesh.before, mesh.after)
        _settle(by_column, mesh, heights, count, middles)
        members = [node for column in by_column for node in column]
        shift = top - min(middles[node] - heights[node] / 2 for node in members)
        for node in members:
            middles[node] += shift
        top = max(middles[node] + heights[node] / 2 for node in members) + _COMPONENT_GAP
    return middles


def _walk(component: list[int], mesh: _Mesh) -> list[list[int]]:
    """Return a component by column in depth-first order, so that related nodes start close to each other."""
    seen: set[int] = set()
    by_column: dict[int, list[int]] = {}
    for root in sorted(component, key=lambda node: (mesh.column[node], node)):
        stack = [root]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            by_column.setdefault(mesh.column[node], []).append(node)
            stack.extend(reversed(mesh.before[node]))
            stack.extend(reversed(mesh.after[node]))
    return [by_column[column] for column in sorted(by_column)]


def _settle(by_column: list[list[int]], mesh: _Mesh, heights: list[float], count: int, middles: list[float]) -> None:
    offsets = []
    for column in by_column:
        offset, last, column_offsets = 0.0, None, []
        for node in column:
            if last is not None:
                gap = _NODE_GAP if node < count and last < count else _BEND_GAP
                offset += (heights[last] + heights[node]) / 2 + gap
            column_offsets.append(offset)
            last = node
        offsets.append(column_offsets)
        for node, node_offset in zip(column, column_offsets, strict=True):
            middles[node] = node_offset - offset / 2
    numbers = range(len(by_column))
    nodes = [node for column in by_column for node in column]
    before: list[float] = []
    for _ in range(max(3, min(40, _HEIGHT_WORK // len(mesh.column)))):
        settled = [middles[node] for node in nodes]
        if settled == before:
            break
        before = settled
        for number in numbers:
            _pull(by_column[number], offsets[number], (mesh.before,), count, middles)
        for number in reversed(numbers):
            _pull(by_column[number], offsets[number], (mesh.after,), count, middles)
    for number in numbers:
        _pull(by_column[number], offsets[number], (mesh.before, mesh.after), count, middles)
    for number in numbers:
        _straighten(by_column[number], offsets[number], mesh.before, count, middles)


def _straighten(
    column: list[int], offsets: list[float], before: Sequence[list[int]], count: int, middles: list[float]
) -> None:
    """Align nodes that are almost level with a neighbour, unless another node is in the way."""
    last = len(column) - 1
    for index, node in enumerate(column):
        wanted = [middles[other] for other in before[node]]
        if not wanted:
            continue
        wish = min(wanted, key=lambda height: abs(height - middles[node]))
        if abs(wish - middles[node]) > (_NODE_SNAP if node < count else _BEND_SNAP):
            continue
        if index:
            wish = max(wish, middles[column[index - 1]] + offsets[index] - offsets[index - 1])
        if index < last:
            wish = min(wish, middles[column[index + 1]] - offsets[index + 1] + offsets[index])
        middles[node] = wish


def _pull(
    column: list[int],
    offsets: list[float],
    sides: tuple[Sequence[list[int]], ...],
    count: int,
    middles: list[float],
) -> None:
    """Move a column's nodes towards their neighbours, keeping their order and distances (least squares)."""
    blocks: list[tuple[float, float, int]] = []
    for node, offset in zip(column, offsets, strict=True):
        others = sides[0][node] if len(sides) == 1 else sides[0][node] + sides[1][node]
        if not others:
            wish, weight = middles[node], 0.05
        elif len(others) == 1:
            wish, weight = middles[others[0]], 1.0
        else:
            wish, weight = sum([middles[other] for other in others]) / len(others), 1.0
        if node >= count:
            weight *= 4.0
        value, members = wish - offset, 1
        while blocks and blocks[-1][0] > value:
            other_value, other_weight, other_members = blocks.pop()
            value = (value * weight + other_value * other_weight) / (weight + other_weight)
            weight += other_weight
            members += other_members
        blocks.append((value, weight, members))
    row = 0
    for value, _, members in blocks:
        for _ in range(members):
            middles[column[row]] = value + offsets[row]
            row += 1


def _find_columns(
    sizes: Sequence[tuple[float, float]], mesh: _Mesh, middles: list[float], edges: Sequence[Pair]
) -> tuple[dict[int, float], dict[int, float]]:
    """Return the left edge and the width of each column; gaps are wider where edges are steep."""
    widths: dict[int, float] = {}
    for node, (width, _) in enumerate(sizes):
        column = mesh.column[node]
        widths[column] = max(widths.get(column, 0.0), width)
    steepest: dict[int, float] = {}
    for node, targets in enumerate(mesh.after):
        for target in targets:
            rise = abs(middles[node] - middles[target])
            if rise > steepest.get(mesh.column[node], 0.0):
                steepest[mesh.column[node]] = rise
    lefts: dict[int, float] = {}
    left = 0.0
    for column in sorted(widths):
        lefts[column] = left
        gap = min(_MAX_COLUMN_GAP, _MIN_COLUMN_GAP + 0.09 * steepest.get(column, 0.0))
        left += widths[column] + gap
    return lefts, widths


def _route(source: Box, target: Box, bends: list[tuple[float, float, float]], is_back: bool) -> Route:
    if source is target:
        return Route((), True)
    points = [(source.x + source.width, source.middle)]
    for left, width, middle in bends:
        points += [(left, middle), (left + width, middle)]
    points.append((target.x, target.middle))
    return Route(tuple(reversed(points)) if is_back else tuple(points), is_back)
