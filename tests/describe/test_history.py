"""What happened lately, in order."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.errors import InvalidInputError, NoResultFound


def history(*arguments: Any, **options: Any) -> Any:
    from lamindb.describe import history as histories

    return histories.history(*arguments, **options)


def test_everything_that_happened_is_there_the_latest_first(instance: Path) -> None:
    file = ln.File(b"one", key="x.txt").save()
    transform = ln.Transform(name="count", type="pipeline").save()
    run = ln.Run(transform=transform, name="by hand").save()
    ln.File(b"two", key="x.txt", run=run).save()
    file.delete()
    found = [(event.kind, event.what, event.detail, event.transform) for event in history()]
    assert found == [
        ("removed", "x.txt", "version 1", None),
        ("saved", "x.txt", "version 2", "count"),
        ("ran", "by hand", "by hand", "count"),
        ("registered", "count", "pipeline, version 1", "count"),
        ("saved", "x.txt", "version 1", None),
    ]
    assert [event.kind for event in history(2)] == ["removed", "saved"]


def test_it_can_be_narrowed(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ln.File(b"one", key="x.txt").save()
    monkeypatch.setenv("LAMIN_USER", "bob")
    ln.File(b"two", key="y.txt").save()
    assert [(event.who, event.what) for event in history(handle="bob")] == [("bob", "y.txt")]
    assert history(since=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)) == []
    assert len(history(since=datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1))) == 2


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
def test_wrong_limits_are_refused(limit: object, instance: Path) -> None:
    with pytest.raises(InvalidInputError):
        history(limit)


def test_an_unknown_user_is_an_error(instance: Path) -> None:
    with pytest.raises(NoResultFound, match="'nobody'"):
        history(handle="nobody")
