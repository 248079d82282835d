"""Project folders and references."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from lamindb.environment.scripts import project_root, relative_reference


def repository(path: Path) -> Path:
    (path / ".git").mkdir(parents=True)
    (path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return path


def test_the_root_is_the_nearest_work_tree(tmp_path: Path) -> None:
    outer = repository(tmp_path / "outer")
    inner = outer / "a" / "inner"
    inner.mkdir(parents=True)
    assert project_root(inner) == outer
    (inner / ".git").write_text("gitdir: elsewhere\n")
    assert project_root(inner) == inner
    (tmp_path / "odd" / ".git").mkdir(parents=True)
    assert project_root(tmp_path / "odd") is None


def test_references_start_at_the_project_then_at_the_repository(tmp_path: Path) -> None:
    root = repository(tmp_path / "repository")
    project = root / "project"
    (project / "notebooks").mkdir(parents=True)
    notebook = project / "notebooks" / "a b.ipynb"
    assert relative_reference(notebook, project) == "notebooks/a b.ipynb"
    assert relative_reference(notebook, None) == "project/notebooks/a b.ipynb"
    assert relative_reference(root / "x.py", project) == "x.py"
    outside = tmp_path / "x.py"
    assert relative_reference(outside, project) == outside.as_posix()


def test_links_and_spellings_give_one_reference(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    link = tmp_path / "link"
    link.symlink_to(project)
    name = unicodedata.normalize("NFD", "übung.py")
    assert relative_reference(link / "sub" / ".." / name, project) == unicodedata.normalize("NFC", "übung.py")
    assert relative_reference(project / "x.py", link) == "x.py"
