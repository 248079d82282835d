"""What pages read: lists by keyset, one level of folders, marks of a list in one query. No total is ever computed."""

from __future__ import annotations

import contextlib
import datetime
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from django.db.models import Exists, OuterRef, Q, prefetch_related_objects
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from lamindb.db import database
from lamindb.errors import DatabaseError, InvalidInputError
from lamindb.lineage import recall, sql, stale_marks, staleness
from lamindb.lineage.stale_marks import StaleMarks
from lamindb.models import File, Flag, Run, RunInput, RunOutput, Transform, User
from lamindb.records.open_instance import Instance
from lamindb.runs import liveness
from lamindb.search.index import search_together

ROWS: Final = 50
"""The rows of a page."""
PATIENCE_SECONDS: Final = 2.0
"""How long a filter that no index serves may search."""
_DENSE_SECONDS: Final = 0.5
_LOOKED_AT: Final = (60, 240)
"""So many files are looked at for those that are stale, in turn."""
_LOOKED_AT_FIRST: Final = 1_000
"""So many of the newest rows are looked at before all that meet a condition are sorted."""
_MOST_SUFFIXES: Final = 100
_MOST_RUNNING: Final = 200
"""So many of the newest runs that say they run are looked at for those whose processes died."""
_WAITED: Final = 5
"""A limit by the time of the processor ends after so many times of it by the clock, too."""

_STEPS: Final = 20_000
"""So many instructions of SQLite pass between two looks at the clock."""
_CURSOR: Final = re.compile(r"(\d{1,17})-([0-9A-Za-z_-]{1,64})", re.ASCII)
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_FILES, _FLAGS, _INPUTS, _OUTPUTS = (model._meta.db_table for model in (File, Flag, RunInput, RunOutput))

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Rows(Generic[_Row]):
    """One page of a list.

    Attributes:
        rows: The records.
        after: The cursor of the next page; "" if this is the last one.
        is_cut: Whether the search ended because its time was over.
    """

    rows: list[_Row]
    after: str = ""
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files a list shows; what is empty does not filter.

    Attributes:
        folder: The beginning of the key.
        suffix: The format.
        transform_id: The transform whose runs made the file.
        user_id: Who saved it.
        storage_id: Where it is.
        since: The first day.
        until: The last day.
        state: `trash`, `flagged`, `affected` or `stale`.
        old: Include older versions.
    """

    folder: str = ""
    suffix: str = ""
    transform_id: str = ""
    user_id: str = ""
    storage_id: str = ""
    since: datetime.date | None = None
    until: datetime.date | None = None
    state: str = ""
    old: bool = False

    @property
    def is_any(self) -> bool:
        """Whether anything is filtered."""
        return self != FileFilter(old=self.old)

    @property
    def time(self) -> str:
        """The field whose latest value comes first."""
        return "trashed_at" if self.state == "trash" else "created_at"


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows; what is empty does not filter."""

    status: str = ""
    transform_id: str = ""
    user_id: str = ""
    reads: str = ""
    since: datetime.date | None = None
    until: datetime.date | None = None

    @property
    def is_any(self) -> bool:
        """Whether anything is filtered."""
        return self != RunFilter()


def files(instance: Instance, chosen: FileFilter, after: str = "") -> Rows[File]:
    """Return one page of files, the newest first; of the trash, the last trashed one first."""
    query: Any = File.objects.using(instance.alias).select_related("transform", "created_by")
    if chosen.state == "trash":
        query = query.filter(trashed_at__isnull=False)
    else:
        query = query.filter(trashed_at__isnull=True)
        query = query if chosen.old or chosen.state == "flagged" else query.filter(is_latest=True)
    if chosen.state == "flagged":
        query = query.filter(is_flagged=True)
    for name in ("suffix", "transform_id", "storage_id"):
        if getattr(chosen, name):
            query = query.filter(**{name: getattr(chosen, name)})
    if chosen.user_id:
        query = query.filter(created_by_id=chosen.user_id)
    query = _between(query, chosen.since, chosen.until)
    if chosen.folder:
        folder = chosen.folder.rstrip("/") + "/"
        below = Q(key__gte=folder, key__lt=_after_prefix(folder))
        if chosen.state not in ("stale", "affected"):
            return _below(instance, query, below, after, by=chosen.time)
        query = query.filter(below)
    if chosen.state == "stale":
        return _stale_page(instance, query, after)
    if chosen.state == "affected":
        return _affected_page(instance, query, after)
    return _page(instance, query, after, by=chosen.time)


