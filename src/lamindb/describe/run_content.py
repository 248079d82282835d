"""What is stored with a run: its code, log, patch, packages and report, read from the store of its instance."""

from __future__ import annotations

from typing import Final

from lamindb.core import context
from lamindb.errors import InvalidInputError, NoResultFound
from lamindb.models import ImportedModule, Run
from lamindb.storage.base import ObjectName

FIELDS: Final = {
    "code": "source_digest",
    "log": "log_digest",
    "patch": "diff_digest",
    "packages": "environment_digest",
    "report": "report_digest",
}
"""The field of a run that names each object."""
_LISTED: Final = 10


def stored_bytes(run: Run, kind: str) -> bytes | None:
    """Return one of the objects of `FIELDS` as it was stored; None if none was kept.

    Raises:
        InvalidInputError: The run belongs to an instance that was disconnected.
        IntegrityError: The stored bytes are missing or damaged.
    """
    return _read(run, ObjectName.parse(getattr(run, FIELDS[kind]) or ""))


def _read(run: Run, name: ObjectName | None) -> bytes | None:
    if name is None:
        return None
    instance = context.connected(run.alias)
    if instance is None:
        raise InvalidInputError("this run belongs to an instance that was disconnected: connect and query it again")
    data: bytes = instance.store.read(name)
    return data


def stored_text(run: Run, kind: str) -> str | None:
    """Return one of the objects of `FIELDS` as text; bytes that are not UTF-8 become replacement characters."""
    data = stored_bytes(run, kind)
    return None if data is None else data.decode("utf-8", "replace")


def code(run: Run, module: str | None = None) -> str | None:
    """Return the code that ran, or the source of one of the modules that it imported; None if it was not kept.

    Raises:
        NoResultFound: The run imported no such module; the message lists those that it did.
        InvalidInputError, IntegrityError: As for `stored_bytes`.
    """
    if module is None:
        return stored_text(run, "code")
    name = module_name(run, module)
    data = _read(run, name)
    return None if data is None else data.decode("utf-8", "replace")


def module_bytes(run: Run, module: str) -> bytes | None:
    """Return the source of a module as it was stored. Errors are those of `code`."""
    return _read(run, module_name(run, module))


def module_name(run: Run, module: str) -> ObjectName | None:
    """Return the object of a module that a run imported; None if its modules were not kept.

    Raises:
        NoResultFound: The run imported no such module; the message lists those that it did.
    """
    found = modules(run)
    if found is None:
        return None
    if module not in found:
        listed = ", ".join(list(found)[:_LISTED]) or "none of the project"
        raise NoResultFound(f"run {run.id} imported no module {module!r}: it imported {listed}")
    return ObjectName(found[module], ".py")


def modules(run: Run) -> dict[str, str] | None:
    """Return the digests of the modules that a run had imported, by path; None if they were not kept.

    Those of a step are those of the run in which it was called.

    Raises:
        InvalidInputError: The run is not saved.
    """
    digest = program_of(run).modules_digest
    if digest is None:
        return None
    query = ImportedModule.objects.using(run.alias).filter(set_digest=digest).order_by("path")
    return dict(query.values_list("path", "digest"))


def program_of(run: Run) -> Run:
    """Return the run of the program that a run is part of: for a call of a function, the nearest one around it."""
    seen: set[str] = set()
    while run.transform.type == "function" and run.environment_digest is None and run.parent is not None:
        if run.id in seen:
            break
        seen.add(run.id)
        run = run.parent
    return run


def packages(run: Run) -> dict[str, str] | None:
    """Return the installed packages of a run with their versions, sorted by name; None if none were kept."""
    text = stored_text(run, "packages")
    if text is None:
        return None
    pairs = (line.partition("==") for line in text.splitlines())
    return {name: version for name, sign, version in pairs if sign}
