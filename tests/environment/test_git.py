"""Git repositories, made by git itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
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


@pytest.mark.skipif(os.name != "posix", reason="uses a shell script in place of git")
def test_refs_in_tables_are_read_by_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    (root / ".git/HEAD").write_text("ref: refs/heads/.invalid\n")
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\ncase "$*" in *rev-parse*) echo {"a" * 40};; esac\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    unasked = git_state(root, dirty=False)
    assert unasked is not None and unasked.commit is None
    state = git_state(root)
    assert state is not None and (state.commit, state.is_dirty) == ("a" * 40, False)


@needs_git
def test_git_answers_while_python_exits(repository: Path) -> None:
    code = f"""
import atexit, pathlib, threading
from lamindb.environment import git
atexit.register(lambda: print(git.git_state(pathlib.Path({str(repository)!r})).is_dirty, flush=True))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


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


HOSTILE = {
    # what a repository's files say, by file name: settings, attributes, hooks
    "filter.x.clean": {"config": '[filter "x"]\n\tclean = CANARY\n', "attributes": "* filter=x\n"},
    "filter.x.process": {"config": '[filter "x"]\n\tprocess = CANARY\n\trequired\n', "attributes": "* filter=x\n"},
    "a filter of an included file": {"config": "[include]\n\tpath = more\n", "more": '[filter "x"]\n\tclean = CANARY\n'}
    | {"attributes": "* filter=x\n"},
    "a filter of a conditional include": {
        "config": '[includeIf "gitdir:/"]\n\tpath = more\n',
        "more": '[filter "x"]\n\tclean = CANARY\n',
        "attributes": "* filter=x\n",
    },
    "a filter by core.attributesFile": {
        "config": '[core]\n\tattributesFile = ATTRIBUTES\n[filter "x"]\n\tclean = CANARY\n',
        "elsewhere": "* filter=x\n",
    },
    "a filter of this work tree": {
        "config": "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tworktreeConfig = true\n",
        "config.worktree": '[filter "x"]\n\tclean = CANARY\n',
        "attributes": "* filter=x\n",
    },
    "core.fsmonitor": {"config": "[core]\n\tfsmonitor = CANARY\n"},
    "core.hooksPath": {"config": "[core]\n\thooksPath = HOOKS\n"},
    "hooks": {"hooks": "default"},
    "diff.external": {"config": "[diff]\n\texternal = CANARY\n"},
    "diff.x.command": {"config": '[diff "x"]\n\tcommand = CANARY\n', "attributes": "* diff=x\n"},
    "diff.x.textconv": {"config": '[diff "x"]\n\ttextconv = CANARY\n', "attributes": "* diff=x\n"},
    "pagers": {"config": "[core]\n\tpager = CANARY\n[pager]\n\tstatus = CANARY\n\tdiff = CANARY\n"},
    "aliases": {"config": "[alias]\n\tstatus = !CANARY\n\tdiff = !CANARY\n\tls-files = !CANARY\n\tconfig = !CANARY\n"},
    "core.sshCommand": {
        "config": "[core]\n\tsshCommand = CANARY\n\tgitProxy = CANARY\n\taskPass = CANARY\n\teditor = CANARY\n"
        '[remote "origin"]\n\turl = ssh://example.org/x\n\tpromisor = true\n\tpartialclonefilter = blob:none\n'
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n",
        "missing": "a tree",
    },
    "a transport of missing objects": {
        "config": '[remote "origin"]\n\turl = .\n\tuploadpack = CANARY\n\tpromisor = true\n'
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n",
        "missing": "a tree",
    },
    "a transport that is a program": {
        "config": '[protocol]\n\tallow = always\n[remote "origin"]\n\turl = ext::CANARY\n\tpromisor = true\n'
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n",
        "missing": "a tree",
    },
    "gpg.program": {"config": "[gpg]\n\tprogram = CANARY\n[log]\n\tshowSignature = true\n[commit]\n\tgpgSign = true\n"},
    "credential.helper": {"config": "[credential]\n\thelper = !CANARY\n"},
    "status.submoduleSummary": {"config": "[status]\n\tsubmoduleSummary = true\n[alias]\n\tsubmodule = !CANARY\n"},
    "a filter inside a submodule": {"submodule": '[filter "x"]\n\tclean = CANARY\n[core]\n\tfsmonitor = CANARY\n'},
    "diff.submodule": {
        "config": "[diff]\n\tsubmodule = diff\n",
        "submodule": '[filter "x"]\n\tclean = CANARY\n[diff]\n\texternal = CANARY\n',
    },
}
HARMLESS_TO_ALL = {"pagers", "aliases", "gpg.program", "credential.helper", "status.submoduleSummary"}
"""Settings that run nothing in a plain `git status` and `git diff` either: kept, because another version may differ."""


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Make a program that leaves a trace when it runs; return the trace's path."""
    program = tmp_path / "canary.sh"
    program.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{tmp_path}/ran'\n")
    program.chmod(0o755)
    return tmp_path / "ran"


