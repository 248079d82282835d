"""Errors of the operating system as errors of this library."""

from __future__ import annotations

import errno
import os

from lamindb.errors import LaminError, ReadOnlyError, SourceNotFoundError, StorageError

_REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_ADVICE = {
    errno.ENOSPC: "free some space, then call again",
    errno.EDQUOT: "free some space of your quota, then call again",
    errno.EFBIG: "raise the limit of the file size, then call again",
    errno.EROFS: "make it writable, or choose another storage",
    errno.EACCES: "ask its owner for the permission",
    errno.EPERM: "ask its owner for the permission",
    errno.EIO: "check the disk, then call again",
    errno.EMFILE: "close some files, then call again",
    errno.ENAMETOOLONG: "shorten the name",
}


def cause(error: OSError) -> str:
    """Return the system's message for an error, as part of a sentence."""
    text = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def write_failed(what: str, where: str, error: OSError) -> LaminError:
    """Return the error for a write that failed; nothing of `what` may be visible when it is raised."""
    advice = _ADVICE.get(error.errno or 0, "fix the storage, then call again")
    kind = ReadOnlyError if error.errno in _REFUSED else StorageError
    return _with_number(kind(f"cannot store {what} in '{where}': {cause(error)}: {advice}"), error)


def read_failed(path: str, error: OSError) -> LaminError:
    """Return the error for a source that cannot be read."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        missing = SourceNotFoundError(f"there is no file '{path}': check the path")
        return _with_number(missing, error)
    advice = _ADVICE.get(error.errno or 0, "fix it, then call again")
    return _with_number(StorageError(f"cannot read '{path}': {cause(error)}: {advice}"), error)


def storage_failed(doing: str, path: str, error: OSError) -> LaminError:
    """Return the error for any other operation on the storage, such as "list" or "remove"."""
    advice = _ADVICE.get(error.errno or 0, "fix the storage, then call again")
    kind = ReadOnlyError if error.errno in _REFUSED and doing != "read" else StorageError
    return _with_number(kind(f"cannot {doing} '{path}': {cause(error)}: {advice}"), error)


def read_only(root: str) -> ReadOnlyError:
    """Return the error for a write to a storage that was opened for reading."""
    return ReadOnlyError(f"storage '{root}' is open for reading only: nothing can be stored or removed there")


def _with_number(made: LaminError, error: OSError) -> LaminError:
    if isinstance(made, OSError):
        made.errno = error.errno
    return made
