"""`lamin save`, `get` and `cat`: bytes in, the same bytes out."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import lamindb as ln
from tests.cli.conftest import Cli
from tests.support.processes import lamin

FILE_KEYS = {
    "id", "key", "name", "suffix", "size", "hash", "version", "is_latest", "is_folder", "n_files", "description",
    "storage", "run", "transform", "revision", "created_by", "created_at", "trashed_at",
    "trashed_by",
}  # fmt: skip


@pytest.fixture
def project(local_instance: Path) -> Path:
    """Return the folder of an instance with its storage in `mydata`."""
    return local_instance.parent


def _tree(folder: Path) -> None:
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("b")


def test_bytes_come_back_through_real_processes(project: Path) -> None:
    data = bytes(range(256)) * 1000
    (project / "x.bin").write_bytes(data)
    done = lamin("save", "x.bin", "--key", "study/x.bin", cwd=project)
    file_id, key = done.stdout.split()
    assert key == "study/x.bin"
    (project / "x.bin").unlink()
    assert lamin("get", "study/x.bin", cwd=project).stdout == "x.bin\n"
    assert (project / "x.bin").read_bytes() == data
    lamin("get", file_id, "-o", "y.bin", cwd=project)
    assert (project / "y.bin").read_bytes() == data


def test_without_a_key_the_file_s_own_name_is_it(cli: Cli, project: Path) -> None:
    (project / "deep").mkdir()
    (project / "deep" / "x.txt").write_text("x")
    assert cli("save", "deep/x.txt").words[1] == "x.txt"
    assert cli("save", "deep/x.txt", "--prefix", "study/one/").words[1] == "study/one/x.txt"


def test_json_has_the_promised_keys(cli: Cli, project: Path) -> None:
    (project / "x.txt").write_text("x")
    (saved,) = cli("save", "x.txt", "--description", "an x", "--name", "the x", "--json").json
    assert set(saved) == FILE_KEYS
    assert (saved["key"], saved["size"], saved["version"]) == ("x.txt", 1, 1)
    assert (saved["description"], saved["name"], saved["storage"]) == ("an x", "the x", str(project / "mydata"))
    assert saved["created_at"].endswith("+00:00")


def test_a_folder_is_saved_file_by_file(cli: Cli, project: Path) -> None:
    _tree(project / "results")
    assert cli("save", "results").words[1::2] == ["results/a.txt", "results/sub/b.txt"]
    assert cli("save", "results", "--prefix", "study").words[1::2] == ["study/results/a.txt", "study/results/sub/b.txt"]
    assert cli("save", "results/", "--key", "other").words[1::2] == ["other/a.txt", "other/sub/b.txt"]


def test_what_lies_in_the_home_folder_may_be_named_so(
    cli: Cli, project: Path, isolated_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tree(isolated_home / "m")
    assert cli("save", "~/m").words[1::2] == ["m/a.txt", "m/sub/b.txt"]
    assert cli("save", "~/m", "--prefix", "p").words[1::2] == ["p/m/a.txt", "p/m/sub/b.txt"]
    assert "'~/no'" in cli("save", "~/no", code=3).err
    assert cli("get", "m/a.txt", "-o", "~/got.txt").words == [str(isolated_home / "got.txt")]
    assert "~nobody-here" in cli("get", "m/a.txt", "-o", "~nobody-here/got.txt", code=2).err
    monkeypatch.setenv("HOME", str(project))
    _tree(project / "mydata" / "in")
    assert cli("save", "~/mydata/in/a.txt").words[1] == "in/a.txt"
    assert cli("save", "~/mydata/in").words[1::2] == ["in/a.txt", "in/sub/b.txt"]


def test_a_folder_is_saved_as_one_file(cli: Cli, project: Path) -> None:
    _tree(project / "results")
    _tree(project / "cells.zarr")
    (one,) = cli("save", "results", "--as-folder", "--json").json
    assert (one["key"], one["is_folder"], one["n_files"]) == ("results", True, 2)
    (zarr,) = cli("save", "cells.zarr", "--json").json
    assert zarr["is_folder"] is True
    cli("get", "results", "-o", "copy")
    assert (project / "copy" / "sub" / "b.txt").read_text() == "b"
    (project / "copy" / "a.txt").write_text("mine now")
    assert "is a folder" in cli("cat", "results", code=2).err
    cli("get", "results", "-o", "copy", code=6)
    assert (project / "copy" / "a.txt").read_text() == "mine now"
    cli("get", "results", "-o", "copy", "--force")
    assert (project / "copy" / "a.txt").read_text() == "a"


def test_in_the_storage_the_place_is_the_key(cli: Cli, project: Path) -> None:
    (project / "mydata" / "images").mkdir()
    (project / "mydata" / "images" / "x.txt").write_text("x")
    assert cli("save", "mydata/images/x.txt").words[1] == "images/x.txt"
    assert cli("cat", "mydata/images/x.txt").out == "x"


def test_all_or_none(cli: Cli, project: Path) -> None:
    (project / "good.txt").write_text("good")
    assert "nothing was saved" in cli("save", "good.txt", "absent.txt", code=3).err
    assert ln.File.select().count() == 0


def test_the_storage_is_not_saved_into_itself(cli: Cli, project: Path) -> None:
    for folder in (".", "mydata", project.parent):
        assert "contains the storage of this instance" in cli("save", folder, code=2).err


def test_two_files_of_one_key_are_refused(cli: Cli, project: Path) -> None:
    for folder in ("one", "two"):
        (project / folder).mkdir()
        (project / folder / "x.txt").write_text(folder)
    assert "'x.txt'" in cli("save", "one/x.txt", "two/x.txt", code=2).err
    assert ln.File.select().count() == 0
    cli("save", "one/x.txt", "two", "--prefix", "p")
    assert sorted(ln.File.select().list("key")) == ["p/two/x.txt", "p/x.txt"]


def test_one_key_in_two_storages_is_not_refused(cli: Cli, instance: Path) -> None:
    for folder in ("arch", "old"):
        (instance.parent / folder).mkdir()
        (instance.parent / folder / "a").write_text(folder)
    ln.Storage(root="arch").save()
    cli("save", "a", "arch/a", code=3)
    (instance.parent / "a").write_text("own")
    assert [one["key"] for one in cli("save", "a", "arch/a", "--json").json] == ["a", "a"]
    assert sorted(file.load().read_text() for file in ln.File.select(key="a")) == ["arch", "own"]
    for folder in ("old", "."):
        assert "'a'" in cli("save", "arch/a", f"{folder}/a", "a", code=2).err
    assert "'a'" in cli("save", "arch/a", "arch/a", code=2).err
    assert ln.File.select().count() == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["x.txt", "--key", "../x"],
        ["x.txt", "--key", "/etc/x"],
        ["x.txt", "--key", ""],
        ["x.txt", "--key", ".lamindb/x"],
        ["x.txt", "--key", "a", "--prefix", "b"],
        ["x.txt", "empty", "--key", "a"],
        ["empty"],
        ["pipe"],
    ],
)
def test_what_cannot_be_saved_exits_2(arguments: list[str], cli: Cli, project: Path) -> None:
    (project / "x.txt").write_text("x")
    (project / "empty").mkdir()
    os.mkfifo(project / "pipe")
    cli("save", *arguments, code=2)
    assert ln.File.select().count() == 0


def test_a_run_is_named_by_its_id(cli: Cli, project: Path) -> None:
    transform = ln.Transform(name="by hand", type="pipeline").save()
    run = ln.Run(transform=transform).save()
    (project / "x.txt").write_text("x")
    (saved,) = cli("save", "x.txt", "--run", run.id[:12], "--json").json
    assert (saved["run"], saved["transform"]) == (run.id, "by hand")
    cli("save", "x.txt", "--run", "zzzzzzzz", code=3)


def test_versions_stay_readable(cli: Cli, project: Path) -> None:
    for text in ("one", "two", "three"):
        (project / "x.txt").write_text(text)
        cli("save", "x.txt")
    assert cli("cat", "x.txt").out == "three"
    assert cli("cat", "x.txt", "--version", "1").out == "one"
    cli("get", "x.txt", "--version", "2", "-o", "old.txt")
    assert (project / "old.txt").read_text() == "two"
    first = ln.File.select(key="x.txt", version=1, is_latest=False).one()
    assert cli("cat", first.id).out == "one"
    assert cli("cat", first.stem_id).out == "three"
    assert "version 9" in cli("cat", "x.txt", "--version", "9", code=3).err


def test_cat_joins_files_and_keeps_every_byte(cli: Cli, project: Path) -> None:
    (project / "a").write_bytes(b"\x00\xff\r\n")
    (project / "b").write_bytes(b"no newline")
    cli("save", "a", "b")
    done = lamin_bytes(project, "cat", "a", "b", "a")
    assert done == b"\x00\xff\r\nno newline\x00\xff\r\n"


def lamin_bytes(folder: Path, *arguments: str) -> bytes:
    import subprocess

    from tests.support.processes import BIN_FOLDER, clean_environment

    done = subprocess.run(
        [BIN_FOLDER / "lamin", *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_cat_writes_nothing_where_one_name_is_wrong(cli: Cli, project: Path) -> None:
    (project / "a").write_text("a")
    cli("save", "a")
    assert cli("cat", "a", "nope", code=3).out == ""


def test_get_never_writes_over_something_else(cli: Cli, project: Path) -> None:
    (project / "x.txt").write_text("saved")
    cli("save", "x.txt")
    assert cli("get", "x.txt").code == 0
    (project / "x.txt").write_text("edited")
    cli("get", "x.txt", code=6)
    assert (project / "x.txt").read_text() == "edited"
    cli("get", "x.txt", "--force")
    assert (project / "x.txt").read_text() == "saved"


def test_what_was_got_is_the_user_s_own(cli: Cli, project: Path) -> None:
    (project / "x.txt").write_text("saved")
    cli("save", "x.txt")
    (project / "out").mkdir()
    assert cli("get", "x.txt", "-o", "out").out == "out/x.txt\n"
    again = cli("get", "x.txt", "-o", "out", "--json").json
    assert again["path"] == "out/x.txt" and set(again) == {"path", *FILE_KEYS}
    mode = stat.S_IMODE((project / "out" / "x.txt").stat().st_mode)
    assert mode & stat.S_IWUSR
    (project / "out" / "x.txt").write_text("changed")
    assert cli("cat", "x.txt").out == "saved"


def test_damaged_bytes_are_never_handed_out(cli: Cli, project: Path) -> None:
    (project / "x.txt").write_text("saved")
    cli("save", "x.txt")
    for path in [*(project / "mydata" / ".lamindb" / "objects").rglob("*.txt"), project / "mydata" / "x.txt"]:
        path.chmod(0o644)
        path.unlink()
    cli("cat", "x.txt", code=5)
    cli("get", "x.txt", "-o", "y.txt", code=5)
    assert not (project / "y.txt").exists()


def test_names_that_a_terminal_would_act_on_are_escaped(cli: Cli, project: Path) -> None:
    name = "x\u202e\u200b.txt"
    (project / name).write_text("x")
    shown = cli("save", name).out
    assert "\u202e" not in shown and "\\u202e" in shown
    assert "\u202e" not in cli("ls").out
    assert cli("ls", "--json").json[0]["key"] == name
