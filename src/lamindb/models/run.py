"""Runs: executions of a transform, with their inputs and outputs."""

from __future__ import annotations

import builtins
import datetime
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, overload

from django.db import models

from lamindb.core import ids
from lamindb.core.verbs import verb
from lamindb.errors import InvalidTypeError, UnknownFieldError
from lamindb.models.base import now
from lamindb.models.fields import (
    BooleanField,
    CharField,
    ForeignKey,
    IntegerField,
    JSONField,
    StatusField,
    TextField,
    TimeField,
)
from lamindb.models.lineage import Traced
from lamindb.models.transform import Transform
from lamindb.models.user import User

if TYPE_CHECKING:
    from typing import Self

    from lamindb.models.file import File
    from lamindb.models.query import RecordQuery


class RunFiles:
    """Inputs or outputs of a run: reads like a list, asks like a query, always as the database has it now.

    Files keep the order in which they were first linked, and stand in it once. Before the run is saved they are
    only remembered; saving the run links them.
    """

    __slots__ = ("_kind", "_pending", "_run")

    def __init__(self, run: Run, kind: str, pending: list[File]) -> None:
        self._run = run
        self._kind = kind
        self._pending = pending

    def all(self) -> RecordQuery[File]:
        """Return a query for these files, all versions, also those in the trash."""
        return self._run._files_query(self._kind)

    def list(self, field: str | None = None) -> builtins.list[Any]:
        """Return these files, or the values of one field, as a list."""
        if self._run._state.adding:
            return [file if field is None else getattr(file, field) for file in self._pending]
        return self.all().list(field)

    def add(self, *files: File) -> None:
        """Link files; those that are linked already stay as they are.

        Raises:
            InvalidInputError: A file is not saved, or belongs to another instance.
        """
        self.extend(files)

    def append(self, file: File) -> None:
        """Link one file."""
        self.extend([file])

    def extend(self, files: Iterable[File]) -> None:
        """Link several files: all of them or none."""
        new = self._records(files)
        if self._run._state.adding:
            self._pending.extend(file for file in new if file not in self._pending)
        else:
            verb("lamindb.records.edges.link")(self._run, new, kind=self._kind)

    def remove(self, *files: File) -> None:
        """Unlink files; the files themselves stay.

        Raises:
            ValueError: A file is not linked.
        """
        gone = self._records(files)
        present = self.list()
        for file in gone:
            if file not in present:
                raise ValueError(f"{file!r} is no {self._kind} of {self._run!r}")
        if self._run._state.adding:
            self._pending[:] = [file for file in self._pending if file not in gone]
        else:
            verb("lamindb.records.edges.unlink")(self._run, gone, kind=self._kind)

    def set(self, files: Iterable[File]) -> None:
        """Make these files, and no others, the linked ones."""
        wanted = self._records(files)
        gone = [file for file in self.list() if file not in wanted]
        if gone:
            self.remove(*gone)
        self.extend(wanted)

    def clear(self) -> None:
        """Unlink all files."""
        self.set([])

    def index(self, file: File) -> int:
        """Return the position of a file."""
        return self.list().index(file)

    def count(self, *arguments: Any) -> int:
        """Return how many files there are, or how often one is among them."""
        return self.list().count(arguments[0]) if arguments else len(self)

    @staticmethod
    def _records(files: Iterable[File]) -> builtins.list[File]:
        if isinstance(files, str) or hasattr(files, "_meta") or not isinstance(files, Iterable):
            raise InvalidTypeError(f"the inputs and outputs of a run are lists of files, not a {type(files).__name__}")
        found = list(files)
        for file in found:
            if type(file).__name__ != "File" or not hasattr(file, "_meta"):
                raise InvalidTypeError(f"a run reads and produces files, not a {type(file).__name__}")
        return found

    def __len__(self) -> int:
        return len(self._pending) if self._run._state.adding else self.all().count()

    def __iter__(self) -> Iterator[File]:
        return iter(self.list())

    @overload
    def __getitem__(self, index: int) -> File: ...
    @overload
    def __getitem__(self, index: slice) -> builtins.list[File]: ...
    def __getitem__(self, index: int | slice) -> File | builtins.list[File]:
        return self.list()[index]

    def __contains__(self, file: object) -> bool:
        return file in self.list()

    def __bool__(self) -> bool:
        return len(self) > 0

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RunFiles):
            return self.list() == other.list()
        return isinstance(other, list) and self.list() == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.list())

    def _repr_html_(self) -> str:
        return self.all()._repr_html_() if not self._run._state.adding else f"<code>{len(self._pending)} files</code>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        query = self.all()
        if not hasattr(query, name):
            raise UnknownFieldError(f"the {self._kind}s of a run have no {name!r}: they are a list and a query")
        return getattr(query, name)


