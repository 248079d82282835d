"""What needs attention in an instance, on both databases: `ln.lineage.status()` and `lamin status`."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.storage import view
from tests.support.histories import History, made


def test_stale_and_affected_files_are_grouped_by_their_nearest_cause(instance: Path) -> None:
    assert not ln.lineage.status() and repr(ln.lineage.status()) == "nothing needs attention"
    raw, other = (ln.File(key.encode(), key=key).save() for key in ("raw", "other"))
    clean = made("clean", [raw], b"clean", "clean")
    made("plot", [clean], b"plot", "plot")
    made("both", [clean, other], b"both", "both")
    new = ln.File(b"2", key="raw").save()
    raw.flag("contaminated")
    new.flag("late")
    other.delete()
    found = ln.lineage.status()
    assert [(one.read, one.current, [file.key for file in one.files]) for one in found.stale] == [
        (other, None, ["both"]),
        (raw, new, ["clean", "plot"]),
    ]
    assert {one.flagged.id: (one.reasons, [file.key for file in one.files]) for one in found.affected} == {
        raw.id: (("contaminated",), ["both", "clean", "plot"]),
        new.id: (("late",), []),
    }
    text = repr(found)
    assert "  version 1 of raw was read; version 2 is current\n    clean\n    plot\n" in text
    assert "  version 1 of other was read; it is in the trash\n    both\n" in text
    assert "  version 1 of raw is flagged: contaminated\n    both\n" in text
    plain = json.loads(found.to_json())
    assert [one["kind"] for one in plain["stale"]] == ["removed", "superseded"]
    assert (plain["failed"], plain["edited"], plain["uncommitted"]) == ([], [], [])


def test_the_causes_of_the_same_files_are_listed_together(instance: Path) -> None:
    raw = [ln.File(b"1 %d" % n, key=f"raw/{n}").save() for n in range(8)]
    made("merge", raw, b"merged", "merged")
    ln.save([ln.File(b"2 %d" % n, key=f"raw/{n}") for n in range(8)])
    text = repr(ln.lineage.status())
    assert text.count("was read; version 2 is current") == 5
    assert "is current\n  + 3 more\n    merged" in text
    assert len(ln.lineage.status().stale) == 8
    plan = repr(ln.lineage.plan())
    assert "merged" in plan and plan.count("was read; version 2 is current") in {0, 5}


@pytest.mark.parametrize("seed", range(3))
def test_every_stale_file_of_a_random_history_is_under_a_cause(instance: Path, seed: int) -> None:
    history = History(seed)
    for _ in range(25):
        history.step()
    found = ln.lineage.status().stale
    assert {file.id for one in found for file in one.files} == set(ln.lineage.stale().list("id"))
    for one in found:
        for file in one.files:
            reasons = file.staleness().reasons
            nearest = {reason.read.id for reason in reasons if len(reason.chain) == len(reasons[0].chain)}
            assert one.read.id in nearest


def test_only_the_last_run_of_each_transform_counts(instance: Path) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)

    def run(name: str, minute: int, **facts: Any) -> ln.Run:
        transform = ln.Transform(name=name, type="pipeline").save()
        new = ln.Run(transform=transform, parent=facts.pop("parent", None)).save()
        ln.Run.objects.filter(id=new.id).update_rows({"created_at": start + timedelta(minutes=minute), **facts})
        return ln.Run.objects.get(id=new.id)

    run("mended", 1, status="failed", git_is_dirty=True)
    run("mended", 2, status="completed", git_is_dirty=False)
    run("broken", 3, status="completed")
    broken = run("broken", 4, status="failed", exit_code=3)
    killed = run("killed", 5, status="aborted", git_is_dirty=True, git_commit="0123456789")
    run("step", 6, status="failed", parent=broken)
    found = ln.lineage.status()
    assert (found.failed, found.uncommitted) == ((killed, broken), (killed,))
    assert f"{broken.id}  broken · failed" in repr(found) and f"{killed.id}  killed · on 0123456" in repr(found)
    assert found.as_dict()["failed"][1]["exit_code"] == 3


def test_edited_files_of_the_view_are_found_and_others_are_not_read(
    local_instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.txt").write_text("1")
    ln.File(folder, key="images").save()
    keys = ("same size", "longer", "removed", "a/link", "a/plain", "touched")
    for key in keys:
        ln.File(f"{key} old".encode(), key=key).save()
    assert ln.lineage.status().edited == ()
    _edit(local_instance / "same size", b"same size new")
    _edit(local_instance / "longer", b"longer, and longer")
    _edit(local_instance / "touched", b"touched old")
    (local_instance / "removed").unlink()
    (local_instance / "a" / "link").unlink()
    (local_instance / "a" / "link").symlink_to(local_instance / "a" / "plain")
    _edit(local_instance / "images" / "1.txt", b"2")
    assert ln.lineage.status().edited == ("a/link", "images", "longer", "same size")
    assert "edited files in the storage folder" in repr(ln.lineage.status())

    def refuse(path: Any) -> str:
        raise AssertionError(f"{path} was read")

    for key in ("same size", "longer", "touched", "a/link"):
        ln.File.select(key=key).one().delete()
    _edit(local_instance / "images" / "1.txt", b"1")
    monkeypatch.setattr(view.ViewInspector, "digest", refuse)
    monkeypatch.setattr(view.ViewInspector, "state_of_folder", lambda *_: "ours")
    assert ln.lineage.status().edited == ()


def _edit(path: Path, data: bytes) -> None:
    """Write a file as an editor does: another file takes its place."""
    new = path.with_name("edited")
    new.write_bytes(data)
    os.replace(new, path)


def test_a_folder_that_became_a_link_is_not_followed(local_instance: Path, tmp_path: Path) -> None:
    ln.File(b"1", key="a/b.txt").save()
    (local_instance / "a").rename(tmp_path / "elsewhere")
    (local_instance / "a").symlink_to(tmp_path / "elsewhere")
    assert ln.lineage.status().edited == ("a/b.txt",)
