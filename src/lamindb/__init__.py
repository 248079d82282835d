"""Data lineage for scientists and engineers: where every file came from, and what became of it.

`ln.track()` registers what is running, `ln.File(path, key=…).save()` stores bytes and metadata in one step, and
everything is queried by where it came from. Names are loaded when they are first used; importing touches nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
__version__ = "0.1.0"

_HOMES = {
    "DObject": "lamindb.models",
    "File": "lamindb.models",
    "Notebook": "lamindb.models",
    "Pipeline": "lamindb.models",
    "Run": "lamindb.models",
    "Storage": "lamindb.models",
    "Transform": "lamindb.models",
    "User": "lamindb.models",
    "Q": "django.db.models",
    "Session": "lamindb.api",
    "add": "lamindb.api",
    "delete": "lamindb.api",
    "save": "lamindb.api",
    "select": "lamindb.api",
    "view": "lamindb.api",
    "diff": "lamindb.compare.diff",
    "why": "lamindb.compare.causes",
    "context": "lamindb.runs.track",
    "finish": "lamindb.runs.track",
    "track": "lamindb.runs.track",
    "flow": "lamindb.runs.steps.decorators",
    "step": "lamindb.runs.steps.decorators",
    "close": "lamindb.setup.lifecycle",
    "connect": "lamindb.setup.lifecycle",
    "disconnect": "lamindb.setup.lifecycle",
    "register_loader": "lamindb.files.loaders",
    "register_writer": "lamindb.files.loaders",
    "settings": "lamindb.core.settings",
    "LaminError": "lamindb.errors",
    "MultipleResultsFound": "lamindb.errors",
    "NoResultFound": "lamindb.errors",
}
_MODULES = {
    "dev": "lamindb.dev",
    "errors": "lamindb.errors",
    "lineage": "lamindb.lineage",
    "schema": "lamindb.schema",
    "setup": "lamindb.setup",
}
_RARELY = 1_000_000_007
"""A threshold of the garbage collector that no import reaches, and no other program chooses."""

__all__ = sorted([*_HOMES, *_MODULES, "__version__"])  # noqa: PLE0605

if TYPE_CHECKING:
    from typing import Any

    from django.db.models import Q as Q

    from lamindb import dev as dev
    from lamindb import errors as errors
    from lamindb import lineage as lineage
    from lamindb import schema as schema
    from lamindb import setup as setup
    from lamindb.api import Session as Session
    from lamindb.api import add as add
    from lamindb.api import delete as delete
    from lamindb.api import save as save
    from lamindb.api import select as select
    from lamindb.api import view as view
    from lamindb.compare.causes import why as why
    from lamindb.compare.diff import diff as diff
    from lamindb.core.settings import settings as settings
    from lamindb.errors import LaminError as LaminError
    from lamindb.errors import MultipleResultsFound as MultipleResultsFound
    from lamindb.errors import NoResultFound as NoResultFound
    from lamindb.files.loaders import register_loader as register_loader
    from lamindb.files.loaders import register_writer as register_writer
    from lamindb.models import DObject as DObject
    from lamindb.models import File as File
    from lamindb.models import Notebook as Notebook
    from lamindb.models import Pipeline as Pipeline
    from lamindb.models import Run as Run
    from lamindb.models import Storage as Storage
    from lamindb.models import Transform as Transform
    from lamindb.models import User as User
    from lamindb.runs.steps.decorators import flow as flow
    from lamindb.runs.steps.decorators import step as step
    from lamindb.runs.track import context as context
    from lamindb.runs.track import finish as finish
    from lamindb.runs.track import track as track
    from lamindb.setup.lifecycle import close as close
    from lamindb.setup.lifecycle import connect as connect
    from lamindb.setup.lifecycle import disconnect as disconnect


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used.

    Raises:
        AttributeError: There is no such name; the message names the nearest one.
    """
    if name in _MODULES:
        value: Any = _load(_MODULES[name])
    elif name in _HOMES:
        value = getattr(_load(_HOMES[name]), name)
    else:
        import difflib

        near = difflib.get_close_matches(name, __all__, 1)
        raise AttributeError(f"lamindb has no {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    globals()[name] = value
    return value


def _load(name: str) -> Any:
    """Import a module; garbage is hardly looked for meanwhile, since all that modules make stays.

    That saves 3 % of the instructions of an import in Python 3.11, 1.5 % in 3.12 and 2.5 % in 3.13.

    Whether it is looked for at all is not touched: another thread may switch that off, or choose its own thresholds,
    which then stay.
    """
    import gc
    import importlib

    before = gc.get_threshold()
    if not gc.isenabled() or before[0] == _RARELY:
        return importlib.import_module(name)
    gc.set_threshold(_RARELY)
    try:
        return importlib.import_module(name)
    finally:
        if not gc.get_freeze_count():
            # Both together move what is there to the oldest generation, where it is looked at least often.
            gc.freeze()
            gc.unfreeze()
        if gc.get_threshold()[0] == _RARELY:
            gc.set_threshold(*before)


def __dir__() -> list[str]:
    return list(__all__)
