"""What is recorded: thin models and one query object. What happens to records is a use case, behind `actions`."""

from __future__ import annotations

from lamindb.models.base import Record
from lamindb.models.edges import FolderMember, LastVersion, RunInput, RunOutput, SweepMark
from lamindb.models.file import DObject, File
from lamindb.models.query import RecordQuery
from lamindb.models.run import Run
from lamindb.models.storage import Storage
from lamindb.models.transform import Notebook, Pipeline, Transform
from lamindb.models.user import User

__all__ = [
    "DObject",
    "File",
    "FolderMember",
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
