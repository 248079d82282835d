"""Notebook files, whatever wrote them."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pytest

from lamindb.environment import kernels, notebooks
from lamindb.environment.notebooks import (
    code_cells,
    differs_from_disk,
    executed_source,
    hash_cells,
    injected_parameters,
    overlap,
    read_notebook,
    stripped_source,
)
from lamindb.errors import InvalidInputError, SourceNotFoundError, StorageError


def code(source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source, **more}


def markdown(source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source, **more}


def write(path: Path, *cells: dict[str, Any], **metadata: Any) -> Path:
    path.write_text(json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture
def run_cells(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make this process look like an IPython shell in which cells ran."""

    def run(*cells: str) -> None:
        history = types.SimpleNamespace(input_hist_raw=["", *cells])
        shell = types.SimpleNamespace(history_manager=history, user_ns={}, kernel=object())
        monkeypatch.setattr(kernels, "shell", lambda: shell)

    return run


def test_title_ids_and_language(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.ipynb",
        code("x = 1", id="one"),
        markdown(["<!-- draft -->\n", "# Track\n", "text"], id="two"),
        kernelspec={"name": "ir", "language": "R"},
    )
    found = read_notebook(path)
    assert (found.path, found.title, found.cell_ids, found.language) == (path, "Track", ("one", "two"), "r")


@pytest.mark.parametrize(
    "cells", [[], [code("x = 1")], [markdown("")], [markdown("# Title")], [{}], [{"cell_type": "code"}]]
)
def test_odd_notebooks_are_read(tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    path = write(tmp_path / "a.ipynb", *cells)
    assert read_notebook(path).title == ("Title" if cells == [markdown("# Title")] else None)
    json.loads(stripped_source(path))


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\xef\xbb\xbf", b'{"metadata": {}}', b'{"cells": null}', b'{"cells": [1]}']
)
def test_files_without_cells_are_empty_notebooks(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(data)
    assert read_notebook(path).code_hash == hash_cells([])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [markdown("# Ω")]}, ensure_ascii=False), encoding=encoding)
    assert read_notebook(path).title == "Ω"


@pytest.mark.parametrize("data", [b"{", b"[]", b"3", b"null", b'{"a": 1}', b"[" * 100_000, b"\xff\xff", b"x = 1"])
def test_what_is_no_notebook_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"a\.ipynb is not a notebook") as caught:
        read_notebook(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no\.ipynb"):
        read_notebook(tmp_path / "no.ipynb")
    with pytest.raises(StorageError, match="cannot read"):
        read_notebook(tmp_path)


def test_the_third_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.ipynb"
    cells = [
        {"cell_type": "heading", "level": 1, "source": ["Old"]},
        {"cell_type": "code", "input": ["x = 1\n", "y"], "language": "python", "outputs": []},
    ]
    path.write_text(json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3, "metadata": {"name": ""}}))
    assert read_notebook(path).title == "Old"
    assert code_cells(path) == ["x = 1\ny"]
    assert json.loads(stripped_source(path))["nbformat"] == 4


def test_the_hash_is_of_code_alone(tmp_path: Path) -> None:
    plain = read_notebook(write(tmp_path / "a.ipynb", markdown("# A"), code("x = 1\ny = 2")))
    injected = code("# Parameters\nx = 3", metadata={"tags": ["injected-parameters"]}, id="new")
    same = write(
        tmp_path / "b.ipynb",
        injected,
        code(["x = 1\r\n", "y = 2\n"], outputs=[{"output_type": "stream", "text": "1"}], execution_count=7),
        code("  "),
        markdown("other"),
    )
    assert read_notebook(same).code_hash == plain.code_hash
    assert read_notebook(same).cell_ids == ()
    changed = write(tmp_path / "c.ipynb", code("x = 1"), code("y = 2"))
    assert read_notebook(changed).code_hash != plain.code_hash


