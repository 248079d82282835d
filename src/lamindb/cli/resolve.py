"""Resolve an argument to a record: by key, path into the storage, id, or name."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from lamindb.core import ids, paths, storage_url
from lamindb.core.keys import check_key, split_version
from lamindb.errors import InvalidInputError, InvalidKeyError, MultipleResultsFound, NoResultFound

if TYPE_CHECKING:
    from lamindb.models import File, Record, Run, Transform

_SUGGEST_AMONG = 100_000
_MIN_PREFIX = 6
_LISTED = 10


def record(text: str, *, version: int | None = None) -> Any:
    """Return the file, run or transform that an argument names. A file in the trash is found by its id only.

    A file is named as for `file`. A transform is named by its id, its name or its path; the newest of several versions
    is returned.

    Raises:
        NoResultFound: There is none; the message suggests the closest key, or lists the versions of the file.
        MultipleResultsFound: Several notebooks, scripts or pipelines have this name; their ids are listed.
    """
    from lamindb.models import File, Run

    found: Any = _named_file(text, version, in_trash=False)
    if found is None and version is None and _can_be_stored(text):
        found = (
            File.objects.get_queryset().filter(id=text).first()
            or Run.objects.get_queryset().filter(id=text).first()
            or next(iter(_transforms_named(text)), None)
            or (_run_or_none(text) if len(text) >= _MIN_PREFIX else None)
        )
    found = found or _file_or_none(text, version, in_trash=False)
    if found is None:
        which = f" with version {version}" if version is not None else ""
        raise NoResultFound(f"there is no record {ascii_quoted(text)}{which}: {_advice(text, in_trash=False)}")
    return found


def ids_of(kind: type[Record], text: str) -> list[str]:
    """Return the ids of what text names, as in `Run.select(transform="qc")`; of a run, the start of its id will do.

    Raises:
        NoResultFound: There is none; the message suggests the closest one.
        MultipleResultsFound: Several different records have this name; they are listed.
    """
    from lamindb.core import context
    from lamindb.models import Run, relations

    if not _can_be_stored(text):
        raise NoResultFound(
            f"there is no {kind.__name__.lower()} {ascii_quoted(text)}: no name can have its characters"
        )
    try:
        return relations.named(kind, context.instance().alias, text)
    except NoResultFound:
        by_id = _run_or_none(text) if kind is Run and len(text) >= _MIN_PREFIX else None
        if by_id is None:
            raise
        return [by_id.id]


def _transforms_named(text: str) -> list[Transform]:
    """Return all versions of the transform that text names, the newest first; none where it names none.

    Raises:
        MultipleResultsFound: Several notebooks, scripts or pipelines have this name; their ids are listed.
    """
    from lamindb.models import Transform

    # A shell completes the name of a script as `./clean.py`.
    path = os.path.normpath(text) if text.startswith("./") else text
    try:
        found = ids_of(Transform, path)
    except NoResultFound:
        return []
    return list(Transform.objects.get_queryset().filter(id__in=found).order_by("-created_at", "-id"))


def _can_be_stored(text: str) -> bool:
    """Return True if the database can store a text: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _run_or_none(text: str) -> Run | None:
    try:
        return run(text)
    except NoResultFound:
        return None


def file(text: str, *, version: int | None = None, in_trash: bool = False) -> File:
    """Return the file with a key, a path into the storage folder, or an id; `KEY@N` is its version N.

    A key that has this very text goes first.

    Args:
        text: The argument.
        version: The version; None means that of the text, else the current one, or exactly the one with the id.
        in_trash: Search only the trash, where the newest file of a key is returned.

    Raises:
        InvalidInputError: Both `text` and `version` name a version, or the version of the text is in the trash.
        NoResultFound: There is none; the message suggests the closest one, or lists the versions.
        MultipleResultsFound: Several storages have this key; their ids are listed.
    """
    found = _file_or_none(text, version, in_trash)
    if found is None and version is not None and not in_trash and _named_file(text, None, in_trash) is not None:
        return file_version(text, version)
    if found is None:
        where = " in the trash" if in_trash else ""
        which = f" with version {version}" if version is not None else ""
        raise NoResultFound(f"there is no file {ascii_quoted(text)}{which}{where}: {_advice(text, in_trash)}")
    return found


def _file_or_none(text: str, version: int | None, in_trash: bool) -> File | None:
    found = _named_file(text, version, in_trash)
    if found is not None or (split := split_version(text)) is None or _named_file(split[0], None, in_trash) is None:
        return found
    if version is not None:
        raise InvalidInputError(f"{ascii_quoted(text)} names a version already: leave out the other one")
    return _named_file(*split, in_trash) if in_trash else file_version(*split)


