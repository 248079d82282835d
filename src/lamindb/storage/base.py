"""What other rooms know of stored bytes, and the protocol of all stores."""

from __future__ import annotations

import builtins
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple, Protocol

from lamindb.core.hashing import Content
from lamindb.core.progress import Progress
from lamindb.core.text import counted
from lamindb.errors import InvalidInputError

_NAME: Final = re.compile(r"[0-9a-f]{64}(?:\.[^/\\\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]*)?", re.ASCII)
_DIGEST_LENGTH: Final = 64
BATCH: Final = 10_000
"""How many sources a store makes durable at once: fewer need more fsyncs."""
_MAX_NAME_BYTES: Final = 255

LINKS: Final = ("keep", "follow", "skip")
"""What can be done with the symbolic links in a folder; see `manifest.walk`."""


class _Named(NamedTuple):
    digest: str
    suffix: str


class ObjectName(_Named):
    """The name of stored bytes: their BLAKE3 digest, and the suffix of their format.

    Raises:
        InvalidInputError: The digest is not one, or the suffix could lead out of the folder of objects.
    """

    __slots__ = ()

    def __new__(cls, digest: str, suffix: str) -> ObjectName:
        """Refuse a name that cannot be a file in the folder of objects."""
        name = digest + suffix
        if len(digest) != _DIGEST_LENGTH or not _NAME.fullmatch(name):
            raise InvalidInputError(
                f"{name!a} cannot name an object: a digest has 64 hexadecimal characters, and a suffix is empty or "
                "starts with a dot and has no separator or control character"
            )
        if len(name if name.isascii() else name.encode()) > _MAX_NAME_BYTES:
            raise InvalidInputError(f"suffix {suffix[:40]!a}… is too long for a file name: shorten it")
        return super().__new__(cls, digest, suffix)

    @property
    def path(self) -> str:
        """The path of the object in the folder of objects, as POSIX."""
        return f"{self.digest[:2]}/{self.digest}{self.suffix}"

    @classmethod
    def parse(cls, filename: str) -> ObjectName | None:
        """Return the name that a file name stands for; None if it is not that of an object."""
        digest, suffix = filename[:_DIGEST_LENGTH], filename[_DIGEST_LENGTH:]
        try:
            return cls(digest, suffix)
        except InvalidInputError:
            return None


