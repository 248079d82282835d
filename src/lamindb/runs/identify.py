"""Which transform is running: found by its place in the project, recognised after a rename, else made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamindb.core import messages, plain
from lamindb.core.text import storable
from lamindb.environment import detect, notebook_matching, notebooks, scripts
from lamindb.environment.detect import Running
from lamindb.environment.redaction import HIDDEN, is_secret_name, redact_text
from lamindb.errors import InvalidInputError, InvalidTypeError, LaminError
from lamindb.models import Transform
from lamindb.records import save
from lamindb.records.open_instance import Instance

_SAME_NOTEBOOK = 0.5
_MOST_CANDIDATES = 1000
_NO_CODE = frozenset({notebooks.hash_cells([]), hashlib.sha256(b"").hexdigest()})
"""What says nothing about identity: all empty notebooks have the same code."""


def what_runs(notebook_path: str | Path | None) -> Running | notebook_matching.AnonymousNotebook:
    """Find out what this process runs.

    Raises:
        InvalidInputError: It is neither a file nor a notebook (`-c`, standard input, a bare shell).
        SourceNotFoundError: `notebook_path` does not exist.
    """
    running = detect.detect(notebook_path)
    if running is not None:
        return running
    anonymous = notebook_matching.fallback_notebook()
    if anonymous is not None:
        return anonymous
    raise InvalidInputError(
        "there is no notebook and no script file here to track: pass what is run, as in "
        "ln.track(ln.Transform(name='My analysis')), or set LAMIN_NOTEBOOK_PATH"
    )


def transform_of(running: Running | notebook_matching.AnonymousNotebook, instance: Instance) -> Transform:
    """Return the transform of what runs, known or new, with the name that it has now; `records.save` writes it.

    A notebook or script is found by its path in the project. Under a new path it is recognised by its cells or its
    code if the old file is gone; a copy, whose original is still there, is a transform of its own.
    """
    if not isinstance(running, Running):
        return _anonymous(running, instance)
    reference = storable(scripts.relative_reference(running.path, instance.project_path))
    name, code_hash, cell_ids = storable(_read(running))
    query = Transform.objects.using(instance.alias).filter(type=running.kind)
    known = query.filter(reference=reference).order_by("-created_at", "-id").first()
    if known is None:
        known = _renamed(query, running, instance, code_hash, cell_ids)
        if known is not None:
            messages.info(f"{known.reference} is called {reference} now")
            known.reference = reference
    facts = {"name": name, "short_name": storable(running.path.stem), "code_hash": code_hash, "cell_ids": cell_ids}
    if known is not None:
        if code_hash is None:
            # The file could not be read: what is known of it stays.
            facts = {}
        for field, value in facts.items():
            setattr(known, field, value)
        return known
    new = new_transform(running, instance)
    messages.success(f"new {running.kind} {name!r} ({reference})")
    return new


def check_name(name: object) -> None:
    """Refuse what cannot name a transform.

    Raises:
        InvalidInputError: It is empty, or no text.
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidInputError("a transform needs a name")


def named_transform(instance: Instance, name: str) -> Transform:
    """Return the newest transform of a name that is no notebook or script; a new one of type command otherwise."""
    check_name(name)
    name = storable(name)
    query = Transform.objects.using(instance.alias).filter(name=name).exclude(type__in=["notebook", "script"])
    found = query.order_by("-created_at", "-id").first()
    if found is None:
        found = Transform.from_fields(name=name, type="command", reference=name)
        found.alias = instance.alias
        save.save(found)
    return found


def new_transform(running: Running | notebook_matching.AnonymousNotebook, instance: Instance) -> Transform:
    """Return a new transform of what runs, without a look at the database; saving it finds the one that exists."""
    if isinstance(running, Running):
        reference = storable(scripts.relative_reference(running.path, instance.project_path))
        name, code_hash, cell_ids = storable(_read(running))
        facts = {"short_name": storable(running.path.stem), "code_hash": code_hash, "cell_ids": cell_ids}
        new = Transform.from_fields(type=running.kind, reference=reference, name=name, **facts)
    else:
        reference = _reference_of(running, instance)
        new = Transform.from_fields(
            name=storable(running.name), type="notebook", reference=reference, code_hash=running.code_hash
        )
    new.alias = instance.alias
    return new


