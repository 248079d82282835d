"""The files that a command is said to read and to make: found before and after it, never taken from another run.

What a command made is what stands under its patterns afterwards and was not there before as it is now. Where another
run worked at the same time and its patterns name the same file, its producer is unknown, and it is not taken,
unless the command's own system calls were watched.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import time
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from django.db import Error

from lamindb.core import filesystem, messages, processes
from lamindb.core.text import storable
from lamindb.environment import scripts
from lamindb.environment.redaction import redact_text
from lamindb.errors import (
    DatabaseError,
    InvalidInputError,
    LaminError,
    NoResultFound,
    ReadOnlyError,
    SourceNotFoundError,
)
from lamindb.files import save
from lamindb.files.locate import location_of, registered_at, with_key
from lamindb.files.source import hash_local
from lamindb.models import File, Run, RunOutput
from lamindb.records import edges
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName
from lamindb.storage.manifest import read_manifest

LAUNCHED_AT: Final = "launched_at"
"""Where the row of a run says when its program was started, in seconds since the epoch; nothing until it is."""

_MAGIC = frozenset("*?[")
_MOST_LISTED: Final = 100
_CLOCK_TICK_SECONDS = 0.01
"""By so much the time of a file may lie before that of its writing."""
_TOLD_WITHIN_SECONDS = 0.25
"""A tracer tells of a call right after it; a busy machine may let it wait."""

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Patterns of files that a command makes, absolute, and what stood there before it began."""

    patterns: tuple[str, ...]
    before: dict[str, Stamp] = field(default_factory=dict)


@dataclass(slots=True)
class Saved:
    """What became of the outputs of a command.

    Attributes:
        files: Those that were saved.
        unsaved: Those that could not be, each with the reason.
        waiting: The paths and keys of those that could not be because the database failed: they are saved later.
        failure: How it failed.
    """

    files: list[File] = field(default_factory=list)
    unsaved: list[str] = field(default_factory=list)
    waiting: dict[str, str | None] = field(default_factory=dict)
    failure: Exception | None = None

    def wait(self, made: Mapping[str, str | None], failure: Exception) -> None:
        """Note outputs, by their paths, with their keys, that could not be saved because the database failed."""
        self.waiting, self.failure = dict(made), failure

    def shown_waiting(self) -> list[str]:
        """Return what those that wait are called."""
        return [redact_text(storable(key or path)) for path, key in self.waiting.items()]

    def lose(self, paths: Iterable[str]) -> None:
        """Note that outputs cannot wait either."""
        for path in paths:
            key = self.waiting.pop(path)
            self.add_unsaved(key or path, self.failure or DatabaseError("the database failed"))

    def add_unsaved(self, what: str, error: Exception) -> None:
        """Note what could not be saved, and why."""
        self.unsaved.append(redact_text(storable(f"{what}: {error}")))

    def facts(self) -> dict[str, list[str]]:
        """Return what is stored of it as a part of `run.capture`."""
        return {"unsaved": self.unsaved[:_MOST_LISTED]} if self.unsaved else {}


def inputs_of(instance: Instance, items: Iterable[str], cwd: Path) -> list[File]:
    """Return the saved files that are meant by paths, addresses, patterns or keys. Others are saved, or registered.

    Raises:
        SourceNotFoundError, InvalidInputError: An address leads to nothing, or into no storage. Nothing was saved.
        NoResultFound: There is neither such a file nor such a key. Nothing was saved.
        StorageError: A file could not be read or stored.
    """
    known: list[File] = []
    new: list[File] = []
    for item in items:
        if "://" in item and not item.startswith("file://"):
            new.append(_unmade(File(item)))
            continue
        paths = paths_of(item, cwd)
        if not paths:
            found = with_key(instance, item) or _folder_with(instance, item)
            if found is None:
                raise NoResultFound(f"the input {item!r} is neither a file here nor the key or version of one")
            known.append(found)
        for path in paths:
            registered = registered_at(instance, path) or _folder_at(instance, path)
            if registered is not None:
                known.append(registered)
                continue
            new.append(_new_file(instance, path, cwd, None))
    if new:
        save.save_files(new)
    return known + new


