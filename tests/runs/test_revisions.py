"""Code revisions: numbered by the order of first runs, given once, the same for the same source; on both databases."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.environment.source_code import code_digest
from lamindb.models import CodeRevision
from lamindb.runs import revisions
from lamindb.runs.commands.command import run_command
from tests.support.processes import run_python_together, write_notebook


def run_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> ln.Run:
    """Track a file as if this process ran it, and end the run."""
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(path))
    run = ln.track(new_run=True)
    ln.finish()
    return ln.Run.select(id=run.id).one()


def run_script(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> ln.Run:
    path.write_text(text)
    return run_file(path, monkeypatch)


def test_other_bytes_of_a_script_are_another_revision(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = instance.parent / "clean.py"
    found = [run_script(script, text, monkeypatch) for text in ("a = 1\n", "a = 2\n", "a = 1\n", "a = 3\n")]
    assert [run.revision for run in found] == [1, 2, 1, 3]
    assert {run.code_path for run in found} == {"clean.py"}
    transform = found[0].transform
    first, second, third = transform.revisions
    assert (first.number, first.first_run, first.last_run, first.run_count) == (1, found[0], found[2], 2)
    assert (second.first_run, third.last_run, first.commits) == (found[1], found[3], ())
    assert first.digest == str(found[0].source_digest)[:64] != second.digest
    for run in found[1:]:
        run.delete()
    assert [(one.number, one.run_count) for one in transform.revisions] == [(1, 1), (2, 0), (3, 0)]
    assert run_script(script, "a = 4\n", monkeypatch).revision == 4


def test_a_run_knows_its_number_as_soon_as_its_script_is_known(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = local_instance.parent / "clean.py"
    script.write_text("a = 1\n")
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(script))
    run = ln.track()
    assert run.revision == 1
    script.write_text("a = 2\n")
    ln.finish()
    assert ln.track() == run
    ln.finish()
    assert ln.Run.select(id=run.id).one().revision == 1


def edit(path: Path, position: int, **changes: Any) -> None:
    document = json.loads(path.read_text())
    document["cells"][position].update(changes)
    path.write_text(json.dumps(document))


def test_of_a_notebook_the_code_cells_count(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_notebook(instance.parent / "plot.ipynb", "a = 1", "b = 2", title="Plots")
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(path))
    run = ln.track()
    assert run.revision is None
    ln.finish()
    assert ln.Run.select(id=run.id).one().revision == 1
    edit(path, 0, source="# Other text")
    edit(path, 1, outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}], execution_count=5)
    assert run_file(path, monkeypatch).revision == 1
    edit(path, 2, source="b = 3")
    assert run_file(path, monkeypatch).revision == 2
    edit(path, 1, metadata={"tags": ["injected-parameters"]})
    assert run_file(path, monkeypatch).revision == 3
    edit(path, 1, source="a = 7")
    assert run_file(path, monkeypatch).revision == 3


def test_what_another_notebook_or_script_tracks_has_the_callers_code(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = instance.parent / "main.py"
    script.write_text("a = 1\n")
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(script))
    for _ in range(2):
        with ln.track(ln.Transform(name="align", type="pipeline"), new_run=True) as run:
            ln.File(b"1", key="a.txt").save()
        script.write_text("a = 2\n")
    assert (run.revision, run.code_path) == (2, "main.py")
    assert "align v1 · caller's code 2" in repr(run.describe())
    assert "align v1 · caller's code 1" in ln.File.select(key="a.txt").one().view_lineage().to_text()
    assert run_file(script, monkeypatch).describe().as_dict()["sections"]["run"]["facts"]["revision"] == 1


@ln.step
def double(number: int) -> int:
    return 2 * number


@ln.flow
def program() -> int:
    return double(2)


def test_of_a_step_the_function_counts(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [double(1), double(2)] == [2, 4]
    assert program() == 4
    steps = ln.Run.select(transform__name="double").list()
    assert [run.revision for run in steps] == [1, 1, 1]
    assert str(steps[0].code_path).endswith("test_revisions.py:double")
    whole = ln.Run.select(transform__name="program").one()
    assert whole.revision == 1 and whole.code() == Path(__file__).read_text()


def test_a_command_without_a_script_has_no_revision(instance: Path) -> None:
    script = instance.parent / "count.sh"
    for text in ("true\n", "exit 0\n", "true\n"):
        script.write_text(text)
        run_command(["sh", "count.sh"])
    run_command(["sh", "-c", "exit 0"])
    run_command([sys.executable, "-c", "pass"])
    found = ln.Run.select().order_by("created_at").list("revision")
    assert found == [1, 2, 1, None, None]


def test_shown_wherever_a_run_is_named(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = instance.parent / "clean.py"
    script.write_text("a = 1\n")
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(script))
    ln.track(params={"how": "mean"})
    file = ln.File(b"1", key="clean.csv").save()
    ln.finish()
    shown = "clean v1 · code 1"
    assert shown in repr(file.describe()) and shown in repr(file.run.describe())
    picture = file.view_lineage()
    assert all(
        "code 1" in text for text in (picture.to_text(), picture.to_svg(), picture.to_mermaid(), picture.to_dot())
    )
    assert json.loads(picture.to_json())["runs"][0]["revision"] == 1
    assert "code 1" in repr(file.run.transform.describe())


def test_nodes_show_the_parameters_in_which_runs_differ(instance: Path) -> None:
    raw = ln.File(b"raw", key="raw.csv").save()
    for how, depth in (("mean", 1), ("median", 1)):
        params = {"how": how, "model": {"depth": depth, "wide": how == "mean"}, "seed": 7}
        with ln.track(ln.Transform(name="clean", type="pipeline"), params=params, new_run=True):
            raw.stage(is_run_input=True)
            ln.File(how.encode(), key=f"{how}.csv").save()
    with ln.track(ln.Transform(name="alone", type="pipeline"), params={"how": "mean"}):
        raw.stage(is_run_input=True)
    picture = raw.view_lineage()
    runs = {one["id"]: one for one in json.loads(picture.to_json())["runs"]}
    assert sorted(json.dumps(one["params"]) for one in runs.values()) == [
        '{"how": "mean", "model.wide": true}',
        '{"how": "median", "model.wide": false}',
        "{}",
    ]
    assert "how=mean, model.wide=true" in picture.to_text()
    assert "how=median, model.wide=false" in picture.to_svg()


def number_anew() -> None:
    """Take the numbers from all runs, as in a database of an older version, and give them by the migration."""
    alias = context.instance().alias
    ln.Run.objects.using(alias).order_by().update_rows({"revision": None})
    CodeRevision.objects.using(alias).order_by().delete_rows()
    from django.apps import apps

    migration = importlib.import_module("lamindb.migrations.0004_code_revisions")
    with database.connection(alias).schema_editor() as editor:
        migration.number_sources(apps, editor)


def test_runs_of_an_older_database_are_numbered_by_their_digests(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = instance.parent / "clean.py"
    for text in ("a = 1\n", "a = 2\n", "a = 1\n"):
        run_script(script, text, monkeypatch)
    path = write_notebook(instance.parent / "plot.ipynb", "a = 1", title="Plots")
    run_file(path, monkeypatch)
    edit(path, 0, source="# Other text")
    run_file(path, monkeypatch)
    run_command(["sh", "-c", "exit 0"])
    ln.Run(transform=ln.Transform(name="by hand", type="pipeline").save()).save()
    number_anew()
    assert ln.Run.select().order_by("created_at").list("revision") == [1, 2, 1, 1, 2, None, None]
    # Notebooks were told apart by all of their bytes; the same file goes on with its number.
    assert run_file(path, monkeypatch).revision == 2
    edit(path, 0, source="# Another text")
    assert run_file(path, monkeypatch).revision == 2
    assert run_script(script, "a = 3\n", monkeypatch).revision == 3


def test_a_number_that_is_rolled_back_is_given_again(instance: Path) -> None:
    transform = ln.Transform(name="x", type="pipeline").save()
    alias = context.instance().alias

    def fail() -> None:
        with database.writing(alias) as link:
            assert revisions.number(link, transform.id, revisions.Source("a" * 64)) == 1
            raise ValueError("fails")

    with pytest.raises(ValueError, match="fails"):
        fail()
    with database.writing(alias) as link:
        assert revisions.number(link, transform.id, revisions.Source("b" * 64)) == 1


RACE = """
import sys
import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.runs import revisions
me = int(sys.argv[1])
transform = ln.Transform.select(name="shared").one()
for number in range(12):
    # Each source is met by two processes.
    source = revisions.Source(f"{number} of {me // 2}")
    with database.writing(context.instance().alias) as link:
        print(source.digest, revisions.number(link, transform.id, source), sep="=")
"""


def test_processes_at_once_give_no_number_twice_and_leave_no_hole(instance: Path) -> None:
    ln.Transform(name="shared", type="pipeline").save()
    done = run_python_together(RACE, 4, cwd=instance.parent)
    assert [process.returncode for process in done] == [0] * 4, [process.stderr for process in done]
    given: dict[str, set[int]] = {}
    for line in "".join(process.stdout for process in done).splitlines():
        source, _, number = line.partition("=")
        given.setdefault(source, set()).add(int(number))
    assert sorted(number for numbers in given.values() for number in numbers) == list(range(1, 25))


NOTEBOOK = b'{"cells": [{"cell_type": "code", "source": "a"}]}'


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (b"a = 1\n", b"a = 1\n", True),
        (b"a = 1\n", b"a = 1", False),
        (NOTEBOOK, b'{"cells": [{"source": ["a"], "cell_type": "code"}]}', True),
        (NOTEBOOK, NOTEBOOK.replace(b'"a"', b'"b"'), False),
        (b"{broken", b"{broken ", False),
    ],
)  # fmt: skip
def test_what_is_the_same_code(one: bytes, other: bytes, is_same: bool) -> None:
    assert (code_digest(one) == code_digest(other)) is is_same
