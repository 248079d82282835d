"""The tree of errors: drawn as it is, and each to be caught as what it also is."""

from __future__ import annotations

import inspect
import re

import pytest

from lamindb import errors
from lamindb.errors import LaminError

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, LaminError)]


def _drawn() -> dict[str, tuple[str | None, str | None]]:
    """Return, for each class in the drawing, its parent and what else it is."""
    found: dict[str, tuple[str | None, str | None]] = {}
    above: list[str] = []
    drawing = (errors.__doc__ or "").split("```")[1]
    for line in drawing.strip().splitlines():
        match = re.match(r"((?:[│├└─ ]{4})*)(\w+) *(?:\((\w+)\))?", line)
        assert match is not None, line
        depth = len(match[1]) // 4
        del above[depth:]
        found[match[2]] = (above[-1] if above else None, match[3])
        above.append(match[2])
    return found


def test_the_drawing_names_every_class_its_parent_and_what_else_it_is() -> None:
    assert sorted(_drawn()) == sorted(cls.__name__ for cls in CLASSES) == errors.__all__
    for name, (parent, builtin) in _drawn().items():
        bases = [base.__name__ for base in getattr(errors, name).__bases__]
        assert bases == [base for base in (parent or "Exception", builtin) if base], name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_carries_its_message_whatever_else_it_is(cls: type[LaminError]) -> None:
    error = cls("what, which one, why, what to do")
    assert str(error) == "what, which one, why, what to do"
    assert cls.__doc__ is not None
    assert "\n" not in cls.__doc__


@pytest.mark.parametrize(
    ("code", "group"),
    [
        (2, errors.InvalidInputError), (2, errors.UnsupportedError), (3, errors.NotFoundError),
        (4, errors.StorageError), (4, errors.DatabaseError), (5, errors.IntegrityError),
        (6, errors.ConflictError), (6, errors.NotUniqueError),
    ],
)  # fmt: skip
def test_exit_codes_hold_for_a_whole_group(code: int, group: type[LaminError]) -> None:
    members = [cls for cls in CLASSES if issubclass(cls, group)]
    assert {cls.exit_code for cls in members} == {code}


def test_no_error_stands_in_two_groups() -> None:
    groups = LaminError.__subclasses__()
    for cls in CLASSES:
        assert sum(issubclass(cls, group) for group in groups if group.__module__ == errors.__name__) <= 1, cls
