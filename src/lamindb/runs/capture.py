"""Files that a run opened become its inputs and outputs where they are registered; all others are listed as observed.

A file under a storage root that was read and is saved with these bytes is an input. One that the run wrote there is
saved as its output. Nothing else is registered: a path outside all roots is only told. What a run says of its capture
is stored with it: by which layer each file was seen, and whether something may have escaped.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from django.db import Error

from lamindb.core import context, messages, paths, processes
from lamindb.core.keys import HIDDEN_FOLDER
from lamindb.core.text import storable
from lamindb.environment.file_access import audit, inotify, strace, wrappers
from lamindb.environment.file_access.audit import Seen, Watch
from lamindb.errors import LaminError
from lamindb.files import locate, save
from lamindb.models import File, Run
from lamindb.records import edges
from lamindb.records.open_instance import Instance
from lamindb.runs import metadata

_MOST_LISTED: Final = 500
_WHOLE: Final = (".zarr", ".n5", ".zrad")
_NO_STRACE: Final = "strace is not there or not allowed: only declared files are known"
_IGNORED: Final = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/var/lib/")


@dataclass(slots=True)
class _Active:
    watch: Watch
    notice: inotify.Notice


@dataclass(slots=True)
class Resolved:
    """What became of the files that were seen.

    Attributes:
        files: One entry for each file, as it is stored with the run.
        inputs: Files that were linked as read.
        outputs: Files that were saved as written.
        reasons: Why something may have escaped.
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[File] = field(default_factory=list)
    outputs: list[File] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def summary(self, mode: str) -> dict[str, Any]:
        """Return what is stored as `run.capture`."""
        listed = self.files[:_MOST_LISTED]
        reasons = list(self.reasons)
        if len(self.files) > len(listed):
            reasons.append(f"{len(self.files) - len(listed)} more files were seen than are listed")
        return {
            "mode": mode,
            "completeness": "partial" if reasons else "complete",
            "reasons": reasons,
            "files": listed,
        }


class Captures:
    """The watches of the runs of one instance that are under way."""

    goes_on = True

    def __init__(self) -> None:
        self.active: dict[str, _Active] = {}

    def close(self) -> None:
        """End all watches; what they saw is dropped."""
        while self.active:
            _, one = self.active.popitem()
            one.watch.stop()
            one.notice.stop()


def start(run: Run) -> None:
    """Begin to watch which files this process opens, for a run; what it opened before is not seen."""
    instance = context.connected(run.alias)
    if instance is None or run.id in instance.part(Captures).active:
        return
    wrappers.install()
    notice = inotify.Notice(_local_roots(instance), without=HIDDEN_FOLDER)
    instance.part(Captures).active[run.id] = _Active(Watch().start(), notice)


def stop(instance: Instance, run: Run) -> None:
    """End the watch of a run: link inputs, save outputs, store what was seen. Never raises."""
    active = instance.part(Captures).active.pop(run.id, None)
    if active is None:
        return
    active.watch.stop()
    try:
        opened, _ = active.notice.stop()
        if not active.watch.is_own:
            return
        resolved = resolve(instance, run, active.watch)
        _cross_check(resolved, active, opened)
        summary = resolved.summary("python")
        metadata.write(instance, run.id, {"capture": summary})
        run.loaded["capture"] = summary
    except (LaminError, Error, OSError, RuntimeError) as error:
        messages.warning(f"what run {run.id} read and wrote could not be recorded: {error}")


def _cross_check(resolved: Resolved, active: _Active, opened: set[str]) -> None:
    """Return what the system saw opened under the roots and no layer explains: it may be ours, or another program's."""
    if active.watch.children:
        resolved.reasons.append(f"{active.watch.children} other programs or processes were started and not watched")
    libraries = wrappers.unseen()
    if libraries:
        resolved.reasons.append(f"loaded libraries can open files unseen: {', '.join(libraries)}")
    if active.watch.is_full:
        resolved.reasons.append("more files were opened than are watched")
    if not active.notice.is_complete:
        resolved.reasons.append("the system could not check what was seen")
    explained = {os.path.realpath(path) for path in active.watch.seen}
    unexplained = sorted(path for path in opened if os.path.realpath(path) not in explained and os.path.exists(path))
    for path in unexplained:
        entry = {"path": path, "access": "opened", "layers": ["inotify"], "as": "observed"}
        resolved.files.append(entry)
    if unexplained:
        resolved.reasons.append(f"{len(unexplained)} files under the roots were opened by this or another program")


