"""Django as a library: set up on first use, one connection alias per instance, a router between them."""

from __future__ import annotations

import contextlib
import datetime
import importlib.util
import json
import operator
import os
import sqlite3
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lamindb.core import context, filesystem, messages
from lamindb.core import database_url as db_url
from lamindb.core.requirements import pip_install
from lamindb.errors import ConflictError, DatabaseError, InvalidInputError, UnsupportedError
from lamindb.instance import move_note

if TYPE_CHECKING:
    from django.db import models

ALIAS_PREFIX = "lamindb:"
BUSY_TIMEOUT_SECONDS = 30
_ROUTER = "lamindb.db.database.Router"


class Router:
    """Route our models to the instance that a record belongs to, else to the current one; others are not routed."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Name the database for a read."""
        if model._meta.app_label != "lamindb":
            return None
        record = hints.get("instance")
        return (record is not None and record._state.db) or context.instance().alias

    db_for_write = db_for_read

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool | None:
        """Allow relations inside one instance only."""
        if one._meta.app_label != "lamindb" or other._meta.app_label != "lamindb":
            return None
        databases = {record._state.db for record in (one, other) if record._state.db}
        return len(databases) <= 1

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Keep our tables out of a host project's databases, and its tables out of ours."""
        ours = db.startswith(ALIAS_PREFIX)
        if app_label == "lamindb":
            return ours
        return False if ours else None


def configure_django() -> None:
    """Configure Django for our models, unless a project of the user has; called when `lamindb.models` is imported.

    Touches no file and no database. Inside a Django project that lists `lamindb` in `INSTALLED_APPS`, our models are
    an app of that project.

    Raises:
        ConflictError: Django is configured without our app; the message says what to change.
    """
    from django.apps import apps
    from django.conf import settings

    if not apps.apps_ready:
        named = os.environ.get("DJANGO_SETTINGS_MODULE")
        if not settings.configured and not named:
            _defer("django.core.checks")
            _defer("django.forms")
            _defer("sqlparse")
            settings.configure(
                DATABASES={},
                DATABASE_ROUTERS=[_ROUTER],
                INSTALLED_APPS=["lamindb"],
                USE_TZ=True,
                TIME_ZONE="UTC",
                USE_I18N=False,
                LOGGING_CONFIG=None,
                DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            )
        try:
            installed = settings.INSTALLED_APPS
        except ImportError as error:
            raise ConflictError(
                f"DJANGO_SETTINGS_MODULE names {named!r}, which cannot be imported ({error}): fix or unset it"
            ) from error
        apps.populate(installed)
    if not apps.is_installed("lamindb"):
        raise ConflictError("Django is configured by your project: add 'lamindb' to its INSTALLED_APPS")
    # While a project loads its apps, ours does not stop it: the next use of ours says what is wrong.
    if apps.ready and not settings.USE_TZ:
        raise ConflictError("your Django project has USE_TZ = False, which loses time zones: set it to True")


class _Deferred(types.ModuleType):
    """A module that is loaded when it is first asked for something; other threads wait until it is there.

    `importlib.util.LazyLoader` has no lock before Python 3.12.4: the other threads would see an empty module.
    """

    def __getattr__(self, name: str) -> Any:
        spec: Any = self.__spec__
        with spec.loader_state["lock"]:
            # While it is loaded, the lock lets its own thread ask for what is not there yet.
            if not spec.loader_state["is_begun"]:
                spec.loader_state["is_begun"] = True
                try:
                    spec.loader.exec_module(self)
                except BaseException:
                    spec.loader_state["is_begun"] = False
                    raise
                self.__class__ = types.ModuleType  # type: ignore[assignment]
        return object.__getattribute__(self, name)


def _defer(name: str) -> None:
    """Let a module be loaded when it is first asked for something, unless it is there.

    Django's fields import its forms, with templates and widgets, and the checks of a project's settings: only a project
    of the user needs them. Its databases import a parser of SQL, which only migrations use.
    """
    spec = importlib.util.find_spec(name) if name not in sys.modules else None
    if spec is None or spec.loader is None:
        return
    spec.loader_state = {"lock": threading.RLock(), "is_begun": False}
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Deferred
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    if package:
        setattr(sys.modules[package], last, module)


