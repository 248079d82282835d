"""The code that runs executed: the revisions of each transform's source, and the modules that runs imported."""

from __future__ import annotations

import datetime
from typing import ClassVar

from django.db import models

from lamindb.models.base import Record, now
from lamindb.models.fields import ForeignKey, IntegerField, TextField, TimeField
from lamindb.models.transform import Transform


class CodeRevision(Record):
    """One source of a transform; numbers count from 1 in the order in which different sources were first run."""

    id: int = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    transform: Transform = ForeignKey(Transform, models.CASCADE, related_name="code_revisions", db_index=False)
    transform_id: str
    number: int = IntegerField()
    digest: str = TextField()
    created_at: datetime.datetime = TimeField(default=now)

    JOINABLE: ClassVar[bool] = False

    class Meta:
        app_label = "lamindb"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["transform", "number"], name="one_revision_per_number"),
            models.UniqueConstraint(fields=["transform", "digest"], name="one_revision_per_source"),
        ]


def is_callers(type_: str, name: str, reference: str, code_path: str | None) -> bool:
    """Return True if the code of a run is that of the notebook or script that tracked its transform.

    Notebooks, scripts, functions and commands have code of their own, unless a notebook or script was made by its
    name: then it has no file.

    Args:
        type_: The type of the transform.
        name: Its name.
        reference: Its reference.
        code_path: Where the code of the run stands; None if unknown.
    """
    if type_ in {"notebook", "script"}:
        return code_path is not None and code_path != reference == name
    return type_ not in {"function", "command"}


class ImportedModule(Record):
    """A module in a set of modules that runs imported; runs with the same modules share the set."""

    id: int = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    set_digest: str = TextField()
    path: str = TextField()
    digest: str = TextField(db_index=True)
    suffix: str = TextField()

    JOINABLE: ClassVar[bool] = False

    class Meta:
        app_label = "lamindb"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["set_digest", "path"], name="one_module_per_path"),
        ]
