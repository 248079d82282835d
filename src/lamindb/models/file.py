"""Immutable bytes with an id, a hash, a size and usually a key."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.db import models
from django.db.models.base import ModelState

from lamindb.core import context, ids
from lamindb.core.verbs import verb
from lamindb.errors import InvalidInputError, InvalidTypeError
from lamindb.models.base import now
from lamindb.models.fields import (
    BooleanField,
    CharField,
    ForeignKey,
    IntegerField,
    LazyBigIntegerField,
    LazyTextField,
    TextField,
    TimeField,
)
from lamindb.models.lineage import Traced
from lamindb.models.run import Run
from lamindb.models.storage import Storage
from lamindb.models.transform import Transform
from lamindb.models.user import User

if TYPE_CHECKING:
    from typing import Self

    from lamindb.models.query import RecordQuery

_MISSING: Any = object()


# What is in the trash is never the latest.
_TRASH_TOO: dict[str, models.Q | None] = {
    "trashed_at": None,
    "is_latest": models.Q(is_latest=True) | models.Q(trashed_at__isnull=False),
}

_CURRENT: Final = models.Q(is_latest=True, trashed_at__isnull=True)

_UNSAVED: Final[Mapping[str, Any]] = {
    "key": None,
    "suffix": "",
    "is_folder": False,
    "version": 1,
    "is_latest": True,
    "trashed_at": None,
    "trashed_by_id": None,
    "storage_id": None,
    "transform_id": None,
    "run_id": None,
    "created_by_id": None,
}
"""The fields of a file of which nothing is known yet."""


class File(Traced):
    """A file or folder with its bytes and where they came from.

    A record is made from data and is new until it is saved; saving stores bytes and metadata in one step. What was
    saved never changes: other bytes under the same key are another version.
    """

    id: str = CharField(primary_key=True, max_length=20, default=ids.file_id)
    name: str = TextField()
    key: str | None = TextField(null=True, blank=True)
    suffix: str = TextField(blank=True)
    description: str | None = TextField(null=True, blank=True)
    size: int = LazyBigIntegerField()
    hash: str = LazyTextField()
    digest: str = LazyTextField()
    is_folder: bool = BooleanField(default=False)
    n_files: int = LazyBigIntegerField(default=1)
    version: int = IntegerField(default=1)
    is_latest: bool = BooleanField(default=True)
    trashed_at: datetime.datetime | None = TimeField(null=True, blank=True)
    trashed_by: User | None = ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False)
    trashed_by_id: str | None
    # Without an index: few storages have many files each, and a planner without statistics would take it before others.
    storage: Storage = ForeignKey(Storage, models.PROTECT, related_name="file_set", db_index=False)
    storage_id: str
    transform: Transform | None = ForeignKey(
        Transform, models.PROTECT, null=True, blank=True, related_name="file_set", db_index=False
    )
    transform_id: str | None
    run: Run | None = ForeignKey(Run, models.PROTECT, null=True, blank=True, related_name="file_set", db_index=False)
    run_id: str | None
    created_at: datetime.datetime = TimeField(default=now)
    updated_at: datetime.datetime = TimeField(default=now)
    created_by: User | None = ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)
    created_by_id: str | None

    ALIASES: ClassVar[dict[str, str]] = {
        "source": "run",
        "source_id": "run_id",
        "v": "version",
        "input_of": "reader_links__run",
        "targets": "reader_links__run",
        "producers": "writer_links__run",
        "flags": "flag_links",
    }
    SOFT_DEFAULTS: ClassVar[dict[str, models.Q]] = {
        "is_latest": models.Q(is_latest=True),
        "trashed_at": models.Q(trashed_at__isnull=True),
    }
    LIFTED_BY: ClassVar[dict[str, tuple[str, ...]]] = {
        "version": ("is_latest",),
        "id": ("is_latest", "trashed_at"),
        "pk": ("is_latest", "trashed_at"),
    }
    SOFTENED_BY: ClassVar[dict[str, dict[str, models.Q | None]]] = {
        "trashed_at": _TRASH_TOO,
        "trashed_by": _TRASH_TOO,
        "trashed_by_id": _TRASH_TOO,
    }
    HIDDEN: ClassVar[frozenset[str]] = frozenset(
        {"digest", "is_folder", "n_files", "is_latest", "trashed_by", "updated_at"}
    )
    INTERNAL: ClassVar[frozenset[str]] = frozenset(
        {"computed_filter", "df", "filter", "is_saved", "is_trashed", "same_as_version", "stem_id", "targets"}
        # Where another name of the same subject is offered: `open`, `producers`, `flags`, `staleness`, `key`.
        | {"backed", "input_of", "is_affected", "is_flagged", "is_stale", "suffix", "trashed_at"}
    )
    NOT_JOINED: ClassVar[frozenset[str]] = frozenset(
        {"reader_links", "writer_links", "flag_links", "transform", "trashed_by"}
    )

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["created_at", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["storage", "key"],
                condition=_CURRENT,
                name="one_current_version",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["key"], name="file_key"),
            models.Index(fields=["digest", "suffix"], name="file_digest_suffix"),
            models.Index(fields=["hash"], name="file_hash"),
            models.Index(fields=["name"], name="file_name"),
            models.Index(fields=["created_at", "id"], name="file_created_at"),
            models.Index(fields=["created_by", "created_at", "id"], name="file_created_by"),
            models.Index(fields=["transform", "created_at", "id"], name="file_transform"),
            models.Index(fields=["run", "created_at", "id"], name="file_run"),
            models.Index(fields=["suffix", "created_at", "id"], name="file_suffix", condition=_CURRENT),
            models.Index(fields=["storage", "created_at", "id"], name="file_storage", condition=_CURRENT),
            models.Index(
                fields=["trashed_at", "id"], name="file_trashed_at", condition=models.Q(trashed_at__isnull=False)
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(is_latest=False) | models.Q(trashed_at__isnull=False),
                name="file_not_current",
            ),
        ]

    def __init__(
        self,
        data: Any = _MISSING,
        key: str | None = None,
        *,
        name: str | None = None,
        run: Run | None = None,
        description: str | None = None,
        format: str | None = None,
        source: Run | None = None,
        links: str | None = None,
    ) -> None:
        """Describe a new file. Nothing is stored before `save()`.

        Args:
            data: A path to a file or folder; bytes; an object in memory, such as a table, an array, an `AnnData`, a
                figure, a dict; or a saved file: its bytes are taken, and its key if none is given. Text is a path:
                text that is to be stored has to be encoded.
            key: The path-like name under which to keep it, relative to the storage root. None: no key, unless the
                path lies in a storage root already.
            name: A name; the last part of the key or path by default.
            run: The run that produces it; the current run by default. `source` is its older name.
            description: Any text.
            format: How to store an object in memory, such as "parquet", "csv", "h5ad", "npy", "png", "json"; by default
                what the suffix of the key says.
            source: See `run`.
            links: What is done with symbolic links in a folder. None: they are followed, and one that leads out of it
                or nowhere is an error. "keep": only those that stay in the folder. "follow": also what lies elsewhere
                is stored. "skip": none. What is left out is named by a warning.

        Raises:
            SourceNotFoundError: The path does not exist.
            InvalidKeyError: The key cannot name a file.
            InvalidInputError: The data is something that cannot be stored.
            InvalidTypeError: An argument has a wrong type.
        """
        if data is _MISSING:
            raise InvalidTypeError("File() needs data: a path, a DataFrame, an AnnData or bytes")
        for label, text in (("name", name), ("description", description)):
            if text is not None and not isinstance(text, str):
                raise InvalidTypeError(f"{label} must be text, not {type(text).__name__}")
        run = _given_run(run, source)
        alias = (run._state.db if run is not None else None) or context.instance().alias
        if run is None:
            candidate = context.run()
            run = candidate if candidate is not None and candidate._state.db == alias else None
        # Set at once rather than by Django's constructor, which costs more than all else here; size, hash, digest
        # and n_files are left out, and computed when they are read.
        created = now()
        state = ModelState()
        state.db = alias
        self.__dict__.update(
            _UNSAVED,
            _state=state,
            id=ids.file_id(),
            name=name or "",
            description=description,
            created_at=created,
            updated_at=created,
        )
        if run is not None:
            self.run = run
            self.transform_id = run.transform_id
        options = {"key": key, "name": name, "format": format, "links": links}
        verb("lamindb.files.source.prepare")(self, data, options)

    pending: Any = None
    """The source of the bytes for the next save; None if there is nothing to store."""

    def _compute(self) -> None:
        """Compute hash, digest and size of an unsaved file."""
        if self.pending is not None:
            content = verb("lamindb.files.source.content_of")(self)
            self.__dict__.update(hash=content.hash, digest=content.digest, size=content.size)
            self.__dict__.setdefault("n_files", self.pending.n_files)

    def _store(self) -> None:
        verb("lamindb.files.save.save_files")([self])

    @property
    def stem_id(self) -> str:
        """The part of the id that all versions share."""
        return self.id[: ids.STEM_LENGTH]

    @property
    def versions(self) -> RecordQuery[File]:
        """All versions of this file, the oldest first, also those in the trash."""
        lowest, highest = ids.version_range(self.stem_id)
        return File.objects.using(self._state.db).filter(id__gte=lowest, id__lte=highest).order_by("version")

    @property
    def input_of(self) -> RecordQuery[Run]:
        """The runs that read this version, in the order in which they first did."""
        query: RecordQuery[Run] = Run.objects.using(self._state.db).filter(input_links__file=self)
        query.query.distinct = False
        return query.order_by("input_links__id")

    targets = input_of

    @property
    def producers(self) -> RecordQuery[Run]:
        """All runs that produced these bytes: `run` and those that made the same again."""
        query: RecordQuery[Run] = Run.objects.using(self._state.db).filter(output_links__file=self)
        query.query.distinct = False
        return query.order_by("output_links__id")

    @property
    def is_stale(self) -> bool:
        """Whether the file was made, directly or some steps before, from a version that is no longer current.

        Raises:
            InvalidInputError: The file is not saved yet.
            NoResultFound: The file was deleted for good.
        """
        found: bool = verb("lamindb.lineage.stale_marks.is_stale")(self)
        return found

    def staleness(self, *, code: bool = False) -> Any:
        """Return why the file is stale: each version that was read and is no longer current, and its way to this file.

        Args:
            code: Include scripts, notebooks and modules that have other code in this checkout than ran.

        Returns:
            A frozen result that is true if the file is stale, with `.reasons`, `.as_dict()` and `.to_json()`.

        Raises:
            InvalidInputError: The file is not saved yet.
            NoResultFound: The file was deleted for good.
        """
        return verb("lamindb.lineage.staleness.staleness")(self, code=code)

    def flag(self, reason: str) -> Self:
        """Flag this version as wrong. Everything derived from it is *affected* from now on.

        The flag stays on this version also when another one becomes current. Other files with the same bytes are named
        by a message, and not flagged.

        Args:
            reason: What is wrong with it, such as "contaminated".

        Returns:
            The file itself.

        Raises:
            InvalidInputError: The reason is empty, or the file is not saved yet. Nothing was written.
            NoResultFound: The file was deleted for good.
        """
        verb("lamindb.records.flags.flag")(self, reason)
        return self

    def unflag(self, reason: str | None = None) -> Self:
        """Remove the flags of this version; `flags` keeps them as history.

        Args:
            reason: Why they are removed.

        Raises:
            InvalidInputError: It is not flagged, or not saved yet. Nothing was written.
            NoResultFound: The file was deleted for good.
        """
        verb("lamindb.records.flags.unflag")(self, reason)
        return self

    @property
    def flags(self) -> RecordQuery[Any]:
        """The flags of this version, the oldest first, also those that were removed: who, when, why."""
        found: Any = self._meta.apps.get_model("lamindb", "Flag")
        query: RecordQuery[Any] = found.objects.using(self._state.db).filter(file=self)
        return query

    @property
    def is_flagged(self) -> bool:
        """Whether this version has a flag that was not removed."""
        return self.flags.filter(removed_at__isnull=True).exists()

    @property
    def is_affected(self) -> bool:
        """Whether the file was derived from a flagged one, by any of its producers and any number of runs.

        Raises:
            InvalidInputError: The file is not saved yet.
            NoResultFound: The file was deleted for good.
        """
        found: bool = verb("lamindb.lineage.recall.is_affected")(self)
        return found

    def affected_by(self) -> Any:
        """Return the flagged files that this one was derived from, and their ways to it.

        Returns:
            A frozen result that is true if the file is affected, with `.reasons`, `.as_dict()` and `.to_json()`.

        Raises:
            InvalidInputError: The file is not saved yet.
            NoResultFound: The file was deleted for good.
        """
        return verb("lamindb.lineage.recall.affected_by")(self)

    @property
    def is_trashed(self) -> bool:
        """Whether the file is in the trash."""
        return self.trashed_at is not None

    def path(self) -> Any:
        """Return where the file lives: a `Path`, or a `UPath` on an object store."""
        return verb("lamindb.files.read.path")(self)

    def stage(self, is_run_input: bool | Run | None = None) -> Path:
        """Return a local path from which to read, with the file's own name and checked bytes.

        Args:
            is_run_input: True links it as an input of the current run, a run as an input of that one, False never;
                None does what `ln.settings.track_run_inputs` says.

        Raises:
            IntegrityError: The stored bytes are missing or damaged.
            FlaggedFileError: It is flagged or derived from a flagged file, and `ln.settings.if_flagged` is "error".
        """
        staged: Path = verb("lamindb.files.read.stage")(self, is_run_input)
        return staged

    def load(self, is_run_input: bool | Run | None = None, **options: Any) -> Any:
        """Return the file as an object in memory, or a local path where no loader knows its suffix.

        Args:
            is_run_input: See `stage`.
            **options: `trust=True` allows formats that can run code when they are read (pickle).

        Raises:
            IntegrityError: The stored bytes are missing or damaged.
            FlaggedFileError: As for `stage`.
            UnsupportedError: The library that reads this format is not installed.
        """
        return verb("lamindb.files.read.load")(self, is_run_input, options)

    def open(self, mode: str = "rb", is_run_input: bool | Run | None = None) -> Any:
        """Open the file for reading.

        Args:
            mode: "rb" for bytes, "r" for text in UTF-8.
            is_run_input: See `stage`.

        Raises:
            InvalidInputError: The mode would write: what is stored never changes, save a new version instead.
        """
        return verb("lamindb.files.read.open_file")(self, mode, is_run_input)

    def backed(self, is_run_input: bool | Run | None = None) -> Any:
        """Return an accessor that reads parts of the file on demand, for `.h5ad`, `.h5`, `.zarr`.

        Raises:
            InvalidInputError: The format has to be read as a whole: use `load()`.
        """
        if self.suffix not in {".h5ad", ".h5", ".hdf5", ".zarr", ".zrad"}:
            raise InvalidInputError(f"{self.suffix or 'a file without suffix'} cannot be read in parts: use load()")
        return verb("lamindb.files.read.load")(self, is_run_input, {"backed": True})

    def replace(self, data: Any, run: Run | None = None, format: str | None = None) -> Self:
        """Take other bytes; the next `save()` makes them the new version.

        The key keeps its folder and stem and takes the suffix of the data. Earlier versions stay readable.

        Args:
            data: As for `File(...)`.
            run: The run that produces them; the current run by default.
            format: As for `File(...)`.

        Returns:
            The file itself, so that `file.replace(data).save()` reads well.
        """
        verb("lamindb.files.source.replace_data")(self, data, run, format)
        return self

    def make_current(self) -> File:
        """Make this older version the current one again: a new version with its bytes, which came from where these did.

        It is carried out at once. Every version stays.

        Returns:
            The new current version; the current one itself where it has these bytes already.

        Raises:
            InvalidInputError: It is not saved, is in the trash, or stays in place, where old bytes are not kept.
            ConflictError: Another file has its key by now.
            IntegrityError: Its stored bytes are missing or damaged. Nothing was written.
        """
        current: File = verb("lamindb.files.revert.bring_back")(self)
        return current

    @property
    def same_as_version(self) -> int | None:
        """The number of an older version, which this one brought back: the same bytes, by the same run.

        None if there is none, or another run made these bytes again.
        """
        older = self.versions.filter(version__lt=self.version, digest=self.digest, is_folder=self.is_folder)
        older = older.filter(run_id=self.run_id)
        found: int | None = older.order_by("version").values_list("version", flat=True).first()
        return found

    def history(self) -> Any:
        """Return what happened to the file and its versions: saved, renamed, removed, restored, flagged; by whom, when.

        Returns:
            A frozen result with `.events`, the latest first, `.as_dict()` and `.to_json()`.

        Raises:
            InvalidInputError: The file is not saved yet.
            NoResultFound: The file was deleted for good.
        """
        return verb("lamindb.describe.history.of_file")(self)

    def restore(self) -> Self:
        """Take the file out of the trash; if its key has a newer current version, it becomes an older one of it."""
        verb("lamindb.maintenance.trash.restore")([self])
        return self

    def delete(  # type: ignore[override]
        self, permanent: bool | None = None, *, storage: bool | None = None, **older: Any
    ) -> Any:
        """Move the file to the trash, or remove it for good.

        Args:
            permanent: Skip the trash. A file that a run read cannot be removed for good.
            storage: True removes it for good, the bytes as soon as nothing else needs them; False keeps the bytes.
            **older: `delete_data_from_storage`, the older name of `storage`.

        Raises:
            ReferencedError: A run read it. Nothing was deleted.
        """
        return super().delete(permanent, storage=storage, **older)

    @classmethod
    def from_dir(
        cls, path: Any, key: str | None = None, *, run: Run | None = None, links: str | None = None
    ) -> list[File]:
        """Make one unsaved file for each file of a folder, recursively, in the order of their paths.

        Args:
            path: The folder. Inside a storage root, files keep their relative paths as keys.
            key: The folder under which their keys start; the folder's own name by default.
            run: The run that produces them; the current run by default.
            links: What is done with symbolic links, as for `File(...)`.
        """
        found: list[File] = verb("lamindb.files.source.from_dir")(path, key, run, links)
        return found

    @classmethod
    def computed_filter(cls, name: str, value: Any) -> models.Q | None:
        """Return the condition of a filter that is no field, such as `is_stale`; None for other names."""
        found: models.Q | None = None
        if name == "is_stale":
            found = verb("lamindb.lineage.staleness.condition")(value)
        elif name == "is_affected":
            found = verb("lamindb.lineage.recall.condition")(value)
        elif name == "is_flagged":
            found = verb("lamindb.lineage.recall.flagged_condition")(value)
        return found

    @classmethod
    def rewrite_filters(cls, filters: dict[str, Any]) -> tuple[list[models.Q], dict[str, Any]]:
        """Make `name="output", suffix=".bam"` find `output.bam`: with both given, the name may be without suffix."""
        name, suffix = filters.get("name"), filters.get("suffix")
        if not isinstance(name, str) or not isinstance(suffix, str):
            return [], filters
        rest = {field: value for field, value in filters.items() if field != "name"}
        return [models.Q(name=name) | models.Q(name=name + suffix)], rest


DObject = File
"""The older name of `File`."""


def _given_run(run: Run | None, source: Run | None) -> Run | None:
    """Return the run that was given under one of its two names.

    Raises:
        InvalidTypeError: Two different ones were given, or something that is no run.
    """
    if run is not None and source is not None and run != source:
        raise InvalidTypeError("File() got two different runs, as run and as source")
    given = source if source is not None else run
    if given is not None and not isinstance(given, Run):
        raise InvalidTypeError(f"run must be a Run, not {type(given).__name__}")
    return given
