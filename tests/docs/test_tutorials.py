"""The tutorials use everything that the shared documents use."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import pages

SHARED = pages.ROOT.parent / "shared" / "acceptance"
TUTORIALS = ("tutorial-files.md", "tutorial-lineage.md", "tutorial-sources.md")


@pytest.mark.parametrize("document", ["track_data_lineage", "track_data_sources", "track_files"])
def test_the_tutorials_use_what_a_document_uses(document: str) -> None:
    path = SHARED / f"cells_{document}.py"
    if not path.is_file():
        pytest.skip("the shared documents are not beside this repository")
    text = "\n".join((pages.DOCS / name).read_text(encoding="utf-8") for name in TUTORIALS)
    words = set(re.findall(r"\w+", text))
    assert sorted(_names(path) - words) == []


def _names(path: Path) -> set[str]:
    """Return the attributes and keywords that a document's cells use."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cells = [re.sub(r"^!.*$", "", cell, flags=re.M) for cell in module.CELLS if not cell.startswith("# check")]
    return {name for cell in cells for name in _names_in(ast.parse(cell))}


def _names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg
