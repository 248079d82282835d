"""Reading a file back: where it lives, a checked local path, an object in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from lamindb.core import context, filesystem, messages
from lamindb.errors import IntegrityError, InvalidInputError, InvalidTypeError, LaminError
from lamindb.files import loaders, source, view_sync
from lamindb.models import File, Run
from lamindb.records import edges, flags
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName, Source

_NAME_BYTES: Final = 255


def path(file: File) -> Any:
    """Return where a file lives: its place in the view or in its root, else its object, or a folder of its members.

    For a file that is not saved yet, where its bytes are taken from.
    """
    if not file.is_saved:
        return _source_path(file)
    instance = _instance(file)
    if not instance.is_own(file.storage_id):
        return _in_place(file, instance)
    name = ObjectName(file.digest, file.suffix)
    shown = _shown(file, instance, name)
    if shown is not None:
        return shown
    return instance.store.upath(name, _filename(file), is_folder=file.is_folder)


def stage(file: File, is_run_input: bool | Run | None) -> Path:
    """Return a local path with the file's own name and checked bytes; link it as an input where asked.

    The input is linked only after the bytes were found to be right.

    Raises:
        IntegrityError: They are missing or damaged.
        FlaggedFileError: It is flagged or affected, and the settings ask for an error.
        InvalidInputError: An input was asked for where there is no run.
    """
    run = edges.reader_of(file, is_run_input)
    flags.heed(file)
    local = _staged(file)
    if run is not None:
        edges.link_read(run, file)
    return local


def _staged(file: File) -> Path:
    if not file.is_saved:
        return _source_path(file)
    instance = _instance(file)
    if not instance.is_own(file.storage_id):
        return _checked_in_place(file, instance)
    return _shown(file, instance, ObjectName(file.digest, file.suffix)) or checked_path(file)


def checked_path(file: File) -> Path:
    """Return a local path with checked bytes, whose place no newer version ever takes, as it may in the view.

    It is no input of a run, and no flag is heeded. Where the instance can only be read, it may have another name.

    Raises:
        IntegrityError: The bytes are missing or damaged.
        ReadOnlyError: It is a folder, and the instance can only be read.
    """
    instance = _instance(file)
    if not instance.is_own(file.storage_id):
        return _checked_in_place(file, instance)
    name = ObjectName(file.digest, file.suffix)
    return instance.store.local_path(name, _filename(file), is_folder=file.is_folder)


def _read(file: File, reader: Callable[[Path], Any]) -> Any:
    """Read a file where it lies; once more from its object if a newer version took its place in the view meanwhile."""
    local = _staged(file)
    try:
        result = reader(local)
    except (OSError, LaminError):
        if _is_unmoved(file, local):
            raise
        return reader(checked_path(file))
    if _is_unmoved(file, local):
        return result
    if hasattr(result, "close"):
        result.close()
    return reader(checked_path(file))


def _is_unmoved(file: File, local: Path) -> bool:
    """Return True if a path still has this file's bytes; paths outside the view keep them."""
    if not file.is_saved:
        return True
    instance = _instance(file)
    if not instance.is_local or not instance.is_own(file.storage_id):
        return True
    if file.key is None or local != Path(instance.root_url) / file.key:
        return True
    name = ObjectName(file.digest, file.suffix)
    return bool(instance.view.state(file.key, name, is_folder=file.is_folder) == "ours")


def _filename(file: File) -> str:
    """Return the name of a file, changed where no folder could hold it: any text can be a name."""
    name = file.name.replace("/", "_").replace("\\", "_")
    if file.suffix and not name.endswith(file.suffix) and (file.key is None or file.is_folder is False):
        name += file.suffix if "." not in name else ""
    if name in ("", ".", ".."):
        return file.id + file.suffix
    if len(os.fsencode(name)) <= _NAME_BYTES:
        return name
    kept = name.removesuffix(file.suffix).encode()[: _NAME_BYTES - len(file.suffix.encode())]
    return kept.decode(errors="ignore") + file.suffix


def _shown(file: File, instance: Instance, name: ObjectName) -> Path | None:
    """Return the view's path of a current file if it shows it; make it show it where nothing stands in the way."""
    key = file.key
    if key is None or not file.is_latest or file.trashed_at is not None or not instance.is_local:
        return None
    view = instance.view
    if view.mode == "none" and not instance.is_read_only:
        return None
    state = view.state(key, name, is_folder=file.is_folder)
    if state == "missing" and not instance.is_read_only:
        # By the row as it is now: the record may be older than a rename, a deletion or a newer version.
        for error in view_sync.follow(instance, [key]):
            if isinstance(error, IntegrityError):
                raise error
            messages.debug(f"the folder does not show {key!r}: {error}")
        state = view.state(key, name, is_folder=file.is_folder)
    where = Path(instance.root_url) / key
    if state == "ours":
        return where
    if state in ("edited", "foreign") and _is_still_current(file, instance):
        # An older version, left there by a process that died, is not an edit.
        if not instance.is_read_only and not view_sync.follow(instance, [key]):
            return where if view.state(key, name, is_folder=file.is_folder) == "ours" else None
        messages.warning(
            f"{where} is not what was saved: the saved bytes are used; "
            "save the changed file to keep it as a new version"
        )
    return None


