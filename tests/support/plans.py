"""What statements a piece of work sends to the database, and how the database answers them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import big

UNBOUNDED = re.compile(r"\bOFFSET\b|COUNT\((?!\*\) (FROM \(|= 1 THEN))", re.IGNORECASE)
"""What reads past rows that are not shown; the rows of a sub-query, which has a limit, may be counted."""
MANY = re.compile(r"SCAN lamindb_(file|run|runinput|runoutput)\b(?! USING)|Seq Scan on lamindb_(file|run)")
"""The plan of a statement that reads a large table whole."""


def project(folder: Path, server: Any, files: int = 4_000) -> Iterator[big.Big]:
    """Yield a project with some thousand files, of which the database has statistics.

    Args:
        folder: An empty folder.
        server: A server of PostgreSQL; None means SQLite.
        files: The number of files.
    """
    name = server.create() if server is not None else None
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LAMIN_SETTINGS_DIR", str(folder / "settings"))
        yield big.make(folder, big.Sizes.scaled(files), database=server.url(name) if server is not None else None)
    if server is not None:
        server.drop(name)


class Statements:
    """Collects statements, which are not executed again by it."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Any]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, _: Any) -> Any:
        self.found.append((sql, params))
        return execute(sql, params, many, _)


def plans_of(connection: Any, work: Callable[[], Any]) -> list[tuple[str, str]]:
    """Run something and return its statements that read, each with its plan."""
    statements = Statements()
    with connection.execute_wrapper(statements):
        work()
    found = []
    explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        for sql, params in statements.found:
            if connection.vendor == "postgresql":
                # A few thousand rows are read as fast without an index. An index of trigrams is read as a bitmap.
                is_bitmap = " LIKE " in sql
                cursor.execute("SET enable_seqscan = off")
                cursor.execute(f"SET enable_indexscan = {'off' if is_bitmap else 'on'}")
                cursor.execute(f"SET enable_bitmapscan = {'on' if is_bitmap else 'off'}")
                cursor.execute("SET random_page_cost = 1")
            if sql.lstrip("( ").startswith(("SELECT", "WITH")) and "lamindb_" in sql:
                cursor.execute(explain + sql, params)
                found.append((sql, "\n".join(str(row[-1]) for row in cursor.fetchall())))
        if connection.vendor == "postgresql":
            for name in ("enable_seqscan", "enable_indexscan", "enable_bitmapscan", "random_page_cost"):
                cursor.execute(f"RESET {name}")
    return found


def check(found: list[tuple[str, str]], *, may_sort: bool = False) -> None:
    """Hold that no statement skips or counts rows, reads a large table whole, or sorts more than a set of ids."""
    assert found
    for sql, plan in found:
        text = f"{sql}\n{plan}"
        assert " OFFSET " not in sql, text
        assert "COUNT(" not in sql.upper(), text
        assert MANY.search(plan) is None, text
        sorts = "TEMP B-TREE FOR ORDER BY" in plan or ("Sort Key" in plan and "Presorted Key" not in plan)
        assert may_sort or not sorts or '"id" IN (' in sql, text
