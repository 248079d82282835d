"""What a new file is made of: looked at when the record is made, read when it is saved."""

from __future__ import annotations

import os
import shutil
import stat as stats
import time
import weakref
from collections.abc import Sequence
from typing import Any, Final

from lamindb.core import context, messages, storage_url
from lamindb.core.hashing import Content, hash_bytes, hash_file
from lamindb.core.keys import HIDDEN_FOLDER, basename, check_key, suffix_of, with_suffix
from lamindb.core.text import counted, public_address
from lamindb.errors import InvalidInputError, InvalidTypeError, SourceNotFoundError, StorageError
from lamindb.files import loaders
from lamindb.models import File, Run
from lamindb.models.base import check_texts
from lamindb.records.open_instance import Instance
from lamindb.storage.base import LINKS, FileStat, Member, Source
from lamindb.storage.hash_cache import HashCache, Known
from lamindb.storage.manifest import folder_content, suffix_of_member, walk
from lamindb.storage.source_reader import changed

_STORED = (f"{HIDDEN_FOLDER}/objects/", f"{HIDDEN_FOLDER}/staged/")
"""Where the paths lie that `stage()` gives out, below a root."""


_LISTED: Final = 10


class ResolvedPath(str):
    """An absolute path without links, as a walk through a resolved folder finds it."""

    __slots__ = ()


class Pending:
    """Bytes that wait to be saved.

    Attributes:
        source: Where to read them.
        storage_id: The storage that will hold the file.
        is_in_place: The file stays where it is, under a further storage root.
        lies_at_key: It lies in the own storage already, at the place of its key.
        key: The key under which it will be saved.
        has_own_name: The user gave a name.
        is_folder: The source is a folder.
        memory: The object in memory that the bytes were made from.
        content: What the bytes are, once they were asked for or stored.
        members: The files of a folder, once they are stored.
        n_files: Their number; 1 for a file.
        left_out: The links of a folder that were left out, once it is stored.
        stem_id: The family of versions to continue, for `replace()`.
        is_brought_back: The bytes are those of an older version of that family.
        seen_key: The key that the record had when the bytes were looked at; another one was set since.
        shown: What to call it in messages.
    """

    __slots__ = (
        "__weakref__", "cleaner", "content", "has_own_name", "is_brought_back", "is_folder", "is_in_place", "key",
        "left_out", "lies_at_key", "members", "memory", "n_files", "seen_key", "shown", "source", "stem_id",
        "storage_id",
    )  # fmt: skip

    def __init__(
        self,
        source: Source,
        storage_id: str,
        *,
        is_in_place: bool = False,
        lies_at_key: bool = False,
        key: str | None = None,
        has_own_name: bool = False,
        is_folder: bool = False,
        memory: Any = None,
        content: Content | None = None,
        n_files: int = 1,
        shown: str = "",
    ) -> None:
        self.source = source
        self.storage_id = storage_id
        self.is_in_place = is_in_place
        self.lies_at_key = lies_at_key
        self.key = key
        self.has_own_name = has_own_name
        self.is_folder = is_folder
        self.memory = memory
        self.content = content
        self.members: tuple[Member, ...] = ()
        self.n_files = n_files
        self.left_out: tuple[str, ...] = ()
        self.stem_id: str | None = None
        self.is_brought_back = False
        self.seen_key: str | None = None
        self.shown = shown
        self.cleaner: Any = None


