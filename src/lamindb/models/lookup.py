"""Records as attributes, for completion by Tab."""

from __future__ import annotations

import difflib
import keyword
import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lamindb.errors import UnknownFieldError

if TYPE_CHECKING:
    from lamindb.models.query import RecordQuery

_RESERVED = frozenset({"dict", "of"})


def attribute_name(value: str) -> str:
    """Turn a value into an attribute name: lower case, `_` for everything else, never a keyword.

    Examples:
        >>> attribute_name("Cell Ranger"), attribute_name("1abc"), attribute_name("class")
        ('cell_ranger', 'ln_1abc', 'ln_class')
    """
    # Python reads names in this form, so that what is typed is found.
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())
    if not plain.isascii():
        # Numbers such as ² are part of words, but not of identifiers.
        plain = "".join(letter if f"_{letter}".isidentifier() else "_" for letter in plain)
    name = re.sub(r"[\W_]+", "_", plain).strip("_")
    if not name or not name[0].isalpha() or keyword.iskeyword(name) or name in _RESERVED or not name.isidentifier():
        name = f"ln_{name}"
    return name


class Lookup:
    """A snapshot of records, each an attribute. Several records of one name are a list."""

    __slots__ = ("_by_name", "_by_value", "_what")

    def __init__(self, what: str, pairs: list[tuple[str, Any]]) -> None:
        self._what = what
        self._by_name: dict[str, Any] = {}
        self._by_value: dict[str, Any] = {}
        for value, record in pairs:
            _collect(self._by_name, attribute_name(value), record)
            _collect(self._by_value, value, record)

    @classmethod
    def of(cls, query: RecordQuery[Any], field: str | None) -> Lookup:
        """Make one from a query.

        Raises:
            UnknownFieldError: The model has no such field.
        """
        from lamindb.models import field_names

        wanted = field or query.model.SEARCH_FIELD
        real = field_names.canonical(query.model, [wanted])
        if len(real) != 1 or real[0] not in {f.name for f in query.model._meta.concrete_fields}:
            raise field_names.unknown_field(query.model, wanted)
        records = list(query)
        pairs = [(str(getattr(r, real[0])), r) for r in records if getattr(r, real[0]) not in (None, "")]
        return cls(query.model.__name__, pairs)

    def dict(self) -> dict[str, Any]:
        """Return the records by their unchanged values."""
        return dict(self._by_value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._by_name[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._by_name, 3)
            advice = f": did you mean {', '.join(near)}?" if near else ""
            raise UnknownFieldError(f"no {self._what} is called {name!r}{advice}") from None

    def __getitem__(self, value: str) -> Any:
        return self._by_value[value] if value in self._by_value else getattr(self, attribute_name(value))

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._by_value)

    def __dir__(self) -> list[str]:
        return [*sorted(self._by_name), "dict"]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        field_names = sorted(self._by_name)
        if not field_names:
            return f"Lookup of {self._what}: empty, as none has a value to be looked up by"
        shown = ", ".join(field_names[:10]) + (f", … {len(field_names) - 10} more" if len(field_names) > 10 else "")
        return f"Lookup of {self._what}: {shown}"


def _collect(into: dict[str, Any], name: str, record: Any) -> None:
    if name not in into:
        into[name] = record
    elif isinstance(into[name], list):
        into[name].append(record)
    else:
        into[name] = [into[name], record]
