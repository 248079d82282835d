"""Getting data to the disk for good: file by file, folder by folder, or a whole file system at once."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from pathlib import Path
from typing import Final


def write_text(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace the text of a file in one step: written beside it, flushed, renamed.

    Args:
        path: The file; its folder must exist.
        text: The new content, stored as UTF-8.
        mode: Permissions of the new file, narrowed by the umask.

    Raises:
        OSError: The disk failed or is full. The file is as it was, and nothing is left beside it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


_NETWORK: Final = (
    "nfs", "cifs", "smb", "9p", "afs", "ceph", "fuse.ceph", "lustre", "glusterfs", "fuse.glusterfs", "beegfs", "gpfs",
    "fuse.sshfs",
)  # fmt: skip


def kind_of(path: str | Path) -> str:
    """Return the system's word for the file system that holds a path, such as `ext4`; empty where it does not tell."""
    try:
        device = os.stat(path).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            mounts = [_mount(line) for line in stream]
    except (OSError, ValueError, IndexError):
        return ""
    mark = f"{os.major(device)}:{os.minor(device)}"
    for number, _, kind in mounts:
        if number == mark:
            return kind
    # Some file systems give their files other device numbers than their mounts have: the deepest folder counts then.
    folders = {Path(point): kind for _, point, kind in mounts}
    wanted = Path(path).resolve()
    return next((folders[folder] for folder in (wanted, *wanted.parents) if folder in folders), "")


def _mount(line: str) -> tuple[str, str, str]:
    """Return device number, folder and kind of a mount."""
    fields = line.split(" ")
    folder = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
    return fields[2], folder, fields[fields.index("-") + 1]


def is_network(kind: str) -> bool:
    """Tell whether files on such a file system lie on another machine."""
    return kind.startswith(_NETWORK)


def flush_descriptor(descriptor: int) -> None:
    """Flush one open file or folder.

    A failure must not be answered by flushing again: the system may have dropped the data and would report success.

    Raises:
        OSError: The data may be lost; what was written must be written anew from its source.
    """
    if sys.platform == "darwin":
        import fcntl

        # fsync stops at the drive's own cache there; file systems that lack the full flush get the plain one.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def flush_folder(path: str) -> None:
    """Flush the names in a folder; where the system or its file system knows no such thing, do nothing."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        flush_descriptor(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}:
            raise
    finally:
        os.close(descriptor)


def replace(temporary: Path, target: Path) -> None:
    """Give a file that was written beside it the name of the target, for good: its bytes are flushed, and the name.

    Raises:
        OSError: The disk failed. Nothing is left of the file at the target.
    """
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        flush_descriptor(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, target)
    try:
        flush_folder(str(target.parent))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(target)
        raise


def can_flush_file_system(path: str) -> bool:
    """Tell whether one call flushes the whole file system of `path` and reports what failed.

    False on network file systems and those that a program provides, whose one call reports failures less surely than
    a flush of each file; and where the system does not tell.
    """
    if not sys.platform.startswith("linux"):
        return False
    kind = kind_of(path)
    return bool(kind) and not kind.startswith("fuse") and not is_network(kind)


def flush_file_system(descriptor: int) -> None:
    """Flush the whole file system of an open file or folder.

    The descriptor must have been opened before the first write: the system reports on it what failed since then.

    Raises:
        OSError: As for `flush_descriptor`.
    """
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def is_shared(root: os.stat_result) -> bool:
    """Tell whether a folder is meant for its whole group: the group may write to it."""
    return bool(root.st_mode & stat.S_IWGRP)


def unwritable(mode: int) -> int:
    """Return the permissions of a file that nobody may write to, and whoever could read it still can."""
    return stat.S_IMODE(mode) & 0o555 | stat.S_IRUSR


def make_folder(path: str, root: os.stat_result) -> bool:
    """Make a folder whose group permissions follow those of the root; False if there is one already.

    Raises:
        FileExistsError: Something that is no folder has that name.
        OSError: The folder cannot be made.
    """
    try:
        os.mkdir(path, 0o777)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
        return False
    if is_shared(root):
        share(path, root, stat.S_IMODE(root.st_mode) & (stat.S_IRWXG | stat.S_ISGID))
    return True


def share_files(folder: str, root: os.stat_result) -> None:
    """Let the group read and write the files that lie directly in a folder, if the root is meant for the group.

    A database is made for its owner alone to write, whatever the umask, and what belongs to it takes after it.
    """
    if not is_shared(root):
        return
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_file(follow_symlinks=False):
                share(entry.path, root, stat.S_IRGRP | stat.S_IWGRP)


def share(path: str, root: os.stat_result, bits: int) -> None:
    """Give a new file or folder the root's group and these permissions besides its own, where the system allows it."""
    made = os.stat(path)
    with contextlib.suppress(OSError):
        if made.st_gid != root.st_gid:
            os.chown(path, -1, root.st_gid)
    wanted = stat.S_IMODE(made.st_mode) | bits
    with contextlib.suppress(OSError):
        if wanted != stat.S_IMODE(made.st_mode):
            os.chmod(path, wanted)