def prepare(file: File, data: Any, options: dict[str, Any]) -> None:
    """Look at the data of a new file and set key, name, suffix, size and storage. Reads no content.

    Raises:
        SourceNotFoundError: The path does not exist.
        InvalidKeyError: The key cannot name a file.
        InvalidInputError: The data cannot be stored.
        InvalidTypeError: It is of a type that cannot be stored.
    """
    instance = instance_of(file)
    key = options.get("key")
    if key is not None:
        key = check_key(os.fspath(key) if isinstance(key, os.PathLike) else key)
    pending, name, size = _look(instance, data, key, options.get("name"), options.get("format"))
    _take_links(pending, options.get("links"))
    _compare_suffixes(pending)
    pending.seen_key = pending.key
    values = file.loaded
    values.update(
        key=pending.key,
        name=options.get("name") or name,
        suffix=pending.source.suffix,
        is_folder=pending.is_folder,
        storage_id=pending.storage_id,
        pending=pending,
    )
    if size is not None:
        values["size"] = size
    if not pending.is_folder:
        values["n_files"] = 1
    check_texts(file)
    if values["run_id"] is None:
        messages.hint("no run is linked: call ln.track() first, or pass run=")
    if pending.key is not None:
        messages.hint(f"will be stored as {pending.key!r}" if not pending.is_in_place else "stays where it is")


def _take_links(pending: Pending, links: str | None) -> None:
    _check_links(links)
    if links is None or not pending.is_folder:
        return
    if pending.is_in_place or (pending.lies_at_key and links == "follow"):
        raise InvalidInputError(f"{pending.shown} lies in a storage, where links={links!r} is not possible")
    pending.source = pending.source._replace(links=links)


def _check_links(links: str | None) -> None:
    if links is not None and links not in LINKS:
        raise InvalidInputError(f"links must be one of {', '.join(LINKS)}, not {links!r}")


def report_left_out(shown: str, left_out: Sequence[str]) -> None:
    """Name the links of a folder that were not saved."""
    listed = ", ".join(left_out[:_LISTED]) + (", …" if len(left_out) > _LISTED else "")
    messages.warning(f"left out {counted(len(left_out), 'link')} of {shown}: {listed}")


def _compare_suffixes(pending: Pending) -> None:
    suffix = pending.source.suffix
    if pending.key is not None and suffix and suffix_of(basename(pending.key)).lower() not in ("", suffix.lower()):
        messages.warning(f"the key {pending.key!r} has another suffix than the data ({suffix})")


def take_changed_key(file: File) -> None:
    """Apply a key that was set after the bytes were looked at, as if it had been given with them.

    Raises:
        InvalidKeyError: It cannot name a file.
        InvalidInputError: The file stays in place, where its key is its path.
    """
    pending: Pending = file.pending
    if file.key == pending.seen_key:
        return
    key = check_key(file.key) if file.key is not None else None
    if pending.is_in_place:
        raise InvalidInputError(f"{pending.shown} stays where it is, and its key is its path: {key!r} cannot be set")
    usual = basename(pending.key or str(pending.source.path or ""))
    if key is not None and file.name == usual and not pending.has_own_name:
        file.name = basename(key)
    _leave_place(pending)
    pending.key = pending.seen_key = file.key = key
    _compare_suffixes(pending)


def _leave_place(pending: Pending) -> None:
    """Note that the view will show the bytes elsewhere than where they are."""
    pending.lies_at_key = False
    pending.source = pending.source._replace(take_over=False)


def instance_of(file: File) -> Instance:
    """Return the open instance of a file.

    Raises:
        InvalidInputError: It was closed.
    """
    instance = context.connected(file.alias)
    if instance is None:
        raise InvalidInputError("the run belongs to an instance that was closed: connect it again")
    return instance


def _look(
    instance: Instance, data: Any, key: str | None, name: str | None, format: str | None
) -> tuple[Pending, str, int | None]:
    if isinstance(data, File):
        return _look_at_record(instance, data, key)
    if isinstance(data, (bytes, bytearray, memoryview)):
        return _look_at_bytes(instance, bytes(data), key, name, "", None)
    address = _address(data)
    if address is not None:
        return _look_at_address(instance, address, key)
    # An abstract base class is asked about each new object; a look at its method is not.
    if isinstance(data, str) or hasattr(type(data), "__fspath__"):
        text = os.fspath(data)
        if not isinstance(text, str):
            raise InvalidTypeError("a path must be text or a Path, not bytes")
        return _look_at_path(instance, text, key)
    if not loaders.in_memory_kind(data):
        raise InvalidTypeError(
            f"a {type(data).__name__} cannot be stored: pass a path, bytes, a saved file, a table, an array, an "
            "AnnData, a figure, a dict or a list; ln.register_writer() adds your own"
        )
    if key is None and not name:
        raise InvalidInputError("an object in memory needs a key or a name: File(df, key='folder/name.parquet')")
    content, suffix = loaders.to_bytes(data, format or _format_of(key, name))
    if isinstance(content, (str, os.PathLike)):
        pending, shown, size = _look_at_path(instance, os.fspath(content), key, is_temporary=True)
        pending.source = pending.source._replace(suffix=suffix)
        pending.memory = data
        pending.cleaner = weakref.finalize(pending, shutil.rmtree, os.path.dirname(content), ignore_errors=True)
        return pending, basename(key) if key else (name or shown), size
    return _look_at_bytes(instance, content, key, name, suffix, data)


