"""Commands that put files in and take them out."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lamindb.cli import resolve
from lamindb.cli.completion import keys, run_ids
from lamindb.cli.output import out, out_json
from lamindb.cli.params import command, json_option
from lamindb.core import context, messages
from lamindb.errors import ConflictError, InvalidInputError, SourceNotFoundError, StorageError

if TYPE_CHECKING:
    from lamindb.models import File, Run


@command(
    "save",
    "lamin save results.csv --key study/results.csv",
    "lamin save results/ --prefix study",
    "lamin save cells.zarr --as-folder --key study/cells.zarr",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@click.option("--key", help="The key of the one file, or the folder for the keys of the one folder.")
@click.option("--prefix", help="A folder for the keys: each PATH is kept under PREFIX/ and its own name.")
@click.option("--run", "run_id", metavar="RUN", help="The run that made them.", shell_complete=run_ids)
@click.option("--name", help="A name for the one file.")
@click.option("--description", help="Any text.")
@click.option("--as-folder", is_flag=True, help="Keep a folder as one file, rather than one for each in it.")
@json_option
def save(
    paths: tuple[str, ...],
    key: str | None,
    prefix: str | None,
    run_id: str | None,
    name: str | None,
    description: str | None,
    as_folder: bool,
    as_json: bool,
) -> None:
    """Save files or folders: all of them or none.

    A file is kept under its own name unless --key or --prefix says more; in the storage's folder its key is its
    path. Of a folder, each file in it is saved. Saving other bytes under a key makes a new version. Inside `lamin
    run`, or between `lamin track` and `lamin finish`, what is saved is an output of that run.

    Prints id and key of each file. JSON keys: as for `lamin ls`.
    """
    from lamindb.cli.output import file_as_dict
    from lamindb.core.progress import bar_for
    from lamindb.files.save import save_records

    if key is not None and prefix is not None:
        raise InvalidInputError("--key and --prefix exclude each other: pass one of them")
    if len(paths) > 1 and (key is not None or name is not None):
        raise InvalidInputError("--key and --name are for one PATH: use --prefix for several")
    if not context.instance().is_local and any("://" in path for path in paths):
        as_folder = True
    run = resolve.run(run_id) if run_id else None
    files = [one for path in paths for one in _described(path, key, prefix, name, run, as_folder=as_folder)]
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
    path: str, key: str | None, prefix: str | None, name: str | None, run: Run | None, *, as_folder: bool
) -> list[File]:
    """Make the unsaved files of one PATH."""
    from lamindb.models import File

    if "://" in path:
        return [File(path, key=key, name=name, run=run)]
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
        found = File.from_dir(path, key=wanted, run=run)
        if not found:
            raise InvalidInputError(f"the folder {resolve.ascii_quoted(shown)} holds no file: nothing was saved")
        return found
    return [File(path, key=wanted, name=name, run=run)]


def _in_a_root(path: str) -> bool:
    """Tell whether a path lies in a storage, where it has a key by its place."""
    real = os.path.realpath(path) + "/"
    roots = context.instance().roots()
    return any("://" not in root and real.startswith(root.rstrip("/") + "/") for root, _ in roots)


def _refuse_same_keys(files: list[File]) -> None:
    seen: set[tuple[str, str]] = set()
    for file in files:
        if file.key is None:
            continue
        # What lies in a further storage stays there, where the same key is another file's.
        place = (file.storage_id, file.key)
        if place in seen:
            raise InvalidInputError(
                f"two of these would be saved under the key {resolve.ascii_quoted(file.key)}: "
                "save them one by one, or from a common folder; nothing was saved"
            )
        seen.add(place)


def _shown(file: File) -> str:
    from lamindb.core.text import printable

    return printable(file.key or file.name)


def _inputs(choice: bool | None) -> bool | None:
    """What is read inside a run is read by that run, unless the user says otherwise."""
    return True if choice is None and context.run() is not None else choice


@command("get", "lamin get study/results.csv", "lamin get study/results.csv -o /tmp/old.csv --version 1")
@click.argument("name", metavar="KEY|ID", shell_complete=keys)
@click.option("-o", "--output", metavar="PATH", type=click.Path(), help="Where to; a folder keeps the file's own name.")
@click.option("--version", type=int, help="Which version; the current one by default.")
@click.option("--force", is_flag=True, help="Replace another file that stands there.")
@click.option("--input/--no-input", "is_input", default=None, help="Link it as an input of the current run, or not.")
@json_option
def get(name: str, output: str | None, version: int | None, force: bool, is_input: bool | None, as_json: bool) -> None:
    """Copy a file out of the instance, with checked bytes, and print where it is.

    It appears in one step, and never over another file unless --force is given. Inside `lamin run`, or between
    `lamin track` and `lamin finish`, it becomes an input of that run.

    JSON keys: path, and those of `lamin ls`.
    """
    from lamindb.cli.output import file_as_dict

    file = resolve.file(name, version=version)
    own_name = os.path.basename(file.key) if file.key else file.name.replace("/", "_")
    target = Path(os.path.expanduser(output) if output else own_name)
    if output and (output.endswith("/") or (target.is_dir() and not file.is_folder)):
        target = target / own_name
    staged = file.stage(is_run_input=_inputs(is_input))
    if not deliver(staged, target.absolute(), force=force):
        messages.info(f"{target} is there already, with the same bytes")
    if as_json:
        out_json({"path": str(target), **file_as_dict(file)})
    else:
        out(str(target))


@command("cat", "lamin cat study/results.csv | head", "lamin cat study/results.csv --version 1")
@click.argument("names", metavar="KEY|ID...", nargs=-1, required=True, shell_complete=keys)
@click.option("--version", type=int, help="Which version; the current one by default.")
@click.option("--input/--no-input", "is_input", default=None, help="Link it as an input of the current run, or not.")
def cat(names: tuple[str, ...], version: int | None, is_input: bool | None) -> None:
    """Write the checked bytes of files to standard output, one after the other."""
    found = [resolve.file(name, version=version) for name in names]
    for file in found:
        if file.is_folder:
            raise InvalidInputError(f"{resolve.ascii_quoted(file.key or file.name)} is a folder: use `lamin get`")
    sys.stdout.flush()
    for file in found:
        with file.open("rb", is_run_input=_inputs(is_input)) as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer, 1024 * 1024)
    sys.stdout.buffer.flush()


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