def _read(running: Running) -> tuple[str, str | None, list[str] | None]:
    try:
        if running.kind == "notebook":
            notebook = notebooks.read_notebook(running.path)
            return notebook.title or running.path.stem, notebook.code_hash, list(notebook.cell_ids) or None
        script = scripts.read_script(running.path)
    except LaminError as error:
        # The file may be unreadable or half-written just now; that must not stop the user's program.
        messages.warning(f"cannot read {running.path.name}: {error}")
        return running.path.stem, None, None
    return script.name, script.code_hash, None


def _renamed(
    query: Any, running: Running, instance: Instance, code_hash: str | None, cell_ids: list[str] | None
) -> Transform | None:
    """Find the transform whose file is gone and which has the same cells or code; the newest if there are several."""
    if code_hash is None or code_hash in _NO_CODE:
        return None
    for candidate in query.order_by("-created_at", "-id")[:_MOST_CANDIDATES]:
        same_cells = bool(cell_ids and candidate.cell_ids) and (
            notebooks.overlap(cell_ids or [], candidate.cell_ids) >= _SAME_NOTEBOOK
        )
        if (candidate.code_hash == code_hash or same_cells) and not _exists(candidate.reference, running, instance):
            return candidate  # type: ignore[no-any-return]
    return None


def _exists(reference: str, running: Running, instance: Instance) -> bool:
    """Return True if the file of a known transform is still there: under the project, or under the git root."""
    if "\\udc" in reference:
        # Its name is no text: what stands here is how it is written, by which no file is found.
        return True
    roots = [instance.project_path, scripts.project_root(running.path.parent), Path("/")]
    try:
        return any((root / reference).exists() for root in roots if root is not None)
    except OSError:
        return True


def _reference_of(running: notebook_matching.AnonymousNotebook, instance: Instance) -> str:
    place = storable(scripts.relative_reference(running.folder, instance.project_path))
    return f"notebook without a file in {place}, code {running.code_hash[:16]}"


def _anonymous(running: notebook_matching.AnonymousNotebook, instance: Instance) -> Transform:
    """Return the transform of a notebook whose file is unknown: all with the same first cells in a folder are one."""
    messages.warning(
        "the file of this notebook is unknown: any other one in this folder that begins with the same cells counts as "
        "the same; name it by ln.track(notebook_path='x.ipynb'), or LAMIN_NOTEBOOK_PATH"
    )
    query = Transform.objects.using(instance.alias).filter(type="notebook", reference=_reference_of(running, instance))
    found: Transform | None = query.first()
    return found if found is not None else new_transform(running, instance)


def checked(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as they are stored.

    Values become plain ones (`core.plain`); one that cannot is recorded by its type, with a warning that names the
    parameter. Whatever has a secret-looking name is replaced, and so are secrets in texts. What no database can hold
    is written visibly, in names and values.

    Raises:
        InvalidTypeError: They are no dictionary with text as names.
    """
    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise InvalidTypeError("params must be a dictionary with text as names")
    found = {name: _recorded(name, value) for name, value in params.items()}
    return storable(without_secrets(found))  # type: ignore[no-any-return]


def _recorded(name: str, value: Any) -> Any:
    unknown: list[str] = []

    def stand_in(other: Any) -> str:
        unknown.append(type(other).__name__)
        return f"<{type(other).__name__}>"

    try:
        found = plain.plain(value, stand_in)
    except Exception as error:
        # Whatever an object's own methods do must not end the program.
        unknown.append(f"{type(value).__name__}: {error}")
        found = f"<{type(value).__name__}>"
    if unknown:
        kinds = ", ".join(dict.fromkeys(unknown))
        messages.warning(f"the parameter {storable(name)!r} is not recorded in full: no plain value stands for {kinds}")
    return found


def without_secrets(value: Any, name: str = "") -> Any:
    """Return a JSON value with its secrets replaced."""
    if isinstance(value, dict):
        return {key: without_secrets(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_secrets(inner, name) for inner in value]
    if name and value not in (None, "", True, False) and is_secret_name(name):
        return HIDDEN
    return redact_text(value) if isinstance(value, str) else value
