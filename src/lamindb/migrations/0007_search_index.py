"""Indexes for lists of files and runs by what they are filtered by, the newest first, and for searches by name.

Searches have an index of trigrams: on SQLite an FTS5 table for each kind of record, fed by triggers; on PostgreSQL a
GIN index, if the extension pg_trgm may be installed. Without them `lamindb.search` reads names itself.

On SQLite the triggers belong to the tables: a later migration that makes a table anew has to make its triggers, too.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from typing import Any

import django.db.models.deletion
from django.db import DatabaseError, migrations, models, transaction

from lamindb.core import messages, progress

_FOREIGN_KEYS = {
    "lamindb_file": ("created_by_id", "run_id", "transform_id"),
    "lamindb_run": ("created_by_id", "parent_id", "transform_id"),
}
_SEARCHED = {"lamindb_file": ("key", "name"), "lamindb_run": ("name",), "lamindb_transform": ("name",)}
"""The tables that have an index of names, and the columns with the names; files have a key or a name or both."""

_AT_ONCE = 20_000
_MANY = 100_000
_TRIGRAM_SINCE = (3, 34)
_BETWEEN_WORDS = "/_-."
_LATIN = [chr(code) for code in range(0xC0, 0x180)]
_OTHERS = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "þ": "th", "ı": "i"}


def _letters() -> dict[str, str]:
    """Return the Latin letters with marks, and what they are without, as searches compare them."""
    found = {}
    for letter in _LATIN:
        plain = _OTHERS.get(letter.lower(), unicodedata.normalize("NFKD", letter)[0].lower())
        if plain.isascii() and plain.isalpha():
            found[letter] = plain
    return found


def _single_letters() -> tuple[str, str]:
    pairs = [(letter, plain) for letter, plain in _letters().items() if len(plain) == 1]
    letters, plain = ("".join(part) for part in zip(*pairs, strict=True))
    return letters, plain


def _double_letters() -> list[tuple[str, str]]:
    return [(letter, plain) for letter, plain in _letters().items() if len(plain) > 1]


def _sqlite_text(table: str, row: str) -> str:
    """Return SQL for the text of a row that is indexed: its names, with words between spaces and letters without marks."""
    name = f"{row}.name"
    if table == "lamindb_file":
        key = f"{row}.key"
        # The name is the end of the key for nearly all files.
        name = (
            f"CASE WHEN {key} IS NULL THEN {name} WHEN substr({key}, -length({name})) = {name} THEN {key} "
            f"ELSE {key} || ' ' || {name} END"
        )
    spaced = f"' ' || ({name}) || ' '"
    for sign in _BETWEEN_WORDS:
        spaced = f"replace({spaced}, '{sign}', ' ')"
    letters, plain = _single_letters()
    letter = "substr(t, i, 1)"
    folded = (
        "WITH RECURSIVE f(i, o) AS (SELECT 1, '' UNION ALL SELECT i + 1, o || CASE "
        f"WHEN {letter} BETWEEN ' ' AND '~' OR NOT instr('{letters}', {letter}) THEN {letter} "
        f"ELSE substr('{plain}', instr('{letters}', {letter}), 1) END FROM f WHERE i <= length(t)) "
        "SELECT o FROM f ORDER BY i DESC LIMIT 1"
    )
    for letter, several in _double_letters():
        folded = f"replace({folded if folded[0] == 'r' else f'({folded})'}, '{letter}', '{several}')"
    return f"(SELECT CASE WHEN t GLOB '*[^ -~]*' THEN {folded} ELSE t END FROM (SELECT {spaced} AS t))"


def _sqlite_statements(table: str) -> list[str]:
    index = f"{table}_search"
    new, old = _sqlite_text(table, "new"), _sqlite_text(table, "old")
    changed = " OR ".join(f"old.{column} IS NOT new.{column}" for column in _SEARCHED[table])
    add = f"INSERT INTO {index} (rowid, text) SELECT new.rowid, {new} WHERE new.name IS NOT NULL;"
    drop = f"INSERT INTO {index} ({index}, rowid, text) SELECT 'delete', old.rowid, {old} WHERE old.name IS NOT NULL;"
    return [
        f"CREATE VIRTUAL TABLE {index} USING fts5(text, content='', columnsize=0, detail=none, tokenize='trigram')",
        f"CREATE TRIGGER {index}_insert AFTER INSERT ON {table} WHEN new.name IS NOT NULL BEGIN {add} END",
        f"CREATE TRIGGER {index}_delete AFTER DELETE ON {table} WHEN old.name IS NOT NULL BEGIN {drop} END",
        f"CREATE TRIGGER {index}_update AFTER UPDATE ON {table} WHEN {changed} BEGIN {drop} {add} END",
    ]


def _has_trigrams(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pragma_compile_options WHERE compile_options = 'ENABLE_FTS5'")
        return cursor.fetchone() is not None and sqlite3.sqlite_version_info >= _TRIGRAM_SINCE


def _postgres_statements() -> list[str]:
    letters, plain = _single_letters()
    spaced = f"lower(' ' || translate(t, '{_BETWEEN_WORDS}', '{' ' * len(_BETWEEN_WORDS)}') || ' ')"
    folded = f"translate({spaced}, '{letters}', '{plain}')"
    for letter, several in _double_letters():
        folded = f"replace({folded}, '{letter}', '{several}')"
    body = f"SELECT CASE WHEN octet_length(t) = length(t) THEN {spaced} ELSE {folded} END"
    file = "CASE WHEN key IS NULL THEN name WHEN right(key, length(name)) = name THEN key ELSE key || ' ' || name END"
    texts = {"lamindb_file": file, "lamindb_run": "name", "lamindb_transform": "name"}
    return [
        "CREATE EXTENSION IF NOT EXISTS pg_trgm",
        f"CREATE FUNCTION lamindb_folded(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body${body}$body$",
        *(
            f"CREATE INDEX {table}_search ON {table} USING gin (lamindb_folded({text}) gin_trgm_ops)"
            for table, text in texts.items()
        ),
    ]


def complete(editor: Any) -> None:
    """Make the indexes of names; on PostgreSQL, have keys and names compared by their bytes, as SQLite does."""
    if editor.connection.vendor == "sqlite":
        if _has_trigrams(editor.connection):
            for table in _SEARCHED:
                for statement in _sqlite_statements(table):
                    editor.execute(statement, params=None)
        return
    editor.execute(
        'ALTER TABLE lamindb_file ALTER COLUMN key TYPE text COLLATE "C", ALTER COLUMN name TYPE text COLLATE "C"'
    )
    try:
        with transaction.atomic(using=editor.connection.alias):
            for statement in _postgres_statements():
                editor.execute(statement, params=None)
    except DatabaseError as error:
        messages.info(f"searches read names without an index, as the server has no pg_trgm for this user: {error}")


def build(apps: Any, editor: Any) -> None:
    """Make the indexes of names for the records that exist, with progress."""
    connection = editor.connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM lamindb_file LIMIT 1 OFFSET %s", [_MANY])
        if cursor.fetchone() is not None:
            messages.info("building the search index; this takes about a minute for a million files")
    complete(editor)
    if connection.vendor != "sqlite" or not _has_trigrams(connection):
        return
    for table in _SEARCHED:
        text = _sqlite_text(table, "r")
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}")
            last = cursor.fetchone()[0]
            starts = list(range(0, last, _AT_ONCE))
            with progress.bar_for(starts, None) as report:
                for start in starts:
                    cursor.execute(
                        f"INSERT INTO {table}_search (rowid, text) SELECT rowid, {text} FROM {table} r "
                        f"WHERE rowid > {start} AND rowid <= {start + _AT_ONCE} AND name IS NOT NULL ORDER BY rowid"
                    )
                    if report is not None:
                        report(min(start + _AT_ONCE, last), last)
    with connection.cursor() as cursor:
        # Without statistics of the new indexes, others may be taken.
        cursor.execute("PRAGMA analysis_limit = 1000")
        cursor.execute("ANALYZE")


def drop_indexes(apps: Any, editor: Any) -> None:
    """Drop the indexes of foreign keys, for which there are others that sort by time, too."""
    for table, columns in _FOREIGN_KEYS.items():
        with editor.connection.cursor() as cursor:
            found = editor.connection.introspection.get_constraints(cursor, table)
        for name, constraint in found.items():
            if constraint["index"] and not constraint["unique"] and constraint["columns"] in [[one] for one in columns]:
                editor.execute(f"DROP INDEX {editor.quote_name(name)}")


def _key(to: str, **options: Any) -> Any:
    return models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to=to, **options)


_CURRENT = models.Q(("is_latest", True), ("trashed_at__isnull", True))


def remove(apps: Any, editor: Any) -> None:
    """Remove what `build` made, where it was made."""
    if editor.connection.vendor == "sqlite":
        for table in _SEARCHED:
            for event in ("insert", "delete", "update"):
                editor.execute(f"DROP TRIGGER IF EXISTS {table}_search_{event}", params=None)
            editor.execute(f"DROP TABLE IF EXISTS {table}_search", params=None)
        return
    for table in _SEARCHED:
        editor.execute(f"DROP INDEX IF EXISTS {table}_search", params=None)
    editor.execute("DROP FUNCTION IF EXISTS lamindb_folded(text)", params=None)


class Migration(migrations.Migration):
    """Changes indexes; no row is changed."""

    dependencies = [("lamindb", "0006_not_current_files")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_indexes, migrations.RunPython.noop)],
            state_operations=[
                migrations.AlterField("file", "created_by", _key("lamindb.user", null=True, related_name="+")),
                migrations.AlterField(
                    "file", "run", _key("lamindb.run", blank=True, null=True, related_name="file_set")
                ),
                migrations.AlterField(
                    "file", "transform", _key("lamindb.transform", blank=True, null=True, related_name="file_set")
                ),
                migrations.AlterField("run", "created_by", _key("lamindb.user", null=True, related_name="+")),
                migrations.AlterField(
                    "run", "parent", _key("lamindb.run", blank=True, null=True, related_name="children")
                ),
                migrations.AlterField("run", "transform", _key("lamindb.transform", related_name="run_set")),
            ],
        ),
        migrations.RemoveIndex("run", "run_running"),
        *(
            migrations.AddIndex(model, models.Index(fields=[*fields, "id"], name=name, condition=condition))
            for model, name, fields, condition in (
                ("file", "file_created_by", ["created_by", "created_at"], None),
                ("file", "file_transform", ["transform", "created_at"], None),
                ("file", "file_run", ["run", "created_at"], None),
                ("file", "file_suffix", ["suffix", "created_at"], _CURRENT),
                ("file", "file_storage", ["storage", "created_at"], _CURRENT),
                ("file", "file_trashed_at", ["trashed_at"], models.Q(("trashed_at__isnull", False))),
                ("run", "run_status", ["status", "created_at"], None),
                ("run", "run_transform", ["transform", "created_at"], None),
                ("run", "run_created_by", ["created_by", "created_at"], None),
                ("run", "run_parent", ["parent", "created_at"], None),
                ("transform", "transform_created_at", ["created_at"], None),
                ("flag", "flag_created_at", ["created_at"], None),
                ("flag", "flag_removed_at", ["removed_at"], models.Q(("removed_at__isnull", False))),
            )
        ),
        migrations.RunPython(build, remove),
    ]
