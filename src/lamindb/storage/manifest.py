r"""Folders stored as one: a manifest object that lists the members, and an object for each member.

A manifest is UTF-8 text of lines that end in `\n`. The first is `{"format":"lamindb-folder","version":1}`; each other
is one member, `{"path":…,"size":…,"digest":…,"suffix":…}`, sorted by the bytes of the path. Equal folders have
equal manifests, wherever they are. Folders without files are not in it.
"""

from __future__ import annotations

import json
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from lamindb.core import documents, keys
from lamindb.core.hashing import Content, hash_bytes
from lamindb.errors import IntegrityError, InvalidInputError, InvalidKeyError
from lamindb.storage.base import Member, ObjectName, ObjectStore
from lamindb.storage.os_errors import read_failed

_HEADER = '{"format":"lamindb-folder","version":1}'
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def walk(folder: str, links: str | None = None, *, left_out: list[str] | None = None) -> list[tuple[str, str]]:
    """List the files of a folder and the folders in it, as (relative POSIX path in NFC, path on disk), sorted.

    Args:
        folder: The folder.
        links: What is done with symbolic links. None: they are followed, and what they point to must be in the folder.
            "keep": those that stay in the folder are followed, all others left out. "follow": also what lies elsewhere
            is taken. "skip": all are left out.
        left_out: Takes the links that are left out, each with what it points to.

    Raises:
        InvalidInputError: A link that is not left out leaves the folder, is broken or circular, something is neither
            file nor folder, or a name cannot be a key. The message names it.
        SourceNotFoundError, StorageError: The folder is not there or cannot be read.
    """
    root = os.path.realpath(folder)
    found: dict[str, str] = {}
    for relative, path in _walk(root, links, left_out if left_out is not None else [], root, "", (root,)):
        try:
            normal = keys.check_key(relative)
        except InvalidKeyError as error:
            raise InvalidInputError(f"folder '{folder}' cannot be stored as one: {error}") from error
        if normal in found:
            raise InvalidInputError(
                f"folder '{folder}' has two files whose names are the same text, {ascii(normal)}: rename one"
            )
        found[normal] = path
    return sorted(found.items(), key=lambda item: item[0].encode())


def _walk(
    root: str, links: str | None, left_out: list[str], folder: str, prefix: str, above: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
    except OSError as error:
        raise read_failed(folder, error) from error
    for entry in listed:
        relative = prefix + entry.name
        path = entry.path
        if entry.is_symlink():
            try:
                path = _resolve(root, path, links, above)
            except _LeftOut:
                left_out.append(f"{relative!a} (to {os.readlink(entry.path)!a})")
                continue
        try:
            mode = stat.S_IFREG if entry.is_file(follow_symlinks=False) else os.stat(path).st_mode
        except OSError as error:
            raise read_failed(entry.path, error) from error
        if stat.S_ISDIR(mode):
            if path in above:
                raise InvalidInputError(f"symbolic link '{entry.path}' leads back to a folder above it: {_REMEDY}")
            yield from _walk(root, links, left_out, path, relative + "/", (*above, path))
        elif stat.S_ISREG(mode):
            yield relative, path
        else:
            raise InvalidInputError(f"'{entry.path}' is neither a file nor a folder, and cannot be stored: remove it")


class _LeftOut(Exception):
    """A link is not followed."""


_REMEDY = "remove it, or save the folder without such links, by links='keep' or --links keep"


def _resolve(root: str, link: str, links: str | None, above: tuple[str, ...]) -> str:
    target = os.path.realpath(link)
    is_dead = not os.path.lexists(target) or os.path.islink(target)
    leaves = os.path.commonpath([root, target]) != root
    if links == "skip" or (links == "keep" and (is_dead or leaves or target in above)):
        raise _LeftOut
    if is_dead:
        raise InvalidInputError(f"symbolic link '{link}' leads nowhere: {_REMEDY}")
    if leaves and links != "follow":
        raise InvalidInputError(
            f"symbolic link '{link}' leaves the folder: replace it by the file itself, or pass links='follow' or "
            "'keep' (--links)"
        )
    if leaves and (keys.HIDDEN_FOLDER in target.split("/") or os.path.lexists(f"{target}/{keys.HIDDEN_FOLDER}")):
        raise InvalidInputError(f"symbolic link '{link}' leads to the storage of an instance: {_REMEDY}")
    return target


def suffix_of_member(path: str) -> str:
    """Return the suffix of a member's object."""
    return unicodedata.normalize("NFC", keys.suffix_of(keys.basename(path)))


def write_manifest(members: Iterable[Member]) -> bytes:
    """Write the manifest of members, which must be sorted by their paths."""
    lines = [_HEADER]
    for member in members:
        entry = {"path": member.path, "size": member.size, "digest": member.digest, "suffix": member.suffix}
        lines.append(_encode(entry))
    return ("\n".join(lines) + "\n").encode()


def parse_manifest(name: ObjectName, data: bytes) -> tuple[Member, ...]:
    """Read a manifest.

    Raises:
        IntegrityError: It is not one, or names what no manifest may name.
    """
    try:
        header, *lines, end = data.decode().split("\n")
        if header != _HEADER or end:
            raise ValueError("not a manifest of version 1")
        members = []
        for line in lines:
            entry = documents.parse_json(line)
            member = Member(entry["path"], entry["digest"], entry["suffix"], entry["size"])
            if keys.check_key(member.path) != member.path:
                raise ValueError("a path is not in Unicode's composed form")
            if type(member.size) is not int or member.size < 0:
                raise ValueError("a size is not a number of bytes")
            ObjectName(member.digest, member.suffix)
            members.append(member)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"object {name.path} is not the manifest of a folder ({error}): `lamin verify` shows what is damaged"
        ) from error
    return tuple(members)


def starts_as_manifest(stream: BinaryIO) -> bool:
    """Return True if a stream starts as a manifest does."""
    start = f"{_HEADER}\n".encode()
    return stream.read(len(start)) == start


def read_manifest(store: ObjectStore, name: ObjectName) -> tuple[Member, ...]:
    """Return the files of a folder that is stored as one, sorted by path; its manifest is checked.

    Raises:
        IntegrityError: The manifest is missing, damaged, or not one.
    """
    return parse_manifest(name, store.read(name))


def folder_content(members: tuple[Member, ...]) -> Content:
    """Return hash and digest of the manifest of these members, and the size of all files."""
    return content_of(write_manifest(members), members)


def content_of(manifest: bytes, members: Iterable[Member]) -> Content:
    """Return hash and digest of a manifest, and the size of the files of its members."""
    content = hash_bytes(manifest)
    return Content(content.hash, content.digest, sum(member.size for member in members))
