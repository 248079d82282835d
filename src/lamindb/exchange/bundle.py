"""An archive for a reviewer: chosen files with their bytes, the page of their lineage, and how to check the bytes."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from blake3 import blake3

from lamindb.core import context
from lamindb.core.text import printable
from lamindb.errors import IntegrityError, InvalidInputError, StorageError
from lamindb.exchange.html_export import export_html
from lamindb.lineage.render.labels import time_text
from lamindb.models import File, Run
from lamindb.models.base import now
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName, ObjectStore
from lamindb.storage.manifest import read_manifest

_CHUNK = 1 << 20
_DATE = (1980, 1, 1, 0, 0, 0)
"""Members have no time of their own: the same content makes the same archive, but for its page."""

_README = """\
{title}
{line}

Made by lamindb on {time}.

index.html       the lineage of these files: open it in a browser; it loads nothing
files/           the files
B3SUMS           the BLAKE3 digest of each file in files/
manifest.json    the same with ids, versions and sizes, for programs

To check that the files are those of index.html, run in this folder

    b3sum --check B3SUMS

or, with Python and `pip install blake3`:

    python -c "
    import blake3, pathlib
    for line in open('B3SUMS', encoding='utf-8'):
        digest, _, name = line.rstrip('\\n').partition('  ')
        found = blake3.blake3(pathlib.Path(name).read_bytes()).hexdigest()
        print('OK' if found == digest else 'DIFFERENT', name)
    "

The page of each file in index.html shows the same digest as BLAKE3. For a folder it shows the digest of its manifest;
those of its files are in manifest.json.
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished archive: how many files it has, and its size in bytes."""

    n_files: int
    size: int


@dataclass(frozen=True, slots=True)
class _Member:
    """A file in the archive: its path there, the object that it is, its size if known, and its record."""

    path: str
    name: ObjectName
    file: File


def write_bundle(records: Iterable[Any], path: Path, **privacy: bool) -> Bundle:
    """Write files with their bytes and lineage as one zip archive; of runs, the files that they made.

    Each byte is checked against its digest while it is copied. The archive appears as a whole, or not at all.

    Args:
        records: Files and runs of the current instance.
        path: The archive to write.
        **privacy: Arguments of `export_html`: `with_hosts`, `with_emails`, `with_paths`.

    Raises:
        InvalidInputError: Nothing was chosen, two files would have the same path, or the name of the archive is not
            that of a zip file.
        IntegrityError: Stored bytes are missing or damaged.
        StorageError: The archive cannot be written; an existing one is unchanged.
    """
    instance = context.instance()
    if path.suffix.lower() != ".zip":
        raise InvalidInputError(f"cannot write {printable(str(path))}: the archive is a zip file, end its name in .zip")
    chosen = list(records)
    files = list(dict.fromkeys(_files(chosen)))
    if not files:
        raise InvalidInputError("nothing to bundle: name files, or runs that made some")
    members = [member for file in files for member in _members(file, instance)]
    page = export_html(chosen, **privacy)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        # Permissions are those that the umask leaves, as of any other new file.
        with open(temporary, "xb") as stream:
            _write(stream, members, page.text, instance)
            stream.flush()
            os.fsync(stream.fileno())
        size = temporary.stat().st_size
        os.replace(temporary, path)
    except OSError as exc:
        raise StorageError(f"cannot write {printable(str(path))}: {exc.strerror or exc}") from exc
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return Bundle(len(members), size)


def _files(records: Iterable[Any]) -> Iterator[File]:
    for record in records:
        if isinstance(record, File):
            yield record
        elif isinstance(record, Run):
            yield from record.outputs.all()
        else:
            raise InvalidInputError(f"a bundle is of files, or of what runs made, not of {record!r}")


def _members(file: File, instance: Instance) -> Iterator[_Member]:
    """Yield a file, or the files of a folder, by their paths in the archive."""
    base = "files/" + _safe(file.key or f"{file.id}{file.suffix}")
    name = ObjectName(file.digest, file.suffix)
    if not file.is_folder:
        yield _Member(base, name, file)
        return
    for member in read_manifest(_store(file, instance), name):
        yield _Member(f"{base.rstrip('/')}/{_safe(member.path)}", ObjectName(member.digest, member.suffix), file)


def _safe(path: str) -> str:
    """Return a path that stays below its folder wherever the archive is unpacked, also on Windows."""
    parts = [printable(part).translate(_FORBIDDEN).rstrip(". ") for part in path.split("/")]
    return "/".join(part for part in parts if part) or "_"


_FORBIDDEN = str.maketrans(dict.fromkeys('\\:*?"<>|', "_"))


def _store(file: File, instance: Instance) -> ObjectStore:
    return instance.open_root(instance.root_of(instance.storage(file.storage_id)))


def _write(stream: BinaryIO, members: list[_Member], page: str, instance: Instance) -> None:
    sums, listed = [], []
    taken: set[str] = set()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            if member.path.casefold() in taken:
                raise InvalidInputError(f"two files would be {member.path!r} in the archive: bundle them one by one")
            taken.add(member.path.casefold())
            size = _copy(archive, member, instance)
            digest = member.name.digest
            sums.append(f"{digest}  {member.path}\n")
            file = member.file
            about = {"file_id": file.id, "key": file.key, "version": file.version}
            listed.append({"path": member.path, "size": size, "blake3": digest, **about})
        title = f"Files of {printable(instance.name)}"
        readme = _README.format(title=title, line="=" * len(title), time=time_text(now()))
        manifest = {"format": "lamindb-bundle", "format_version": 1, "files": listed}
        for name, text in (
            ("index.html", page),
            ("B3SUMS", "".join(sums)),
            ("manifest.json", json.dumps(manifest, indent=2) + "\n"),
            ("README.txt", readme),
        ):
            archive.writestr(_info(name), text)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _copy(archive: zipfile.ZipFile, member: _Member, instance: Instance) -> int:
    """Copy an object into the archive and return its size.

    Raises:
        IntegrityError: It is missing, or these are not its bytes.
    """
    digest, size = blake3(), 0
    with (
        _store(member.file, instance).open(member.name) as source,
        archive.open(_info(member.path), "w", force_zip64=True) as target,
    ):
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    if digest.hexdigest() != member.name.digest:
        raise IntegrityError(
            f"the stored bytes of {member.file.key or member.file.id!r} are damaged: see `lamin verify`"
        )
    return size
