"""What needs attention in an instance: stale and affected files, failed runs, edited files, uncommitted code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lamindb.core import context
from lamindb.core.text import printable
from lamindb.db import database
from lamindb.lineage import recall, sql, staleness
from lamindb.lineage.lineage_graph import reasons_text
from lamindb.lineage.render.labels import time_text
from lamindb.models import File, Flag, Run, rows
from lamindb.records.open_instance import Instance

_SHOWN = 10
"""Text shows at most this many records of a group."""
_CAUSES = 5
"""Text shows at most this many causes of the same stale files."""

Clock = Callable[[datetime], str]


@dataclass(frozen=True, slots=True)
class StaleFiles:
    """Stale files with the same nearest cause: the version that was read, and the current one, None if removed."""

    read: File
    current: File | None
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class AffectedFiles:
    """A flagged version with the reasons of its flags, and the current files whose nearest flagged file it is."""

    flagged: File
    reasons: tuple[str, ...]
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Status:
    """What needs attention. It is true if anything does.

    Attributes:
        stale: Stale current files by their nearest cause.
        affected: Flagged versions, each with the affected current files.
        failed: The last runs of transforms, if they failed or were aborted, the latest first.
        edited: Keys whose file in the storage folder is not what was saved.
        uncommitted: The last runs of transforms, if they were started with uncommitted code, the latest first.
    """

    stale: tuple[StaleFiles, ...]
    affected: tuple[AffectedFiles, ...]
    failed: tuple[Run, ...]
    edited: tuple[str, ...]
    uncommitted: tuple[Run, ...]

    def __bool__(self) -> bool:
        """Return True if anything needs attention."""
        return bool(self.stale or self.affected or self.failed or self.edited or self.uncommitted)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists, strings and numbers; times are ISO 8601."""
        return {
            "stale": [
                {
                    "kind": "superseded" if one.current is not None else "removed",
                    "read": _plain(one.read),
                    "current": _plain(one.current) if one.current is not None else None,
                    "files": [_plain(file) for file in one.files],
                }
                for one in self.stale
            ],
            "affected": [
                {
                    "flagged": _plain(one.flagged),
                    "reasons": list(one.reasons),
                    "files": [_plain(file) for file in one.files],
                }
                for one in self.affected
            ],
            "failed": [_plain_run(run) for run in self.failed],
            "edited": list(self.edited),
            "uncommitted": [_plain_run(run) for run in self.uncommitted],
        }

    def to_json(self) -> str:
        """Return JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def __repr__(self) -> str:
        """Return it as text."""
        return self.to_text()

    def to_text(self, *, clock: Clock = time_text) -> str:
        """Return it as text that is safe to print; `clock` formats times, in UTC by default."""
        return "\n".join(self._lines(clock)) or "nothing needs attention"

    def _by_files(self) -> Iterable[tuple[tuple[File, ...], list[StaleFiles]]]:
        """Return the causes of the same files together: a script may have read thousands that were replaced."""
        found: dict[tuple[str, ...], list[StaleFiles]] = {}
        for stale in self.stale:
            found.setdefault(tuple(file.id for file in stale.files), []).append(stale)
        return [(causes[0].files, causes) for causes in found.values()]

    def _lines(self, clock: Clock) -> Iterator[str]:
        if self.stale:
            yield "stale files (`lamin plan` shows what to run):"
        for files, causes in self._by_files():
            yield from _first(map(_cause, causes), "  ", _CAUSES)
            yield from _first(map(_title, files), "    ")
        if self.affected:
            yield "flagged files, and what is affected (replace or unflag them):"
        for one in self.affected:
            why = reasons_text(one.reasons)
            yield f"  version {one.flagged.version} of {_title(one.flagged)} is flagged: {why}"
            yield from _first(map(_title, one.files), "    ")
        if self.failed:
            yield "transforms whose last run failed (`lamin log RUN` shows why):"
            yield from _first((_run_text(run, str(run.status), clock) for run in self.failed), "  ")
        if self.edited:
            yield "edited files in the storage folder (`lamin save PATH` keeps an edit as a new version):"
            yield from _first(map(printable, self.edited), "  ")
        if self.uncommitted:
            yield "transforms whose last run had uncommitted code (`lamin patch RUN` shows it):"
            yield from _first(
                (_run_text(run, f"on {str(run.git_commit)[:7]}", clock) for run in self.uncommitted), "  "
            )


def status() -> Status:
    """Return what needs attention in the current instance.

    Each file of the storage folder is looked at once; one that may have changed since it was last compared is read.

    Raises:
        NoInstanceError: No instance is connected.
    """
    instance = context.instance()
    failed, uncommitted = _last_runs(instance.alias)
    return Status(
        tuple(StaleFiles(*group) for group in staleness.by_cause(instance.alias)),
        tuple(_affected(instance.alias)),
        failed,
        tuple(_edited(instance)),
        uncommitted,
    )


def _affected(alias: str) -> Iterator[AffectedFiles]:
    """Yield the flagged versions by key, each with the current files that it affects."""
    reasons: dict[str, list[str]] = {}
    for file_id, reason in Flag.objects.using(alias).filter(removed_at__isnull=True).values_list("file_id", "reason"):
        reasons.setdefault(file_id, []).append(reason)
    if not reasons:
        return
    files: dict[str, File] = {}
    current = File.objects.using(alias).filter(is_latest=True, trashed_at__isnull=True, id__in=recall.Affected())
    files.update((file.id, file) for file in current)
    _, flagged_by = recall.marks(database.connection(alias), list(files))
    groups: dict[str, list[File]] = {}
    for file_id, cause in flagged_by.items():
        groups.setdefault(cause.id, []).append(files[file_id])
    for chunk in database.chunks(sorted(reasons)):
        files.update(File.objects.using(alias).in_bulk(chunk))
    for file in sorted((files[one] for one in reasons), key=_by_key):
        yield AffectedFiles(file, tuple(reasons[file.id]), tuple(sorted(groups.get(file.id, ()), key=_by_key)))


def _last_runs(alias: str) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Return the last runs of transforms that failed, and those that had uncommitted code.

    A run inside one that failed is not listed.
    """
    for run in Run.objects.using(alias).filter(status="running"):
        _ = run.status  # Asking for it writes the status of a process that has died.
    table = Run._meta.db_table
    rows = sql.fetch(
        database.connection(alias),
        f"SELECT r.id FROM {table} r JOIN (SELECT transform_id, MAX(created_at) AS at FROM {table} "
        "GROUP BY transform_id) newest ON newest.transform_id = r.transform_id AND newest.at = r.created_at "
        "WHERE r.status IN ('failed', 'aborted') OR r.git_is_dirty",
        [],
    )
    found: list[Run] = []
    for chunk in database.chunks([row[0] for row in rows]):
        found += Run.objects.using(alias).filter(id__in=chunk).select_related("transform", "created_by")
    found.sort(key=lambda run: (run.created_at, run.id), reverse=True)
    failed = [run for run in found if run.status in ("failed", "aborted")]
    inside = {run.id for run in failed}
    return (
        tuple(run for run in failed if run.parent_id not in inside),
        tuple(run for run in found if run.git_is_dirty),
    )


