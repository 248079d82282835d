"""The run that a process got from the one that started it, and hands down to those that it starts.

Two environment variables carry it: the run's id, and the id of its instance. Programs of other languages hand them on
without knowing of them.
"""

from __future__ import annotations

import os
from typing import Any

from lamindb.core import context
from lamindb.core.text import storable
from lamindb.errors import LaminError
from lamindb.models import Run
from lamindb.records.open_instance import Instance

RUN_VARIABLE = "LAMIN_RUN_ID"
INSTANCE_VARIABLE = "LAMIN_RUN_INSTANCE"

_from_parent: tuple[str | None, str | None] = (os.environ.get(RUN_VARIABLE), os.environ.get(INSTANCE_VARIABLE))
"""What the environment said before this process tracked anything."""
_found: dict[tuple[str, str], Run | None] = {}


def inherited_id(instance: Instance) -> str | None:
    """Return the id of the run that the starting process handed down, whatever this process tracked since."""
    found, place = _from_parent
    return storable(found) if found and (not place or place == instance.id) else None


def run() -> Any:
    """Return the run that this process inherited, or None; what files are attributed to where nothing is tracked.

    Looks only where an instance is connected already. One look at the database is remembered.
    """
    if not _from_parent[0]:
        return None
    instance = context.instance_or_none()
    wanted = inherited_id(instance) if instance is not None else None
    if instance is None or wanted is None:
        return None
    key = (instance.alias, wanted)
    if key not in _found:
        try:
            _found[key] = Run.objects.using(instance.alias).filter(id=wanted).first()
        except LaminError:
            return None
    return _found[key]


def hand_down(instance: Instance, run: Run) -> None:
    """Let the processes that this one starts from now on inherit a run."""
    os.environ[RUN_VARIABLE] = run.id
    os.environ[INSTANCE_VARIABLE] = instance.id


def variables(instance: Instance, run: Run) -> dict[str, str]:
    """Return the variables that hand down a run, for the environment of one child."""
    return {RUN_VARIABLE: run.id, INSTANCE_VARIABLE: instance.id}


def restore() -> None:
    """Let the environment say again what it said when this process began."""
    for name, value in zip((RUN_VARIABLE, INSTANCE_VARIABLE), _from_parent, strict=True):
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _keep_in_child() -> None:
    """What a forked process finds in its environment is what its parent was tracking."""
    global _from_parent
    _from_parent = (os.environ.get(RUN_VARIABLE), os.environ.get(INSTANCE_VARIABLE))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_in_child)
