"""Git repositories, made by git itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lamindb.environment import git
from lamindb.environment.git import git_diff, git_state, without_credentials

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def run(folder: Path, *command: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "protocol.file.allow=always", *command],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    run(root, "init", "-q", "-b", "main")
    (root / "script.py").write_text("print(1)\n")
    run(root, "add", ".")
    run(root, "commit", "-q", "-m", "first")
    return root


@needs_git
def test_a_clean_repository(repository: Path) -> None:
    state = git_state(repository / "script.py")
    assert state is not None
    assert (state.root, state.commit) == (repository, run(repository, "rev-parse", "HEAD"))
    assert (state.repository_url, state.is_dirty) == (None, False)
    assert git_diff(repository, 1000) == b""


@needs_git
def test_the_address_has_no_credentials(repository: Path) -> None:
    run(repository, "remote", "add", "fork", "https://example.org/fork.git")
    run(repository, "remote", "add", "origin", "https://me:hunter2@example.org/lab/project.git")
    state = git_state(repository)
    assert state is not None and state.repository_url == "https://example.org/lab/project.git"
    run(repository, "remote", "remove", "origin")
    state = git_state(repository)
    assert state is not None and state.repository_url == "https://example.org/fork.git"


@needs_git
@pytest.mark.parametrize("pack", [False, True])
def test_commits_are_found_wherever_git_keeps_them(repository: Path, pack: bool) -> None:
    run(repository, "switch", "-q", "-c", "feature/a")
    (repository / "script.py").write_text("print(2)\n")
    run(repository, "commit", "-q", "-a", "-m", "second")
    if pack:
        run(repository, "pack-refs", "--all")
        assert not (repository / ".git/refs/heads/feature/a").exists()
    state = git_state(repository)
    assert state is not None
    assert state.commit == run(repository, "rev-parse", "HEAD")


@needs_git
def test_odd_heads(repository: Path, tmp_path: Path) -> None:
    commit = run(repository, "rev-parse", "HEAD")
    run(repository, "checkout", "-q", "--detach")
    state = git_state(repository)
    assert state is not None and state.commit == commit
    run(tmp_path, "init", "-q", "-b", "main", "unborn")
    (tmp_path / "unborn" / "x.py").write_text("x")
    state = git_state(tmp_path / "unborn" / "x.py")
    assert state is not None and (state.commit, state.is_dirty) == (None, True)
    run(tmp_path / "unborn", "add", ".")
    assert b"+x" in git_diff(tmp_path / "unborn", 10_000)


@needs_git
def test_worktrees_and_submodules(repository: Path, tmp_path: Path) -> None:
    run(repository, "remote", "add", "origin", "git@example.org:lab/project.git")
    run(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    state = git_state(tmp_path / "side" / "script.py")
    assert state is not None
    assert (state.root, state.commit) == (tmp_path / "side", run(repository, "rev-parse", "HEAD"))
    assert state.repository_url == "git@example.org:lab/project.git"
    outer = tmp_path / "outer"
    run(tmp_path, "init", "-q", "outer")
    run(outer, "submodule", "--quiet", "add", str(repository), "part")
    state = git_state(outer / "part")
    assert state is not None
    assert (state.root, state.commit) == (outer / "part", run(repository, "rev-parse", "HEAD"))
    assert state.is_dirty is False


@needs_git
def test_dirty_means_that_the_code_is_not_in_the_commit(repository: Path) -> None:
    (repository / "data.csv").write_text("1")
    state = git_state(repository / "script.py")
    assert state is not None and state.is_dirty is False, "data beside the code does not count"
    untracked = git_state(repository / "data.csv")
    assert untracked is not None and untracked.is_dirty is True
    (repository / "script.py").write_text("print(2)\n")
    changed = git_state(repository / "script.py")
    assert changed is not None and changed.is_dirty is True
    unasked = git_state(repository, dirty=False)
    assert unasked is not None and unasked.is_dirty is None


@needs_git
def test_the_patch_is_short_and_has_no_secrets(repository: Path) -> None:
    (repository / "script.py").write_text("print(2)\napi_key = 'hunter2-hunter2'\n" + "x = 1\n" * 1000)
    patch = git_diff(repository, 100_000)
    assert b"+print(2)" in patch and b"hunter2" not in patch
    short = git_diff(repository, 300)
    assert 0 < len(short) <= 300 and short.endswith(b"\n") and patch.startswith(short)


@needs_git
def test_looking_changes_nothing(repository: Path) -> None:
    os.utime(repository / "script.py", (1, 1))
    before = (repository / ".git/index").read_bytes()
    state = git_state(repository)
    assert state is not None and state.is_dirty is False
    assert git_diff(repository, 1000) == b""
    assert (repository / ".git/index").read_bytes() == before


@needs_git
def test_hooks_and_other_variables_do_not_mislead(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other/.git/index"))
    (repository / "script.py").write_text("print(2)\n")
    assert b"+print(2)" in git_diff(repository, 1000)
    state = git_state(repository)
    assert state is not None and state.is_dirty is True


@needs_git
def test_without_the_program_the_commit_is_still_known(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = run(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", "/nowhere")
    state = git_state(repository)
    assert state is not None and (state.commit, state.is_dirty) == (commit, None)
    assert git_diff(repository, 100) == b""


@pytest.mark.skipif(os.name != "posix", reason="uses a shell script in place of git")
def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    (root / ".git/HEAD").write_text("ref: refs/heads/main\n")
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(git, "STATUS_SECONDS", 0.1)
    state = git_state(root)
    assert state is not None and state.is_dirty is None


def test_no_repository_and_broken_ones(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    assert git_diff(tmp_path, 10) == b""
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    assert git_state(tmp_path) is None
    (tmp_path / ".git").write_bytes(b"\xff\xfe")
    assert git_state(tmp_path) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@example.org/a.git", "https://example.org/a.git"),
        ("https://token@example.org:8443/a.git", "https://example.org:8443/a.git"),
        ("ssh://git@example.org:22/a.git", "ssh://git@example.org:22/a.git"),
        ("ssh://git:pw@example.org/a.git", "ssh://git@example.org/a.git"),
        ("git@example.org:a.git", "git@example.org:a.git"),
        ("https://example.org/a.git?private_token=x", "https://example.org/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("file:///srv/a.git", "file:///srv/a.git"),
        ("https://[broken/a", "https://[broken/a"),
    ],
)
def test_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
