"""Deleting and restoring many files at once, as if each were done by itself, and all or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core.errors import ConflictError, InvalidInputError
from lamindb.models import File
from lamindb.usecases import trashing


def save(key: str, *contents: bytes) -> list[File]:
    return [ln.File(content, key=key).save() for content in contents]


def anew(files: Sequence[File]) -> list[File]:
    return [File.objects.get(id=file.id) for file in files]


def current(key: str) -> File | None:
    found: File | None = File.filter(key=key).one_or_none()
    return found


def test_each_key_falls_back_to_its_newest_version_left(instance: Path) -> None:
    a, b, c = save("a.txt", b"1", b"2", b"3"), save("b.txt", b"1", b"2"), save("c.txt", b"1")
    ln.delete([a[2], a[1], b[0], c[0]])
    left = [current(key) for key in ("a.txt", "b.txt", "c.txt")]
    assert [file and file.id for file in left] == [a[0].id, b[1].id, None]
    assert (instance / "a.txt").read_bytes() == b"1"
    assert (instance / "b.txt").read_bytes() == b"2"
    assert not (instance / "c.txt").exists()


def test_what_comes_back_together_is_current_only_where_it_is_the_newest(instance: Path) -> None:
    a, b = save("a.txt", b"1", b"2", b"3"), save("b.txt", b"1", b"2")
    ln.delete([*a, b[0]])
    assert [file.is_latest for file in anew(a)] == [False, False, False]
    trashing.restore(anew([a[0], a[1], b[0]]))
    assert [file.is_latest for file in anew(a)] == [False, True, False]
    assert [file.is_latest for file in anew(b)] == [False, True]
    assert (instance / "a.txt").read_bytes() == b"2"
    a[2] = anew([a[2]])[0].restore()
    assert a[2].is_latest
    assert [file.is_latest for file in anew(a)] == [False, False, True]
    assert (instance / "a.txt").read_bytes() == b"3"


def test_a_key_that_another_file_took_stays_with_it(instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (first,) = save("a.txt", b"1")
    first.delete()
    (second,) = save("a.txt", b"2")
    (other,) = save("b.txt", b"1")
    other.delete()
    trashing.restore(anew([first, other]))
    assert [file.is_latest for file in anew([first, second, other])] == [False, True, True]
    assert f"the key 'a.txt' belongs to {second.id} now: {first.id} is back, but not current" in capsys.readouterr().err
    assert first.id in [file.id for file in File.objects.filter(trashed_at__isnull=True)]


def test_two_families_of_one_key_in_the_trash_come_back_as_one_current_file(instance: Path) -> None:
    (first,) = save("a.txt", b"1")
    first.delete()
    (second,) = save("a.txt", b"2")
    second.delete()
    trashing.restore(anew([first, second]))
    assert [file.is_latest for file in anew([first, second])] == [False, True]
    assert (instance / "a.txt").read_bytes() == b"2"


def test_restoring_several_is_all_or_nothing(instance: Path) -> None:
    (a,), (b,), (c,) = save("a.txt", b"1"), save("b.txt", b"2"), save("c.txt", b"3")
    ln.delete([a, c])
    with pytest.raises(InvalidInputError, match=r"'b.txt' is not in the trash"):
        trashing.restore([a, b])
    gone = anew([c])[0]
    c.delete(permanent=True)
    with pytest.raises(ConflictError, match="deleted for good"):
        trashing.restore([a, gone])
    assert anew([a])[0].trashed_at is not None
    assert not (instance / "a.txt").exists()
    trashing.restore([])


def test_the_number_of_statements_does_not_grow_with_the_files(local_instance: Path) -> None:
    from django.db import connections
    from django.test.utils import CaptureQueriesContext

    from lamindb.core import current as current_instance

    def statements(files: list[File]) -> int:
        with CaptureQueriesContext(connections[current_instance.instance().alias]) as queries:
            ln.delete(files)
            trashing.restore(files)
            ln.delete(files, permanent=True)
        return len(queries)

    few = [file for number in range(3) for file in save(f"few/{number}.txt", b"1", b"2")]
    many = [file for number in range(30) for file in save(f"many/{number}.txt", b"1", b"2")]
    assert statements(few) == statements(many)
