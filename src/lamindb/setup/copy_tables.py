"""Copy all records from one database to another, SQLite or PostgreSQL, and compare them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from blake3 import blake3
from django.apps import apps
from django.db import ProgrammingError, models, transaction

from lamindb.core.keys import OWN_ROOT
from lamindb.core.progress import Progress
from lamindb.core.text import storable
from lamindb.db import database
from lamindb.db.database import chunks
from lamindb.errors import DatabaseError
from lamindb.models import Storage, SweepMark

_MODULUS: Final = 1 << 256
_AT_ONCE: Final = 500
_CLOSED: Final = "lamindb_has_moved"
"""The name of the function, and of the triggers that call it, by which a database refuses to be written to."""


@dataclass(frozen=True, slots=True)
class Table:
    """A summary of a table, by which two databases can be compared.

    Attributes:
        name: The table.
        n_rows: How many rows.
        digest: A digest of all rows, whatever their order.
    """

    name: str
    n_rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Place:
    """The recorded location of a database's own storage: the one field that differs after a move."""

    storage_id: str
    location: str
    type: str


def location_of(root_url: str, database_url: str | None) -> tuple[str, str]:
    """Return the location and type in the record of an instance's own storage."""
    if "://" in root_url:
        return root_url, root_url.split("://", 1)[0]
    return OWN_ROOT if database_url is None else root_url, "local"


def kinds() -> list[type[models.Model]]:
    """Return the models whose rows are copied, each after those that it refers to."""
    waiting = [
        model for model in apps.get_app_config("lamindb").get_models() if model._meta.managed and not model._meta.proxy
    ]
    waiting.remove(SweepMark)
    ordered: list[type[models.Model]] = []
    while waiting:
        ready = [model for model in waiting if not _referred(model) & (set(waiting) - {model})]
        ordered += ready
        waiting = [model for model in waiting if model not in ready]
    return ordered


def _referred(model: type[models.Model]) -> set[Any]:
    return {field.related_model for field in model._meta.concrete_fields if field.is_relation}


def count(alias: str) -> int:
    """Return how many rows a database has."""
    return sum(models.QuerySet(model, using=alias).count() for model in kinds())


def copy(source: str, target: str, *, place: Place | None = None, progress: Progress | None = None) -> None:
    """Copy all rows inside open transactions of both databases, with their ids.

    Args:
        source: The alias of the database to read.
        target: The alias of one that has the tables and no rows.
        place: What to write as the place of the own storage; None leaves it.
        progress: Called with how many rows are copied, and how many there are.

    Raises:
        DatabaseError, InvalidInputError: The target refuses a row. Roll its transaction back.
    """
    connection = database.connection(target)
    total = count(source) if progress is not None else 0
    done = 0
    for model in kinds():
        fields = list(model._meta.concrete_fields)
        columns = [field.column for field in fields]
        for chunk in chunks(_rows(source, model, place)):
            rows = [
                [field.get_db_prep_save(value, connection=connection) for field, value in zip(fields, row, strict=True)]
                for row in chunk
            ]
            database.insert_rows(connection, model._meta.db_table, columns, rows)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
    _set_sequences(connection)


def _set_sequences(connection: Any) -> None:
    """Set the sequences of the database to continue after the numbers that were copied."""
    from django.core.management.color import no_style

    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), kinds()):
            cursor.execute(statement)


def _rows(alias: str, model: type[models.Model], place: Place | None) -> Iterator[tuple[Any, ...]]:
    """Yield rows as every database can hold them: older versions stored values in SQLite that PostgreSQL refuses."""
    names = [field.attname for field in model._meta.concrete_fields]
    query: Any = models.QuerySet(model, using=alias).order_by("pk").values_list(*names)
    for row in map(storable, query.iterator(chunk_size=2000)):
        if model is Storage and place is not None and row[names.index("id")] == place.storage_id:
            changed = {"location": place.location, "type": place.type}
            yield tuple(changed.get(name, value) for name, value in zip(names, row, strict=True))
        else:
            yield row


