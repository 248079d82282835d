"""Copying a stored file to a place of the user's: whole or not at all, and never over something else."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lamindb.errors import ConflictError, InvalidInputError, StorageError


def deliver(source: Path, target: Path, *, force: bool) -> bool:
    """Copy a file or folder to `target`, which appears in one step.

    Args:
        source: Checked bytes, which are not changed.
        target: Where to; its folder must exist.
        force: Replace what stands there.

    Returns:
        Whether something was written: False where the same bytes stood there already.

    Raises:
        ConflictError: Something else stands there. It was left as it was.
        StorageError: The disk failed or is full. Nothing is left of the copy.
    """
    if target.is_dir() and not target.is_symlink() and not source.is_dir():
        raise ConflictError(f"{target} is a folder: name a file")
    if not target.parent.is_dir():
        raise InvalidInputError(f"there is no folder {target.parent}: make it first")
    if os.path.lexists(target):
        if is_same(source, target):
            return False
        if not force:
            raise ConflictError(f"{target} exists and is something else: pass --force to replace it")
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        _copy(source, temporary)
        _put_in_place(temporary, target, force=force)
    except OSError as error:
        if isinstance(error, ConflictError):
            raise
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        _remove(temporary)
    return True


def is_same(source: Path, target: Path) -> bool:
    """Tell whether two files, or two folders, hold the same."""
    if source.is_dir():
        return target.is_dir() and dict(_listing(source)) == dict(_listing(target)) and _same_members(source, target)
    return target.is_file() and filecmp.cmp(source, target, shallow=False)


def _listing(folder: Path) -> Iterator[tuple[str, int]]:
    for place, folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            yield os.path.relpath(path, folder), os.stat(path).st_size
        if not names and not folders:
            yield os.path.relpath(place, folder) + "/", 0


def _same_members(source: Path, target: Path) -> bool:
    return all(
        name.endswith("/") or filecmp.cmp(source / name, target / name, shallow=False) for name, _ in _listing(source)
    )


def _copy(source: Path, temporary: Path) -> None:
    """Copy bytes without the read-only mode of stored files, flushed to disk."""
    if not source.is_dir():
        shutil.copyfile(source, temporary)
        _flush(temporary)
        return
    shutil.copytree(source, temporary, copy_function=_copy_member)
    for place, _, _ in os.walk(temporary):
        os.chmod(place, 0o777 & ~_umask())


def _copy_member(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    _flush(Path(target))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _put_in_place(temporary: Path, target: Path, *, force: bool) -> None:
    """Let the copy appear; without `force`, never over what somebody else put there meanwhile."""
    if temporary.is_dir():
        if os.path.lexists(target):
            aside = temporary.with_name(temporary.name + ".old")
            os.rename(target, aside)
            try:
                os.rename(temporary, target)
            except OSError:
                os.rename(aside, target)
                raise
            _remove(aside)
            return
        os.rename(temporary, target)
        return
    if force:
        if target.is_dir() and not target.is_symlink():
            raise ConflictError(f"{target} is a folder: remove it first")
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise ConflictError(f"{target} was made by somebody else meanwhile: pass --force to replace it") from None
    except OSError:
        # Some file systems have no hard links.
        os.replace(temporary, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
