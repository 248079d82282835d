"""What the other rooms ask of a view, and the view of a storage that has none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from lamindb.errors import ViewConflictError
from lamindb.storage.base import ObjectName
from lamindb.storage.view import Mode, Shown
from lamindb.storage.view_state import State


class ViewLike(Protocol):
    """Shows current files under their keys, or nothing. See `View` for the promises of its methods."""

    @property
    def mode(self) -> Mode:
        """How files are shown."""

    def conflict(self, key: str, name: ObjectName | None, known: Iterable[str] = ()) -> str | None:
        """Say why a key cannot be shown; None if it can."""

    def show(
        self,
        key: str,
        name: ObjectName,
        *,
        is_folder: bool = False,
        replaces: ObjectName | None = None,
        move_aside: bool = False,
    ) -> None:
        """Show an object under a key."""

    def show_many(self, files: Sequence[Shown], *, move_aside: bool = False) -> list[ViewConflictError]:
        """Show many files; return the conflicts, whose files were left as they were."""

    def move_aside(self, path: str, *, beside: str) -> None:
        """Move a file out of the view, to a new name beside a key."""

    def hide(self, key: str, name: ObjectName, *, is_folder: bool = False) -> bool:
        """Remove what is shown under a key; False if what is there is not ours."""

    def state(self, key: str, name: ObjectName, *, is_folder: bool = False) -> State:
        """Tell what stands under a key."""


class NoView:
    """The view of a storage that has none: it shows nothing, and nothing stands in its way."""

    @property
    def mode(self) -> Mode:
        """How files are shown: not at all."""
        return "none"

    def conflict(self, key: str, name: ObjectName | None, known: Iterable[str] = ()) -> str | None:
        """Find nothing in the way."""
        del key, name, known
        return None

    def show(
        self,
        key: str,
        name: ObjectName,
        *,
        is_folder: bool = False,
        replaces: ObjectName | None = None,
        move_aside: bool = False,
    ) -> None:
        """Show nothing."""

    def show_many(self, files: Sequence[Shown], *, move_aside: bool = False) -> list[ViewConflictError]:
        """Show nothing."""
        del files, move_aside
        return []

    def move_aside(self, path: str, *, beside: str) -> None:
        """Move nothing."""
        del path, beside

    def hide(self, key: str, name: ObjectName, *, is_folder: bool = False) -> bool:
        """Hide nothing."""
        del key, name, is_folder
        return True

    def state(self, key: str, name: ObjectName, *, is_folder: bool = False) -> State:
        """Find nothing."""
        del key, name, is_folder
        return "missing"
