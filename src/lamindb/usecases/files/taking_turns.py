"""Threads that save the same record take turns: the second finds it saved."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence

_idle = threading.Condition()
_busy: dict[int, int] = {}
"""The thread that saves each record, by the record's address, which is its own as long as it is being saved."""


@contextlib.contextmanager
def saving(records: Sequence[object]) -> Iterator[None]:
    """Keep other threads from saving any of these records until the block ends; wait for those that do."""
    me = threading.get_ident()
    wanted = {id(record) for record in records}
    with _idle:
        _idle.wait_for(lambda: all(_busy.get(one, me) == me for one in wanted))
        mine = wanted - _busy.keys()
        _busy.update(dict.fromkeys(mine, me))
    try:
        yield
    finally:
        with _idle:
            for one in mine:
                del _busy[one]
            _idle.notify_all()


def _after_fork_in_child() -> None:
    """The other threads, and what they were saving, stay behind in the parent."""
    global _idle
    _idle = threading.Condition()
    me = threading.get_ident()
    for one in [one for one, thread in _busy.items() if thread != me]:
        del _busy[one]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