def _below(instance: Instance, query: Any, below: Q, after: str, *, by: str) -> Rows[File]:
    """Return one page of the files of a query below a folder.

    Only times and ids are sorted, as a folder may have many files. The order is one that no index has: PostgreSQL would
    read files by their times until it has found enough, and those of a folder may be the oldest.
    """
    found = _among_newest(instance, query, below, after, by=by)
    if found is None:
        below_it = behind(query.filter(below), after, by=by)
        ids = below_it.order_by(Coalesce(by, by).desc(), "-id")[: ROWS + 1].values("id")
        joined = File.objects.using(instance.alias).select_related(*query.query.select_related)
        found = _page(instance, joined.filter(id__in=ids), "", by=by)
    return found


def _among_newest(
    instance: Instance, query: Any, condition: Any, after: str, *, by: str = "created_at"
) -> Rows[Any] | None:
    """Return one page of what meets a condition, if the newest rows of a query contain as much; otherwise None."""
    newest = _newest(behind(query, after, by=by), by=by)[:_LOOKED_AT_FIRST]
    found = _page(instance, query.filter(id__in=newest.values("id")).filter(condition), "", by=by)
    return found if found.after else None


def _newest(query: Any, *, by: str = "created_at") -> Any:
    return query.order_by(f"-{by}", "-id")


def runs(instance: Instance, chosen: RunFilter, after: str = "") -> Rows[Run]:
    """Return one page of runs, the newest first."""
    query: Any = Run.objects.using(instance.alias)
    if chosen.status:
        query = _with_status(instance, query, chosen.status)
    if chosen.transform_id:
        query = query.filter(transform_id=chosen.transform_id)
    if chosen.user_id:
        query = query.filter(created_by_id=chosen.user_id)
    query = _between(query, chosen.since, chosen.until)
    found = _readers(instance, query, chosen.reads, after) if chosen.reads else _page(instance, query, after)
    prefetch_related_objects(found.rows, "transform", "created_by")
    return found


def _with_status(instance: Instance, query: Any, status: str) -> Any:
    """Return a query for runs of a status; a dead one is aborted, though its row may still say `running`."""
    dead: list[str] = []
    if status in ("running", "aborted"):
        running = Run.objects.using(instance.alias).filter(status="running").order_by("-created_at")
        # Their status would ask the database again for each.
        dead = [run.id for run in running[:_MOST_RUNNING] if liveness.has_died(run)]
    if not dead:
        return query.filter(status=status)
    if status == "running":
        return query.filter(status=status).exclude(id__in=dead)
    return query.filter(Q(status=status) | Q(id__in=dead))


def _readers(instance: Instance, query: Any, file_id: str, after: str) -> Rows[Run]:
    """Return one page of the runs of a query that read a file.

    Where many did, the newest of them are among the newest runs; where few did, it is fast to sort all of them.
    """
    edges = RunInput.objects.using(instance.alias).filter(file_id=file_id).order_by()
    found = _among_newest(instance, query, Exists(edges.filter(run_id=OuterRef("id"))), after)
    return found if found is not None else _page(instance, query.filter(id__in=edges.values("run_id")), after)


def newest_runs(query: Any, count: int) -> list[Run]:
    """Return the newest runs of a query, with their transforms and users.

    These are read after the runs: joined to them, SQLite would begin with the transforms, and sort all runs.
    """
    found = list(_newest(query)[:count])
    prefetch_related_objects(found, "transform", "created_by")
    return found


def transforms(instance: Instance, after: str = "", *, kind: str = "") -> Rows[Transform]:
    """Return one page of transforms, the newest first."""
    query: Any = Transform.objects.using(instance.alias).select_related("created_by")
    return _page(instance, query.filter(type=kind) if kind else query, after)


