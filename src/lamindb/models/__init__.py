"""The record classes: thin Django models and one query class.

Importing this package configures Django, unless a Django project has: Django needs that before a model is defined.
The functions behind their methods are in other rooms, see `lamindb.core.verbs`.
"""

from __future__ import annotations

from lamindb.db.database import configure_django

configure_django()

from lamindb.models.base import Record  # noqa: E402
from lamindb.models.code import CodeRevision, ImportedModule  # noqa: E402
from lamindb.models.edges import FolderMember, LastVersion, RunInput, RunOutput, SweepMark  # noqa: E402
from lamindb.models.file import DObject, File  # noqa: E402
from lamindb.models.file_event import FileEvent  # noqa: E402
from lamindb.models.flag import Flag  # noqa: E402
from lamindb.models.query import RecordQuery  # noqa: E402
from lamindb.models.run import Run  # noqa: E402
from lamindb.models.storage import Storage  # noqa: E402
from lamindb.models.transform import Notebook, Pipeline, Transform  # noqa: E402
from lamindb.models.user import User  # noqa: E402

__all__ = [
    "CodeRevision",
    "DObject",
    "File",
    "FileEvent",
    "Flag",
    "FolderMember",
    "ImportedModule",
    "LastVersion",
    "Notebook",
    "Pipeline",
    "Record",
    "RecordQuery",
    "Run",
    "RunInput",
    "RunOutput",
    "Storage",
    "SweepMark",
    "Transform",
    "User",
]
