"""What tells one source from another: the bytes of a script or function, the code cells of a notebook."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lamindb.core.hashing import hash_bytes
from lamindb.environment import notebooks, scripts, text_notebooks
from lamindb.environment.redaction import redact_text
from lamindb.errors import LaminError


def code_digest(source: bytes) -> str:
    """Return 64 hexadecimal digits that are equal for equal code.

    Of a notebook's JSON, the code cells count, without empty ones and those that papermill injected: text, results
    and the order of keys do not. Of anything else, all bytes count.

    Args:
        source: The source as it is stored with a run, without secrets.
    """
    if source[:1] == b"{":
        try:
            document = json.loads(source)
            if isinstance(document, dict) and isinstance(document.get("cells"), list):
                return notebooks.hash_cells(notebooks.code_of(document))
        except (ValueError, RecursionError):
            pass
    return hash_bytes(source).digest


_MOST_BYTES: Final = 16 * 1024 * 1024


def present_digests(path: Path, function: str | None = None) -> frozenset[str] | None:
    """Return the digests of the code that a file has now, as runs of it would have; None if it cannot be read.

    There are several because databases of older versions tell notebooks apart by all of their bytes. A function that
    the file does not have any more has none.

    Args:
        path: A script, notebook or module.
        function: The qualified name of a function in it, which is then the code.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        if function is not None:
            source = function_source(text_notebooks.decode(path.read_bytes()), function)
            data = None if source is None else redact_text(source).encode("utf-8", "surrogateescape")
        elif path.suffix == ".ipynb":
            data = notebooks.stripped_source(path)
        else:
            data = scripts.script_source(path)
    except (LaminError, OSError, SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return None
    return frozenset() if data is None else frozenset({code_digest(data), hash_bytes(data).digest})


def function_source(text: str, name: str) -> str | None:
    """Return the source of a function as `inspect.getsource` does, without its indentation; None if there is none.

    Args:
        text: The source of its module.
        name: Its qualified name.

    Raises:
        SyntaxError: The module is none.
    """
    lines = text.splitlines(keepends=True)
    parts = [part for part in name.split(".") if part != "<locals>"]
    nodes: list[ast.AST] = [ast.parse(text)]
    for part in parts:
        nodes = [inner for node in nodes for inner in _definitions(node) if inner.name == part]
    if not nodes or isinstance(nodes[-1], ast.Module):
        return None
    found = nodes[-1]
    assert isinstance(found, _DEFINITIONS)
    first = min([found.lineno, *(one.lineno for one in found.decorator_list)])
    return textwrap.dedent("".join(inspect.getblock(lines[first - 1 :])))


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _definitions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield the functions and classes in the body of another one, also those below an `if` or `with`."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, _DEFINITIONS):
            yield inner
        elif isinstance(inner, ast.stmt):
            yield from _definitions(inner)
