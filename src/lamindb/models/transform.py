"""Transforms: notebooks, scripts, pipelines and other code, each at a version."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

from lamindb.core import ids
from lamindb.core.verbs import verb
from lamindb.errors import InvalidInputError, InvalidTypeError
from lamindb.models.base import now
from lamindb.models.fields import CharField, ForeignKey, JSONField, TextField, TimeField
from lamindb.models.lineage import Traced
from lamindb.models.user import User

if TYPE_CHECKING:
    from lamindb.models.query import RecordQuery

TYPES = ("pipeline", "notebook", "script", "app", "api", "instrument", "function", "command")


class Transform(Traced):
    """A notebook, script, pipeline, app, instrument, function or command, at a version.

    It is unique by type, reference and version. The reference is the path of a notebook or script relative to its
    project, and the name of anything else.
    """

    id: str = CharField(primary_key=True, max_length=16, default=ids.transform_id)
    name: str = TextField()
    short_name: str | None = TextField(null=True, blank=True)
    version: str = TextField(default="1")
    type: str = TextField()
    reference: str = TextField()
    description: str | None = TextField(null=True, blank=True)
    code_hash: str | None = TextField(null=True, blank=True)
    cell_ids: list[str] | None = JSONField(null=True, blank=True)
    created_at: datetime.datetime = TimeField(default=now)
    updated_at: datetime.datetime = TimeField(default=now)
    created_by: User | None = ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_by_id: str | None

    ALIASES: ClassVar[dict[str, str]] = {"v": "version", "title": "name", "runs": "run_set", "files": "file_set"}
    FIXED: ClassVar[frozenset[str]] = frozenset({"created_at", "updated_at", "code_hash", "cell_ids"})
    HIDDEN: ClassVar[frozenset[str]] = frozenset({"code_hash", "cell_ids"})
    POSITIONAL: ClassVar[tuple[str, ...]] = ("name",)
    TYPE: ClassVar[str | None] = None

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["created_at", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["type", "reference", "version"], name="one_transform_per_version"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["name"], name="transform_name"),
            models.Index(fields=["created_at", "id"], name="transform_created_at"),
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Describe what is run; `save()` stores it, or becomes the one that exists already.

        Args:
            *args: The name.
            **kwargs: `name`, `version` (older: `v`; "1" by default), `type` (by default notebook inside IPython and
                pipeline elsewhere), `reference` (an address or path; the name by default), `description`.

        Raises:
            InvalidTypeError: There is no name, or an argument is unknown.
            InvalidInputError: The type is none of the known ones.
        """
        if self.TYPE is not None:
            if kwargs.get("type", self.TYPE) != self.TYPE:
                raise InvalidInputError(f"a {type(self).__name__} has the type {self.TYPE!r}, not {kwargs['type']!r}")
            kwargs["type"] = self.TYPE
        super().__init__(*args, **kwargs)
        if self.name and not isinstance(self.name, str):
            raise InvalidTypeError(f"name must be text, not {type(self.name).__name__}")
        if not self.name:
            raise InvalidTypeError(f"{type(self).__name__}() needs a name: {type(self).__name__}(name='My pipeline')")
        if not self.type:
            self.type = "notebook" if verb("lamindb.environment.kernels.in_ipython")() else "pipeline"
        if self.type not in TYPES:
            raise InvalidInputError(f"type must be one of {', '.join(TYPES)}, not {self.type!r}")
        self.version = str(self.version)
        self.reference = self.reference or self.name

    @property
    def stem_id(self) -> str:
        """The part of the id that all versions share."""
        return self.id[: ids.TRANSFORM_STEM_LENGTH]

    @property
    def runs(self) -> RecordQuery[Any]:
        """The runs of this transform."""
        return self._related("Run", transform=self)

    @property
    def files(self) -> RecordQuery[Any]:
        """The files that its runs produced, all versions."""
        return self._related("File", transform=self)

    @property
    def versions(self) -> RecordQuery[Any]:
        """All versions of this transform, the oldest first."""
        query = Transform.objects.using(self._state.db)
        return query.filter(type=self.type, reference=self.reference)

    @property
    def revisions(self) -> tuple[Any, ...]:
        """The revisions of its code: `number`, `digest`, `first_run`, `last_run`, `run_count`, `commits` of each."""
        found: tuple[Any, ...] = verb("lamindb.describe.code_revisions.revisions_of")(self)
        return found

    def _related(self, model: str, **filters: Any) -> RecordQuery[Any]:
        found: Any = self._meta.apps.get_model("lamindb", model)
        query: RecordQuery[Any] = found.objects.using(self._state.db).filter(**filters)
        return query


class Pipeline(Transform):
    """A transform of type `pipeline`."""

    TYPE: ClassVar[str | None] = "pipeline"

    class Meta:
        app_label = "lamindb"
        proxy = True


class Notebook(Transform):
    """A transform of type `notebook`."""

    TYPE: ClassVar[str | None] = "notebook"

    class Meta:
        app_label = "lamindb"
        proxy = True
