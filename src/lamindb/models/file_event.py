"""What happened to a version of a file after it was saved: it was renamed, removed to the trash, or restored."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import ClassVar, Final

from django.db import models

from lamindb.core.ids import STEM_LENGTH, version_range
from lamindb.models.base import Record, now
from lamindb.models.fields import ForeignKey, TextField, TimeField
from lamindb.models.file import File
from lamindb.models.run import Run
from lamindb.models.user import User

_LOOKED_AT: Final = 100
"""The latest renames from a key that are looked at."""


class FileEvent(Record):
    """A version of a file was renamed, removed to the trash, or restored. Rows are only added.

    They go when the version is removed for good. A rename has a row for each version, as all of them are renamed.
    """

    id: int = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    file: File = ForeignKey(File, models.CASCADE, related_name="+", db_index=False)
    file_id: str
    kind: str = TextField()
    """`renamed`, `removed` or `restored`."""
    old_key: str | None = TextField(null=True, blank=True)
    """The key before a rename; None if it had none, and for other kinds."""
    new_key: str | None = TextField(null=True, blank=True)
    created_at: datetime.datetime = TimeField(default=now)
    created_by: User | None = ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)
    created_by_id: str | None
    run: Run | None = ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    run_id: str | None

    JOINABLE: ClassVar[bool] = False

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["file", "id"], name="file_event_file"),
            models.Index(fields=["created_at", "id"], name="file_event_created_at"),
            models.Index(fields=["old_key"], name="file_event_old_key", condition=models.Q(old_key__isnull=False)),
            models.Index(fields=["run"], name="file_event_run", condition=models.Q(run__isnull=False)),
        ]


def renamed_to(alias: str, keys: Iterable[str]) -> list[str]:
    """Return the keys of the current files that had one of these keys before they were renamed, the latest first."""
    events = FileEvent.objects.using(alias).filter(old_key__in=list(keys)).order_by("-id")
    # Versions that were saved since have no such event.
    stems = dict.fromkeys(file_id[:STEM_LENGTH] for file_id in events.values_list("file_id", flat=True)[:_LOOKED_AT])
    current = File.objects.using(alias).filter(is_latest=True, trashed_at__isnull=True, key__isnull=False)
    named = [current.filter(id__range=version_range(stem)).values_list("key", flat=True)[:1] for stem in stems]
    return list(dict.fromkeys(key for found in named for key in found))
