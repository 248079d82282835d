"""State of the git repository that a file lies in.

The top folder, the commit and the remote are needed when a run begins, so they are read from git's files: no process
starts, and they are known where git is not installed. Whether anything changed, and the patch, come from git itself.

A repository's settings can name programs (filters, hooks, file system monitors, transports of missing objects) and
files elsewhere, and another person may have written them. Git therefore works with a temporary repository folder of
our own, with the commit, index and objects of the real one and none of its settings, except a few that name neither
a program nor a file. No filter runs: a file that a filter would change counts as changed once it was written to.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from lamindb.core import messages
from lamindb.environment import notebook_patch
from lamindb.environment.file_access import audit
from lamindb.environment.redaction import redact_text
from lamindb.environment.scripts import project_root

STATUS_SECONDS: Final = 5.0
DIFF_SECONDS: Final = 10.0

_CHUNK: Final = 64 * 1024
_MOST_BYTES: Final = 64 * 1024 * 1024
_MOST_INDEX_BYTES: Final = 256 * 1024 * 1024
_MOST_STATUS_BYTES: Final = 1024 * 1024
_MOST_NOTEBOOKS: Final = 200
"""Notebooks that are compared by their cells; where more files changed, all count as changed."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?$")
# Patterns are texts, which `re` compiles when they are first used.
_SECTION: Final = r'\[\s*(?P<name>[\w.\-]+)(?:\s+"(?P<of>(?:\\.|[^"\\])*)")?\s*\]'
_UNBORN: Final = "ref: refs/heads/unborn\n"
_EMPTY_TREE: Final = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
_READ_ONLY: Final = ("--no-optional-locks", "-c", "diff.autoRefreshIndex=false", "-c", "core.quotePath=false")
_USERS_SETTINGS: Final = ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
_HARMLESS: Final = frozenset(
    {"core.autocrlf", "core.checkstat", "core.eol", "core.filemode", "core.ignorecase", "core.precomposeunicode"}
    | {"core.symlinks", "core.trustctime", "extensions.objectformat"}
)
"""Settings that say how the index and the files compare; none names a program or a file."""
_HARMLESS_VALUE: Final = r"[A-Za-z0-9]+"
_OUTSIDE: Final = rb"(?:\A|\0)[0-7]+ [0-9a-f]+ \d\t(?:/|(?:[^\0]*/)?\.\.(?:/|\0))"
"""An entry of the index that names a file outside of the work tree: git writes none, and would read it."""
_SUBMODULE: Final = rb"(?:\A|\0)160000 [0-9a-f]+ 0\t([^\0]+)"
_TOUCHED_ONLY: Final = rb"(?m)^diff --git [^\n]*\n(?=diff --git |\Z)"
"""What a patch has of a file whose time changed and whose content did not."""


class GitState(NamedTuple):
    """What git knows of a folder.

    Attributes:
        repository_url: Address of the remote `origin`, else of the first remote, without credentials; None without one.
        root: The top folder of the work tree.
        commit: The full name of the checked-out commit; None before the first one, and where only git can read it
            (refs in the format `reftable`) and was not asked.
        is_dirty: Whether a tracked file, also of a submodule, or the file asked about differs from the commit; None
            where git is missing, refuses or takes too long, and where it was not asked. Notebooks are compared by
            their code cells.
    """

    repository_url: str | None
    root: Path
    commit: str | None
    is_dirty: bool | None


def git_state(path: Path, *, dirty: bool = True) -> GitState | None:
    """Return the state of the repository that a file or folder lies in, or None where there is none.

    Changes nothing in it, the index included, and runs no program but git.

    Args:
        path: The file or folder.
        dirty: Ask git, which starts processes and takes 5 seconds at most; otherwise only files are read.
    """
    path = path.resolve()
    with audit.unseen():
        repository = _repository_of(path)
        if repository is None:
            return None
        until = time.monotonic() + STATUS_SECONDS
        commit = repository.commit()
        if dirty and commit is None and repository.has_reftable():
            commit = _commit_by_git(repository, until)
        return GitState(
            repository_url=repository.remote_url(),
            root=repository.root,
            commit=commit,
            is_dirty=_is_dirty(repository, commit, path, until) if dirty else None,
        )


