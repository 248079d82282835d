"""The git repository that a file lies in: read from its files; git itself is asked only what changed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from lamindb.core import messages
from lamindb.environment.redaction import redact_text
from lamindb.environment.scripts import project_root

STATUS_SECONDS: Final = 5.0
DIFF_SECONDS: Final = 10.0

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?$")
_SECTION = re.compile(r'\[\s*(?P<name>[\w.\-]+)(?:\s+"(?P<of>(?:\\.|[^"\\])*)")?\s*\]')
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_READ_ONLY: Final = (
    *("--no-optional-locks", "-c", "diff.autoRefreshIndex=false"),
    *("-c", "core.fsmonitor=false", "-c", "core.quotePath=false"),
)
_TOUCHED_ONLY: Final = re.compile(rb"^diff --git [^\n]*\n(?=diff --git |\Z)", re.MULTILINE)
"""What a patch has of a file whose time changed and whose content did not."""


@dataclass(frozen=True, slots=True)
class GitState:
    """What git knows of a folder.

    Attributes:
        repository_url: Address of the remote `origin`, else of the first remote, without credentials; None without one.
        root: The top folder of the work tree.
        commit: The full name of the checked-out commit; None before the first one.
        is_dirty: Whether a tracked file, or the file asked about, differs from the commit; None where git is missing,
            refuses or takes too long, and where nobody asked.
    """

    repository_url: str | None
    root: Path
    commit: str | None
    is_dirty: bool | None


def git_state(path: Path, *, dirty: bool = True) -> GitState | None:
    """Return the state of the repository that a file or folder lies in, or None where there is none.

    Changes nothing in it, the index included. Only `dirty` starts a process; it takes 5 seconds at most.
    """
    path = path.resolve()
    root = project_root(path if path.is_dir() else path.parent)
    folder = _git_folder(root) if root is not None else None
    if root is None or folder is None:
        return None
    common = _common_folder(folder)
    commit = _head(root, folder, common)
    return GitState(
        repository_url=_remote_url(_text(common / "config")),
        root=root,
        commit=commit,
        is_dirty=_is_dirty(root, path) if dirty else None,
    )


def git_diff(root: Path, limit_bytes: int = 1_000_000) -> bytes:
    """Return what tracked files have that the commit has not, as a patch without secrets, cut at a line's end.

    Empty where nothing differs, and where git is missing, refuses or takes longer than 10 seconds.

    Args:
        root: A folder of the work tree.
        limit_bytes: The most that is returned.
    """
    state = git_state(root, dirty=False)
    if state is None:
        return b""
    base = state.commit or _EMPTY_TREE
    command = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", base, "--", ".")
    # Redaction shortens more often than it lengthens; the last cut is made on what is returned.
    raw = _git(state.root, *command, seconds=DIFF_SECONDS, limit_bytes=limit_bytes + 1)
    if not raw:
        return b""
    text = _TOUCHED_ONLY.sub(b"", raw).decode("utf-8", "surrogateescape")
    patch = redact_text(text).encode("utf-8", "surrogateescape")
    if len(raw) <= limit_bytes and len(patch) <= limit_bytes:
        return patch
    return patch[: patch.rfind(b"\n", 0, limit_bytes) + 1]


def without_credentials(url: str) -> str:
    """Return a remote's address without the user's name, password or token; the user that SSH needs stays.

    Examples:
        >>> without_credentials("https://me:token@example.org/lab/project.git?private_token=x")
        'https://example.org/lab/project.git'
        >>> without_credentials("git@example.org:lab/project.git")
        'git@example.org:lab/project.git'
    """
    if "://" not in url:
        return redact_text(url)
    try:
        parts = urlsplit(url)
        user, host = parts.username, parts.netloc.rpartition("@")[2]
    except ValueError:
        return redact_text(url)
    if user and "ssh" in parts.scheme:
        host = f"{user}@{host}"
    return redact_text(urlunsplit((parts.scheme, host, parts.path, "", "")))


def _git_folder(root: Path) -> Path | None:
    """Return the folder with `HEAD`: for worktrees and submodules, `.git` is a file that names it."""
    mark = root / ".git"
    if mark.is_dir():
        return mark
    named = _text(mark).strip()
    folder = (root / named.removeprefix("gitdir:").strip()).resolve() if named.startswith("gitdir:") else None
    return folder if folder is not None and folder.is_dir() else None


def _common_folder(folder: Path) -> Path:
    """Return the folder that all worktrees share."""
    named = _text(folder / "commondir").strip()
    return (folder / named).resolve() if named else folder


def _head(root: Path, folder: Path, common: Path) -> str | None:
    """Return the commit that is checked out."""
    head = _text(folder / "HEAD").strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.match(head) else None
    name = head.removeprefix("ref:").strip()
    if name == "refs/heads/.invalid":
        # The refs are kept in a table whose format only git reads.
        commit = _git(root, "rev-parse", "-q", "--verify", "HEAD", seconds=STATUS_SECONDS)
        return (commit or b"").decode().strip() or None
    return _resolve(name, folder, common)


def _resolve(name: str, folder: Path, common: Path) -> str | None:
    """Return the commit that a ref names: from its own file, else from the packed ones."""
    for _ in range(5):
        text = _text(folder / name).strip() or _text(common / name).strip()
        if not text.startswith("ref:"):
            break
        name = text.removeprefix("ref:").strip()
    if _COMMIT.match(text):
        return text
    for line in _text(common / "packed-refs").splitlines():
        commit, _, packed = line.partition(" ")
        if packed.strip() == name and _COMMIT.match(commit):
            return commit
    return None


def _remote_url(config: str) -> str | None:
    """Return the address of `origin`, else of the first remote."""
    remotes: dict[str, str] = {}
    remote = ""
    for line in map(str.strip, config.splitlines()):
        section = _SECTION.match(line)
        if section:
            remote = (section["of"] or "") if section["name"].lower() == "remote" else ""
            continue
        key, found, value = line.partition("=")
        if found and remote and key.strip().lower() == "url":
            remotes.setdefault(remote, value.strip().strip('"'))
    url = remotes.get("origin") or next(iter(remotes.values()), None)
    return without_credentials(url) if url else None


def _is_dirty(root: Path, path: Path) -> bool | None:
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", seconds=STATUS_SECONDS, limit_bytes=1)
    if changed or changed is None or not path.is_file():
        return bool(changed) if changed is not None else None
    named = f":(literal){path.relative_to(root).as_posix()}"
    known = _git(root, "ls-files", "--", named, seconds=STATUS_SECONDS, limit_bytes=1)
    return not known if known is not None else None


def _git(root: Path, *command: str, seconds: float, limit_bytes: int = -1) -> bytes | None:
    """Ask git; None where it is missing, refuses or takes too long.

    What the environment says about another repository, as it does inside hooks, is not passed on. Reading stops at
    the limit.
    """
    import subprocess
    import threading

    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    for name in ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        if name in os.environ:
            environment[name] = os.environ[name]
    try:
        process = subprocess.Popen(
            ("git", *_READ_ONLY, *command),
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        messages.debug(f"git was not asked about {root}: {error}")
        return None
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        with process:
            assert process.stdout is not None
            answer = process.stdout.read(limit_bytes)
            if limit_bytes >= 0 and len(answer) == limit_bytes:
                process.kill()
                return answer
    finally:
        timer.cancel()
    return answer if process.returncode == 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
