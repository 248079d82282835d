"""Who works here: said by the environment, by `lamin login`, or by the operating system."""

from __future__ import annotations

import getpass
import os
import stat
from pathlib import Path

import pytest

from lamindb.errors import InvalidInputError, StorageError
from lamindb.instance import user


def user_file() -> Path:
    return Path(os.environ["LAMIN_SETTINGS_DIR"]) / "user.toml"


def test_the_nearest_answer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "system")
    assert user.current().handle == "system"
    user.login("ada")
    assert user.current().handle == "ada"
    monkeypatch.setenv("LAMIN_USER", "grace")
    assert user.current().handle == "grace"
    monkeypatch.delenv("LAMIN_USER")
    user.logout()
    user.logout()
    assert user.current().handle == "system"


@pytest.mark.parametrize("error", [KeyError("uid not found: 4711"), OSError("No username set in the environment")])
def test_where_the_system_knows_no_name_there_is_one_all_the_same(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    assert user.current().handle == "user"
    monkeypatch.setattr(getpass, "getuser", lambda: "DOMAIN\\ada")
    assert user.current().handle == "user"


@pytest.mark.parametrize(
    ("handle", "person"),
    [
        ("ada", ("ada", "Ada", "ada@localhost")), (" ada ", ("ada", "Ada", "ada@localhost")),
        ("ada.lovelace", ("ada.lovelace", "Ada Lovelace", "ada.lovelace@localhost")),
        ("ada_l-x@example.org", ("ada_l-x", "Ada L X", "ada_l-x@example.org")),
        ("e\u0301va", ("éva", "Éva", "éva@localhost")), ("名", ("名", "名", "名@localhost")),
    ],
)  # fmt: skip
def test_a_handle_or_an_address_makes_a_person(handle: str, person: tuple[str, str, str]) -> None:
    made = user.person(handle)
    assert (made.handle, made.name, made.email) == person
    assert made.id == user.person(person[0]).id


@pytest.mark.parametrize("handle", ["", " ", "a b", "a/b", "a\\b", "a\0", "a\x7f", "\ud800", "x" * 101, "@x", None, 3])
def test_what_can_be_no_handle_is_refused_on_one_line(handle: str) -> None:
    with pytest.raises(InvalidInputError, match="handle") as caught:
        user.login(handle)
    assert str(caught.value).isprintable()
    assert not user_file().exists()


@pytest.mark.parametrize("text", ["a\nb", "\ud800", "\x7f", 3])
def test_names_and_addresses_are_one_line_of_text(text: str) -> None:
    for field in ("name", "email"):
        with pytest.raises(InvalidInputError, match=field):
            user.login("ada", **{field: text})  # type: ignore[arg-type]


def test_what_was_said_is_kept_privately() -> None:
    said = user.login("ada", name='Ada "Countess" \\ Lovelace 名', email="ada@example.org")
    assert user.current() == said
    assert said.name == 'Ada "Countess" \\ Lovelace 名'
    assert stat.S_IMODE(user_file().stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text", ["handle =", "", "name = 'x'", "handle = 3", "handle = 'a b'", "handle = 'a'\nname = 3", "\x00"]
)
def test_a_damaged_file_is_ignored_with_a_warning(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "system")
    user_file().parent.mkdir(parents=True)
    user_file().write_text(text)
    assert user.current().handle == "system"
    assert "ignored" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "file" / "settings"))
    with pytest.raises(StorageError, match="cannot write"):
        user.login("ada")
    user.logout()
    assert user.current().handle
    monkeypatch.setattr(user.paths, "settings_folder", lambda: None)
    with pytest.raises(StorageError, match="LAMIN_USER"):
        user.login("ada")
