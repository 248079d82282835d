"""Which files are affected: derived from a flagged file, directly or some steps before, by any of their producers.

A flag is on one version of a file, and stays there when another version becomes current. A file is affected if a run
that produced it, the first time or again, read a flagged or an affected file. Affected is not stale: making it again
from the same inputs would not help.

The query walks down from the runs that read flagged files. For given files, it is restricted to what they came from.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.expressions import RawSQL

from lamindb.core import context, messages
from lamindb.core.settings import settings
from lamindb.core.text import printable
from lamindb.db import database
from lamindb.errors import FlaggedFileError, InvalidTypeError
from lamindb.lineage import query, reason_text, sql
from lamindb.lineage.lineage_graph import FlaggedBy, reasons_text
from lamindb.lineage.sql import FILE, RUN, Walk
from lamindb.models import File, Flag, RecordQuery, RunInput, RunOutput
from lamindb.records import flags

_FILES, _FLAGS, _INPUTS, _OUTPUTS = (model._meta.db_table for model in (File, Flag, RunInput, RunOutput))

_FEW = 2_000
"""So many files and runs that are affected are found at once, whatever was asked for."""


def _flagged_sql(*, current_only: bool) -> str:
    """Return the query for the ids of flagged files, or only of those that are current."""
    is_current = f"(SELECT id FROM {_FILES} WHERE is_latest AND trashed_at IS NULL)"
    return f"SELECT file_id FROM {_FLAGS} WHERE removed_at IS NULL" + f" AND file_id IN {is_current}" * current_only


def _affected_cte(
    vendor: str, file_ids: Collection[str] | None, *, current_only: bool = False
) -> tuple[str, list[Any]]:
    """Return how a query begins: with `affected`, the runs and files derived from flagged files, as ids and kinds."""
    cast = "::text" if vendor == "postgresql" else ""
    readers = (
        f"SELECT DISTINCT i.run_id{cast} AS id FROM ({_flagged_sql(current_only=current_only)}) g "
        f"CROSS JOIN {_INPUTS} i WHERE i.file_id = g.file_id"
    )
    if file_ids is None:
        down, params = sql.closure_sql(vendor, Walk(RUN, is_up=False, all_producers=True, start=readers), "affected")
        return f"WITH RECURSIVE {down}", params
    up, params = sql.closure_sql(vendor, Walk(FILE, tuple(file_ids), None, True, True), "origin")
    # See `sql.closure_sql` for the unary plus.
    plus = "" if vendor == "postgresql" else "+"
    readers += f" AND {plus}i.run_id IN (SELECT id FROM origin WHERE kind = {RUN})"
    walk = Walk(RUN, is_up=False, all_producers=True, start=readers)
    down, more = sql.closure_sql(vendor, walk, "affected", within="origin")
    return f"WITH RECURSIVE {up}, {down}", [*params, *more]


def affected_sql(
    vendor: str, file_ids: Collection[str] | None = None, *, current_only: bool = False
) -> tuple[str, list[Any]]:
    """Return the query for the ids of all affected files, current or not, or of those among `file_ids`.

    With `current_only`, only flags of current versions count.
    """
    begin, params = _affected_cte(vendor, file_ids, current_only=current_only)
    text = f"{begin} SELECT id FROM affected WHERE kind = {FILE}"
    if file_ids is not None:
        listed, more = sql.listed_sql(vendor, file_ids)
        text, params = f"{text} AND id IN ({listed})", [*params, *more]
    return text, params


def _ways_sql(vendor: str, file_ids: Collection[str] | None, *, current_only: bool = False) -> tuple[str, list[Any]]:
    """Return the query for how files came to be affected, as rows of a kind, an id and the id of what follows it.

    A `flagged` is a flagged file and a run that read it; a `read` an affected file and a run that read it; a `made` a
    run and an affected file that it produced.
    """
    begin, params = _affected_cte(vendor, file_ids, current_only=current_only)
    cast, plus = ("::text", "") if vendor == "postgresql" else ("", "+")
    runs = f"FROM affected a CROSS JOIN {{table}} WHERE a.kind = {RUN} AND"
    inputs = f"i.file_id{cast}, i.run_id{cast} {runs.format(table=f'{_INPUTS} i')} i.run_id = a.id"
    flagged = f"{inputs} AND {plus}i.file_id IN ({_flagged_sql(current_only=current_only)})"
    read = f"{inputs} AND {plus}i.file_id IN (SELECT id FROM affected WHERE kind = {FILE})"
    made = f"o.run_id{cast}, o.file_id{cast} {runs.format(table=f'{_OUTPUTS} o')} o.run_id = a.id"
    first_made = f"f.run_id{cast}, f.id{cast} {runs.format(table=f'{_FILES} f')} f.run_id = a.id"
    pairs = [("flagged", flagged), ("read", read), ("made", made), ("made", first_made)]
    return f"{begin} {' UNION '.join(f'SELECT {kind!r}, {rest}' for kind, rest in pairs)}", params


class Affected(models.Expression):
    """The ids of affected files, as a sub-query, evaluated each time the outer query is; all files, or some."""

    def __init__(self, file_ids: Collection[str] | None = None, *, current_only: bool = False) -> None:
        super().__init__(output_field=models.TextField())
        self.file_ids = file_ids
        self.current_only = current_only

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:
        """Return the sub-query for one database."""
        del compiler
        text, params = affected_sql(connection.vendor, self.file_ids, current_only=self.current_only)
        if connection.vendor == "postgresql":
            # See `query.Reached`: PostgreSQL would evaluate a recursive query again for each row.
            text = f"SELECT string_to_table((SELECT string_agg(id, ',') FROM ({text}) found), ',')"
        return f"({text})", params

    def __repr__(self) -> str:
        return "affected(…)"


def condition(value: Any) -> models.Q:
    """Return the condition of the filter `is_affected`.

    Raises:
        InvalidTypeError: The value is neither True nor False.
    """
    return _condition("is_affected", value, models.Q(id__in=Affected()))


def flagged_condition(value: Any) -> models.Q:
    """Return the condition of the filter `is_flagged`. Errors are those of `condition`."""
    open_flags = RawSQL(f"SELECT file_id FROM {_FLAGS} WHERE removed_at IS NULL", [])
    return _condition("is_flagged", value, models.Q(id__in=open_flags))


def _condition(name: str, value: Any, found: models.Q) -> models.Q:
    if not isinstance(value, bool):
        raise InvalidTypeError(f"{name} must be True or False, not {value!r}")
    return found if value else ~found


@dataclass(frozen=True, slots=True)
class Cause:
    """One flagged file that another file was derived from.

    Attributes:
        flagged: The flagged version.
        flags: Its open flags, the oldest first.
        chain: The files on a shortest way: from the flagged version to the affected file, with both.
    """

    flagged: File
    flags: tuple[Flag, ...]
    chain: tuple[File, ...]

    @property
    def is_direct(self) -> bool:
        """Whether a run that produced the affected file read the flagged version itself."""
        return len(self.chain) == 2

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists, strings and numbers."""
        return {
            "flagged": reason_text.as_dict(self.flagged),
            "flags": [flag_as_dict(flag) for flag in self.flags],
            "chain": [reason_text.as_dict(file) for file in self.chain],
        }

    def __str__(self) -> str:
        """Return the cause as one line that is safe to print."""
        through = reason_text.by_way_of(self.chain[1:-1])
        why = "; ".join(flag_text(flag) for flag in self.flags)
        return f"version {self.flagged.version} of {reason_text.title(self.flagged)} is flagged: {why}{through}"


