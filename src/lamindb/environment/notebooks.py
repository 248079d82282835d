"""Notebook files: title, identity, and source without results.

Reads plain JSON of any notebook format from 3 on; text notebooks (marimo, Quarto, R Markdown) are read by
`text_notebooks`. No notebook is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lamindb.environment import text_notebooks
from lamindb.environment.kernels import executed_cells
from lamindb.environment.redaction import redact_text
from lamindb.environment.text_notebooks import first_title
from lamindb.errors import InvalidInputError, SourceNotFoundError, StorageError

__all__ = [
    "Cell",
    "Notebook",
    "code_cells",
    "code_of",
    "differs_from_disk",
    "executed_cells",
    "executed_source",
    "hash_cells",
    "injected_parameters",
    "is_injected",
    "overlap",
    "read_notebook",
    "source_text",
    "stripped_source",
    "without_secrets",
]

INJECTED_TAG = "injected-parameters"
_KEPT_CELL_METADATA = ("name", "slideshow", "tags")
_PARAMETERS_MARK = "# Parameters\n"


class Notebook(NamedTuple):
    """The identity of a notebook file.

    Attributes:
        path: The file.
        title: Its first heading of level one, or None.
        cell_ids: The ids of its cells, in order; empty for formats before 4.5. They survive a rename of the file.
        code_hash: SHA-256 (hex) of the sources of its code cells; text, results and injected parameters don't count.
        language: Of its code cells, in lower case.
    """

    path: Path
    title: str | None
    cell_ids: tuple[str, ...]
    code_hash: str
    language: str


class Cell(NamedTuple):
    """One cell as the file has it; `kind` is `code`, `markdown` or `raw`."""

    kind: str
    source: str
    id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    attachments: dict[str, Any] | None = None

    @property
    def is_injected(self) -> bool:
        """Whether a runner inserted this cell."""
        return INJECTED_TAG in self.tags


def read_notebook(path: str | Path) -> Notebook:
    """Read the identity of a notebook.

    Raises:
        SourceNotFoundError: There is no such file.
        StorageError: The file cannot be read.
        InvalidInputError: The file is not a notebook.
    """
    path = Path(path)
    if path.suffix != ".ipynb":
        text = text_notebooks.read(_read(path))
        return Notebook(path, text.title, (), hash_cells([text.source]), text.language)
    document = load(path)
    cells = cells_of(document)
    return Notebook(
        path=path,
        title=_title(cells),
        cell_ids=tuple(cell.id for cell in cells if cell.id and not cell.is_injected),
        code_hash=hash_cells(_code(cells)),
        language=_language(document),
    )


def code_cells(path: str | Path) -> list[str]:
    """Return the sources of a notebook's code cells, without empty ones and injected parameters.

    Raises:
        LaminError: As `read_notebook`.
    """
    path = Path(path)
    return code_of(load(path)) if path.suffix == ".ipynb" else [text_notebooks.read(_read(path)).source]


def stripped_source(path: str | Path) -> bytes:
    """Return a notebook that holds the same cells and nothing that running it changes.

    A valid notebook of format 4 without results, execution counts and settings of the editor; secrets are replaced.
    The same cells give the same bytes, whichever tool wrote the file. Text notebooks come back as they are,
    but for the secrets.

    Raises:
        LaminError: As `read_notebook`.
    """
    path = Path(path)
    if path.suffix != ".ipynb":
        return redact_text(text_notebooks.decode(_read(path))).encode("utf-8", "surrogateescape")
    document = load(path)
    return _dump(cells_of(document), document)


def without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook's JSON with secrets replaced in its cells and in the texts of its results; pictures stay."""
    return {**document, "cells": [_without_secrets(cell) for cell in _as_list(document.get("cells"))]}


