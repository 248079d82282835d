"""Benchmarks of lists, folders, searches and descriptions in a big instance, beside the same as plain SQL."""

from __future__ import annotations

import datetime
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import big
from benchmarks.harness import Bench, Result, benchmark

_ROUNDS = 25
_FEW_ROUNDS = 5
_TIMES = 20
"""One is too short to be measured alone."""

_SHOWN = 50
_LEVEL = 1_000
"""So many entries of a level are shown at most."""

_USER, _TRANSFORM, _RUN = "00000007", "0000000000000003", "r0000000000000000300"
_HUB = "00000000000000010001"
_KEY = "project7/batch47/counts/counts_014941.csv"
_BELOW = "key >= 'project7/' AND key < 'project70'"
_TIME = "2024-06-01 00:00:00"
_CURRENT = "is_latest AND trashed_at IS NULL"
_NEWEST = f"ORDER BY created_at DESC, id DESC LIMIT {_SHOWN + 1}"

_Plain = Callable[..., list[Any]]
"""Executes plain SQL with some values by the driver."""

_List = tuple[Callable[[Any], object], str]
"""What the library is asked, and the statement that answers it."""


def _files(condition: str, **filters: Any) -> _List:
    return (
        lambda ln: ln.File.select(**filters).page(size=_SHOWN),
        f"SELECT * FROM lamindb_file WHERE {condition} AND {_CURRENT} {_NEWEST}",
    )


def _runs(condition: str, **filters: Any) -> _List:
    return (
        lambda ln: ln.Run.select(**filters).page(size=_SHOWN),
        f"SELECT * FROM lamindb_run WHERE {condition} {_NEWEST}",
    )


def _versions(ln: Any) -> object:
    return list(ln.File.objects.filter(id__gte=_HUB[:16], id__lt=f"{_HUB[:16]}z").order_by("version"))


def _trash(ln: Any) -> object:
    return ln.File.select(trashed_at__isnull=False).page(size=_SHOWN, by="trashed_at")


_LISTS: dict[str, _List] = {
    "newest files": _files("id > ''"),
    "files by suffix": _files("suffix = '.bam'", suffix=".bam"),
    "files by user": _files(f"created_by_id = '{_USER}'", created_by_id=_USER),
    "files by transform": _files(f"transform_id = '{_TRANSFORM}'", transform_id=_TRANSFORM),
    "files by run": _files(f"run_id = '{_RUN}'", run_id=_RUN),
    "files until a time": _files(
        f"created_at < '{_TIME}'", created_at__lt=datetime.datetime.fromisoformat(f"{_TIME}+00:00")
    ),
    "files by the start of their keys": (
        lambda ln: list(ln.File.select(key__gte="project7/", key__lt="project70").order_by("key")[:_SHOWN]),
        f"SELECT * FROM lamindb_file WHERE {_BELOW} AND {_CURRENT} ORDER BY key LIMIT {_SHOWN}",
    ),
    "files in the trash": (
        _trash,
        f"SELECT * FROM lamindb_file WHERE trashed_at IS NOT NULL ORDER BY trashed_at DESC, id DESC LIMIT {_SHOWN + 1}",
    ),
    "newest runs": _runs("id > ''"),
    "runs by status": _runs("status = 'failed'", status="failed"),
    "runs by transform": _runs(f"transform_id = '{_TRANSFORM}'", transform_id=_TRANSFORM),
    "runs by user": _runs(f"created_by_id = '{_USER}'", created_by_id=_USER),
}

_SHORT: dict[str, _List] = {
    "versions of a file": (
        _versions,
        f"SELECT * FROM lamindb_file WHERE id >= '{_HUB[:16]}' AND id < '{_HUB[:16]}z' ORDER BY version",
    ),
    "a file by key": (
        lambda ln: ln.File.select(key=_KEY).one_or_none(),
        f"SELECT * FROM lamindb_file WHERE key = '{_KEY}' AND {_CURRENT} LIMIT 2",
    ),
    "files by a suffix that none has": _files("suffix = '.none'", suffix=".none"),
}


@contextmanager
def _opened(bench: Bench, *, on_postgres: bool) -> Iterator[tuple[Any, _Plain]]:
    """Yield the library in a big instance, and a function that executes plain SQL there."""
    made = big.instance(big.sizes_of(bench.scale), on_postgres=on_postgres)
    with made.connected() as ln:
        if on_postgres:
            import psycopg

            with psycopg.connect(str(made.database), autocommit=True) as plain:
                yield ln, lambda sql, *values: plain.execute(sql, values or None).fetchall()
        else:
            opened = sqlite3.connect(made.root / ".lamindb" / "db.sqlite3", isolation_level=None)
            try:
                yield ln, lambda sql, *values: opened.execute(sql, values).fetchall()
            finally:
                opened.close()