def suffixes(instance: Instance) -> list[str]:
    """Return the suffixes of current files, in the order of the database; of very many, the first.

    Each step looks for the next one in the index, so that the number of files does not matter.
    """
    connection = database.connection(instance.alias)
    cast = "::text" if connection.vendor == "postgresql" else ""
    current = "f.is_latest AND f.trashed_at IS NULL"
    first, following = (
        f"(SELECT MIN(f.suffix) FROM {_FILES} f WHERE f.suffix > {last} AND {current}){cast}"
        for last in ("''", "found.suffix")
    )
    text = (
        f"WITH RECURSIVE found(suffix) AS (SELECT {first} UNION ALL SELECT {following} FROM found "
        f"WHERE found.suffix IS NOT NULL) SELECT suffix FROM found WHERE suffix IS NOT NULL LIMIT {_MOST_SUFFIXES}"
    )
    return [row[0] for row in sql.fetch(connection, text, [])]


def _between(query: Any, since: datetime.date | None, until: datetime.date | None) -> Any:
    if since is not None:
        query = query.filter(created_at__gte=_start_of(since))
    if until is not None:
        query = query.filter(created_at__lt=_start_of(until) + datetime.timedelta(days=1))
    return query


def _start_of(day: datetime.date) -> datetime.datetime:
    return datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC)


def _page(instance: Instance, query: Any, after: str, *, by: str = "created_at") -> Rows[Any]:
    """Return one page of a query by its keyset; the first condition is the one that an index serves."""
    query = behind(query, after, by=by)
    found: list[Any] = []
    is_cut = False
    with time_limit(instance, PATIENCE_SECONDS) as clock:
        for row in _newest(query, by=by)[: ROWS + 1].iterator(chunk_size=8):
            found.append(row)
    is_cut = clock.is_over
    shown = found[:ROWS]
    more = len(found) > ROWS
    return Rows(shown, cursor(shown[-1], by=by) if shown and more else "", is_cut)


def page_among(instance: Instance, query: Any, file_ids: Collection[str], after: str) -> Rows[File]:
    """Return one page of these files of a query, the newest first."""
    given = RawSQL(*sql.listed_sql(database.connection(instance.alias).vendor, file_ids))
    return _page(instance, query.filter(id__in=given), after) if file_ids else Rows([])


def behind(query: Any, after: str, *, by: str = "created_at") -> Any:
    """Return a query for what follows a cursor in a list by a time."""
    if not after:
        return query
    at, row_id = read_cursor(after)
    return query.filter(Q((f"{by}__lte", at)) & (Q((f"{by}__lt", at)) | Q(id__lt=row_id)))


def _stale_page(instance: Instance, query: Any, after: str) -> Rows[File]:
    """Return one page of the stale files of a query.

    Where most files are stale, these are the first of them; where few are, it is fast to ask for all stale files.
    """
    newest = newest_stale(instance, behind(query, after), ROWS + 1)
    is_dense = len(newest.ids) > ROWS
    if not is_dense:
        found = _page(instance, query.filter(is_stale=True), after)
        if not found.is_cut or not newest.ids:
            return found
    rows = list(_newest(query.filter(id__in=newest.ids[:ROWS])))
    return Rows(rows, cursor(rows[-1]) if is_dense else newest.after, not is_dense)


def _affected_page(instance: Instance, query: Any, after: str) -> Rows[File]:
    """Return one page of the affected files of a query.

    Where few files are affected, only these are sorted. Where it takes too long to find all that was derived from
    flagged files, these are those of the newest files that are directly affected, and the search was cut.
    """
    few: Collection[str] | None = None
    with time_limit(instance, PATIENCE_SECONDS) as clock:
        few = recall.few_affected(database.connection(instance.alias))
    if few is not None:
        return page_among(instance, query, few, after)
    if not clock.is_over:
        found = _page(instance, query.filter(is_affected=True), after)
        if not found.is_cut or found.rows:
            return found
    return _newest_affected(instance, behind(query, after))


def _newest_affected(instance: Instance, query: Any) -> Rows[File]:
    """Return the directly affected ones of the newest files of a query; the cursor is of the last one looked at."""
    listed: list[File] = []
    rows: list[File] = []
    last: list[File] = []
    with time_limit(instance, _DENSE_SECONDS):
        listed = list(_newest(query)[: _LOOKED_AT[-1]])
        affected = _directly_affected(database.connection(instance.alias), [file.id for file in listed])
        rows = [file for file in listed if file.id in affected][:ROWS]
        last = rows[-1:] if len(rows) == ROWS else listed[-1:] if len(listed) == _LOOKED_AT[-1] else []
    return Rows(rows, cursor(last[0]) if last else "", is_cut=True)


