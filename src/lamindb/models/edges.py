"""Which run read and which run produced which file, and what is inside folders."""

from __future__ import annotations

import datetime
from typing import ClassVar

from django.db import models

from lamindb.models.base import Record, now
from lamindb.models.fields import CharField, ForeignKey, IntegerField, TextField, TimeField
from lamindb.models.file import File
from lamindb.models.run import Run


class RunInput(Record):
    """A run read exactly this version of a file."""

    id: int = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    run: Run = ForeignKey(Run, models.CASCADE, related_name="input_links", db_index=False)
    run_id: str
    file: File = ForeignKey(File, models.PROTECT, related_name="reader_links", db_index=False)
    file_id: str
    seen_by: str = TextField(default="call")
    created_at: datetime.datetime = TimeField(default=now)

    JOINABLE: ClassVar[bool] = False

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["run", "file"], name="one_input_link"),
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["file", "run"], name="run_input_file_run")]


class RunOutput(Record):
    """A run produced this version of a file: the first time, or the same bytes again."""

    id: int = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    run: Run = ForeignKey(Run, models.CASCADE, related_name="output_links", db_index=False)
    run_id: str
    file: File = ForeignKey(File, models.CASCADE, related_name="writer_links", db_index=False)
    file_id: str
    seen_by: str = TextField(default="call")
    created_at: datetime.datetime = TimeField(default=now)

    JOINABLE: ClassVar[bool] = False

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["run", "file"], name="one_output_link"),
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["file", "run"], name="run_output_file_run")]


class FolderMember(Record):
    """An object that a stored folder consists of; keeps it from being swept while the folder is needed."""

    id: int = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    folder_digest: str = TextField()
    digest: str = TextField(db_index=True)
    suffix: str = TextField()

    JOINABLE: ClassVar[bool] = False

    class Meta:
        app_label = "lamindb"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["folder_digest", "digest", "suffix"], name="one_folder_member"),
        ]


class LastVersion(Record):
    """The highest version number that a file has had, kept where that version was removed for good.

    A number is never reused: an id that a user wrote down must not become another file.
    """

    id: str = CharField(primary_key=True, max_length=16)
    version: int = IntegerField()

    JOINABLE: ClassVar[bool] = False

    class Meta:
        app_label = "lamindb"


class SweepMark(Record):
    """An object that garbage collection is about to remove, or has removed; writers that need it clear the mark."""

    digest: str = TextField(primary_key=True)
    created_at: datetime.datetime = TimeField(default=now)

    JOINABLE: ClassVar[bool] = False

    class Meta:
        app_label = "lamindb"