def _clock(*, on_postgres: bool) -> Callable[[], float]:
    """Return the clock that counts what a question takes: SQLite works in this process, and waits for nothing."""
    return time.perf_counter if on_postgres else time.process_time


def _slowest(bench: Bench, questions: dict[str, _List], *, on_postgres: bool) -> Result:
    """Return the question that takes longest, against its statement as plain SQL."""
    results = {}
    with _opened(bench, on_postgres=on_postgres) as (ln, plain):
        for name, (ask, statement) in questions.items():
            results[name] = bench.ratio(
                ours=lambda ask=ask: [ask(ln) for _ in range(_TIMES)],  # type: ignore[misc]
                limit=lambda statement=statement: [plain(statement) for _ in range(_TIMES)],  # type: ignore[misc]
                rounds=_ROUNDS,
                note=name,
                clock=_clock(on_postgres=on_postgres),
            )
            found = results[name]
            print(f"  {name}: {found.ours / _TIMES * 1e6:.0f} µs, {found.value:.2f} ×", file=sys.stderr, flush=True)
    return max(results.values(), key=lambda result: result.value)


@benchmark("list 50 among a million files, against plain SQL", bound=3)
def lists(bench: Bench) -> Result:
    """Compare the slowest list of files or runs, as records, by what they are filtered by."""
    return _slowest(bench, _LISTS, on_postgres=False)


@benchmark("list 50 among a million files, against psycopg", bound=3)
def lists_on_postgres(bench: Bench) -> Result:
    """Compare as above on PostgreSQL."""
    return _slowest(bench, _LISTS, on_postgres=True)


@benchmark("list few among a million files", bound=0.3)
def short_lists(bench: Bench) -> Result:
    """Return the slowest question in ms that few records answer or none: the way to the database and back."""
    found = _slowest(bench, _SHORT, on_postgres=False)
    return Result(found.ours / _TIMES * 1e3, unit="ms", note=f"{found.note}, {found.value:.1f} × plain SQL")


@benchmark("list few among a million files, against psycopg", bound=3)
def short_lists_on_postgres(bench: Bench) -> Result:
    """Compare the slowest question that few records answer or none, by the ratio, on PostgreSQL."""
    return _slowest(bench, _SHORT, on_postgres=True)


def _level_in_sql(plain: _Plain, prefix: str, counted: int) -> object:
    """Read a level by a skip scan: one statement a folder and one for its sizes; 200 files in a row by one."""
    start, end, found = prefix, f"{prefix[:-1]}0" if prefix else "\U0010ffff", []
    at_once = 1
    while len(found) < _LEVEL:
        rows = plain(
            f"SELECT key, id FROM lamindb_file WHERE key >= '{start}' AND key < '{end}' AND {_CURRENT} "
            f"ORDER BY key LIMIT {at_once}"
        )
        if not rows:
            break
        folder, slash, _ = rows[0][0][len(prefix) :].partition("/")
        if not slash:
            found += rows
            start, at_once = f"{rows[-1][0]}\x01", 200
            continue
        start, at_once = f"{prefix}{folder}0", 1
        sizes = plain(
            f"SELECT size FROM lamindb_file WHERE key >= '{prefix}{folder}/' AND key < '{start}' AND {_CURRENT} "
            f"LIMIT {counted + 1}"
        )
        found.append((folder, len(sizes), sum(size for (size,) in sizes)))
    ids = ", ".join(f"'{row[1]}'" for row in found if len(row) == 2)
    return plain(f"SELECT * FROM lamindb_file WHERE id IN ({ids})") if ids else found


def _folders(bench: Bench, *, on_postgres: bool) -> Result:
    from lamindb.files import levels

    results = {}
    with _opened(bench, on_postgres=on_postgres) as (ln, plain):
        for prefix in ("", "project7/", "imaging/plate00/"):
            results[prefix] = bench.ratio(
                ours=lambda prefix=prefix: levels.level(ln.File.select(), prefix),  # type: ignore[misc]
                limit=lambda prefix=prefix: _level_in_sql(plain, prefix, 100),  # type: ignore[misc]
                rounds=2 * _FEW_ROUNDS,
                clock=_clock(on_postgres=on_postgres),
                note=prefix,
            )
            found = results[prefix]
            print(f"  {prefix!r}: {found.ours * 1e3:.1f} ms, {found.value:.2f} ×", file=sys.stderr, flush=True)
    return max(results.values(), key=lambda result: result.value)


