"""A dump of a PostgreSQL database of any version of this library, with no need of the programs of a server."""

from __future__ import annotations

import contextlib
import os
import zipfile
from pathlib import Path
from typing import Any

from lamindb.core import filesystem
from lamindb.db import database
from lamindb.errors import DatabaseError

_PREFIX = "lamindb_"
_MIGRATIONS = "django_migrations"


def dump_tables(alias: str, target: Path) -> None:
    r"""Write all tables of ours, as they were at one moment, to a zip file with a CSV file for each.

    PostgreSQL reads each back by `\copy TABLE FROM FILE WITH (FORMAT csv, HEADER)`.

    Args:
        alias: The database.
        target: The file; one that exists is replaced.

    Raises:
        DatabaseError: The database cannot be read, or the file cannot be written. Nothing is left of it.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive, database.writing(alias) as link:
            with link.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                names = [name for name in link.introspection.table_names(cursor) if _is_ours(name)]
            for name in sorted(names):
                _dump_table(link, name, archive)
        filesystem.replace(temporary, target)
    except OSError as error:
        raise DatabaseError(f"cannot back up to {target}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _is_ours(name: str) -> bool:
    return name.startswith(_PREFIX) or name == _MIGRATIONS


def _dump_table(link: Any, name: str, archive: zipfile.ZipFile) -> None:
    quoted = link.ops.quote_name(name)
    with (
        link.wrap_database_errors,
        link.connection.cursor() as cursor,
        cursor.copy(f"COPY {quoted} TO STDOUT WITH (FORMAT csv, HEADER)") as rows,
        archive.open(f"{name}.csv", "w", force_zip64=True) as stream,
    ):
        for piece in rows:
            stream.write(piece)
