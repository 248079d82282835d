"""Instances that earlier versions wrote are opened whole: every record, every byte, the view."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from tests.support import old_instance

VERSIONS = sorted(path.name for path in old_instance.FOLDER.iterdir())


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Unpack the project of an earlier version into the test's folder; return what has to be in it."""
    kept = old_instance.FOLDER / request.param
    with tarfile.open(kept / old_instance.ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="tar")
    monkeypatch.chdir(tmp_path)
    return json.loads((kept / old_instance.EXPECTED).read_text())


def test_everything_is_there(old: Any, tmp_path: Path) -> None:
    found = json.loads(json.dumps(old_instance.picture(tmp_path / "mydata")))
    for kind, expected in old.items():
        assert found[kind] == expected, kind
    assert {name: len(old[name]) for name in ("files", "runs", "transforms")} == {
        "files": 7, "runs": 4, "transforms": 3,
    }  # fmt: skip


def test_every_byte_is_verified(old: Any) -> None:
    from lamindb.maintenance.verify import verify

    report = verify()
    assert (report.corrupt, report.edited, report.orphans) == ((), (), ())
    # Its second storage was a folder of the machine on which it was made.
    assert [finding.needed_by[0].split()[0] for finding in report.missing] == ["elsewhere.txt"]
    assert report.is_complete
    assert report.checked >= 7


def test_work_goes_on_in_it(old: Any, tmp_path: Path) -> None:
    table = ln.File.select(key="results/table.csv").one()
    with ln.track(ln.Transform.select(name="Align").one()) as run:
        table.stage(is_run_input=True)
        new = ln.File(b"third", key="results/table.csv").save()
    assert new.versions.list("version") == [1, 2, 3]
    assert (tmp_path / "mydata" / "results" / "table.csv").read_text() == "third"
    assert [file.version for file in run.inputs] == [2]
    trashed = ln.File.objects.filter(trashed_at__isnull=False).one()
    assert trashed.restore().load() == "oops"