def described(alias: str, *, place: Place | None = None, progress: Progress | None = None) -> list[Table]:
    """Describe all tables of a database, with `place` as the place of its own storage."""
    found: list[Table] = []
    total_rows = count(alias) if progress is not None else 0
    done = 0
    for model in kinds():
        n_rows, total = 0, 0
        for row in _rows(alias, model, place):
            text = json.dumps([_plain(value) for value in row], default=str, sort_keys=True, ensure_ascii=False)
            total = (total + int.from_bytes(blake3(text.encode("utf-8", "surrogatepass")).digest(), "big")) % _MODULUS
            n_rows += 1
            done += 1
            if progress is not None and (done % _AT_ONCE == 0 or done == total_rows):
                progress(done, total_rows)
        found.append(Table(model._meta.db_table, n_rows, f"{total:064x}"))
    return found


def _plain(value: Any) -> Any:
    """Write numbers in one way: PostgreSQL gives back 6.02e23 as the whole number of these digits.

    That is another one than the exact value of the float, which no decimal digits need to tell.
    """
    if isinstance(value, float) and value.is_integer():
        return int(Decimal(repr(value)))
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def differing(one: list[Table], other: list[Table]) -> list[str]:
    """Return the names of tables in which two databases differ."""
    known = {table.name: table for table in other}
    return [table.name for table in one if known.get(table.name) != table]


def block_writers(alias: str) -> None:
    """Inside an open transaction: keep other processes from writing until its end.

    Raises:
        DatabaseError: The database did not grant it.
    """
    connection = database.connection(alias)
    database.take_all(connection)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {', '.join(_quoted(connection))} IN SHARE ROW EXCLUSIVE MODE")


def close(alias: str, reason: str) -> None:
    """Inside the transaction of `block_writers`: make a PostgreSQL database refuse all later writes.

    Its rows stay as they are, and can be read. Dropping the function `lamindb_has_moved` with what depends on it
    opens it again.

    Args:
        alias: The database.
        reason: The message of the error that a writer gets.

    Raises:
        DatabaseError: The server does not allow it; nothing was changed.
    """
    connection = database.connection(alias)
    if connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=alias), connection.cursor() as cursor:
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION {_CLOSED}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$body$ BEGIN RAISE EXCEPTION USING MESSAGE = {_text(reason)}, ERRCODE = '55000'; END $body$"
            )
            for table in _quoted(connection):
                cursor.execute(
                    f"CREATE OR REPLACE TRIGGER {_CLOSED} BEFORE INSERT OR UPDATE OR DELETE ON {table} "
                    f"FOR EACH STATEMENT EXECUTE FUNCTION {_CLOSED}()"
                )
    except ProgrammingError as error:
        raise DatabaseError(f"the server does not allow it: {str(error).splitlines()[0]}") from error


def _quoted(connection: Any) -> list[str]:
    every: list[type[models.Model]] = [*kinds(), SweepMark]
    return [connection.ops.quote_name(model._meta.db_table) for model in every]


def _text(value: str) -> str:
    """Write text as SQL does: a definition takes no parameters."""
    return "'" + value.replace("\\", "/").replace("'", "''").replace("$", "") + "'"


def clear(alias: str) -> None:
    """Remove all rows inside an open transaction."""
    connection = database.connection(alias)
    every: list[Any] = [*reversed(kinds()), SweepMark]
    with connection.cursor() as cursor:
        for model in every:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")


def drop(alias: str) -> None:
    """Remove our tables from a database, and the notes of their migrations; other tables stay."""
    connection = database.connection(alias)
    with database.writing(alias), connection.cursor() as cursor:
        every: list[Any] = [*reversed(kinds()), SweepMark]
        for model in every:
            cursor.execute(f"DROP TABLE IF EXISTS {connection.ops.quote_name(model._meta.db_table)} CASCADE")
        if connection.vendor == "postgresql":
            cursor.execute(f"DROP FUNCTION IF EXISTS {_CLOSED}, lamindb_folded(text)")
        if "django_migrations" in connection.introspection.table_names(cursor):
            cursor.execute("DELETE FROM django_migrations WHERE app = 'lamindb'")
            cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")
            if cursor.fetchone() is None:
                cursor.execute("DROP TABLE django_migrations")
