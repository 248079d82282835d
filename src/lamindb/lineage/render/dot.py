"""A lineage as DOT text, for Graphviz."""

from __future__ import annotations

from lamindb.core.text import elide_middle, isolated, printable
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, Node
from lamindb.lineage.render import labels

_NAME_LIMIT = 48
_TOOLTIP_LIMIT = 2_000
"""Graphviz cannot read strings longer than 16,384 bytes."""

_STYLE = """\
  rankdir=LR; bgcolor=transparent; nodesep=0.2; ranksep=0.5;
  node [fontname=Helvetica, fontsize=11, height=0.5, style="filled,rounded", color="#98a5b6", fontcolor="#1b2430"];
  edge [color="#98a5b6", arrowsize=0.7];"""


def dot(graph: LineageGraph) -> str:
    """Return a lineage as a DOT digraph from left to right. The text is deterministic."""
    nodes = sorted(graph.nodes(), key=lambda node: node.id)
    number = {node.id: index for index, node in enumerate(nodes)}
    focus = graph.focus_ids()
    lines = ["digraph lineage {", _STYLE]
    note = labels.truncation_note(graph, "")
    if note:
        lines.append(f"  label={quote(note)}; fontsize=10; fontname=Helvetica;")
    lines += [f"  n{number[node.id]} [{_attributes(node, is_focus=node.id in focus)}];" for node in nodes]
    lines += [
        f"  n{source} -> n{target};"
        for source, target in sorted((number[edge.source], number[edge.target]) for edge in graph.edges)
    ]
    for hidden, is_up in ((graph.hidden_up, True), (graph.hidden_down, False)):
        for node_id, count in sorted(hidden.items()):
            if count:
                node, stub = f"n{number[node_id]}", f"{'u' if is_up else 'd'}{number[node_id]}"
                lines.append(f'  {stub} [label={quote(f"+{count:,} more")}, shape=box, style="dashed,rounded"];')
                lines.append(f"  {f'{stub} -> {node}' if is_up else f'{node} -> {stub}'} [style=dashed];")
    return "\n".join([*lines, "}"]) + "\n"


def _attributes(node: Node, *, is_focus: bool) -> str:
    if isinstance(node, FileNode):
        shape, looks = "note", ['fillcolor="#ffffff"', "style=filled"]
        title = [labels.file_name(node)]
        facts = [labels.file_folder(node), *labels.file_facts(node), *labels.recall_facts(node)]
        if node.is_trashed:
            looks = ['style="filled,dashed"']
    else:
        shape, looks = "box", ['fillcolor="#edf2fc"']
        title = [labels.run_name(node), labels.run_version(node)]
        facts = [printable(node.transform_type), *labels.run_facts(node)]
        if node.status in ("failed", "aborted"):
            looks.append('color="#c22b3a"')
    if is_focus:
        looks += ['color="#2463eb"', "penwidth=2.5"]
    label = "\\n".join(quote(line)[1:-1] for line in (_line(title, " "), _line(facts, " · ")) if line)
    tooltip = quote(elide_middle(" | ".join(labels.details(node)), _TOOLTIP_LIMIT))
    return ", ".join([f'label="{label}"', f"shape={shape}", f"tooltip={tooltip}", *looks])


def _line(parts: list[str], mark: str) -> str:
    return mark.join(isolated(elide_middle(part, _NAME_LIMIT)) for part in parts if part)


def quote(text: str) -> str:
    r"""Return a text as a DOT string in which quotes, escapes such as \N, and HTML entities are literal.

    Examples:
        >>> quote('a "b" & \\N')
        '"a \\"b\\" &amp; \\\\N"'
    """
    safe = printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{safe}"'
