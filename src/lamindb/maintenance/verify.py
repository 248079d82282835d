"""Checking that everything that is recorded is stored, byte by byte.

Objects are looked at in the order of their digests, in small pages of rows, by several threads. So it can stop at any
time, go on later where it was, and never holds the database up. How far it is, is noted now and then, so that one that
is killed can go on, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from lamindb.core import context, documents, filesystem, messages, paths
from lamindb.core.keys import check_key
from lamindb.core.progress import Progress
from lamindb.errors import DatabaseError, IntegrityError, InvalidInputError
from lamindb.files import plan, view_sync
from lamindb.maintenance import findings, gc, last_report, reachable
from lamindb.maintenance.findings import Finding
from lamindb.maintenance.reachable import FolderSizes, Needed
from lamindb.records.open_instance import Instance
from lamindb.storage.base import Damage, ObjectStore

_FORMAT = 1


def _paths(instance: Instance) -> list[Path]:
    """Return where a note may lie: with the instance, or in the user's cache where that cannot be written."""
    found = [] if instance.is_read_only else [instance.home_path / "verify.json"]
    cache = paths.cache_folder()
    if cache is not None:
        found.append(cache / f"verify-{instance.id}.json")
    return found


def store(instance: Instance, prefix: str | None, quick: bool, work: dict[str, Any]) -> bool:
    """Remember how far a verification is; False where that cannot be written."""
    text = json.dumps({"format": _FORMAT, "prefix": prefix, "quick": quick, "work": work}, ensure_ascii=False)
    for path in _paths(instance):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            filesystem.write_text(path, text + "\n")
        except OSError as error:
            messages.debug(f"cannot write {path}: {error}")
        else:
            return True
    return False


def load(instance: Instance, prefix: str | None, quick: bool) -> dict[str, Any] | None:
    """Return what was remembered of a verification with these arguments; None if there is nothing, or it is damaged."""
    for path in _paths(instance):
        try:
            values = documents.parse_json(path.read_text(encoding="utf-8"))
            if (values["format"], values["prefix"], values["quick"]) == (_FORMAT, prefix, quick):
                work = values["work"]
                return work if isinstance(work, dict) else None
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def forget(instance: Instance) -> None:
    """Drop what was remembered."""
    for path in _paths(instance):
        with contextlib.suppress(OSError):
            os.unlink(path)


_REMOTE_THREADS: Final = 8
_LOCAL_THREADS: Final = 4
_NOTE_SECONDS: Final = 5.0
_NOTE_SHARE: Final = 50
"""What is noted grows with the damage that was found: between two notes lies so many times what writing one takes."""
_STAGES: Final = ("objects", "runs", "in place")


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found.

    Attributes:
        checked: How many objects, and files registered in place, were compared.
        n_bytes: Their size in bytes as rows and the lists of folders tell it, without what belongs to runs.
        missing: What is recorded and not there.
        corrupt: What is there and not what was saved.
        edited: Files of the view that a user changed: the saved bytes are unharmed.
        untracked: Files in the storage folder that are not recorded.
        orphans: Objects that nothing needs; `lamin gc` removes them.
        lost: Orphans that the folder still shows under a key, where there are many of them: the database is older than
            what lies beside it.
        incoming: What dead writers left; `lamin gc` removes it.
        overlapping: Keys that lie in a folder which is stored as one: no new ones can be made.
        database: What is wrong with the database itself, in lines for a person.
        is_complete: Everything was looked at; False if the time was up, or the database could not be read to its end.
        seconds: How long it took, including the times before this one that it went on from.
    """

    checked: int
    n_bytes: int
    missing: tuple[Finding, ...]
    corrupt: tuple[Finding, ...]
    edited: tuple[str, ...]
    untracked: tuple[str, ...]
    orphans: tuple[str, ...]
    lost: tuple[str, ...]
    incoming: tuple[str, ...]
    is_complete: bool
    seconds: float
    database: tuple[str, ...] = ()
    overlapping: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found missing, corrupt or lost, and the database is sound."""
        return not (self.missing or self.corrupt or self.lost or self.database)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {"is_clean": self.is_clean, **asdict(self)}

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def __str__(self) -> str:
        lines = [f"checked {self.checked:,} objects and files, {self.n_bytes:,} bytes, in {self.seconds:,.1f} s"]
        lines += [f"the database is damaged: {one}" for one in self.database]
        for kind, found in (("missing", self.missing), ("corrupt", self.corrupt)):
            lines += [f"{kind}: {one}" for one in found]
        rest = {"edited": self.edited, "not recorded": self.untracked, "orphaned": self.orphans}
        lines += [f"{len(names):,} {kind}" for kind, names in rest.items() if names]
        if self.lost:
            lines.append(findings.describe_lost(len(self.lost)))
        if self.overlapping:
            lines.append(f"in a folder that is stored as one, too: {', '.join(self.overlapping)}")
        if self.incoming:
            lines.append(f"{len(self.incoming):,} unfinished writes of dead processes")
        if not self.is_complete and not self.database:
            lines.append("not complete: the time was up; go on by --resume")
        return "\n".join(lines)