@dataclass(frozen=True, slots=True, repr=False)
class AffectedBy:
    """Whether a file is affected, and by which flagged files. It is true if the file is affected.

    Attributes:
        file: The file.
        reasons: The flagged files that it was derived from, the nearest first; empty if there are none.
    """

    file: File
    reasons: tuple[Cause, ...]

    def __bool__(self) -> bool:
        """Return True if the file is affected."""
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
        if not self:
            return f"{title} is not affected"
        return "\n".join([f"{title} is affected:", *(f"  {one}" for one in self.reasons)])


def flag_text(flag: Flag) -> str:
    """Return why a file is flagged, and by whom, safe to print."""
    who = f" ({printable(flag.created_by.handle)})" if flag.created_by is not None else ""
    return f"{printable(flag.reason)}{who}"


def flag_as_dict(flag: Flag) -> dict[str, Any]:
    """Return a flag as plain values; times are ISO 8601."""
    return {
        "reason": flag.reason,
        "by": flag.created_by.handle if flag.created_by is not None else None,
        "at": flag.created_at.isoformat(),
        "removed_by": flag.removed_by.handle if flag.removed_by is not None else None,
        "removed_at": flag.removed_at.isoformat() if flag.removed_at is not None else None,
        "removal_reason": flag.removal_reason,
    }


def affected(*files: Any) -> RecordQuery[File]:
    """Return a query for the affected files among these; without arguments, for all affected current files.

    The query is evaluated anew each time.

    Args:
        *files: Files, or their ids or keys.

    Raises:
        InvalidTypeError: An argument is not a file, or the id or key of one.
        InvalidInputError: A file is not saved, or they belong to different instances.
        NoResultFound: There is no file with this id or key, it was deleted, or the key's file is in the trash.
    """
    if not files:
        current = File.objects.using(context.instance().alias).filter(is_latest=True, trashed_at__isnull=True)
        return current.filter(id__in=Affected())
    records = query.files_of(files, "affected")
    alias = query.same_alias(*records)
    return File.objects.using(alias).filter(id__in=Affected([record.id for record in records]))


