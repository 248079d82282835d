"""`lamin mv`, `rm` and `trash`."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

import lamindb as ln
from tests.cli.conftest import Cli


@pytest.fixture
def project(local_instance: Path, cli: Cli) -> Path:
    """Save two files and a folder of two."""
    folder = local_instance.parent
    for name in ("x.txt", "y.txt", "d/one.txt", "d/two.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    cli("save", "x.txt", "y.txt", "d")
    return folder


def _trash(cli: Cli) -> list[str]:
    return [one["key"] for one in cli("trash", "list", "--json").json]


def test_mv_keeps_id_and_bytes(cli: Cli, project: Path) -> None:
    before = ln.File.select(key="x.txt").one()
    cli("mv", "x.txt", "new/x.txt")
    after = ln.File.select(key="new/x.txt").one()
    assert after.id == before.id
    assert (project / "mydata" / "new" / "x.txt").read_text() == "x.txt"
    assert not (project / "mydata" / "x.txt").exists()
    cli("mv", "y.txt", "../y", code=2)
    assert "nothing to do" in cli("mv", "y.txt", "y.txt").err
    cli("mv", "nope.txt", "z", code=3)


def test_mv_never_takes_another_file_s_key(cli: Cli, project: Path) -> None:
    cli("mv", "x.txt", "y.txt", code=6)
    assert cli("cat", "x.txt").out == "x.txt"
    assert cli("cat", "y.txt").out == "y.txt"


def test_rm_and_restore(cli: Cli, project: Path) -> None:
    cli("rm", "x.txt", "y.txt")
    assert sorted(_trash(cli)) == ["x.txt", "y.txt"]
    assert not (project / "mydata" / "x.txt").exists()
    assert "trash restore" in cli("cat", "x.txt", code=3).err
    assert "x.txt" in cli("trash", "list").out
    cli("trash", "restore", "x.txt")
    assert cli("cat", "x.txt").out == "x.txt"
    assert _trash(cli) == ["y.txt"]


def test_what_is_done_with_one_version_is_said_so(cli: Cli, project: Path) -> None:
    ln.File(b"newer", key="x.txt").save()
    cli("rm", "--versions", "x.txt")
    assert "restored version 2 of 'x.txt'" in cli("trash", "restore", "x.txt").err
    cli("rm", "x.txt")
    assert "version 2 of 'x.txt' was removed for good" in cli("trash", "purge", "x.txt").err
    assert "'x.txt' was removed for good" in cli("trash", "purge", "x.txt").err
    cli("rm", "y.txt")
    assert "restored 'y.txt'" in cli("trash", "restore", "y.txt").err


def test_rm_is_all_or_nothing(cli: Cli, project: Path) -> None:
    cli("rm", "x.txt", "nope.txt", code=3)
    assert _trash(cli) == []


def test_rm_of_a_version_tells_which_is_current_then(cli: Cli, project: Path) -> None:
    (project / "x.txt").write_text("second")
    cli("save", "x.txt")
    told = cli("rm", "x.txt").err
    assert "version 2 of 'x.txt' was moved to the trash" in told
    assert "version 1 of 'x.txt' is now the current one; `lamin rm --versions` trashes the whole file" in told
    assert cli("cat", "x.txt").out == "x.txt"
    cli("trash", "restore", "x.txt")
    cli("rm", "x.txt", "--versions")
    cli("cat", "x.txt", code=3)
    assert _trash(cli) == ["x.txt", "x.txt"]


def test_rm_of_a_folder_needs_to_be_asked_for(cli: Cli, project: Path) -> None:
    cli("rm", "d", code=3)
    cli("rm", "-r", "d")
    assert sorted(_trash(cli)) == ["d/one.txt", "d/two.txt"]
    cli("rm", "-r", "nope", code=3)


def test_rm_for_good_skips_the_trash_but_not_what_runs_read(cli: Cli, project: Path) -> None:
    cli("rm", "x.txt", "--permanent")
    assert _trash(cli) == []
    assert ln.File.objects.get_queryset().filter(key="x.txt").count() == 0
    run = ln.Run(transform=ln.Transform(name="reader", type="pipeline").save()).save()
    run.inputs.append(ln.File.select(key="y.txt").one())
    cli("rm", "d/one.txt", "y.txt", "--permanent", code=6)
    assert cli("cat", "d/one.txt").out == "d/one.txt"


def test_purge(cli: Cli, project: Path) -> None:
    cli("rm", "-r", "x.txt", "d")
    cli("trash", "purge", code=2)
    cli("trash", "purge", "x.txt", "--all", code=2)
    cli("trash", "purge", "x.txt")
    assert sorted(_trash(cli)) == ["d/one.txt", "d/two.txt"]
    assert "nothing to purge" in cli("trash", "purge", "--all", "--older-than", "1").err
    ln.File.objects.get_queryset().filter(key="d/one.txt").update_rows(
        {"trashed_at": datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)}
    )
    cli("trash", "purge", "--all", "--older-than", "1")
    assert _trash(cli) == ["d/two.txt"]
    cli("trash", "purge", "--all")
    assert "the trash is empty" in cli("trash", "list").err


def test_purging_all_leaves_what_runs_read(cli: Cli, project: Path) -> None:
    run = ln.Run(transform=ln.Transform(name="reader", type="pipeline").save()).save()
    run.inputs.append(ln.File.select(key="y.txt").one())
    cli("rm", "x.txt", "y.txt")
    assert "1 file stays" in cli("trash", "purge", "--all").err
    assert _trash(cli) == ["y.txt"]
    cli("trash", "purge", "y.txt", code=6)


def test_mv_into_a_folder_keeps_the_name(cli: Cli, project: Path) -> None:
    cli("mv", "x.txt", "study/")
    assert cli("cat", "study/x.txt").out == "x.txt"


def test_the_whole_storage_is_never_removed_by_a_path(cli: Cli, project: Path) -> None:
    assert "whole storage" in cli("rm", "-r", "mydata", code=2).err
    cli("rm", "-r", "mydata/d")
    assert sorted(_trash(cli)) == ["d/one.txt", "d/two.txt"]


def test_a_folder_of_another_case_is_another_folder(instance: Path, cli: Cli) -> None:
    for key in ("d/a.txt", "D/a.txt"):
        ln.File(key.encode(), key=key).save()
    cli("rm", "-r", "D")
    assert [file.key for file in ln.File.select()] == ["d/a.txt"]
    assert cli("ls", "D").out == ""


def test_that_the_version_which_is_current_now_is_flagged_is_told(local_instance: Path, cli: Cli) -> None:
    for data in (b"1", b"2"):
        ln.File(data, key="x.txt").save()
    cli("flag", "x.txt@1", "--reason", "A4 was pipetted twice")
    assert "version 1 of 'x.txt' is flagged: A4 was pipetted twice" in cli("rm", "x.txt").err
