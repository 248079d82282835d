"""A lineage as Mermaid text, which GitHub, GitLab and JupyterLab render as a picture."""

from __future__ import annotations

import re

from lamindb.core.text import elide_middle, isolated, printable
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, Node
from lamindb.lineage.render import labels

_NAME_LIMIT = 48
_HARMLESS = " _/,.-:+"
_ZERO_WIDTH_SPACE = "#8203;"
_AFTER_ENTITIES = re.compile(r"#92;|#36;|fa[a-z]?:(?=fa)")
"""Mermaid interprets these after decoding entities: line breaks, formulas, icons. A zero-width space breaks them."""

_LIST_START = re.compile(r"^(\s*\d*)([-+.])")

_CLASSES = (
    "classDef file fill:#ffffff,stroke:#98a5b6,color:#1b2430",
    "classDef run fill:#edf2fc,stroke:#7f9ad6,color:#1b2430",
    "classDef failed fill:#fdecee,stroke:#c22b3a,color:#1b2430",
    "classDef more fill:#ffffff,stroke:#98a5b6,color:#566375,stroke-dasharray:4 3",
    "classDef focus stroke:#2463eb,stroke-width:3px",
)


def mermaid(graph: LineageGraph) -> str:
    """Return a lineage as a Mermaid flow chart from left to right.

    Nodes are named `n0`, `n1`, …; the user's text is never part of the syntax. The text is deterministic.
    """
    nodes = sorted(graph.nodes(), key=lambda node: node.id)
    number = {node.id: index for index, node in enumerate(nodes)}
    focus = graph.focus_ids()
    lines = ["flowchart LR"]
    lines += [_node_line(f"n{number[node.id]}", node, is_focus=node.id in focus) for node in nodes]
    lines += [
        f"    n{source} --> n{target}"
        for source, target in sorted((number[edge.source], number[edge.target]) for edge in graph.edges)
    ]
    lines += _stub_lines(graph, number)
    note = labels.truncation_note(graph, "")
    if note:
        lines.append(f"    %% {note}")
    lines += [f"    {line}" for line in _CLASSES]
    return "\n".join(lines) + "\n"


def _node_line(name: str, node: Node, *, is_focus: bool) -> str:
    if isinstance(node, FileNode):
        facts = [labels.file_folder(node), *labels.file_facts(node), *labels.recall_facts(node)]
        label = _label([labels.file_name(node)], facts)
        line = f'{name}["{label}"]:::file'
    else:
        title = [labels.run_name(node), labels.run_version(node)]
        label = _label(title, [printable(node.transform_type), *labels.run_facts(node)])
        line = f'{name}(["{label}"]):::{"failed" if node.status in ("failed", "aborted") else "run"}'
    if is_focus:
        return f"    {line}\n    class {name} focus"
    return f"    {line}"


def _stub_lines(graph: LineageGraph, number: dict[str, int]) -> list[str]:
    lines = []
    for hidden, is_up in ((graph.hidden_up, True), (graph.hidden_down, False)):
        for node_id, count in sorted(hidden.items()):
            if count:
                node, stub = f"n{number[node_id]}", f"{'u' if is_up else 'd'}{number[node_id]}"
                label = f'{stub}(["{escape(f"+{count:,} more")}"]):::more'
                lines.append(f"    {label} -.-> {node}" if is_up else f"    {node} -.-> {label}")
    return lines


def _label(title: list[str], facts: list[str]) -> str:
    """Return a label of two lines; each part is shortened separately."""
    return "<br>".join((_line(title, " "), _line(facts, " · ")))


def _line(parts: list[str], mark: str) -> str:
    return escape(mark.join(isolated(elide_middle(part, _NAME_LIMIT)) for part in parts if part))


def escape(text: str) -> str:
    r"""Return a text in which Mermaid interprets no character as syntax, HTML or Markdown.

    Letters, digits, signs without a meaning in Mermaid and everything outside ASCII are kept. Other characters become
    numbered entities, and so does the start of a Markdown list.

    Examples:
        >>> escape('1. "a" & b.csv')
        '1#46; #34;a#34; #38; b.csv'
    """
    safe = "".join(
        character if character.isalnum() or character in _HARMLESS or ord(character) > 127 else f"#{ord(character)};"
        for character in printable(text)
    )
    safe = _LIST_START.sub(lambda start: f"{start[1]}#{ord(start[2])};", safe)
    return _AFTER_ENTITIES.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", safe)
