"""Users, who create records."""

from __future__ import annotations

import datetime
from typing import ClassVar

from lamindb.models.base import Record, now
from lamindb.models.fields import CharField, TextField, TimeField


class User(Record):
    """A person, known by a handle."""

    id: str = CharField(primary_key=True, max_length=8)
    handle: str = TextField(unique=True)
    name: str | None = TextField(null=True, blank=True)
    email: str | None = TextField(null=True, blank=True)
    created_at: datetime.datetime = TimeField(default=now)
    updated_at: datetime.datetime = TimeField(default=now)

    BULK_UPDATABLE: ClassVar[frozenset[str]] = frozenset({"name", "email"})
    FIXED: ClassVar[frozenset[str]] = frozenset({"created_at", "updated_at"})
    JOINABLE: ClassVar[bool] = False
    SEARCH_FIELD: ClassVar[str] = "handle"

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["created_at", "id"]