@dataclass(frozen=True, slots=True)
class NewestStale:
    """The newest stale files of a query.

    Attributes:
        ids: Their ids, the newest first.
        after: The cursor of a file: of those up to it, all that are stale are in `ids`.
        search: The search that found them; None if nothing was found in time.
    """

    ids: list[str]
    after: str
    search: stale_marks.Search | None = None


def newest_stale(instance: Instance, query: Any, count: int) -> NewestStale:
    """Return the newest stale files of a query.

    A fixed number of files is looked at: if fewer are returned, there may be more. What lies far back is looked at only
    for files that nothing near decides, and where that takes too long, the list ends before the first of these.
    """
    connection = database.connection(instance.alias)
    newest = _newest(query).values_list("created_at", "id")
    found = NewestStale([], "")
    with time_limit(instance, _DENSE_SECONDS):
        for size in [size for size in _LOOKED_AT if size >= count] or _LOOKED_AT[-1:]:
            listed: list[tuple[datetime.datetime, str]] = list(newest[:size])
            search = stale_marks.Search(connection, [file_id for _, file_id in listed])
            marks = search.marks(stale_marks.PAGE_LOOKS)
            near = _up_to(listed, count, marks, search)
            # If the time ends in the next question, this is what is known.
            found = near if len(near.ids) > len(found.ids) or not found.after else found
            if len(near.ids) < count and marks.undecided:
                far = staleness.stale_among(connection, marks.undecided)
                found = near = _up_to(listed, count, StaleMarks(marks.ids | far), search)
            # Four times as many files have about four times as many that are stale.
            if not count // 4 <= len(near.ids) < count or len(listed) < size:
                break
    return found


def _up_to(
    listed: list[tuple[datetime.datetime, str]], count: int, marks: StaleMarks, search: stale_marks.Search
) -> NewestStale:
    """Return the first stale files of a list, at most so many, and none behind one that is undecided."""
    ids: list[str] = []
    after = ""
    for at, file_id in listed:
        if file_id in marks.undecided or len(ids) == count:
            break
        after = _cursor(at, file_id)
        if file_id in marks.ids:
            ids.append(file_id)
            if len(ids) == count:
                break
    return NewestStale(ids, after, search)


def cursor(row: Any, *, by: str = "created_at") -> str:
    """Return the text that stands for the place of a row in a list by a time."""
    return _cursor(getattr(row, by), row.id)


def _cursor(at: datetime.datetime, row_id: str) -> str:
    return f"{(at - _EPOCH) // datetime.timedelta(microseconds=1)}-{row_id}"


def read_cursor(text: str) -> tuple[datetime.datetime, str]:
    """Return the time and the id of a cursor.

    Raises:
        InvalidInputError: It is not a cursor.
    """
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise InvalidInputError("this is not a place in the list")
    try:
        return _EPOCH + datetime.timedelta(microseconds=int(found[1])), found[2]
    except OverflowError:
        raise InvalidInputError("this is not a place in the list") from None


@dataclass(slots=True)
class Clock:
    """Whether the time of a search is over."""

    is_over: bool = False


