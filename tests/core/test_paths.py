"""Where settings, data and caches lie: where the environment says, where the platform says, or nowhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lamindb.core import paths
from lamindb.errors import InvalidInputError

FOLDERS = {
    "LAMIN_SETTINGS_DIR": paths.settings_folder,
    "LAMIN_DATA_DIR": paths.data_folder,
    "LAMIN_CACHE_DIR": paths.cache_folder,
}


@pytest.mark.parametrize("variable", FOLDERS)
def test_the_environment_decides(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given, meant in ((str(tmp_path / "x"), tmp_path / "x"), ("x", tmp_path / "x"), ("~/x", Path.home() / "x")):
        monkeypatch.setenv(variable, given)
        assert FOLDERS[variable]() == meant
    monkeypatch.setenv(variable, "~nobody-of-this-name/x")
    with pytest.raises(InvalidInputError, match=variable):
        FOLDERS[variable]()


def test_data_follow_the_settings_unless_they_have_a_place_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "s"))
    assert paths.data_folder() == tmp_path / "s" / "data"
    monkeypatch.setenv("LAMIN_DATA_DIR", str(tmp_path / "d"))
    assert paths.data_folder() == tmp_path / "d"


def test_without_a_word_they_lie_below_the_home_folder(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in FOLDERS:
        monkeypatch.delenv(variable, raising=False)
    found = [function() for function in FOLDERS.values()]
    assert len(set(found)) == 3
    for folder in found:
        assert folder is not None
        assert folder.is_relative_to(isolated_home)
        assert not folder.exists()


@pytest.mark.parametrize("home", ["", "relative/home", None])
def test_without_a_home_there_is_no_place_or_an_absolute_one(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*FOLDERS, *(name for name in os.environ if name.startswith("XDG_"))):
        monkeypatch.delenv(variable, raising=False)
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    for function in FOLDERS.values():
        found = function()
        assert found is None or found.is_absolute()


def test_a_private_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    paths.make_private_folder(tmp_path / "a" / "b")
    paths.make_private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