def _look_at_record(instance: Instance, file: File, key: str | None) -> tuple[Pending, str, int | None]:
    """Take the stored bytes of a file, checked; under its own key if none is given."""
    if not file.is_saved:
        raise InvalidInputError("this file is not saved yet: save it before its bytes are used again")
    staged = str(file.stage())
    pending, name, size = _look_at_path(instance, staged, key or file.key, is_temporary=True)
    pending.source = pending.source._replace(suffix=file.suffix)
    pending.shown = repr(file.key or file.name)
    return pending, basename(key) if key else file.name or name, size


def _format_of(key: str | None, name: str | None) -> str | None:
    suffix = suffix_of(basename(key or name or ""))
    # Other programs take bytes for what the suffix of their key says; a name is any text.
    is_said = loaders.is_written(suffix) or (key is not None and loaders.is_read(suffix))
    return suffix.lstrip(".") if is_said else None


def _address(data: Any) -> str | None:
    text = str(data) if isinstance(data, str) or hasattr(data, "protocol") else ""
    if "://" not in text or text.startswith("file://"):
        return None
    return storage_url.canonical(text)


def _look_at_bytes(
    instance: Instance, data: bytes, key: str | None, name: str | None, suffix: str, memory: Any
) -> tuple[Pending, str, int]:
    if key is None and not name:
        raise InvalidInputError("bytes need a key or a name: File(data, key='folder/name.bin')")
    suffix = suffix or suffix_of(basename(key) if key else str(name))
    content = hash_bytes(data)
    pending = Pending(
        source=Source(suffix=suffix, data=data, content=content),
        storage_id=instance.storage_id,
        key=key,
        has_own_name=name is not None,
        memory=memory,
        content=content,
        shown=repr(key or name),
    )
    return pending, basename(key) if key else str(name), len(data)


def _look_at_path(
    instance: Instance, text: str, key: str | None, *, is_temporary: bool = False
) -> tuple[Pending, str, int | None]:
    if not text or "\0" in text:
        raise InvalidInputError(f"{text!a} is not a path")
    is_resolved = isinstance(text, ResolvedPath)
    if text.startswith("file://"):
        text = text[7:]
    path = text if is_resolved else os.path.abspath(os.path.expanduser(text) if text.startswith("~") else text)
    try:
        status = os.lstat(path)
        is_link = stats.S_ISLNK(status.st_mode)
        if is_link:
            status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        reason = "it is a link to something that is not there" if os.path.islink(path) else "there is no such file"
        raise SourceNotFoundError(f"cannot save {path!r}: {reason}") from None
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot look at {path!r}: {error}") from error
    is_folder = stats.S_ISDIR(status.st_mode)
    if not is_folder and not stats.S_ISREG(status.st_mode):
        raise InvalidInputError(f"cannot save {path!r}: it is neither a file nor a folder (a pipe, socket or device)")
    if is_resolved:
        real = path
    else:
        real = os.path.realpath(path) if is_link else instance.part(_LastFolder).resolve(path)
    if is_folder and holds_instance(real, instance):
        raise InvalidInputError(f"cannot save {path!r}: it contains the storage of this instance itself")
    name = os.path.basename(path)
    storage_id, inside, is_own = _root_of(instance, real)
    if inside is not None and inside.split("/", 1)[0] == HIDDEN_FOLDER:
        # A staged path of a stored file: its bytes may be saved anew, under a key.
        is_temporary = True
    in_root = inside is not None and not is_temporary and (key is None or key == inside)
    if in_root:
        assert inside is not None
        key = check_key(inside)
    is_in_place = in_root and not is_own
    pending = Pending(
        source=Source(
            suffix=suffix_of(name) or (suffix_of(basename(key)) if key else ""),
            path=real,
            stat=None if is_folder else FileStat.of(status),
            # In the other modes users do not expect their own file to become the stored one.
            take_over=in_root and is_own and not is_folder and instance.view_mode == "auto",
        ),
        storage_id=storage_id if in_root else instance.storage_id,
        is_in_place=is_in_place,
        lies_at_key=in_root and is_own,
        key=key,
        is_folder=is_folder,
        shown=repr(path),
    )
    return pending, basename(key) if key else name, None if is_folder else status.st_size