class Run(Traced):
    """One execution of a transform, by a user.

    Its status is `running`, `completed`, `failed` (with the end of the traceback in `error`) or `aborted` (its
    process died), and None for a run that was made by hand.
    """

    id: str = CharField(primary_key=True, max_length=20, default=ids.run_id)
    transform: Transform = ForeignKey(Transform, models.PROTECT, related_name="run_set", db_index=False)
    transform_id: str
    name: str | None = TextField(null=True, blank=True)
    external_id: str | None = TextField(null=True, blank=True)
    parent: Run | None = ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children", db_index=False
    )
    parent_id: str | None
    status: str | None = StatusField(null=True, blank=True)
    params: dict[str, Any] | None = JSONField(null=True, blank=True)
    started_at: datetime.datetime | None = TimeField(null=True, blank=True)
    finished_at: datetime.datetime | None = TimeField(null=True, blank=True)
    heartbeat_at: datetime.datetime | None = TimeField(null=True, blank=True)
    exit_code: int | None = IntegerField(null=True, blank=True)
    error: str | None = TextField(null=True, blank=True)
    arguments: list[str] | None = JSONField(null=True, blank=True)
    source_digest: str | None = TextField(null=True, blank=True)
    revision: int | None = IntegerField(null=True, blank=True)
    code_path: str | None = TextField(null=True, blank=True)
    modules_digest: str | None = TextField(null=True, blank=True)
    environment_digest: str | None = TextField(null=True, blank=True)
    diff_digest: str | None = TextField(null=True, blank=True)
    log_digest: str | None = TextField(null=True, blank=True)
    report_digest: str | None = TextField(null=True, blank=True)
    git_repository: str | None = TextField(null=True, blank=True)
    git_commit: str | None = TextField(null=True, blank=True)
    git_is_dirty: bool | None = BooleanField(null=True, blank=True)
    python_version: str | None = TextField(null=True, blank=True)
    host: str | None = TextField(null=True, blank=True)
    process: dict[str, Any] | None = JSONField(null=True, blank=True)
    capture: dict[str, Any] | None = JSONField(null=True, blank=True)
    created_at: datetime.datetime = TimeField(default=now)
    updated_at: datetime.datetime = TimeField(default=now)
    created_by: User | None = ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)
    created_by_id: str | None

    ALIASES: ClassVar[dict[str, str]] = {
        "pipeline": "transform",
        "notebook": "transform",
        "pipeline_id": "transform_id",
        "notebook_id": "transform_id",
        "run_at": "started_at",
        "inputs": "input_links__file",
        "outputs": "output_links__file",
    }
    FIXED: ClassVar[frozenset[str]] = frozenset(
        {"created_at", "updated_at", "heartbeat_at", "process", "revision", "code_path", "modules_digest"}
    )
    EDITED: ClassVar[frozenset[str]] = frozenset({"params"})
    HIDDEN: ClassVar[frozenset[str]] = frozenset(
        {
            "heartbeat_at",
            "arguments",
            "source_digest",
            "code_path",
            "modules_digest",
            "environment_digest",
            "diff_digest",
            "log_digest",
            "report_digest",
            "git_repository",
            "git_commit",
            "git_is_dirty",
            "python_version",
            "host",
            "process",
            "capture",
            "updated_at",
        }
    )
    NOT_JOINED: ClassVar[frozenset[str]] = frozenset({"parent", "children", "input_links", "output_links"})
    BULK_UPDATABLE: ClassVar[frozenset[str]] = frozenset({"name", "external_id"})
    OBJECT_FIELDS: ClassVar[tuple[str, ...]] = (
        "source_digest",
        "environment_digest",
        "diff_digest",
        "log_digest",
        "report_digest",
    )
    """Fields that name stored objects; each value is an object's path, digest and suffix in one."""

    class Meta:
        app_label = "lamindb"
        ordering: ClassVar[list[str]] = ["created_at", "id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["created_at", "id"], name="run_created_at"),
            models.Index(fields=["status", "created_at", "id"], name="run_status"),
            models.Index(fields=["transform", "created_at", "id"], name="run_transform"),
            models.Index(fields=["created_by", "created_at", "id"], name="run_created_by"),
            models.Index(fields=["parent", "created_at", "id"], name="run_parent"),
            models.Index(
                fields=["modules_digest"],
                name="run_modules",
                condition=models.Q(modules_digest__isnull=False),
            ),
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Describe one execution; `save()` stores it. It does not become the current run: `ln.track()` does that.

        Args:
            *args: None are taken.
            **kwargs: `transform` (older: `pipeline`, `notebook`), and optionally `name`, `external_id`, `parent`,
                `params`, `inputs`, `outputs` (lists of saved files, linked at the save).

        Raises:
            InvalidTypeError: There is no transform, an argument is unknown, or an input or output is no file.
        """
        pending = {kind: RunFiles._records(kwargs.pop(f"{kind}s", None) or ()) for kind in ("input", "output")}
        super().__init__(*args, **kwargs)
        if self.transform_id is None:
            raise InvalidTypeError("Run() needs the transform that was run: Run(transform=transform)")
        self._pending = pending

    def _files(self, kind: str) -> RunFiles:
        pending = self.__dict__.setdefault("_pending", {"input": [], "output": []})
        return RunFiles(self, kind, pending[kind])

    @property
    def inputs(self) -> RunFiles:
        """The files that this run read, in the order of first use: a list, and a query."""
        return self._files("input")

    @inputs.setter
    def inputs(self, files: Any) -> None:
        self._files("input").set(files)

    @property
    def outputs(self) -> RunFiles:
        """The files that this run produced, also those that existed already with the same bytes."""
        return self._files("output")

    @outputs.setter
    def outputs(self, files: Any) -> None:
        self._files("output").set(files)

    def code(self, module: str | None = None) -> str | None:
        """Return the code that ran, without secrets; None if it was not kept. A notebook's code is its JSON.

        Args:
            module: The path of a module of the project that the run imported, see `modules`: return its code.

        Raises:
            NoResultFound: The run imported no such module.
            IntegrityError: The stored bytes are missing or damaged.
        """
        text: str | None = verb("lamindb.describe.run_content.code")(self, module)
        return text

    def modules(self) -> dict[str, str] | None:
        """Return the project's own modules that the run had imported at its end: their digests by path.

        `code(path)` returns the source of one. None if they were not kept.
        """
        found: dict[str, str] | None = verb("lamindb.describe.run_content.modules")(self)
        return found

    def log(self) -> str | None:
        """Return what the run printed, as far as it was kept; errors as for `code`."""
        text: str | None = verb("lamindb.describe.run_content.stored_text")(self, "log")
        return text

    def patch(self) -> str | None:
        """Return the uncommitted changes of the git repository; None if there were none; errors as for `code`."""
        text: str | None = verb("lamindb.describe.run_content.stored_text")(self, "patch")
        return text

    def packages(self) -> dict[str, str] | None:
        """Return the versions of the installed packages by name; None if they were not kept; errors as for `code`."""
        found: dict[str, str] | None = verb("lamindb.describe.run_content.packages")(self)
        return found

    def report(self) -> str | None:
        """Return the notebook with its results as an HTML page; None if none was kept; errors as for `code`."""
        text: str | None = verb("lamindb.describe.run_content.stored_text")(self, "report")
        return text

    @property
    def pipeline(self) -> Transform | None:
        """The transform, if it is a pipeline."""
        return self.transform if self.transform.type == "pipeline" else None

    @pipeline.setter
    def pipeline(self, value: Transform) -> None:
        self.transform = value

    @property
    def notebook(self) -> Transform | None:
        """The transform, if it is a notebook."""
        return self.transform if self.transform.type == "notebook" else None

    @notebook.setter
    def notebook(self, value: Transform) -> None:
        self.transform = value

    def __enter__(self) -> Self:
        """Make this the current run until the block ends; the current run may change inside the block."""
        verb("lamindb.runs.track.enter_block")(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run: `completed`, or `failed` if the block raised."""
        verb("lamindb.runs.track.finish_block")(self, value)

    def _files_query(self, kind: str) -> RecordQuery[Any]:
        files: Any = self._meta.apps.get_model("lamindb", "File")
        link = "reader_links" if kind == "input" else "writer_links"
        query: RecordQuery[Any] = files.objects.using(self._state.db).filter(**{f"{link}__run": self})
        query.query.distinct = False
        return query.order_by(f"{link}__id")
