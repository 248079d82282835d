"""The one wire upward: what records may ask of the use cases.

Records know what they are; what happens to them is a function elsewhere. The app plugs that in once, so that
`file.save()` reads well and no import runs in a circle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Actions(Protocol):
    """What can be done to records."""

    def save(self, record: Any) -> None:
        """Store a record; for a file, its bytes too."""

    def delete(self, record: Any, *, permanent: bool, storage: bool | None) -> None:
        """Move a file to the trash or remove it; remove another record if nothing refers to it."""

    def restore(self, file: Any) -> None:
        """Take a file out of the trash."""

    def prepare(self, file: Any, data: Any, options: dict[str, Any]) -> None:
        """Look at what a new file is made of; reads no content and writes nothing."""

    def from_dir(self, path: Any, key: str | None, run: Any) -> list[Any]:
        """Make one unsaved file for each file of a folder."""

    def content(self, file: Any) -> tuple[str, str, int]:
        """Return hash, digest and size of a file that is not saved yet."""

    def replace(self, file: Any, data: Any, run: Any, format: str | None) -> None:
        """Take other bytes for the next save."""

    def path(self, file: Any) -> Any:
        """Return where the file lives: a `Path` or `UPath`."""

    def stage(self, file: Any, is_run_input: Any) -> Path:
        """Return a local path with checked bytes."""

    def load(self, file: Any, is_run_input: Any, options: dict[str, Any]) -> Any:
        """Return the file as an object in memory."""

    def open(self, file: Any, mode: str, is_run_input: Any) -> Any:
        """Open the file for reading."""

    def lineage(self, record: Any, *, upward: bool, model: Any, depth: int | None, all_producers: bool) -> Any:
        """Return a query of what a record came from, or of what became of it."""

    def picture(self, record: Any, options: dict[str, Any]) -> Any:
        """Return a drawing of a record's lineage."""

    def describe(self, record: Any) -> Any:
        """Return everything about a record on one page."""

    def link(self, run: Any, files: list[Any], *, kind: str) -> None:
        """Record files as `input` or `output` of a run; twice is once."""

    def unlink(self, run: Any, files: list[Any], *, kind: str) -> None:
        """Forget that files were inputs or outputs of a run."""

    def search(self, query: Any, text: str, options: dict[str, Any]) -> Any:
        """Rank the records of a query by how well they fit a text."""

    def user_id(self, alias: str) -> str:
        """Return the id of the user on whose behalf this process writes."""

    def storage_root(self, storage: Any) -> str:
        """Return where a storage is: an absolute folder or an address."""

    def default_transform_type(self) -> str:
        """Return the type of a transform made here without one: notebook inside IPython, else pipeline."""

    def run_status(self, run: Any) -> str | None:
        """Return the status of a run, noticing that its process has died."""

    def enter(self, run: Any) -> None:
        """Note that a run goes on until its `with` block ends."""

    def finish(self, run: Any, error: BaseException | None) -> None:
        """End a run that was entered as a context manager."""


_plugged: Actions | None = None


def plug(implementation: Actions) -> None:
    """Plug in the use cases; called once, when the app is ready."""
    global _plugged
    _plugged = implementation


def actions() -> Actions:
    """Return the use cases."""
    assert _plugged is not None, "the app registry plugs the use cases before any record exists"
    return _plugged
