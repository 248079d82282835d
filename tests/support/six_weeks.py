"""A project in plain Python: versions of files, runs that read and wrote them, and what follows from them.

Everything is searched anew for each question, as the documentation words it, without any thought of speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Facts = dict[tuple[str, str], Any]
"""What a run recorded, by kind and name: `("parameter", "how")`."""


@dataclass(eq=False)
class Run:
    """One execution of a program.

    Attributes:
        program: The name of its transform.
        process: What to start to have it run again.
        facts: What it recorded.
        reads: The versions that it read, in their order.
        status: How it ended.
    """

    program: str
    process: str
    facts: Facts
    reads: list[Version]
    status: str = "completed"


@dataclass(eq=False)
class Version:
    """One version of a file.

    Attributes:
        line: The file that it is a version of.
        number: Its number, from 1.
        text: Its content.
        makers: The runs that produced it, in their order.
    """

    line: Line
    number: int
    text: str
    makers: list[Run] = field(default_factory=list)
    is_flagged: bool = False
    is_trashed: bool = False

    @property
    def label(self) -> tuple[str, int]:
        return (self.line.key, self.number)


@dataclass(eq=False)
class Line:
    """All versions of one file."""

    key: str
    versions: list[Version] = field(default_factory=list)

    @property
    def current(self) -> Version | None:
        return next((version for version in reversed(self.versions) if not version.is_trashed), None)


Reason = tuple[str, tuple[str, int], int | None]
"""Its kind, the version that was read, and the number of the current one."""


class Model:
    """Everything in a project."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.runs: list[Run] = []
        self.sources: dict[str, list[Any]] = {}

    # What happens.

    def save(self, key: str, text: str, run: Run | None = None) -> Version:
        """Save a file under a key: the same bytes are the same version, other bytes a new one."""
        now = self.get(key)
        if now is not None and now.text == text:
            version = now
        else:
            line = now.line if now is not None else Line(key)
            self.lines += [line] if now is None else []
            version = Version(line, len(line.versions) + 1, text)
            line.versions.append(version)
        if run is not None:
            version.makers = [*(maker for maker in version.makers if maker is not run), run]
        return version

    def run(self, program: str, process: str, source: Any, reads: Iterable[Version], **facts: Any) -> Run:
        """Run a program; its code has the number of its source among all that were run."""
        if source is not None:
            known = self.sources.setdefault(program, [])
            if source not in known:
                known.append(source)
            facts["code"] = known.index(source) + 1
        found: Facts = {}
        for kind, value in facts.items():
            found |= (
                {(kind, name): one for name, one in value.items()} if isinstance(value, dict) else {(kind, ""): value}
            )
        self.runs.append(Run(program, process, found, list(reads)))
        return self.runs[-1]

    def revert(self, key: str, number: int) -> None:
        """Bring back a version, which came from where it came from."""
        line = self[key].line
        old = line.versions[number - 1]
        line.versions.append(Version(line, len(line.versions) + 1, old.text, list(old.makers)))

    def rename(self, key: str, new: str) -> None:
        self[key].line.key = new

    def trash(self, key: str, *numbers: int) -> None:
        """Move some versions of a file to the trash; the newest other one becomes current."""
        for version in self[key].line.versions:
            version.is_trashed |= version.number in numbers

    def restore(self, key: str) -> None:
        """Take all versions of a file from the trash."""
        for version in self.versions():
            version.is_trashed &= version.line.key != key

    # What is there.

    def get(self, key: str) -> Version | None:
        """Return the current version under a key."""
        return next((version for version in self.current() if version.line.key == key), None)

    def __getitem__(self, key: str) -> Version:
        found = self.get(key)
        assert found is not None, key
        return found

    def versions(self) -> list[Version]:
        return [version for line in self.lines for version in line.versions]

    def current(self) -> list[Version]:
        return [version for line in self.lines if (version := line.current) is not None]

    def made_by(self, run: Run) -> list[Version]:
        return [version for version in self.versions() if run in version.makers]

    def derived(self, version: Version) -> set[Version]:
        """Return everything made from a version, by any of its producers and any number of runs."""
        found: set[Version] = set()
        waiting = [version]
        while waiting:
            one = waiting.pop()
            for run in self.runs:
                if one in run.reads:
                    new = set(self.made_by(run)) - found
                    found |= new
                    waiting += new
        return found

    # What is stale.

    def replaced(self, run: Run) -> dict[Version, Version | None]:
        """Return what a run read that is superseded, with the current version, or removed."""
        last = {version.line.key: version for version in run.reads}
        found: dict[Version, Version | None] = {}
        for key, read in last.items():
            now = self.get(key)
            if now is None:
                found[read] = None
            elif now.text != read.text and not self._came_from(now, run):
                found[read] = now
        return found

    def _came_from(self, version: Version, run: Run) -> bool:
        """Return True if a run itself, or something made from what it made, wrote a version."""
        own = self.made_by(run)
        return version in own or any(version in self.derived(one) for one in own)

    def causes(self, version: Version) -> set[Reason]:
        """Return every reason for which a version is stale."""
        found: set[Reason] = set()
        for one in self._behind(version):
            for read, now in self.replaced(one).items():
                found.add(("superseded" if now else "removed", read.label, now.number if now else None))
        return found

    def _behind(self, version: Version) -> Iterator[Run]:
        """Yield the newest producer of a version, and of each of the inputs that count, and so on."""
        seen: set[Run] = set()
        waiting = [version]
        while waiting:
            one = waiting.pop()
            if one.makers and one.makers[-1] not in seen:
                run = one.makers[-1]
                seen.add(run)
                yield run
                waiting += {read.line.key: read for read in run.reads}.values()

    def is_stale(self, version: Version) -> bool:
        return bool(self.causes(version))

    def stale(self) -> set[Version]:
        return {version for version in self.current() if self.is_stale(version)}

    def with_code(self, run_differs: Callable[[Run], bool]) -> set[Version]:
        """Return the current files that are stale, or came from a run whose code is other code by now."""
        return self.stale() | {one for one in self.current() if any(map(run_differs, self._behind(one)))}

    # What is affected.

    def affected(self) -> dict[Version, set[Version]]:
        """Return the affected versions, with the flagged ones from which each was made."""
        found: dict[Version, set[Version]] = {}
        for flagged in self.versions():
            if flagged.is_flagged:
                for version in self.derived(flagged):
                    found.setdefault(version, set()).add(flagged)
        return found

    # What has to be run.

    def plan(self) -> tuple[dict[str, set[str]], dict[Version, str]]:
        """Return each process to start with those that must come before it, and what is left out with its kind."""
        stale = self.stale()
        process = {version: version.makers[-1].process for version in stale}
        needs: dict[Version, set[Version]] = {}
        for version in stale:
            now = {self.get(read.line.key) for read in version.makers[-1].reads}
            needs[version] = {one for one in now if one in stale and one is not None}
        left: dict[Version, str] = {}
        current_flags = {one for one in self.current() if one.is_flagged}
        affected = self.affected()
        for version in stale:
            reads = {self.get(read.line.key) for read in version.makers[-1].reads}
            if reads & current_flags or affected.get(version, set()) & current_flags:
                left[version] = "flagged"
            elif None in self.replaced(version.makers[-1]).values():
                left[version] = "removed"
            elif version in needs[version]:
                left[version] = "loop"
        # A process that is not started leaves out everything it makes, and whatever needs that.
        while True:
            blocked = {process[version]: kind for version, kind in left.items()}
            more = {one: blocked[process[one]] for one in stale - left.keys() if process[one] in blocked}
            more |= {one: "waits" for one in stale - left.keys() - more.keys() if needs[one] & left.keys()}
            if not more:
                break
            left |= more
        units: dict[str, set[str]] = {}
        for version in stale - left.keys():
            before = {process[one] for one in needs[version]} - {process[version]}
            units.setdefault(process[version], set()).update(before)
        return units, left

    # What made the difference.

    def why(self, before: Version, after: Version) -> set[tuple[Any, ...]]:
        """Return why two versions of a file differ."""
        found: set[tuple[Any, ...]] = set()
        if before.text == after.text:
            return found
        seen: set[tuple[Version, Version]] = set()
        waiting = [(before, after)]
        while waiting:
            pair = waiting.pop()
            if pair in seen:
                continue
            seen.add(pair)
            old, new = (pair[0].makers or [None])[-1], (pair[1].makers or [None])[0]
            if old is None and new is None:
                found.add(("saved", pair[1].line.key, pair[0].number, pair[1].number))
            elif old is None or new is None:
                found.add(("producer", pair[1].line.key))
            else:
                found |= self._changed(old, new)
                waiting += self._paired(pair[1], old, new, found)
        return found

    @staticmethod
    def _changed(old: Run, new: Run) -> set[tuple[Any, ...]]:
        found: set[tuple[Any, ...]] = set()
        for kind, name in old.facts.keys() | new.facts.keys():
            values = old.facts.get((kind, name)), new.facts.get((kind, name))
            if values[0] != values[1]:
                found.add((kind, name or new.program, *values))
        return found

    @staticmethod
    def _paired(after: Version, old: Run, new: Run, found: set[tuple[Any, ...]]) -> list[tuple[Version, Version]]:
        """Return the inputs to follow, and note those that only one of two runs read."""
        were, are = ({read.line.key: read for read in run.reads} for run in (old, new))
        follow = []
        for key in were.keys() | are.keys():
            was, now = were.get(key), are.get(key)
            if was is not None and now is not None and was.text == now.text:
                continue
            if now is not None and now.line is after.line:
                found.add(("continued", key))
            elif was is not None and now is not None:
                follow.append((was, now))
            else:
                found.add(("input", key, now is not None))
        return follow
