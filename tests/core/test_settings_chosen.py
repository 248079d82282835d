"""Settings for every process: which of several answers counts."""

from __future__ import annotations

import pytest

from lamindb.core import messages
from lamindb.core import settings as module
from lamindb.core.settings import chosen, named, settings, settings_file
from lamindb.errors import InvalidInputError, UnknownFieldError


def test_the_default_counts_where_nothing_was_chosen() -> None:
    assert chosen("if_key_exists") == ("new_version", "default")
    assert settings.verbosity == 2


def test_every_setting_of_the_process_that_can_be_kept_has_a_preference() -> None:
    aliases = {"storage", "track_run_inputs_upon_load", "error_on_file_hash_exists"}
    assert set(settings.names()) - aliases == set(module.PREFERENCES)


def test_the_environment_counts_before_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_file, "values", lambda: {"track_run_inputs": True, "verbosity": 4})
    monkeypatch.setenv("LAMIN_VERBOSITY", "1")
    assert chosen("verbosity") == (1, "LAMIN_VERBOSITY")
    assert chosen("track_run_inputs") == (True, "stored")
    assert (settings.verbosity, settings.track_run_inputs) == (1, True)


def test_what_the_process_set_counts_first_until_it_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMIN_TRACK_RUN_INPUTS", "on")
    settings.track_run_inputs = False
    settings.verbosity = 0
    assert (settings.track_run_inputs, settings.verbosity) == (False, 0)
    settings.reset()
    assert (settings.track_run_inputs, settings.verbosity) == (True, 2)


@pytest.mark.parametrize("word", ["true", "Yes", " on ", "1"])
def test_flags_are_written_in_several_ways(word: str) -> None:
    assert named("capture").parsed(word) is True


@pytest.mark.parametrize(
    ("name", "value"), [("verbosity", "5"), ("verbosity", "²"), ("capture", "maybe"), ("if_key_exists", "")]
)
def test_wrong_values_are_refused_with_the_right_ones(name: str, value: str) -> None:
    with pytest.raises(InvalidInputError, match="must be one of"):
        named(name).parsed(value)


@pytest.mark.parametrize(
    ("name", "value"), [("verbosity", True), ("verbosity", 2.0), ("capture", 1), ("capture", "true")]
)
def test_values_of_another_type_are_refused(name: str, value: object) -> None:
    before = getattr(settings, name)
    with pytest.raises(InvalidInputError):
        setattr(settings, name, value)
    assert getattr(settings, name) == before


def test_an_unknown_name_is_refused_with_the_closest_one() -> None:
    with pytest.raises(UnknownFieldError, match="'verbosity'"):
        named("verbosty")


def test_a_wrong_variable_is_an_error_but_never_stops_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAMIN_VERBOSITY", "loud")
    with pytest.raises(InvalidInputError, match="LAMIN_VERBOSITY must be one of 0, 1, 2, 3, 4, not 'loud'"):
        _ = settings.verbosity
    messages.info("said all the same")
    assert "said all the same" in capsys.readouterr().err