@contextlib.contextmanager
def time_limit(instance: Instance, seconds: float, *, of_processor: bool = False) -> Iterator[Clock]:
    """End the statements of a `with` block when their time is over; what was read before then stays read.

    Args:
        instance: The instance.
        seconds: The time.
        of_processor: Count the time of the processor, as far as this process does the work of the database; with what
            it waits for, five times as much may pass.
    """
    clock = Clock()
    now = time.thread_time if of_processor else time.monotonic
    connection = database.connection(instance.alias)
    connection.ensure_connection()
    raw = connection.connection
    deadline, latest = now() + seconds, time.monotonic() + _WAITED * seconds

    def is_over() -> int:
        clock.is_over = now() > deadline or time.monotonic() > latest
        return int(clock.is_over)

    if connection.vendor == "sqlite":
        raw.set_progress_handler(is_over, _STEPS)
    else:
        raw.execute(f"SET statement_timeout = {int(seconds * 1000)}")
    try:
        yield clock
    except DatabaseError as error:
        if not any(word in str(error) for word in ("interrupted", "statement timeout")):
            raise
        clock.is_over = True
    finally:
        # Where its database is gone, it was closed.
        if connection.connection is raw:
            if connection.vendor == "sqlite":
                raw.set_progress_handler(None, 0)
            else:
                raw.execute("SET statement_timeout = 0")


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known of some files.

    Attributes:
        flagged: The ids of those with an open flag.
        affected: The ids of those that were derived from a flagged file.
        stale: The ids of those that are stale.
        is_whole: Whether all affected and stale ones are known; otherwise only those that are so directly, by what a
            run that produced them read.
    """

    flagged: set[str]
    affected: set[str]
    stale: set[str]
    is_whole: bool

    def states(self, file_id: str) -> Iterator[str]:
        """Yield what is known of a file."""
        yield from (name for name in ("flagged", "affected", "stale") if file_id in getattr(self, name))


def marks_among(instance: Instance, file_ids: Collection[str], *, known: str = "") -> Marks:
    """Return what is known of the files of a list by a few queries, whose number and time are bounded.

    Args:
        instance: The instance.
        file_ids: The ids of the files.
        known: A state that all of them have.
    """
    if not file_ids:
        return Marks(set(), set(), set(), True)
    connection = database.connection(instance.alias)
    stale = StaleMarks({*file_ids}) if known == "stale" else stale_marks.Search(connection, file_ids).near()
    flagged, affected = recall.flagged_and_affected(connection)
    directly = _directly_affected(connection, file_ids) if affected is None else affected
    found = Marks({*flagged}, directly, stale.ids, stale.is_whole and affected is not None)
    if known in ("flagged", "affected"):
        getattr(found, known).update(file_ids)
    return found


def _directly_affected(connection: Any, file_ids: Collection[str]) -> set[str]:
    """Return those of some files that a run produced, the first time or again, which read a flagged file."""
    listed, params = sql.listed_sql(connection.vendor, file_ids)
    # PostgreSQL would put these queries into each other.
    fixed = "AS MATERIALIZED" if connection.vendor == "postgresql" else "AS"
    text = (
        f"WITH given AS ({listed}), "
        f"producer {fixed} (SELECT o.file_id, o.run_id FROM given CROSS JOIN {_OUTPUTS} o WHERE o.file_id = given.id "
        f"UNION SELECT f.id, f.run_id FROM given CROSS JOIN {_FILES} f WHERE f.id = given.id), "
        f"affected_run {fixed} (SELECT DISTINCT i.run_id FROM (SELECT DISTINCT run_id FROM producer) p "
        f"CROSS JOIN {_INPUTS} i CROSS JOIN {_FLAGS} g "
        "WHERE i.run_id = p.run_id AND g.file_id = i.file_id AND g.removed_at IS NULL) "
        "SELECT file_id FROM producer WHERE run_id IN (SELECT run_id FROM affected_run)"
    )
    return {row[0] for row in sql.fetch(connection, text, params)}


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a list with its states: `stale`, `flagged`, `affected`, `trash`, `old`."""

    file: File
    states: tuple[str, ...] = field(default=())


class FileRows(list[FileRow]):
    """The files of a list; with `is_whole`, all that are stale or affected are marked, see `Marks`."""

    is_whole = True


def with_states(instance: Instance, listed: list[File], *, known: str = "") -> FileRows:
    """Return files with what is shown beside their names; `known` is a state that all of them have."""
    marks = marks_among(instance, [file.id for file in listed], known=known)

    def states(file: File) -> Iterator[str]:
        if file.is_trashed:
            yield "trash"
        elif not file.is_latest:
            yield "old"
        yield from marks.states(file.id)

    rows = FileRows(FileRow(file, tuple(states(file))) for file in listed)
    rows.is_whole = marks.is_whole
    return rows


