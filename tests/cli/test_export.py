"""`lamin export html` and `lamin bundle`."""

from __future__ import annotations

from pathlib import Path

import lamindb as ln
from tests.cli.conftest import Cli


def test_a_project_a_folder_and_an_archive(local_instance: Path, cli: Cli) -> None:
    for name in ("a/one.csv", "a/two.csv", "b/three.csv"):
        ln.File(name.encode(), key=name).save()
    assert "wrote all.html with 3 files and 0 runs" in cli("export", "html", "-o", "all.html").err
    assert "wrote a.html with 2 files and 0 runs" in cli("export", "html", "a/", "-o", "a.html").err
    assert "wrote a.zip with 2 files" in cli("bundle", "a/", "-o", "a.zip").err
    assert "b/<wbr>three" in Path("all.html").read_text() and "b/<wbr>three" not in Path("a.html").read_text()


def test_mistakes_are_said(local_instance: Path, cli: Cli) -> None:
    ln.File(b"x", key="a.csv").save()
    assert "no file in the folder 'nothing/'" in cli("export", "html", "nothing/", "-o", "x.html", code=3).err
    assert "cannot write missing/x.html" in cli("export", "html", "-o", "missing/x.html", code=4).err
    cli("export", "html", code=2)
    cli("bundle", "-o", "x.zip", code=2)
    assert not Path("x.html").exists()