@benchmark("levels of a million keys", bound=3)
def folders(bench: Bench) -> Result:
    """Compare levels of folders, up to 100 files counted in each, and one of files, with the same statements."""
    return _folders(bench, on_postgres=False)


@benchmark("levels of a million keys, against psycopg", bound=3)
def folders_on_postgres(bench: Bench) -> Result:
    """Compare as above on PostgreSQL."""
    return _folders(bench, on_postgres=True)


_TEXTS = (
    "sample", "sample000999", "sampel000999", "counts_012345.csv", "metrics project7 batch47", "zebrafish", "sa",
)  # fmt: skip
_RANKED = 1_000
_HITS = 20


def _search_in_sql(plain: _Plain, text: str, *, on_postgres: bool) -> object:
    """Search by the index of names as one would by hand, and rank 1,000 candidates.

    Those that have all words of three letters, or start with what was typed; if there are few, those with similar ones.
    The newest files fill them up.
    """
    from lamindb.search.ranking import RankIndex, words_of

    words = [word for word in words_of(text) if len(word) > 2]
    find, similar = (_find_on_postgres, _similar_on_postgres) if on_postgres else (_find, _similar)
    if not words:
        rows = plain(_FIND_START.replace("?", "%s" if on_postgres else "?"), text, f"{text}\U0010ffff")
    else:
        rows = plain(*find(words))
        if len(rows) < _HITS:
            rows += plain(*similar(words))
    newest = plain(f"SELECT id, name, key FROM lamindb_file WHERE {_CURRENT} {_NEWEST.rpartition(' ')[0]} {_RANKED}")
    known = [*dict.fromkeys([*rows, *newest])][:_RANKED]
    names = [(row[0], name) for row in known for name in row[1:] if name]
    ranked = RankIndex([name for _, name in names]).rank(text, 2 * _HITS)
    ids = ", ".join(f"'{names[number][0]}'" for number, _ in ranked[:_HITS])
    return plain(f"SELECT * FROM lamindb_file WHERE id IN ({ids})") if ids else None


_FIND_START = f"SELECT id, name, key FROM lamindb_file WHERE name >= ? AND name < ? AND {_CURRENT} LIMIT {_RANKED}"


def _matching(words: list[str], joined: str, order: str) -> tuple[str, str]:
    grams = [f'"{word[start : start + 3]}"' for word in words for start in range(len(word) - 2)]
    index = "lamindb_file_search"
    found = f"SELECT rowid FROM {index} WHERE {index} MATCH ? {order} LIMIT {_RANKED}"
    named = f"SELECT id, name, key FROM lamindb_file WHERE rowid IN ({found}) AND {_CURRENT}"
    return named, f" {joined} ".join(dict.fromkeys(grams))


def _find(words: list[str]) -> tuple[str, str]:
    return _matching(words, "AND", "")


def _similar(words: list[str]) -> tuple[str, str]:
    return _matching(words, "OR", "ORDER BY rank")


def _find_on_postgres(words: list[str]) -> tuple[str, ...]:
    condition = " AND ".join(["search_text LIKE %s"] * len(words))
    named = f"SELECT id, name, key FROM lamindb_file WHERE {condition} AND {_CURRENT} LIMIT {_RANKED}"
    return named, *(f"%{word}%" for word in words)


def _similar_on_postgres(words: list[str]) -> tuple[str, ...]:
    text = " ".join(words)
    named = f"SELECT id, name, key FROM lamindb_file WHERE search_text %%> %s AND {_CURRENT}"
    return f"{named} ORDER BY word_similarity(%s, search_text) DESC LIMIT {_RANKED}", text, text


def _searches(bench: Bench, *, on_postgres: bool) -> Result:
    results = {}
    with _opened(bench, on_postgres=on_postgres) as (ln, plain):
        for text in _TEXTS:
            results[text] = bench.ratio(
                ours=lambda text=text: ln.File.search(text),  # type: ignore[misc]
                limit=lambda text=text: _search_in_sql(plain, text, on_postgres=on_postgres),  # type: ignore[misc]
                rounds=_FEW_ROUNDS,
                clock=_clock(on_postgres=on_postgres),
                note=repr(text),
            )
            found = results[text]
            print(f"  {text!r}: {found.ours * 1e3:.1f} ms, {found.value:.2f} ×", file=sys.stderr, flush=True)
    return max(results.values(), key=lambda result: result.value)