def git_diff(root: Path, limit_bytes: int = 1_000_000) -> bytes:
    """Return what tracked files have that the commit has not, as a patch without secrets, cut at a line's end.

    Empty where nothing differs, and where git is missing, refuses or takes longer than 10 seconds. Of submodules it
    has the commits only, of notebooks the cells, and of notebooks that were removed nothing.

    Args:
        root: A folder of the work tree.
        limit_bytes: The most that is returned.
    """
    with audit.unseen():
        raw = _raw_diff(root.resolve(), limit_bytes)
    if not raw:
        return b""
    text = re.sub(_TOUCHED_ONLY, b"", raw).decode("utf-8", "surrogateescape")
    patch = redact_text(text).encode("utf-8", "surrogateescape")
    if len(raw) <= limit_bytes and len(patch) <= limit_bytes:
        return patch
    return patch[: patch.rfind(b"\n", 0, limit_bytes) + 1]


def _raw_diff(root: Path, limit_bytes: int) -> bytes | None:
    repository = _repository_of(root)
    if repository is None:
        return None
    until = time.monotonic() + DIFF_SECONDS
    commit = repository.commit() or (_commit_by_git(repository, until) if repository.has_reftable() else None)
    with _Git(repository, commit, until) as git:
        if git.index() is None:
            return None
        base = commit or _EMPTY_TREE["sha256" if git.settings.get("extensions.objectformat") == "sha256" else "sha1"]
        shown = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--ignore-submodules=dirty")
        # Redaction shortens more often than it lengthens; the last cut is made on what is returned.
        found = git.ask("diff", *shown, base, "--", ":(top,exclude)*.ipynb", limit_bytes=limit_bytes + 1)
        if found is None or len(found) > limit_bytes:
            return found
        names = [name for _, name in git.changed() or () if name.endswith(b".ipynb")]
        patches = (_notebook_patch(git, repository.root, commit, name) for name in names[:_MOST_NOTEBOOKS])
        return found + b"".join(patches)


def _notebook_patch(git: _Git, root: Path, commit: str | None, name: bytes) -> bytes:
    present = _present(root, name)
    if present is None:
        return b""
    text = notebook_patch.patch(os.fsdecode(name), git.committed(commit, name), present)
    return text.encode("utf-8", "surrogateescape")


