"""A lineage as JSON, for other programs."""

from __future__ import annotations

import json

from lamindb.lineage.lineage_graph import LineageGraph


def json_text(graph: LineageGraph, *, indent: int | None = 2) -> str:
    """Write the whole graph as JSON, nothing shortened.

    Names keep their characters; what UTF-8 cannot hold (lone surrogates) is written as JSON escapes.

    Args:
        graph: What to write.
        indent: Spaces for each level; None writes one line.
    """
    text = json.dumps(graph.as_dict(), indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(graph.as_dict(), indent=indent, allow_nan=False)
    return text