def resolve(instance: Instance, run: Run, watch: Watch, *, saves: bool = True) -> Resolved:
    """Link what was read and save what was written, as far as it lies under registered roots.

    Without `saves`, what was written is only listed, as for a command that failed.

    Raises:
        LaminError: Something could not be saved; nothing was linked.
    """
    result = Resolved()
    roots = tuple(root.rstrip("/") + "/" for root in _local_roots(instance))
    read: dict[str, tuple[File, str]] = {}
    written: list[tuple[str, Seen]] = []
    for path, seen in sorted(watch.seen.items()):
        in_root = os.path.realpath(path).startswith(roots)
        if not in_root and _is_ignored(path):
            continue
        if seen.is_written and not _was_only_read(instance, path, seen, in_root=in_root):
            if os.path.isfile(path):
                _note_written(instance, path, seen, written if saves else None, result, in_root=in_root)
        elif seen.read_stamp is not None and not os.path.isdir(path):
            _note_read(instance, path, seen, read, result, in_root=in_root)
    _save_written(run, written, result)
    by_layer: dict[str, list[File]] = {}
    for file, layer in read.values():
        by_layer.setdefault(layer, []).append(file)
    for layer, files in by_layer.items():
        result.inputs.extend(edges.link(run, files, kind="input", seen_by=layer))
    return result


def _was_only_read(instance: Instance, path: str, seen: Seen, *, in_root: bool) -> bool:
    """Return True if a file that was opened for both, as databases are, still has the bytes that are saved."""
    return in_root and seen.read_stamp is not None and locate.is_shown_at(instance, path)


def _note_read(
    instance: Instance, path: str, seen: Seen, read: dict[str, tuple[File, str]], result: Resolved, *, in_root: bool
) -> None:
    entry = _entry(path, seen, "read")
    file = None
    if in_root:
        if audit.stamp_of(path) == seen.read_stamp:
            file = locate.registered_at(instance, path, by_bytes=False) or _folder_of(instance, path)
        else:
            entry["note"] = "it changed after it was read"
        if file is None and f"/{HIDDEN_FOLDER}/" in path:
            return
    if file is not None:
        read.setdefault(file.id, (file, _layer(seen)))
        entry |= {"as": "input", "file": file.id}
    result.files.append(entry)


def _note_written(
    instance: Instance,
    path: str,
    seen: Seen,
    written: list[tuple[str, Seen]] | None,
    result: Resolved,
    *,
    in_root: bool,
) -> None:
    if in_root and (f"/{HIDDEN_FOLDER}/" in path or locate.is_shown_at(instance, path)):
        # The library put it there itself.
        return
    if in_root and written is not None:
        written.append((path, seen))
    else:
        result.files.append(_entry(path, seen, "write"))


def _save_written(run: Run, written: Sequence[tuple[str, Seen]], result: Resolved) -> None:
    """Save what the run wrote under roots: files together, each folder that is one thing by itself."""
    wholes: dict[str, Seen] = {}
    files: list[tuple[File, dict[str, Any]]] = []
    for path, seen in written:
        whole = _whole_of(path)
        if whole is not None:
            wholes.setdefault(whole, Seen(whole)).layers.update(seen.layers)
            continue
        entry = _entry(path, seen, "write")
        result.files.append(entry)
        try:
            files.append((File(path, run=run), entry))
        except LaminError as error:
            _note_unsaved(entry, error, result)
    if files:
        save.save_files([file for file, _ in files])
    for path, seen in wholes.items():
        entry = _entry(path, seen, "write")
        result.files.append(entry)
        try:
            folder = File(path, run=run)
            save.save_files([folder])
            files.append((folder, entry))
        except LaminError as error:
            _note_unsaved(entry, error, result)
    for file, entry in files:
        entry |= {"as": "output", "file": file.id}
        result.outputs.append(file)


def _note_unsaved(entry: dict[str, Any], error: LaminError, result: Resolved) -> None:
    entry["note"] = str(error)
    result.reasons.append(f"{entry['path']} could not be saved")


def _whole_of(path: str) -> str | None:
    """Return the folder that is one thing, such as a zarr store, of which a file is a part."""
    parts = path.split("/")
    for position, part in enumerate(parts[:-1]):
        if part.endswith(_WHOLE):
            return "/".join(parts[: position + 1])
    return None


def _entry(path: str, seen: Seen, access: str) -> dict[str, Any]:
    return {"path": path, "access": access, "layers": sorted(seen.layers), "as": "observed"}


def _layer(seen: Seen) -> str:
    """Return the most telling of the layers that saw a file."""
    return next((layer for layer in sorted(seen.layers) if layer != "audit"), "audit")


def _folder_of(instance: Instance, path: str) -> File | None:
    """Return the saved folder of which a file is a member, such as a zarr store."""
    place = locate.location_of(instance, path)
    if place is None:
        return None
    storage_id, key = place
    above = [key[:position] for position, mark in enumerate(key) if mark == "/"]
    query = File.objects.using(instance.alias).filter(storage_id=storage_id, key__in=above, is_folder=True)
    return query.filter(is_latest=True, trashed_at__isnull=True).first()


def _local_roots(instance: Instance) -> list[str]:
    return [root for root, _ in instance.roots() if "://" not in root]


