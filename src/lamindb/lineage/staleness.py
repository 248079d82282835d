"""Which files are stale: made from a version that another one has replaced since, directly or some steps before.

- The newest producer of a file counts: the last run that produced its bytes.
- Of each key that a run read, the version that it read last counts; of files without a key, of each version family.
- Such a version is *superseded* if the current file under its key has another digest, and *removed* if it is in the
  trash and its key has no current file. It is neither if the run itself, or something made from the run's outputs,
  wrote the current file: a run that appends to a table does not make its own result stale.
- A file is stale if an input of its newest producer is superseded, removed, or itself stale.
- On request, it is stale also if its newest producer executed other code than the checkout has now.

The query starts from the versions that were read and are not current, and walks down from those that are superseded.
For given files, it is restricted to the runs that they came from.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from django.db import models

from lamindb.core import context
from lamindb.core.text import printable
from lamindb.db import database
from lamindb.errors import InvalidTypeError
from lamindb.lineage import query, reason_text, sql
from lamindb.lineage.sql import FILE, RUN, Walk
from lamindb.models import File, RecordQuery, Run, RunInput, RunOutput

if TYPE_CHECKING:
    from lamindb.lineage.checkout import ChangedCode

_FILES, _INPUTS, _OUTPUTS, _RUNS = (model._meta.db_table for model in (File, RunInput, RunOutput, Run))

_GROUP = "CASE WHEN r.key IS NULL THEN substr(r.id, 1, 16) ELSE r.storage_id || ':' || r.key END"
"""What the versions of one file have in common: the storage and the key, or the stem of the ids. No id has a colon."""

CURRENT = f"""CASE WHEN r.key IS NULL THEN
    (SELECT c.id FROM {_FILES} c WHERE c.id BETWEEN substr(r.id, 1, 16) AND substr(r.id, 1, 16) || 'zzzz'
     AND c.trashed_at IS NULL ORDER BY c.version DESC LIMIT 1)
    ELSE (SELECT c.id FROM {_FILES} c WHERE c.storage_id = r.storage_id AND c.key = r.key AND c.is_latest
     AND c.trashed_at IS NULL) END"""

PRODUCER = f"COALESCE((SELECT p.run_id FROM {_OUTPUTS} p WHERE p.file_id = f.id ORDER BY p.id DESC LIMIT 1), f.run_id)"
"""The newest producer of the file `f`."""

# Not as `NOT EXISTS`, which PostgreSQL would make a join, and evaluate for each reader of the file.
_IS_NEWEST = f"(SELECT MAX(p.id) FROM {_OUTPUTS} p WHERE p.file_id = o.file_id) = o.id"
_HAS_NO_EDGE = f"(SELECT MAX(p.id) FROM {_OUTPUTS} p WHERE p.file_id = f.id) IS NULL"

NOT_CURRENT = "(NOT r.is_latest OR r.trashed_at IS NOT NULL)"

# As an outer join: for an inner one, SQLite may read the whole index of files that are not current into a filter.
OLD_INPUTS = f"""{_INPUTS} i LEFT JOIN {_FILES} r ON r.id = i.file_id AND {NOT_CURRENT}
    WHERE i.run_id = {{run}} AND r.id IS NOT NULL"""
"""The inputs `i` of a run whose files `r` are not current; ends with a condition."""

_RULES = f"""
old AS (
    SELECT i.run_id, i.file_id, i.id AS edge, r.digest, r.trashed_at, {_GROUP} AS family, {CURRENT} AS current_id
    FROM {{reads}}
),
last_read AS (
    SELECT old.*, MAX(edge) OVER (PARTITION BY run_id, family) AS last_edge,
        (SELECT e.id FROM {_INPUTS} e WHERE e.run_id = old.run_id AND e.file_id = old.current_id) AS current_edge
    FROM old
),
earlier AS (
    SELECT run_id, file_id FROM last_read WHERE edge < last_edge OR edge < current_edge
    UNION SELECT run_id, current_id FROM last_read WHERE current_edge < last_edge
),
replaced AS (
    SELECT l.run_id, l.file_id, l.current_id,
        (SELECT COALESCE(u.started_at, u.created_at) FROM {_RUNS} u WHERE u.id = l.run_id) AS begun_at
    FROM last_read l LEFT JOIN {_FILES} c ON c.id = l.current_id
    WHERE l.edge = l.last_edge AND (l.current_edge IS NULL OR l.current_edge <= l.edge)
    AND (c.digest <> l.digest OR (l.current_id IS NULL AND l.trashed_at IS NOT NULL))
),
"""
"""Of the edges from versions that are not current: which are read once more, later; which are replaced.

