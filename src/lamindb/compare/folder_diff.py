"""Compare folders by their members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from lamindb.compare.result import LISTED, Line, Sign, more
from lamindb.core.text import isolated, printable, size_text
from lamindb.storage.base import Member


@dataclass(frozen=True, slots=True)
class MemberChange:
    """A file of a folder that differs.

    Attributes:
        kind: `changed`, `added`, `removed`, or `moved` if the same bytes have another path.
        path: Its path in the folder; the later one if it was moved.
        size_before: Bytes before; None if it was added.
        size_after: Bytes after; None if it was removed.
        moved_from: Its earlier path if it was moved.
    """

    kind: Literal["changed", "added", "removed", "moved"]
    path: str
    size_before: int | None
    size_after: int | None
    moved_from: str | None = None


@dataclass(frozen=True, slots=True)
class FolderDifference:
    """What differs between two folders.

    Attributes:
        files_before: The number of files before.
        files_after: The number of files after.
        members: The files that differ, by path.
    """

    files_before: int
    files_after: int
    members: tuple[MemberChange, ...]
    kind: Literal["folder"] = "folder"

    @property
    def is_equal(self) -> bool:
        """Return True if the folders have the same files."""
        return not self.members

    def lines(self) -> Iterator[Line]:
        """Yield the lines of a report."""
        yield Line("~", f" files: {self.files_before:,} → {self.files_after:,}")
        for member in self.members[:LISTED]:
            yield _line(member)
        yield from more(len(self.members) - LISTED)


def _line(member: MemberChange) -> Line:
    path = isolated(printable(member.path))
    if member.kind == "moved":
        return Line("~", f" {isolated(printable(member.moved_from or ''))} → {path}, the same bytes")
    if member.kind == "changed":
        return Line("~", f" {path}: {size_text(member.size_before or 0)} → {size_text(member.size_after or 0)}")
    sign: Sign = "+" if member.kind == "added" else "-"
    size = member.size_after if member.kind == "added" else member.size_before
    return Line(sign, f" {path}: {size_text(size or 0)}")


def compare_folders(before: Iterable[Member], after: Iterable[Member]) -> FolderDifference:
    """Compare two folders by the paths and digests of their files."""
    old = {member.path: member for member in before}
    new = {member.path: member for member in after}
    gone = {path: member for path, member in old.items() if path not in new}
    by_digest = {member.digest: path for path, member in reversed(gone.items())}
    found = []
    for path, member in new.items():
        earlier = old.get(path)
        if earlier is not None:
            if earlier.digest != member.digest:
                found.append(MemberChange("changed", path, earlier.size, member.size))
        elif (source := by_digest.pop(member.digest, None)) is not None:
            del gone[source]
            found.append(MemberChange("moved", path, member.size, member.size, source))
        else:
            found.append(MemberChange("added", path, None, member.size))
    found += [MemberChange("removed", path, member.size, None) for path, member in gone.items()]
    return FolderDifference(len(old), len(new), tuple(sorted(found, key=lambda one: one.path)))