class _LastFolder:
    """The last folder that was resolved: files are often made one after another from one folder."""

    def __init__(self) -> None:
        self._known: tuple[str, str, object] = ("", "", None)

    def resolve(self, path: str) -> str:
        """Return the path of a file, which is no link itself, without the links among its folders."""
        if os.name == "nt":
            return os.path.realpath(path)
        folder, _, name = path.rpartition("/")
        known, real, identity = self._known
        # Another folder may have its name by now, or its link may lead elsewhere.
        is_same = folder == known and identity is not None and _identity(real) == identity
        if not is_same or (real != folder and _identity(f"{folder}/") != identity):
            real = os.path.realpath(f"{folder}/")
            self._known = (folder, real, _identity(real))
        return f"{real}/{name}" if real != "/" else f"/{name}"


def _identity(path: str) -> tuple[int, int] | None:
    """Return which file or folder a path is, not following a link; None if there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_dev


def holds_instance(path: str, instance: Instance) -> bool:
    """Return True if a folder is the storage of an instance, or contains it."""
    return instance.is_local and (instance.root_url + "/").startswith(path.rstrip("/") + "/")


def _look_at_address(instance: Instance, address: str, key: str | None) -> tuple[Pending, str, int | None]:
    """Take an object of a registered bucket where it is; others have to be downloaded first."""
    if public_address(address) != address:
        raise InvalidInputError(
            f"{public_address(address)} holds credentials, which a record would keep: pass the plain address of an "
            "object, and put credentials in the environment"
        )
    from lamindb.storage import in_place

    root, storage_id = _bucket_of(instance, address)
    inside = in_place.check_key(address.removeprefix(f"{root}/"))
    if key is not None and key != inside:
        raise InvalidInputError(f"{address} lies in the storage {root}: its key is {inside!r}, not {key!r}")
    store = instance.remote_root(root)
    members: tuple[Member, ...] = ()
    try:
        content = in_place.content_of_key(store, inside)
    except SourceNotFoundError:
        members = in_place.members_of(store, inside)
        if not members:
            raise
        content = folder_content(members)
    name = basename(in_place.split_version(inside)[0])
    pending = Pending(
        source=Source(suffix=suffix_of(name), data=b"", content=content),
        storage_id=storage_id,
        is_in_place=True,
        key=inside,
        has_own_name=name != basename(inside),
        is_folder=bool(members),
        content=content,
        n_files=len(members) or 1,
        shown=address,
    )
    return pending, name, content.size


def _bucket_of(instance: Instance, address: str) -> tuple[str, str]:
    """Return the deepest further storage in which an address lies, or which it is, and its id.

    Raises:
        InvalidInputError: There is none, or the address lies in the instance's own storage.
    """
    roots = [(root.rstrip("/"), storage_id) for root, storage_id in instance.roots() if "://" in root]
    found = [one for one in roots if f"{address}/".startswith(f"{one[0]}/")]
    if not found:
        raise InvalidInputError(
            f"{public_address(address)} lies in no storage of this instance: register its bucket by "
            "ln.Storage(root='…').save(), or download it first"
        )
    root, storage_id = max(found, key=lambda one: len(one[0]))
    if instance.is_own(storage_id):
        raise InvalidInputError(
            f"{address} lies in the instance's own storage, which holds what is saved and nothing in place: put it "
            "under another prefix that is a storage, or download it first"
        )
    return root, storage_id


def _root_of(instance: Instance, real: str) -> tuple[str, str | None, bool]:
    """Find the deepest storage root that holds a path: its id, the path in it, whether it is the own one.

    Raises:
        InvalidInputError: The path lies in the library's own folder.
    """
    best: tuple[str, str | None, bool] = (instance.storage_id, None, True)
    depth = -1
    for root, storage_id in instance.roots():
        prefix = root.rstrip("/") + "/"
        if "://" not in root and real.startswith(prefix) and len(prefix) > depth:
            best = (storage_id, real[len(prefix) :], storage_id == instance.storage_id)
            depth = len(prefix)
    inside = best[1]
    if inside is not None and inside.split("/", 1)[0] == HIDDEN_FOLDER and not inside.startswith(_STORED):
        raise InvalidInputError(f"cannot save {real!r}: {HIDDEN_FOLDER}/ belongs to lamindb")
    return best


def replace_data(file: File, data: Any, run: Run | None, format: str | None) -> None:
    """Take other bytes for the next save of a file; nothing is stored yet.

    Raises:
        InvalidInputError: The file is not saved, or lies in place under a further root.
        SourceNotFoundError: The path does not exist.
    """
    from lamindb.core import context

    instance = instance_of(file)
    if not file.is_saved:
        raise InvalidInputError("this file is not saved yet: make it from the other data instead")
    if run is not None and not isinstance(run, Run):
        raise InvalidTypeError(f"run must be a Run, not {type(run).__name__}")
    if not instance.is_own(file.storage_id):
        raise InvalidInputError(
            f"{file.key or file.name!r} stays where it is: write the other bytes there, and register it again"
        )
    pending, _, _ = _look(instance, data, None, file.name, format)
    lies_at = pending.key
    suffix = pending.source.suffix or file.suffix
    pending.key = with_suffix(file.key, suffix) if file.key is not None else None
    if pending.key != lies_at:
        _leave_place(pending)
    pending.is_in_place = False
    pending.storage_id = instance.storage_id
    pending.seen_key = file.key
    pending.stem_id = file.stem_id
    pending.has_own_name = file.key is None or file.name != basename(file.key)
    if pending.has_own_name and suffix != file.suffix and file.suffix and file.name.endswith(file.suffix):
        file.name = file.name.removesuffix(file.suffix) + suffix
    candidate = run or context.run()
    if candidate is not None and (candidate.alias or file.alias) == file.alias:
        file.run = candidate
        file.transform_id = candidate.transform_id
    else:
        file.run = None
        file.transform_id = None
    file.pending = pending


def content_of(file: File) -> Content:
    """Return hash, digest and size of a file's waiting bytes; reads them once at most, unless they are cached.

    Raises:
        SourceChangedError: The file changed since the record was made.
        StorageError: It cannot be read.
    """
    pending: Pending = file.pending
    if pending.content is None:
        pending.content, pending.n_files = read_content(pending, instance_of(file).hash_cache)
        pending.source = pending.source._replace(content=pending.content if not pending.is_folder else None)
    return pending.content


def read_content(pending: Pending, cache: HashCache) -> tuple[Content, int]:
    """Hash the bytes of a source where they are, a folder by what its manifest would say; also count its files."""
    source = pending.source
    if source.data is not None:
        return hash_bytes(source.data), 1
    path = str(source.path)
    if not pending.is_folder:
        return hash_local(path, source.stat, cache), 1
    return read_folder(path, source.links, cache)


def read_folder(path: str, links: str | None, cache: HashCache) -> tuple[Content, int]:
    """Hash a folder by what its manifest would say; also count its files."""
    members = []
    for relative, real in walk(path, links):
        content = hash_local(real, None, cache)
        members.append(Member(relative, content.digest, suffix_of_member(relative), content.size))
    return folder_content(tuple(members)), len(members)


def hash_local(path: str, expected: FileStat | None, cache: HashCache) -> Content:
    """Hash a local file, unless it is known not to have changed since it was last hashed.

    Args:
        path: The file.
        expected: The stat that it must have; None for any.
        cache: Knows unchanged files, and takes what was read.

    Raises:
        SourceChangedError: It has another stat, or changed while it was read.
        StorageError: It cannot be read.
    """
    try:
        before = FileStat.of(os.stat(path))
        if expected is not None and before != expected:
            raise changed(path)
        known = cache.get(path, before)
        if known is not None:
            return known
        started = time.time_ns()
        content = hash_file(path)
        if FileStat.of(os.stat(path)) != before:
            raise changed(path)
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"cannot read {path!r}: it is gone") from error
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot read {path!r}: {error.strerror}") from error
    cache.put(Known(path, before, content, started))
    return content


def from_dir(path: Any, key: str | None, run: Run | None, links: str | None = None) -> list[File]:
    """Make one unsaved file for each file of a folder, recursively, in the order of their paths.

    Args:
        path: The folder, or the address of one in a registered bucket.
        key: The folder under which their keys start. None: the relative path, where the folder lies in a storage
            root; else the folder's own name.
        run: The run that produces them; the current run by default.
        links: What is done with symbolic links; see `File.from_dir`.

    Raises:
        SourceNotFoundError: There is no such folder.
        InvalidInputError: It is a file, or holds pipes, sockets, devices or links that lead out of it, or contains the
            instance's own storage.
    """
    address = _address(path)
    if address is not None:
        return _from_bucket(context.instance(), address, key, run)
    folder = os.path.abspath(os.path.expanduser(os.fspath(path)))
    if not os.path.exists(folder):
        raise SourceNotFoundError(f"there is no folder {folder!r}")
    if not os.path.isdir(folder):
        raise InvalidInputError(f"{folder!r} is a file: pass a folder, or use ln.File(path)")
    real = os.path.realpath(folder)
    if holds_instance(real, context.instance()):
        raise InvalidInputError(
            f"{folder!r} contains the storage of this instance itself: name the files and folders that are to be saved"
        )
    roots = [root.rstrip("/") + "/" for root, _ in context.instance().roots() if "://" not in root]
    in_root = (real + "/").startswith(tuple(roots))
    prefix = check_key(key.rstrip("/")) if key else (None if in_root else check_key(os.path.basename(folder)))
    _check_links(links)
    if in_root and links == "follow":
        raise InvalidInputError(f"{folder!r} lies in a storage, where links='follow' is not possible")
    files = []
    left_out: list[str] = []
    for relative, found in walk(real, links, left_out=left_out):
        expected = f"{real}/{relative}"
        data = ResolvedPath(found) if found == expected else expected
        files.append(File(data, key=f"{prefix}/{relative}" if prefix is not None else None, run=run))
    if left_out:
        report_left_out(repr(folder), left_out)
    return files


def _from_bucket(instance: Instance, address: str, key: str | None, run: Run | None) -> list[File]:
    """Make one unsaved file for each object below an address of a registered bucket."""
    from lamindb.storage import in_place

    root, _ = _bucket_of(instance, address)
    inside = address.removeprefix(root).removeprefix("/")
    if key is not None and key.rstrip("/") != inside:
        raise InvalidInputError(f"{address} lies in the storage {root}: its key is {inside!r}, not {key!r}")
    store = instance.remote_root(root)
    found = in_place.keys_below(store, inside)
    if not found:
        raise SourceNotFoundError(f"there is no object below '{address}'")
    files = []
    for one in found:
        if one.split("/", 1)[0].casefold() == HIDDEN_FOLDER:
            continue
        try:
            files.append(File(f"{root}/{one}", run=run))
        except SourceNotFoundError:
            messages.debug(f"'{root}/{one}' is listed and not there: the mark of a folder")
    return files
