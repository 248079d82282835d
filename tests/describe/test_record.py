"""`describe()`: everything about a record on one page, and nothing that is secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.errors import InvalidInputError, NoResultFound
from tests.support.lineages import Plain, write

SECRETS = {"api_key": "sk-abcdefghijklmnop1234", "db": {"password": "hunter2hunter2"}}


@pytest.fixture
def project(instance: Path, tmp_path: Path) -> dict[str, Any]:
    """A pipeline that made a file, a notebook that read it and made two versions of another, a script that failed."""
    (tmp_path / "raw.fastq.gz").write_bytes(b"x" * 2_000)
    first = ln.track(ln.Transform(name="Cell Ranger", version="7.2.0", type="pipeline"), params={"lr": 0.1, **SECRETS})
    raw = ln.File(tmp_path / "raw.fastq.gz", key="raw/s1.fastq.gz", description="as it came").save()
    second = ln.track(ln.Transform(name="Quality control", type="notebook"))
    raw.stage(is_run_input=True)
    for number in range(2):
        (tmp_path / "a.csv").write_text(f"a\n{number}\n")
        table = ln.File(tmp_path / "a.csv", key="qc/a.csv").save()
    third = ln.track(ln.Transform(name="broken", type="script"))
    table.load(is_run_input=True)
    with pytest.raises(ValueError, match="bad"), third:
        raise ValueError("bad: password=hunter2hunter2")
    return {"raw": raw, "table": table, "runs": [ln.Run.select(id=run.id).one() for run in (first, second, third)]}


def facts(record: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.describe().to_json())["sections"].get(name, {"facts": {}})["facts"]
    return found


def records(record: Any, name: str) -> list[str]:
    found = json.loads(record.describe().to_json())["sections"].get(name, {"records": []})["records"]
    return [one["name"] for one in found]


def test_a_file(project: dict[str, Any]) -> None:
    raw, table = project["raw"], project["table"]
    about = facts(raw, "file")
    assert about["key"] == "raw/s1.fastq.gz"
    assert (about["size"], about["hash"], about["blake3"]) == (2_000, raw.hash, raw.digest)
    assert about["saved_at"] == raw.created_at.isoformat()
    assert about["saved_by"] == ln.User.select().one().handle
    assert facts(raw, "made_by")["transform"] == "Cell Ranger"
    assert facts(raw, "made_by")["transform_version"] == "7.2.0"
    assert facts(raw, "made_by")["params"]["lr"] == 0.1
    assert facts(raw, "storage")["state"] == "there"
    assert facts(raw, "storage")["path"] == str(raw.path())
    assert records(raw, "read_by") == ["Quality control v1 · caller's code 1"]
    assert records(raw, "derived_from_it") == ["qc/a.csv", "qc/a.csv"]
    assert [facts(table, "file")[name] for name in ("version", "is_latest", "versions")] == [2, True, 2]
    assert "2, current, of 2" in repr(table.describe())
    assert records(table, "inputs_of_that_run") == ["raw/s1.fastq.gz"]
    assert records(table, "read_by") == ["broken v1 · caller's code 1"]
    assert len(records(table, "versions")) == 2
    older = table.versions.first()
    assert (facts(older, "file")["version"], facts(older, "file")["is_latest"]) == (1, False)
    assert "1, older, of 2" in repr(older.describe())
    assert "path" not in facts(older, "storage")


def test_a_run_and_a_transform(project: dict[str, Any]) -> None:
    first, second, third = project["runs"]
    about = facts(second, "run")
    assert (about["status"], about["transform"], about["type"]) == ("completed", "Quality control", "notebook")
    assert about["took"] >= 0
    assert records(second, "inputs") == ["raw/s1.fastq.gz"]
    assert records(second, "outputs") == ["qc/a.csv", "qc/a.csv"]
    assert "ValueError: bad" in third.describe().to_text()
    assert facts(third, "run")["status"] == "failed"
    about = facts(first.transform, "transform")
    assert (about["version"], about["runs_by_status"]) == ("7.2.0", {"completed": 1})
    assert about["run_by"] == [ln.User.select().one().handle]
    assert records(second.transform, "files_read") == ["raw/s1.fastq.gz"]
    assert len(records(second.transform, "files_made")) == 2


def test_secrets_are_never_shown(project: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first = project["runs"][0]
    stored = {
        "params": SECRETS,
        "arguments": ["tool", "--password", "hunter2hunter2"],
        "git_repository": "https://ada:hunter2hunter2@git.example/x.git",
        "error": "token=hunter2hunter2",
    }
    ln.Run.objects.filter(id=first.id).update_rows(stored)
    for record in (project["raw"], ln.Run.select(id=first.id).one(), first.transform):
        page = record.describe()
        for text in (repr(page), page._repr_html_(), page.to_json()):
            assert "hunter2" not in text
            assert "abcdefghijklmnop" not in text
    assert "git.example" in repr(ln.Run.select(id=first.id).one().describe())


def test_missing_and_changed_bytes_are_said(project: dict[str, Any], tmp_path: Path) -> None:
    raw = project["raw"]
    stored = Path(facts(raw, "storage")["object"])
    os.chmod(stored.parent, 0o700)
    stored.unlink()
    assert "missing" in facts(raw, "storage")["state"]
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "b.txt").write_text("here")
    ln.Storage(root=str(other)).save()
    there = ln.File(other / "b.txt").save()
    assert facts(there, "storage") == {"root": str(other), "path": str(other / "b.txt"), "state": "there"}
    (other / "b.txt").write_text("changed")
    assert "changed" in facts(there, "storage")["state"]
    (other / "b.txt").unlink()
    assert facts(there, "storage")["state"] == "missing"


def test_describing_mends_and_changes_nothing(project: dict[str, Any]) -> None:
    raw = project["raw"]
    raw.path().unlink()
    before = raw.updated_at
    raw.describe()
    assert not (Path(facts(raw, "storage")["root"]) / "raw/s1.fastq.gz").exists()
    assert ln.File.select(id=raw.id).one().updated_at == before


def test_long_lists_say_how_many_more(instance: Path) -> None:
    written = write(Plain([None, *range(12)], [0] * 12, {(run, 0) for run in range(12)}))
    page = written.record("file", 0).describe()
    assert "read by: 12" in page.to_text()
    assert "… and 7 more" in page.to_text()
    assert records(written.record("file", 0), "derived_from_it") == [
        written.record("file", number).key for number in (12, 11, 10, 9, 8)
    ]
    assert json.loads(page.to_json())["sections"]["derived_from_it"]["count"] == 12


def test_the_trash_and_other_producers_are_said(project: dict[str, Any], tmp_path: Path) -> None:
    raw = project["raw"]
    ln.track(ln.Transform(name="again"))
    ln.File(tmp_path / "raw.fastq.gz", key="raw/s1.fastq.gz").save()
    ln.finish()
    assert records(raw, "made_again_by") == ["again v1 · caller's code 1"]
    raw.delete()
    assert "in trash since" in ln.File.objects.get(id=raw.id).describe().to_text()


def test_hostile_names_reach_neither_terminal_nor_notebook(instance: Path) -> None:
    written = write(Plain([None, 0], [0], {(0, 0)}))
    ln.Transform.objects.filter(id=written.transforms[0]).update_rows({"name": "<b>\x1b[31m\n</b>"})
    for record in (written.record("file", 1), written.record("run", 0), written.record("transform", 0)):
        page = record.describe()
        assert "\x1b" not in repr(page) + page._repr_html_()
        assert "<b>" not in page._repr_html_()
        assert "&lt;b&gt;" in page._repr_html_()


def test_what_is_not_there_is_a_clear_error(instance: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    file = ln.File(tmp_path / "a.txt", key="a.txt")
    with pytest.raises(InvalidInputError, match="not saved"):
        file.describe()
    file.save()
    ln.File.select(key="a.txt").one().delete(permanent=True)
    with pytest.raises(NoResultFound, match="deleted"):
        file.describe()


def test_code_logs_and_how_files_were_watched_are_said(local_instance: Path, tmp_path: Path) -> None:
    script = tmp_path / "make.py"
    script.write_text(
        "import lamindb as ln\n"
        f"ln.connect({str(local_instance)!r})\n"
        "ln.track()\n"
        "print('printed by it')\n"
        "ln.File(b'made', key='made.txt').save()\n"
    )
    subprocess.run([sys.executable, str(script)], check=True, capture_output=True, timeout=60)
    file = ln.File.select(key="made.txt").one()
    for record, name in ((file.run, "code_and_logs"), (file, "code_and_logs_of_that_run")):
        kept = facts(record, name)
        assert "key='made.txt'" in Path(kept["source"]).read_text()
        assert "django" in Path(kept["packages"]).read_text().lower()
        assert "printed by it" in Path(kept["log"]).read_text()
        assert kept["to_print_the_log"] == ["lamin", "log", file.run.id]
        assert f"lamin log {file.run.id}" in repr(record.describe())
    assert facts(file.run, "capture")["mode"] == "off"
    watched = {
        "mode": "patched",
        "completeness": "partial",
        "reasons": ["a process began", "an\x1b exec"],
        "files": [{}],
    }
    ln.Run.objects.filter(id=file.run.id).update_rows({"capture": watched, "report_digest": f"{'a' * 64}.html"})
    run = ln.Run.select(id=file.run.id).one()
    assert facts(run, "capture")["reasons"] == watched["reasons"]
    assert facts(run, "capture")["files_seen"] == 1
    assert facts(run, "code_and_logs")["report"].endswith(".html")
    assert "a process began, an\\x1b exec" in repr(run.describe())


def test_a_run_lists_its_outputs_once(project: dict[str, Any]) -> None:
    first, second, _ = project["runs"]
    assert records(first, "outputs") == ["raw/s1.fastq.gz"]
    assert records(first, "derived_from_it") == ["qc/a.csv", "qc/a.csv"]
    assert records(second, "derived_from_it") == []


def test_json_is_typed(project: dict[str, Any]) -> None:
    third = project["runs"][2]
    page = json.loads(third.describe().to_json())
    assert page["format_version"] == 2
    assert "ValueError: bad" in page["sections"]["error"]["facts"]["text"]
    (read,) = page["sections"]["inputs"]["records"]
    assert {name: read[name] for name in ("kind", "name", "version", "is_latest", "is_trashed")} == {
        "kind": "file",
        "name": "qc/a.csv",
        "version": 2,
        "is_latest": True,
        "is_trashed": False,
    }
    (reader,) = json.loads(project["table"].describe().to_json())["sections"]["read_by"]["records"]
    assert (reader["status"], reader["by"]) == ("failed", ln.User.select().one().handle)
    for found in (page, json.loads(project["raw"].describe().to_json())):
        assert all(name.isidentifier() for section in found["sections"].values() for name in section["facts"])


def test_lists_and_commands_are_told_apart(project: dict[str, Any]) -> None:
    first = project["runs"][0]
    ln.Run.objects.filter(id=first.id).update_rows({"arguments": ["tool", "two words", "--fast"]})
    run = ln.Run.select(id=first.id).one()
    assert "tool 'two words' --fast" in repr(run.describe())
    assert facts(run, "run")["arguments"] == ["tool", "two words", "--fast"]


def test_a_file_in_the_trash_is_not_called_older(project: dict[str, Any]) -> None:
    project["raw"].delete()
    shown = repr(ln.File.objects.get(id=project["raw"].id).describe())
    assert "1, in trash" in shown and "older" not in shown
