"""Every recipe of the cookbook gives what a plain walk over a made-up project gives, on both databases."""

from __future__ import annotations

import ast
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


@dataclass
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
    return ids(file for file in found if file.run is None or not file.run.inputs)


def last_two_steps(asked: Asked) -> set[str]:
    first = asked.file.run
    assert first is not None
    return {first.id} | {file.run.id for file in first.inputs if file.run is not None}


def used_by(asked: Asked, handle: str) -> set[str]:
    return {file.id for run in asked.project.runs if run.user == handle for file in run.inputs}


def stale(asked: Asked) -> set[str]:
    current = {file.key: file for file in asked.shown}
    behind = {file.id: ids(asked.project.origins(file)[1]) for file in asked.shown if file.version > 1}
    found: set[str] = set()
    last_read = {run.id: list({file.key: file for file in run.inputs}.values()) for run in asked.project.runs}

    def is_reason(run: projects.PlainRun, file: PlainFile) -> bool:
        now = current.get(file.key)
        return file.is_trashed if now is None else now is not file and run.id not in behind[now.id]

    # A run reads what was made before it.
    for file in asked.project.files:
        run = file.run
        if run is not None and any(one.id in found or is_reason(run, one) for one in last_read[run.id]):
            found.add(file.id)
    return found


ANSWERS: dict[str, Callable[[Asked], Any]] = {
    "Files that a notebook made": lambda a: ids(
        f for f in a.shown if f.run is not None and f.run.transform.name == "Clustering 11"
    ),
    "Files that a user made last week": lambda a: ids(
        f for f in a.shown if f.user == "ada" and f.created_at >= a.now - timedelta(days=7)
    ),
    "Files that a user made since a date": lambda a: ids(
        f for f in a.shown if f.user == "ada" and f.created_at >= datetime(2026, 1, 31, tzinfo=UTC)
    ),
    "The ten largest files that a notebook made": lambda a: ids(
        sorted((f for f in a.shown if f.run is not None and f.run.transform.type == "notebook"), key=lambda f: -f.size)[
            :10
        ]
    ),
    "Files that were saved without a run": lambda a: ids(f for f in a.shown if f.run is None),
    "Notebooks that never made a file": lambda a: (
        {t.id for t in a.project.transforms if t.type == "notebook"}
        - {f.run.transform.id for f in a.project.files if f.run is not None}
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
        f for f in a.shown if f.run is not None and f.run.status in {"failed", "aborted"}
    ),
    "Results made from a version that is no longer current": lambda a: ids(a.shown) & stale(a),
    "Results made with uncommitted code": lambda a: ids(f for f in a.shown if f.run is not None and f.run.git_is_dirty),
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
        "What is affected, and whom to inform, if a file is wrong",
        "How one file led to another",
    }
    for title, code in recipes().items():
        assert len(code.strip().splitlines()) == 1, title


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
    rich = [file for file in failed if derived_users(Asked(project, file, file, now))]
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
    found = evaluate(recipes()["What is affected, and whom to inform, if a file is wrong"], asked)
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
