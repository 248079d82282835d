"""Durable writes, file systems, and permissions of what is made."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import unicodedata
from pathlib import Path
from typing import Final


def write_text(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace the text of a file in one step: a temporary file is written beside it, fsynced, and renamed.

    Args:
        path: The file; its folder must exist.
        text: The new content, stored as UTF-8.
        mode: Permissions of the new file, narrowed by the umask.

    Raises:
        OSError: The disk failed or is full. The file is as it was, and no temporary file is left.
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


def path_of_key(root: str, key: str) -> str:
    """Return where a key is below a folder in which names may be in another form than that of keys (NFC)."""
    path = os.path.join(root, key)
    if key.isascii() or os.path.lexists(path):
        return path
    here = root
    for part in key.split("/"):
        there = os.path.join(here, part)
        if not os.path.lexists(there):
            try:
                same = sorted(name for name in os.listdir(here) if unicodedata.normalize("NFC", name) == part)
            except OSError:
                return path
            if not same:
                return path
            there = os.path.join(here, same[0])
        here = there
    return here


_WRITTEN_AT_ONCE: Final = 256 << 10
"""Bytes of one call. For larger ones Linux allocates blocks of memory that a virtual machine with a balloon driver has
to fetch from its host: ten times as slow. Smaller ones cost more calls."""


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of the data, in calls for which the system needs no large blocks of memory."""
    written = os.write(descriptor, data if len(data) <= _WRITTEN_AT_ONCE else memoryview(data)[:_WRITTEN_AT_ONCE])
    if written == len(data):
        return
    rest = memoryview(data)[written:]
    while rest:
        rest = rest[os.write(descriptor, rest[:_WRITTEN_AT_ONCE]) :]


_NETWORK: Final = (
    "nfs", "cifs", "smb", "9p", "afs", "ceph", "fuse.ceph", "lustre", "glusterfs", "fuse.glusterfs", "beegfs", "gpfs",
    "fuse.sshfs",
)  # fmt: skip


def file_system_type(path: str | Path) -> str:
    """Return the type of the file system that holds a path, such as `ext4`; empty where it is not known."""
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


def is_network_file_system(kind: str) -> bool:
    """Return True if a file system of this type is on another machine."""
    return kind.startswith(_NETWORK)


def fsync_descriptor(descriptor: int) -> None:
    """Fsync one open file or folder.

    After a failure, another fsync proves nothing: the system may have dropped the data, and would report success.

    Raises:
        OSError: The data may be lost; what was written must be written again from its source.
    """
    if sys.platform == "darwin":
        import fcntl

        # fsync stops at the drive's own cache there; file systems that lack F_FULLFSYNC get the plain one.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def fsync_folder(path: str) -> None:
    """Fsync a folder, so that the names in it are durable; do nothing where the file system has no such operation."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        fsync_descriptor(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}:
            raise
    finally:
        os.close(descriptor)


def replace(temporary: Path, target: Path) -> None:
    """Rename a temporary file to the target, durably: its bytes are fsynced before, and its folder after.

    Raises:
        OSError: The disk failed. Nothing is left of the file at the target.
    """
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        fsync_descriptor(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, target)
    try:
        fsync_folder(str(target.parent))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(target)
        raise


def can_sync_file_system(path: str) -> bool:
    """Return True if one call syncs the whole file system of `path` and reports what failed.

    False on network file systems and FUSE, where that call reports failures less reliably than an fsync of each file,
    and where the type of the file system is not known.
    """
    if not sys.platform.startswith("linux"):
        return False
    kind = file_system_type(path)
    return bool(kind) and not kind.startswith("fuse") and not is_network_file_system(kind)


def sync_file_system(descriptor: int) -> None:
    """Sync the whole file system of an open file or folder.

    The descriptor must have been opened before the first write: the system reports on it what failed since then.

    Raises:
        OSError: As for `fsync_descriptor`.
    """
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def is_shared(root: os.stat_result) -> bool:
    """Return True if a folder is shared with its group, which may write to it."""
    return bool(root.st_mode & stat.S_IWGRP)


def without_write_permissions(mode: int) -> int:
    """Return permissions without the right to write; the right to read is kept."""
    return stat.S_IMODE(mode) & 0o555 | stat.S_IRUSR


def make_folder(path: str, root: os.stat_result) -> bool:
    """Make a folder whose group permissions follow those of the root; False if there is one already.

    Raises:
        FileExistsError: Something else than a folder has that name.
        OSError: The folder cannot be made.
    """
    try:
        os.mkdir(path, 0o777)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
        return False
    if is_shared(root):
        share_with_group(path, root, stat.S_IMODE(root.st_mode) & (stat.S_IRWXG | stat.S_ISGID))
    return True


def share_files(folder: str, root: os.stat_result) -> None:
    """Give the group access to the files directly in a folder, if the root is shared with the group.

    SQLite makes a database writable for its owner alone, whatever the umask, and the files beside it likewise.
    """
    if not is_shared(root):
        return
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_file(follow_symlinks=False):
                share_with_group(entry.path, root, stat.S_IRGRP | stat.S_IWGRP)


def share_with_group(path: str, root: os.stat_result, bits: int) -> None:
    """Give a new file or folder the root's group and these permissions besides its own, where the system allows it."""
    made = os.stat(path)
    with contextlib.suppress(OSError):
        if made.st_gid != root.st_gid:
            os.chown(path, -1, root.st_gid)
    wanted = stat.S_IMODE(made.st_mode) | bits
    with contextlib.suppress(OSError):
        if wanted != stat.S_IMODE(made.st_mode):
            os.chmod(path, wanted)
