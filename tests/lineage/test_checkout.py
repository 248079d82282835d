"""Files that are stale because a script, notebook, function or module has other code than ran, on both databases."""

from __future__ import annotations

import inspect
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.environment.source_code import function_source, present_digests
from lamindb.runs.commands.command import run_command
from tests.runs.test_modules import Project, project  # noqa: F401
from tests.support.processes import write_notebook


def stale_keys() -> list[str]:
    found: list[str] = ln.lineage.stale(code=True).order_by("key").list("key")
    for file in ln.File.select():
        reasons = file.staleness(code=True).reasons
        assert bool(reasons) == (file.key in found)
        assert not file.is_stale or file.key in found
    return found


def run_file(path: Path, key: str, monkeypatch: pytest.MonkeyPatch, *inputs: ln.File) -> ln.File:
    """Track a file as if this process ran it, and save its output."""
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(path))
    ln.track(new_run=True)
    for one in inputs:
        one.stage(is_run_input=True)
    made: ln.File = ln.File(f"{key} {path.read_text()}".encode(), key=key).save()
    ln.finish()
    return made


def test_edited_code_makes_what_it_made_and_all_that_follows_stale(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, count = instance.parent / "clean.py", write_notebook(instance.parent / "count.ipynb", "a = 1", title="Count")
    clean.write_text("a = 1\n")
    first = run_file(clean, "clean.csv", monkeypatch)
    counts = run_file(count, "counts.csv", monkeypatch, first)
    assert stale_keys() == []
    clean.write_text("a = 2\n")
    assert stale_keys() == ["clean.csv", "counts.csv"]
    assert ln.lineage.stale().list("key") == [] and not counts.staleness()
    (reason,) = counts.staleness(code=True).reasons
    assert (reason.kind, reason.read, reason.current, reason.code) == ("code", None, None, ("clean.py",))
    assert (reason.chain, reason.is_direct) == ((first, counts), False)
    assert str(reason) == "clean.py changed since it ran, by way of clean.csv"
    (direct,) = first.staleness(code=True).reasons
    assert str(direct) == "clean.py changed since it ran" and direct.is_direct
    assert json.loads(counts.staleness(code=True).to_json())["reasons"][0]["code"] == ["clean.py"]
    assert ln.lineage.stale(counts, code=True).list() == [counts]
    clean.write_text("a = 1\n")
    assert stale_keys() == []
    document = json.loads(count.read_text())
    document["cells"][0]["source"] = "# Another title"
    count.write_text(json.dumps(document))
    assert stale_keys() == []
    document["cells"][1]["source"] = "a = 3"
    count.write_text(json.dumps(document))
    assert stale_keys() == ["counts.csv"]
    count.unlink()
    assert stale_keys() == []


def test_the_newest_producer_counts(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = instance.parent / "clean.py"
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(clean))
    for text in ("a = 1\n", "a = 2\n"):
        clean.write_text(text)
        ln.track(new_run=True)
        ln.File(b"the same", key="x.csv").save()
        ln.finish()
    assert stale_keys() == []
    clean.write_text("a = 1\n")
    assert stale_keys() == ["x.csv"]


def test_the_code_of_the_caller_counts_for_a_pipeline(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = instance.parent / "main.py"
    script.write_text("a = 1\n")
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(script))
    with ln.track(ln.Transform(name="align", type="pipeline")):
        ln.File(b"1", key="a.txt").save()
    assert stale_keys() == []
    script.write_text("a = 2\n")
    assert stale_keys() == ["a.txt"]


def test_the_rules_of_a_workflow_count_for_what_its_commands_made(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, script = instance.parent / "Makefile", instance.parent / "count.sh"
    lamin = f"{sys.executable} -m lamindb"
    rules.write_text(f"count.txt:\n\t{lamin} run --out count.txt -- sh count.sh\n")
    script.write_text("echo 1 > count.txt\n")
    monkeypatch.chdir(instance.parent)
    done = run_command(["make"])
    assert (done.status, ln.Run.get(done.run_id).code()) == ("completed", rules.read_text())
    assert stale_keys() == []
    rules.write_text(rules.read_text() + "\n")
    assert stale_keys() == ["count.txt"]
    assert str(ln.File.get("count.txt").staleness(code=True).reasons[0]) == "Makefile changed since it ran"
    (instance.parent / "count.txt").unlink()
    again = run_command(["make"])
    assert [ln.Run.get(one.run_id).revision for one in (done, again)] == [1, 2]
    assert stale_keys() == []


def test_modules_count_also_for_steps(project: Any) -> None:  # noqa: F811
    assert isinstance(project, Project)
    project.write(
        "helpers.py", "import lamindb as ln\n@ln.step\ndef save():\n    return ln.File(b'1', key='s').save()\n"
    )
    project.write("other.py", "b = 1\n")
    ln.track(new_run=True)
    helpers, _ = (__import__(name) for name in ("helpers", "other"))
    helpers.save()
    ln.File(b"2", key="whole").save()
    ln.finish()
    assert stale_keys() == []
    project.write("other.py", "b = 2\n")
    assert stale_keys() == ["s", "whole"]
    assert str(ln.File.get("s").staleness(code=True).reasons[0]) == "other.py changed since it ran"
    project.write("other.py", "b = 1\n")
    text = (project.folder / "helpers.py").read_text()
    project.write("helpers.py", "\n\n" + text)
    assert ln.File.get("s").staleness(code=True).reasons[0].code == ("helpers.py",)
    project.write("helpers.py", text.replace("b'1'", "b'3'"))
    assert set(ln.File.get("s").staleness(code=True).reasons[0].code) == {"helpers.py", "helpers.py:save"}


def outer(number: int = 1) -> Any:
    @staticmethod  # type: ignore[misc]
    def inner() -> int:
        return number  # the last line

    return inner


class Kind:
    def method(self) -> int:
        # a comment

        return 1
        # another one


def test_the_source_of_a_function_is_found_as_python_does() -> None:
    text = Path(__file__).read_text()
    inner = outer().__func__ if hasattr(outer(), "__func__") else outer()
    for function in (outer, inner, Kind.method, run_file):
        name = function.__qualname__
        assert function_source(text, name) == textwrap.dedent(inspect.getsource(function)), name
    assert function_source(text, "nothing") is None and function_source(text, "Kind.nothing") is None


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    broken, large = tmp_path / "broken.py", tmp_path / "large.py"
    broken.write_text("def f(:\n")
    assert present_digests(broken, "f") is None
    assert present_digests(broken) is not None
    with large.open("wb") as stream:
        stream.truncate(1 << 30)
    assert present_digests(large) is None
    assert present_digests(tmp_path / "missing.py") is None
    assert present_digests(Path(sys.executable).parent) is None
