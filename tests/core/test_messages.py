"""What is told goes to standard error, as much as was asked for, and never breaks the program."""

from __future__ import annotations

import io
import os
import sys

import pytest

from lamindb.core import messages
from lamindb.core.settings import settings
from tests.support.processes import run_python

TELLERS = [
    (messages.WARNING, messages.warning, "🔶"), (messages.INFO, messages.info, "💬"),
    (messages.INFO, messages.success, "✅"), (messages.HINT, messages.hint, "💡"),
    (messages.DEBUG, messages.debug, "🐛"),
]  # fmt: skip


@pytest.mark.parametrize("verbosity", range(5))
def test_each_level_shows_what_was_asked_for(verbosity: int, capsys: pytest.CaptureFixture[str]) -> None:
    settings.verbosity = verbosity
    expected = ["❌ failed\n"]
    messages.error("failed")
    for level, teller, icon in TELLERS:
        teller("text")
        if level <= verbosity:
            expected.append(f"{icon} text\n")
    shown = capsys.readouterr()
    assert shown.err == "".join(expected)
    assert shown.out == ""


class _Broken(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "full"), BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_a_broken_standard_error_is_no_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Broken(error))
    messages.warning("not shown")


def test_no_standard_error_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    messages.warning("not shown")


def test_an_encoding_without_icons_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    messages.warning("größer")
    assert raw.getvalue() == b"\\U0001f536 gr\\xf6\\xdfer\n"


def test_an_encoding_without_icons_that_breaks_then_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(io.StringIO):
        def write(self, text: str) -> int:
            if text.isascii():
                raise BrokenPipeError
            raise UnicodeEncodeError("ascii", text, 0, 1, "no such character")

    monkeypatch.setattr(sys, "stderr", Odd())
    messages.warning("not shown")


def test_a_text_with_half_a_character_is_shown_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="utf-8", write_through=True))
    messages.warning(os.fsdecode(b"a\xff"))
    assert b"\\udcff" in raw.getvalue()


def test_a_program_whose_standard_error_is_closed_goes_on() -> None:
    done = run_python(
        """
        import os, sys
        os.close(2)
        from lamindb.core import messages
        messages.warning("not shown")
        print("done")
        sys.stdout.flush()
        os._exit(0)
        """
    )
    assert done.stdout == "done\n"


def test_a_level_that_cannot_be_is_named_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = messages.Output()
    output.verbosity = lambda: settings.verbosity
    monkeypatch.setenv("LAMIN_VERBOSITY", "loud")
    output.write(messages.HINT, "hidden")
    output.write(messages.INFO, "shown")
    warning = "🔶 LAMIN_VERBOSITY must be one of 0, 1, 2, 3, 4, not 'loud': 2 (information) is used\n"
    assert capsys.readouterr().err == f"{warning}💬 shown\n"
    monkeypatch.setenv("LAMIN_VERBOSITY", "louder")
    output.write(messages.HINT, "hidden")
    assert "not 'louder'" in capsys.readouterr().err
