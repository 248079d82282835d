"""One level of the tree of keys, read by skip scan."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import InvalidInputError
from lamindb.files import levels
from lamindb.files.levels import Level, key_range, level


def add_files(keys: list[str]) -> None:
    made = []
    for number, key in enumerate(keys):
        file = ln.File(b"%d" % number, key=key)
        file.__dict__.update(
            storage_id=context.instance().storage_id, size=number, hash="h", digest="d", n_files=1, pending=None
        )
        made.append(file)
    with database.writing(context.instance().alias) as link:
        database.insert_many(link, made)


def shown(found: Level) -> list[str]:
    return [folder.key for folder in found.folders] + [file.key or "" for file in found.files]


def test_a_level_has_folders_with_counts_and_files(instance: Path) -> None:
    add_files(["b.txt", "a/one.csv", "a/deep/two.csv", "a/deep/er/three.csv", "a-b", "a"])
    top = level(ln.File.select())
    assert [(one.key, one.name, one.n_files, one.size, one.is_counted) for one in top.folders] == [
        ("a/", "a", 3, 6, True)
    ]
    assert [file.key for file in top.files] == ["a", "a-b", "b.txt"]
    assert top.next is None
    assert shown(level(ln.File.select(), "a")) == shown(level(ln.File.select(), "a/")) == ["a/deep/", "a/one.csv"]
    assert shown(level(ln.File.select(), "a/deep/er")) == ["a/deep/er/three.csv"]
    assert shown(level(ln.File.select(), "nothing")) == []


def test_levels_are_those_of_all_keys(instance: Path) -> None:
    chance = random.Random(3)
    names = ["a", "a0", "a.b", "B", "é", "日本", "x10", "x9", "~", "\U0010ffff"]
    keys = sorted({"/".join(chance.choices(names, k=chance.randint(1, 4))) for _ in range(300)})
    add_files(keys)
    for prefix in ["", *sorted({key.rpartition("/")[0] + "/" for key in keys if "/" in key})]:
        rest = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
        folders = {name.partition("/")[0] for name in rest if "/" in name}
        files = {prefix + name for name in rest if "/" not in name}
        found = level(ln.File.select(), prefix)
        assert {folder.name: folder.n_files for folder in found.folders} == {
            name: sum(one.startswith(f"{name}/") for one in rest) for name in folders
        }
        assert {file.key for file in found.files} == files
        parts, after = [], None
        while True:
            part = level(ln.File.select(), prefix, after=after, limit=3)
            parts += shown(part)
            after = part.next
            if after is None:
                break
        assert sorted(parts) == sorted(shown(found))


def test_names_are_sorted_as_people_read_them(instance: Path) -> None:
    add_files(["x10.txt", "x9.txt", "X1.txt", "run10/a", "run2/a"])
    assert shown(level(ln.File.select())) == ["run2/", "run10/", "X1.txt", "x9.txt", "x10.txt"]


def test_files_of_several_storages_may_have_one_key(instance: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("there")
    ln.Storage(root=tmp_path / "other").save()
    ln.File(tmp_path / "other" / "a.txt").save()
    ln.File(b"here", key="a.txt").save()
    ln.File(b"here", key="b.txt").save()
    assert shown(level(ln.File.select())) == ["a.txt", "a.txt", "b.txt"]


def test_what_is_counted_is_limited(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_files([f"many/{number:03}" for number in range(25)] + [f"few{number}/x" for number in range(9)])
    monkeypatch.setattr(levels, "_BUDGET", 100)
    found = {folder.name: folder for folder in level(ln.File.select()).folders}
    assert (found["many"].n_files, found["many"].is_counted) == (10, False)
    assert (found["few3"].n_files, found["few3"].is_counted) == (1, True)


def test_a_query_narrows_a_level(instance: Path) -> None:
    add_files(["a/x.csv", "a/y.csv", "b/x.txt"])
    ln.File.select(key="a/y.csv").one().delete()
    found = level(ln.File.select(key__endswith=".csv"))
    assert [(folder.key, folder.n_files) for folder in found.folders] == [("a/", 1)]
    assert [folder.n_files for folder in level(ln.File.objects.all()).folders] == [2, 1]


def test_prefixes_are_ranges(instance: Path) -> None:
    add_files(["a", "a/b", "a\U0010ffff", "b", "\U0010ffff/x"])
    assert key_range(ln.File.select(), "a").order_by("key").list("key") == ["a", "a/b", "a\U0010ffff"]
    assert key_range(ln.File.select(), "\U0010ffff").list("key") == ["\U0010ffff/x"]
    assert key_range(ln.File.select(), "\ud7ff").list("key") == []


def test_bad_limits_and_places_are_errors(instance: Path) -> None:
    for limit in (0, 1_001, True, "3"):
        with pytest.raises(InvalidInputError, match="limit must be"):
            level(ln.File.select(), limit=limit)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="is not in 'a/'"):
        level(ln.File.select(), "a", after="b/c")
