"""Recent events of an instance, or of one file: saved, renamed, removed, restored, flagged; runs, new transforms."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from lamindb.core import context, ids
from lamindb.core.text import printable
from lamindb.db import database
from lamindb.errors import InvalidInputError, NoResultFound
from lamindb.lineage import query as lineage_query
from lamindb.lineage.render.labels import Clock, time_text
from lamindb.models import File, FileEvent, Flag, Run, Transform, User, relations, rows

_AT_ONCE: Final = 500
_AT_LEAST: Final = 50
"""So many events of files are read at once, as those of one rename are many."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        at: The time.
        kind: `saved`, `renamed`, `removed` (to the trash), `restored`, `flagged`, `unflagged`, `ran`, or `registered`
            (a transform).
        who: The handle of the user, or None if unknown.
        what: The key or name that the record has now.
        id: The id of the record.
        detail: More in a few words: the version of a file, its keys before and after, the reason of a flag, the status
            of a run.
        transform: The name of the transform of `run`, of a run that ran, of the run that produced a flagged file, or of
            the transform that was registered.
        run: The id of the run that produced, renamed, removed or restored a file; None if none did.
    """

    at: datetime.datetime
    kind: str
    who: str | None
    what: str
    id: str
    detail: str
    transform: str | None
    run: str | None = None

    def to_text(self, *, clock: Clock = time_text) -> str:
        """Return it as one line that is safe to print; `clock` formats times, in UTC by default."""
        by = f", by {self.who}" if self.who is not None else ""
        within = f", in a run of {self.transform}" if self.run is not None else ""
        return f"{printable(f'{self.kind} {self.detail}{by}{within}')}, {clock(self.at)}"

    def __str__(self) -> str:
        return self.to_text()


@dataclass(frozen=True, slots=True, repr=False)
class History:
    """What happened to a file and its versions, the latest first.

    Attributes:
        file: The file.
        events: The events.
    """

    file: File
    events: tuple[Event, ...]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        """Yield the events, the latest first."""
        return iter(self.events)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and strings; times are in ISO 8601."""
        events = [{**asdict(event), "at": event.at.isoformat()} for event in self.events]
        return {"key": self.file.key, "id": self.file.id, "version": self.file.version, "events": events}

    def to_json(self) -> str:
        """Return JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def __repr__(self) -> str:
        """Return the events as text, one a line, that is safe to print."""
        title = printable(self.file.key or self.file.name or self.file.id)
        return "\n".join([f"{title}:", *(f"  {event}" for event in self.events)])


def of_file(file: File) -> History:
    """Return what happened to a file and its versions, the latest first.

    Raises:
        InvalidInputError: The file is not saved, or its instance was disconnected.
        NoResultFound: The file was deleted for good.
    """
    lineage_query.check_exists(file)
    return History(file, tuple(_events(lineage_query.alias_of(file), _Wanted(stem_id=file.stem_id))))


def changes(file: File, limit: int) -> list[Event]:
    """Return the last renames, removals and restores of a saved file and its versions, the latest first."""
    return [_changed(one) for one in _changes(file.alias, _Wanted(limit, stem_id=file.stem_id))]


def changes_of(files: Iterable[File]) -> dict[str, list[Event]]:
    """Return the renames, removals and restores of saved files of one instance by their stem ids, the latest first."""
    rows: list[FileEvent] = []
    for chunk in database.chunks(files):
        query = FileEvent.objects.using(chunk[0].alias).filter(file_id__in=[file.id for file in chunk])
        rows += query.select_related("created_by").prefetch_related("file", "run__transform")
    merged = _Changes()
    merged.add(sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True))
    found: dict[str, list[Event]] = {}
    for row in merged.events:
        found.setdefault(row.file_id[: ids.STEM_LENGTH], []).append(_changed(row))
    return found


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which events are wanted: the last ones, since a time, by a user, of the versions with a stem id."""

    limit: int | None = None
    since: datetime.datetime | None = None
    user_id: str | None = None
    stem_id: str | None = None

    def newest(self, query: Any, field: str, *related: str, by: str = "created_by", file: str = "file_id") -> list[Any]:
        """Return the newest of these records by a time, with what is shown of them."""
        query = query.filter(**{f"{field}__isnull": False})
        if self.user_id is not None:
            query = query.filter(**{f"{by}_id": self.user_id})
        if self.since is not None:
            query = query.filter(**{f"{field}__gte": self.since})
        if self.stem_id is not None:
            lowest, highest = ids.version_range(self.stem_id)
            query = query.filter(**{f"{file}__gte": lowest, f"{file}__lte": highest})
        found = list(query.order_by(f"-{field}", "-id")[: self.limit])
        # What each record has is read by a query of its own: of a join SQLite may begin with all files or transforms.
        for path in (by, *related):
            relations.load(found, path)
        return found


