"""The page and picture of cost against size, from times that are made up."""

from __future__ import annotations

from xml.etree import ElementTree

from benchmarks import curve


def _curve() -> curve.Curve:
    return curve.Curve(
        {
            (name, database, size): size / 1_000 * (position + 1)
            for position, name in enumerate(curve.WORKS)
            for database in curve.DATABASES
            for size in (1_000, 10_000)
        }
    )


def test_the_page_has_a_row_for_each_work_and_database() -> None:
    text = curve.page(_curve())
    for work in curve.WORKS.values():
        for database in curve.DATABASES:
            assert f"| {work.name} | {database} | " in text
    assert "| save a file of 4 kB | SQLite | 1 | 10 |" in text
    assert text.index("| gc without") < text.index("By the number of edges") < text.index("| ancestors of a file")


def test_what_was_not_measured_is_no_zero() -> None:
    measured = _curve()
    del measured.times["gc", "PostgreSQL", 10_000]
    assert "| gc without removing, each file | PostgreSQL | 7 | – |" in curve.page(measured)


def test_the_picture_is_valid_and_has_a_line_for_each_work_and_database() -> None:
    root = ElementTree.fromstring(curve.picture(_curve()))
    lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == len(curve.WORKS) * len(curve.DATABASES)
    assert all(len(line.attrib["points"].split()) == 2 for line in lines)
