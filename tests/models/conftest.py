"""A small instance with everything that queries have to tell apart."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import lamindb as ln
from lamindb import File

# Naming it has set Django up, so that the modules beside can import `lamindb.models`.
assert File


@pytest.fixture
def world(local_instance: Path) -> SimpleNamespace:
    """Two runs; `a.txt` in two versions, `b.csv` made from its first, `gone.txt` in the trash."""
    ln.settings.verbosity = 1
    first = ln.Transform(name="First <b>", version="1", type="pipeline").save()
    second = ln.Transform(name="Second", version="2", type="notebook").save()
    made = ln.Run(transform=first, name="made").save()
    read = ln.Run(transform=second, name="read", params={"alpha": 1}).save()
    old = ln.File(b"a", key="a.txt", run=made).save()
    derived = ln.File(b"bb", key="b.csv", run=read, description="derived").save()
    read.inputs.add(old)
    new = ln.File(b"aaa", key="a.txt", run=made).save()
    gone = ln.File(b"gone!", key="gone.txt", run=made).save()
    gone.delete()
    return SimpleNamespace(
        first=first, second=second, made=made, read=read, old=ln.File.select(id=old.id, is_latest=False).one(),
        derived=derived, new=new, gone=gone, root=local_instance,
    )  # fmt: skip