def history(
    limit: int = 20,
    *,
    since: datetime.datetime | None = None,
    handle: str | None = None,
    file: File | None = None,
) -> list[Event]:
    """Return recent events, the latest first.

    Args:
        limit: The maximum number of events.
        since: Only events since this aware time; None means all.
        handle: Only events of this user; None means all users.
        file: Only events of this file and its versions; None means all of the current instance.

    Raises:
        InvalidInputError: `limit` is not a positive number.
        NoResultFound: There is no user with this handle.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidInputError(f"limit must be a number from 1, not {limit!r}")
    alias = context.instance().alias if file is None else lineage_query.alias_of(file)
    user_id = None
    if handle is not None:
        user_id = User.objects.using(alias).filter(handle=handle).values_list("id", flat=True).first()
        if user_id is None:
            raise NoResultFound(f"there is no user {handle!r} in this instance")
    return _events(alias, _Wanted(limit, since, user_id, None if file is None else file.stem_id))


def _events(alias: str, wanted: _Wanted) -> list[Event]:
    files, flags = File.objects.using(alias), Flag.objects.using(alias)
    saved = wanted.newest(files, "created_at", "transform", file="id")
    same_as = _same_as(alias, saved)
    events = [
        *(_saved(file, same_as.get(file.id)) for file in saved),
        *(_changed(one) for one in _changes(alias, wanted)),
        *(_flagged(flag) for flag in wanted.newest(flags, "created_at", "file__transform")),
        *(_unflagged(flag) for flag in wanted.newest(flags, "removed_at", "file__transform", by="removed_by")),
    ]
    if wanted.stem_id is None:
        runs, transforms = Run.objects.using(alias), Transform.objects.using(alias)
        events += [_ran(run) for run in wanted.newest(runs, "created_at", "transform")]
        events += [_registered(transform) for transform in wanted.newest(transforms, "created_at")]
    return sorted(events, key=lambda event: (event.at, event.kind, event.id), reverse=True)[: wanted.limit]


def _changes(alias: str | None, wanted: _Wanted) -> list[FileEvent]:
    """Return the newest events of files; of a rename, which has one for each version, that of the newest version."""
    rows, found = FileEvent.objects.using(alias), _Changes()
    size = _AT_ONCE if wanted.limit is None else max(_AT_LEAST, wanted.limit)
    while True:
        page = replace(wanted, limit=size).newest(rows, "created_at", "file", "run__transform")
        found.add(page)
        if len(page) < size or (wanted.limit is not None and len(found.events) >= wanted.limit):
            return found.events[: wanted.limit]
        # A file with many versions has as many rows of each rename.
        size, last = min(4 * size, max(size, _AT_ONCE)), page[-1]
        rows = rows.filter(created_at__lte=last.created_at).exclude(created_at=last.created_at, id__gte=last.id)


class _Changes:
    """Events of files, the latest first, each rename once."""

    def __init__(self) -> None:
        self.events: list[FileEvent] = []
        self._renames: set[tuple[datetime.datetime, str]] = set()

    def add(self, events: Iterable[FileEvent]) -> None:
        """Add events that happened before; those of one rename begin with the newest version."""
        for event in events:
            rename = (event.created_at, event.file_id[: ids.STEM_LENGTH])
            if event.kind != "renamed" or rename not in self._renames:
                self.events.append(event)
            if event.kind == "renamed":
                self._renames.add(rename)


def _who(user: User | None) -> str | None:
    return user.handle if user is not None else None


def _same_as(alias: str, files: Iterable[File]) -> dict[str, int]:
    """Return `File.same_as_version` of those of these files that have one, by a query for many files."""
    table, found = File._meta.db_table, {}
    for chunk in database.chunks(file for file in files if file.version > 1):
        first: dict[tuple[Any, ...], int] = {
            (stem, digest, bool(is_folder), run_id): version
            for stem, digest, is_folder, run_id, version in rows.values(
                alias,
                "SELECT s.stem, b.digest, b.is_folder, b.run_id, MIN(b.version) FROM (SELECT DISTINCT "
                f"substr(id, 1, {ids.STEM_LENGTH}) AS stem FROM {table} WHERE id IN ({rows.marks(chunk)})) s "
                f"CROSS JOIN {table} b WHERE b.id BETWEEN s.stem AND s.stem || 'zzzz' GROUP BY 1, 2, 3, 4",
                [file.id for file in chunk],
            )
        }
        for file in chunk:
            version = first.get((file.stem_id, file.digest, file.is_folder, file.run_id), file.version)
            if version < file.version:
                found[file.id] = version
    return found


def _saved(file: File, same: int | None) -> Event:
    detail, run_id, transform = f"version {file.version}", file.run_id, file.transform
    if same is not None:
        # The run that produced the older version did not bring it back.
        detail, run_id, transform = f"{detail} = version {same}, brought back", None, None
    title = transform.name if transform is not None else None
    return Event(file.created_at, "saved", _who(file.created_by), file.key or file.name, file.id, detail, title, run_id)


def _changed(event: FileEvent) -> Event:
    file, run = event.file, event.run
    detail = f"version {file.version}"
    if event.kind == "renamed":
        detail = f"from {_key(event.old_key)} to {_key(event.new_key)}"
    title = run.transform.name if run is not None else None
    return Event(
        event.created_at,
        event.kind,
        _who(event.created_by),
        file.key or file.name,
        file.id,
        detail,
        title,
        event.run_id,
    )


def _key(key: str | None) -> str:
    return key if key is not None else "no key"


def _flagged(flag: Flag) -> Event:
    return _of_flag(flag, "flagged", flag.created_at, flag.created_by, flag.reason)


def _unflagged(flag: Flag) -> Event:
    assert flag.removed_at is not None
    return _of_flag(flag, "unflagged", flag.removed_at, flag.removed_by, flag.removal_reason)


def _of_flag(flag: Flag, kind: str, at: datetime.datetime, user: User | None, reason: str | None) -> Event:
    file = flag.file
    title = file.transform.name if file.transform is not None else None
    detail = f"version {file.version}" + (f": {reason}" if reason else "")
    return Event(at, kind, _who(user), file.key or file.name, file.id, detail, title)


def _ran(run: Run) -> Event:
    detail = run.status or "by hand"
    if run.revision is not None:
        detail += f", code {run.revision}"
    if run.exit_code:
        detail += f", exit code {run.exit_code}"
    return Event(
        run.created_at, "ran", _who(run.created_by), run.name or run.transform.name, run.id, detail, run.transform.name
    )


def _registered(transform: Transform) -> Event:
    detail = f"{transform.type}, version {transform.version}"
    return Event(
        transform.created_at,
        "registered",
        _who(transform.created_by),
        transform.name,
        transform.id,
        detail,
        transform.name,
    )
