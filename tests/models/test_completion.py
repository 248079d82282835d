"""Completion by Tab offers what a person is meant to use; everything else still works when it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lamindb as ln

completer_module = pytest.importorskip("IPython.core.completer")


@pytest.fixture(params=[True, False], ids=["jedi", "dir"])
def complete(request: pytest.FixtureRequest, local_instance: Path) -> Any:
    file = ln.File(b"x", key="a.txt").save()
    run = ln.Run(transform=ln.Transform(name="x", type="pipeline").save()).save()
    names = {"file": file, "run": run, "query": ln.File.select(), "transform": run.transform, "ln": ln, "File": ln.File}
    completer = completer_module.IPCompleter(namespace=names, global_namespace={})
    completer.use_jedi = request.param

    def offered(text: str) -> set[str]:
        with completer_module.provisionalcompleter():
            found = {one.text.rpartition(".")[2] for one in completer.completions(text, len(text))}
        return {name for name in found if not name.startswith("_")}

    return offered


@pytest.mark.parametrize("name", ["file", "run", "query", "transform", "File"])
def test_a_reader_sees_one_screen_of_names(name: str, complete: Any) -> None:
    names = complete(f"{name}.")
    assert 25 <= len(names) <= 40, sorted(names)
    assert not [one for one in names if one.isupper() or one.startswith(("validate_", "get_next", "abulk"))]


def test_what_people_use_is_among_them(complete: Any) -> None:
    assert complete("file.") >= {"key", "load", "stage", "path", "replace", "run", "versions", "ancestors", "describe"}
    assert complete("run.") >= {"inputs", "outputs", "status", "params", "transform", "describe"}
    assert complete("query.") >= {"one", "first", "df", "list", "filter", "order_by", "count", "search", "join"}


def test_what_is_not_offered_works(local_instance: Path) -> None:
    file = ln.File(b"x", key="a.txt").save()
    assert file.stem_id == file.id[:16] and file.v == file.version and file.source is None
    assert file.pk == file.id and not file._meta.abstract
    assert [one.id for one in ln.File.select().only("id").iterator()] == [file.id]
    assert ln.File.objects.model is ln.File


def test_the_package_shows_its_public_names_only(complete: Any) -> None:
    import lamindb.files.save
    import lamindb.records.save  # noqa: F401

    assert complete("ln.") == {name for name in ln.__all__ if not name.startswith("_")}