def _present(root: Path, name: bytes) -> bytes | None:
    """Return a notebook of the work tree; None if it is gone, no regular file, or too large to be compared."""
    path = root / os.fsdecode(name)
    try:
        with open(path, "rb", opener=_open_here) as stream:
            about = os.fstat(stream.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_size > notebook_patch.MOST_BYTES:
                return None
            return stream.read(notebook_patch.MOST_BYTES)
    except OSError:
        return None


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


class _Repository(NamedTuple):
    """The files of a repository.

    Attributes:
        root: The top folder of the work tree.
        folder: Has `HEAD` and the index of this work tree.
        common: Has what all work trees share: objects, refs, settings. Often the same folder.
    """

    root: Path
    folder: Path
    common: Path

    def settings(self) -> list[tuple[str, str]]:
        """Return the names and values of its settings, as in `remote.origin.url`; included files are not read."""
        found: list[tuple[str, str]] = []
        section = ""
        for line in map(str.strip, _text(self.common / "config").splitlines()):
            head = re.match(_SECTION, line)
            if head:
                section = head["name"].lower() + (f".{head['of']}" if head["of"] is not None else "")
                continue
            key, equals, value = line.partition("=")
            if equals and section:
                found.append((f"{section}.{key.strip().lower()}", value.strip().strip('"')))
        return found

    def remote_url(self) -> str | None:
        """Return the address of `origin`, else of the first remote."""
        urls = {name: value for name, value in reversed(self.settings()) if re.fullmatch(r"remote\..+\.url", name)}
        url = urls.get("remote.origin.url") or next(reversed(urls.values()), None)
        return without_credentials(url) if url else None

    def has_reftable(self) -> bool:
        """Return True if the refs are kept in tables, whose format only git reads."""
        return _text(self.folder / "HEAD").strip() == "ref: refs/heads/.invalid"

    def commit(self) -> str | None:
        """Return the commit that is checked out: from the ref's own file, else from the packed refs."""
        text = _text(self.folder / "HEAD").strip()
        name = ""
        for _ in range(5):
            if not text.startswith("ref:"):
                break
            name = text.removeprefix("ref:").strip()
            if not name.startswith("refs/") or ".." in name or "\0" in name:
                return None
            text = _text(self.folder / name).strip() or _text(self.common / name).strip()
        if _COMMIT.match(text):
            return text
        for line in _text(self.common / "packed-refs").splitlines():
            commit, _, packed = line.partition(" ")
            if packed.strip() == name and _COMMIT.match(commit):
                return commit
        return None


def _repository_of(path: Path) -> _Repository | None:
    root = project_root(path if path.is_dir() else path.parent)
    if root is None:
        return None
    folder = root / ".git"
    if not folder.is_dir():
        # Worktrees and submodules have a file that names the folder.
        named = _text(folder).strip()
        if not named.startswith("gitdir:") or "\0" in named:
            return None
        folder = (root / named.removeprefix("gitdir:").strip()).resolve()
        if not folder.is_dir():
            return None
    shared = _text(folder / "commondir").strip()
    return _Repository(root, folder, (folder / shared).resolve() if shared and "\0" not in shared else folder)


def _is_dirty(repository: _Repository, commit: str | None, path: Path, until: float) -> bool | None:
    with _Git(repository, commit, until) as git:
        index = git.index()
        if index is None:
            return None
        changed = git.changed()
        if changed is None:
            return None
        if len(changed) > _MOST_NOTEBOOKS or any(_differs(git, repository.root, commit, *one) for one in changed):
            return True
    if path.is_file() and b"\t" + os.fsencode(path.relative_to(repository.root).as_posix()) + b"\0" not in index:
        return True
    answers = {_is_submodule_dirty(repository.root, os.fsdecode(name), until) for name in re.findall(_SUBMODULE, index)}
    return True if True in answers else None if None in answers else False


def _differs(git: _Git, root: Path, commit: str | None, kind: bytes, name: bytes) -> bool:
    """Return True if a file that git calls changed counts as such: a notebook does not if only its outputs changed."""
    if not name.endswith(b".ipynb") or kind.strip() not in {b"M", b"MM"}:
        return True
    committed, present = git.committed(commit, name), _present(root, name)
    return committed is None or present is None or notebook_patch.has_other_code(committed, present)


def _is_submodule_dirty(root: Path, name: str, until: float) -> bool | None:
    path = (root / name).resolve()
    # A submodule lies deeper than its parent, so that this ends.
    if path == root or not path.is_relative_to(root) or not (path / ".git").exists():
        return False
    inner = _repository_of(path)
    return _is_dirty(inner, inner.commit(), path, until) if inner is not None and inner.root == path else False


def _commit_by_git(repository: _Repository, until: float) -> str | None:
    """Return the commit that git finds in a repository with tables of refs; `rev-parse` runs nothing else."""
    environment = _environment({"GIT_DIR": str(repository.folder), "GIT_CONFIG_NOSYSTEM": "1"})
    commit = _run(("rev-parse", "-q", "--verify", "HEAD"), environment, repository.folder, until)
    text = (commit or b"").decode("ascii", "replace").strip()
    return text if _COMMIT.match(text) else None


class _Git:
    """Git on a repository without that repository's settings; a context manager.

    Raises:
        OSError: The folder for temporary files cannot be written.
    """

    def __init__(self, repository: _Repository, commit: str | None, until: float) -> None:
        self._repository = repository
        self._commit = commit
        self._until = until
        self.settings: dict[str, str] = {}

    def __enter__(self) -> _Git:
        self._folder = Path(tempfile.mkdtemp(prefix="lamindb-git-"))
        try:
            self._make_folder()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make_folder(self) -> None:
        for name in ("info", "refs"):
            (self._folder / name).mkdir()
        (self._folder / "HEAD").write_text(f"{self._commit}\n" if self._commit else _UNBORN, encoding="utf-8")
        attributes = _text(self._repository.common / "info/attributes")
        (self._folder / "info/attributes").write_text(attributes, encoding="utf-8")
        self.settings = self._harmless_settings()
        settings = {
            "core.repositoryformatversion": "1" if "extensions.objectformat" in self.settings else "0",
            "core.bare": "false",
            **self.settings,
        }
        lines = ["[{}]\n\t{} = {}\n".format(*name.split("."), value) for name, value in settings.items()]
        (self._folder / "config").write_text("".join(lines), encoding="utf-8")

    def _harmless_settings(self) -> dict[str, str]:
        """Return the user's settings that are needed to compare, overridden by those of the repository."""
        given = {name: os.environ[name] for name in _USERS_SETTINGS if name in os.environ}
        environment = _environment({"GIT_DIR": str(self._folder), **given})
        own = _run(("config", "-z", "--get-regexp", r"^core\."), environment, self._folder, self._until) or b""
        pairs = [entry.partition("\n")[::2] for entry in own.decode("utf-8", "replace").split("\0")]
        return {
            name: value
            for name, value in (*pairs, *self._repository.settings())
            if name in _HARMLESS and re.fullmatch(_HARMLESS_VALUE, value)
        }

    def index(self) -> bytes | None:
        """Return the entries of the index, as `git ls-files -s -z` lists them; None where one leaves the work tree."""
        listed = self.ask("ls-files", "-s", "-z", limit_bytes=_MOST_INDEX_BYTES)
        if listed is None or len(listed) == _MOST_INDEX_BYTES or re.search(_OUTSIDE, listed):
            return None
        return listed

    def changed(self) -> list[tuple[bytes, bytes]] | None:
        """Return how tracked files changed, as git's two letters, and their paths; None where git does not answer.

        Git would ask about changes inside a submodule under the submodule's own settings: they are left out.
        """
        shown = ("--porcelain", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty")
        answer = self.ask("status", *shown, limit_bytes=_MOST_STATUS_BYTES)
        if answer is None:
            return None
        # What a limit cut is no whole line; there are more than enough before it.
        return [(line[:2], line[3:]) for line in answer.split(b"\0")[:-1]]

    def committed(self, commit: str | None, name: bytes) -> bytes | None:
        """Return a committed file; None where there is none, git does not answer, or it is too large."""
        if commit is None:
            return None
        limit = notebook_patch.MOST_BYTES
        found = self.ask("cat-file", "blob", f"{commit}:{os.fsdecode(name)}", limit_bytes=limit)
        return found if found is None or len(found) < limit else None

    def ask(self, *command: str, limit_bytes: int = -1) -> bytes | None:
        """Return what git answers, at most `limit_bytes`; None where it is missing, refuses or takes too long."""
        environment = _environment(
            {
                "HOME": str(self._folder),
                "XDG_CONFIG_HOME": str(self._folder),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_DIR": str(self._folder),
                "GIT_WORK_TREE": str(self._repository.root),
                "GIT_INDEX_FILE": str(self._repository.folder / "index"),
                "GIT_OBJECT_DIRECTORY": str(self._repository.common / "objects"),
            }
        )
        return _run(command, environment, self._folder, self._until, limit_bytes)


def _environment(changes: dict[str, str]) -> dict[str, str]:
    """Return this process's variables without what they say about another repository, as they do inside hooks."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return environment | {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"} | changes


def _run(
    command: tuple[str, ...], environment: dict[str, str], folder: Path, until: float, limit_bytes: int = -1
) -> bytes | None:
    """Run git; None where it is missing, fails or takes too long. Reading stops at the limit.

    Args:
        command: What git is to do.
        environment: All variables that it gets.
        folder: Where it runs; not the work tree, in which a relative entry of `PATH` could find another `git`.
        until: When it is given up, on the monotonic clock.
        limit_bytes: The most that is read; -1 for all.
    """
    import subprocess

    try:
        process = subprocess.Popen(
            ("git", *_READ_ONLY, *command),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        messages.debug(f"git was not asked: {error}")
        return None
    with process:
        try:
            assert process.stdout is not None
            answer = _read(process.stdout.fileno(), until, limit_bytes)
            if answer is None or len(answer) == limit_bytes:
                return answer
            process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                process.kill()
    return answer if process.returncode == 0 else None


def _read(descriptor: int, until: float, limit_bytes: int) -> bytes | None:
    """Return what comes from a pipe until its end or the limit; None where that takes too long.

    Waits without a thread or timer: Python 3.12 starts none while it exits, and the answer may come as late as that.
    """
    data = bytearray()
    with selectors.DefaultSelector() as waiting:
        waiting.register(descriptor, selectors.EVENT_READ)
        while limit_bytes < 0 or len(data) < limit_bytes:
            if not waiting.select(max(until - time.monotonic(), 0.0)):
                return None
            chunk = os.read(descriptor, _CHUNK if limit_bytes < 0 else min(_CHUNK, limit_bytes - len(data)))
            if not chunk:
                break
            data += chunk
    return bytes(data)


def _text(path: Path) -> str:
    """Return the beginning of a regular file as text, empty where there is none: a pipe or device would block."""
    try:
        with open(path, "rb", opener=_open_at_once) as stream:
            is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            return stream.read(_MOST_BYTES).decode("utf-8", "replace") if is_file else ""
    except (OSError, ValueError):
        return ""


def _open_here(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
