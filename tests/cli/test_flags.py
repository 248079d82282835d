"""`lamin flag` and `unflag`, and the marks that they leave."""

from __future__ import annotations

from pathlib import Path

import lamindb as ln
from tests.cli.conftest import Cli
from tests.support.histories import made


def test_flagged_and_affected_files_are_shown_everywhere(cli: Cli, local_instance: Path) -> None:
    raw = ln.File(b"1", key="raw/plate.csv").save()
    ln.File(b"1", key="raw/copy.csv").save()
    clean = made("clean", [raw], b"clean", "clean.csv")
    made("plot", [clean], b"plot", "plot.csv")
    flagged = cli("flag", "raw/plate.csv", "--reason", "contaminated")
    assert flagged.out.splitlines() == ["clean.csv", "plot.csv"]
    assert "flagged version 1 of 'raw/plate.csv'" in flagged.err and "2 current files are affected" in flagged.err
    assert "the same bytes: raw/copy.csv" in flagged.err
    cause = "version 1 of raw/plate.csv is flagged: contaminated"
    assert f"clean.csv  (5 B, affected: {cause})" in cli("ls", "clean.csv").out
    assert "plate.csv  (1 B, flagged: contaminated)" in cli("ls", "raw").out
    assert [" affected " in line for line in cli("ls", "--long", "clean.csv").out.splitlines()] == [False, True]
    by_key = {one["key"]: one for one in cli("ls", "--json").json}
    assert by_key["raw/plate.csv"]["flags"] == ["contaminated"] and by_key["raw/copy.csv"]["flags"] == []
    assert by_key["plot.csv"]["affected_by"] == {
        "id": raw.id,
        "title": "raw/plate.csv",
        "version": 1,
        "reasons": ["contaminated"],
    }
    assert by_key["raw/plate.csv"]["affected_by"] is None
    assert cause in cli("lineage", "plot.csv").out and cause in cli("describe", "plot.csv").out
    assert cause in cli("cat", "plot.csv").err
    cli("unflag", "raw/plate.csv", "--reason", "a mistake")
    assert "affected" not in cli("ls").out
    shown = cli("describe", "raw/plate.csv").out
    assert "contaminated" in shown and ": a mistake" in shown
    kinds = [(event["kind"], event["detail"]) for event in cli("history", "-n", "2", "--json").json]
    assert kinds == [("unflagged", "version 1: a mistake"), ("flagged", "version 1: contaminated")]
    assert "is not flagged" in cli("unflag", "raw/plate.csv", code=2).err


def test_a_version_is_flagged_by_its_number_or_its_id(cli: Cli, local_instance: Path) -> None:
    old = ln.File(b"1", key="raw.csv").save()
    made("clean", [old], b"clean", "clean.csv")
    new = ln.File(b"2", key="raw.csv").save()
    found = cli("flag", "raw.csv@1", "--reason", "wrong", "--json").json
    assert (found["id"], found["flags"][0]["reason"], found["same_bytes"]) == (old.id, "wrong", [])
    assert [one["key"] for one in found["affected"]] == ["clean.csv"]
    assert (old.is_flagged, new.is_flagged) == (True, False)
    assert "its versions are 1, 2" in cli("flag", "raw.csv@3", "--reason", "wrong", code=3).err
    assert "needs a reason" in cli("flag", "raw.csv", "--reason", " ", code=2).err
    assert "--reason" in cli("flag", "raw.csv", code=2).err
    old.delete()
    cli("unflag", old.id)
    assert not old.is_flagged


def test_the_plan_names_what_to_run(cli: Cli, local_instance: Path) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    made("clean", [raw], b"clean", "clean.csv")
    nothing = cli("plan")
    assert (nothing.out, "no file is stale" in nothing.err) == ("", True)
    assert cli("plan", "--json").json == {"units": [], "left_out": []}
    ln.File(b"2", key="raw.csv").save()
    assert cli("plan").out == "left out:\n  clean.csv: its run of 'clean' was recorded by hand\n"
    (left,) = cli("plan", "clean.csv", "--json").json["left_out"]
    assert (left["kind"], [file["key"] for file in left["files"]]) == ("no program", ["clean.csv"])
    assert "did you mean" in cli("plan", "claen.csv", code=3).err


def test_the_status_shows_what_needs_attention(cli: Cli, local_instance: Path) -> None:
    nothing = cli("status")
    assert (nothing.out, "nothing needs attention" in nothing.err) == ("", True)
    raw = ln.File(b"1", key="raw.csv").save()
    made("clean", [raw], b"clean", "clean.csv")
    ln.File(b"2", key="raw.csv").save()
    assert cli("status").out == (
        "stale files (`lamin plan` shows what to run):\n"
        "  version 1 of raw.csv was read; version 2 is current\n"
        "    clean.csv\n"
    )
    assert [one["files"][0]["key"] for one in cli("status", "--json").json["stale"]] == ["clean.csv"]
