"""Commands for instances: they persist for the folder, and each has its twin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import lamindb as ln
from tests.cli.conftest import Cli
from tests.support.processes import lamin, run_python


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_is_seen_by_later_processes(in_a_folder: Path) -> None:
    done = lamin("init", "--storage", "./mydata", cwd=in_a_folder)
    assert done.stdout == "" and "made the instance 'mydata'" in done.stderr
    assert (
        run_python("import lamindb as ln; print(ln.setup.settings.instance.name)", cwd=in_a_folder).stdout == "mydata\n"
    )
    again = lamin("init", "--storage", "./mydata", cwd=in_a_folder)
    assert "made" not in again.stderr


def test_info_tells_what_is_connected(cli: Cli, in_a_folder: Path) -> None:
    cli("init", "--storage", "mydata", "--name", "study", "--view", "none")
    found = cli("info", "--json").json
    assert set(found) == {"name", "id", "storage", "database", "project", "view", "is_read_only", "user"}
    assert (found["name"], found["storage"], found["view"]) == ("study", str(in_a_folder / "mydata"), "none")
    assert "study" in cli("info").out


def test_control_characters_of_a_name_never_reach_the_terminal(cli: Cli, in_a_folder: Path) -> None:
    cli("init", "--storage", "mydata")
    path = in_a_folder / "mydata" / ".lamindb" / "instance.toml"
    path.write_text(path.read_text().replace('name = "mydata"', r'name = "my\u001b[2J\ndata"'))
    for arguments in (["info"], ["connect", "mydata"], ["list"], ["delete", "./mydata"], ["disconnect"]):
        done = lamin(*arguments, cwd=in_a_folder, check=False)
        assert "\x1b" not in done.stdout + done.stderr


def test_a_password_is_never_shown(cli: Cli) -> None:
    url = "postgresql://me:Sup3rSecret@127.0.0.1:1/nowhere"
    done = cli("init", "--storage", "mydata", "--db", url, code=4)
    assert "Sup3rSecret" not in done.err + done.out


def test_disconnect_and_connect(cli: Cli, in_a_folder: Path) -> None:
    cli("init", "--storage", "mydata")
    assert "disconnected the instance 'mydata'" in cli("disconnect").err
    assert "connected" in cli("connect", "./mydata").err
    (in_a_folder / "elsewhere").mkdir()
    os.chdir(in_a_folder / "elsewhere")
    assert "connected" in cli("load", in_a_folder / "mydata").err
    assert cli("info", "--json").json["project"] == str(in_a_folder / "elsewhere")
    cli("connect", "no-such-name", code=3)


def test_close_is_the_older_name_of_disconnect(cli: Cli) -> None:
    cli("init", "--storage", "mydata")
    assert "disconnected the instance 'mydata'" in cli("close").err
    assert " disconnect " in cli("--help").out and " close " not in cli("--help").out
    cli("info", code=3)


def test_disconnecting_nothing_is_no_error(cli: Cli) -> None:
    assert "no instance is connected" in cli("disconnect").err


def test_list_shows_what_is_registered(cli: Cli, in_a_folder: Path) -> None:
    assert cli("list").out == ""
    assert cli("list", "--json").json == []
    cli("init", "--storage", "mydata")
    (one,) = cli("list", "--json").json
    assert one["name"] == "mydata" and one["exists"] is True
    assert set(one) == {"name", "id", "storage", "project", "exists"}
    assert str(in_a_folder / "mydata") in cli("list").out


def test_delete_keeps_files_and_restore_brings_records_back(cli: Cli, in_a_folder: Path) -> None:
    cli("init", "--storage", "mydata")
    (in_a_folder / "x.txt").write_text("kept")
    cli("save", "x.txt")
    assert "lamin restore mydata" in cli("delete", "mydata").err
    assert (in_a_folder / "mydata" / "x.txt").read_text() == "kept"
    cli("ls", code=3)
    cli("restore", "mydata")
    assert cli("cat", "x.txt").out == "kept"


def test_instances_may_be_named_by_paths_of_the_home_folder(cli: Cli, isolated_home: Path) -> None:
    home = isolated_home / "mydata"
    cli("init", "--storage", "~/mydata")
    cli("backup", "~/records.sqlite3")
    assert home.is_dir() and (isolated_home / "records.sqlite3").is_file()
    cli("disconnect")
    cli("connect", "~/mydata")
    assert "lamin restore" in cli("delete", "~/mydata").err
    cli("restore", "~/mydata")
    assert cli("info", "--json").json["storage"] == str(home)


def test_delete_of_what_is_unknown_exits_0(cli: Cli) -> None:
    assert "nothing was deleted" in cli("delete", "unknown").err


def test_delete_of_a_name_that_two_have_lists_them(cli: Cli, in_a_folder: Path) -> None:
    for folder in ("one", "two", "three"):
        (in_a_folder / folder).mkdir()
        os.chdir(in_a_folder / folder)
        if folder != "three":
            cli("init", "--storage", "mydata")
    done = cli("delete", "mydata", code=6)
    assert str(in_a_folder / "one" / "mydata") in done.err and str(in_a_folder / "two" / "mydata") in done.err


def test_backup_prints_where_it_is(cli: Cli, in_a_folder: Path) -> None:
    cli("init", "--storage", "mydata")
    assert cli("backup", "copy.sqlite3").out == f"{in_a_folder / 'copy.sqlite3'}\n"
    assert (in_a_folder / "copy.sqlite3").read_bytes().startswith(b"SQLite format 3")
    assert Path(cli("backup", "--json").json["path"]).is_dir()
    cli("backup", "copy.sqlite3", code=6)


def test_login_says_whose_the_files_are(cli: Cli, in_a_folder: Path) -> None:
    assert "logged in 'ada'" in cli("login", "ada", "--name", "Ada Lovelace").err
    cli("init", "--storage", "mydata")
    (in_a_folder / "x.txt").write_text("x")
    (saved,) = cli("save", "x.txt", "--json").json
    assert saved["created_by"] == "ada"
    assert ln.User.select(handle="ada").one().name == "Ada Lovelace"
    cli("logout")
    assert cli("info", "--json").json["user"] != "ada"
    cli("login", "two words", code=2)


def test_an_older_login_with_a_password_still_works(cli: Cli, isolated_home: Path) -> None:
    cli("login", "testuser1@lamin.ai", "--password", "cEvcwMJFX4OwbsYVaMt2Os6GxxGgDUlBGILs2RyS")
    kept = "".join(path.read_text() for path in isolated_home.rglob("*.toml"))
    assert "testuser1" in kept and "cEvcw" not in kept
