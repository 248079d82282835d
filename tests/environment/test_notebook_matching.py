"""Notebooks recognised by the cells that ran."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pytest

from lamindb.environment import kernels, notebook_matching
from lamindb.environment.notebook_matching import begins_with, fallback_notebook, matching_notebook, only_match
from tests.support.processes import write_notebook


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes this process look like a kernel in which cells ran."""
    shell = types.SimpleNamespace(user_ns={})

    def run(*cells: str, allow_stdin: bool | None = False) -> None:
        history = types.SimpleNamespace(input_hist_raw=["", *cells])

        def parent(channel: str) -> dict[str, Any]:
            return {"content": {} if allow_stdin is None else {"allow_stdin": allow_stdin}}

        shell.history_manager, shell.kernel = history, types.SimpleNamespace(get_parent=parent)

    monkeypatch.setattr(kernels, "shell", lambda: shell)
    return run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("cells", "executed", "fits"),
    [
        (["a", "b"], ["a"], True),
        (["a", "b"], ["a", "b"], True),
        (["a\n", "b"], [" a", "", "b"], True),
        (["a", "b"], ["b"], False),
        (["a"], ["a", "b"], False),
        (["a", "b"], ["a", "# Parameters\nx = 1", "b"], True),
        (["a", "b"], ["# Parameters\nx = 1", "a"], True),
        (["a"], ["# Parameters\nx = 1"], False),
        (["# Parameters\nx = 0", "a"], ["# Parameters\nx = 0", "# Parameters\nx = 1", "a"], True),
        (["a"], ["# Parameters\nx = 1", "# Parameters\nx = 2", "a"], False),
        ([], ["a"], False),
        (["a"], [], False),
    ],
)
def test_begins_with(cells: list[str], executed: list[str], fits: bool) -> None:
    assert begins_with(cells, executed) is fits


def test_the_only_notebook_that_fits_is_found(folder: Path, kernel: Any) -> None:
    (folder / "sub" / "deeper").mkdir(parents=True)
    write_notebook(folder / "other.ipynb", "x = 2")
    (folder / "broken.ipynb").write_text('x = "Ω"')
    wanted = write_notebook(folder / "sub" / "wanted.ipynb", 'x = "Ω"', "y")
    write_notebook(folder / "sub" / "deeper" / "too_far.ipynb", "z = 1")
    kernel('x = "Ω"')
    assert matching_notebook() == wanted
    kernel("z = 1")
    assert matching_notebook() is None
    kernel()
    assert matching_notebook() is None


def test_two_that_fit_are_none_until_more_ran(folder: Path, kernel: Any) -> None:
    write_notebook(folder / "a.ipynb", "x = 1", "y")
    second = write_notebook(folder / "b.ipynb", "x = 1", "z")
    kernel("x = 1")
    assert matching_notebook() is None
    kernel("x = 1", "z")
    assert matching_notebook() == second
    assert only_match([second, folder / "gone.ipynb"]) == second


def test_results_of_runs_are_not_what_ran(folder: Path, kernel: Any) -> None:
    original = write_notebook(folder / "a.ipynb", "x = 1")
    write_notebook(folder / "a.nbconvert.ipynb", "x = 1")
    written = write_notebook(folder / "out.ipynb", "x = 1")
    document = json.loads(written.read_text())
    document["metadata"]["papermill"] = {"input_path": "a.ipynb", "output_path": "out.ipynb"}
    written.write_text(json.dumps(document))
    kernel("x = 1")
    assert matching_notebook() == original


def test_cells_that_runners_skip_are_skipped(folder: Path, kernel: Any) -> None:
    path = write_notebook(folder / "a.ipynb", "x = 1", "interactive()", "y = 2")
    document = json.loads(path.read_text())
    document["cells"][1]["metadata"]["tags"] = ["skip-execution"]
    path.write_text(json.dumps(document))
    kernel("x = 1", "y = 2")
    assert matching_notebook() == path


def test_what_is_typed_at_a_console_is_no_notebook(folder: Path, kernel: Any) -> None:
    path = write_notebook(folder / "a.ipynb", "import lamindb as ln")
    kernel("import lamindb as ln", allow_stdin=True)
    assert matching_notebook() is None
    kernel("import lamindb as ln", allow_stdin=None)
    assert matching_notebook() == path


def test_the_fallback_is_made_of_what_ran(folder: Path, kernel: Any) -> None:
    kernel("import lamindb as ln", "# Parameters\nx = 1", "", "ln.track()")
    found = fallback_notebook()
    assert found is not None
    assert found.cells == ("import lamindb as ln", "ln.track()")
    assert folder.name in found.name and found.code_hash[:8] in found.name
    kernel("import lamindb as ln", "# Parameters\nx = 2", "ln.track()")
    assert fallback_notebook() == found
    kernel("import lamindb as ln", "ln.track()", "x = 3", "ln.track()")
    assert fallback_notebook() == found, "it is the same notebook, however many cells ran after the first call"
    kernel("import lamindb as ln", "ln.track(new_run=True)")
    assert fallback_notebook() != found


@pytest.mark.parametrize("answers", [True, False])
def test_colab_tells_the_name(kernel: Any, monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    kernel("1")

    def request(kind: str, timeout_sec: float) -> Any:
        return {"ipynb": {"metadata": {"colab": {"name": "Cells of mice.ipynb"}}}} if answers else None

    monkeypatch.setitem(
        notebook_matching.sys.modules, "google.colab._message", types.SimpleNamespace(blocking_request=request)
    )
    found = fallback_notebook()
    assert found is not None
    assert found.name == "Cells of mice" if answers else found.code_hash[:8] in found.name


def test_outside_kernels_there_is_no_fallback() -> None:
    assert fallback_notebook() is None
