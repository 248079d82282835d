"""Signs of life: what runs here says so once a minute, for other machines, which cannot see this process.

One thread serves all runs of the process. It steps aside while the process forks, and a forked child has none.
"""

from __future__ import annotations

import os
import threading
from typing import Final

from django.db import Error
from django.utils.connection import ConnectionDoesNotExist

from lamindb.core import messages
from lamindb.db import database
from lamindb.errors import LaminError, NoInstanceError
from lamindb.models import Run
from lamindb.models.base import now

BEAT_SECONDS: Final = 60.0
SILENT_SECONDS: Final = 15 * 60
"""After so long a silence, a run of another machine counts as aborted."""

_alive: dict[str, set[str]] = {}
_lock = threading.Lock()
_wake = threading.Event()
_thread: threading.Thread | None = None


def add(alias: str, run_id: str) -> None:
    """Begin to give signs of life for a run."""
    with _lock:
        _alive.setdefault(alias, set()).add(run_id)
    _start()


def remove(alias: str, run_id: str) -> None:
    """Give none any more."""
    with _lock:
        runs = _alive.get(alias)
        if runs is not None:
            runs.discard(run_id)
            if not runs:
                del _alive[alias]
        idle = not _alive
    if idle:
        _stop()


def _start() -> None:
    global _thread
    with _lock:
        if _thread is not None or not _alive:
            return
        _wake.clear()
        _thread = threading.Thread(target=_beat_on, name="lamindb heartbeat", daemon=True)
    try:
        _thread.start()
    except RuntimeError as error:
        _thread = None
        messages.debug(f"this run gives no signs of life: {error}")


def _stop() -> None:
    global _thread
    thread, _thread = _thread, None
    if thread is not None:
        _wake.set()
        if thread is not threading.current_thread():
            thread.join(1.0)


def _beat_on() -> None:
    while not _wake.wait(BEAT_SECONDS):
        beat()


def beat() -> None:
    """Say of all runs of this process that they live; what cannot be written is tried again at the next beat."""
    with _lock:
        living = {alias: sorted(runs) for alias, runs in _alive.items()}
    for alias, runs in living.items():
        try:
            query = Run.objects.using(alias).filter(id__in=runs).order_by()
            query.filter(status="running")._update_rows({"heartbeat_at": now()})
            # Somebody may have taken a machine that slept for a dead one.
            query.filter(status="aborted")._update_rows(
                {"status": "running", "finished_at": None, "heartbeat_at": now()}
            )
        except (NoInstanceError, ConnectionDoesNotExist):
            with _lock:
                _alive.pop(alias, None)
        except (LaminError, Error, OSError) as error:
            messages.debug(f"a sign of life could not be written: {error}")
        finally:
            if threading.current_thread() is not threading.main_thread():
                _drop_connection(alias)


def _drop_connection(alias: str) -> None:
    try:
        database.connection(alias).close()
    except Exception as error:
        messages.debug(f"the connection of the heartbeat did not close: {error}")


def _after_fork_in_child() -> None:
    global _thread, _lock, _wake
    _alive.clear()
    _thread, _lock, _wake = None, threading.Lock(), threading.Event()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_stop, after_in_parent=_start, after_in_child=_after_fork_in_child)
