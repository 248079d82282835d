"""The older module of the record classes, for `import lamindb.schema as lns`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lamindb.models import DObject as DObject
    from lamindb.models import File as File
    from lamindb.models import Notebook as Notebook
    from lamindb.models import Pipeline as Pipeline
    from lamindb.models import Run as Run
    from lamindb.models import Storage as Storage
    from lamindb.models import Transform as Transform
    from lamindb.models import User as User

__all__ = ["DObject", "File", "Notebook", "Pipeline", "Run", "Storage", "Transform", "User"]


def __getattr__(name: str) -> Any:
    """Import a record class on first use.

    Raises:
        AttributeError: There is no such class.
    """
    if name not in __all__:
        raise AttributeError(f"lamindb.schema has no {name!r}: it has {', '.join(__all__)}")
    return getattr(importlib.import_module("lamindb"), name)


def __dir__() -> list[str]:
    return list(__all__)
