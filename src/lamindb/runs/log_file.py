"""What a program prints, kept in a file while it runs, so that it outlives a program that is killed.

The file lies in the user's data folder, is read by its owner only, and is bounded: it holds the beginning and the end
of the output. Secrets are replaced before anything is written; a line is written when it is complete, since a secret
may lie across two writes. When the run ends, or is found dead on the same machine, the log moves into the instance.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from pathlib import Path
from typing import Final

from lamindb.core import messages, paths
from lamindb.core.text import storable
from lamindb.environment.redaction import redact_text

HEAD_BYTES: Final = 16 * 1024
"""How much of the beginning is kept."""
TAIL_BYTES: Final = 64 * 1024
"""How much of the end is kept."""
_PAUSE_SECONDS: Final = 0.1
_WRITES_AT_ONCE: Final = 20
"""So many lines in `_PAUSE_SECONDS` are written as they come; what comes faster is written together."""
_MOST_PENDING: Final = 4 * TAIL_BYTES
_COUNT_BYTES: Final = 24
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_KEY_BEGIN: Final = "-----BEGIN"
_KEY_END: Final = "-----END"


class LogFile:
    """The file of one run: a count of what was written, the beginning, and the end as a ring."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # A warning of ours is output, too, and may come while the lock is held.
        self._lock = threading.RLock()
        self._pending = ""
        self._total = 0
        self._skipped = 0
        self._began_at = 0.0
        self._writes = 0
        self._timer: threading.Timer | None = None
        self._descriptor: int | None = None
        try:
            paths.make_private_folder(path.parent)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            messages.debug(f"the output of this run is not kept while it runs: {error}")

    def add(self, text: str) -> None:
        """Take in what was printed; safe in any thread. What cannot be written is dropped."""
        with self._lock:
            self._pending += text
            if len(self._pending) > _MOST_PENDING:
                # Far more than fits: the end counts, from a whole line on, for its beginning may be half a secret.
                cut = self._pending.find("\n", len(self._pending) - TAIL_BYTES)
                dropped = cut + 1 if cut >= 0 else len(self._pending)
                self._skipped += dropped
                self._pending = self._pending[dropped:]
            if "\n" not in text and "\r" not in text:
                return
            if time.monotonic() - self._began_at >= _PAUSE_SECONDS:
                self._began_at, self._writes = time.monotonic(), 0
            self._writes += 1
            if self._writes <= _WRITES_AT_ONCE:
                self._write()
            elif self._timer is None and self._descriptor is not None:
                self._timer = threading.Timer(_PAUSE_SECONDS, self._write_later)
                self._timer.daemon = True
                with contextlib.suppress(RuntimeError):
                    self._timer.start()

    def _write_later(self) -> None:
        with self._lock:
            self._timer = None
            self._write()

    def _write(self) -> None:
        end = max(self._pending.rfind("\n"), self._pending.rfind("\r")) + 1
        begin = self._pending.rfind(_KEY_BEGIN, 0, end)
        if begin >= 0 and _KEY_END not in self._pending[begin:end]:
            end = begin
        if not end or self._descriptor is None:
            return
        text, self._pending = self._pending[:end], self._pending[end:]
        data = storable(redact_text(text)).encode("utf-8", "backslashreplace")
        try:
            self._put(data)
        except OSError as error:
            self._release()
            messages.debug(f"the output of this run is not kept while it runs: {error}")

    def _put(self, data: bytes) -> None:
        assert self._descriptor is not None
        skipped, self._skipped = self._skipped, 0
        if skipped:
            self._total = max(self._total, HEAD_BYTES) + skipped
        head = data[: max(0, HEAD_BYTES - self._total)]
        if head:
            os.pwrite(self._descriptor, head, _COUNT_BYTES + self._total)
            self._total += len(head)
        rest = data[len(head) :]
        self._total += max(0, len(rest) - TAIL_BYTES)
        rest = rest[-TAIL_BYTES:]
        while rest:
            place = (self._total - HEAD_BYTES) % TAIL_BYTES
            part = rest[: TAIL_BYTES - place]
            os.pwrite(self._descriptor, part, _COUNT_BYTES + HEAD_BYTES + place)
            self._total += len(part)
            rest = rest[len(part) :]
        os.pwrite(self._descriptor, b"%023d\n" % self._total, 0)

    def before_fork(self) -> None:
        """Wait for what is being written: a child must not find the lock taken."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._write()

    def leave(self) -> None:
        """Write no more, and leave the file to the process that owns it."""
        self._lock = threading.RLock()
        self._timer = None
        self._release()

    def remove(self) -> None:
        """Remove the file: its run has ended, and its log is stored."""
        with self._lock:
            self._release()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def folder_of(instance_id: str) -> Path | None:
    """Return the folder of the logs of an instance's runs on this machine; None where there is no place for it."""
    base = paths.data_folder()
    return base / "logs" / instance_id if base is not None and _ID.fullmatch(instance_id) else None


def path_of(instance_id: str, run_id: str) -> Path | None:
    """Return the path of the log of a run on this machine."""
    folder = folder_of(instance_id)
    return folder / f"{run_id}.log" if folder is not None and _ID.fullmatch(run_id) else None


def open_for(instance_id: str, run_id: str) -> LogFile | None:
    """Make the file of a run that begins; None where there is no place for it."""
    path = path_of(instance_id, run_id)
    return LogFile(path) if path is not None else None


def read(path: Path) -> str | None:
    """Return what a file holds, with a line that says how much lies between its beginning and its end; None if gone.

    Another program may have written the file: a wrong count gives less text, never an error.
    """
    try:
        with path.open("rb") as stream:
            count = stream.read(_COUNT_BYTES)
            head, ring = stream.read(HEAD_BYTES), stream.read(TAIL_BYTES)
    except OSError:
        return None
    total = int(count) if count.strip().isdigit() else 0
    if total <= HEAD_BYTES:
        return _decoded(head[:total])
    place = (total - HEAD_BYTES) % TAIL_BYTES
    left_out = total - HEAD_BYTES - TAIL_BYTES
    if left_out <= 0:
        return _decoded(head + ring[: total - HEAD_BYTES])
    tail = ring[place:] + ring[:place]
    begin, _, rest = tail.partition(b"\n")
    note = f"\n[{left_out + len(begin) + 1:,} bytes are not kept here]\n"
    return _decoded(head) + note + _decoded(rest or begin)


def _decoded(data: bytes) -> str:
    return redact_text(data.decode("utf-8", "replace"))