def _without_secrets(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        if all(isinstance(part, str) for part in value) and (name in {"source", "text"} or "/" in name):
            value = "".join(value)
        elif name == "traceback":
            return redact_text("\n".join(map(str, value))).split("\n")
        else:
            return [_without_secrets(inner) for inner in value]
    return redact_text(value) if isinstance(value, str) and not name.startswith(("image/", "id")) else value


def executed_source() -> bytes:
    """Return a notebook built from the cells that this interpreter really ran; secrets are replaced."""
    cells = [_executed(source) for source in executed_cells() if source.strip()]
    return _dump(cells, {"metadata": {"language_info": {"name": "python"}}})


def source_text(cell: dict[str, Any]) -> str:
    """Return the source of a cell in a notebook's JSON."""
    return _as_text(cell.get("source", ""))


def _executed(source: str) -> Cell:
    if is_injected(source):
        return Cell("code", source, tags=(INJECTED_TAG,), metadata={"tags": [INJECTED_TAG]})
    return Cell("code", source)


def code_of(document: dict[str, Any]) -> list[str]:
    """Return the sources of the code cells in a notebook's JSON, without empty ones and injected parameters."""
    return _code(cells_of(document))


def differs_from_disk(path: str | Path) -> bool:
    """Return True if a cell ran that the file does not have: edits that were not saved, or cells removed since.

    A file that is gone, perhaps under another name now, has none of them.

    Injected parameters do not count. False where nothing is known about what ran, or where the file cannot be
    read as a notebook.
    """
    path = Path(path)
    if path.suffix != ".ipynb":
        return False
    try:
        on_disk = {comparable(cell.source) for cell in cells_of(load(path)) if cell.kind == "code"}
    except SourceNotFoundError:
        on_disk = set()
    except (InvalidInputError, StorageError):
        return False
    ran = {comparable(cell) for cell in executed_cells() if not is_injected(cell)}
    return bool(ran - on_disk - {""})


def injected_parameters() -> dict[str, Any]:
    """Return the parameters that papermill put before this notebook's own cells; those that are plain values."""
    import ast

    found: dict[str, Any] = {}
    for cell in executed_cells():
        if not is_injected(cell):
            continue
        try:
            statements = ast.parse(cell).body
        except SyntaxError:
            return found
        for statement in statements:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                try:
                    found[statement.targets[0].id] = ast.literal_eval(statement.value)
                except ValueError:
                    continue
        break
    return found


def overlap(ids_a: Iterable[str], ids_b: Iterable[str]) -> float:
    """Return how much of the larger notebook's cells the other one also has, between 0 and 1.

    From 0.5 on, a file at a new path is likely the one that is gone from the old path. A copy has all cells of its
    original, so ask first whether the original is still there.
    """
    left, right = set(ids_a), set(ids_b)
    return len(left & right) / max(len(left), len(right)) if left and right else 0.0


def hash_cells(cells: Sequence[str]) -> str:
    """Return the SHA-256 (hex) of code cells; empty ones and white space around them do not count."""
    sources = [source for source in map(comparable, cells) if source]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def is_injected(source: str) -> bool:
    """Return True if an executed cell looks like the parameters that papermill injects."""
    return source.startswith((_PARAMETERS_MARK, "# Parameters\r\n"))


def comparable(source: str) -> str:
    """Return a cell's source in the form in which cells are compared."""
    return source.replace("\r\n", "\n").strip()


def load(path: Path) -> dict[str, Any]:
    """Read a notebook's JSON; a file without any text is a notebook without cells.

    Raises:
        LaminError: As `read_notebook`.
    """
    data = _read(path)
    if not data.strip(b" \t\r\n\0\xef\xbb\xbf"):
        return {}
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = f"its JSON is broken ({error})" if isinstance(error, ValueError) else "its JSON is nested too deeply"
        raise InvalidInputError(f"{path} is not a notebook: {reason}; open and save it again") from error
    if not isinstance(document, dict) or not ({"cells", "worksheets", "nbformat", "metadata"} & document.keys()):
        raise InvalidInputError(f"{path} is not a notebook: its JSON has no cells; pass an .ipynb file")
    return document


def cells_of(document: dict[str, Any]) -> list[Cell]:
    """Return the cells of a notebook's JSON, leaving out what is no cell."""
    sheets = _as_list(document.get("worksheets"))
    raw = _as_list(document.get("cells")) or [
        cell for sheet in sheets if isinstance(sheet, dict) for cell in _as_list(sheet.get("cells"))
    ]
    return [_cell(cell) for cell in raw if isinstance(cell, dict)]


def _cell(raw: dict[str, Any]) -> Cell:
    kind = str(raw.get("cell_type", "raw"))
    source = _as_text(raw.get("source", raw.get("input", "")))
    if kind == "heading":
        level = raw.get("level", 1)
        kind, source = "markdown", f"{'#' * (level if isinstance(level, int) else 1)} {source}"
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    attachments = raw.get("attachments")
    return Cell(
        kind=kind if kind in {"code", "markdown"} else "raw",
        source=source,
        id=str(raw["id"]) if raw.get("id") else None,
        tags=tuple(str(tag) for tag in _as_list(metadata.get("tags"))),
        metadata={name: metadata[name] for name in _KEPT_CELL_METADATA if name in metadata},
        attachments=attachments if isinstance(attachments, dict) and attachments else None,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"there is no notebook at {path}: check the path") from error
    except OSError as error:
        raise StorageError(f"cannot read the notebook {path}: {error.strerror or error}") from error


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_text(source: object) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")


def _code(cells: Iterable[Cell]) -> list[str]:
    return [cell.source for cell in cells if cell.kind == "code" and cell.source.strip() and not cell.is_injected]


def _title(cells: Iterable[Cell]) -> str | None:
    for position, cell in enumerate(cells):
        title = first_title(cell.source) if cell.kind == "markdown" else None
        if cell.kind == "raw" and position == 0:
            title = text_notebooks.front_matter_title(cell.source)
        if title:
            return title
    return None


def _language(document: dict[str, Any]) -> str:
    metadata = document.get("metadata")
    for section, key in (("language_info", "name"), ("kernelspec", "language")):
        facts = metadata.get(section) if isinstance(metadata, dict) else None
        if isinstance(facts, dict) and facts.get(key):
            return str(facts[key]).lower()
    return "python"


def _dump(cells: Iterable[Cell], document: dict[str, Any]) -> bytes:
    """Write cells as a notebook of format 4.5, or 4.4 where not every cell has an id."""
    cells = list(cells)
    with_ids = bool(cells) and all(cell.id for cell in cells)
    metadata: dict[str, Any] = {"language_info": {"name": _language(document)}}
    found = document.get("metadata")
    kernel = found.get("kernelspec") if isinstance(found, dict) else None
    if isinstance(kernel, dict) and kernel.get("name"):
        metadata["kernelspec"] = {
            "display_name": str(kernel.get("display_name", kernel["name"])),
            "name": str(kernel["name"]),
        }
    written: list[dict[str, Any]] = []
    for cell in cells:
        entry: dict[str, Any] = {
            "cell_type": cell.kind,
            "metadata": cell.metadata or {},
            "source": redact_text(cell.source).splitlines(keepends=True),
        }
        if with_ids:
            entry["id"] = cell.id
        if cell.kind == "code":
            entry |= {"execution_count": None, "outputs": []}
        elif cell.attachments:
            entry["attachments"] = cell.attachments
        written.append(entry)
    notebook = {"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5 if with_ids else 4}
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    return text.encode("utf-8", "backslashreplace")