def is_affected(file: File) -> bool:
    """Return True if a file is affected. Errors are those of `affected`."""
    query.check_exists(file)
    return bool(affected_among(database.connection(query.alias_of(file)), [file.id]))


def affected_among(connection: Any, file_ids: Collection[str], *, current_only: bool = False) -> set[str]:
    """Return the ids of the affected files among these; with `current_only`, by flags of current versions."""
    if not file_ids or not flags.any_open(connection.alias):
        return set()
    few = few_affected(connection, current_only=current_only)
    if few is not None:
        return few.intersection(file_ids)
    found = sql.fetch(connection, *affected_sql(connection.vendor, file_ids, current_only=current_only))
    return {row[0] for row in found}


def affected_by(file: File) -> AffectedBy:
    """Return whether a file is affected, and by which flagged files. Errors are those of `affected`."""
    query.check_exists(file)
    return next(explained([file]))


def explained(files: Iterable[File]) -> Iterator[AffectedBy]:
    """Yield why each of these saved files of one instance is affected, in their order, a batch of them at a time."""
    for chunk in database.chunks(files):
        alias = query.alias_of(chunk[0])
        if flags.any_open(alias):
            connection = database.connection(alias)
            ways = _ways_of(connection, [file.id for file in chunk], few_affected(connection))
            yield from (AffectedBy(file, _causes(alias, ways.chains_to(file.id))) for file in chunk)
        else:
            yield from (AffectedBy(file, ()) for file in chunk)


def marks(
    connection: Any, file_ids: Collection[str], *, current_only: bool = False
) -> tuple[dict[str, tuple[str, ...]], dict[str, FlaggedBy]]:
    """Return what a list or a picture shows of files; with `current_only`, only flags of current versions affect them.

    Returns:
        Of those that are flagged, the reasons. Of those that are affected, the nearest flagged file.
    """
    if not file_ids:
        return {}, {}
    flagged, few = flagged_and_affected(connection, current_only=current_only)
    if not flagged:
        return {}, {}
    nearest = _ways_of(connection, file_ids, few, current_only=current_only).nearest()
    flagged_by = {file_id: flagged[nearest[file_id]] for file_id in file_ids if nearest.get(file_id) in flagged}
    return {file_id: flagged[file_id].reasons for file_id in file_ids if file_id in flagged}, flagged_by


_FLAG_COLUMNS = "g.id, f.id, COALESCE(NULLIF(f.key, ''), NULLIF(f.name, ''), f.id), f.version, g.reason"
_OPEN_FLAGS = f"{_FLAGS} g JOIN {_FILES} f ON f.id = g.file_id WHERE g.removed_at IS NULL"


def flagged_files(connection: Any) -> dict[str, FlaggedBy]:
    """Return all files with an open flag by their ids."""
    return _by_file(sql.fetch(connection, f"SELECT {_FLAG_COLUMNS} FROM {_OPEN_FLAGS}", []))


def few_affected(connection: Any, *, current_only: bool = False) -> set[str] | None:
    """Return the ids of all affected files, if little was derived from flagged ones; otherwise None.

    All that some files came from may be the whole lineage. What was derived from flagged files mostly is a part of it.
    """
    begin, params = _affected_cte(connection.vendor, None, current_only=current_only)
    return _if_few(sql.fetch(connection, f"{begin} SELECT kind, id FROM affected LIMIT {_FEW + 1}", params))


def flagged_and_affected(
    connection: Any, *, current_only: bool = False
) -> tuple[dict[str, FlaggedBy], set[str] | None]:
    """Return what `flagged_files` and `few_affected` do, by one query."""
    begin, params = _affected_cte(connection.vendor, None, current_only=current_only)
    # A row of a flag has its columns, one of an affected node has its kind and id, and no file.
    text = (
        f"{begin} SELECT * FROM (SELECT kind, NULL, id, 0, '' FROM affected LIMIT {_FEW + 1}) few UNION ALL "
        f"SELECT {_FLAG_COLUMNS} FROM {_OPEN_FLAGS}"
    )
    rows = sql.fetch(connection, text, params)
    affected = [(kind, one) for kind, file_id, one, *_ in rows if file_id is None]
    return _by_file([row for row in rows if row[1] is not None]), _if_few(affected)


def _if_few(rows: Sequence[tuple[int, str]]) -> set[str] | None:
    return {one for kind, one in rows if kind == FILE} if len(rows) <= _FEW else None


