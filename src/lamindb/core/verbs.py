"""Functions of higher rooms, named by dotted path.

A record's method, such as `file.save()`, is carried out by a function of a room above the models. The method's body
names that function by its dotted path; it is imported at its first use. So imports point one way, and starting stays
quick. `tests/core/test_verbs.py` resolves every path, and checks the types of every call.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any


@functools.cache
def _module(name: str) -> Any:
    return importlib.import_module(name)


def verb(path: str) -> Any:
    """Return the function at a dotted path such as `lamindb.files.read.stage`, importing its module if need be."""
    module, _, name = path.rpartition(".")
    return getattr(_module(module), name)
