"""A small file is the old or the new text, whatever happens in between."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from lamindb.core import filesystem


def _in_child(work: object) -> int:
    """Run a function in a forked child and return how that ended."""
    pid = os.fork()
    if pid == 0:
        try:
            work()  # type: ignore[operator]
        finally:
            os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_text_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for text in ("one\n", "", "ä 名 🧬\n"):
        filesystem.write_text(path, text)
        assert path.read_bytes() == text.encode()
    assert os.listdir(tmp_path) == ["a.toml"]


def test_permissions_are_as_asked_narrowed_by_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        filesystem.write_text(tmp_path / "shared", "x")
        filesystem.write_text(tmp_path / "private", "x", mode=0o600)
        (tmp_path / "open").write_text("old")
        (tmp_path / "open").chmod(0o666)
        filesystem.write_text(tmp_path / "open", "secret", mode=0o600)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"shared": 0o640, "private": 0o600, "open": 0o600}


@pytest.mark.parametrize("step", ["open", "fdopen", "fsync", "replace"])
def test_a_failing_step_leaves_the_old_text_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.toml"
    path.write_text("old")

    def fail(*args: object, **kwargs: object) -> None:
        if step == "fdopen":
            os.close(args[0])  # type: ignore[arg-type]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(filesystem.os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        filesystem.write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.toml"]


def test_text_that_cannot_be_stored_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        filesystem.write_text(path, "\ud800")
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["a.toml"])


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_killed_at_any_step_leaves_one_whole_text(step: str, when: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("old")
    real = getattr(os, step)

    def die(*args: object, **kwargs: object) -> object:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return result

    def work() -> None:
        setattr(os, step, die)
        filesystem.write_text(path, "new" * 10_000)

    assert _in_child(work) == -signal.SIGKILL
    assert path.read_text() == ("new" * 10_000 if (step, when) == ("replace", "after") else "old")


def test_two_writers_of_one_file_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    texts = {letter * 50_000 for letter in "ab"}
    path.write_text("a" * 50_000)
    pids = []
    for text in sorted(texts):
        pid = os.fork()
        if pid == 0:
            for _ in range(50):
                filesystem.write_text(path, text)
            os._exit(0)
        pids.append(pid)
    for _ in range(200):
        assert path.read_text() in texts
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    assert os.listdir(tmp_path) == ["a.toml"]