def make_hostile(repository: Path, tmp_path: Path, settings: dict[str, str]) -> None:
    """Put settings into a repository whose script has changed in time and content."""
    program = str(tmp_path / "canary.sh")
    folders = [repository / ".git"]
    if "submodule" in settings:
        run(tmp_path, "clone", "-q", str(repository), "part")
        run(repository, "submodule", "--quiet", "add", str(tmp_path / "part"), "part")
        run(repository, "commit", "-q", "-m", "a part")
        folders.append(repository / ".git/modules/part")
        (folders[1] / "info").mkdir(exist_ok=True)
        (folders[1] / "info/attributes").write_text("* filter=x\n")
        with (folders[1] / "config").open("a") as stream:
            stream.write(settings["submodule"].replace("CANARY", program))
        (repository / "part/script.py").write_text("print(2)\n")
    hooks = tmp_path / "hooks" if "HOOKS" in settings.get("config", "") else repository / ".git/hooks"
    if "HOOKS" in settings.get("config", "") or "hooks" in settings:
        hooks.mkdir(exist_ok=True)
        for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "pre-commit", "post-checkout"):
            shutil.copy(program, hooks / name)
    if "attributes" in settings:
        (repository / ".gitattributes").write_text(settings["attributes"])
        run(repository, "add", ".gitattributes")
        run(repository, "commit", "-q", "-m", "attributes")
    for name in ("more", "config.worktree"):
        if name in settings:
            (repository / ".git" / name).write_text(settings[name].replace("CANARY", program))
    (tmp_path / "attributes").write_text(settings.get("elsewhere", ""))
    (repository / "script.py").write_text("print(2)\n")
    os.utime(repository / "script.py", (1, 1))
    if "missing" in settings:
        name = run(repository, "rev-parse", "HEAD^{tree}")
        (repository / ".git/objects" / name[:2] / name[2:]).unlink()
    text = settings.get("config", "").replace("CANARY", program).replace("HOOKS", str(hooks))
    with (repository / ".git/config").open("a") as stream:
        stream.write(text.replace("ATTRIBUTES", str(tmp_path / "attributes")))


@needs_git
@pytest.mark.skipif(os.name != "posix", reason="uses a shell script as the program")
@pytest.mark.parametrize("name", HOSTILE)
def test_no_setting_of_a_repository_runs_a_program(repository: Path, tmp_path: Path, canary: Path, name: str) -> None:
    make_hostile(repository, tmp_path, HOSTILE[name])
    canary.unlink(missing_ok=True)
    state = git_state(repository / "script.py")
    patch = git_diff(repository, 100_000)
    assert state is not None
    assert not canary.exists(), canary.read_text()
    if "missing" in HOSTILE[name]:
        assert (state.is_dirty, patch) == (None, b"")
    else:
        assert state.is_dirty is True and b"+print(2)" in patch
    head = (repository / ".git/HEAD").read_text()
    (repository / ".git/HEAD").write_text("ref: refs/heads/.invalid\n")
    assert git_state(repository / "script.py") is not None
    assert not canary.exists(), canary.read_text()
    (repository / ".git/HEAD").write_text(head)
    # The same question to git itself shows that the setting would have run the program.
    for command in (("status", "--porcelain"), ("diff", "HEAD")):
        subprocess.run(["git", *command], cwd=repository, capture_output=True, timeout=60, check=False)
    assert canary.exists() is (name not in HARMLESS_TO_ALL)


