"""Records larger than a page: a run with many inputs, parameters and a long log, and a file that many runs read."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.models import Run, RunInput
from lamindb.models.base import now
from lamindb.runs import metadata
from tests.support import showcase

_PARAMETERS: Final = 5_000
_LINE: Final = 1 << 20
"""The length of the last line of the log."""


class Sizes(NamedTuple):
    """How large: the number of inputs, and as many readers; the bytes of the log."""

    many: int
    log_bytes: int


FULL: Final = Sizes(20_000, 1 << 30)


class Made(NamedTuple):
    """The addresses of their pages: the run, the pages of records and lists, and those of the lineage."""

    run: str
    lists: tuple[str, ...]
    lineage: tuple[str, ...]


def make(sizes: Sizes) -> Made:
    """Make them in the current instance."""
    transform = ln.Transform("hub", type="script", reference="hub.py").save()
    files = [ln.File(b"%d" % n, key=f"in/{n}.txt") for n in range(sizes.many)]
    ln.save(files)
    run = showcase.make_run(transform, params={f"p{n}": "x" * 50 for n in range(_PARAMETERS)})
    log = b"line\n" * (sizes.log_bytes // 5) + b"y" * _LINE
    kept = metadata.kept(context.instance(), {"log_digest": (log, ".log")})
    alias = str(run.alias)
    Run.objects.using(alias).filter(id=run.id).order_by().update_rows(kept)
    with database.writing(alias) as connection:
        runs = [
            Run.from_fields(**{**_fields(run), "id": f"{run.id[:12]}{n:08d}", "params": None})
            for n in range(sizes.many)
        ]
        database.insert_many(connection, runs)
        read = [(run.id, one.id) for one in files] + [(one.id, files[0].id) for one in runs]
        database.insert_many(
            connection,
            [
                RunInput.from_fields(run_id=run_id, file_id=file_id, seen_by="call", created_at=now())
                for run_id, file_id in read
            ],
        )
    of_run, of_file = f"/runs/{run.id}", f"/files/{files[0].id}"
    lists = (
        *(of_run, f"{of_run}/log", f"{of_run}/log?end={len(log) // 2}", f"{of_run}/inputs", f"{of_run}/steps"),
        *(of_file, f"/transforms/{transform.id}", f"/runs?reads={files[0].id}", f"/runs?transform={transform.id}"),
    )
    return Made(of_run, lists, (f"{of_run}/lineage", f"{of_file}/lineage", f"/lineage/impact?id={files[0].id}"))


def _fields(record: Any) -> dict[str, Any]:
    return {field.attname: getattr(record, field.attname) for field in record._meta.concrete_fields}