def outputs_later(instance: Instance, outputs: Outputs, cwd: Path) -> dict[str, str | None]:
    """Return what a command made, by path, with its key, for a run that is recorded later; no database is asked."""
    _tell_missing(outputs)
    return {path: key_of(instance, path, cwd, [instance.root_url]) for path in made(outputs)}


def _folder_at(instance: Instance, path: str) -> File | None:
    """Return the saved folder that shows a file among its members, with the bytes that the file has now."""
    place = location_of(instance, path)
    if place is None or place[0] != instance.storage_id or not os.path.isfile(path):
        return None
    try:
        return _folder_with(instance, place[1], hash_local(os.path.realpath(path), None, instance.hash_cache).digest)
    except (LaminError, OSError):
        return None


def _folder_with(instance: Instance, key: str, digest: str | None = None) -> File | None:
    """Return the current folder that has a member under a key, with a digest where one is given."""
    above = [key[:position] for position, character in enumerate(key) if character == "/"]
    query = File.objects.using(instance.alias).filter(storage_id=instance.storage_id, key__in=above, is_folder=True)
    for folder in query.filter(is_latest=True, trashed_at__isnull=True).order_by("-key"):
        inside = key[len(str(folder.key)) + 1 :]
        for member in read_manifest(instance.store, ObjectName(folder.digest, folder.suffix)):
            if member.path == inside and digest in {None, member.digest}:
                return cast("File", folder)
    return None


def paths_of(item: str, cwd: Path) -> list[str]:
    """Return what is meant by a path or pattern."""
    text = os.path.join(cwd, os.path.expanduser(item))
    if os.path.lexists(text):
        return [os.path.abspath(text)]
    if not _MAGIC & set(item):
        return []
    return sorted(os.path.abspath(path) for path in glob.glob(text, recursive=True) if os.path.isfile(path))


def _new_file(instance: Instance, path: str, cwd: Path, run: Run | None) -> File:
    file = File(path, key=key_of(instance, path, cwd), run=run)
    return _unmade(file) if run is None else file


def _unmade(file: File) -> File:
    # What a command reads is not made by whatever run is current now.
    file.run, file.transform_id = None, None
    return file


def key_of(instance: Instance, path: str, cwd: Path, roots: Iterable[str] | None = None) -> str | None:
    """Return the key of a file: its path in the project; None inside a storage root, where its place is its key.

    A link has its own name, and a file in a folder that a link leads to from the project is in the project.
    """
    given = os.path.abspath(os.path.join(cwd, path))
    real = os.path.join(os.path.realpath(os.path.dirname(given)), os.path.basename(given))
    for root in [root for root, _ in instance.roots()] if roots is None else roots:
        if "://" not in root and real.startswith(root.rstrip("/") + "/"):
            return None
    project = instance.project_path
    for folder, place in (
        (project, real),
        (project, given),
        (scripts.project_root(Path(real).parent), real),
        (cwd, given),
    ):
        for base in {str(folder), str(folder.resolve())} if folder is not None else ():
            if place.startswith(base.rstrip("/") + "/"):
                return unicodedata.normalize("NFC", os.path.relpath(place, base).replace(os.sep, "/"))
    return os.path.basename(given)


def expect(patterns: Sequence[str], cwd: Path) -> Outputs:
    """Look at what stands under patterns before a command begins.

    Raises:
        InvalidInputError: A pattern is empty.
    """
    absolute = []
    for pattern in patterns:
        if not pattern or "\0" in pattern:
            raise InvalidInputError("the pattern of an output is empty: pass a path such as 'out/*.csv'")
        absolute.append(os.path.normpath(os.path.join(cwd, os.path.expanduser(pattern))))
    return Outputs(tuple(absolute), {path: stamp for path in _matching(absolute) if (stamp := _stamp(path))})


def made(outputs: Outputs) -> list[str]:
    """Return what stands under the patterns now and was not there before as it is now."""
    return [path for path in _matching(outputs.patterns) if _stamp(path) != outputs.before.get(path)]


