"""The run that a process got from the one that started it."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context


def handed_down(monkeypatch: pytest.MonkeyPatch, run_id: str) -> None:
    monkeypatch.setenv("LAMIN_RUN_ID", run_id)
    monkeypatch.setattr(context, "handed_down", lambda: (run_id, None))


def test_a_run_that_is_not_there_is_named_once(
    instance: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handed_down(monkeypatch, "nowhere")
    capsys.readouterr()
    files = [ln.File(text, key=text.decode()).save() for text in (b"one", b"two")]
    name = context.instance().name
    assert f"LAMIN_RUN_ID is 'nowhere', which is no recorded run of {name!r}: it is ignored" in capsys.readouterr().err
    ln.File(b"three", key="three").save()
    assert "LAMIN_RUN_ID" not in capsys.readouterr().err
    assert [file.run for file in files] == [None, None]


def test_a_run_that_is_there_gets_the_files(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ln.Run(transform=ln.Transform(name="by hand")).save()
    handed_down(monkeypatch, run.id)
    assert ln.File(b"one", key="one").save().run == run
    assert "LAMIN_RUN_ID" not in capsys.readouterr().err