@needs_git
def test_a_repository_cannot_name_another_work_tree(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private/script.py").write_text("private\n")
    run(repository, "config", "core.worktree", str(tmp_path / "private"))
    state = git_state(repository / "script.py")
    assert state is not None and state.is_dirty is False
    assert git_diff(repository, 10_000) == b""


@needs_git
@pytest.mark.parametrize("outside", ["../private.txt", "a/../../private.txt", "absolute"])
def test_an_index_cannot_name_files_outside_of_the_work_tree(repository: Path, tmp_path: Path, outside: str) -> None:
    (tmp_path / "private.txt").write_text("private\n")
    if outside == "absolute":
        outside = str(tmp_path / "private.txt")
    (repository / "a").mkdir()
    inside = "q" * len(outside)
    (repository / inside).write_text("x\n")
    run(repository, "add", ".")
    (repository / inside).unlink()
    index = repository / ".git/index"
    data = index.read_bytes()[:-20].replace(inside.encode(), outside.encode())
    index.write_bytes(data + hashlib.sha1(data).digest())
    assert "private" in run(repository, "diff", "HEAD"), "git itself reads it"
    state = git_state(repository / "script.py")
    assert state is not None and state.is_dirty is None
    assert git_diff(repository, 10_000) == b""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("name", ["HEAD", "config", "refs/heads/main", "packed-refs", "commondir"])
def test_pipes_and_devices_in_place_of_files_do_not_block(tmp_path: Path, name: str) -> None:
    root = tmp_path / "repository"
    (root / ".git/refs/heads").mkdir(parents=True)
    (root / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (root / ".git" / name).unlink(missing_ok=True)
    os.mkfifo(root / ".git" / name)
    state = git_state(root, dirty=False)
    assert state is None or state.commit is None
    (root / ".git" / name).unlink()
    (root / ".git" / name).symlink_to("/dev/zero")
    state = git_state(root, dirty=False)
    assert state is None or state.commit is None


@pytest.mark.parametrize("ref", ["../../secret", "refs/../../../secret", "/etc/hostname", "secret"])
def test_a_head_outside_of_the_refs_is_not_read(tmp_path: Path, ref: str) -> None:
    root = tmp_path / "repository"
    (root / ".git/refs").mkdir(parents=True)
    for path in (tmp_path / "secret", root / ".git/secret"):
        path.write_text("a" * 40 + "\n")
    (root / ".git/HEAD").write_text(f"ref: {ref}\n")
    state = git_state(root, dirty=False)
    assert state is not None and state.commit is None


@needs_git
def test_what_git_needs_to_compare_files_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (place, setting) in enumerate(
        [("local", "core.autocrlf=true"), ("global", "core.autocrlf=true"), ("local", "core.fileMode=false")]
    ):
        root = tmp_path / f"repository{number}"
        run(tmp_path, "init", "-q", "--object-format=sha256", str(root))
        name, _, value = setting.partition("=")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / f"global{number}"))
        run(root, "config", f"--{place}", name, value)
        (root / "script.py").write_bytes(b"print(1)\r\n")
        run(root, "add", ".")
        assert b"+print(1)" in git_diff(root, 1000), "before the first commit"
        run(root, "commit", "-q", "-m", "first")
        (root / "script.py").chmod(0o755 if "fileMode" in setting else 0o644)
        os.utime(root / "script.py", (1, 1))
        state = git_state(root / "script.py")
        assert state is not None and len(state.commit or "") == 64
        assert state.is_dirty is False, setting
        assert git_diff(root, 1000) == b""


@needs_git
def test_sparse_checkouts_and_attributes_of_the_repository(repository: Path) -> None:
    (repository / "data").mkdir()
    (repository / "data/x.bin").write_text("x\n")
    (repository / "code").mkdir()
    (repository / "code/y.py").write_text("y\n")
    run(repository, "add", ".")
    run(repository, "commit", "-q", "-m", "second")
    run(repository, "sparse-checkout", "set", "--cone", "--sparse-index", "code")
    assert not (repository / "data").exists()
    state = git_state(repository / "code/y.py")
    assert state is not None and state.is_dirty is False
    (repository / "code/y.py").write_text("z\n")
    assert b"+z" in git_diff(repository, 1000)
    (repository / ".git/info/attributes").write_text("*.py binary\n")
    assert b"+z" not in git_diff(repository, 1000)


@needs_git
def test_changes_inside_submodules_count(repository: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    run(tmp_path, "init", "-q", "outer")
    run(outer, "submodule", "--quiet", "add", str(repository), "libs/part")
    run(outer, "commit", "-q", "-m", "first")
    state = git_state(outer)
    assert state is not None and state.is_dirty is False
    (outer / "libs/part/script.py").write_text("print(2)\n")
    state = git_state(outer)
    assert state is not None and state.is_dirty is True
    run(outer / "libs/part", "commit", "-q", "-a", "-m", "second")
    state = git_state(outer)
    assert state is not None and state.is_dirty is True, "another commit of it"
    assert b"+Subproject commit" in git_diff(outer, 1000)


@needs_git
def test_without_changes_asked_no_process_starts(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    for head in ("ref: refs/heads/main\n", "ref: refs/heads/.invalid\n"):
        (repository / ".git/HEAD").write_text(head)
        state = git_state(repository / "script.py", dirty=False)
        assert state is not None and (state.commit is None) is (".invalid" in head)
