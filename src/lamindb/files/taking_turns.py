"""Threads that save the same record take turns: the second finds it saved."""

from __future__ import annotations

import contextlib
import os
import threading
from array import array
from collections.abc import Iterator, Sequence

_idle = threading.Condition()
_under_way: list[tuple[int, array[int]]] = []
"""The thread of each save, and the addresses of its records, which are their own as long as they are being saved."""


@contextlib.contextmanager
def saving(records: Sequence[object]) -> Iterator[None]:
    """Keep other threads from saving any of these records until the block ends; wait for those that do."""
    save = (threading.get_ident(), array("Q", map(id, records)))
    with _idle:
        _idle.wait_for(lambda: _is_free(save))
        _under_way.append(save)
    try:
        yield
    finally:
        with _idle:
            _under_way[:] = [one for one in _under_way if one is not save]
            _idle.notify_all()


def _is_free(save: tuple[int, array[int]]) -> bool:
    thread, wanted = save
    others = [busy for other, busy in _under_way if other != thread]
    return not others or set(wanted).isdisjoint(one for busy in others for one in busy)


def _after_fork_in_child() -> None:
    """The other threads, and what they were saving, stay behind in the parent."""
    global _idle
    _idle = threading.Condition()
    me = threading.get_ident()
    _under_way[:] = [one for one in _under_way if one[0] == me]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