def _matching(patterns: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for pattern in patterns:
        if os.path.isfile(pattern) or os.path.isdir(pattern):
            found[pattern] = None
        elif _MAGIC & set(pattern):
            for path in sorted(glob.glob(pattern, recursive=True, include_hidden=False)):
                if os.path.isfile(path):
                    found[path] = None
    return list(found)


def _stamp(path: str) -> Stamp | None:
    """Return what changes when a file is written or, for a folder, anything in it."""
    try:
        if not os.path.isdir(path):
            status = os.stat(path)
            return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        newest = count = size = 0
        for folder, _, names in os.walk(path):
            for name in (".", *names):
                status = os.stat(os.path.join(folder, name), follow_symlinks=False)
                newest, count, size = max(newest, status.st_ctime_ns), count + 1, size + status.st_size
        return count, size, newest, 0
    except OSError:
        return None


def is_vague(pattern: str) -> bool:
    """Return True if a pattern may name files of others."""
    return bool(_MAGIC & set(pattern)) and not os.path.lexists(pattern)


def rivals(instance: Instance, run: Run) -> list[Run]:
    """Return the runs that worked while a run did and said which files they make; not those above or below it."""
    query = Run.objects.using(instance.alias).filter(capture__has_key="declared").exclude(id=run.id)
    found = [
        *query.filter(finished_at__isnull=True).order_by(),
        *query.filter(updated_at__gte=run.started_at).order_by(),
    ]
    above = _ids_above(run)
    return [other for other in found if other.id not in above and run.id not in _ids_above(other)]


def ours_later(
    instance: Instance,
    run: Run,
    paths: Iterable[str],
    theirs: Container[str],
    written_by: Callable[[Run], frozenset[str] | None],
) -> dict[str, bool | None]:
    """Return True for what a command made that is recorded later; None where another run may have made it.

    Args:
        instance: Its instance.
        run: Its run.
        paths: What it made.
        theirs: What other runs made that wait, too.
        written_by: Returns the files that another run wrote, where its system calls were watched.
    """
    exact = {pattern for pattern in (run.capture or {}).get("declared", []) if not is_vague(pattern)}
    # What is recorded late was updated late: only when it ended tells whether it worked at the same time.
    began = run.started_at
    others = [one for one in rivals(instance, run) if not (one.finished_at and began and one.finished_at < began)]

    def is_ours(path: str) -> bool | None:
        if storable(path) in exact:
            return True
        return None if path in theirs else _is_ours(path, others, written_by)

    return {path: is_ours(path) for path in paths}


def _ids_above(run: Run) -> set[str]:
    """Return the ids of the runs within which a run ran."""
    found: set[str] = set()
    wanted = run.parent_id
    while wanted is not None and wanted not in found:
        found.add(wanted)
        query = Run.objects.using(str(run.alias)).filter(id=wanted)
        wanted = query.values_list("parent_id", flat=True).order_by().first()
    return found


def _is_ours(path: str, others: Iterable[Run], written_by: Callable[[Run], frozenset[str] | None]) -> bool | None:
    """Return True if a file is ours that patterns of other runs name, too; None where that is unknown."""
    known: bool | None = True
    # Patterns and paths of other runs are what their rows hold of them.
    shown, real = storable((path, os.path.realpath(path)))
    changed_at = _changed_at(path)
    if changed_at is None:
        return False
    tells_time = not filesystem.is_network_file_system(filesystem.file_system_type(path))
    for other in others:
        stored = other.capture or {}
        patterns = stored.get("declared", [])
        if not any(shown == one or fnmatch.fnmatchcase(shown, one) or shown.startswith(one + "/") for one in patterns):
            continue
        launched_at = stored.get(LAUNCHED_AT)
        is_comparable = tells_time and other.host == processes.host()
        if launched_at is None or (is_comparable and changed_at < launched_at - _CLOCK_TICK_SECONDS):
            # Its program had not started when this file was written.
            continue
        written = written_by(other)
        if written is None:
            known = None
        elif real in written or _holds_any(path, written):
            return False
    return known


def _changed_at(path: str) -> float | None:
    """Return when a file was last changed, in seconds since the epoch; None if it is gone."""
    try:
        return os.stat(path).st_ctime
    except OSError:
        return None


def save_outputs(
    instance: Instance,
    run: Run,
    outputs: Outputs,
    cwd: Path,
    written: frozenset[str] | None,
    written_by: Callable[[Run], frozenset[str] | None],
    saved: Saved,
) -> list[str]:
    """Save what a command made, as outputs of its run: all that can be, each by itself where they cannot together.

    Args:
        instance: Where to save.
        run: Its run.
        outputs: What was expected.
        cwd: Where it ran.
        written: The files that it wrote, where its system calls were watched; else None.
        written_by: Returns the same of another run.
        saved: Takes in the files, and what could not be saved.

    Returns:
        The paths that could not be told from another run's.
    """
    candidates = made(outputs)
    doubtful: list[str] = []
    if written is not None:
        candidates = [p for p in candidates if os.path.realpath(p) in written or _holds_any(p, written)]
    elif candidates:
        exact = {pattern for pattern in outputs.patterns if not is_vague(pattern)}
        others = rivals(instance, run)
        if others and not exact.issuperset(candidates):
            _wait_for_tracers(candidates)
        ours = {path: path in exact or _is_ours(path, others, written_by) for path in candidates}
        doubtful = [path for path in candidates if ours[path] is None]
        candidates = [path for path in candidates if ours[path]]
    _tell_missing(outputs)
    theirs = _keys_of_steps(instance, run)
    files = {}
    for path in candidates:
        try:
            file = _new_file(instance, path, cwd, run)
        except SourceNotFoundError as error:
            messages.warning(f"an output of the command is gone again: {error}")
            continue
        except LaminError as error:
            saved.add_unsaved(_shown(path, cwd), error)
            continue
        if (file.storage_id, file.key) not in theirs:
            files[path] = file
    _save_each(files, saved)
    return doubtful


def _save_each(files: Mapping[str, File], saved: Saved) -> None:
    """Save files, by their paths, together; where that fails, each by itself, unless the database failed."""
    if not files:
        return
    try:
        save.save_files(list(files.values()))
        saved.files.extend(files.values())
    except (LaminError, Error, OSError) as error:
        if isinstance(error, (DatabaseError, ReadOnlyError)):
            saved.wait(saved.waiting | {path: file.key for path, file in files.items()}, error)
            return
        if len(files) == 1:
            saved.add_unsaved(next(file.key or file.name for file in files.values()), error)
            return
        for path, file in files.items():
            _save_each({path: file}, saved)


def _shown(path: str, cwd: Path) -> str:
    return os.path.relpath(path, cwd) if path.startswith(f"{cwd}{os.sep}") else path


def _wait_for_tracers(paths: Iterable[str]) -> None:
    """Wait until the tracers of other commands have told of what was written a moment ago."""
    newest = max((moment for path in paths if (moment := _changed_at(path)) is not None), default=0.0)
    wait = min(newest + _TOLD_WITHIN_SECONDS - time.time(), _TOLD_WITHIN_SECONDS)
    if wait > 0:
        time.sleep(wait)


def _holds_any(folder: str, written: frozenset[str]) -> bool:
    prefix = storable(os.path.realpath(folder)) + "/"
    return os.path.isdir(folder) and any(storable(path).startswith(prefix) for path in written)


def _tell_missing(outputs: Outputs) -> None:
    for pattern in outputs.patterns:
        if not _matching([pattern]):
            messages.warning(f"the output {pattern} was not made")


def _keys_of_steps(instance: Instance, run: Run) -> set[tuple[str, str | None]]:
    """Return what the steps of a run made: it is theirs already."""
    links = RunOutput.objects.using(instance.alias).filter(run__parent_id=run.id).order_by()
    return {(storage, key) for storage, key in links.values_list("file__storage_id", "file__key")}


def link_inputs(run: Run, files: Sequence[File]) -> None:
    """Link the inputs of a command; what cannot be linked is told and does not stop it."""
    try:
        edges.link(run, files, kind="input", seen_by="declared")
    except LaminError as error:
        messages.warning(f"the inputs of run {run.id} could not be linked: {error}")
