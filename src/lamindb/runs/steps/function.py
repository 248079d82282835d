"""Functions as transforms: found by the file and the name under which they stand, their code kept once."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lamindb.core import context, messages, plain
from lamindb.core.text import storable
from lamindb.environment import scripts
from lamindb.environment.redaction import HIDDEN, is_secret_name, redact_text
from lamindb.files import locate
from lamindb.models import File, Run, Transform
from lamindb.records import save
from lamindb.records.open_instance import Instance
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
        self._code_paths: dict[str, str | None] = {}
        self._text: str | bool | None = False
        self.signature = _signature(function)
        self._failures: dict[bool, bool] = {}

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

    def is_known(self, instance: Instance) -> bool:
        """Return True if its transform was saved before."""
        return instance.alias in self._transforms

    def transform_id(self, instance: Instance) -> str:
        """Return the id of its transform, saved when it is first asked for."""
        found = self._transforms.get(instance.alias)
        if found is None:
            new = self.new_transform(instance)
            code_hash = new.code_hash
            save.save(new)
            if new.code_hash != code_hash:
                new.code_hash = code_hash
                save.save(new)
            found = self._transforms[instance.alias] = new.id
        return found

    def new_transform(self, instance: Instance) -> Transform:
        """Return its transform without a look at the database; saving it finds the one that exists."""
        text = self._source()
        new = Transform.from_fields(
            name=self.name,
            type="function",
            reference=storable(self._reference(instance)),
            version=self.version,
            code_hash=hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if text else None,
        )
        new.alias = instance.alias
        return new

    def note_failure(self, *, is_kept: bool, problem: object) -> None:
        """Warn, once, that a call could not be recorded."""
        if self._failures.get(is_kept):
            return
        self._failures[is_kept] = True
        if is_kept:
            messages.warning(
                f"calls of {self.name} could not be recorded so far; they will be with the next use of the instance "
                f"where it can be written: {problem}"
            )
        else:
            messages.warning(f"calls of {self.name} are not recorded, and cannot be kept for later: {problem}")

    def source_data(self) -> metadata.Data:
        """Return its code, without secrets, as it is stored."""
        text = self._source()
        return {"source_digest": (redact_text(text).encode("utf-8", "surrogateescape") if text else None, ".py")}

    def source_name(self, instance: Instance) -> str | None:
        """Return the name of the object with its code, stored when it is first asked for."""
        if instance.alias not in self._sources:
            stored = metadata.kept(instance, self.source_data())
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

    def code_path(self, instance: Instance) -> str | None:
        """Return the file relative to the project and the function's qualified name, as in `study.py:clean`.

        None where it stands in a cell or an installed package.
        """
        if instance.alias not in self._code_paths:
            path = self._file()
            name = getattr(self.function, "__qualname__", self.name)
            is_own = path is not None and "site-packages" not in path.parts
            found = f"{scripts.relative_reference(path, instance.project_path)}:{name}" if path and is_own else None
            self._code_paths[instance.alias] = storable(found)
        return self._code_paths[instance.alias]

    def _file(self) -> Path | None:
        try:
            file = inspect.getsourcefile(self.function)
        except TypeError:
            return None
        path = Path(file) if file else None
        return path if path is not None and path.is_file() and not _is_cell(path) else None

    def _reference(self, instance: Instance) -> str:
        """Return where it stands: the file relative to the project, or the dotted name of an installed module."""
        if self._has_name:
            return self.name
        module = str(getattr(self.function, "__module__", None) or "")
        path = self._file()
        if path is None:
            return f"{_path_of_current(instance) or module}:{self.name}"
        if "site-packages" in path.parts:
            return f"{module}:{self.name}"
        return f"{scripts.relative_reference(path, instance.project_path)}:{self.name}"


def _is_cell(path: Path) -> bool:
    """Return True if a file is what a kernel keeps of a cell."""
    return path.parent.name.startswith("ipykernel_") or path.name.startswith("<")


def _path_of_current(instance: Instance) -> str | None:
    """Return the reference of what runs: cells are in no file of their own."""
    run = context.run()
    while isinstance(run, Run) and run.alias == instance.alias:
        if run.transform.type in {"notebook", "script"}:
            return run.transform.reference
        run = run.parent
    return None


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


_MOST_TEXT: Final = 500
_MOST_ITEMS: Final = 50
_MOST_DEPTH: Final = 4
_MOST_PATHS: Final = 100
_QUICK: Final = frozenset({"builtins", "datetime", "decimal", "fractions", "pathlib", "uuid", "enum", "re"})


def described(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as plain values of bounded size that can be queried; secrets are replaced.

    Single values are as `core.plain` writes them, files their keys. Of other objects the type is recorded, and the
    shape where there is one: no `repr` is called that could take long.
    """
    return {storable(name): _plain(value, name, 0) for name, value in arguments.items()}


