"""Every recipe of the cookbook gives what a plain walk over a made-up project gives, on both databases."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from tests.support import projects
from tests.support.projects import PlainFile, PlainProject

COOKBOOK = Path(__file__).parents[2] / "docs" / "cookbook.md"
_RECIPE = re.compile(r"^### (?P<title>[^\n]+)\n(?P<text>(?:(?!^#).)*?)^```python\n(?P<code>.*?)^```", re.M | re.S)


@dataclass(repr=False)
class Asked:
    """A project, and the files that the recipes are about."""

    project: PlainProject
    file: PlainFile
    other: PlainFile
    now: datetime

    @property
    def shown(self) -> list[PlainFile]:
        return [file for file in self.project.files if file.is_shown]

    def notebooks(self, runs: list[Any]) -> set[str]:
        return {run.transform.id for run in runs if run.transform.type == "notebook"}


def ids(found: Any) -> set[str]:
    return {one.id for one in found}


def month(asked: Asked) -> datetime:
    return asked.now - timedelta(days=30)


def derived_users(asked: Asked) -> set[str]:
    derived, _ = asked.project.derived(asked.file)
    return asked.notebooks([run for run in asked.project.runs if any(file in derived for file in run.inputs)])


def unused(asked: Asked) -> list[PlainFile]:
    used = {file.id for run in asked.project.runs for file in run.inputs}
    return [file for file in asked.shown if file.id not in used]


def roots(asked: Asked) -> set[str]:
    found = [*asked.project.origins(asked.file)[0], asked.file]
    return ids(file for file in found if not any(run.inputs for run in asked.project.producers(file)))


def last_two_steps(asked: Asked) -> set[str]:
    first = asked.project.producers(asked.file)
    return ids(first) | ids(run for one in first for file in one.inputs for run in asked.project.producers(file))


def used_by(asked: Asked, handle: str) -> set[str]:
    return {file.id for run in asked.project.runs if run.user == handle for file in run.inputs}


def stale(asked: Asked) -> set[str]:
    current = {file.key: file for file in asked.shown}
    newest = {file.id: run for run in asked.project.runs for file in run.outputs}
    behind = {file.id: ids(asked.project.origins(file)[1]) for file in asked.shown if file.version > 1}
    last_read = {run.id: list({file.key: file for file in run.inputs}.values()) for run in asked.project.runs}

    def is_reason(run: projects.PlainRun, file: PlainFile) -> bool:
        now = current.get(file.key)
        return file.is_trashed if now is None else now is not file and run.id not in behind[now.id]

    @functools.cache
    def is_stale(file_id: str) -> bool:
        run = newest.get(file_id)
        return run is not None and any(is_stale(one.id) or is_reason(run, one) for one in last_read[run.id])

    return {file.id for file in asked.project.files if is_stale(file.id)}


ANSWERS: dict[str, Callable[[Asked], Any]] = {
    "Files that a notebook made": lambda a: (
        ids(a.shown) & ids(f for r in a.project.runs if r.transform.name == "Clustering 11" for f in r.outputs)
    ),
    "Files that a user made last week": lambda a: ids(
        f for f in a.shown if f.user == "ada" and f.created_at >= a.now - timedelta(days=7)
    ),
    "Files that a user made since a date": lambda a: ids(
        f for f in a.shown if f.user == "ada" and f.created_at >= datetime(2026, 1, 31, tzinfo=UTC)
    ),
    "The ten largest files that a notebook made": lambda a: ids(
        sorted(
            (f for f in a.shown if any(r.transform.type == "notebook" for r in a.project.producers(f))),
            key=lambda f: -f.size,
        )[:10]
    ),
    "Files that were saved without a run": lambda a: ids(f for f in a.shown if f.run is None),
    "Notebooks that never made a file": lambda a: (
        {t.id for t in a.project.transforms if t.type == "notebook"}
        - {r.transform.id for r in a.project.runs if r.outputs}
    ),
    "Runs that read a file": lambda a: ids(a.project.readers(a.file)),
    "Notebooks that read a file": lambda a: a.notebooks(a.project.readers(a.file)),
    "Notebooks that used anything derived from a file": derived_users,
    "Notebooks that used a file or anything derived from it": lambda a: a.notebooks(a.project.derived(a.file)[1]),
    "Files that no run has read": lambda a: ids(unused(a)),
    "Unused results older than a month": lambda a: ids(
        f for f in unused(a) if f.run is not None and f.created_at < month(a)
    ),
    "Files that two users both worked with": lambda a: ids(a.shown) & used_by(a, "ada") & used_by(a, "ben"),
    "All ancestors of a file": lambda a: ids(a.project.origins(a.file)[0]),
    "The raw files that it came from": roots,
    "The runs behind a file": lambda a: ids(a.project.origins(a.file)[1]),
    "The last two steps behind a file": last_two_steps,
    "Figures derived from a file": lambda a: ids(f for f in a.project.derived(a.file)[0] if f.suffix == ".png"),
    "Common ancestors of two results": lambda a: ids(a.project.origins(a.file)[0]) & ids(a.project.origins(a.other)[0]),
    "Runs that failed": lambda a: ids(r for r in a.project.runs if r.status == "failed"),
    "Runs that failed after reading a file": lambda a: ids(
        r for r in a.project.readers(a.file) if r.status == "failed"
    ),
    "Results of runs that did not complete": lambda a: ids(
        f for f in a.shown if any(r.status in {"failed", "aborted"} for r in a.project.producers(f))
    ),
    "Results made from a version that is no longer current": lambda a: ids(a.shown) & stale(a),
    "Runs behind a file that did not complete": lambda a: ids(
        r for r in a.project.origins(a.file)[1] if r.status in {"failed", "aborted"}
    ),
    "Runs with uncommitted code behind a file": lambda a: ids(
        r for r in a.project.origins(a.file)[1] if r.git_is_dirty
    ),
    "The stale ones of some files": lambda a: ids(f for f in a.shown if f.suffix == ".png") & stale(a),
    "Results made with uncommitted code": lambda a: ids(
        f for f in a.shown if any(r.git_is_dirty for r in a.project.producers(f))
    ),
    "Runs with a parameter above a value": lambda a: ids(r for r in a.project.runs if r.params.get("lr", 0) > 0.005),
    "Notebooks that failed in the last month": lambda a: a.notebooks(
        [r for r in a.project.runs if r.status == "failed" and r.started_at >= month(a)]
    ),
}


def recipes() -> dict[str, str]:
    """Return the code of each recipe."""
    return {found["title"]: found["code"] for found in _RECIPE.finditer(COOKBOOK.read_text(encoding="utf-8"))}


def test_every_recipe_is_one_line_and_is_checked() -> None:
    assert set(recipes()) == set(ANSWERS) | {
        "What was derived from a file, and whom to inform if it is wrong",
        "How one file led to another",
        "Files derived from a flagged one",
        "What needs attention",
        "What to run again, in order",
        "Why a file differs from its version before",
        "How often each revision of a notebook's code was run",
    }
    for title, code in recipes().items():
        assert len(code.strip().splitlines()) == 1, title


def has_odd_past(project: PlainProject, file: PlainFile) -> bool:
    runs = project.origins(file)[1]
    return any(run.status in {"failed", "aborted"} for run in runs) and any(run.git_is_dirty for run in runs)


@pytest.fixture
def asked(instance: Path) -> Asked:
    now = datetime.now(UTC)
    project = projects.make(now=now)
    projects.write(project)
    assert len(project.files) == 2_000
    assert sum(one.type == "notebook" for one in project.transforms) == 50
    failed = [
        file
        for file in project.files
        if file.is_shown and file.run is not None and any(r.status == "failed" for r in project.readers(file))
    ]
    rich = [file for file in failed if derived_users(Asked(project, file, file, now)) and has_odd_past(project, file)]
    origins = {file.id: ids(project.origins(file)[0]) for file in rich}
    file, other = next(
        (one, two) for one in rich for two in rich if one is not two and origins[one.id] & origins[two.id]
    )
    return Asked(project, file, other, now)


def evaluate(code: str, asked: Asked) -> Any:
    names: dict[str, Any] = {
        "ln": ln,
        "datetime": datetime,
        "timedelta": timedelta,
        "UTC": UTC,
        "file": ln.File.select(id=asked.file.id).one(),
        "other": ln.File.select(id=asked.other.id).one(),
    }
    return eval(compile(ast.parse(code.strip(), mode="eval"), str(COOKBOOK), "eval"), names)


def test_every_recipe_gives_the_right_answer(asked: Asked) -> None:
    wrong = []
    for title, answer in ANSWERS.items():
        listed = [record.id for record in evaluate(recipes()[title], asked)]
        expected = answer(asked)
        assert expected, f"the project has no example for {title!r}"
        if len(set(listed)) != len(listed) or set(listed) != expected:
            wrong.append(f"{title}: {len(listed)} instead of {len(expected)}")
    assert wrong == []


def test_impact_names_all_users(asked: Asked) -> None:
    found = evaluate(recipes()["What was derived from a file, and whom to inform if it is wrong"], asked)
    files, runs = asked.project.derived(asked.file)
    assert ids(found.files) == ids(files)
    assert ids(found.runs) == ids(runs)
    assert set(found.users) == {run.user for run in runs}
    assert {group.transform_id for group in found.groups} == {run.transform.id for run in runs}


def test_a_way_leads_through_runs_that_read_and_made(asked: Asked) -> None:
    graph = evaluate(recipes()["How one file led to another"], asked).graph
    files, runs = asked.project.origins(asked.file)
    assert ids(graph.files) <= ids(files) | {asked.file.id}
    assert ids(graph.runs) <= ids(runs)
    assert len(graph.files) == len(graph.runs) + 1
    assert asked.file.id in ids(graph.files)


def test_what_was_derived_from_a_flagged_file_is_affected(asked: Asked) -> None:
    ln.File.get(asked.file.id).flag("wrong")
    listed = [file.id for file in evaluate(recipes()["Files derived from a flagged one"], asked)]
    assert sorted(listed) == sorted(ids(asked.project.derived(asked.file)[0]) & ids(asked.shown))


def test_recipes_say_why_and_what_to_run(local_instance: Path) -> None:
    def run(name: str, read: str, made: str) -> None:
        with ln.track(ln.Transform(name=name, type="pipeline"), new_run=True):
            content = ln.File.select(key=read).one().load(is_run_input=True)
            ln.File(f"{name} of {content}".encode(), key=made).save()

    def ask(title: str) -> Any:
        return eval(recipes()[title], {"ln": ln, "file": ln.File.select(key="result.txt").one()})

    for content in (b"one", b"two"):
        ln.File(content, key="raw.txt").save()
        run("first", "raw.txt", "middle.txt")
        run("second", "middle.txt", "result.txt")
    assert [cause.kind for cause in ask("Why a file differs from its version before").causes] == ["saved"]
    assert not ask("What to run again, in order").units
    ln.File(b"three", key="raw.txt").save()
    assert "version 2 of raw.txt was read; version 3 is current" in str(ask("What needs attention"))
    plan = ask("What to run again, in order")
    assert {file.key for unit in (*plan.units, *plan.left_out) for file in unit.files} == {"middle.txt", "result.txt"}
    assert ask("How often each revision of a notebook's code was run") == [(1, 2)]