def _edited(instance: Instance) -> list[str]:
    """Return the keys of current files whose file in the storage folder is not what was saved, sorted."""
    if not instance.is_local:
        return []
    return sorted(
        instance.view.changed(
            rows.values(
                instance.alias,
                f"SELECT key, digest, suffix, is_folder FROM {File._meta.db_table} WHERE storage_id = %s "
                "AND key IS NOT NULL AND is_latest AND trashed_at IS NULL",
                [instance.storage_id],
            )
        )
    )


def _by_key(file: File) -> tuple[str, str, str]:
    return (file.key or "", file.name, file.id)


def _title(file: File) -> str:
    return printable(file.key or file.name or file.id)


def _plain(file: File) -> dict[str, Any]:
    return {"key": file.key, "id": file.id, "version": file.version}


def _plain_run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "transform": run.transform.name,
        "transform_type": run.transform.type,
        "transform_version": run.transform.version,
        "status": run.status,
        "exit_code": run.exit_code,
        "git_commit": run.git_commit,
        "created_by": run.created_by.handle if run.created_by is not None else None,
        "created_at": run.created_at.isoformat(),
    }


def _run_text(run: Run, detail: str, clock: Clock) -> str:
    who = printable(run.created_by.handle) if run.created_by is not None else None
    name = f"{run.id}  {printable(run.transform.name)}"
    return " · ".join(filter(None, [name, printable(detail), who, clock(run.started_at or run.created_at)]))


def _cause(stale: StaleFiles) -> str:
    now = f"version {stale.current.version} is current" if stale.current is not None else "it is in the trash"
    return f"version {stale.read.version} of {_title(stale.read)} was read; {now}"


def _first(lines: Iterable[str], indent: str, most: int = _SHOWN) -> Iterator[str]:
    """Yield the first lines, and how many more there are."""
    listed = list(lines)
    yield from (f"{indent}{line}" for line in listed[:most])
    if len(listed) > most:
        yield f"{indent}+ {len(listed) - most:,} more"
