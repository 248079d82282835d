"""Data lineage for scientists and engineers: where every file came from, and what became of it.

`ln.track()` registers what is running, `ln.File(path, key=…).save()` stores bytes and metadata in one step, and
everything is queried by where it came from. Names are loaded when they are first used; importing touches nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    "Session": "lamindb.usecases.selecting",
    "add": "lamindb.usecases.selecting",
    "delete": "lamindb.usecases.selecting",
    "save": "lamindb.usecases.selecting",
    "select": "lamindb.usecases.selecting",
    "view": "lamindb.usecases.selecting",
    "context": "lamindb.usecases.runs.tracking",
    "finish": "lamindb.usecases.runs.tracking",
    "track": "lamindb.usecases.runs.tracking",
    "flow": "lamindb.usecases.steps.stepping",
    "step": "lamindb.usecases.steps.stepping",
    "close": "lamindb.usecases.setup.instances",
    "connect": "lamindb.usecases.setup.instances",
    "register_loader": "lamindb.usecases.loading",
    "settings": "lamindb.instance.preferences",
    "LaminError": "lamindb.core.errors",
    "MultipleResultsFound": "lamindb.core.errors",
    "NoResultFound": "lamindb.core.errors",
}
_MODULES = {
    "dev": "lamindb.dev",
    "errors": "lamindb.core.errors",
    "lineage": "lamindb.lineage",
    "schema": "lamindb.schema",
    "setup": "lamindb.setup",
}
_WITHOUT_DATABASE = frozenset({"settings", "LaminError", "MultipleResultsFound", "NoResultFound", "register_loader"})

__all__ = sorted([*_HOMES, *_MODULES, "__version__"])  # noqa: PLE0605

if TYPE_CHECKING:
    from django.db.models import Q as Q

    from lamindb import dev as dev
    from lamindb import lineage as lineage
    from lamindb import schema as schema
    from lamindb import setup as setup
    from lamindb.core import errors as errors
    from lamindb.core.errors import LaminError as LaminError
    from lamindb.core.errors import MultipleResultsFound as MultipleResultsFound
    from lamindb.core.errors import NoResultFound as NoResultFound
    from lamindb.core.settings import settings as settings
    from lamindb.models import DObject as DObject
    from lamindb.models import File as File
    from lamindb.models import Notebook as Notebook
    from lamindb.models import Pipeline as Pipeline
    from lamindb.models import Run as Run
    from lamindb.models import Storage as Storage
    from lamindb.models import Transform as Transform
    from lamindb.models import User as User
    from lamindb.usecases.loading import register_loader as register_loader
    from lamindb.usecases.runs.tracking import context as context
    from lamindb.usecases.runs.tracking import finish as finish
    from lamindb.usecases.runs.tracking import track as track
    from lamindb.usecases.selecting import Session as Session
    from lamindb.usecases.selecting import add as add
    from lamindb.usecases.selecting import delete as delete
    from lamindb.usecases.selecting import save as save
    from lamindb.usecases.selecting import select as select
    from lamindb.usecases.selecting import view as view
    from lamindb.usecases.setup.instances import close as close
    from lamindb.usecases.setup.instances import connect as connect
    from lamindb.usecases.steps.stepping import flow as flow
    from lamindb.usecases.steps.stepping import step as step


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used.

    Raises:
        AttributeError: There is no such name; the message names the nearest one.
    """
    if name in _MODULES:
        value: Any = importlib.import_module(_MODULES[name])
    elif name in _HOMES:
        if name not in _WITHOUT_DATABASE:
            from lamindb.instance.database import setup as set_up

            set_up()
            importlib.import_module("lamindb.usecases.setup.instances")
        elif name == "settings":
            from lamindb.core import current

            # `settings.storage` may be the first question of a program.
            current.plug_opener(_open_instance)
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        import difflib

        near = difflib.get_close_matches(name, __all__, 1)
        raise AttributeError(f"lamindb has no {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    globals()[name] = value
    return value


def _open_instance() -> Any:
    from lamindb.instance.database import setup as set_up

    set_up()
    return importlib.import_module("lamindb.usecases.setup.instances").open_current()


def __dir__() -> list[str]:
    return list(__all__)
