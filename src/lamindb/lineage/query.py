"""Ancestors, descendants, roots and leaves of records, as queries."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef

from lamindb.core import context
from lamindb.db import database
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound
from lamindb.lineage import sql as lineage_sql
from lamindb.lineage.sql import FILE, RUN, Walk
from lamindb.models import File, Record, RecordQuery, Run, RunInput, RunOutput, Transform
from lamindb.models.file_event import renamed_to

_SUGGEST_AMONG = 100_000
"""The closest key is searched among at most this many files: an error must not take seconds."""


class Reached(models.Expression):
    """The ids that a walk reaches, as a sub-query, evaluated each time the outer query is.

    With a depth, the steps are walked when the outer query is compiled, and the sub-query is a list of ids.
    """

    def __init__(self, walk: Walk, kind: int, depth: int | None = None, with_starts: bool = False) -> None:
        super().__init__(output_field=models.TextField())
        self.walk = walk
        self.kind = kind
        self.depth = depth
        self.with_starts = with_starts

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:
        """Return the sub-query for one database."""
        del compiler
        if self.depth is None:
            sql, params = lineage_sql.reached_sql(connection.vendor, self.walk, self.kind, with_starts=self.with_starts)
            if connection.vendor == "postgresql":
                # PostgreSQL estimates one row for a recursive query and would scan it again for each row of another
                # condition. It estimates a thousand rows for `string_to_table`, and uses an index or a hash.
                sql = f"SELECT string_to_table((SELECT string_agg(id, ',') FROM ({sql}) found), ',')"
        else:
            ids = lineage_sql.near_ids(connection, self.walk, self.kind, self.depth)
            sql, params = lineage_sql.listed_sql(connection.vendor, ids)
        return f"({sql})", params

    def __repr__(self) -> str:
        return f"{'ancestors' if self.walk.is_up else 'descendants'}(…)"


def closure(
    record: Record,
    *,
    upward: bool,
    model: Any = None,
    depth: int | None = None,
    all_producers: bool = False,
) -> RecordQuery[Any]:
    """Return a query for the ancestors or descendants of a record, without the record itself.

    It includes old versions and files in the trash: an edge points at the version that was read. The query belongs
    to the record's instance and is evaluated anew each time.

    Args:
        record: A saved file, run or transform; a transform stands for all its runs.
        upward: Return ancestors, else descendants.
        model: The kind to return: `File` (None), `Run`, `Transform`, or a transform of one type such as `Notebook`.
        depth: The number of generations: 1 means the nearest. None means all.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: The record is not saved, its instance was disconnected, or the depth is negative.
        InvalidTypeError: The model or the depth has the wrong type.
        NoResultFound: The record was deleted.
    """
    check_exists(record)
    query: RecordQuery[Any] = _query(
        walk_from(record, is_up=upward, all_producers=all_producers), alias_of(record), model, depth
    )
    return query


def _query(walk: Walk, alias: str, model: Any, depth: int | None) -> Any:
    wanted = _checked_model(model)
    check_depth(depth)
    kind = FILE if wanted is File else RUN
    reached = Reached(walk, kind, depth)
    if not issubclass(wanted, Transform):
        return wanted.objects.using(alias).filter(id__in=reached)
    runs = Run.objects.using(alias).filter(id__in=reached)
    return wanted.objects.using(alias).filter(id__in=runs.values("transform_id"))


def _checked_model(model: Any) -> Any:
    if model is None:
        return File
    if isinstance(model, type) and issubclass(model, (File, Run, Transform)):
        return model
    shown = model.__name__ if isinstance(model, type) else repr(model)
    raise InvalidTypeError(f"lineage consists of ln.File, ln.Run and ln.Transform, not of {shown}")


def check_depth(depth: Any) -> None:
    """Raise an error if `depth` is not a number of generations.

    Raises:
        InvalidInputError: It is negative.
        InvalidTypeError: It is not an integer.
    """
    if depth is None:
        return
    if isinstance(depth, bool) or not isinstance(depth, int):
        raise InvalidTypeError(f"depth must be a whole number or None for all, not {depth!r}")
    if depth < 0:
        raise InvalidInputError(f"depth counts generations and cannot be negative: not {depth}, None means all")


def alias_of(record: Any) -> str:
    """Return the database alias of a record.

    Raises:
        InvalidTypeError: It is not a file, run or transform.
        InvalidInputError: It is not saved, or its instance was disconnected.
        NoResultFound: It was deleted by this object.
    """
    if not isinstance(record, (File, Run, Transform)):
        raise InvalidTypeError(f"lineage is of a file, a run or a transform, not of {type(record).__name__}")
    kind = _kind(record)
    # A deleted file is trashed and unsaved; other deleted records have no id.
    if record.pk is None or (not record.is_saved and isinstance(record, File) and record.is_trashed):
        raise _deleted(record)
    if not record.is_saved:
        raise InvalidInputError(f"this {kind} is not saved yet and has no lineage: save it first")
    alias = str(record.alias)
    if context.connected(alias) is None:
        raise InvalidInputError(f"this {kind} belongs to an instance that was disconnected: connect and query it again")
    return alias


def check_exists(record: Any) -> None:
    """Raise an error if a record was deleted meanwhile.

    Raises:
        NoResultFound: It is not in its instance any more.
    """
    alias = alias_of(record)
    if not record._meta.concrete_model.objects.using(alias).filter(id=record.id).exists():
        raise _deleted(record)


def stored(record: Any) -> Any:
    """Return a record as the database has it now. Errors are those of `check_exists`."""
    found = record._meta.concrete_model.objects.using(alias_of(record)).filter(id=record.id).first()
    if found is None:
        raise _deleted(record)
    return found


def _kind(record: Any) -> str:
    return "file" if isinstance(record, File) else "run" if isinstance(record, Run) else "transform"


def _deleted(record: Any) -> NoResultFound:
    key = record.key or record.name if isinstance(record, File) else getattr(record, "name", None)
    name = " ".join([*([repr(key)] if key else []), *([f"({record.id})"] if record.id else [])])
    return NoResultFound(f"this {_kind(record)} was deleted for good" + (f": {name}" if name else ""))


def walk_from(record: Any, *, is_up: bool, all_producers: bool = False) -> Walk:
    """Return the walk that starts from a record."""
    alias_of(record)
    if isinstance(record, Transform):
        return Walk(RUN, (), record.id, is_up, all_producers)
    starts = (record.id,) if isinstance(record, File) else tuple(runs_inside(record))
    return Walk(FILE if isinstance(record, File) else RUN, starts, None, is_up, all_producers)


def runs_inside(*records: Any) -> dict[str, str]:
    """Return for each run of these runs and transforms, and each run inside it, the id of the outermost one."""
    runs = Run._meta.db_table
    found: dict[str, str] = {}
    for record in records:
        connection = database.connection(alias_of(record))
        cast = "::text" if connection.vendor == "postgresql" else ""
        of_transform = isinstance(record, Transform)
        first = "transform_id" if of_transform else "id"
        # A run of the transform inside another one of it is an outermost one of its own.
        apart = " AND r.transform_id <> %s" if of_transform else ""
        text = (
            f"WITH RECURSIVE part(id, outermost) AS (SELECT id{cast}, id{cast} FROM {runs} WHERE {first} = %s "
            f"UNION SELECT r.id{cast}, part.outermost FROM part CROSS JOIN {runs} r "
            f"WHERE r.parent_id = part.id{apart}) SELECT id, outermost FROM part"
        )
        for inside, outermost in lineage_sql.fetch(connection, text, [record.id] * (2 if of_transform else 1)):
            found.setdefault(inside, outermost)
    return found


def record_of(record_or_id: Any) -> Any:
    """Return a record: itself, or the file, run or transform of the current instance with this id or key.

    Raises:
        NoResultFound: The current instance has none with this id or key, the key's file is in the trash, or the record
            was deleted.
        InvalidTypeError: It is neither a record nor a string.
    """
    if not isinstance(record_or_id, str):
        check_exists(record_or_id)
        return record_or_id
    instance = context.instance()
    for model in (File, Run, Transform):
        related = ("transform",) if model is Run else ()
        records = model.objects.using(instance.alias).filter(id=record_or_id).select_related(*related)
        found: Any = records.order_by().first()
        if found is not None:
            return found
    keyed = File.objects.using(instance.alias).filter(key=record_or_id)
    current_file = keyed.filter(is_latest=True, trashed_at__isnull=True).first()
    if current_file is not None:
        return current_file
    trashed = keyed.order_by("-version").first()
    if trashed is not None:
        raise NoResultFound(f"the file {record_or_id!r} is in the trash: restore it, or pass its id {trashed.id}")
    raise NoResultFound(
        f"no file, run or transform with the id or key {record_or_id!r} is in the instance {instance.name!r}: "
        f"{_advice(record_or_id)}"
    )


def _advice(text: str) -> str:
    now = renamed_to(context.instance().alias, [text])
    if now:
        return f"it was renamed to {now[0]!r}"
    if File.select().count() <= _SUGGEST_AMONG:
        near = File.search(text, field="key", top_hit=True)
        if near is not None:
            return f"did you mean {near.key!r}?"
    return "connect the instance that it belongs to"


def files_of(files: Iterable[Any], what: str) -> list[File]:
    """Return files: themselves, or those with these ids or keys, as `record_of` does.

    Raises:
        InvalidTypeError: One is not a file; `what` is what only files can be.
    """
    records = [record_of(file) for file in files]
    for record in records:
        if not isinstance(record, File):
            raise InvalidTypeError(f"a file can be {what}, not a {type(record).__name__}")
    return records


def same_alias(*records: Any) -> str:
    """Return the one database to which records belong.

    Raises:
        InvalidInputError: They belong to different instances.
    """
    aliases = {alias_of(record) for record in records}
    if len(aliases) > 1:
        raise InvalidInputError("these records belong to different instances: lineage does not cross them")
    return aliases.pop()


def ancestor_ids(record: Any, *, model: Any = None, depth: int | None = None, all_producers: bool = False) -> list[str]:
    """Return the unordered ids of the ancestors of a record; faster than records. Arguments are as for `closure`."""
    return _ids(record, True, model, depth, all_producers)


def descendant_ids(
    record: Any, *, model: Any = None, depth: int | None = None, all_producers: bool = False
) -> list[str]:
    """Return the unordered ids of the descendants of a record. Arguments are as for `closure`."""
    return _ids(record, False, model, depth, all_producers)


def some_descendant_ids(record: Any, most: int) -> tuple[set[str], bool]:
    """Return the ids of files derived from a file or run, as far as there are not many more than a number.

    The outputs of the run itself are left out. No step reads more rows than the number, so a file that many runs read
    costs no more than another.

    Returns:
        The ids, and whether they are all.
    """
    connection = database.connection(alias_of(record))
    frontier = [record.id]
    if not isinstance(record, File):
        frontier = _following(frontier, connection, most, reads=False)
    found: set[str] = set()
    seen = {record.id, *frontier}
    is_all, reads = len(frontier) <= most, True
    while frontier and len(found) <= most:
        following: list[str] = []
        for chunk in database.chunks(frontier):
            rows = _following(chunk, connection, most, reads=reads)
            is_all &= len(rows) <= most
            following += rows
        frontier = [one for one in dict.fromkeys(following) if one not in seen]
        seen.update(frontier)
        if not reads:
            found.update(frontier)
        reads = not reads
    return found, is_all and not frontier


def _following(ids: Collection[str], connection: Any, most: int, *, reads: bool) -> list[str]:
    """Return the runs that read some files, or the files that some runs made: at most one more than a number."""
    found, model, match = ("run_id", RunInput, "file_id") if reads else ("id", File, "run_id")
    listed, params = lineage_sql.listed_sql(connection.vendor, ids)
    text = f"SELECT {found} FROM {model._meta.db_table} WHERE {match} IN ({listed}) LIMIT {most + 1}"
    return [row[0] for row in lineage_sql.fetch(connection, text, params)]


def _ids(record: Any, is_up: bool, model: Any, depth: int | None, all_producers: bool) -> list[str]:
    record = record_of(record)
    wanted = _checked_model(model)
    check_depth(depth)
    alias = alias_of(record)
    walk = walk_from(record, is_up=is_up, all_producers=all_producers)
    if issubclass(wanted, Transform):
        return list(_query(walk, alias, wanted, depth).order_by().values_list("id", flat=True))
    kind = FILE if wanted is File else RUN
    connection = database.connection(alias)
    if depth is None:
        return lineage_sql.reached_ids(connection, walk, kind)
    return lineage_sql.near_ids(connection, walk, kind, depth)


def common_ancestors(first: Any, second: Any, *others: Any, model: Any = None, all_producers: bool = False) -> Any:
    """Return a query for the common ancestors of records.

    Args:
        first: A record, or its id or key.
        second: Another record.
        *others: More records.
        model: See `closure`.
        all_producers: See `closure`.
    """
    records = [record_of(found) for found in (first, second, *others)]
    same_alias(*records)
    query, *rest = (
        _query(walk_from(found, is_up=True, all_producers=all_producers), alias_of(found), model, None)
        for found in records
    )
    for other in rest:
        query = query.filter(id__in=other.values("id"))
    return query


def roots(record: Any, *, all_producers: bool = False) -> Any:
    """Return a query for the root files of a record's lineage: the ancestors without other ancestors.

    A file without ancestors is its own root. A cycle has no root.

    Args:
        record: A record, or its id or key.
        all_producers: See `closure`.
    """
    return _ends(record, is_up=True, all_producers=all_producers)


def leaves(record: Any, *, all_producers: bool = False) -> Any:
    """Return a query for the leaf files of a record's lineage: descendants without other descendants. See `roots`."""
    return _ends(record, is_up=False, all_producers=all_producers)


def _ends(record: Any, *, is_up: bool, all_producers: bool) -> Any:
    record = record_of(record)
    alias = alias_of(record)
    walk = walk_from(record, is_up=is_up, all_producers=all_producers)
    found = File.objects.using(alias).filter(id__in=Reached(walk, FILE, with_starts=True))
    for edges in _edges_on(alias, is_up=is_up, all_producers=all_producers):
        found = found.filter(~Exists(edges))
    return found


def _edges_on(alias: str, *, is_up: bool, all_producers: bool) -> list[Any]:
    """Return sub-queries for the other files that are one step away from the file of the outer query."""
    itself = OuterRef("id")
    if is_up:
        inputs = RunInput.objects.using(alias).exclude(file_id=itself)
        edges = [inputs.filter(run_id=OuterRef("run_id"))]
        return [*edges, inputs.filter(run__output_links__file_id=itself)] if all_producers else edges
    files = File.objects.using(alias).exclude(id=itself)
    edges = [files.filter(run__input_links__file_id=itself)]
    outputs = RunOutput.objects.using(alias).exclude(file_id=itself)
    return [*edges, outputs.filter(run__input_links__file_id=itself)] if all_producers else edges