def _is_still_current(file: File, instance: Instance) -> bool:
    """Look whether a record that was read earlier is still the current version of its key."""
    query = File.objects.using(instance.alias).filter(id=file.id, key=file.key, is_latest=True, trashed_at__isnull=True)
    return bool(query.exists())


def _in_place(file: File, instance: Instance) -> Any:
    root = instance.root_of(instance.storage(file.storage_id))
    if "://" not in root:
        return Path(filesystem.path_of_key(root, str(file.key)))
    from lamindb.storage import in_place

    if not in_place.is_plain(str(file.key)):
        # No address of another package leads there.
        return _checked_in_place(file, instance)
    return instance.open_root(root).upath_of_key(str(file.key))


def _checked_in_place(file: File, instance: Instance) -> Path:
    """Return the path of a file that stays where it is, if it still has the bytes that were registered.

    Raises:
        IntegrityError: It is gone, or holds other bytes.
    """
    root = instance.root_of(instance.storage(file.storage_id))
    if "://" in root:
        from lamindb.storage import in_place

        copy = in_place.local_copy_of_folder if file.is_folder else in_place.local_copy_of_key
        name = ObjectName(file.digest, file.suffix)
        return copy(instance.remote_root(root), str(file.key), name, _filename(file))
    where = filesystem.path_of_key(root, str(file.key))
    if not os.path.exists(where):
        raise IntegrityError(f"{where} is gone: it was registered where it was, and no other copy is kept")
    pending = source.Pending(
        source=Source(suffix=file.suffix, path=os.path.realpath(where)),
        storage_id=file.storage_id,
        is_folder=os.path.isdir(where),
    )
    digest = source.read_content(pending, instance.hash_cache)[0].digest
    if digest != file.digest:
        raise IntegrityError(
            f"{where} was changed since version {file.version} of {file.key!r} was registered, and old bytes of files "
            "that stay in place are not kept: register it again as a new version"
        )
    return Path(where)


def _source_path(file: File) -> Path:
    pending = file.pending
    if pending is None or pending.source.path is None:
        raise InvalidInputError("this file is in memory only: save it, and it has a path")
    return Path(pending.source.path)


def load(file: File, is_run_input: bool | Run | None, options: dict[str, Any]) -> Any:
    """Return a file as an object in memory, or its local path where no loader knows its suffix.

    Raises:
        IntegrityError: The bytes are missing or damaged.
        FlaggedFileError: It is flagged or affected, and the settings ask for an error.
        UnsupportedError: The library that reads this format is not installed.
    """
    if not file.is_saved and file.pending is not None and file.pending.memory is not None:
        return file.pending.memory
    backed = options.pop("backed", False)
    unknown = sorted(set(options) - {"trust"})
    if unknown:
        raise InvalidTypeError(f"load() does not take {', '.join(unknown)}: read the path that stage() returns instead")
    run = edges.reader_of(file, is_run_input)
    flags.heed(file)
    if backed:
        # What is read later must not change meanwhile.
        loaded = loaders.backed(_staged(file) if not file.is_saved else checked_path(file), file.suffix)
    else:
        loaded = _read(file, lambda local: loaders.load(local, file.suffix, **options))
    if run is not None:
        edges.link_read(run, file)
    return loaded


def open_file(file: File, mode: str, is_run_input: bool | Run | None) -> Any:
    """Open a file for reading.

    Raises:
        InvalidInputError: The mode would write.
        IntegrityError: The bytes are missing or damaged.
        FlaggedFileError: It is flagged or affected, and the settings ask for an error.
    """
    if mode not in {"r", "rb", "rt"}:
        raise InvalidInputError(
            f"mode must be 'rb' or 'r', not {mode!r}: stored bytes never change; save a new version"
        )
    if file.is_folder:
        raise InvalidInputError(f"{file.key or file.name!r} is a folder: use stage() and open its members")
    run = edges.reader_of(file, is_run_input)
    flags.heed(file)
    stream = _read(file, lambda local: local.open(mode, encoding=None if "b" in mode else "utf-8"))
    try:
        if run is not None:
            edges.link_read(run, file)
    except BaseException:
        stream.close()
        raise
    return stream


def _instance(file: File) -> Instance:
    instance = context.connected(file.alias)
    if instance is None:
        raise InvalidInputError("this file belongs to an instance that was closed: connect it and query the file anew")
    return instance