def test_the_stored_source_is_the_same_whatever_ran(tmp_path: Path) -> None:
    first = write(
        tmp_path / "a.ipynb", markdown("# A", id="m"), code("x = 1\ny", id="c"), kernelspec={"name": "python3"}
    )
    second = write(
        tmp_path / "b.ipynb",
        markdown(["# A"], id="m"),
        code(
            ["x = 1\n", "y"],
            id="c",
            outputs=[{"output_type": "stream", "name": "stdout", "text": "secret result"}],
            execution_count=3,
            metadata={"execution": {"iopub.execute_input": "2026"}, "scrolled": True, "papermill": {"duration": 1}},
        ),
        kernelspec={"name": "python3"},
        language_info={"name": "python", "version": "3.11.7"},
        papermill={"duration": 2},
        widgets={"state": {}},
    )
    assert stripped_source(first) == stripped_source(second)
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.reads(stripped_source(second).decode(), as_version=4))


def test_the_stored_source_keeps_what_an_author_wrote(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.ipynb",
        code("x", metadata={"tags": ["parameters"]}),
        markdown("![](attachment:a.png)", attachments={"a.png": {"image/png": "aGk="}}),
    )
    cells = json.loads(stripped_source(path))["cells"]
    assert cells[0]["metadata"] == {"tags": ["parameters"]}
    assert cells[1]["attachments"] == {"a.png": {"image/png": "aGk="}}
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.reads(stripped_source(path).decode(), as_version=4))


def test_secrets_are_not_stored(tmp_path: Path, run_cells: Any) -> None:
    path = write(tmp_path / "a.ipynb", code("api_key = 'hunter2-hunter2'\nprint(api_key)"))
    assert b"hunter2" not in stripped_source(path)
    assert b"print(api_key)" in stripped_source(path)
    run_cells("password = 'hunter2-hunter2'")
    assert b"hunter2" not in executed_source()
    (tmp_path / "a.py").write_text("import marimo\napp = marimo.App()\ntoken = 'hunter2'\n")
    assert b"hunter2" not in stripped_source(tmp_path / "a.py")


def test_lone_surrogates_do_not_stop_the_source(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text('{"cells": [{"cell_type": "code", "source": "x = \'\\ud800\'"}]}')
    assert json.loads(stripped_source(path))
    assert read_notebook(path).code_hash


def test_unsaved_edits_are_noticed(tmp_path: Path, run_cells: Any) -> None:
    path = write(tmp_path / "a.ipynb", code("x = 1\n"), code("y = 2"))
    assert not differs_from_disk(path)
    run_cells("# Parameters\nx = 5", "x = 1", "", "y = 2")
    assert not differs_from_disk(path)
    run_cells("x = 1", "y = 3")
    assert differs_from_disk(path)
    assert differs_from_disk(tmp_path / "gone.ipynb")
    source = json.loads(executed_source())
    assert ["".join(cell["source"]) for cell in source["cells"]] == ["x = 1", "y = 3"]


def test_outside_a_shell_nothing_ran() -> None:
    assert notebooks.executed_cells() == []
    assert json.loads(executed_source())["cells"] == []
    assert injected_parameters() == {}


def test_injected_parameters(run_cells: Any) -> None:
    run_cells("alpha = 1", "# Parameters\nalpha = 0.5\nname = 'x'\nitems = [1, None]\nodd = f()\n")
    assert injected_parameters() == {"alpha": 0.5, "name": "x", "items": [1, None]}
    run_cells("# Parameters\nthis is text")
    assert injected_parameters() == {}


@pytest.mark.parametrize(
    ("left", "right", "share"), [("abcd", "abcd", 1.0), ("abcd", "abxy", 0.5), ("ab", "abcdef", 1 / 3), ("", "", 0.0)]
)
def test_overlap(left: str, right: str, share: float) -> None:
    assert overlap(left, right) == overlap(right, left) == pytest.approx(share)