def _named_file(text: str, version: int | None, in_trash: bool) -> File | None:
    """Return the file that text names as a whole."""
    from lamindb.models import File

    scope: Any = File.objects.get_queryset().filter(trashed_at__isnull=not in_trash)
    for key in _keys(text):
        of_key = scope.filter(key=key)
        if version is not None:
            of_key = of_key.filter(version=version)
        elif not in_trash:
            of_key = of_key.filter(is_latest=True)
        found = list(of_key.order_by("-trashed_at" if in_trash else "-version", "-id")[:20])
        if len({one.stem_id for one in found}) > 1 and not in_trash:
            listed = ", ".join(one.id for one in found)
            raise MultipleResultsFound(f"several files have the key {ascii_quoted(key)}: name one of the ids {listed}")
        if found:
            return found[0]  # type: ignore[no-any-return]
    if re.fullmatch(r"[0-9A-Za-z]{20}", text):
        by_id = scope.filter(id=text).first()
        if by_id is not None and version is not None:
            by_id = by_id.versions.filter(version=version, trashed_at__isnull=not in_trash).first()
        return by_id  # type: ignore[no-any-return]
    if re.fullmatch(r"[0-9A-Za-z]{16}", text):
        family = scope.filter(id__range=ids.version_range(text))
        if version is not None:
            family = family.filter(version=version)
        return family.order_by("-is_latest", "-version").first()  # type: ignore[no-any-return]
    return None


def file_or_trashed(text: str) -> File:
    """Return the file that an argument names, as `file` does, or the file in the trash with this id.

    Raises:
        InvalidInputError, NoResultFound, MultipleResultsFound: As for `file`.
    """
    from lamindb.models import File

    if (found := _file_or_none(text, None, in_trash=False)) is not None:
        return found
    trashed = File.objects.get_queryset().filter(id=text).first() if _can_be_stored(text) else None
    return trashed or file(text)


def file_of_history(text: str) -> File:
    """Return the file that an argument names, as `file` does, or else the newest one in the trash.

    Raises:
        InvalidInputError, NoResultFound, MultipleResultsFound: As for `file`.
    """
    found = _file_or_none(text, None, in_trash=False) or _file_or_none(text, None, in_trash=True)
    return found or file(text)


def file_version(text: str, version: int) -> File:
    """Return a version of a file.

    Raises:
        InvalidInputError: This version is in the trash.
        NoResultFound: There is no such file or version; the message lists the versions.
    """
    found = _named_file(text, version, in_trash=False)
    if found is not None:
        return found
    versions = file(text).versions
    numbers = [one.version for one in versions if not one.is_trashed]
    if version in [one.version for one in versions]:
        raise InvalidInputError(f"version {version} of {ascii_quoted(text)} is in the trash: restore it first")
    listed = ", ".join(map(str, numbers[-_LISTED:]))
    raise NoResultFound(f"{ascii_quoted(text)} has no version {version}: its versions are {listed}")


def _keys(text: str) -> list[str]:
    """Return the keys that an argument may mean: itself, or the part of a path below the storage root."""
    found = []
    for one in (text, _in_storage(text)):
        if one and _can_be_stored(one):
            try:
                found.append(check_key(one))
            except InvalidKeyError:
                # Files that stay in a bucket have other names, too, such as `a//b`.
                found.append(one)
    return list(dict.fromkeys(found))


def _in_storage(text: str) -> str | None:
    """Return the key of a path or URL below the storage root: "" for the root itself, None if outside."""
    from lamindb.core import context

    root = context.instance().root_url
    path = text.rstrip("/")
    if "://" in text:
        path = storage_url.canonical(text)
        roots = sorted((one for one, _ in context.instance().roots() if "://" in one), key=len, reverse=True)
        root = next((one for one in roots if f"{path}/".startswith(f"{one}/")), root)
    if "://" not in root:
        if "\0" in text or not text:
            return None
        head, tail = os.path.split(os.path.normpath(paths.working_folder() / (os.path.expanduser(path) or "/")))
        path = os.path.join(os.path.realpath(head), tail)
    if path == root:
        return ""
    return path[len(root) + 1 :] if path.startswith(f"{root}/") else None