class FileStat(NamedTuple):
    """The stat of a file; a change of its bytes changes at least one of these."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, stat: os.stat_result) -> FileStat:
        """Return what matters of a stat."""
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)


class _Bytes(NamedTuple):
    suffix: str
    path: str | None
    data: bytes | None
    stat: FileStat | None
    content: Content | None
    take_over: bool
    links: str | None


class Source(_Bytes):
    """Bytes to be stored: exactly one of `path` and `data`.

    Attributes:
        suffix: Suffix of the object, such as ".csv"; may be empty.
        path: A local file or folder, absolute.
        data: Bytes in memory.
        stat: The file's stat when the record was made; a file that differs now is not stored.
        content: Known hashes of the bytes. If the store holds them already, the file is not read again; if the file
            turns out to have others, it is not stored.
        take_over: The path is in the root of this store: the file becomes the object itself, without a second copy
            where the disk allows it.
        links: What is done with symbolic links in a folder, one of `LINKS`; None as `manifest.walk` says.
    """

    __slots__ = ()

    def __new__(
        cls,
        suffix: str,
        path: str | None = None,
        data: bytes | None = None,
        stat: FileStat | None = None,
        content: Content | None = None,
        take_over: bool = False,
        links: str | None = None,
    ) -> Source:
        """Refuse a source of both kinds, or of none."""
        if (path is None) == (data is None):
            raise InvalidInputError("a source has either a path or data: pass one of them")
        return super().__new__(cls, suffix, path, data, stat, content, take_over, links)

    @property
    def shown(self) -> str:
        """The name of the source in messages."""
        return f"'{self.path}'" if self.path is not None else f"{counted(len(self.data or b''), 'byte')} in memory"


class Member(NamedTuple):
    """One file of a folder that is stored as one.

    Attributes:
        path: Its path in the folder: relative, POSIX, NFC.
        digest: BLAKE3 of its bytes.
        suffix: Suffix of its object.
        size: Number of bytes.
    """

    path: str
    digest: str
    suffix: str
    size: int

    @property
    def name(self) -> ObjectName:
        """The name of the object with its bytes."""
        return ObjectName(self.digest, self.suffix)


class Stored(NamedTuple):
    """A source whose bytes are durable.

    Attributes:
        name: The object; for a folder, its manifest.
        content: Hashes and size; for a folder, `hash` and `digest` of the manifest, and the members' total size.
        reused: The store already held them; for a folder, the manifest and all members.
        members: The files of a folder.
        is_folder: The source was a folder.
        n_files: Number of files: 1, or the members of a folder.
        left_out: Links of a folder that were left out, each with what it points to.
    """

    name: ObjectName
    content: Content
    reused: bool
    members: tuple[Member, ...] = ()
    is_folder: bool = False
    n_files: int = 1
    left_out: tuple[str, ...] = ()


class Damage(NamedTuple):
    """Why stored bytes cannot be trusted.

    Attributes:
        name: The object.
        kind: It is missing, has another size, or has other bytes.
        detail: One line for the user.
    """

    name: ObjectName
    kind: Literal["missing", "size", "bytes"]
    detail: str


class ObjectStore(Protocol):
    """Stored bytes, each object under the name of its content: written once, never changed.

    All methods raise `StorageError` when the disk or bucket fails, and `ReadOnlyError` when it cannot be written.
    A method may be called from several threads and processes at once.
    """

    @property
    def root_url(self) -> str:
        """The root: an absolute path, or an address such as `s3://bucket/prefix`."""

    @property
    def is_local(self) -> bool:
        """Whether objects are files on this machine."""

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written."""

    def prepare(self) -> None:
        """Make the folders and files of a new root; idempotent."""

    def put(self, source: Source) -> Stored:
        """Store a source, all of it or none of it.

        When this returns, the bytes survive a power cut. A damaged object of the same name is replaced.

        Raises:
            SourceNotFoundError: The file is not there. Nothing was stored.
            SourceChangedError: The file changed since its record was made, or while it was read. Nothing was stored.
            InvalidInputError: The source is neither a file nor a folder, or a folder holds what cannot be stored.
            StorageError: Reading or storing failed. No part of the object is visible; calling again is safe.
        """

    def put_many(self, sources: Sequence[Source], *, progress: Progress | None = None) -> builtins.list[Stored]:
        """Store many sources as `put` does, with few fsyncs for all; memory use does not grow with the files.

        If one fails, its error is raised; of the others, some may be stored, which is harmless.
        """

    def exists(self, name: ObjectName) -> bool:
        """Return True if there is an object of this name, intact or damaged."""

    def size(self, name: ObjectName) -> int | None:
        """Return the number of bytes that are stored, None if there is no such object."""

    def open(self, name: ObjectName) -> BinaryIO:
        """Open an object for reading, unchecked.

        Raises:
            IntegrityError: There is no such object.
        """

    def read(self, name: ObjectName) -> bytes:
        """Return the bytes of an object, checked against its name.

        Raises:
            IntegrityError: The object is missing, or these are not its bytes.
        """

    def delete(self, name: ObjectName) -> bool:
        """Remove an object for good; False if there was none."""

    def list(self) -> Iterator[tuple[ObjectName, int]]:
        """Yield all objects with their sizes, in no promised order; other files are skipped."""

    def local_path(self, name: ObjectName, filename: str, *, is_folder: bool = False) -> Path:
        """Return a local file with this file name and the object's bytes, checked.

        It must not be written to. With `is_folder`, the object is a manifest, and the result is a folder.

        Raises:
            IntegrityError: The object, or one of its members, is missing or damaged.
        """

    def check(self, name: ObjectName, size: int | None, *, quick: bool = False) -> Damage | None:
        """Compare an object with its name; None if all is right.

        Args:
            name: The object.
            size: The number of bytes that it must have, None if that is not known.
            quick: Trust bytes whose size and stat have not changed since they were last checked.
        """

    def list_abandoned(self, *, older_than_seconds: float, foreign_seconds: float | None = None) -> builtins.list[str]:
        """Return the temporary files that no writer will complete.

        Those of a running writer are never among them, and those of a dead one of this machine always, whatever their
        age.

        Args:
            older_than_seconds: Age of those of a writer on another machine.
            foreign_seconds: Age of what is not named as a temporary file; None for the same.
        """

    def remove_abandoned(
        self, *, older_than_seconds: float, foreign_seconds: float | None = None
    ) -> builtins.list[str]:
        """Remove what `list_abandoned` returns; return what was removed."""

    def changed_at(self, name: ObjectName) -> float | None:
        """Return when an object was last stored or linked, in seconds of the epoch; None if there is none."""

    def object_path(self, name: ObjectName) -> str:
        """Return the path or address of an object."""

    def upath(self, name: ObjectName, filename: str, *, is_folder: bool = False) -> Any:
        """Return a path by which other packages read an object: a `Path` on this machine, a `UPath` in a bucket.

        It must not be written to, and what is read there is not checked, the manifest aside. With `is_folder`, the
        members are below the path.

        Args:
            name: The object.
            filename: The name of a folder on this machine; a file has the name of its object.
            is_folder: The object is a manifest.

        Raises:
            UnsupportedError: A package is not installed, or the store is one in memory.
            IntegrityError: A folder on this machine is damaged.
        """

    def upath_of_key(self, key: str) -> Any:
        """Return what a key of the root is, the root itself for "": a `Path` on this machine, a `UPath` in a bucket.

        Raises:
            UnsupportedError: As for `upath`.
        """