@dataclass(frozen=True, slots=True)
class Child:
    """What a folder of keys contains: a file, or a folder with its path and a slash at its end."""

    name: str
    folder: str = ""
    file: File | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, by kind; `is_cut` if its time was over."""

    files: list[File] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    transforms: list[Transform] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    is_cut: bool = False


def search(instance: Instance, text: str, limit: int, *, runs: bool = False) -> Found:
    """Return the records whose names fit a text best, by the index of names, while there is time.

    Args:
        instance: The instance.
        text: What was typed.
        limit: How many records of each kind.
        runs: Look for runs, in place of files, transforms and users.
    """
    alias = instance.alias
    current = File.objects.using(alias).filter(is_latest=True, trashed_at__isnull=True)
    kinds: dict[str, Any] = {
        "files": current.select_related("transform", "created_by"),
        "transforms": Transform.objects.using(alias).select_related("created_by"),
        "users": User.objects.using(alias),
    }
    if runs:
        kinds = {"runs": Run.objects.using(alias).select_related("transform", "created_by")}
    found: dict[str, Any] = {}
    with time_limit(instance, PATIENCE_SECONDS) as clock:
        found |= zip(kinds, search_together(list(kinds.values()), text, {"limit": limit}), strict=True)
    return Found(**found, is_cut=clock.is_over)


_MOST_CHILDREN: Final = 100


def children(instance: Instance, folder: str, after: str = "") -> tuple[list[Child], str]:
    """Return one level of the tree of current keys, and after which key the next page begins, "" at the end.

    Each step looks for the first key behind the last child, so that the size of sub-folders does not matter.
    """
    prefix = f"{folder.rstrip('/')}/" if folder.strip("/") else ""
    connection = database.connection(instance.alias)
    keys = _child_keys(connection, prefix, after)
    found: list[Child] = []
    for key in keys[:_MOST_CHILDREN]:
        name, slash, _ = key[len(prefix) :].partition("/")
        found.append(Child(name, f"{prefix}{name}/") if slash else Child(name))
    last = ""
    if len(keys) > _MOST_CHILDREN:
        last = found[-1].folder or f"{prefix}{found[-1].name}"
    wanted = [f"{prefix}{one.name}" for one in found if not one.folder]
    query = File.objects.using(instance.alias).filter(key__in=wanted, is_latest=True, trashed_at__isnull=True)
    files_by_key: dict[str, list[File]] = {}
    for file in query.select_related("transform", "created_by").order_by("key", "id"):
        files_by_key.setdefault(str(file.key), []).append(file)
    listed: list[Child] = []
    for one in found:
        if one.folder:
            listed.append(one)
        else:
            listed += [Child(one.name, file=file) for file in files_by_key.get(f"{prefix}{one.name}", ())]
    return listed, last


def _child_keys(connection: Any, prefix: str, after: str) -> list[str]:
    """Return the first key of each child of a folder."""
    is_postgres = connection.vendor == "postgresql"
    # Byte order, in which "0" is what follows "/".
    key = 'key COLLATE "C"' if is_postgres else "key"
    length = len(prefix)
    rest = f"substr(child.k, {length + 1})"
    slash = f"position('/' in {rest})" if is_postgres else f"instr({rest}, '/')"
    behind = (
        f"CASE WHEN {slash} > 0 THEN substr(child.k, 1, {length} + {slash} - 1) || '0' "
        f"ELSE child.k || {'chr(1)' if is_postgres else 'char(1)'} END"
    )
    current = "is_latest AND trashed_at IS NULL AND key IS NOT NULL"
    cast = '::text COLLATE "C"' if is_postgres else ""
    bound = f"AND {key} < %s" if prefix else ""
    first = f"(SELECT MIN({key}) FROM {_FILES} WHERE {key} >= %s {bound} AND {current})"
    step = f"(SELECT MIN({key}) FROM {_FILES} WHERE {key} >= {behind} {bound} AND {current})"
    if after:
        start = behind_child(after)
    else:
        start = prefix
    end = [_after_prefix(prefix)] if prefix else []
    text = (
        f"WITH RECURSIVE child(k) AS (SELECT {first}{cast} UNION ALL SELECT {step} FROM child "
        f"WHERE child.k IS NOT NULL) SELECT k FROM child WHERE k IS NOT NULL LIMIT {_MOST_CHILDREN + 1}"
    )
    return [row[0] for row in sql.fetch(connection, text, [start, *end, *end])]


def behind_child(child: str) -> str:
    """Return the first key that may follow a file, or all that is in a folder, which has a slash at its end."""
    return _after_prefix(child) if child.endswith("/") else f"{child}\x01"


def _after_prefix(prefix: str) -> str:
    """Return the first text behind all texts that begin with a prefix that ends with a slash."""
    return f"{prefix[:-1]}0"