The current version of a key is never replaced, so only these edges, and one to the current version, are compared.
"""

_SUPERSEDED = """
superseded AS (
    SELECT run_id, file_id, current_id FROM replaced WHERE current_id IS NULL
    OR current_id || run_id NOT IN (SELECT current_id || id FROM above WHERE kind = 1)
)"""


def rules_sql(vendor: str, file_ids: Collection[str] | None, code: ChangedCode | None = None) -> tuple[str, list[Any]]:
    """Return how a query begins: with `superseded`, `earlier`, `stale` and `stale_run`, of all files or of some."""
    cast = "::text" if vendor == "postgresql" else ""
    params: list[Any]
    if file_ids is None:
        given, params = "", []
        # From the files that are not current, which an index lists, to the edges of those that were read.
        reads, bound = f"{_FILES} r CROSS JOIN {_INPUTS} i WHERE r.id = i.file_id AND {NOT_CURRENT}", ""
    else:
        listed, params = sql.listed_sql(vendor, file_ids)
        made = f"SELECT ({PRODUCER}){cast} FROM given CROSS JOIN {_FILES} f WHERE f.id = given.id"
        if cast:
            # LIMIT ALL keeps the planner from joining the tables as a whole in each step: it expects ten times as many
            # runs in one as there are files.
            of_run = (
                f"SELECT ({PRODUCER}){cast} AS run_id FROM {_INPUTS} i CROSS JOIN LATERAL (SELECT * FROM {_FILES} r "
                "WHERE r.id = i.file_id LIMIT ALL) f WHERE i.run_id = origin.run_id LIMIT ALL"
            )
            behind = f"SELECT step.run_id FROM origin CROSS JOIN LATERAL ({of_run}) step"
        else:
            behind = (
                f"SELECT ({PRODUCER}) FROM origin CROSS JOIN {_INPUTS} i CROSS JOIN {_FILES} f "
                "WHERE i.run_id = origin.run_id AND f.id = i.file_id"
            )
        given = f"given AS ({listed}), origin(run_id) AS ({made} UNION {behind}), "
        reads = f"origin CROSS JOIN {OLD_INPUTS.format(run='origin.run_id')}"
        # A unary plus disables the index in SQLite: it would look up each run of the other expression. Of a truth
        # value, PostgreSQL makes no join, for which it would sort these runs again for each file.
        among = "i.run_id IN (SELECT run_id FROM origin)"
        bound = f" AND ({among}) IS TRUE" if cast else f" AND +{among}"
    changed, more = code.runs_sql(vendor) if code is not None else ("", [])
    walk = _stale_sql(vendor, bound, with_code=code is not None)
    return f"{superseded_sql(vendor, reads, f'{given}{changed}')}, {walk}", [*params, *more]


def superseded_sql(vendor: str, reads: str, given: str = "") -> str:
    """Return how a query begins: with `superseded` and `earlier`, of some edges.

    Args:
        vendor: `sqlite` or `postgresql`.
        reads: What follows FROM: inputs `i`, and their files `r`, which are not current.
        given: Common table expressions for it, each followed by a comma.
    """
    return f"WITH RECURSIVE {given}{_RULES.format(reads=reads)}{_above_sql(vendor)}{_SUPERSEDED}"


def _above_sql(vendor: str) -> str:
    """Return `above`: for each current version that replaces another one, what it came from since that was read.

    What a run read before another one began came from nothing that the other one made. So the walk ends there, and its
    length is that of the time between the versions, not that of the whole lineage.
    """
    cast = "::text" if vendor == "postgresql" else ""
    walk = Walk(FILE, is_up=True, all_producers=True)
    # The clocks of two machines may differ.
    since = "MIN(begun_at) - interval '1 hour'" if cast else "datetime(MIN(begun_at), '-1 hour')"
    first = (
        f"SELECT current_id{cast}, {since}, {FILE}, current_id{cast} FROM replaced WHERE current_id IS NOT NULL "
        "GROUP BY current_id"
    )
    arms = [
        (kind, arm, f"{{t}}{arm.match} = above.id AND {{t}}{arm.found} IS NOT NULL" + recent)
        for kind, recent in ((FILE, ""), (RUN, " AND {t}created_at >= above.since"))
        for arm in walk.arms(kind)
    ]
    if vendor == "postgresql":
        steps = " UNION ALL ".join(
            f"SELECT {arm.found}::text AS id FROM {arm.table} WHERE above.kind = {kind} AND {match.format(t='')}"
            for kind, arm, match in arms
        )
        more = "SELECT above.current_id, above.since, 1 - above.kind, step.id FROM above"
        return f"above(current_id, since, kind, id) AS ({first} UNION {more} CROSS JOIN LATERAL ({steps}) step),"
    steps = "".join(
        f" UNION SELECT above.current_id, above.since, {1 - kind}, t.{arm.found} FROM above CROSS JOIN {arm.table} t "
        f"WHERE above.kind = {kind} AND {match.format(t='t.')}"
        for kind, arm, match in arms
    )
    return f"above(current_id, since, kind, id) AS ({first}{steps}),"


def _stale_sql(vendor: str, bound: str, *, with_code: bool) -> str:
    """Return `stale`: the files that are stale, with the runs that made them, as ids and kinds; and `stale_run`.

    A run is in it if what it made is stale, as far as no later run made the same bytes.
    """
    cast = "::text" if vendor == "postgresql" else ""
    counts = f" AND i.run_id || i.file_id NOT IN (SELECT run_id || file_id FROM earlier){bound}"
    first = f"SELECT {RUN}, run_id{cast} FROM superseded"
    if with_code:
        first += f" UNION SELECT {RUN}, run_id FROM changed_code"
    arms = (
        (RUN, f"o.file_id{cast}", f"{_OUTPUTS} o", f"o.run_id = stale.id AND {_IS_NEWEST}"),
        (RUN, f"f.id{cast}", f"{_FILES} f", f"f.run_id = stale.id AND {_HAS_NO_EDGE}"),
        (FILE, f"i.run_id{cast}", f"{_INPUTS} i", f"i.file_id = stale.id{counts}"),
    )
    if vendor == "postgresql":
        steps = " UNION ALL ".join(
            f"SELECT {found} AS id FROM {table} WHERE stale.kind = {kind} AND {match}"
            for kind, found, table, match in arms
        )
        more = f" UNION SELECT 1 - stale.kind, step.id FROM stale CROSS JOIN LATERAL ({steps}) step"
    else:
        more = "".join(
            f" UNION SELECT {1 - kind}, {found} FROM stale CROSS JOIN {table} WHERE stale.kind = {kind} AND {match}"
            for kind, found, table, match in arms
        )
    return f"stale(kind, id) AS ({first}{more}), stale_run(run_id) AS (SELECT id FROM stale WHERE kind = {RUN})"


def stale_sql(
    vendor: str, file_ids: Collection[str] | None = None, code: ChangedCode | None = None
) -> tuple[str, list[Any]]:
    """Return the query for the ids of all stale files, current or not, or of those among `file_ids`.

    Args:
        vendor: `sqlite` or `postgresql`.
        file_ids: The files; None for all.
        code: Code that makes files stale, too.
    """
    rules, params = rules_sql(vendor, file_ids, code)
    found = f"SELECT id FROM stale WHERE kind = {FILE}"
    if file_ids is not None:
        found = f"SELECT id FROM given WHERE id IN ({found})"
    return f"{rules} {found}", params


def _reasons_sql(vendor: str, file_ids: Collection[str], code: ChangedCode | None) -> tuple[str, list[Any]]:
    """Return the query for what makes files stale, as rows of a kind, a run, a file and a third id.

    A `start` is a file and its newest producer; a `cause` a run, the version that it read, and the current one; a
    `step` a run, a stale file that it read, and the newest producer of that file; a `code` a run, the source and the
    set of modules that are other ones by now, one of them None.
    """
    rules, params = rules_sql(vendor, file_ids, code)
    causes = "SELECT 'cause', run_id, file_id, current_id FROM superseded"
    # See `OLD_INPUTS` for the outer join: where it finds no row, there is no producer.
    is_postgres = vendor == "postgresql"
    join = "JOIN" if is_postgres else "LEFT JOIN"
    among = f"{'' if is_postgres else '+'}{{file}} IN (SELECT id FROM stale WHERE kind = {FILE})"
    is_stale = f"({among}) IS TRUE" if is_postgres else among
    steps = (
        f"SELECT 'step', i.run_id, i.file_id, {PRODUCER} FROM stale_run {join} {_INPUTS} i "
        f"ON i.run_id = stale_run.run_id {join} {_FILES} f ON f.id = i.file_id "
        f"WHERE {is_stale.format(file='i.file_id')} "
        "AND i.run_id || i.file_id NOT IN (SELECT run_id || file_id FROM earlier)"
    )
    starts = (
        f"SELECT 'start', {PRODUCER}, f.id, NULL FROM given {join} {_FILES} f ON f.id = given.id "
        f"WHERE {is_stale.format(file='f.id')}"
    )
    found = f"{rules} {causes} UNION ALL {steps} UNION ALL {starts}"
    if code is not None:
        found += (
            " UNION ALL SELECT 'code', run_id, source, modules FROM changed_code "
            "WHERE run_id IN (SELECT run_id FROM origin)"
        )
    return found, params


def superseded_among(connection: Any, file_ids: Collection[str]) -> set[tuple[str, str]]:
    """Return the runs behind some files, each with a version that it read and that is superseded or removed."""
    if not file_ids:
        return set()
    rules, params = rules_sql(connection.vendor, file_ids)
    rows = sql.fetch(connection, f"{rules} SELECT run_id, file_id FROM superseded", params)
    return {(run_id, read) for run_id, read in rows}


class Stale(models.Expression):
    """The ids of stale files, as a sub-query, evaluated each time the outer query is; all files, or some."""

    def __init__(self, file_ids: Collection[str] | None = None, code: ChangedCode | None = None) -> None:
        super().__init__(output_field=models.TextField())
        self.file_ids = file_ids
        self.code = code

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:
        """Return the sub-query for one database."""
        del compiler
        text, params = stale_sql(connection.vendor, self.file_ids, self.code)
        if connection.vendor == "postgresql":
            # See `query.Reached`: PostgreSQL would evaluate a recursive query again for each row.
            text = f"SELECT string_to_table((SELECT string_agg(id, ',') FROM ({text}) found), ',')"
        return f"({text})", params

    def __repr__(self) -> str:
        return "stale(…)"


def condition(value: Any) -> models.Q:
    """Return the condition of the filter `is_stale`.

    Raises:
        InvalidTypeError: The value is neither True nor False.
    """
    if not isinstance(value, bool):
        raise InvalidTypeError(f"is_stale must be True or False, not {value!r}")
    found = models.Q(id__in=Stale())
    return found if value else ~found


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why a file is stale: a version that was read and is no longer current, or code that changed.

    Attributes:
        kind: `superseded` if the key has a current file with other bytes, `removed` if it has none; `code` if a script,
            notebook or module has other code in this checkout than ran.
        read: The version that was read; None for `code`.
        current: The current file under its key; None if it was removed, and for `code`.
        chain: The files on a shortest way: from the version that was read, or the file that the code made, to the stale
            file, with both.
        code: The paths of the code that changed; empty for other kinds.
    """

    kind: Literal["superseded", "removed", "code"]
    read: File | None
    current: File | None
    chain: tuple[File, ...]
    code: tuple[str, ...] = ()

    @property
    def is_direct(self) -> bool:
        """Whether the run that produced the stale file read this version, or executed this code, itself."""
        return len(self.chain) == (1 if self.kind == "code" else 2)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists, strings and numbers."""
        return {
            "kind": self.kind,
            "read": None if self.read is None else reason_text.as_dict(self.read),
            "current": None if self.current is None else reason_text.as_dict(self.current),
            "chain": [reason_text.as_dict(file) for file in self.chain],
            "code": list(self.code),
        }

    def __str__(self) -> str:
        """Return the reason as one line that is safe to print."""
        through = reason_text.by_way_of(self.chain[self.read is not None : -1])
        if self.read is None:
            changed = reason_text.listed([printable(path) for path in self.code])
            return f"{changed} changed since it ran{through}"
        after = f"version {self.current.version} is current" if self.current is not None else "it is in the trash"
        return f"version {self.read.version} of {reason_text.title(self.read)} was read{through}; {after}"


@dataclass(frozen=True, slots=True, repr=False)
class Staleness:
    """Whether a file is stale, and why. It is true if the file is stale.

    Attributes:
        file: The file.
        reasons: Why it is stale, the nearest first; empty if it is not.
    """

    file: File
    reasons: tuple[Reason, ...]

    def __bool__(self) -> bool:
        """Return True if the file is stale."""
        return bool(self.reasons)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists, strings and numbers."""
        return {**reason_text.as_dict(self.file), "reasons": [reason.as_dict() for reason in self.reasons]}

    def to_json(self) -> str:
        """Return JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def __repr__(self) -> str:
        """Return the reasons as text, one a line."""
        title = reason_text.title(self.file)
        return "\n".join([f"{title} is stale:", *(f"  {one}" for one in self.reasons)]) if self else f"{title} is fresh"


def stale(*files: Any, code: bool = False) -> RecordQuery[File]:
    """Return a query for the stale files among these; without arguments, for all stale current files.

    The query is evaluated anew each time; code is compared at the call.

    Args:
        *files: Files, or their ids or keys.
        code: Include files made by a script, notebook or module that has other code in this checkout than ran.

    Raises:
        InvalidTypeError: An argument is not a file, or the id or key of one.
        InvalidInputError: A file is not saved, or they belong to different instances.
        NoResultFound: There is no file with this id or key, it was deleted, or the key's file is in the trash.
    """
    if not files:
        alias = context.instance().alias
        current = File.objects.using(alias).filter(is_latest=True, trashed_at__isnull=True)
        return current.filter(id__in=Stale(None, _changed(alias, code=code)))
    records = query.files_of(files, "stale")
    alias = query.same_alias(*records)
    return File.objects.using(alias).filter(id__in=Stale([record.id for record in records], _changed(alias, code=code)))


def _changed(alias: str, *, code: bool) -> ChangedCode | None:
    if not code:
        return None
    from lamindb.lineage.checkout import changed_code

    return changed_code(database.connection(alias))


def stale_among(connection: Any, file_ids: Collection[str]) -> set[str]:
    """Return the ids of the stale files among these."""
    if not file_ids:
        return set()
    text, params = stale_sql(connection.vendor, file_ids)
    return {row[0] for row in sql.fetch(connection, text, params)}


def staleness(file: File, *, code: bool = False) -> Staleness:
    """Return whether a file is stale, and why. Arguments and errors are those of `stale`."""
    query.check_exists(file)
    return next(explained([file], code=code))


def explained(files: Iterable[File], *, code: bool = False) -> Iterator[Staleness]:
    """Yield why each of these saved files of one instance is stale, in their order, a batch of them at a time."""
    changed: ChangedCode | None = None
    for chunk in database.chunks(files):
        alias = query.alias_of(chunk[0])
        connection = database.connection(alias)
        changed = changed or _changed(alias, code=code)
        rows = sql.fetch(connection, *_reasons_sql(connection.vendor, [file.id for file in chunk], changed))
        found = _Causes(rows, changed)
        for file in chunk:
            yield Staleness(file, _reasons(alias, found.ways_to(file.id)))


Cause = tuple[str, str | None]
"""The ids of a version that was read and of the current one; None if that was removed."""


def by_cause(alias: str) -> list[tuple[File, File | None, tuple[File, ...]]]:
    """Return all stale current files by what makes them stale, each under its nearest cause, or all that are as near.

    Returns:
        For each cause the version that was read, the current one (None if it was removed), and the stale files.
    """
    return records_by_cause(alias, ids_by_cause(alias))


def records_by_cause(
    alias: str, found: Mapping[Cause, Collection[str]]
) -> list[tuple[File, File | None, tuple[File, ...]]]:
    """Return what `by_cause` does for the ids of causes and stale files."""
    files: dict[str, File] = {}
    for chunk in database.chunks(sorted({one for pair, ids in found.items() for one in (*pair, *ids) if one})):
        files.update(File.objects.using(alias).in_bulk(chunk))
    groups = [
        (files[read], files[new] if new else None, tuple(sorted((files[one] for one in ids), key=_by_key)))
        for (read, new), ids in found.items()
    ]
    return sorted(groups, key=lambda group: (_by_key(group[0]), group[0].version))


def ids_by_cause(alias: str, file_ids: Collection[str] | None = None) -> dict[Cause, list[str]]:
    """Return the ids of all stale current files, or of those among `file_ids`, by their nearest causes."""
    connection = database.connection(alias)
    if file_ids is None:
        current = File.objects.using(alias).filter(is_latest=True, trashed_at__isnull=True)
        file_ids = list(current.filter(id__in=Stale()).order_by().values_list("id", flat=True))
    if not file_ids:
        return {}
    return _Causes(sql.fetch(connection, *_reasons_sql(connection.vendor, file_ids, None)), None).nearest()


def _by_key(file: File) -> tuple[str, str, str]:
    return (file.key or "", file.name, file.id)


class _Way(NamedTuple):
    """The ids of a version that was read, of the current one, and of the files from the former to a stale file.

    Or the paths of code that changed, and the ids of the files from the one that it made.
    """

    read: str | None
    current: str | None
    chain: tuple[str, ...]
    code: tuple[str, ...] = ()


class _Causes:
    """What makes some files stale: the rows of `_reasons_sql` by their runs."""

    def __init__(self, rows: Sequence[tuple[str, str, Any, Any]], changed: ChangedCode | None) -> None:
        self._producers: dict[str, str] = {}
        self._code: dict[str, tuple[str, ...]] = {}
        self._causes: dict[str, list[tuple[str, str | None]]] = {}
        self._steps: dict[str, list[tuple[str, str]]] = {}
        for kind, run_id, file_id, other in sorted(rows, key=lambda row: (*row[:2], row[2] or "", row[3] or "")):
            if kind == "code" and changed is not None:
                self._code[run_id] = (*self._code.get(run_id, ()), *changed.paths_of(file_id, other))
            elif kind == "start":
                self._producers[file_id] = run_id
            elif kind == "cause":
                self._causes.setdefault(run_id, []).append((file_id, other))
            else:
                self._steps.setdefault(run_id, []).append((file_id, str(other)))

    def nearest(self) -> dict[Cause, list[str]]:
        """Return the files that were asked for by their nearest causes: a search from all causes at once."""
        readers: dict[str, list[str]] = {}
        for run_id, steps in self._steps.items():
            for _, producer in steps:
                readers.setdefault(producer, []).append(run_id)
        led_from = {run_id: {run_id} for run_id in self._causes}
        ring = set(led_from)
        while ring:
            reached: dict[str, set[str]] = {}
            for run_id in ring:
                for reader in readers.get(run_id, ()):
                    if reader not in led_from:
                        reached.setdefault(reader, set()).update(led_from[run_id])
            led_from |= reached
            ring = set(reached)
        found: dict[Cause, list[str]] = {}
        for file_id, producer in self._producers.items():
            runs = sorted(led_from.get(producer, ()))
            for cause in dict.fromkeys(one for run_id in runs for one in self._causes[run_id]):
                found.setdefault(cause, []).append(file_id)
        return found

    def ways_to(self, file_id: str) -> Iterator[_Way]:
        """Yield a shortest way from each version that makes a file stale, the nearest first."""
        start = self._producers.get(file_id)
        if start is None:
            return
        led_to: dict[str, tuple[str, str] | None] = {start: None}
        waiting, reported = deque([start]), set()
        while waiting:
            run_id = waiting.popleft()
            if run_id in self._code:
                yield _Way(None, None, (*_between(run_id, led_to), file_id), self._code[run_id])
            for read, current in self._causes.get(run_id, ()):
                if read not in reported:
                    reported.add(read)
                    yield _Way(read, current, (read, *_between(run_id, led_to), file_id))
            for stale_id, producer in self._steps.get(run_id, ()):
                if producer not in led_to:
                    led_to[producer] = (stale_id, run_id)
                    waiting.append(producer)


def _between(run_id: str, led_to: dict[str, tuple[str, str] | None]) -> Iterator[str]:
    """Yield the files from a run to the start of the search."""
    while (step := led_to[run_id]) is not None:
        file_id, run_id = step
        yield file_id


def _reasons(alias: str, ways: Iterator[_Way]) -> tuple[Reason, ...]:
    found = list(ways)
    wanted = {file_id for way in found for file_id in (*way.chain, way.current) if file_id is not None}
    files: dict[str, File] = {}
    for chunk in database.chunks(sorted(wanted)):
        files.update(File.objects.using(alias).in_bulk(chunk))
    return tuple(
        Reason(
            "code" if way.read is None else "superseded" if way.current is not None else "removed",
            files[way.read] if way.read is not None else None,
            files[way.current] if way.current is not None else None,
            tuple(files[file_id] for file_id in way.chain),
            way.code,
        )
        for way in found
        if (way.current is None or way.current in files) and all(file_id in files for file_id in way.chain)
    )
