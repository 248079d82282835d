"""What is wrong with a version of a file: who flagged it, when and why, and who removed the flag."""

from __future__ import annotations

import datetime
from typing import ClassVar

from django.db import models

from lamindb.models.base import Record, now
from lamindb.models.fields import ForeignKey, TextField, TimeField
from lamindb.models.file import File
from lamindb.models.user import User


class Flag(Record):
    """A version of a file is flagged for a reason. It is open until it is removed, and kept as history after that."""

    id: int = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    file: File = ForeignKey(File, models.CASCADE, related_name="flag_links", db_index=False)
    file_id: str
    reason: str = TextField()
    created_at: datetime.datetime = TimeField(default=now)
    created_by: User | None = ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)
    created_by_id: str | None
    removed_at: datetime.datetime | None = TimeField(null=True, blank=True)
    removed_by: User | None = ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)
    removed_by_id: str | None
    removal_reason: str | None = TextField(null=True, blank=True)

    JOINABLE: ClassVar[bool] = False

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["file"], name="flag_file"),
            models.Index(fields=["file"], name="flag_open", condition=models.Q(removed_at__isnull=True)),
            models.Index(fields=["created_at", "id"], name="flag_created_at"),
            models.Index(
                fields=["removed_at", "id"], name="flag_removed_at", condition=models.Q(removed_at__isnull=False)
            ),
        ]
