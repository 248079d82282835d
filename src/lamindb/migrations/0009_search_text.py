"""On PostgreSQL, the names as searches compare them are a column, which the index of names reads.

The index of an expression had it computed anew for each row that it found, which took most of a search's time.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

from lamindb.core import messages

_FILE = "CASE WHEN key IS NULL THEN name WHEN right(key, length(name)) = name THEN key ELSE key || ' ' || name END"
_NAMES = {"lamindb_file": _FILE, "lamindb_run": "name", "lamindb_transform": "name"}
_COLUMN = "search_text"
_MANY = 100_000


def _indexed(editor: Any) -> list[str]:
    """Return the tables that have an index of names: none on SQLite, nor on a server without pg_trgm."""
    if editor.connection.vendor != "postgresql":
        return []
    with editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name || '_search') IS NOT NULL",
            [list(_NAMES)],
        )
        return [name for (name,) in cursor.fetchall()]


def _index(editor: Any, table: str, text: str) -> None:
    editor.execute(f"DROP INDEX IF EXISTS {table}_search", params=None)
    editor.execute(f"CREATE INDEX {table}_search ON {table} USING gin ({text} gin_trgm_ops)", params=None)


def complete(editor: Any) -> None:
    """Add the column to tables that have an index of names, and make that index anew."""
    for table in _indexed(editor):
        text = f"lamindb_folded({_NAMES[table]})"
        editor.execute(
            f"ALTER TABLE {table} ADD COLUMN {_COLUMN} text GENERATED ALWAYS AS ({text}) STORED", params=None
        )
        _index(editor, table, _COLUMN)


def build(apps: Any, editor: Any) -> None:
    """Add the column for the records that exist, and say so where that takes long."""
    tables = _indexed(editor)
    if not tables:
        return
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM lamindb_file LIMIT 1 OFFSET %s", [_MANY])
        if cursor.fetchone() is not None:
            messages.info("building the search index; this takes about a minute for a million files")
    complete(editor)
    for table in tables:
        editor.execute(f"ANALYZE {table}", params=None)


def remove(apps: Any, editor: Any) -> None:
    """Make the index of the expression again, and drop the column."""
    for table in _indexed(editor):
        _index(editor, table, f"lamindb_folded({_NAMES[table]})")
        editor.execute(f"ALTER TABLE {table} DROP COLUMN {_COLUMN}", params=None)


class Migration(migrations.Migration):
    """Changes tables on PostgreSQL only; no row is changed."""

    dependencies = [("lamindb", "0008_file_events")]

    operations = [migrations.RunPython(build, remove)]
