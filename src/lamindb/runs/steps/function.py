"""Functions as transforms: found by the file and the name under which they stand, their code kept once."""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lamindb.core import context
from lamindb.core.context import Instance
from lamindb.core.text import storable
from lamindb.environment import projects
from lamindb.environment.redaction import redact_text
from lamindb.models import Run, Transform
from lamindb.records import save
from lamindb.runs import metadata


class Function:
    """A function that is tracked; knows its transform in each instance."""

    def __init__(self, function: Callable[..., Any], name: str | None, version: str | None) -> None:
        self.function = function
        self.name = name or str(getattr(function, "__qualname__", "function")).replace("<locals>.", "")
        self.version = str(version) if version is not None else "1"
        self._has_name = name is not None
        self._transforms: dict[str, str] = {}
        self._sources: dict[str, str | None] = {}
        self._text: str | bool | None = False
        self.signature = _signature(function)

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by name, defaults included, without the object that a method belongs to."""
        if self.signature is None:
            return {**{str(position): value for position, value in enumerate(args)}, **kwargs}
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError:
            # The call is wrong, and says so itself.
            return {}
        bound.apply_defaults()
        given = dict(bound.arguments)
        first = next(iter(given), None)
        if first in {"self", "cls"}:
            del given[first]
        return given

    def transform_id(self, instance: Instance) -> str:
        """Return the id of its transform, saved when it is first asked for."""
        found = self._transforms.get(instance.alias)
        if found is None:
            text = self._source()
            new = Transform._blank(
                name=self.name,
                type="function",
                reference=storable(self._reference(instance)),
                version=self.version,
                code_hash=hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if text else None,
            )
            new._state.db = instance.alias
            code_hash = new.code_hash
            save.save(new)
            if new.code_hash != code_hash:
                new.code_hash = code_hash
                save.save(new)
            found = self._transforms[instance.alias] = new.id
        return found

    def source_name(self, instance: Instance) -> str | None:
        """Return the name of the object with its code, stored when it is first asked for."""
        if instance.alias not in self._sources:
            text = self._source()
            data = redact_text(text).encode("utf-8", "surrogateescape") if text else None
            stored = metadata.kept(instance, {"source_digest": (data, ".py")})
            self._sources[instance.alias] = stored.get("source_digest")
        return self._sources[instance.alias]

    def forget_source(self, instance: Instance) -> None:
        """Store the code anew when it is asked for next."""
        self._sources.pop(instance.alias, None)

    def _source(self) -> str | None:
        if self._text is False:
            try:
                self._text = textwrap.dedent(inspect.getsource(self.function))
            except (OSError, TypeError):
                self._text = None
        return self._text if isinstance(self._text, str) else None

    def _reference(self, instance: Instance) -> str:
        """Return where it stands: the file relative to the project, or the dotted name of an installed module."""
        if self._has_name:
            return self.name
        module = str(getattr(self.function, "__module__", None) or "")
        try:
            file = inspect.getsourcefile(self.function)
        except TypeError:
            file = None
        path = Path(file) if file else None
        if path is None or not path.is_file() or _is_cell(path):
            return f"{_place_of_current(instance) or module}:{self.name}"
        if "site-packages" in path.parts:
            return f"{module}:{self.name}"
        return f"{projects.relative_reference(path, instance.project_path)}:{self.name}"


def _is_cell(path: Path) -> bool:
    """Tell whether a file is what a kernel keeps of a cell."""
    return path.parent.name.startswith("ipykernel_") or path.name.startswith("<")


def _place_of_current(instance: Instance) -> str | None:
    """Return the reference of what runs: cells are in no file of their own."""
    run = context.run()
    while isinstance(run, Run) and run._state.db == instance.alias:
        if run.transform.type in {"notebook", "script"}:
            return run.transform.reference
        run = run.parent
    return None


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None
