"""Command lines of programs that run notebooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamindb.environment.jupyter import notebooks_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a.ipynb", "out.ipynb", "sub/b.ipynb", "sub/with space.ipynb", "--odd.ipynb"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (
            ["/v/bin/python", "/v/bin/jupyter-nbconvert", "--to", "notebook", "--execute", "sub/b.ipynb"],
            ["sub/b.ipynb"],
        ),
        (["python", "-m", "jupyter", "nbconvert", "--execute", "a.ipynb", "--output", "out.ipynb"], ["a.ipynb"]),
        (["python", "-m", "nbconvert", "--execute", "a", "sub/b.ipynb"], ["a.ipynb", "sub/b.ipynb"]),
        (["jupyter", "nbconvert", "--to=html", "--execute", "sub/with space.ipynb"], ["sub/with space.ipynb"]),
        (["jupyter-execute", "--timeout", "5", "sub/b"], ["sub/b.ipynb"]),
        (["python", "/v/bin/jupyter-execute", "a.ipynb", "--output=out.ipynb"], ["a.ipynb"]),
        (["papermill", "sub/b.ipynb", "out.ipynb", "-p", "x", "a.ipynb"], ["sub/b.ipynb"]),
        (["papermill", "-p", "x", "a.ipynb", "-k", "python3", "sub/b.ipynb", "out.ipynb"], ["sub/b.ipynb"]),
        (["python", "/p/papermill/__main__.py", "a.ipynb", "out.ipynb"], ["a.ipynb"]),
        (["papermill", "s3://bucket/a.ipynb", "out.ipynb"], []),
        (["papermill", "-", "out.ipynb"], []),
        (["pytest", "--nbmake", "-n", "2", "a.ipynb::x"], ["a.ipynb"]),
        (["jupyter", "lab", "a.ipynb"], []),
        (["python", "run_all.py", "a.ipynb"], []),
        (["jupyter-nbconvert"], []),
        ([], []),
        ([""], []),
    ],
)
def test_notebooks_in(folder: Path, command: list[str], names: list[str]) -> None:
    assert list(notebooks_in(command, folder)) == [folder / name for name in names]


def test_the_notebook_that_pytest_is_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "sub/b.ipynb:: (call)")
    assert list(notebooks_in(["pytest", "--nbmake"], folder / "sub")) == [folder / "sub/b.ipynb"]
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "sub/test_x.py::test (call)")
    assert list(notebooks_in(["pytest", "--nbmake"], folder)) == []