@dataclass(slots=True)
class _Work:
    """How far a verification is, and what it found."""

    prefix: str | None
    quick: bool
    stage: int = 0
    cursor: list[str] = field(default_factory=lambda: ["", ""])
    checked: int = 0
    n_bytes: int = 0
    seconds: float = 0.0
    missing: list[Finding] = field(default_factory=list)
    corrupt: list[Finding] = field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> _Work:
        work = cls(**{**values, "missing": [], "corrupt": []})
        work.missing = [Finding.from_plain(one) for one in values["missing"]]
        work.corrupt = [Finding.from_plain(one) for one in values["corrupt"]]
        return work


def verify(
    prefix: str | None = None,
    *,
    quick: bool = False,
    seconds: float | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check the database, and compare what the current instance recorded with what is stored, byte by byte.

    Changes nothing but its own notes: its last result, and how far it is. Interrupted, failing or killed, it leaves one
    for `resume`; begun anew, it drops what an earlier one left.

    Args:
        prefix: Only files under this folder of keys, or of this key; None for all, also what belongs to runs.
        quick: Trust bytes whose size and stat are as when they were last compared.
        seconds: Stop after about this time; what was found so far is kept for `resume`. None: as long as it takes.
        resume: Go on where the last call with the same arguments stopped, if it did.
        progress: Told how many objects are done, and about how many there are.

    Returns:
        What was found. Damage is no error here: see `is_clean`.

    Raises:
        InvalidInputError: `prefix` cannot be a key, or `seconds` no time.
        StorageError, DatabaseError: The storage or the database cannot be read at all.
    """
    if seconds is not None and not seconds > 0:
        raise InvalidInputError(f"seconds must be a time above 0, not {seconds!r}")
    prefix = check_key(prefix.rstrip("/")) if prefix else None
    instance = context.instance()
    plain = load(instance, prefix, quick) if resume else None
    if plain is None:
        forget(instance)
    work = _Work.from_plain(plain) if plain is not None else _Work(prefix, quick)
    course = _Course(instance, work, seconds, progress)
    beside, is_complete = _Beside(), False
    damages = findings.of_database(instance)
    try:
        is_complete = _run(instance, work, course)
        if is_complete:
            beside = _Beside.look(instance, prefix)
    except BaseException as error:
        course.note(is_last=True)
        if not damages or not isinstance(error, DatabaseError):
            raise
        # The damage was found already; what could be read was looked at.
        damages.append(f"not everything could be looked at: {error}")
        is_complete = False
    if is_complete:
        forget(instance)
    else:
        course.note(is_last=True)
    report = VerifyReport(
        checked=work.checked,
        n_bytes=work.n_bytes,
        missing=tuple(work.missing),
        corrupt=tuple(work.corrupt),
        edited=beside.edited,
        untracked=beside.untracked,
        orphans=beside.orphans,
        lost=beside.lost,
        incoming=tuple(view_sync.left_behind(instance)),
        is_complete=is_complete,
        seconds=course.seconds(),
        database=tuple(damages),
        overlapping=beside.overlapping,
    )
    last_report.leave(instance, "verify", {**report.to_dict(), "prefix": prefix, "quick": quick})
    return report


@dataclass(frozen=True, slots=True)
class _Beside:
    """What lies beside what is recorded; see `VerifyReport`."""

    edited: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    overlapping: tuple[str, ...] = ()

    @classmethod
    def look(cls, instance: Instance, prefix: str | None) -> _Beside:
        edited = tuple(findings.edited(instance, prefix))
        untracked = tuple(findings.untracked(instance, prefix))
        if prefix is not None:
            return cls(edited, untracked)
        unneeded = [name for name, _ in gc.unneeded(instance)]
        orphans = sorted(name.digest + name.suffix for name in unneeded)
        shown = [name.digest + name.suffix for name in findings.shown_orphans(instance, unneeded)]
        lost = shown if len(shown) >= findings.MANY_LOST else []
        overlapping = tuple(plan.overlapping(instance))
        return cls(edited, untracked, tuple(orphans), tuple(lost), overlapping)


class _Course:
    """What is done between two objects: the progress is told, the place is noted now and then, the time is looked at.

    Args:
        instance: The instance.
        work: How far it is.
        seconds: How long it may take from now on; None: as long as it takes.
        progress: See `verify`.
    """

    def __init__(self, instance: Instance, work: _Work, seconds: float | None, progress: Progress | None) -> None:
        now = time.monotonic()
        self._instance = instance
        self._work = work
        self._began = now - work.seconds
        self._deadline = now + seconds if seconds is not None else None
        self._note_at = now + _NOTE_SECONDS
        self._progress = progress
        self._total = _total(instance, work.prefix)

    def seconds(self) -> float:
        """Return how long it took so far, with the times before that it went on from."""
        return time.monotonic() - self._began

    def goes_on(self) -> bool:
        """Do what is due after an object; tell whether there is time for more."""
        if self._progress is not None:
            self._progress(min(self._work.checked, self._total), self._total)
        if time.monotonic() >= self._note_at:
            self.note()
        return self._deadline is None or time.monotonic() < self._deadline

    def note(self, *, is_last: bool = False) -> None:
        """Write down how far it is; say so where the last note cannot be written."""
        began = time.monotonic()
        self._work.seconds = self.seconds()
        is_stored = store(self._instance, self._work.prefix, self._work.quick, self._work.to_plain())
        ended = time.monotonic()
        self._note_at = ended + max(_NOTE_SECONDS, _NOTE_SHARE * (ended - began))
        if is_last and not is_stored:
            messages.warning("how far the verification came could not be written down: the next one begins anew")


def _run(instance: Instance, work: _Work, course: _Course) -> bool:
    """Go through all stages; False if the time was up. Each call gets at least one object done."""
    store = instance.store
    threads = min(_LOCAL_THREADS, os.cpu_count() or 1) if store.is_local else _REMOTE_THREADS
    # The size of a file in a folder is known sooner than a thread is asked for it.
    at_once = 1 if store.is_local and work.quick else 2 * threads
    with FolderSizes(instance) as sizes, ThreadPoolExecutor(threads, thread_name_prefix="lamindb-verify") as pool:
        while work.stage < len(_STAGES):
            stage = _STAGES[work.stage]
            check, needed = _stage(instance, store, sizes, stage, work)
            waiting: deque[tuple[Needed, Future[Damage | None]]] = deque()
            try:
                for one in needed:
                    waiting.append((one, _answered(check, one) if at_once == 1 else pool.submit(check, one)))
                    if len(waiting) >= at_once:
                        _settle(instance, work, waiting)
                        if not course.goes_on():
                            return False
                while waiting:
                    _settle(instance, work, waiting)
                    if not course.goes_on() and waiting:
                        return False
            finally:
                for _, future in waiting:
                    future.cancel()
            work.stage, work.cursor = work.stage + 1, ["", ""]
    return True


def _answered(check: Callable[[Needed], Damage | None], one: Needed) -> Future[Damage | None]:
    """Check something in this thread."""
    future: Future[Damage | None] = Future()
    future.set_result(check(one))
    return future


def _settle(instance: Instance, work: _Work, waiting: deque[tuple[Needed, Future[Damage | None]]]) -> None:
    """Take in the oldest answer."""
    one, future = waiting.popleft()
    damage = future.result()
    cursor, n_bytes = list(one.cursor), work.n_bytes + (one.size or 0)
    if damage is not None:
        needed_by = findings.users_of(instance, one.name) if one.file is None else (findings.shown(one.file),)
        where = work.missing if damage.kind == "missing" else work.corrupt
        finding = Finding(one.name.digest + one.name.suffix, damage.kind, damage.detail, needed_by)
        # An interruption just after this, and the object is looked at again: its damage is told once, and never lost.
        if where[-1:] != [finding]:
            where.append(finding)
    # No call here, so that an interruption comes before or after all three.
    work.cursor, work.checked, work.n_bytes = cursor, work.checked + 1, n_bytes


def _stage(
    instance: Instance, store: ObjectStore, sizes: FolderSizes, stage: str, work: _Work
) -> tuple[Callable[[Needed], Damage | None], Iterator[Needed]]:
    """Return how the things of a stage are checked, and the things after the cursor."""
    if stage == "in place":
        return (
            lambda one: findings.check_in_place(instance, one.file, quick=work.quick),
            reachable.in_place(instance, work.prefix, work.cursor[0]),
        )

    def check(one: Needed) -> Damage | None:
        # A list of a folder that could not be read has no size that could be compared.
        quick = work.quick and not (one.is_manifest and one.size is None)
        try:
            return store.check(one.name, one.size, quick=quick)
        except IntegrityError as error:
            return Damage(one.name, "bytes", str(error))

    if stage == "objects":
        return check, reachable.objects(instance, work.prefix, (work.cursor[0], work.cursor[1]), sizes)
    return check, reachable.objects_of_runs(instance, work.prefix, work.cursor[0])


def _total(instance: Instance, prefix: str | None) -> int:
    query = reachable.files(instance, prefix).values_list("digest").distinct()
    try:
        return int(query.count())
    except DatabaseError as error:
        messages.debug(f"how many objects there are cannot be told: {error}")
        return 0
