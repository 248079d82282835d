"""Notebooks in a git repository: outputs are no change, and no part of a patch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lamindb.environment import notebook_patch
from lamindb.environment.git import git_diff, git_state
from tests.environment.test_git import run
from tests.support.processes import write_notebook

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

OUTPUT = [{"output_type": "stream", "name": "stdout", "text": "a secret result\n"}]


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    run(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "study").mkdir()
    (tmp_path / "script.py").write_text("print(1)\n")
    path = write_notebook(tmp_path / "study" / "plot.ipynb", "a = 1", "b = 2")
    run(tmp_path, "add", ".")
    run(tmp_path, "commit", "-q", "-m", "first")
    return path


def edit(path: Path, position: int, **changes: Any) -> None:
    document = json.loads(path.read_text())
    document["cells"][position].update(changes)
    path.write_text(json.dumps(document, indent=1))


def is_dirty(path: Path) -> bool | None:
    state = git_state(path)
    assert state is not None
    return state.is_dirty


def test_results_are_no_uncommitted_change(notebook: Path) -> None:
    assert is_dirty(notebook) is False
    edit(notebook, 0, outputs=OUTPUT, execution_count=3)
    assert is_dirty(notebook) is False
    assert is_dirty(notebook.parent.parent / "script.py") is False
    assert git_diff(notebook.parent.parent) == b""
    edit(notebook, 1, source="b = 3")
    assert is_dirty(notebook) is True


def test_a_patch_has_the_cells_and_can_be_applied(notebook: Path) -> None:
    root = notebook.parent.parent
    edit(notebook, 0, outputs=OUTPUT, execution_count=3)
    edit(notebook, 1, source="b = 3")
    (root / "script.py").write_text("print(2)\n")
    patch = git_diff(root)
    assert b"secret" not in patch and b'+   "source": "b = 3"' in patch and b"+print(2)" in patch
    (root / "changes.diff").write_bytes(patch)
    run(root, "checkout", "-q", "--", ".")
    run(root, "apply", "changes.diff")
    assert [cell["source"] for cell in json.loads(notebook.read_text())["cells"]] == ["a = 1", "b = 3"]
    assert json.loads(notebook.read_text())["cells"][0]["outputs"] == []


def test_a_new_notebook_has_no_results_in_the_patch(notebook: Path) -> None:
    new = write_notebook(notebook.parent / "new.ipynb", "c = 1")
    edit(new, 0, outputs=OUTPUT)
    run(notebook.parent, "add", "new.ipynb")
    assert is_dirty(notebook) is True
    patch = git_diff(notebook.parent.parent)
    assert b"secret" not in patch and b"c = 1" in patch
    new.unlink()
    assert b"secret" not in git_diff(notebook.parent.parent)


def test_what_is_no_notebook_counts_as_changed(notebook: Path) -> None:
    notebook.write_text("{broken")
    assert is_dirty(notebook) is True
    notebook.unlink()
    notebook.symlink_to("/dev/zero")
    assert is_dirty(notebook.parent.parent / "script.py") is True
    git_diff(notebook.parent.parent)


@pytest.mark.parametrize("indent", [None, 1, 2])
def test_the_style_of_the_committed_file_is_kept(indent: int | None) -> None:
    cells = [{"cell_type": "code", "source": ["é\n", "b"], "outputs": OUTPUT, "metadata": {}}]
    before = json.dumps({"cells": cells, "nbformat": 4}, indent=indent).encode()
    cells[0] = {**cells[0], "outputs": [], "source": ["é\n", "c"]}
    text = notebook_patch.patch("x.ipynb", before, json.dumps({"cells": cells}).encode())
    changed = [line for line in text.splitlines()[3:] if line.startswith(("-", "+"))]
    assert len(changed) == 2 and "\\u00e9" in text