def install_router() -> None:
    """Put our router before those of a host project; idempotent.

    Called as soon as Django knows our app: a host's `migrate` before our first use would make our tables in its own
    database.
    """
    from django.db import router

    if not any(isinstance(existing, Router) for existing in router.routers):
        router.routers.insert(0, Router())


def sqlite_config(path: Path, *, is_read_only: bool = False) -> dict[str, Any]:
    """Describe a SQLite file to Django. The file must exist; opening never creates one.

    Args:
        path: The file.
        is_read_only: Open it without any write, as read-only media need; no other process may write it meanwhile.
    """
    mode = "mode=ro&immutable=1" if is_read_only else "mode=rw"
    return {
        "ENGINE": "lamindb.db.sqlite",
        "NAME": f"{path.as_uri()}?{mode}",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": BUSY_TIMEOUT_SECONDS,
            "init_command": "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY",
        },
    }


def sqlite_read_config(path: Path) -> dict[str, Any]:
    """Describe a SQLite file to Django for reading beside writers; every statement that would write is refused."""
    config = sqlite_config(path)
    config["NAME"] = f"{path.as_uri()}?mode=ro"
    config["OPTIONS"] |= {
        "transaction_mode": "DEFERRED",
        "init_command": "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY",
    }
    return config


_TIMEOUTS: Final = {
    "connect_timeout": "10",
    # Of a server that a lost network hides, the system would say so after a quarter of an hour, or never while a long
    # query is waited for: seconds, and milliseconds for what is sent.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


def postgres_config(url: str) -> dict[str, Any]:
    """Describe a PostgreSQL database to Django.

    Args:
        url: `postgresql://user:password@host:port/name?option=value`; a `host` option may name a socket folder.

    Raises:
        InvalidInputError: The address is not of that form.
        UnsupportedError: psycopg is not installed.
    """
    address = db_url.parse(url)
    options: dict[str, Any] = {**_TIMEOUTS, **address.options}
    try:
        import psycopg
        from psycopg.conninfo import make_conninfo
    except ImportError:
        raise UnsupportedError(f"PostgreSQL needs psycopg: {pip_install('psycopg')}") from None
    if not str(options["connect_timeout"]).isdecimal():
        raise InvalidInputError("connect_timeout in the database address must be a number of seconds")
    try:
        make_conninfo(**options)
    except psycopg.Error:
        raise InvalidInputError(
            f"the database address has an option that PostgreSQL does not know: one of {', '.join(address.options)}"
        ) from None
    return {
        "ENGINE": "lamindb.db.postgres",
        "NAME": address.name,
        "USER": address.user,
        "PASSWORD": address.password,
        "HOST": address.host,
        "PORT": address.port,
        "OPTIONS": options,
    }


def shown_url(url: str) -> str:
    """Return a database address without its password, fit to be printed."""
    return db_url.shown(url)


def register(alias: str, config: dict[str, Any]) -> None:
    """Make a database known under an alias; opens nothing yet."""
    from django.db import connections

    from lamindb.db.connection import KEPT

    registered = connections.configure_settings({"default": {}, alias: config})[alias]
    connections.settings[alias] = {**registered, KEPT: threading.local()}


def unregister(alias: str) -> None:
    """Close all connections to a database and forget it. Its records then say that it is disconnected."""
    from django.db import connections

    from lamindb.db.connection import close_alias

    connections.settings.pop(alias, None)
    close_alias(alias)
    with contextlib.suppress(AttributeError, KeyError):
        del connections[alias]


def connection(alias: str | None = None) -> Any:
    """Return this thread's connection to a database, that of the current instance by default."""
    from django.db import connections

    return connections[alias or context.instance().alias]


@contextlib.contextmanager
def writing(alias: str) -> Iterator[Any]:
    """Open one short write transaction; yields the connection. All of it is committed, or none of it.

    On SQLite it takes the write lock at once, so that what was read inside it stays true until the commit.

    Raises:
        DatabaseError: The database failed; nothing was written.
        NoInstanceError: The instance has moved since this process opened it; nothing was written.
    """
    from django.db import transaction

    with transaction.atomic(using=alias):
        opened = context.connected(alias)
        if opened is not None and os.path.exists(f"{opened.home_path}/{move_note.FILE_NAME}"):
            move_note.refuse_if_moved(opened)
        yield connection(alias)


@contextlib.contextmanager
def waiting_at_most(alias: str, seconds: float) -> Iterator[None]:
    """Wait at most so long for other processes, all statements of a `with` block together.

    This holds for this thread's connection. A statement that finds the time used up fails at once where it would have
    to wait.

    Raises:
        DatabaseError: The database cannot be reached.
    """
    opened = connection(alias)
    outer = next((one for one in reversed(opened.execute_wrappers) if isinstance(one, _Budget)), None)
    budget = _Budget(opened, seconds if outer is None else min(seconds, outer.left))
    budget.allow(budget.left)
    try:
        with opened.execute_wrapper(budget):
            yield
    finally:
        budget.end(outer)


class _Budget:
    """What is left of the time that statements may wait; an execute wrapper of a connection."""

    def __init__(self, opened: Any, seconds: float) -> None:
        self._connection = opened
        self._deadline = time.monotonic() + seconds
        self._allowed = 0.0
        self._told: Any = None

    @property
    def left(self) -> float:
        """How many seconds are left."""
        return max(0.0, self._deadline - time.monotonic())

    def __call__(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        """Execute a statement with what is left; the database is told where a tenth of what it was told is used up."""
        # A new connection of the server or the file waits as usual until it is told.
        if self.left < 0.9 * self._allowed or self._told is not self._connection.connection:
            self.allow(self.left)
        return execute(sql, params, many, context)

    def allow(self, seconds: float) -> None:
        """Set how long one statement may wait."""
        self._allowed = seconds
        milliseconds = max(1, int(seconds * 1000))
        if self._connection.vendor == "sqlite":
            self._tell(f"PRAGMA busy_timeout = {milliseconds}")
        else:
            self._tell(f"SET lock_timeout = {milliseconds}")

    def end(self, outer: _Budget | None) -> None:
        """Set the waits of the block around this one again, the usual ones if there is none."""
        if self._connection.connection is None:
            return
        with contextlib.suppress(DatabaseError):
            if outer is not None:
                outer.allow(outer.left)
            elif self._connection.vendor == "sqlite":
                self._tell(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
            else:
                self._tell("RESET lock_timeout")

    def _tell(self, sql: str) -> None:
        self._connection.ensure_connection()
        with self._connection.wrap_database_errors:
            self._connection.connection.cursor().execute(sql)
        self._told = self._connection.connection


@contextlib.contextmanager
def stopping_after(alias: str, seconds: float) -> Iterator[None]:
    """Stop statements that read for longer than this, each statement of a `with` block on PostgreSQL, all on SQLite.

    This is for filters that no index serves, which may have to look at every row.

    Raises:
        DatabaseError: A statement was stopped.
    """
    opened = connection(alias)
    opened.ensure_connection()
    is_sqlite = opened.vendor == "sqlite"
    if is_sqlite:
        deadline = time.monotonic() + seconds
        opened.connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    else:
        opened.run(f"SET statement_timeout = {max(1, int(seconds * 1000))}")
    try:
        yield
    except DatabaseError as error:
        if "interrupted" in str(error) or "statement timeout" in str(error):
            raise DatabaseError(f"stopped after {seconds:g} s, as no index serves this filter: narrow it") from error
        raise
    finally:
        if opened.connection is not None:
            if is_sqlite:
                opened.connection.set_progress_handler(None, 0)
            else:
                with contextlib.suppress(DatabaseError):
                    opened.run("RESET statement_timeout")


_STEPS: Final = 10_000
"""How many steps SQLite goes between two looks at the time: about a millisecond."""


def update_statistics(alias: str) -> None:
    """Count anew by what the database plans queries, from samples: SQLite does not do that by itself."""
    opened = connection(alias)
    if opened.vendor == "sqlite":
        for statement in ("PRAGMA analysis_limit = 1000", "ANALYZE"):
            opened.run(statement)


def lock_key(connection: Any, *parts: str) -> None:
    """Make writers of the same thing wait for each other until the end of this transaction.

    SQLite has one writer at a time anyway; PostgreSQL takes an advisory lock named by `parts`.
    """
    if connection.vendor == "postgresql":
        connection.fetch("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ["\x1f".join(parts)])


def violated_constraint(error: BaseException) -> str:
    """Name what an integrity error of either database violated: a constraint's name, or SQLite's list of columns."""
    cause = error.__cause__
    diagnostics = getattr(cause, "diag", None)
    if diagnostics is not None and diagnostics.constraint_name:
        return str(diagnostics.constraint_name)
    return str(error)


def check_reachable(alias: str) -> None:
    """Open the connection.

    Raises:
        DatabaseError: It cannot be opened; the message carries the server's words but no password.
    """
    try:
        connection(alias).ensure_connection()
    except BaseException:
        unregister(alias)
        raise


_WRITERS: Final = "lamindb writers"
"""The lock that every writer of files shares, and garbage collection has for itself."""

MANY: Final = 50
"""A writer that wants more locks than these takes all."""


def take(connection: Any, names: Iterable[str]) -> None:
    """Make writers of the same things wait for each other until the end of this transaction.

    A writer of few locks those; a writer of many locks all. Garbage collection excludes both. Names are locked in one
    order, so that two writers never wait for each other in a circle.
    """
    wanted = sorted(set(names))
    if len(wanted) > MANY:
        take_all(connection)
        return
    share(connection)
    if connection.vendor == "postgresql":
        for name in wanted:
            connection.fetch("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def share(connection: Any) -> None:
    """Keep garbage collection out, beside other writers, until the end of this transaction."""
    if connection.vendor == "postgresql":
        connection.fetch("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [_WRITERS])


def take_all(connection: Any) -> None:
    """Wait until no writer is in the midst of a transaction, and keep them all out until the end of this one."""
    if connection.vendor == "postgresql":
        connection.fetch("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_WRITERS])


def of_file(stem: str, storage_id: str, keys: Iterable[str | None]) -> list[str]:
    """Name the locks of a file's versions and of the keys that it has, leaves or takes."""
    return [f"versions {stem}", *(of_key(storage_id, key) for key in keys if key is not None)]


def of_key(storage_id: str, key: str) -> str:
    """Name the lock of a key in a storage."""
    return f"key {storage_id} {key}"


def create_sqlite(path: Path) -> None:
    """Make an empty database file in the mode that many processes can share; keeps one that exists.

    Raises:
        DatabaseError: It cannot be made.
    """
    on_network = filesystem.is_network_file_system(filesystem.file_system_type(path.parent))
    if on_network:
        messages.warning(
            f"{path.parent} lies on a network file system, where SQLite cannot use its fast shared mode: "
            "for several people or machines use PostgreSQL (--db postgresql://…)"
        )
    try:
        raw = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS)
        try:
            raw.execute(f"PRAGMA journal_mode={'DELETE' if on_network else 'WAL'}")
        finally:
            raw.close()
    except sqlite3.Error as error:
        raise DatabaseError(f"cannot make the database {path}: {error}") from error


def remove_sqlite(path: Path) -> None:
    """Remove a database file that no process has open, and the files that SQLite keeps beside it, if they exist.

    Raises:
        OSError: One cannot be removed.
    """
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


AT_ONCE = 2_000
"""Rows in a batch, so that memory does not grow with the number of rows."""


_MOST_VALUES: Final = 2_000
"""Values in one statement that inserts: SQLite keeps the last statements in memory, with room for all their values."""


def insert_many(
    connection: Any,
    records: Sequence[models.Model],
    *,
    ignore_conflicts: bool = False,
    overwritten: Sequence[str] = (),
) -> None:
    """Insert records of one kind inside the open transaction, without reading anything back.

    Args:
        connection: The connection.
        records: Unsaved records, all fields set. Ids that the database makes are left out.
        ignore_conflicts: Keep rows that exist already as they are.
        overwritten: Columns to set in rows that exist already, by their ids.

    Raises:
        django.db.IntegrityError: A constraint refuses a row; the transaction has to be rolled back.
    """
    if not records:
        return
    columns, values_of, times, documents = _columns(type(records[0]))
    adapted = [(position, connection.ops.adapt_datetimefield_value) for position in times]
    if documents:
        adapted += [(position, _json_encoder(connection)) for position in documents]
    quote = connection.ops.quote_name
    ending = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    if overwritten:
        changes = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in overwritten)
        ending = f" ON CONFLICT (id) DO UPDATE SET {changes}"
    for chunk in chunks(records, AT_ONCE):
        rows = [list(values_of(record.__dict__)) for record in chunk]
        for position, adapt in adapted:
            for row in rows:
                if row[position] is not None:
                    row[position] = adapt(row[position])
        insert_rows(connection, records[0]._meta.db_table, columns, rows, ending)


def insert(connection: Any, record: models.Model) -> bool:
    """Insert one record inside the open transaction, its values as their fields make them of what a user gave.

    Returns:
        True if it was inserted, False if a row with its id, or another of its unique keys, is there already.

    Raises:
        django.db.IntegrityError: Another constraint refuses the row; the transaction has to be rolled back.
        ValueError, TypeError: A field cannot hold its value. Nothing was written.
    """
    columns, values_of, times, _ = _columns(type(record))
    values = list(values_of(record.__dict__))
    for position, field in enumerate(_fields(type(record))):
        value = values[position]
        if value is None:
            continue
        if position in times and isinstance(value, datetime.datetime) and value.tzinfo is not None:
            values[position] = connection.ops.adapt_datetimefield_value(value)
        else:
            values[position] = field.get_db_prep_save(value, connection)
    statement = _insertion(record._meta.db_table, columns, 1)
    return bool(connection.run(f"{statement} ON CONFLICT DO NOTHING", values) == 1)


def insert_rows(
    connection: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], ending: str = ""
) -> None:
    """Insert rows of values that the driver takes, inside the open transaction.

    On SQLite, one statement inserts many: after each statement, what its triggers put into the search index is written.

    Args:
        connection: The connection.
        table: The table.
        columns: Its columns.
        rows: The values of each row.
        ending: SQL behind the values, such as `ON CONFLICT DO NOTHING`.

    Raises:
        django.db.IntegrityError: A constraint refuses a row; the transaction has to be rolled back.
    """
    named = tuple(columns)
    if connection.vendor == "postgresql" and len(rows) > 1:
        with connection.cursor() as cursor:
            cursor.executemany(_insertion(table, named, 1) + ending, rows)
        return
    most = _MOST_VALUES
    if connection.vendor == "sqlite":
        most = min(most, connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER))
    for part in chunks(rows, max(1, most // len(columns))):
        connection.run(_insertion(table, named, len(part)) + ending, [value for row in part for value in row])


@lru_cache(maxsize=64)
def _insertion(table: str, columns: tuple[str, ...], count: int) -> str:
    """Return the statement that inserts so many rows."""
    marks = f"({', '.join(['%s'] * len(columns))})"
    names = ", ".join(f'"{column}"' for column in columns)
    return f'INSERT INTO "{table}" ({names}) VALUES {", ".join([marks] * count)}'


@lru_cache(maxsize=32)
def _fields(model: type[models.Model]) -> list[Any]:
    """Return the fields of a model whose values are inserted: the database makes ids that are numbers."""
    from django.db.models import BigAutoField

    return [field for field in model._meta.concrete_fields if not isinstance(field, BigAutoField)]


@lru_cache(maxsize=32)
def _columns(
    model: type[models.Model],
) -> tuple[tuple[str, ...], Callable[[dict[str, Any]], Any], list[int], list[int]]:
    """Return the columns that are inserted of a model, what picks their values, and which are times, and JSON."""
    from django.db.models import DateTimeField, JSONField

    fields = _fields(model)
    times = [position for position, field in enumerate(fields) if isinstance(field, DateTimeField)]
    documents = [position for position, field in enumerate(fields) if isinstance(field, JSONField)]
    return tuple(f.column for f in fields), operator.itemgetter(*(f.attname for f in fields)), times, documents


def _json_encoder(connection: Any) -> Callable[[Any], Any]:
    if connection.vendor != "postgresql":
        return json.dumps
    from psycopg.types.json import Jsonb

    return Jsonb


def chunks(values: Iterable[Any], size: int = 500) -> Iterator[list[Any]]:
    """Yield values in lists of at most `size`: databases limit the number of values in a statement."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk
