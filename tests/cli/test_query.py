"""`lamin search`, `history`, `describe`, `lineage` and `stale`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import lamindb as ln
from tests.cli.conftest import Cli


@pytest.fixture
def chain(local_instance: Path) -> dict[str, ln.File]:
    """Make raw → clean → plot, by two pipelines."""
    files = {"raw": ln.File(b"raw", key="raw/reads.csv").save()}
    for name, source in (("clean", "raw"), ("plot", "clean")):
        run = ln.track(ln.Transform(name=f"make {name}", type="pipeline"))
        run.inputs.append(files[source])
        files[name] = ln.File(name.encode(), key=f"{name}/{name}.csv").save()
    ln.finish()
    return files


def test_search_ranks_and_forgives(cli: Cli, chain: dict[str, ln.File]) -> None:
    found = cli("search", "claen", "--json").json
    assert found[0]["key"] == "clean/clean.csv" and 0 < found[0]["score"] <= 100
    assert cli("search", "make", "--type", "transform").out.count("make ") == 2
    assert cli("search", "make plot", "--type", "transform", "--json", "-n", "1").json[0]["name"] == "make plot"
    assert cli("search", chain["raw"].created_by.handle, "--type", "user", "--json").json[0]["id"]  # type: ignore[union-attr]
    assert "no matching files" in cli("search", "ⓩⓩⓩⓩ").err
    cli("search", "x", "--field", "nope", code=2)


def test_search_finds_runs_by_name(cli: Cli, chain: dict[str, ln.File]) -> None:
    ln.Run(transform=ln.Transform.select(name="make plot").one(), name="by night").save()
    (found,) = cli("search", "by night", "--type", "run", "--json").json
    assert found["transform"] == "make plot" and found["score"] == 100
    assert len(cli("search", "make plot", "--type", "run", "--json").json) == 3
    assert [one["name"] for one in cli("search", "make plot", "--type", "run", "--json", "-n", "2").json] == [
        "by night",
        None,
    ]
    assert "make plot, by hand" in cli("search", "by night", "--type", "run").out


def test_search_finds_files_by_name_and_by_key_and_users_by_name(cli: Cli, chain: dict[str, ln.File]) -> None:
    ln.File(b"1", name="notes without key").save()
    ln.File(b"2", key="tables/2.csv", name="the second table").save()
    assert "notes without key" in cli("search", "notes").out
    assert cli("search", "clean/clean.csv", "--json", "-n", "1").json[0]["score"] == 100
    found = cli("search", "second table").out
    assert "tables/2.csv" in found and "the second table" in found
    assert "no matching files" in cli("search", "notes", "--field", "key").err
    ln.User.objects.all().update_rows({"name": "Zoë Dupont"})
    assert "Zoë Dupont" in cli("search", "dupont", "--type", "user").out


def test_history_tells_the_latest_first(cli: Cli, chain: dict[str, ln.File]) -> None:
    found = cli("history", "--json").json
    assert [(one["kind"], one["what"]) for one in found][:2] == [("saved", "plot/plot.csv"), ("ran", "make plot")]
    assert set(found[0]) == {"at", "kind", "who", "what", "id", "detail", "transform", "run"}
    assert len(cli("history", "-n", "3", "--json").json) == 3
    assert "plot/plot.csv" in cli("history").out
    cli("history", "--user", "nobody", code=3)
    cli("history", "-n", "0", code=2)


def test_history_of_a_file_and_of_its_old_key(cli: Cli, chain: dict[str, ln.File]) -> None:
    cli("mv", "clean/clean.csv", "tidy/clean.csv")
    cli("rm", "tidy/clean.csv")
    found = cli("history", "tidy/clean.csv", "--json").json
    assert [(one["kind"], one["detail"]) for one in found] == [
        ("removed", "version 1"),
        ("renamed", "from clean/clean.csv to tidy/clean.csv"),
        ("saved", "version 1"),
    ]
    assert (found[2]["transform"], found[2]["run"]) == ("make clean", chain["clean"].run_id)
    cli("trash", "restore", "tidy/clean.csv")
    shown = cli("history", "tidy/clean.csv").out.splitlines()
    assert "restored" in shown[1] and "from clean/clean.csv to tidy/clean.csv" in shown[3] and len(shown) == 5
    assert len(cli("history", chain["clean"].id, "-n", "1", "--json").json) == 1
    for command in ("history", "describe", "lineage"):
        assert "it was renamed to 'tidy/clean.csv'" in cli(command, "clean/clean.csv", code=3).err
    ln.File(b"new", key="tidy/clean.csv").save()
    for name in ("clean/clean.csv", "clean/clean.csv@1"):
        assert "it was renamed to 'tidy/clean.csv'" in cli("describe", name, code=3).err
    cli("rm", "raw/reads.csv")
    assert cli("history", "raw/reads.csv", "--json").json[0]["kind"] == "removed"


def test_describe_knows_every_kind(cli: Cli, chain: dict[str, ln.File]) -> None:
    plot = chain["plot"]
    assert plot.run is not None
    for name in ("plot/plot.csv", plot.id, plot.run.id, "make plot"):
        shown = cli("describe", name).out
        assert "make plot" in shown
        assert json.loads(cli("describe", name, "--json").out)["title"]
    cli("describe", "nope", code=3)


def test_lineage_goes_both_ways(cli: Cli, chain: dict[str, ln.File]) -> None:
    both, up, down = (cli("lineage", "clean/clean.csv", *way).out for way in ([], ["--up"], ["--down"]))
    assert "reads.csv" in both and "plot.csv" in both
    assert "reads.csv" in up and "plot.csv" not in up
    assert "plot.csv" in down and "reads.csv" not in down
    near = cli("lineage", "plot/plot.csv", "--up", "--depth", "1").out
    assert "clean.csv" in near and "reads.csv" not in near
    assert "use --depth all to see all" in near
    assert "reads.csv" in cli("lineage", "plot/plot.csv", "--depth", "all").out
    assert (
        "use a higher --max-nodes to see all"
        in cli("lineage", "plot/plot.csv", "--depth", "all", "--max-nodes", "2").out
    )
    for wrong in (["--depth", "-1"], ["--depth", "x"], ["--format", "png"], ["--max-nodes", "0"]):
        cli("lineage", "plot/plot.csv", *wrong, code=2)


@pytest.mark.parametrize(
    ("form", "start"), [("svg", "<svg"), ("mermaid", ""), ("dot", "digraph"), ("html", "<!doctype html"), ("json", "{")]
)
def test_lineage_is_drawn_in_every_format(
    form: str, start: str, cli: Cli, chain: dict[str, ln.File], tmp_path: Path
) -> None:
    shown = cli("lineage", "plot/plot.csv", "--format", form).out
    assert shown.lower().startswith(start) and "reads.csv" in shown
    target = tmp_path / f"drawn.{form if form != 'mermaid' else 'mmd'}"
    done = cli("lineage", "plot/plot.csv", "-o", target)
    assert done.out == "" and target.read_text() == shown
    cli("lineage", "plot/plot.csv", "--format", form, "-o", tmp_path / "other.txt")
    assert (tmp_path / "other.txt").read_text() == shown


@pytest.mark.parametrize("form", [[], ["--format", "svg"]])
def test_a_drawing_may_go_to_the_home_folder(
    form: list[str], cli: Cli, chain: dict[str, ln.File], isolated_home: Path
) -> None:
    cli("lineage", "plot/plot.csv", *form, "-o", "~/x.svg")
    assert (isolated_home / "x.svg").read_text().startswith("<svg")
    assert (
        "~nobody-here" in cli("lineage", "plot/plot.csv", *form, "-o", "~nobody-here/x.svg", code=2 if form else 4).err
    )


def test_a_drawing_that_cannot_be_written_is_one_error(cli: Cli, chain: dict[str, ln.File], tmp_path: Path) -> None:
    cli("lineage", "plot/plot.csv", "-o", tmp_path / "x.png", code=2)
    cli("lineage", "plot/plot.csv", "--format", "svg", "-o", tmp_path / "no" / "x.svg", code=2)
    assert list(tmp_path.glob("x*")) == []


def test_no_generation_is_no_generation(cli: Cli, chain: dict[str, ln.File]) -> None:
    assert cli("lineage", "clean/clean.csv", "--depth", "0", "--format", "json").json["runs"] == []
    shown = cli("lineage", "clean/clean.csv", "--depth", "0").out
    assert "make" not in shown and "--depth all" in shown


def test_one_terminal_has_one_clock(
    cli: Cli, chain: dict[str, ln.File], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = chain["plot"].run
    assert run is not None and run.started_at is not None
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        here = f"{run.started_at.astimezone():%Y-%m-%d %H:%M}"
        for command in (["lineage", "plot/plot.csv"], ["describe", run.id], ["show", run.id], ["runs"]):
            shown = cli(*command).out
            assert here in shown and "UTC" not in shown, command
        cli("lineage", "plot/plot.csv", "-o", tmp_path / "x.txt")
        assert f"{run.started_at:%Y-%m-%d %H:%M} UTC" in (tmp_path / "x.txt").read_text()
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_path_shows_the_way(cli: Cli, chain: dict[str, ln.File]) -> None:
    shown = cli("path", "raw/reads.csv", "plot/plot.csv").out
    assert all(word in shown for word in ("reads.csv", "make clean", "clean.csv", "make plot", "plot.csv"))
    assert cli("path", "raw/reads.csv", "plot/plot.csv", "--all", "--format", "json").json["files"]
    assert cli("path", chain["raw"].id, "make plot", "--json").json["edges"]
    back = cli("path", "plot/plot.csv", "raw/reads.csv")
    assert back.out == "there is no path from 'plot/plot.csv' to 'raw/reads.csv'\n"
    assert cli("path", "plot/plot.csv", "raw/reads.csv", "--json").json["files"] == []
    assert "did you mean" in cli("path", "raw/raeds.csv", "plot/plot.csv", code=3).err


def test_impact_says_what_and_who(cli: Cli, chain: dict[str, ln.File]) -> None:
    handle = ln.User.select().one().handle
    shown = cli("impact", "raw/reads.csv").out
    assert f"2 files of 2 transforms, by {handle}" in shown
    assert f"  clean/clean.csv · made by {handle} · last read by {handle} " in shown
    assert shown.index("make plot v1") < shown.index("make clean v1")
    found = cli("impact", "raw/reads.csv", "--json").json
    assert [one["name"] for one in found["transforms"]] == ["make plot", "make clean"]
    assert "nothing was derived" in cli("impact", "plot/plot.csv").err
    ln.File(b"newer", key="raw/reads.csv").save()
    assert "--any-version" in cli("impact", "raw/reads.csv").err
    assert "2 files of 2 transforms" in cli("impact", "raw/reads.csv", "--any-version").out
    assert "2 files of 2 transforms" in cli("impact", "raw/reads.csv", "--version", "1").out
    assert cli("impact", "raw/reads.csv@1", "--files").out == "clean/clean.csv\nplot/plot.csv\n"
    assert "2 more files come from version 1" in cli("impact", "raw/reads.csv").err
    cli("impact", "make plot", "--any-version", code=2)


def test_stale_files_are_shown_with_their_reasons(cli: Cli, chain: dict[str, ln.File]) -> None:
    assert cli("stale", "--json").json == []
    nothing = cli("stale")
    assert (nothing.out, "no stale files" in nothing.err) == ("", True)
    ln.File(b"raw again", key="raw/reads.csv").save()
    assert cli("stale").out.splitlines() == [
        "clean/clean.csv",
        "  version 1 of raw/reads.csv was read; version 2 is current",
        "plot/plot.csv",
        "  version 1 of raw/reads.csv was read, by way of clean/clean.csv; version 2 is current",
    ]
    first, second = cli("stale", "--json").json
    assert (first["key"], first["id"], first["version"]) == ("clean/clean.csv", chain["clean"].id, 1)
    (reason,) = second["reasons"]
    assert (reason["kind"], reason["read"]["id"], reason["current"]["version"]) == ("superseded", chain["raw"].id, 2)
    assert [one["key"] for one in reason["chain"]] == ["raw/reads.csv", "clean/clean.csv", "plot/plot.csv"]
    assert [one["key"] for one in cli("stale", "raw/reads.csv", "plot/plot.csv", "--json").json] == ["plot/plot.csv"]
    assert "no stale files" in cli("stale", "raw/reads.csv").err
    assert "clean/claen.csv" in cli("stale", "clean/claen.csv", code=3).err
    chain["plot"].delete()
    assert "in the trash" in cli("stale", "plot/plot.csv", code=3).err


def test_many_reasons_are_counted(cli: Cli, chain: dict[str, ln.File]) -> None:
    run = chain["clean"].run
    assert run is not None
    for number in range(4):
        run.inputs.add(ln.File(b"1", key=f"raw/{number}.csv").save())
        ln.File(b"2", key=f"raw/{number}.csv").save()
    assert "  … and 1 more reason\n" in cli("stale", "clean/clean.csv").out


def test_stale_files_are_marked(cli: Cli, chain: dict[str, ln.File]) -> None:
    ln.File(b"raw again", key="raw/reads.csv").save()
    assert cli("ls").out.count("stale") == 2
    assert cli("ls", "raw").out.count("stale") == 0
    assert "clean.csv  (5 B, stale)" in cli("ls", "clean").out
    assert cli("ls", "--long").out.count(" stale") == 2
    shown = cli("describe", "plot/plot.csv").out
    assert "1, current, stale" in shown and "version 1 of raw/reads.csv was read, by way of clean/clean.csv" in shown
    facts = cli("describe", "raw/reads.csv", "--json").json["sections"]["file"]["facts"]
    assert (facts["is_stale"], "stale_because" in facts) == (False, False)
    assert cli("lineage", "plot/plot.csv", "--up").out.count("· stale ·") == 2
