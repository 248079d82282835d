"""Compare two records of one kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from django.db.models import Q

from lamindb.compare.file_diff import FileDifference, compare_files
from lamindb.compare.result import Side
from lamindb.compare.run_diff import RunDifference, compare_runs
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound
from lamindb.lineage import query
from lamindb.models import File, Run, Transform

_Record = TypeVar("_Record", bound=File | Run | Transform)


def diff(
    a: File | Run | Transform,
    b: File | Run | Transform | None = None,
    *,
    on: str | Sequence[str] = (),
    rtol: float = 0.0,
) -> FileDifference | RunDifference:
    """Return what differs between two versions of a file, two folders, two runs or two transforms.

    Of transforms, the last runs are compared; of one transform alone, its last two runs. The result displays itself,
    and has `is_equal`, `to_text()`, `to_json()` and its parts as attributes. Nothing is recorded: the files become no
    inputs of the current run.

    Args:
        a: The earlier record.
        b: The later record; None compares a file with its version before, and a run with its transform's run before.
        on: The columns of a table whose values identify a row; without them, rows are paired by position.
        rtol: Numbers in a table or an array are equal if they differ by at most this part of the larger one.

    Raises:
        InvalidTypeError: The records have two kinds, or are not files, runs or transforms.
        InvalidInputError: A record is not saved, a file is in the trash, the files are not versions of one file, there
            is nothing to compare, or `on` or `rtol` does not fit.
        NoResultFound: A record was deleted.
        IntegrityError: Stored bytes are missing or damaged.
    """
    columns = [on] if isinstance(on, str) else list(on) if isinstance(on, Sequence) else [on]
    if not all(isinstance(name, str) for name in columns):
        raise InvalidTypeError(f"on must be the name of a column, or a list of names, not {on!r}")
    if isinstance(rtol, bool) or not isinstance(rtol, int | float) or not (0 <= rtol < 1) or math.isnan(rtol):
        raise InvalidInputError(f"rtol must be a number from 0 to below 1, not {rtol!r}")
    a = _as_stored(a)
    if b is None:
        if isinstance(a, Transform):
            a = _last_run(a)
        a, b = (_version_before(a), a) if isinstance(a, File) else (_run_before(a), a)
    else:
        b = _as_stored(b)
    if isinstance(a, File) and isinstance(b, File):
        _check_files(a, b)
        return compare_files(a, b, on=columns, rtol=rtol)
    if columns or rtol:
        raise InvalidInputError("on and rtol are for tables, not for runs")
    if isinstance(a, Run) and isinstance(b, Run):
        return compare_runs(a, b)
    if isinstance(a, Transform) and isinstance(b, Transform):
        return compare_runs(_last_run(a), _last_run(b), sides=(_side(a), _side(b)))
    raise InvalidTypeError(f"cannot compare a {type(a).__name__} with a {type(b).__name__}: pass two of one kind")


def _as_stored(record: _Record) -> _Record:
    """Return a record as the database has it now: a run may have got its status, or a file been deleted, meanwhile."""
    if not isinstance(record, File | Run | Transform):
        raise InvalidTypeError(f"diff() takes files, runs or transforms, not {type(record).__name__}")
    if not record.is_saved and record.pk is not None:
        raise InvalidInputError(f"this {type(record).__name__.lower()} is not saved yet: save it first")
    record = query.stored(record)
    if isinstance(record, File) and record.is_trashed:
        raise InvalidInputError(
            f"version {record.version} of {record.key or record.name!r} is in the trash: restore it first"
        )
    return record


def _check_files(a: File, b: File) -> None:
    is_one_file = a.stem_id == b.stem_id or (a.key is not None and a.key == b.key)
    if not is_one_file and not (a.is_folder and b.is_folder):
        raise InvalidInputError(
            f"{a.key or a.name!r} and {b.key or b.name!r} are different files: pass two versions of one file"
        )


def _version_before(file: File) -> File:
    """Return the newest version before a file's that is not in the trash.

    Raises:
        InvalidInputError: There is none.
    """
    earlier = file.versions.filter(version__lt=file.version, trashed_at__isnull=True)
    found: File | None = earlier.order_by("-version").first()
    if found is None:
        raise InvalidInputError(
            f"there is nothing to compare: {file.key or file.name!r} has no version before {file.version}"
        )
    return found


def _last_run(transform: Transform) -> Run:
    found: Run | None = transform.runs.order_by("-created_at", "-id").first()
    if found is None:
        raise NoResultFound(f"there is nothing to compare: {transform.name!r} version {transform.version} has no run")
    found.set_related("transform", transform)
    return found


def _run_before(run: Run) -> Run:
    """Return the run of the same notebook, script or pipeline that began before a run.

    Raises:
        InvalidInputError: There is none.
    """
    began = Q(created_at__lt=run.created_at) | Q(created_at=run.created_at, id__lt=run.id)
    earlier = run.transform.runs.filter(began)
    found: Run | None = earlier.order_by("-created_at", "-id").first()
    if found is None:
        raise InvalidInputError(f"there is nothing to compare: run {run.id} is the first of {run.transform.name!r}")
    return found


def _side(transform: Transform) -> Side:
    return Side("transform", transform.id, transform.name, transform.version)
