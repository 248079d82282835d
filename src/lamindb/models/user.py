"""Who: the people on whose behalf records are made."""

from __future__ import annotations

import datetime
from typing import ClassVar

from django.db import models

from lamindb.models.base import MomentField, Record, now


class User(Record):
    """A person, known by a handle."""

    id: str = models.CharField(primary_key=True, max_length=8)  # type: ignore[assignment]
    handle: str = models.TextField(unique=True)  # type: ignore[assignment]
    name: str | None = models.TextField(null=True, blank=True)  # type: ignore[assignment]
    email: str | None = models.TextField(null=True, blank=True)  # type: ignore[assignment]
    created_at: datetime.datetime = MomentField(default=now)  # type: ignore[assignment]
    updated_at: datetime.datetime = MomentField(default=now)  # type: ignore[assignment]

    BULK_UPDATABLE: ClassVar[frozenset[str]] = frozenset({"name", "email"})
    FIXED: ClassVar[frozenset[str]] = frozenset({"created_at", "updated_at"})
    JOINABLE: ClassVar[bool] = False
    SEARCH_FIELD: ClassVar[str] = "handle"

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["created_at", "id"]
