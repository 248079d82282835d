"""The front door `ln.lineage`: which names there are, and that they load on first use."""

from __future__ import annotations

import ast
from pathlib import Path
from sqlite3 import SQLITE_LIMIT_VARIABLE_NUMBER

import pytest

import lamindb as ln
from lamindb.db import database
from tests.support.processes import run_python

NAMES = (
    "affected ancestor_ids between common_ancestors descendant_ids graph impact leaves part path plan roots stale "
    "status"
).split()


def test_the_names_are_these() -> None:
    assert sorted(ln.lineage.__all__) == NAMES == dir(ln.lineage)
    for name in NAMES:
        function = getattr(ln.lineage, name)
        assert function.__doc__, name


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(str(ln.lineage.__file__)).read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    assert {alias.asname for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names} == set(
        NAMES
    )


def test_an_unknown_name_is_an_attribute_error_that_helps() -> None:
    with pytest.raises(AttributeError, match="ancestor_ids"):
        ln.lineage.parents  # noqa: B018


def test_it_works_when_imported_first() -> None:
    done = run_python(
        """
        import sys
        from lamindb import lineage
        assert "django" not in sys.modules
        print(lineage.impact.__name__, "django" in sys.modules)
        """
    )
    assert done.stdout == "impact True\n"


def test_answers_are_pictures_that_hold_their_graph(local_instance: Path) -> None:
    file = ln.File(b"a", key="a.txt").save()
    picture = ln.lineage.graph("a.txt")
    assert [node.id for node in picture.files] == [file.id]
    assert picture.runs == picture.edges == ()
    assert picture._repr_mimebundle_().keys() == {"text/html", "text/plain"}
    assert "a.txt" in picture.to_mermaid()
    assert len(picture.df()) == 0


def test_an_empty_picture_says_why(local_instance: Path) -> None:
    ln.File(b"a", key="a.txt").save()
    ln.File(b"b", key="b.txt").save()
    for ask in (ln.lineage.path, ln.lineage.between):
        picture = ask("a.txt", "b.txt")
        assert repr(picture) == "there is no path from 'a.txt' to 'b.txt'"
        assert "there is no path" in picture.to_svg() and "there is no path" in picture.to_html()
    assert repr(ln.Transform(name="never").save().view_lineage()) == "'never' has not been run"


def test_a_path_from_an_older_version_is_named(local_instance: Path) -> None:
    run = ln.Run(transform=ln.Transform(name="t", type="pipeline")).save()
    source = ln.File(b"1", key="a.txt").save()
    run.inputs.append(source)
    ln.File(b"2", key="b.txt", run=run).save()
    ln.File(b"3", key="a.txt").save()
    expected = "there is no path from 'a.txt' to 'b.txt'; there is one from version 1"
    assert repr(ln.lineage.path("a.txt", "b.txt")) == expected
    assert repr(ln.lineage.between("a.txt", "b.txt")) == expected
    assert repr(ln.lineage.path("b.txt", "a.txt")) == "there is no path from 'b.txt' to 'a.txt'"
    assert "there is no path" not in repr(ln.lineage.path(source, "b.txt"))


def test_what_has_many_ancestors_may_have_no_path(local_instance: Path) -> None:
    last = ln.File(b"0", key="0").save()
    for number in range(1, 60):
        run = ln.Run(transform=ln.Transform(name="t", type="pipeline"), inputs=[last]).save()
        last = ln.File(str(number).encode(), key=str(number), run=run).save()
    alone = ln.File(b"alone", key="alone").save()
    sqlite = database.connection(alone.alias).connection
    before = sqlite.setlimit(SQLITE_LIMIT_VARIABLE_NUMBER, 40)
    try:
        assert repr(ln.lineage.path(alone, last)) == "there is no path from 'alone' to '59'"
    finally:
        sqlite.setlimit(SQLITE_LIMIT_VARIABLE_NUMBER, before)
