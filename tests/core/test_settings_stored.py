"""`settings.toml`: kept whole, private, and never in the way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lamindb.core.settings import FILE_NAME, chosen, settings_file
from lamindb.errors import InvalidInputError, StorageError, UnknownFieldError
from tests.support.processes import run_python


def _path() -> Path:
    return Path(os.environ["LAMIN_SETTINGS_DIR"]) / FILE_NAME


def test_what_is_stored_counts_in_other_processes() -> None:
    assert settings_file.store("verbosity", "3") == 3
    settings_file.store("if_key_exists", "error")
    done = run_python("import lamindb as ln; print(ln.settings.verbosity, ln.settings.if_key_exists)")
    assert done.stdout == "3 error\n"
    assert stat.S_IMODE(_path().stat().st_mode) == 0o600


def test_forgetting_brings_the_default_back() -> None:
    settings_file.store("capture", "yes")
    settings_file.store("verbosity", "1")
    settings_file.forget("capture")
    assert chosen("capture") == (False, "default")
    assert chosen("verbosity") == (1, "stored")


def test_a_refused_value_changes_nothing() -> None:
    settings_file.store("verbosity", "3")
    before = _path().read_bytes()
    with pytest.raises(InvalidInputError):
        settings_file.store("verbosity", "many")
    with pytest.raises(UnknownFieldError):
        settings_file.store("colour", "red")
    assert _path().read_bytes() == before


@pytest.mark.parametrize("text", ["verbosity =", "verbosity = 'x'\n", "colour = 'red'\n", "\x00"])
def test_a_damaged_file_is_ignored_with_a_warning(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    _path().parent.mkdir(parents=True, exist_ok=True)
    _path().write_text(text)
    assert chosen("verbosity") == (2, "default")
    assert str(_path()) in capsys.readouterr().err
    settings_file.store("verbosity", "4")
    assert chosen("verbosity") == (4, "stored")


def test_a_folder_that_cannot_be_written_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "file" / "settings"))
    with pytest.raises(StorageError, match="cannot write"):
        settings_file.store("verbosity", "4")
    assert chosen("verbosity") == (2, "default")
