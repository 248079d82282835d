"""Spreadsheets by sheets, and sheets as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.compare import workbook_diff
from lamindb.compare.table_reader import NotATableError
from lamindb.compare.workbook_diff import WorkbookDifference, compare_workbooks
from lamindb.errors import InvalidInputError

openpyxl = pytest.importorskip("openpyxl")


def write(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def diff(folder: Path, old: dict[str, Any], new: dict[str, Any], **options: Any) -> WorkbookDifference:
    return compare_workbooks(write(folder / "a.xlsx", **old), write(folder / "b.xlsx", **new), **options)


def test_sheets_are_compared_as_tables(tmp_path: Path) -> None:
    plate = [["well", "signal"], ["A1", 1.5], ["A2", None]]
    old = {"plate": plate, "notes": [["free", "text"], [1, 2, 3]], "gone": [["x"]]}
    new = {"notes": [["free", "text"], [1, 2, 4]], "plate": [*plate[:2], ["A2", 7], ["A3", 8]], "new": [["x"]]}
    found = diff(tmp_path, old, new)
    assert (found.sheets_added, found.sheets_removed, found.sheets_reordered) == (("new",), ("gone",), True)
    tables = {sheet.name: sheet.table for sheet in found.sheets}
    assert [(one.name, one.examples[0].before, one.examples[0].after) for one in tables["plate"].cells] == [
        ("signal", None, 7)
    ]
    assert tables["plate"].added == ({"well": "A3", "signal": 8},)
    # The first row of the notes is no header of all columns: they are named as in a spreadsheet.
    assert [(one.name, one.examples[0].row) for one in tables["notes"].cells] == [("C", 2)]
    text = [line.sign + line.text for line in found.lines()]
    assert "- sheet gone" in text and "@ sheet plate" in text and "~ the sheets have another order" in text


def test_formulas_and_tolerance_and_keys(tmp_path: Path) -> None:
    old, new = ({"s": [["id", "v"], ["a", 1], ["b", formula]]} for formula in ("=B2*2", "=B2*3"))
    (sheet,) = diff(tmp_path, old, new).sheets
    assert "=B2*2" in str(sheet.table.cells[0].examples[0].before)
    near = {"s": [["id", "v"], ["b", "=B2*2"], ["a", 1 + 1e-9]]}
    assert [one.table.rows_reordered for one in diff(tmp_path, old, near, on=["id"], rtol=1e-6).sheets] == [True]
    assert diff(tmp_path, old, old).is_equal
    with pytest.raises(InvalidInputError, match="no column 'nope'"):
        diff(tmp_path, old, new, on=["nope"])


def test_what_is_no_spreadsheet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(NotATableError):
        compare_workbooks(tmp_path / "no", tmp_path / "no")
    book = write(tmp_path / "a.xlsx", s=[["x"]])
    monkeypatch.setattr(workbook_diff, "_MOST_BYTES", 10)
    with pytest.raises(NotATableError, match="larger"):
        compare_workbooks(book, book)


def test_column_names() -> None:
    assert [workbook_diff._letters(n) for n in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


def test_versions_of_a_file_are_compared_by_sheets(local_instance: Path, tmp_path: Path) -> None:
    versions = [ln.File(write(tmp_path / f"{n}.xlsx", s=[["v"], [n]]), key="plate.xlsx").save() for n in (1, 2)]
    found = ln.diff(*versions)
    assert found.content is not None and found.content.kind == "workbook" and "row 1: 1 → 2" in found.to_text()
    assert found.as_dict()["content"]["sheets"][0]["name"] == "s"