def _advice(text: str, in_trash: bool) -> str:
    from lamindb.core import context
    from lamindb.models import File
    from lamindb.models.file_event import renamed_to

    if not _can_be_stored(text):
        return "it has characters that no name can have"
    if in_trash:
        return "see `lamin trash list`"
    if File.objects.get_queryset().filter(key__in=_keys(text), trashed_at__isnull=False).exists():
        return "it is in the trash; restore it by `lamin trash restore`"
    split = split_version(text)
    now = renamed_to(context.instance().alias, [*_keys(text), *(_keys(split[0]) if split is not None else ())])
    if now:
        return f"it was renamed to {ascii_quoted(now[0])}"
    if File.select().count() <= _SUGGEST_AMONG:
        near = File.search(text, field="key", top_hit=True)
        if near is not None:
            return f"did you mean {ascii_quoted(near.key)}?"
    return "see `lamin ls` and `lamin search`"


def under(prefix: str) -> Any:
    """Return a condition for a key and all keys below it.

    `prefix` is a key or a path into the storage folder; the storage folder itself selects everything.

    Raises:
        InvalidKeyError: No key can begin with it.
    """
    return _under(key_under(prefix))


def key_under(prefix: str) -> str:
    """Return the key that a key or a path into the storage folder means, "" for the storage folder itself.

    Raises:
        InvalidKeyError: No key can begin with it.
    """
    from lamindb.models import File

    key = prefix.rstrip("/")
    inside = _in_storage(prefix)
    if inside is None:
        return check_key(key)
    if key and key in _keys(key) and File.objects.get_queryset().filter(_under(check_key(key))).exists():
        return check_key(key)
    return check_key(inside) if inside else ""


def _under(key: str) -> Any:
    from django.db.models import Q

    # A range, which an index serves; "0" follows the slash.
    return Q(key=key) | Q(key__gte=f"{key}/", key__lt=f"{key}0") if key else Q()


def run(text: str) -> Run:
    """Return the run with an id, or with an id that begins with `text`.

    Raises:
        NoResultFound: There is none.
        MultipleResultsFound: Several ids begin with it.
    """
    from lamindb.models import Run

    if not re.fullmatch(r"[0-9A-Za-z]{1,20}", text):
        raise NoResultFound(f"there is no run {ascii_quoted(text)}: pass the id of one, `lamin runs` lists them")
    query = Run.objects.get_queryset()
    if len(text) < 20:
        if len(text) < _MIN_PREFIX:
            raise InvalidInputError(f"{text!r} is too short for a run's id: pass at least {_MIN_PREFIX} characters")
        query = query.filter(id__gte=text, id__lte=text + "z" * (20 - len(text)))
    else:
        query = query.filter(id=text)
    found = list(query.order_by("id")[:_LISTED])
    if not found:
        raise NoResultFound(f"there is no run {text!r}: `lamin runs` lists them")
    if len(found) > 1:
        listed = ", ".join(one.id for one in found)
        raise MultipleResultsFound(f"several runs have ids that begin with {text!r}: pass more characters of {listed}")
    return found[0]  # type: ignore[no-any-return]


def run_of(text: str) -> Run:
    """Return the run that an argument names: by its id, by the key of a file it made, or by a name (its last run).

    A name is that of a run, or the name, path or id of a notebook, script or pipeline, of all its versions.

    Raises:
        NoResultFound: There is none, or no run made the file.
        MultipleResultsFound: Several runs, files or transforms fit; the message lists them.
    """
    from lamindb.models import Run

    if re.fullmatch(rf"[0-9A-Za-z]{{{_MIN_PREFIX},20}}", text) and (by_id := _run_or_none(text)) is not None:
        return by_id
    made = _file_or_none(text, None, in_trash=False)
    if made is not None:
        if made.run is None:
            raise NoResultFound(f"no run made the file {ascii_quoted(text)}")
        return made.run
    named = _transforms_named(text)
    query: Any = Run.objects.get_queryset().order_by("-created_at", "-id")
    last = query.filter(transform__in=named).first() if named else None
    if last is None and _can_be_stored(text):
        last = query.filter(name=text).first()
    if last is None:
        if named:
            raise NoResultFound(f"{ascii_quoted(text)} has no run yet")
        raise NoResultFound(
            f"there is no run {ascii_quoted(text)}: pass a run's id, the key of a file it made, or a name; "
            "see `lamin runs`"
        )
    return last  # type: ignore[no-any-return]


def ascii_quoted(text: str) -> str:
    """Return an argument quoted for a message, with control characters escaped."""
    return repr(text) if text.isprintable() else ascii(text)