@lru_cache(maxsize=1)
def _libraries() -> tuple[str, ...]:
    """Return the folders of installed code, which every program reads."""
    named = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found = {os.path.realpath(path) for path in named if path} | {path for path in named if path}
    found |= {os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)}
    found.add(str(Path(__file__).parents[2]))
    return tuple(path.rstrip("/") + "/" for path in found)


def _is_ignored(path: str) -> bool:
    """Return True if a file is none of the user's: code, the system's own files, what the library keeps for itself."""
    return (
        path.startswith((*_IGNORED, *_libraries(), *_own_places()))
        or any(part in path for part in ("/__pycache__/", "/site-packages/", "/.git/"))
        or path.endswith((".pyc", "/pyvenv.cfg", ".pth"))
    )


def _own_places() -> tuple[str, ...]:

    found = (paths.settings_folder(), paths.cache_folder())
    return tuple(f"{folder}/" for folder in found if folder is not None) or ("\0",)


class CommandWatch:
    """Watches a command by its system calls, or does nothing."""

    def __init__(
        self, instance: Instance, run: Run, cwd: Path, folder: str | None, reasons: Iterable[str] = ()
    ) -> None:
        self._instance = instance
        self._cwd = cwd
        self._run = run
        self._folder = folder
        self._log = Path(folder, "calls") if folder is not None else None
        self._reasons = list(reasons)
        self._resolved: Resolved | None = None
        self._is_off = folder is None and not self._reasons

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return what to run instead of a command."""
        if self._log is None or shutil.which(argv[0]) is None:
            return list(argv)
        return strace.command(argv, self._log)

    @property
    def variables(self) -> dict[str, str]:
        """What to add to the command's environment: without a tracer, programs that track themselves also watch."""
        return {"LAMIN_CAPTURE": "1"} if self._folder is None and self._reasons else {}

    @property
    def log_path(self) -> str | None:
        """Where the tracer writes while the command runs; other commands look there whether a file is ours."""
        return str(self._log) if self._log is not None else None

    def finish(self, *, saves: bool) -> frozenset[str] | None:
        """Read what was seen; returns the files that were written, links resolved, or None where it was not watched.

        Args:
            saves: Save what was written under roots; else only list it, as for a command that failed.
        """
        if self._log is None or self._folder is None:
            return None
        try:
            if not self._log.exists():
                self._reasons.append("the program could not be watched")
                return None
            if not strace.wait_for(self._log):
                self._reasons.append("the watch did not end with the program")
            watch = strace.read(self._log, str(paths.working_folder()))
        except OSError as error:
            self._reasons.append(f"what was watched cannot be read: {error.strerror}")
            return None
        written = frozenset(os.path.realpath(path) for path, seen in watch.seen.items() if seen.is_written)
        self._resolved = resolve(self._instance, self._run, watch, saves=saves)
        return written

    def close(self) -> None:
        """Remove what the tracer wrote; to be called when the row says what was seen, for other commands look there."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def summary(self) -> dict[str, Any]:
        """Return what to store as `run.capture`."""
        if self._is_off:
            return dict(metadata.NO_CAPTURE)
        if self._resolved is None:
            return {"mode": "declared", "completeness": "partial", "reasons": self._reasons}
        self._resolved.reasons.extend(self._reasons)
        return self._resolved.summary("strace")

    def linked_outputs(self) -> list[File]:
        """Return the files that were saved because the command wrote them under a root."""
        return self._resolved.outputs if self._resolved is not None else []


def written_by(run: Run) -> frozenset[str] | None:
    """Return the files that another command wrote, so far or in all; None where it was not watched, or on another host.

    They are named as rows name them: a name that is no text is written visibly.
    """
    stored = run.capture or {}
    if stored.get("mode") == "strace":
        if len(stored["files"]) >= _MOST_LISTED:
            return None
        return frozenset(os.path.realpath(one["path"]) for one in stored["files"] if one["access"] == "write")
    log, folder = stored.get("calls"), stored.get("cwd")
    if not log or not folder or run.host != processes.host():
        return None
    try:
        watch = strace.read(Path(log), folder)
    except OSError:
        # It has ended since its row was read.
        again = Run.objects.using(str(run.alias)).filter(id=run.id).first()
        return written_by(again) if again is not None and (again.capture or {}).get("mode") == "strace" else None
    return frozenset(storable(os.path.realpath(path)) for path, seen in watch.seen.items() if seen.is_written)


def of_command(instance: Instance, run: Run, cwd: Path, *, wanted: bool) -> CommandWatch:
    """Return what watches a command."""
    if not wanted:
        return CommandWatch(instance, run, cwd, None)
    if not strace.works():
        return CommandWatch(instance, run, cwd, None, [_NO_STRACE])
    return CommandWatch(instance, run, cwd, tempfile.mkdtemp(prefix="lamindb-"))
