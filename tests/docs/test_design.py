"""The design page names the modules through which a save runs, and how many there are."""

from __future__ import annotations

import functools
import gc
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import lamindb as ln
from tests.docs import pages
from tests.test_architecture import MAY_IMPORT

PACKAGE = Path(ln.__file__).parent
ROOMS = list(MAY_IMPORT)
COMMON = (
    "models/",
    "core/verbs.py",
    "core/settings.py",
    "core/messages.py",
    "db/connection.py",
    "db/sqlite/",
    "db/postgres/",
)
"""What every call passes: records and their queries, the connection that Django calls, settings and messages."""


class Walk:
    """The modules that ran, in the order of their first call, and the calls from a lower to a higher room."""

    def __init__(self) -> None:
        self.modules: dict[str, None] = {}
        self.functions: list[tuple[str, str]] = []
        self.climbs: set[tuple[str, str]] = set()

    @property
    def own(self) -> list[str]:
        """The modules but those that every call passes."""
        return [module for module in self.modules if not module.startswith(COMMON)]

    def called(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "call":
            return
        module = _module(frame)
        if module is None:
            return
        self.modules[module] = None
        self.functions.append((module, frame.f_code.co_name))
        caller = frame.f_back
        while caller is not None and _module(caller) is None:
            caller = caller.f_back
        # An instance that makes a part for another room is called by that room.
        below = _module(caller) if caller is not None else None
        if below is not None and below != "records/open_instance.py" and _height(module) > _height(below):
            self.climbs.add((below, module))


def _module(frame: FrameType) -> str | None:
    return _module_of(frame.f_code.co_filename)


@functools.cache
def _module_of(file: str) -> str | None:
    path = Path(file)
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else None


def _height(module: str) -> int:
    room = module.partition("/")[0]
    return ROOMS.index(room) if room in ROOMS else -1


@contextmanager
def walked() -> Iterator[Walk]:
    walk = Walk()
    before = sys.getprofile()
    # What earlier tests left is collected before, and not in the midst of the walk.
    gc.collect()
    gc.disable()
    sys.setprofile(walk.called)
    try:
        yield walk
    finally:
        sys.setprofile(before)
        gc.enable()
    # An audit hook stays in a process in which a test captured files once.
    walk.modules.pop("environment/file_access/audit.py", None)


def _section() -> str:
    text = (pages.DOCS / "design.md").read_text(encoding="utf-8")
    return text.partition("## How a save runs")[2].partition("\n## ")[0]


def _named(text: str) -> list[str]:
    return re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", re.sub(r"\(a bucket: [^)]*\)", "", text))


def _row(call: str) -> tuple[list[str], int, int, int]:
    row = re.search(rf"^\| `{re.escape(call)}` \| (.*) \| (\d+) \| (\d+) \| (\d+) \|$", _section(), re.M)
    assert row is not None, call
    return _named(row[1]), int(row[2]), int(row[3]), int(row[4])


@pytest.fixture
def walks(local_instance: Path) -> dict[str, Walk]:
    for name in ("first", "second"):
        ln.Transform(name=name, type="pipeline").save()
    ln.track(ln.Transform.select(name="first").one())
    for key in ("warm.txt", "a.txt", "b.txt"):
        ln.File(key.encode(), key=key).save()
    warm = ln.File.select(key="warm.txt").one()
    warm.load(is_run_input=True)
    list(warm.ancestors())
    new = ln.File(b"new", key="new.txt")
    read = ln.File.select(key="a.txt").one()
    derived = ln.File.select(key="b.txt").one()
    transform = ln.Transform.select(name="second").one()
    calls: dict[str, Callable[[], Any]] = {
        "file.save()": new.save,
        "file.load()": lambda: read.load(is_run_input=True),
        "file.ancestors()": lambda: list(derived.ancestors()),
        "ln.track()": lambda: ln.track(transform),
    }
    found = {}
    for name, call in calls.items():
        with walked() as walk:
            call()
        found[name] = walk
    return found


def test_the_walk_of_each_call_is_as_the_page_says(walks: dict[str, Walk]) -> None:
    for call, walk in walks.items():
        main, n_own, n_climbs, n_modules = _row(call)
        assert [module for module in main if module not in walk.modules] == [], call
        assert len(walk.own) <= n_own, (call, walk.own)
        assert len(walk.climbs) <= n_climbs, (call, walk.climbs)
        assert len(walk.modules) <= n_modules, (call, list(walk.modules))


def test_the_steps_of_a_save_are_in_the_order_of_the_page(walks: dict[str, Walk]) -> None:
    steps = re.findall(r"^\| .* \| `(\w+)` in `([\w/]+\.py)`", _section(), re.M)
    assert len(steps) == 13
    order = [walks["file.save()"].functions.index((module, function)) for function, module in steps]
    assert order == sorted(order)