def _plain(value: Any, name: str, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if name and is_secret_name(name):
        return HIDDEN
    if isinstance(value, File):
        return value.key or value.name if not value.is_saved else value.key or value.id
    try:
        found = plain.scalar(value)
    except Exception:
        found = None
    if isinstance(found, int):
        return found if abs(found) < 2**63 else _short(str(found))
    if found is not None:
        return _short(found) if isinstance(found, str) else found
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {one.name: getattr(value, one.name, None) for one in dataclasses.fields(value)}
    if depth < _MOST_DEPTH and isinstance(value, Mapping):
        some = list(value.items())[:_MOST_ITEMS]
        return {_short(str(key)): _plain(inner, str(key), depth + 1) for key, inner in some} | _more(value)
    if depth < _MOST_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else list(value)
        some_items: list[Any] = [_plain(inner, "", depth + 1) for inner in items[:_MOST_ITEMS]]
        return some_items + ([f"… {len(value)} in all"] if len(value) > _MOST_ITEMS else [])
    return _other(value)


def _more(value: Mapping[Any, Any]) -> dict[str, str]:
    return {"…": f"{len(value)} in all"} if len(value) > _MOST_ITEMS else {}


def _other(value: Any) -> Any:
    kind = type(value)
    try:
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape):
            return f"<{kind.__name__} {'×'.join(map(str, shape))}>"
        if kind.__module__ in _QUICK and not isinstance(value, (bytes, bytearray)):
            return _short(repr(value))
        if isinstance(value, (bytes, bytearray)):
            return f"<{kind.__name__} of {len(value)}>"
    except Exception as error:
        return f"<{kind.__name__}: {type(error).__name__}>"
    return f"<{kind.__name__}>"


def _short(text: str) -> str:
    whole = storable(redact_text(text[: 4 * _MOST_TEXT]))
    return whole if len(whole) <= _MOST_TEXT else f"{whole[:_MOST_TEXT]}…"


def records_in(*values: Any) -> list[File]:
    """Return the saved files among values that are records; no database is asked."""
    return [value for value in _leaves(values, 0) if isinstance(value, File) and value.is_saved]


def files_in(instance: Instance, *values: Any) -> list[File]:
    """Return the saved files among values: records, and paths under registered roots that show registered bytes.

    A path that is not registered is skipped.
    """
    found: dict[str, File] = {}
    paths = 0
    for value in _leaves(values, 0):
        if isinstance(value, File):
            if value.is_saved and value.alias == instance.alias:
                found.setdefault(value.id, value)
            continue
        paths += 1
        if paths > _MOST_PATHS:
            break
        text = os.fspath(value)
        if not isinstance(text, str) or locate.location_of(instance, text) is None or not os.path.exists(text):
            continue
        file = locate.registered_at(instance, text, by_bytes=False)
        if file is not None:
            found.setdefault(file.id, file)
    return list(found.values())


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    """Yield records and what looks like paths, also from inside lists and dictionaries."""
    if isinstance(value, (File, os.PathLike)):
        yield value
    elif isinstance(value, str):
        if 0 < len(value) < 4096 and ("/" in value or "." in value) and "\n" not in value and "\0" not in value:
            yield value
    elif depth <= _MOST_DEPTH:
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, (list, tuple, set, frozenset)):
            for inner in list(value)[: 20 * _MOST_ITEMS]:
                yield from _leaves(inner, depth + 1)
