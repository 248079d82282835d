"""Numbers of code revisions: 1, 2, 3 … by the order in which different sources of a transform were first run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from lamindb.db import database
from lamindb.environment.source_code import code_digest
from lamindb.models import CodeRevision
from lamindb.models.base import now

_TABLE = CodeRevision._meta.db_table


class Source(NamedTuple):
    """The source of a run.

    Attributes:
        digest: What tells it from other sources.
        stored: The digest of its stored object, by which databases of older versions tell sources apart; None if it
            was not stored.
    """

    digest: str
    stored: str | None = None


def source_of(data: bytes | None, name: str | None, arguments: Sequence[str] | None = None) -> Source | None:
    """Return the source in some bytes; None where there are none, and for a command line.

    Args:
        data: The bytes.
        name: The object as which they are stored; None if they are not.
        arguments: Those of the run: of a command without code, the command line is stored, which is no source.
    """
    if not data or (arguments and data == command_line(arguments)):
        return None
    return Source(code_digest(data), name[:64] if name else None)


def command_line(arguments: Sequence[str]) -> bytes:
    """Return what is stored in place of the code of a command that has none: its words, without secrets."""
    return (shlex.join(arguments) + "\n").encode("utf-8", "surrogateescape")


def of_object(name: str) -> Source:
    """Return the source that is a stored object, of which all bytes count: a function, not a notebook."""
    return Source(name[:64])


def number(connection: Any, transform_id: str, source: Source) -> int:
    """Return the number of a source of a transform; a new source gets the next one.

    Call it in the transaction that writes the run, which is on SQLite the only writer. On PostgreSQL, transactions
    that add a source of one transform wait for each other. If the transaction is rolled back, so is the number.
    """
    known = _known(connection, transform_id, source)
    if source.digest in known:
        return known[source.digest]
    database.lock_key(connection, "code revisions", transform_id)
    known = _known(connection, transform_id, source)
    if source.digest in known:
        return known[source.digest]
    if source.stored in known:
        # The database is older than digests of code cells: from now on this source is known by its own.
        connection.run(
            f"UPDATE {_TABLE} SET digest = %s WHERE transform_id = %s AND digest = %s",
            [source.digest, transform_id, source.stored],
        )
        return known[source.stored]
    statement = f"SELECT COALESCE(MAX(number), 0) + 1 FROM {_TABLE} WHERE transform_id = %s"
    ((found,),) = connection.fetch(statement, [transform_id])
    connection.run(
        f"INSERT INTO {_TABLE} (transform_id, number, digest, created_at) VALUES (%s, %s, %s, %s)",
        [transform_id, found, source.digest, connection.ops.adapt_datetimefield_value(now())],
    )
    return int(found)


def _known(connection: Any, transform_id: str, source: Source) -> dict[str | None, int]:
    found = connection.fetch(
        f"SELECT digest, number FROM {_TABLE} WHERE transform_id = %s AND digest IN (%s, %s)",
        [transform_id, source.digest, source.stored or source.digest],
    )
    return dict(found)


class Numbers:
    """Numbers of sources that are committed, so that steps, which are many and short, do not ask for them again."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], int] = {}

    def of(self, connection: Any, transform_id: str, source: Source, new: dict[tuple[str, str], int]) -> int:
        """Return the number of a source; one that is not known is added to `new`, to be kept after the commit."""
        key = (transform_id, source.digest)
        found = self.known.get(key) or new.get(key)
        if found is None:
            found = new[key] = number(connection, transform_id, source)
        return found