@benchmark("search among a million files, against plain SQL", bound=3)
def searches(bench: Bench) -> Result:
    """Compare the worst of several searches, misspelt ones and such without a result included, by the ratio."""
    return _searches(bench, on_postgres=False)


@benchmark("search among a million files, against psycopg", bound=3)
def searches_on_postgres(bench: Bench) -> Result:
    """Compare as above on PostgreSQL."""
    return _searches(bench, on_postgres=True)


def _described(bench: Bench, *, on_postgres: bool) -> Result:
    from lamindb.core import context
    from lamindb.db import database
    from lamindb.describe import record

    results = {}
    with _opened(bench, on_postgres=on_postgres) as (ln, plain):
        link = database.connection(context.instance().alias)
        records = {
            "a file that 20,000 runs read": ln.File.select(id=_HUB).one(),
            "a file": ln.File.select(id="00000000000000020001").one(),
            "a run": ln.Run.select(id=_RUN).one(),
            "a transform": ln.Transform.select(id=_TRANSFORM).one(),
        }
        for name, found in records.items():
            statements: list[tuple[str, Any]] = []

            def keep(execute: Any, sql: str, params: Any, *rest: Any, into: list[Any] = statements) -> Any:
                into.append((sql if on_postgres else re.sub("(?<!%)%s", "?", sql).replace("%%", "%"), params or ()))
                return execute(sql, params, *rest)

            with link.execute_wrapper(keep):
                record.describe(found)
            results[name] = bench.ratio(
                ours=lambda found=found: record.describe(found),  # type: ignore[misc]
                limit=lambda all_of=statements: [plain(sql, *params) for sql, params in all_of],  # type: ignore[misc]
                rounds=2 * _FEW_ROUNDS,
                clock=_clock(on_postgres=on_postgres),
                note=name,
            )
            measured = results[name]
            print(f"  {name}: {measured.ours * 1e3:.1f} ms, {measured.value:.2f} ×", file=sys.stderr, flush=True)
    return max(results.values(), key=lambda result: result.value)


@benchmark("describe among a million files, against its statements by plain SQL", bound=3)
def described(bench: Bench) -> Result:
    """Compare the descriptions of files, a run and a transform with the statements that they ask."""
    return _described(bench, on_postgres=False)


@benchmark("describe among a million files, against its statements by psycopg", bound=3)
def described_on_postgres(bench: Bench) -> Result:
    """Compare as above on PostgreSQL."""
    return _described(bench, on_postgres=True)


@benchmark("describe a file that 20,000 runs read, against one that few read", bound=3)
def hub(bench: Bench) -> Result:
    """Compare the description of a hub with that of another file of its age."""
    from lamindb.describe import record

    with _opened(bench, on_postgres=False) as (ln, _):
        read_by_many, read_by_few = (ln.File.select(id=one).one() for one in (_HUB, "00000000000000020001"))
        return bench.ratio(
            ours=lambda: record.describe(read_by_many),
            limit=lambda: record.describe(read_by_few),
            rounds=_FEW_ROUNDS,
            clock=_clock(on_postgres=False),
        )


@benchmark("memory of asking a million files", bound=50)
def memory(bench: Bench) -> Result:
    """Return by how many MB the peak of a process grows that lists, opens folders, searches and describes."""
    made = big.instance(big.sizes_of(bench.scale))
    peaks = [
        bench.peak_memory(_ASK.format(root=str(made.root), hub=_HUB, asks=asks), cwd=made.root.parent).ours
        for asks in (True, False)
    ]
    return Result(peaks[0] - peaks[1], unit="MB")


_ASK = """
import lamindb as ln
from lamindb.describe import history, record
from lamindb.files import levels
ln.settings.verbosity = 0
ln.connect({root!r})
file = ln.File.select(id={hub!r}).one()
if {asks}:
    for text in ("sample000999", "counts_012345.csv", "metrics project7 batch47", "zebrafish"):
        ln.File.search(text)
    for prefix in ("", "project7", "imaging/plate00"):
        levels.level(ln.File.select(), prefix)
    ln.File.select().page(size=1_000)
    history.history(100)
    record.describe(file)
"""
