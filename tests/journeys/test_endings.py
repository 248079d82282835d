"""How runs end is recorded right, however they end, wherever they write, and however much there is to write."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from tests.journeys import endings
from tests.journeys.endings import Case

CASES = endings.some_cases()


def test_each_value_stands_at_least_twice() -> None:
    for values in (endings.ENDINGS, endings.WAYS, endings.PLACES, endings.OBJECTS):
        for value in values:
            found = [
                c for c in CASES if value in (c.ending, c.way, c.place) or (value == c.objects and value is not True)
            ]
            assert len(found) >= 2, value


@pytest.mark.parametrize("case", [case for case in CASES if case.place == "folder"], ids=lambda case: case.name)
def test_on_a_folder(tmp_path: Path, case: Case) -> None:
    project = endings.make_project(tmp_path / "project", "./mydata")
    ln.connect(project)
    assert endings.run_case(project, case) == endings.expected(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.place == "S3"], ids=lambda case: case.name)
def test_on_a_bucket(tmp_path: Path, seaweed_root: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    project = endings.make_project(tmp_path / "project", seaweed_root)
    monkeypatch.chdir(project)
    ln.connect(seaweed_root)
    assert endings.run_case(project, case) == endings.expected(case)
