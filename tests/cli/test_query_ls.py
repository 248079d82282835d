"""`lamin ls`: the tree, the table, and every filter."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from lamindb.cli import output
from tests.cli.conftest import Cli


@pytest.fixture
def project(local_instance: Path, cli: Cli) -> Path:
    """Save files of several folders, sizes, users and runs."""
    folder = local_instance.parent
    for name, size in {"a/one.csv": 10, "a/deep/two.csv": 2000, "b.txt": 30}.items():
        path = folder / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        cli("save", path, "--key", name)
    return folder


def _keys(done: object) -> list[str]:
    return [one["key"] for one in done.json]  # type: ignore[attr-defined]


def test_keys_make_a_tree(cli: Cli, project: Path) -> None:
    assert cli("ls").out == "a/\n  deep/\n    two.csv  (2.0 kB)\n  one.csv  (10 B)\nb.txt  (30 B)\n3 files, 2.0 kB\n"


def test_a_prefix_is_a_folder_not_the_start_of_a_name(cli: Cli, project: Path) -> None:
    (project / "abc").write_text("x")
    cli("save", "abc", "--key", "abc")
    assert _keys(cli("ls", "a", "--json")) == ["a/deep/two.csv", "a/one.csv"]
    assert _keys(cli("ls", "a/", "--json")) == ["a/deep/two.csv", "a/one.csv"]
    assert _keys(cli("ls", "b.txt", "--json")) == ["b.txt"]
    assert _keys(cli("ls", "mydata/a", "--json")) == ["a/deep/two.csv", "a/one.csv"]
    assert len(_keys(cli("ls", "mydata", "--json"))) == 4
    assert cli("ls", "nope", "--json").json == []
    cli("ls", "../up", code=2)
    cli("ls", "a\x00", code=2)
    cli("ls", "a\udcff", code=2)
    cli("ls", "--user", "a\udcff", code=3)
    assert "no matching files" in cli("ls", "nope").err


def test_filters(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ln.track(ln.Transform(name="count", type="pipeline"))
    (project / "made.csv").write_text("made")
    (made,) = cli("save", "made.csv", "--run", run.id, "--json").json
    assert _keys(cli("ls", "--run", run.id, "--json")) == ["made.csv"]
    assert _keys(cli("ls", "--transform", "count", "--json")) == ["made.csv"]
    assert _keys(cli("ls", "--transform", run.transform.id, "--json")) == ["made.csv"]
    assert _keys(cli("ls", "--min-size", "1kB", "--json")) == ["a/deep/two.csv"]
    assert len(_keys(cli("ls", "--since", "1h", "--json"))) == 4
    assert _keys(cli("ls", "--since", "2999-01-01", "--json")) == []
    assert len(_keys(cli("ls", "--user", made["created_by"], "--json"))) == 4
    assert "there is no user 'nobody'" in cli("ls", "--user", "nobody", code=3).err


def test_what_a_run_made_again_is_its_own_too(cli: Cli, project: Path) -> None:
    first = ln.track(ln.Transform(name="one", type="pipeline"))
    cli("save", "src/b.txt", "--key", "same.txt", "--run", first.id)
    second = ln.track(ln.Transform(name="two", type="pipeline"))
    cli("save", "src/b.txt", "--key", "same.txt", "--run", second.id)
    assert _keys(cli("ls", "--run", second.id, "--json")) == ["same.txt"]
    assert _keys(cli("ls", "--transform", "two", "--json")) == ["same.txt"]


def test_a_transform_is_named_by_path_or_name_and_never_guessed(cli: Cli, project: Path) -> None:
    for folder in ("a", "b"):
        transform = ln.Transform(
            name="Quality control", type="notebook", reference=f"{folder}/{folder}_qc.ipynb"
        ).save()
        run = ln.Run(transform=transform).save()
        cli("save", "src/b.txt", "--key", f"{folder}.txt", "--run", run.id)
    assert _keys(cli("ls", "--transform", "a/a_qc.ipynb", "--json")) == ["a.txt"]
    assert _keys(cli("ls", "--transform", "b_qc.ipynb", "--json")) == ["b.txt"]
    for command in (["ls", "--transform"], ["runs", "--transform"], ["describe"]):
        assert "a/a_qc.ipynb" in cli(*command, "Quality control", code=6).err
    assert "did you mean 'Quality control'?" in cli("ls", "--transform", "Qualty control", code=3).err
    assert "there is no user 'nobody'" in cli("runs", "--user", "nobody", code=3).err


def test_versions_and_trash_are_shown_on_request(cli: Cli, project: Path) -> None:
    (project / "b.txt").write_text("newer")
    cli("save", "b.txt")
    cli("rm", "a/one.csv")
    assert [(f["key"], f["version"]) for f in cli("ls", "--json").json] == [("a/deep/two.csv", 1), ("b.txt", 2)]
    assert len(cli("ls", "--versions", "--json").json) == 3
    everything = cli("ls", "--all", "--json").json
    assert len(everything) == 4
    assert [f["key"] for f in everything if f["trashed_at"]] == ["a/one.csv"]
    shown = cli("ls", "--all").out
    assert "version 1 older" in shown and "in trash" in shown


def test_what_has_no_key_is_listed_by_name(cli: Cli, project: Path) -> None:
    file = ln.File(b"loose bytes", name="loose").save()
    assert file.key is None
    shown = cli("ls").out
    assert "without a key:\n  loose" in shown and file.id in shown
    assert "(loose)" in cli("ls", "--long").out


def test_the_table_is_aligned(cli: Cli, project: Path) -> None:
    lines = cli("ls", "-l").out.splitlines()
    place = lines[0].index("key")
    assert [line[place:] for line in lines[1:]] == ["a/deep/two.csv", "a/one.csv", "b.txt"]


def test_of_many_files_one_level_is_listed(cli: Cli, local_instance: Path) -> None:
    files = [ln.File(b"x" * 10, key=f"raw/plate{n % 12}/{n}.csv") for n in range(110)]
    ln.save([*files, ln.File(b"y", key="x10.txt"), ln.File(b"y", key="x9.txt"), ln.File(b"z", name="loose")])
    top = cli("ls")
    assert (
        top.out
        == "raw/  (110 files, 1.1 kB)\nx9.txt  (1 B)\nx10.txt  (1 B)\nwithout a key: 1 file\n1 folder and 2 files\n"
    )
    assert "`lamin ls 'raw/'` opens a folder" in top.err
    opened = cli("ls", "raw/").out.splitlines()
    assert opened[:3] == ["plate0/  (10 files, 100 B)", "plate1/  (10 files, 100 B)", "plate2/  (9 files, 90 B)"]
    assert opened[-1] == "12 folders and 0 files"
    assert cli("ls", "mydata/raw/plate3").out.splitlines()[0] == "raw/"
    assert len(_keys(cli("ls", "--json"))) == 113
    assert len(_keys(cli("ls", "-n", "5", "--json"))) == 5
    cut = cli("ls", "raw", "-n", "2")
    assert cut.out.splitlines()[:2] == opened[:2]
    assert "there is more after raw/plate1/" in cut.err
    table = cli("ls", "-l", "-n", "3")
    assert len(table.out.splitlines()) == 4
    assert "only the newest 3 files: -n shows more" in table.err


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert output.styled("x", "bold") == "x"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.styled("x", "bold") == "\x1b[1mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.styled("x", "bold") == "x"
