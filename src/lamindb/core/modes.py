"""Permissions: what the umask says, and in a folder shared by a group also what the group needs."""

from __future__ import annotations

import contextlib
import os
import stat


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
