"""`ln.settings`: each takes what it can have, keeps the old value otherwise, and knows its older names."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from lamindb.core.settings import PREFERENCES, Settings
from lamindb.errors import InvalidInputError, NoInstanceError, UnknownFieldError

RIGHT = [(name, value) for name, preference in PREFERENCES.items() for value in preference.choices]


@pytest.mark.parametrize(("name", "value"), RIGHT)
def test_every_value_that_a_setting_can_have_is_kept(name: str, value: object) -> None:
    settings = Settings()
    setattr(settings, name, value)
    assert getattr(settings, name) == value
    assert type(getattr(settings, name)) is type(value)
    settings.reset()
    assert getattr(settings, name) == PREFERENCES[name].default


@pytest.mark.parametrize("name", PREFERENCES)
@pytest.mark.parametrize("value", [None, "", "nonsense", 17, -1, 1.0, [], b"error", object()])
def test_what_it_cannot_have_is_refused_and_the_old_value_kept(name: str, value: object) -> None:
    settings = Settings()
    setattr(settings, name, PREFERENCES[name].choices[-1])
    with pytest.raises(InvalidInputError, match=f"settings.{name} must be one of"):
        setattr(settings, name, value)
    assert getattr(settings, name) == PREFERENCES[name].choices[-1]
    settings.reset()


def test_older_names_set_the_newer_ones() -> None:
    settings = Settings()
    settings.track_run_inputs_upon_load = True
    assert settings.track_run_inputs is True
    settings.track_run_inputs = False
    assert settings.track_run_inputs_upon_load is False
    assert settings.error_on_file_hash_exists is False
    settings.error_on_file_hash_exists = True
    assert settings.upon_file_create_if_hash_exists == "error"
    settings.error_on_file_hash_exists = False
    assert settings.upon_file_create_if_hash_exists == "warn_create_new"
    with pytest.raises(InvalidInputError, match="True or False"):
        settings.error_on_file_hash_exists = "yes"  # type: ignore[assignment]


def test_a_name_that_is_no_setting_is_an_error_that_names_the_nearest() -> None:
    settings = Settings()
    with pytest.raises(UnknownFieldError, match="'if_key_exists'"):
        settings.if_key_exist = "error"  # type: ignore[attr-defined]
    with pytest.raises(UnknownFieldError, match="verbosity"):
        settings.zzz = 1  # type: ignore[attr-defined]
    with pytest.raises(InvalidInputError, match="migrate-to"):
        settings.storage = "./x"  # type: ignore[misc]
    assert not hasattr(settings, "__dict__")


def test_the_storage_is_that_of_the_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoInstanceError, match="lamin init"):
        _ = Settings().storage


def test_it_shows_itself_on_one_line_without_an_instance() -> None:
    shown = repr(Settings())
    assert "\n" not in shown
    assert "verbosity=2" in shown
    assert "storage" not in shown


def test_every_setting_is_explained() -> None:
    for name in Settings().names():
        assert inspect.getdoc(getattr(Settings, name)), name
