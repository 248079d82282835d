"""Commands that save files and copy them out: `save`, `get`, `cat`."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lamindb.cli import resolve
from lamindb.cli.completion import keys, run_ids
from lamindb.cli.output import out, out_json
from lamindb.cli.params import command, json_option
from lamindb.core import context, messages
from lamindb.errors import ConflictError, InvalidInputError, SourceNotFoundError, StorageError
from lamindb.storage import reflink

if TYPE_CHECKING:
    from lamindb.models import File, Run


@command(
    "save",
    "lamin save results.csv --key study/results.csv",
    "lamin save results/ --prefix study",
    "lamin save cells.zarr --as-folder --key study/cells.zarr",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@click.option("--key", help="The key of the file, or the key prefix for the files of one folder.")
@click.option("--prefix", help="Save each PATH as PREFIX/ and its own name.")
@click.option("--run", "run_id", metavar="RUN", help="The run that produced them.", shell_complete=run_ids)
@click.option("--name", help="A name for the file, if PATH is one.")
@click.option("--description", help="A description, any text.")
@click.option("--as-folder", is_flag=True, help="Save a folder as one file instead of each file in it.")
@click.option(
    "--links",
    type=click.Choice(["keep", "follow", "skip"]),
    help="Links in folders: store the targets of those that stay in it, of all, or of none.",
)
@json_option
def save(
    paths: tuple[str, ...],
    key: str | None,
    prefix: str | None,
    run_id: str | None,
    name: str | None,
    description: str | None,
    as_folder: bool,
    links: str | None,
    as_json: bool,
) -> None:
    """Save files or folders: all of them or none.

    The key is the file's own name unless --key or --prefix is given; inside the storage folder it is the path below
    it. For a folder, each file in it is saved; without --links, a link that leaves it or leads nowhere is an error.
    Saving other bytes under a key makes a new version. Inside `lamin run`, or between `lamin track` and `lamin finish`,
    saved files are outputs of that run.

    Prints id and key of each file. JSON keys: as for `lamin ls`.
    """
    from lamindb.cli.output import file_as_dict
    from lamindb.core.progress import bar_for
    from lamindb.files.save import save_records

    if key is not None and prefix is not None:
        raise InvalidInputError("--key and --prefix exclude each other: pass one of them")
    if len(paths) > 1 and (key is not None or name is not None):
        raise InvalidInputError("--key and --name are for one PATH: use --prefix for several")
    run = resolve.run(run_id) if run_id else None
    how: dict[str, Any] = {"as_folder": as_folder, "links": links}
    files = [one for path in paths for one in _described(path, key, prefix, name, run, **how)]
    _refuse_same_keys(files)
    for file in files:
        file.description = description
    with bar_for(files, None) as report:
        save_records(files, progress=report)
    if as_json:
        out_json([file_as_dict(file) for file in files])
        return
    for file in files:
        out(f"{file.id}  {_shown(file)}")


def _described(
    path: str,
    key: str | None,
    prefix: str | None,
    name: str | None,
    run: Run | None,
    *,
    as_folder: bool,
    links: str | None,
) -> list[File]:
    """Return the unsaved files of one PATH."""
    from lamindb.models import File

    if "://" in path and not path.startswith("file://"):
        file = File(path, key=key, name=name, run=run)
        if file.is_folder and not (as_folder or file.suffix.endswith(".zarr")):
            return File.from_dir(path, key=key, run=run)
        return [file]
    shown, path = path, os.path.expanduser(path)
    if not os.path.lexists(path):
        raise SourceNotFoundError(f"there is no file or folder {resolve.ascii_quoted(shown)}: nothing was saved")
    own_name = os.path.basename(os.path.abspath(path))
    wanted = key if key is not None else (f"{prefix.rstrip('/')}/{own_name}" if prefix is not None else None)
    if wanted is None and not _in_a_root(path):
        wanted = own_name
    if os.path.isdir(path) and not (as_folder or own_name.endswith(".zarr")):
        if name is not None:
            raise InvalidInputError("--name is for one file: a folder holds several, or pass --as-folder")
        found = File.from_dir(path, key=wanted, run=run, links=links)
        if not found:
            raise InvalidInputError(f"the folder {resolve.ascii_quoted(shown)} holds no file: nothing was saved")
        return found
    return [File(path, key=wanted, name=name, run=run, links=links)]


def _in_a_root(path: str) -> bool:
    """Return True if a path lies in a storage, where its key is its path below the root."""
    real = os.path.realpath(path) + "/"
    roots = context.instance().roots()
    return any("://" not in root and real.startswith(root.rstrip("/") + "/") for root, _ in roots)


def _refuse_same_keys(files: list[File]) -> None:
    seen: set[tuple[str, str]] = set()
    for file in files:
        if file.key is None:
            continue
        # Files in another storage are registered in place: the same key there is another file.
        identity = (file.storage_id, file.key)
        if identity in seen:
            raise InvalidInputError(
                f"two of these would be saved under the key {resolve.ascii_quoted(file.key)}: "
                "save them one by one, or from a common folder; nothing was saved"
            )
        seen.add(identity)


def _shown(file: File) -> str:
    from lamindb.core.text import printable

    return printable(file.key or file.name)


def _inputs(choice: bool | None) -> bool | None:
    """Return whether to record reads as inputs: by default, if there is a current run."""
    return True if choice is None and context.run() is not None else choice


@command("get", "lamin get study/results.csv", "lamin get study/results.csv -o /tmp/old.csv --version 1")
@click.argument("name", metavar="KEY[@N]|ID", shell_complete=keys)
@click.option(
    "-o", "--output", metavar="PATH", type=click.Path(), help="Where to write it; in a folder it keeps its own name."
)
@click.option("--version", type=int, help="The version; the current one by default.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--input/--no-input", "is_input", default=None, help="Record it as an input of the current run, or not.")
@json_option
def get(name: str, output: str | None, version: int | None, force: bool, is_input: bool | None, as_json: bool) -> None:
    """Copy a file out of the instance and print the path of the copy. Its bytes are verified.

    The copy is atomic, and replaces another file only with --force. Inside `lamin run`, or between `lamin track` and
    `lamin finish`, the file becomes an input of that run.

    JSON keys: path, and those of `lamin ls`.
    """
    from lamindb.cli.output import file_as_dict

    file = resolve.file(name, version=version)
    own_name = os.path.basename(file.key) if file.key else file.name.replace("/", "_")
    target = Path(os.path.expanduser(output) if output else own_name)
    if output and (output.endswith("/") or (target.is_dir() and not file.is_folder)):
        target = target / own_name
    staged = file.stage(is_run_input=_inputs(is_input))
    if not copy_out(staged, target.absolute(), force=force):
        messages.info(f"{target} exists already, with the same bytes")
    if as_json:
        out_json({"path": str(target), **file_as_dict(file)})
    else:
        out(str(target))


@command("cat", "lamin cat study/results.csv | head", "lamin cat study/results.csv --version 1")
@click.argument("names", metavar="KEY[@N]|ID...", nargs=-1, required=True, shell_complete=keys)
@click.option("--version", type=int, help="The version; the current one by default.")
@click.option("--input/--no-input", "is_input", default=None, help="Record it as an input of the current run, or not.")
def cat(names: tuple[str, ...], version: int | None, is_input: bool | None) -> None:
    """Write the verified bytes of files to standard output, one after the other."""
    found = [resolve.file(name, version=version) for name in names]
    for file in found:
        if file.is_folder:
            raise InvalidInputError(f"{resolve.ascii_quoted(file.key or file.name)} is a folder: use `lamin get`")
    sys.stdout.flush()
    for file in found:
        with file.open("rb", is_run_input=_inputs(is_input)) as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer, 1024 * 1024)
    sys.stdout.buffer.flush()


def copy_out(source: Path, target: Path, *, force: bool) -> bool:
    """Copy a file or folder to `target` atomically.

    Args:
        source: Verified bytes; they are not changed.
        target: The path of the copy; its folder must exist.
        force: Replace an existing file or folder.

    Returns:
        True if the copy was written, False if `target` had the same bytes already.

    Raises:
        ConflictError: `target` is something else. It was left as it was.
        StorageError: The disk failed or is full. No part of the copy is left.
    """
    if target.is_dir() and not target.is_symlink() and not source.is_dir():
        raise ConflictError(f"{target} is a folder: name a file")
    if not target.parent.is_dir():
        raise InvalidInputError(f"there is no folder {target.parent}: create it first")
    if os.path.lexists(target):
        if is_same(source, target):
            return False
        if not force:
            raise ConflictError(f"{target} exists and has other content: pass --force to replace it")
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
    """Return True if two files, or two folders, have the same content."""
    if source.is_dir():
        return target.is_dir() and dict(_listing(source)) == dict(_listing(target)) and _same_members(source, target)
    return target.is_file() and filecmp.cmp(source, target, shallow=False)


def _listing(folder: Path) -> Iterator[tuple[str, int]]:
    for parent, folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            yield os.path.relpath(path, folder), os.stat(path).st_size
        if not names and not folders:
            yield os.path.relpath(parent, folder) + "/", 0


def _same_members(source: Path, target: Path) -> bool:
    return all(
        name.endswith("/") or filecmp.cmp(source / name, target / name, shallow=False) for name, _ in _listing(source)
    )


def _copy(source: Path, temporary: Path) -> None:
    """Copy bytes, with holes or as reflinks, and fsync them, without the read-only mode of stored files."""
    if not source.is_dir():
        _copy_member(str(source), str(temporary))
        return
    shutil.copytree(source, temporary, copy_function=_copy_member)
    for folder, _, _ in os.walk(temporary):
        os.chmod(folder, 0o777 & ~_umask())


def _copy_member(source: str, target: str) -> None:
    reflink.duplicate(source, target, allow_link=False)
    os.chmod(target, 0o666 & ~_umask())
    _fsync(Path(target))


def _fsync(path: Path) -> None:
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
    """Rename the copy to `target`; without `force`, never over a file that another process created meanwhile."""
    if temporary.is_dir():
        if os.path.lexists(target):
            old = temporary.with_name(temporary.name + ".old")
            os.rename(target, old)
            try:
                os.rename(temporary, target)
            except OSError:
                os.rename(old, target)
                raise
            _remove(old)
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
        raise ConflictError(f"{target} was created by another process meanwhile: pass --force to replace it") from None
    except OSError:
        # Some file systems have no hard links.
        os.replace(temporary, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
