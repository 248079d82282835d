"""Tables by columns, rows and cells."""

from __future__ import annotations

import datetime
import decimal
import json
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lamindb.compare import arrow_content, arrow_join, arrow_rows, table_diff, table_reader
from lamindb.compare.table_diff import TableDifference, compare_tables
from lamindb.compare.table_reader import NotATableError, open_table
from lamindb.errors import InvalidInputError

Compare = Callable[..., TableDifference]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Return a function that compares two texts in csv."""

    def run(before: str, after: str, **options: Any) -> TableDifference:
        for name, text in (("a", before), ("b", after)):
            (tmp_path / name).write_bytes(text.encode())
        return compare_tables(open_table(tmp_path / "a", ".csv"), open_table(tmp_path / "b", ".csv"), **options)

    return run


def cells(found: TableDifference) -> dict[str, list[tuple[Any, Any, Any]]]:
    return {column.name: [(one.row, one.before, one.after) for one in column.examples] for column in found.cells}


def test_cells_by_position(compare: Compare) -> None:
    found = compare("id,v\na,1\nb,2\nc,3\n", "id,v\na,1\nb,5\nc,3\n")
    assert cells(found) == {"v": [(2, "2", "5")]}
    assert (found.matched_by, found.rows_changed, found.rows_before, found.rows_after) == ("position", 1, 3, 3)
    assert [line.text.strip() for line in found.lines()] == [
        "1 row changed, paired by position", "v: 1 cell", 'row 2: "2" → "5"',
    ]  # fmt: skip


@pytest.mark.parametrize("on", [(), ("id",)])
def test_what_is_not_listed_is_counted(compare: Compare, on: tuple[str, ...]) -> None:
    rows = [f"r{n},{n}\n" for n in range(2_000)]
    head = "id,v\n"
    for before, after, word in (
        (rows[:9], rows[:68], "added"),
        (rows, rows[:9], "removed"),
        (rows[:1], rows[:6], "added"),
    ):
        count = abs(len(before) - len(after))
        lines = [line.text for line in compare(head + "".join(before), head + "".join(after), on=on).lines()]
        at = lines.index(f" {count:,} rows {word}")
        expected = [f"   … and {count - 5:,} more"] if count > 5 else []
        assert lines[at + 6 :] == expected
    changed = compare(head + "".join(rows[:7]), head + "".join(row.replace("\n", "0\n") for row in rows[:7]), on=on)
    assert [line.text.strip() for line in changed.lines()][-1] == "… and 2 more"


def test_columns_that_only_one_has_and_their_order(compare: Compare) -> None:
    found = compare("id,old,v\na,0,1\n", "v,id,new\n1,a,0\n")
    assert (found.columns_removed, found.columns_added, found.columns_reordered) == (("old",), ("new",), True)
    assert not found.rows_changed and not found.is_equal
    assert not compare("a\n1\n", "b\n1\n").is_equal


def test_rows_in_another_order_are_told_as_such(compare: Compare) -> None:
    found = compare("id,v\na,1\nb,2\nb,2\n", "id,v\nb,2\na,1\nb,2\n")
    assert found.rows_reordered and not found.is_equal
    assert (found.rows_changed, found.rows_added, found.rows_removed, found.cells) == (0, 0, 0, ())
    assert [line.text for line in found.lines()] == [" the same rows in another order"]


def test_an_inserted_row_does_not_change_all_others(compare: Compare) -> None:
    before = "id\n" + "".join(f"{i}\n" for i in range(100))
    found = compare(before, before.replace("5\n", "x\n5\n", 1))
    assert (found.matched_by, found.rows_added, found.rows_removed) == ("content", 1, 0)
    assert found.added == ({"id": "x"},)
    appended = compare(before, before + "x\n")
    assert (appended.matched_by, appended.rows_added, appended.rows_after) == ("position", 1, 101)


def test_rows_by_key(compare: Compare) -> None:
    found = compare("id,v\n1,a\n2,b\n3,c\n", "id,v\n4,d\n3,c\n1,x\n", on=["id"])
    assert (found.rows_added, found.rows_removed, found.rows_changed) == (1, 1, 1)
    assert found.added == ({"id": "4", "v": "d"},) and found.removed == ({"id": "2", "v": "b"},)
    assert cells(found) == {"v": [([1], "a", "x")]}
    assert found.rows_reordered
    assert compare("id,v\n1,a\n2,b\n", "v,id\na,1\nb,2\n", on=["id"]).columns_reordered


def test_keys_that_do_not_identify_a_row(compare: Compare) -> None:
    with pytest.raises(InvalidInputError, match="not unique in the later version"):
        compare("id,v\n1,a\n", "id,v\n1,a\n1,b\n", on=["id"])
    with pytest.raises(InvalidInputError, match=r"no column 'nr'.*id, v"):
        compare("id,v\n1,a\n", "id,v\n1,a\n", on=["nr"])
    assert compare("id,v\n1,a\n1,b\n", "id,v\n1,a\n1,c\n", on=["id", "v"]).rows_added == 1


def test_numbers_within_the_tolerance_are_equal(compare: Compare) -> None:
    before, after = "v\n1.0\n1e3\n007\n", "v\n1.001\n1000\n007\n"
    assert compare(before, after).rows_changed == 1
    assert compare(before, after, rtol=0.01).is_equal
    assert compare(before, after, rtol=0.0001).rows_changed == 1
    assert compare("id,v\na,1.0\n", "id,v\na,1.001\n", on=["id"], rtol=0.01).is_equal


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("007", "7"),
        ("1", "true"),
        ("12345678901234567890", "12345678901234567891"),
        ("9" * 5000, "9" * 4999),
        ("", "0"),
    ],
)
def test_text_that_looks_like_a_number_but_is_none(compare: Compare, old: str, new: str) -> None:
    assert compare(f"k,v\n1,{old}\n", f"k,v\n1,{new}\n").rows_changed == 1


def test_other_quotes_are_no_difference(compare: Compare) -> None:
    assert compare('a,b\n"1",x\n', "a,b\r\n1,x\r\n").is_equal


@pytest.mark.parametrize(
    "text", ["", "a,a\n1,2\n", "a,b\n1,2,3\n", 'a\n"1\n', "a\n" + "x" * (2 << 20) + "\n"], ids=range(5)
)
def test_what_is_not_a_table_is_refused(compare: Compare, text: str) -> None:
    with pytest.raises(NotATableError):
        compare(text, "a\n1\n")


def test_random_tables_are_compared_as_by_a_plain_search(compare: Compare) -> None:
    chance = random.Random(3)
    for _ in range(30):
        before, after = (
            {i: chance.randrange(3) for i in chance.sample(range(40), chance.randrange(30))} for _ in range(2)
        )
        texts = ["id,v\n" + "".join(f"{i},{v}\n" for i, v in rows.items()) for rows in (before, after)]
        found = compare(*texts, on=["id"])
        assert found.rows_added == len(after.keys() - before.keys())
        assert found.rows_removed == len(before.keys() - after.keys())
        assert found.rows_changed == sum(before[i] != after[i] for i in before.keys() & after.keys())
        common = [i for i in before if i in after]
        assert found.rows_reordered is (common != [i for i in after if i in before])
        assert compare(texts[0], texts[1]).is_equal is (list(before.items()) == list(after.items()))


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_tables_with_types(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(table_reader, "_MOST_ROWS", 7)
    day = pd.Timestamp("2026-01-01T00:00:00.000000001")
    old = pd.DataFrame({"id": range(50), "v": [float("nan"), *range(49)], "t": [day] * 50, "l": [[1]] * 50})
    new = old.copy()
    new["id"] = new["id"].astype("float64")
    new.loc[20, "v"] = -1.0
    new.loc[21, "t"] = day + pd.Timedelta(1, "D")
    new["l"] = [[1]] * 49 + [[2]]
    for name, table in (("a", old), ("b", new)):
        getattr(table, "to_" + suffix[1:])(tmp_path / name)
    tables = [open_table(tmp_path / name, suffix) for name in "ab"]
    for options, row in (({}, 21), ({"on": ["id"]}, [20])):
        found = compare_tables(*tables, **options)  # type: ignore[arg-type]
        assert [(one.name, one.before, one.after) for one in found.types] == [("id", "int64", "double")]
        assert cells(found)["v"] == [(row, 19.0, -1.0)]
        assert sorted(cells(found)) == ["l", "t", "v"]
        assert found.rows_changed == 3 and "2026-01-02" in repr(cells(found)["t"])


def test_bytes_that_are_no_parquet_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "a").write_bytes(b"PAR1 no")
    for suffix in (".parquet", ".feather"):
        with pytest.raises(NotATableError):
            open_table(tmp_path / "a", suffix)


def _random_table(chance: random.Random, count: int) -> Any:
    import pyarrow as pa

    def column(*values: Any, type: Any = None) -> Any:
        return pa.array([chance.choice(values) for _ in range(count)], type)

    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "whole": column(1, 2, None, type=pa.int32()),
            "real": column(1.0, 1.0 + 1e-9, float("nan"), float("inf"), -0.0, 0.0, None, type=pa.float64()),
            "text": column("a", "b", "", None, type=pa.string()),
            "truth": column(True, False, None, type=pa.bool_()),
            "kind": column("x", "y", None, type=pa.string()).dictionary_encode(),
            "nested": column([1], [1, None], None, type=pa.list_(pa.int64())),
            "pair": column({"a": 1}, {"a": None}, type=pa.struct([("a", pa.int64())])),
            "day": column(datetime.date(2026, 1, 1), None, type=pa.date32()),
            "price": column(decimal.Decimal("1.10"), decimal.Decimal("1.20"), type=pa.decimal128(5, 2)),
        }
    )


@pytest.mark.parametrize("seed", range(24))
def test_batches_of_arrow_are_compared_as_row_by_row(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(table_reader, "_MOST_ROWS", 7)
    chance = random.Random(seed)
    monkeypatch.setattr(arrow_content, "_RANGE_ROWS", chance.choice([2, 1 << 22]))
    before = _random_table(chance, chance.choice([0, 1, 30, 31]))
    if seed % 2:
        # Without the types whose values Arrow does not compare.
        before = before.drop_columns(["nested", "pair", "price"])
    after = before if seed % 3 else _random_table(chance, before.num_rows).select(before.column_names)
    if seed % 3 == 2:
        after = before.take(pa.array(chance.sample(range(before.num_rows), before.num_rows), pa.int64()))
    if seed % 3 == 1:
        start = chance.randrange(before.num_rows + 1)
        inserted = _random_table(chance, 3).select(before.column_names)
        after = pa.concat_tables([before.slice(0, start), inserted, before.slice(start)])
    if seed % 4 == 2:
        after = after.set_column(1, "whole", after["whole"].cast(pa.int64()))
    if seed % 4 == 3:
        after = after.set_column(1, "whole", after["whole"].cast(pa.float64()))
    for name, table in (("a", before), ("b", after)):
        pq.write_table(table, tmp_path / name, row_group_size=chance.choice([3, 10, 100]))
    tables = [open_table(tmp_path / name, ".parquet") for name in ("a", "b")]
    asked: list[dict[str, Any]] = [{}, {"rtol": 1e-6}, {"on": ["id"]}, {"on": ["id", "text"], "rtol": 1e-6}]
    for options in asked:
        with monkeypatch.context() as patch:
            patch.setattr(table_diff, "ArrowTable", type("Other", (), {}))
            wanted = _answer(tables, options)
        assert _answer(tables, options) == wanted


@pytest.mark.parametrize("seed", range(8))
def test_rows_joined_by_their_keys_are_those_that_an_exact_search_pairs(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    chance = random.Random(seed)
    monkeypatch.setattr(table_reader, "_MOST_ROWS", 17)
    monkeypatch.setattr(arrow_join, "_PART_BYTES", chance.choice([100, 1_000, 1 << 30]))
    monkeypatch.setattr(arrow_join, "_RANGE_ROWS", chance.choice([3, 1 << 20]))
    tables = []
    for name in ("a", "b"):
        ids: list[int | None] = [*chance.sample(range(90), chance.choice([0, 40, 80]))]
        table = _random_table(chance, len(ids))
        plates = pa.array([f"p{one}" for one in ids], pa.string())
        if seed % 4 == 3 and ids:
            ids[0] = ids[-1] if seed == 3 else None
        kind = pa.float64() if seed % 4 == 2 and name == "b" else pa.int64()
        table = table.set_column(0, "id", pa.array(ids, kind)).append_column("plate", plates)
        pq.write_table(table, tmp_path / name)
        tables.append(open_table(tmp_path / name, ".parquet"))
    asked: list[dict[str, Any]] = [{"on": ["id"]}, {"on": ["plate", "id"], "rtol": 1e-6}]
    for options in asked:
        with monkeypatch.context() as patch:
            patch.setattr(table_diff, "ArrowTable", type("Other", (), {}))
            wanted = _answer(tables, options)
        with monkeypatch.context() as patch:
            if seed != 3:
                patch.delattr(table_diff, "_database")
            assert _answer(tables, options) == wanted


def test_rows_with_equal_hashes_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    np = pytest.importorskip("numpy")
    for name, ids in (("a", [1, 2, 3]), ("b", [1, 4, 3]), ("c", [3, 1, 2])):
        pq.write_table(pa.table({"id": ids, "v": [str(one) for one in ids]}), tmp_path / name)
    a, b, c = (open_table(tmp_path / name, ".parquet") for name in "abc")
    wanted = [_answer([a, one], {"on": ["id"]}) for one in (b, c)]
    monkeypatch.setattr(arrow_rows, "hashes", lambda batch, types: np.arange(batch.num_rows, dtype=np.uint64))
    assert [_answer([a, one], {"on": ["id"]}) for one in (b, c)] == wanted
    monkeypatch.setattr(arrow_rows, "hashes", lambda batch, types: np.zeros(batch.num_rows, dtype=np.uint64))
    assert [_answer([a, one], {"on": ["id"]}) for one in (b, c)] == wanted


def test_times_without_an_object_of_python_are_compared(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for name, second in (("a", 10**12), ("b", 10**12 + 1)):
        pq.write_table(pa.table({"t": pa.array([0, second, 10**12], pa.timestamp("s"))}), tmp_path / name)
    a, b = (open_table(tmp_path / name, ".parquet") for name in "ab")
    assert compare_tables(a, a).is_equal
    assert compare_tables(a, b).rows_changed == 1
    assert [str(10**12) in repr(cells(compare_tables(a, b)))] == [True]


def _written(tmp_path: Path, *columns: Any, suffix: str = ".parquet") -> list[Any]:
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq

    write = pq.write_table if suffix == ".parquet" else pyarrow.feather.write_feather
    for number, one in enumerate(columns):
        write(pa.table(one), str(tmp_path / str(number)))
    return [open_table(tmp_path / str(number), suffix) for number in range(len(columns))]


def test_times_of_day_keep_their_nanoseconds(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    for kind, one, other in ((pa.time64("ns"), 1, 2), (pa.list_(pa.time64("ns")), [1], [2])):
        tables = _written(tmp_path, {"t": pa.array([one], kind)}, {"t": pa.array([other], kind)})
        found = compare_tables(*tables)
        assert found.rows_changed == 1 and "000002" in repr(cells(found)), kind
    keyed = {"t": pa.array([1, 2], pa.time64("ns")), "v": [1, 2]}
    assert compare_tables(*_written(tmp_path, keyed, keyed), on=["t"]).is_equal


def test_zones_and_scales_are_no_difference_of_keys_and_rows(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    instants = [pa.array([0, 60], pa.timestamp("s", zone)) for zone in ("UTC", "Asia/Tokyo")]
    prices = [pa.array([decimal.Decimal(text) for text in texts]) for texts in (("1.10", "2.00"), ("1.1", "2.0"))]
    for old, new in (instants, prices):
        tables = _written(tmp_path, {"k": old, "v": [1, 2]}, {"k": new, "v": [1, 3]})
        found = compare_tables(*tables, on=["k"])
        assert (found.rows_changed, found.rows_added, found.rows_removed) == (1, 0, 0)
        swapped = compare_tables(*_written(tmp_path, {"k": old, "v": [1, 2]}, {"k": new.take([1, 0]), "v": [2, 1]}))
        assert (swapped.rows_reordered, swapped.rows_changed) == (True, 0)


def test_types_that_arrow_cannot_select_from_are_compared(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    tables = [{"v": pa.array([*words, "same"], pa.string_view())} for words in (["a", "b"], ["a", "c"])]
    found = compare_tables(*_written(tmp_path, *tables, suffix=".feather"))
    assert cells(found) == {"v": [(2, "b", "c")]}


def test_tables_without_a_common_column_have_their_rows_counted(compare: Compare, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    found = compare("a\n1\n2\n", "b\n1\n")
    assert (found.rows_before, found.rows_after, found.is_equal) == (2, 1, False)
    found = compare_tables(*_written(tmp_path, {"a": [1, 2]}, {"b": [1]}))
    assert (found.rows_before, found.rows_after) == (2, 1)


@pytest.mark.parametrize(
    ("old", "new", "is_equal"),
    [
        ("12345678901234567.89", "12345678901234567.01", False),
        ("1e400", "1e500", False),
        ("0.1", "0.10000000000000000001", False),
        ("0.1", "0.1000000000000000000000", True),
        ("1.10", "1.1", True),
    ],
)
def test_digits_beyond_those_of_a_double_count(compare: Compare, old: str, new: str, is_equal: bool) -> None:
    assert compare(f"v\n{old}\n", f"v\n{new}\n").is_equal is is_equal
    found = compare(f"k,v\n{old},1\n", f"k,v\n{new},1\n", on=["k"])
    assert (found.rows_added == 0) is is_equal


def test_many_equal_rows_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(table_reader, "_MOST_ROWS", 4)
    found = compare_tables(*_written(tmp_path, {"v": [1, 2, 3, *[0] * 30]}, {"v": [*[0] * 30, 1, 2, 4, 4]}))
    assert (found.matched_by, found.rows_removed, found.rows_added) == ("content", 1, 2)
    assert (found.removed, found.added) == (({"v": 3},), ({"v": 4},))


def _answer(tables: list[Any], options: dict[str, Any]) -> Any:
    try:
        found = compare_tables(*tables, **options)
    except InvalidInputError as error:
        return str(error)
    return json.dumps(asdict(found), default=str)


def test_keys_in_the_same_order_need_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"id": range(3_000), "v": range(3_000)})
    for name, values in (("a", range(3_000)), ("b", [*range(2_999), -1])):
        pq.write_table(table.set_column(1, "v", pa.array(values)), tmp_path / name)
    tables = [open_table(tmp_path / name, ".parquet") for name in ("a", "b")]
    with monkeypatch.context() as patch:
        patch.delattr(table_diff, "_database")
        found = compare_tables(*tables, on=["id"])
    assert (found.matched_by, found.rows_changed, found.rows_reordered) == ("key", 1, False)
    assert cells(found) == {"v": [([2_999], 2_999, -1)]}
    pq.write_table(pa.table({"id": [1, 1], "v": [1, 2]}), tmp_path / "twice")
    twice = open_table(tmp_path / "twice", ".parquet")
    with pytest.raises(InvalidInputError, match="not unique"):
        compare_tables(twice, twice, on=["id"])
