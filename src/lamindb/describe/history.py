"""Recent events of an instance: files saved and removed, runs, new transforms."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from lamindb.core import context
from lamindb.errors import InvalidInputError, NoResultFound
from lamindb.models import File, Flag, Run, Transform, User


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        at: The time.
        kind: `saved`, `removed` (to the trash), `flagged`, `unflagged`, `ran`, or `registered` (a transform).
        who: The handle of the user, or None if unknown.
        what: The key or name of the record.
        id: The id of the record.
        detail: More in a few words: the version of a file, the reason of a flag, the status of a run.
        transform: The name of the transform of a run, or of the run that produced a file.
    """

    at: datetime.datetime
    kind: str
    who: str | None
    what: str
    id: str
    detail: str
    transform: str | None


def history(
    limit: int = 20,
    *,
    since: datetime.datetime | None = None,
    handle: str | None = None,
) -> list[Event]:
    """Return recent events, the latest first.

    Args:
        limit: The maximum number of events.
        since: Only events since this aware time; None means all.
        handle: Only events of this user; None means all users.

    Raises:
        InvalidInputError: `limit` is not a positive number.
        NoResultFound: There is no user with this handle.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidInputError(f"limit must be a number from 1, not {limit!r}")
    alias = context.instance().alias
    user_id = None
    if handle is not None:
        user_id = User.objects.using(alias).filter(handle=handle).values_list("id", flat=True).first()
        if user_id is None:
            raise NoResultFound(f"there is no user {handle!r} in this instance")

    def newest(model: Any, field: str, *related: str, by: str = "created_by") -> Any:
        query = model.objects.using(alias).filter(**{f"{field}__isnull": False})
        if user_id is not None:
            query = query.filter(**{f"{by}_id": user_id})
        if since is not None:
            query = query.filter(**{f"{field}__gte": since})
        # What each record has is read by a query of its own: of a join SQLite may begin with all files or transforms.
        query = query.select_related(by).prefetch_related(*related)
        return query.order_by(f"-{field}", "-id")[:limit]

    events = [
        *(_saved(file) for file in newest(File, "created_at", "transform")),
        *(_removed(file) for file in newest(File, "trashed_at", "transform", by="trashed_by")),
        *(_flagged(flag) for flag in newest(Flag, "created_at", "file__transform")),
        *(_unflagged(flag) for flag in newest(Flag, "removed_at", "file__transform", by="removed_by")),
        *(_ran(run) for run in newest(Run, "created_at", "transform")),
        *(_registered(transform) for transform in newest(Transform, "created_at")),
    ]
    return sorted(events, key=lambda event: (event.at, event.kind, event.id), reverse=True)[:limit]


def _who(user: User | None) -> str | None:
    return user.handle if user is not None else None


def _saved(file: File) -> Event:
    title = file.transform.name if file.transform is not None else None
    same = file.same_as_version if file.version > 1 else None
    return Event(
        file.created_at,
        "saved",
        _who(file.created_by),
        file.key or file.name,
        file.id,
        f"version {file.version}" + (f" = version {same}, brought back" if same is not None else ""),
        title,
    )


def _removed(file: File) -> Event:
    assert file.trashed_at is not None
    title = file.transform.name if file.transform is not None else None
    return Event(
        file.trashed_at,
        "removed",
        _who(file.trashed_by),
        file.key or file.name,
        file.id,
        f"version {file.version}",
        title,
    )


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
