"""The use cases as records reach them; each is imported when it is first used, so that starting stays quick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


class Wiring:
    """Implements `lamindb.models.verbs.Actions`.

    Args:
        draw: Draws the lineage of a record, with options.
        show: Shows everything about a record on one page.
    """

    def __init__(self, *, draw: Callable[[Any, dict[str, Any]], Any], show: Callable[[Any], Any]) -> None:
        self._draw = draw
        self._show = show

    def save(self, record: Any) -> None:
        """Store a record; for a file, its bytes too."""
        from lamindb.models import File

        if isinstance(record, File):
            from lamindb.files.save import save_files

            save_files([record])
        else:
            from lamindb.records.save import save

            save(record)

    def delete(self, record: Any, *, permanent: bool, storage: bool | None) -> None:
        """Delete a record."""
        from lamindb.maintenance import trash

        trash.delete(record, permanent=permanent, storage=storage)

    def restore(self, file: Any) -> None:
        """Take a file out of the trash."""
        from lamindb.maintenance import trash

        trash.restore([file])

    def prepare(self, file: Any, data: Any, options: dict[str, Any]) -> None:
        """Look at what a new file is made of."""
        from lamindb.files import source

        source.prepare(file, data, options)

    def from_dir(self, path: Any, key: str | None, run: Any) -> list[Any]:
        """Make one unsaved file for each file of a folder."""
        from lamindb.files import source

        return list(source.from_dir(path, key, run))

    def content(self, file: Any) -> tuple[str, str, int]:
        """Return hash, digest and size of a file that is not saved yet."""
        from lamindb.files import source

        content = source.content_of(file)
        return content.hash, content.digest, content.size

    def replace(self, file: Any, data: Any, run: Any, format: str | None) -> None:
        """Take other bytes for the next save."""
        from lamindb.files import source

        source.replace_data(file, data, run, format)

    def path(self, file: Any) -> Any:
        """Return where the file lives."""
        from lamindb.files import read

        return read.path(file)

    def stage(self, file: Any, is_run_input: Any) -> Path:
        """Return a local path with checked bytes."""
        from lamindb.files import read

        return read.stage(file, is_run_input)

    def load(self, file: Any, is_run_input: Any, options: dict[str, Any]) -> Any:
        """Return the file as an object in memory."""
        from lamindb.files import read

        return read.load(file, is_run_input, options)

    def open(self, file: Any, mode: str, is_run_input: Any) -> Any:
        """Open the file for reading."""
        from lamindb.files import read

        return read.open_file(file, mode, is_run_input)

    def lineage(self, record: Any, *, upward: bool, model: Any, depth: int | None, all_producers: bool) -> Any:
        """Return a query of what a record came from, or of what became of it."""
        from lamindb.lineage import query as lineage_query

        return lineage_query.closure(record, upward=upward, model=model, depth=depth, all_producers=all_producers)

    def picture(self, record: Any, options: dict[str, Any]) -> Any:
        """Return a drawing of a record's lineage."""
        return self._draw(record, options)

    def describe(self, record: Any) -> Any:
        """Return everything about a record on one page."""
        return self._show(record)

    def link(self, run: Any, files: list[Any], *, kind: str) -> None:
        """Record files as input or output of a run."""
        from lamindb.records import edges

        edges.link(run, files, kind=kind)

    def unlink(self, run: Any, files: list[Any], *, kind: str) -> None:
        """Forget that files were inputs or outputs of a run."""
        from lamindb.records import edges

        edges.unlink(run, files, kind=kind)

    def search(self, query: Any, text: str, options: dict[str, Any]) -> Any:
        """Rank the records of a query by how well they fit a text."""
        from lamindb.search import index

        return index.search(query, text, options)

    def user_id(self, alias: str) -> str:
        """Return the id of the user on whose behalf this process writes."""
        from lamindb.records import author

        return author.user_id(alias)

    def storage_root(self, storage: Any) -> str:
        """Return where a storage is."""
        from lamindb.records import stores

        return stores.root_of(storage)

    def default_transform_type(self) -> str:
        """Return the type of a transform made here without one."""
        from lamindb.environment import detect

        return "notebook" if detect.in_ipython() else "pipeline"

    def run_status(self, run: Any) -> str | None:
        """Return the status of a run."""
        from lamindb.runs import liveness

        return liveness.status_of(run)

    def enter(self, run: Any) -> None:
        """Note that a run goes on until its `with` block ends."""
        from lamindb.runs import track

        track.enter_block(run)

    def finish(self, run: Any, error: BaseException | None) -> None:
        """End a run that was entered as a context manager."""
        from lamindb.runs import track

        track.finish_block(run, error)
