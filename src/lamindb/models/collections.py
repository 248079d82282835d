"""The files of a run, as a list and as a query in one."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, overload

from lamindb.errors import InvalidTypeError, UnknownFieldError
from lamindb.models.verbs import actions

if TYPE_CHECKING:
    from lamindb.models.file import File
    from lamindb.models.query import RecordQuery
    from lamindb.models.run import Run


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

    def list(self) -> builtins.list[File]:
        """Return these files as a list."""
        return list(self._pending) if self._run._state.adding else list(self.all())

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
            actions().link(self._run, new, kind=self._kind)

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
            actions().unlink(self._run, gone, kind=self._kind)

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
