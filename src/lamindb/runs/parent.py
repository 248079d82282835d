"""The run that a process got from the one that started it, and hands down to those that it starts.

Two environment variables carry it: the run's id, and the id of its instance. Programs of other languages hand them on
without knowing of them.
"""

from __future__ import annotations

import os
from typing import Any

from django.db.models.base import ModelState

from lamindb.core import context, messages
from lamindb.core.context import INSTANCE_VARIABLE, RUN_VARIABLE
from lamindb.core.text import storable
from lamindb.errors import LaminError
from lamindb.models import Run
from lamindb.records import save
from lamindb.records.open_instance import Instance


class Inherited:
    """The inherited run of an instance, looked up once."""

    goes_on = True

    def __init__(self) -> None:
        self.found: dict[str, Run | None] = {}

    def close(self) -> None:
        """Look again at the next use."""
        self.found.clear()


def inherited_id(instance: Instance) -> str | None:
    """Return the id of the run that the starting process handed down, whatever this process tracked since."""
    found, place = context.handed_down()
    return storable(found) if found and (not place or place == instance.id) else None


def assumed_id(instance: Instance) -> str | None:
    """Return the id of the run within which another one begins, recorded or not; no database is asked."""
    found = context.own_run()
    return str(found.id) if isinstance(found, Run) and found.alias == instance.alias else inherited_id(instance)


def run() -> Any:
    """Return the run that this process inherited, or None; what files are attributed to where nothing is tracked.

    Looks only where an instance is connected already. One look at the database is remembered.
    """
    if not context.handed_down()[0]:
        return None
    instance = context.instance_or_none()
    wanted = inherited_id(instance) if instance is not None else None
    if instance is None or wanted is None:
        return None
    found = instance.part(Inherited).found
    if wanted not in found:
        try:
            found[wanted] = Run.objects.using(instance.alias).filter(id=wanted).first()
        except LaminError:
            return None
        if found[wanted] is None:
            messages.warning(
                f"{RUN_VARIABLE} is {wanted!r}, which is no recorded run of {instance.name!r}: it is ignored, and "
                "no run above this process gets its files"
            )
    return found[wanted]


def above(instance: Instance) -> Run | None:
    """Return the current run of an instance, saved if it was not so far; None where there is none, or saving fails."""
    found = context.run()
    return found if isinstance(found, Run) and found.alias == instance.alias and is_recorded(found) else None


def is_recorded(found: Run) -> bool:
    """Return True if a run has a row; one that has none so far is saved, unless that fails."""
    # The state of a step's run writes its row when it is asked, which is not wanted here.
    if type(found._state) is ModelState and not found.is_saved:
        try:
            save.save(found)
        except LaminError as error:
            messages.debug(f"the run above is not recorded: {error}")
            return False
    return True


def hand_down(instance: Instance, run: Run) -> None:
    """Hand a run down to the processes that this one starts from now on."""
    os.environ[RUN_VARIABLE] = run.id
    os.environ[INSTANCE_VARIABLE] = instance.id


def variables(instance: Instance, run: Run) -> dict[str, str]:
    """Return the variables that hand down a run, for the environment of one child."""
    return {RUN_VARIABLE: run.id, INSTANCE_VARIABLE: instance.id}


def restore() -> None:
    """Reset the environment to what it said when this process began."""
    context.set_environment(context.handed_down())
