"""The project's own modules that a run had imported: recorded at its end, stored once, without secrets."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.environment import own_modules
from lamindb.errors import NoResultFound
from lamindb.maintenance import gc, verify
from lamindb.models import ImportedModule
from lamindb.runs import modules


class Project:
    """A script beside modules, which this process imports as the script would."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "main.py").write_text("import helpers\n")
        monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(folder / "main.py"))
        monkeypatch.syspath_prepend(folder)

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(exist_ok=True, parents=True)
        (self.folder / path).write_text(text)

    def run(self, *imports: str) -> ln.Run:
        run = ln.track(new_run=True)
        for name in imports:
            sys.modules.pop(name, None)
            importlib.invalidate_caches()
            importlib.import_module(name)
        ln.finish()
        return ln.Run.select(id=run.id).one()


@pytest.fixture
def project(instance: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    known = set(sys.modules)
    yield Project(instance.parent, monkeypatch)
    for name in set(sys.modules) - known:
        if str(instance.parent) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_a_run_knows_the_modules_that_it_imported(project: Project) -> None:
    assert project.run().modules() == {}
    project.write("helpers.py", "a = 1\n")
    project.write("study/__init__.py", "")
    project.write("study/model.py", "token = 'ghp_0123456789012345678901234567'\n")
    project.write("never.py", "b = 1\n")
    project.write("lib/site-packages/installed_here.py", "c = 1\n")
    run = project.run("helpers", "study.model")
    found = run.modules()
    assert found is not None and list(found) == ["helpers.py", "study/__init__.py", "study/model.py"]
    assert run.code("helpers.py") == "a = 1\n"
    assert run.code("study/model.py") == "token = '***'\n"
    with pytest.raises(NoResultFound, match=r"no module 'never.py': it imported helpers.py"):
        run.code("never.py")
    by_hand = ln.Run(transform=ln.Transform(name="by hand", type="pipeline").save()).save()
    assert (by_hand.modules(), by_hand.code("helpers.py")) == (None, None)


def test_runs_with_the_same_modules_share_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("helpers.py", "a = 1\n")
    first = project.run("helpers")
    stored: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(modules.ModuleSet, "_stored", lambda self, instance: stored.append(self))
        second = project.run("helpers")
    assert second.modules_digest == first.modules_digest
    assert stored == [] and ImportedModule.objects.get_queryset().count() == 1
    project.write("helpers.py", "a = 2, 3\n")
    third = project.run("helpers")
    assert third.code("helpers.py") == "a = 2, 3\n" and second.code("helpers.py") == "a = 1\n"


def test_unchanged_files_are_not_read_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    project.write("helpers.py", "a = 1\n")
    os.utime(project.folder / "helpers.py", (1, 1))
    project.run("helpers")
    read: list[Path] = []
    source = modules.scripts.script_source
    monkeypatch.setattr(modules, "_source", lambda path: read.append(path) or source(path))
    assert project.run().modules() is not None
    assert read == []


def test_a_project_with_too_many_modules_has_none_recorded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("helpers.py", "a = 1\n")
    monkeypatch.setattr(modules, "MOST_MODULES", 0)
    assert project.run("helpers").modules() is None
    monkeypatch.setattr(modules, "MOST_MODULES", 9)
    monkeypatch.setattr(modules, "MOST_BYTES", 3)
    assert project.run().modules() is None


@ln.step
def a_step() -> None:
    pass


@ln.flow
def a_flow() -> None:
    a_step()


def test_a_step_has_the_modules_of_the_run_around_it(project: Project) -> None:
    project.write("helpers.py", "a = 1\n")
    run = ln.track(new_run=True)
    importlib.import_module("helpers")
    a_step()
    ln.finish()
    inner = ln.Run.select(parent=run.id).one()
    assert inner.modules_digest is None
    assert inner.modules() == ln.Run.select(id=run.id).one().modules() != {}
    a_flow()
    assert ln.Run.select(transform__name="a_flow").one().modules() == inner.modules()


def test_garbage_collection_keeps_modules_while_a_run_names_them(project: Project) -> None:
    project.write("helpers.py", "a = 1\n")
    run = project.run("helpers")
    removed = gc.sweep(dry_run=False, grace_seconds=0).objects
    assert run.modules() is not None
    digest = (run.modules() or {})["helpers.py"]
    assert not any(name.startswith(digest) for name in removed)
    report = verify.verify()
    assert (report.missing, report.corrupt, report.orphans) == ((), (), ())
    run.delete()
    removed = gc.sweep(dry_run=False, grace_seconds=0).objects
    assert f"{digest}.py" in removed
    gc.sweep(dry_run=False, grace_seconds=0)
    assert ImportedModule.objects.get_queryset().count() == 0
    again = project.run("helpers")
    assert again.code("helpers.py") == "a = 1\n"


def test_modules_that_garbage_collection_took_are_stored_again(project: Project) -> None:
    project.write("helpers.py", "a = 1\n")
    run = project.run("helpers")
    found = modules.collect(context.instance(), project.folder, project.folder / "main.py")
    assert found is not None
    run.delete()
    gc.sweep(dry_run=False, grace_seconds=0)
    late = ln.Run(transform=ln.Transform(name="late", type="pipeline").save()).save()
    from lamindb.runs import metadata

    metadata.write(context.instance(), late.id, {}, imported=found)
    assert ln.Run.select(id=late.id).one().code("helpers.py") == "a = 1\n"


def test_only_the_projects_own_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "own": tmp_path / "own.py",
        "in_venv": tmp_path / "venv/lib/python3/site-packages/a.py",
        "compiled": tmp_path / "b.so",
        "elsewhere": tmp_path.parent / "c.py",
        "script": tmp_path / "main.py",
    }
    for name, file in files.items():
        module = type(sys)(f"made_up_{name}")
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "made_up_none", None)
    assert own_modules.imported_files(tmp_path, files["script"]) == [files["own"]]
