"""Storages: the roots of an instance's bytes."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar

from django.db import models

from lamindb.core import context, ids
from lamindb.core.keys import OWN_ROOT
from lamindb.models.base import Record, now
from lamindb.models.fields import CharField, ForeignKey, TextField, TimeField
from lamindb.models.user import User


def _new_id() -> str:
    return ids.random_id(8)


class Storage(Record):
    """A root where bytes live: a folder, or a bucket and prefix.

    The first storage of an instance is its own; files registered under further ones stay where they are.
    """

    id: str = CharField(primary_key=True, max_length=8, default=_new_id)
    location: str = TextField(unique=True)
    type: str = TextField(default="local")
    region: str | None = TextField(null=True, blank=True)
    created_at: datetime.datetime = TimeField(default=now)
    updated_at: datetime.datetime = TimeField(default=now)
    created_by: User | None = ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_by_id: str | None

    ALIASES: ClassVar[dict[str, str]] = {"root": "location"}
    BULK_UPDATABLE: ClassVar[frozenset[str]] = frozenset({"region"})
    FIXED: ClassVar[frozenset[str]] = frozenset({"created_at", "updated_at", "id", "type"})
    JOINABLE: ClassVar[bool] = False
    NOT_JOINED: ClassVar[frozenset[str]] = frozenset({"created_by"})
    SEARCH_FIELD: ClassVar[str] = "location"
    POSITIONAL: ClassVar[tuple[str, ...]] = ("location",)

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["created_at", "id"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Describe a root; `save()` makes it known to the instance.

        Args:
            *args: The root, a folder or an address, also as `root=`.
            **kwargs: `region`: where a bucket is, if that matters.
        """
        super().__init__(*args, **{name: str(v) if name in {"root", "location"} else v for name, v in kwargs.items()})

    @property
    def root(self) -> str:
        """Where it is on this machine: an absolute folder, or an address."""
        instance = context.connected(self._state.db)
        return instance.root_of(self) if instance is not None else self.location

    @root.setter
    def root(self, value: Any) -> None:
        """Set where a further storage is now, so that its files are found there; `save()` writes it."""
        self.location = str(value)

    @property
    def is_own(self) -> bool:
        """Whether it is the folder that holds the database, and so moves with it."""
        return self.location == OWN_ROOT

    def __repr__(self) -> str:
        return f"Storage(id={self.id!r}, root={self.root!r}, type={self.type!r})"

    __str__ = __repr__