def _by_file(rows: Iterable[tuple[Any, ...]]) -> dict[str, FlaggedBy]:
    """Return flagged files, with the reasons of each in the order of its flags."""
    found: dict[str, FlaggedBy] = {}
    for _, file_id, title, version, reason in sorted(rows):
        before = found[file_id].reasons if file_id in found else ()
        found[file_id] = FlaggedBy(file_id, title, version, (*before, reason))
    return found


def _ways_of(
    connection: Any, file_ids: Collection[str], few: Collection[str] | None, *, current_only: bool = False
) -> _Ways:
    if few is not None and not any(file_id in few for file_id in file_ids):
        return _Ways(())
    among = file_ids if few is None else None
    return _Ways(sql.fetch(connection, *_ways_sql(connection.vendor, among, current_only=current_only)))


class _Ways:
    """How some files came to be affected: the rows of `_ways_sql` by their files and runs."""

    def __init__(self, rows: Sequence[tuple[str, str, str]]) -> None:
        self._producers: dict[str, list[str]] = {}
        self._flagged: dict[str, list[str]] = {}
        self._read: dict[str, list[str]] = {}
        for kind, source, target in sorted(rows):
            if kind == "made":
                self._producers.setdefault(target, []).append(source)
            else:
                (self._flagged if kind == "flagged" else self._read).setdefault(target, []).append(source)

    def chains_to(self, file_id: str) -> Iterator[tuple[str, ...]]:
        """Yield a shortest way from each flagged file that a file was derived from, the nearest first."""
        led_to: dict[str, str | None] = {file_id: None}
        waiting, reported, seen_runs = deque([file_id]), set(), set()
        while waiting:
            one = waiting.popleft()
            for run_id in self._producers.get(one, ()):
                if run_id in seen_runs:
                    continue
                seen_runs.add(run_id)
                for flagged in self._flagged.get(run_id, ()):
                    if flagged not in reported:
                        reported.add(flagged)
                        yield (flagged, *_back(one, led_to))
                for read in self._read.get(run_id, ()):
                    if read not in led_to:
                        led_to[read] = one
                        waiting.append(read)

    def nearest(self) -> dict[str, str]:
        """Return the nearest flagged file of each affected one: a search from all flagged files at once."""
        made: dict[str, list[str]] = {}
        readers: dict[str, list[str]] = {}
        for pairs, index in ((self._producers, made), (self._read, readers)):
            for target, sources in pairs.items():
                for source in sources:
                    index.setdefault(source, []).append(target)
        found: dict[str, str] = {}
        waiting = deque((run_id, flagged[0]) for run_id, flagged in sorted(self._flagged.items()))
        seen = {run_id for run_id, _ in waiting}
        while waiting:
            run_id, flagged_id = waiting.popleft()
            for file_id in made.get(run_id, ()):
                if file_id in found:
                    continue
                found[file_id] = flagged_id
                for reader in readers.get(file_id, ()):
                    if reader not in seen:
                        seen.add(reader)
                        waiting.append((reader, flagged_id))
        return found


def _back(file_id: str, led_to: dict[str, str | None]) -> Iterator[str]:
    """Yield the files from one to the start of the search."""
    one: str | None = file_id
    while one is not None:
        yield one
        one = led_to[one]


def _causes(alias: str, chains: Iterator[tuple[str, ...]]) -> tuple[Cause, ...]:
    found = list(chains)
    files: dict[str, File] = {}
    for chunk in database.chunks(sorted({file_id for chain in found for file_id in chain})):
        files.update(File.objects.using(alias).in_bulk(chunk))
    open_flags: dict[str, tuple[Flag, ...]] = {}
    for chunk in database.chunks(sorted({chain[0] for chain in found})):
        rows: Any = Flag.objects.using(alias).filter(file_id__in=chunk, removed_at__isnull=True)
        for flag in rows.select_related("created_by"):
            open_flags[flag.file_id] = (*open_flags.get(flag.file_id, ()), flag)
    return tuple(
        Cause(files[chain[0]], open_flags[chain[0]], tuple(files[file_id] for file_id in chain))
        for chain in found
        if chain[0] in open_flags and all(file_id in files for file_id in chain)
    )


def heed(file: File) -> None:
    """Warn that a file which is read is flagged or affected, or fail, as `ln.settings.if_flagged` says.

    Raises:
        FlaggedFileError: It is, and the setting is `error`.
    """
    connection = database.connection(query.alias_of(file))
    reasons, flagged_by = marks(connection, [file.id])
    if file.id in reasons:
        shown = f"is flagged: {reasons_text(reasons[file.id])}"
    elif file.id in flagged_by:
        shown = f"is affected: {flagged_by[file.id]}"
    else:
        return
    text = f"version {file.version} of {file.key or file.name!r} {shown}"
    if settings.if_flagged == "error":
        raise FlaggedFileError(f"{text}; settings.if_flagged is 'error'")
    messages.warning(text)
