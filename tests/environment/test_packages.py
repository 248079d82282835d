"""The packages that a run saw."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from lamindb.environment.packages import packages_snapshot, python_version


def test_the_snapshot_lists_what_python_itself_finds() -> None:
    expected = {
        f"{re.sub(r'[-_.]+', '-', found.name).lower()}=={found.version}" for found in importlib.metadata.distributions()
    }
    lines = packages_snapshot().decode().splitlines()
    assert set(lines) == expected
    assert lines == sorted(lines, key=lambda line: line.split("=="))


def test_the_first_of_two_versions_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, script = tmp_path / "site-packages", tmp_path / "more", tmp_path / "script"
    for folder, names in (
        (first, ["My_Pkg-1.0.dist-info", "notes.txt", "x.dist-info", "old-2.1-py3.11.egg-info"]),
        (second, ["my.pkg-2.0.dist-info", "b-1.dist-info"]),
        (script, ["data-3.dist-info"]),
    ):
        for name in names:
            (folder / name).mkdir(parents=True)
    develop = second / "dev.egg-info"
    develop.mkdir()
    (develop / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: dev\nVersion: 0.9\n")
    monkeypatch.setattr(sys, "path", [str(script), str(first), str(second), str(tmp_path / "gone"), ""])
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script / "work.py"), raising=False)
    assert packages_snapshot() == b"b==1\ndev==0.9\nmy-pkg==1.0\nold==2.1\n"


def test_the_first_folder_counts_where_the_program_is_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the kernel of a notebook, the first folder is that of PYTHONPATH.
    (tmp_path / "tools-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert packages_snapshot() == b"tools==1.0\n"
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    assert packages_snapshot() == b"tools==1.0\n"


def test_the_version_of_python() -> None:
    assert python_version() == ".".join(map(str, sys.version_info[:3])) + (
        "" if sys.version_info[3] == "final" else "+"
    )
