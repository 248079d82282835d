"""Tables fit the terminal, and no value reaches it raw."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from lamindb.cli import output
from lamindb.core.text import cell_width


def test_columns_are_aligned_by_what_is_seen() -> None:
    lines = output.table(("n", "name", "x"), [(1, "日本", "a"), (22, "abc", None)], right=frozenset({"n"}))
    assert lines == [" n  name  x", " 1  日本  a", "22  abc"]


def test_in_a_pipe_nothing_is_shortened() -> None:
    assert "y" * 500 in output.table(("key",), [("y" * 500,)])[1]


@pytest.mark.parametrize("width", [20, 40, 80])
def test_at_a_terminal_each_row_is_one_line(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    lines = output.table(("id", "name"), [("short", "k" * 300), ("s", "日" * 100)])
    assert lines[1].startswith("short  k")
    assert all(cell_width(line) <= width for line in lines)
    assert "…" in lines[1]


def test_columns_never_become_unreadable() -> None:
    assert output._fitted([30, 30, 30], [0, 1, 2], 10) == [8, 8, 8]
    assert sum(output._fitted([5, 100, 50], [0, 1, 2], 80)) == 76
    assert output._fitted([20, 100], [1], 60) == [20, 38]
    assert output._fitted([20, 20], [], 10) == [20, 20]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_list_is_printed_a_line_each(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    values = [{"a": [1, {"b": "\udcff" if place == 1 else "é"}]} for place in range(count)]
    output.out_json_list(iter(values))
    streamed = capsys.readouterr().out
    assert json.loads(streamed) == values
    assert len(streamed.splitlines()) == (count + 2 if count else 1)


@pytest.mark.parametrize("evil", ["a\x1b[31mb", "a\nb", "a\rb", "a\x07", "a\u202eb", "a\udcffb"])
def test_control_characters_are_escaped(evil: str) -> None:
    for line in output.table(("name",), [(evil,)]):
        assert line.isprintable()


def test_json_takes_what_records_hold(capsys: pytest.CaptureFixture[str]) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    value = {"at": datetime.datetime(2026, 1, 1, 2, tzinfo=zone), "path": Path("/x"), "name": "é", "odd": "\udcff"}
    output.out_json(value)
    assert json.loads(capsys.readouterr().out) == {
        "at": "2026-01-01T00:00:00+00:00",
        "path": "/x",
        "name": "é",
        "odd": "\udcff",
    }


def test_numbers_and_nouns() -> None:
    assert (output.counted(1, "file"), output.counted(1200, "file")) == ("1 file", "1,200 files")


ROWS = [
    ("4nQk2fQ0Xk2fQ0Xk0001", "1.2 MB", "1", "2026-11-22 09:30", "testuser1", "analysis of everything.ipynb", key)
    for key in ("results/counts.csv", "results/means.csv")
]
HEADERS = ("id", "size", "version", "when", "by", "transform", "key")


@pytest.mark.parametrize(
    ("width", "left_out"), [(60, {"id", "when"}), (74, {"id"}), (80, {"id"}), (110, set()), (200, set())]
)
def test_keys_are_shortened_last(width: int, left_out: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    lines = output.table(HEADERS, ROWS, right=frozenset({"size"}))
    assert lines[0].split() == [head for head in HEADERS if head not in left_out]
    assert [line.split()[-1] for line in lines[1:]] == ["results/counts.csv", "results/means.csv"]
    assert all(cell_width(line) <= width for line in lines)


def test_a_very_long_key_does_not_cost_the_others_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "130")
    lines = output.table(HEADERS, [(*ROWS[0][:-1], "folder/" * 40)])
    assert "id" in lines[0] and "when" in lines[0]
    assert cell_width(lines[1]) <= 130


def test_names_from_right_to_left_leave_their_row_in_order() -> None:
    lines = output.table(("size", "key", "by"), [(1, "عينة.csv", "ada"), (2, "b", "ben")])
    assert lines[1] == "1     \u2068عينة.csv\u2069  ada"
    assert lines[2] == "2     b         ben"
