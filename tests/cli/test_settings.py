"""`lamin settings`: kept for every process."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli


def test_what_is_set_is_got(cli: Cli) -> None:
    assert cli("settings", "get", "track_run_inputs").out == "false\n"
    cli("settings", "set", "track_run_inputs", "yes")
    assert cli("settings", "get", "track_run_inputs").out == "true\n"
    assert cli("settings", "get", "track_run_inputs", "--json").json is True
    cli("settings", "unset", "track_run_inputs")
    assert cli("settings", "get", "track_run_inputs").out == "false\n"


def test_the_list_says_who_decides(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("settings", "set", "if_key_exists", "error")
    monkeypatch.setenv("LAMIN_CAPTURE", "1")
    found = {one["name"]: one for one in cli("settings", "list", "--json").json}
    assert found["if_key_exists"]["from"] == "stored" and found["if_key_exists"]["value"] == "error"
    assert found["capture"]["from"] == "LAMIN_CAPTURE" and found["capture"]["value"] is True
    assert found["verbosity"]["from"] == "default"
    assert all(set(one) == {"name", "value", "from", "choices", "help"} for one in found.values())
    assert "if_key_exists" in cli("settings", "list").out


def test_a_variable_that_comes_first_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMIN_VERBOSITY", "1")
    assert "LAMIN_VERBOSITY overrides it with 1" in cli("settings", "set", "verbosity", "3").err


def test_wrong_names_and_values_exit_2(cli: Cli) -> None:
    assert "'verbosity'" in cli("settings", "set", "verbosty", "3", code=2).err
    assert "0, 1, 2, 3, 4" in cli("settings", "set", "verbosity", "9", code=2).err
    cli("settings", "get", "colour", code=2)


def test_a_kept_setting_decides_what_save_does(cli: Cli, local_instance: object, tmp_path: object) -> None:
    from pathlib import Path

    Path("x.txt").write_text("one")
    cli("save", "x.txt")
    cli("settings", "set", "if_key_exists", "error")
    Path("x.txt").write_text("two")
    cli("save", "x.txt", code=6)
    assert cli("cat", "x.txt").out == "one"
