"""Which transform runs, where little is known of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.environment.notebook_matching import AnonymousNotebook
from lamindb.records import save
from lamindb.runs import identify


def test_notebooks_that_cannot_be_told_apart_are_told(instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = AnonymousNotebook("notebook in x", "a" * 64, ("import lamindb as ln",), instance.parent)
    found = []
    for _ in range(2):
        capsys.readouterr()
        transform = identify.transform_of(notebook, context.instance())
        save.save(transform)
        found.append(transform.id)
        told = capsys.readouterr().err
        assert told.count("the file of this notebook is unknown") == 1
        assert "LAMIN_NOTEBOOK_PATH" in told
    assert len(set(found)) == 1
    other = AnonymousNotebook("notebook in x", "b" * 64, ("1",), instance.parent)
    save.save(identify.transform_of(other, context.instance()))
    assert ln.Transform.select().count() == 2
