"""Functions of `ln` for all kinds of records: `select`, `add`, `save`, `delete`, `view` and `Session`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lamindb.core import context
from lamindb.errors import InvalidInputError, InvalidTypeError
from lamindb.files.save import save_records
from lamindb.models import File, Record, Run, Storage, Transform, User
from lamindb.records.open_instance import Instance

if TYPE_CHECKING:
    from typing import Self

_VIEWED = (File, Run, Transform, Storage, User)


def select(model: type[Record], *conditions: Any, **filters: Any) -> Any:
    """Return a query of records of one kind; the same as `model.select(...)`.

    Raises:
        InvalidTypeError: `model` is not a record class.
    """
    _check_model(model)
    return model.select(*conditions, **filters)


def _check_model(model: Any) -> None:
    if not isinstance(model, type) or not issubclass(model, Record):
        raise InvalidTypeError(f"select() takes a record class such as ln.File, not {model!r}")


def add(record: Any, **fields: Any) -> Any:
    """Save one or several records and return them; with a record class and fields, get or create a record.

    Returns:
        The saved record; a list for a list.
    """
    if isinstance(record, type):
        _check_model(record)
        model: Any = record
        found = model.select(**fields).first()
        return found if found is not None else model(**fields).save()
    if fields:
        raise InvalidTypeError("add() takes fields only together with a record class")
    saved = save_records(record)
    return saved[0] if isinstance(record, Record) else saved


def save(records: Any, *, progress: bool | None = None, executor: Any = None) -> None:
    """Save one or several records: all of them or none.

    Of several instances, all are checked before any is saved; only what fails after that, such as a database that ends
    just then, may leave the records of one instance saved without those of another.

    Args:
        records: A record or an iterable of records.
        progress: Show a progress bar; None means for many records, at a terminal or in a notebook.
        executor: A `concurrent.futures.Executor` that hashes and stores files in other processes or on other machines.
    """
    found = records if isinstance(records, Record) else _as_list(records)
    from lamindb.core.progress import bar_for

    with bar_for(found, progress) as report:
        save_records(found, progress=report, executor=executor)


def _as_list(records: Any) -> Any:
    return list(records) if isinstance(records, Iterable) and not isinstance(records, (str, bytes)) else records


def delete(
    record: Any, *, permanent: bool | None = None, delete_data_from_storage: bool | None = None, **fields: Any
) -> None:
    """Delete one or several records, or all of a record class with some fields, as their `delete()` does.

    In each instance, first all files are deleted or none, then all other records or none.
    """
    if isinstance(record, type):
        _check_model(record)
        model: Any = record
        found: list[Any] = list(model.select(**fields))
    else:
        found = [record] if isinstance(record, Record) else _listed(record)
    for one in found:
        if not isinstance(one, Record):
            raise InvalidTypeError(f"cannot delete {one!r}: it is not a record; nothing was deleted")
    from lamindb.maintenance import trash

    trash.delete_many(found, permanent=bool(permanent), storage=delete_data_from_storage)


def _listed(records: Any) -> list[Any]:
    if isinstance(records, (str, bytes)) or not isinstance(records, Iterable):
        shown = "None" if records is None else f"a {type(records).__name__}"
        raise InvalidTypeError(f"{shown} is no record and cannot be deleted: pass a record or a list")
    return list(records)


def view(n: int = 10) -> None:
    """Show the newest records of every kind, as tables in notebooks and as text elsewhere.

    Args:
        n: The maximum number of each kind.

    Raises:
        InvalidInputError: `n` is not a positive number.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InvalidInputError(f"n must be a number from 1, not {n!r}")
    display = _display()
    for model in _VIEWED:
        query: Any = model.select().order_by("-created_at", "-id")[:n]
        if not query:
            continue
        if display is not None:
            display(query)
        else:
            sys.stdout.write(f"{model.__name__}\n" + "\n".join(f"  {record!r}" for record in query) + "\n")


def _display() -> Any:
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython  # type: ignore[import-not-found, unused-ignore]

    if get_ipython() is None:
        return None
    from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

    return display


class Session:
    """A block of work with one instance: `with ln.Session() as ss`. Records stay usable after it."""

    def __init__(self) -> None:
        self._instance: Instance = context.instance()
        self._is_closed = False

    def select(self, model: type[Record], *conditions: Any, **filters: Any) -> Any:
        """Return a query like `ln.select`, in the instance that was current when the session began."""
        self._check_open()
        with context.using(self._instance):
            return select(model, *conditions, **filters)

    def add(self, record: Any, **fields: Any) -> Any:
        """Save records like `ln.add`; each call is committed at once."""
        self._check_open()
        with context.using(self._instance):
            return add(record, **fields)

    def delete(self, record: Any, **options: Any) -> None:
        """Delete records like `ln.delete`."""
        self._check_open()
        with context.using(self._instance):
            delete(record, **options)

    def close(self) -> None:
        """End the session; idempotent."""
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise InvalidInputError("this session is closed: open a new one by ln.Session()")

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
