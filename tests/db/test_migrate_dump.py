"""A dump of a PostgreSQL database holds every value, and is read back as it was."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context, filesystem
from lamindb.db import migrate
from lamindb.errors import DatabaseError


@pytest.fixture
def filled(tmp_path: Path, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    ln.track(ln.Transform(name='ü, "quoted"', type="pipeline"), params={"a": [1, None, ""], "b": "x\ny"})
    for number in range(3):
        ln.File(f"{number}".encode(), key=f"a, {number}.txt", description="" if number else None).save()
    ln.finish()
    return migrated_postgres_url


def test_what_was_dumped_is_read_back_as_it_was(filled: str, tmp_path: Path) -> None:
    import psycopg

    migrate.dump_tables(context.instance().alias, tmp_path / "dump.zip")
    with zipfile.ZipFile(tmp_path / "dump.zip") as archive, psycopg.connect(filled) as link:
        tables = {name.removesuffix(".csv"): archive.read(name) for name in archive.namelist()}
        assert {"django_migrations", "lamindb_file", "lamindb_run", "lamindb_user"} <= set(tables)
        for table, data in tables.items():
            before = link.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            link.execute(f"CREATE TEMP TABLE back_{table} (LIKE {table} INCLUDING GENERATED) ON COMMIT DROP")
            with link.cursor().copy(f"COPY back_{table} FROM STDIN WITH (FORMAT csv, HEADER)") as copy:
                copy.write(data)
            assert link.execute(f"SELECT * FROM back_{table} ORDER BY 1").fetchall() == before
        assert link.execute("SELECT count(*) FROM lamindb_file").fetchone() == (3,)
    assert [path.name for path in tmp_path.iterdir() if "dump" in path.name] == ["dump.zip"]


def test_a_table_of_another_version_is_dumped_whole(filled: str, tmp_path: Path) -> None:
    import psycopg

    with psycopg.connect(filled, autocommit=True) as link:
        link.execute("ALTER TABLE lamindb_file ADD COLUMN of_another_version text DEFAULT 'here'")
        link.execute("CREATE TABLE theirs (x int)")
    migrate.dump_tables(context.instance().alias, tmp_path / "dump.zip")
    with zipfile.ZipFile(tmp_path / "dump.zip") as archive:
        assert archive.read("lamindb_file.csv").count(b",here") == 3
        assert "theirs.csv" not in archive.namelist()


def test_what_cannot_be_dumped_is_not_migrated(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = context.instance()
    with pytest.raises(DatabaseError, match="cannot back up"):
        migrate.dump_tables(instance.alias, tmp_path / "absent" / "dump.zip")
    (instance.home_path / "backups").write_bytes(b"in the way")
    monkeypatch.setattr(migrate, "known", lambda: migrate.applied(instance.alias) | {"9999_later"})
    with pytest.raises(DatabaseError, match="nothing was migrated"):
        migrate.bring_up_to_date(instance.alias, home=instance.home_path)
    assert ln.File.select().count() == 3


def test_the_name_of_a_dump_is_flushed(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        filesystem, "fsync_folder", lambda path: flushed.append((path, (tmp_path / "dump.zip").exists()))
    )
    migrate.dump_tables(context.instance().alias, tmp_path / "dump.zip")
    assert flushed == [(str(tmp_path), True)]
