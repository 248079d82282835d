"""An instance that is open in this process, with everything that is open for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from lamindb.core import ids, paths
from lamindb.core.keys import DATABASE_FILE
from lamindb.errors import InvalidInputError, LaminError

if TYPE_CHECKING:
    from lamindb.models import Storage
    from lamindb.storage.base import ObjectStore
    from lamindb.storage.hash_cache import HashCache
    from lamindb.storage.remote import RemoteStore
    from lamindb.storage.view import Mode, View

_ROOTS_SECONDS: Final = 5.0
_OUTAGE_SECONDS: Final = 30.0

_Part = TypeVar("_Part")


@dataclass(frozen=True, eq=False)
class Instance:
    """One database with its storages, open in this process.

    It owns what is open: stores, view, rows that are read once, and the parts that other rooms keep for it. All of it
    ends with `close()`.
    """

    id: str
    name: str
    alias: str
    """Name of the database connection; contains id and folder, so that a copied folder is another instance."""
    root_url: str
    """Root of its own storage: an absolute folder, or an address such as `s3://bucket/prefix`."""
    home_path: Path
    """The folder that holds `instance.toml`, and the SQLite file if there is one."""
    database_url: str | None = field(repr=False)
    """None for SQLite. May hold a password: never print it, see `database.shown_url`."""
    project_path: Path | None
    """The folder in which `init` or `connect` was run; references of notebooks are relative to it."""
    is_read_only: bool = False
    view_mode: str = "auto"
    storage_id: str = ""
    """The id of the record of its own storage."""
    is_away: bool = False
    """Whether its database could not be opened: it is described by its folder, and runs wait to be recorded."""

    def __post_init__(self) -> None:
        self.__dict__["_opened"] = _Opened()

    @property
    def is_local(self) -> bool:
        """Whether the own storage is a folder of this machine."""
        return "://" not in self.root_url

    @property
    def database_path(self) -> Path | None:
        """The SQLite file, or None where the database is a server."""
        return None if self.database_url else self.home_path / DATABASE_FILE

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return "postgresql" if self.database_url else "sqlite"

    @property
    def store(self) -> ObjectStore:
        """The store of its own storage, opened at first use."""
        return self.open_root(self.root_url)

    @property
    def hash_cache(self) -> HashCache:
        """The cache of hashes of unchanged files; one that remembers nothing where there is no folder for it."""
        return self._opened.once("hash_cache", _open_hash_cache)

    @property
    def view(self) -> View:
        """The view of its own folder; in a bucket, one that shows nothing."""
        return self._opened.once("view", self._open_view)

    def _open_view(self) -> View:
        from lamindb.storage.view import View

        return View(self.store, cast("Mode", "none" if self.is_read_only else self.view_mode))

    def open_root(self, root_url: str) -> ObjectStore:
        """Return the store of a storage root, opened at first use.

        Raises:
            UnsupportedError: Object stores need a package that is not installed.
        """
        return self._opened.once(f"store {root_url}", lambda: self._open_store(root_url))

    def _open_store(self, root_url: str) -> ObjectStore:
        from lamindb.storage.open_store import open_store

        cache = None
        if "://" in root_url:
            from lamindb.storage.cache import open_cache

            cache = open_cache(paths.cache_folder(), self.hash_cache)
        return open_store(root_url, read_only=self.is_read_only, cache=cache, hash_cache=self.hash_cache)

    def remote_root(self, root_url: str) -> RemoteStore:
        """Return the store of a bucket with files that stay where they are.

        Raises:
            InvalidInputError: The root is a folder.
        """
        store = self.open_root(root_url)
        if store.is_local:
            raise InvalidInputError(f"{root_url} is not a bucket")
        return cast("RemoteStore", store)

    def roots(self) -> list[tuple[str, str]]:
        """Return the roots of all its storages with the ids of their records, at most 5 s old."""
        found: tuple[float, list[tuple[str, str]]] | None = self._opened.values.get("roots")
        if found is None or time.monotonic() - found[0] > _ROOTS_SECONDS:
            from lamindb.models import Storage

            rows = [(self.root_of(row), row.id) for row in Storage.objects.using(self.alias)]
            found = self._opened.values["roots"] = (time.monotonic(), rows)
        return found[1]

    def forget_storages(self) -> None:
        """Read the records of storages again at their next use."""
        # Parts are kept under their class, all else under text.
        names = [name for name in self._opened.values if isinstance(name, str)]
        for name in [name for name in names if name == "roots" or name.startswith("storage ")]:
            self._opened.values.pop(name, None)

    def storage(self, storage_id: str) -> Storage:
        """Return the record of a storage, read once."""
        from lamindb.models import Storage

        found: Storage = self._opened.once(
            f"storage {storage_id}", lambda: Storage.objects.using(self.alias).get(id=storage_id)
        )
        return found

    def root_of(self, storage: Storage) -> str:
        """Return the root of a storage on this machine: an absolute folder or an address."""
        return self.root_url if storage.id == self.storage_id or storage.is_own else storage.location

    def is_own(self, storage_id: str) -> bool:
        """Return True for its own storage, whose bytes are objects."""
        return storage_id == self.storage_id

    def user_id(self) -> str:
        """Return the id of the record of the user who works here, making it if need be; follows a new login."""
        stamp = _user_stamp(self._opened.once("settings_folder", paths.settings_folder))
        found: tuple[object, str] | None = self._opened.values.get("user")
        if found is None or found[0] != stamp:
            found = self._opened.values["user"] = (stamp, ensure_user(self.alias))
        return found[1]

    def part(self, kind: type[_Part]) -> _Part:
        """Return what another room keeps for this instance: the one object of a class, made at first use.

        A part may have `close()`, called when the instance is closed; `before_fork()` and `after_fork_in_parent()`,
        called around a fork, the newest part first before it; and `after_fork()`, called in a forked child. One whose
        class says `goes_on = True` is handed over when the same instance is opened anew.
        """
        return self._opened.once(kind, kind)

    def parts(self) -> list[Any]:
        """Return all parts that were made."""
        return [value for name, value in self._opened.values.items() if isinstance(name, type)]

    @property
    def is_closed(self) -> bool:
        """Whether it was closed; what is opened after that is not kept."""
        return bool(self._opened.is_closed)

    @property
    def _opened(self) -> _Opened:
        return cast("_Opened", self.__dict__["_opened"])

    def close(self) -> None:
        """Release everything that is open for it, but for the database connection."""
        for part in self.parts():
            if hasattr(part, "close"):
                part.close()
        remembers = self._opened.values.get("hash_cache")
        if remembers is not None:
            remembers.close()
        self._opened.values.clear()
        self._opened.is_closed = True

    def hand_over(self) -> list[Any]:
        """Release the parts that go on when the same instance is opened anew, and return them."""
        kept = [part for part in self.parts() if getattr(part, "goes_on", False)]
        for part in kept:
            del self._opened.values[type(part)]
        return kept

    def take_over(self, parts: list[Any]) -> None:
        """Go on with parts that the same instance handed over before."""
        self._opened.values.update({type(part): part for part in parts})

    def before_fork(self) -> None:
        """Bring what works in the background to rest, the newest part first."""
        for part in reversed(self.parts()):
            if hasattr(part, "before_fork"):
                part.before_fork()

    def after_fork_in_parent(self) -> None:
        """Resume what works in the background."""
        for part in self.parts():
            if hasattr(part, "after_fork_in_parent"):
                part.after_fork_in_parent()

    def after_fork(self) -> None:
        """Give a forked child a lock of its own; the thread that held the parent's does not exist there."""
        self._opened.lock = threading.RLock()
        for part in self.parts():
            if hasattr(part, "after_fork"):
                part.after_fork()


class Outage:
    """Why the database of an instance failed, so that what is tracked soon after does not wait for it again."""

    goes_on = True

    def __init__(self) -> None:
        self._error: LaminError | None = None
        self._until = 0.0

    def close(self) -> None:
        """Forget it."""
        self.end()

    def note(self, error: LaminError) -> None:
        """Note that the database failed just now."""
        self._error, self._until = error, time.monotonic() + _OUTAGE_SECONDS

    def now(self) -> LaminError | None:
        """Return why it failed a moment ago, or None."""
        return self._error if time.monotonic() < self._until else None

    def end(self) -> bool:
        """Note that the database works; return True if it failed before."""
        had_failed, self._error, self._until = self._error is not None, None, 0.0
        return had_failed


class _Opened:
    """What is open for an instance, by name."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.values: dict[Any, Any] = {}
        self.is_closed = False

    def once(self, name: Any, make: Callable[[], _Part]) -> _Part:
        """Return what was made under a name, making it if it was not."""
        found: _Part | None = self.values.get(name)
        if found is None:
            with self.lock:
                found = self.values.get(name)
                if found is None:
                    found = make()
                    if not self.is_closed:
                        self.values[name] = found
        return found


def _open_hash_cache() -> HashCache:
    # Stores are imported where one is opened: a query has no use for them.
    from lamindb.storage.hash_cache import HashCache, NoHashCache

    folder = paths.cache_folder()
    return HashCache(folder) if folder is not None else NoHashCache()


def _user_stamp(folder: Path | None) -> object:
    override = os.environ.get("LAMIN_USER")
    if override:
        return override
    try:
        return folder, os.stat(f"{folder}/user.toml").st_mtime_ns
    except OSError:
        return folder


def ensure_user(alias: str) -> str:
    """Return the id of the record of the user who works here, making the record if the database lacks it."""
    from django.db import IntegrityError as DuplicateError
    from django.db import transaction

    from lamindb.instance import user
    from lamindb.models import User

    who = user.current()
    found = User.objects.using(alias).filter(handle=who.handle).values_list("id", flat=True).first()
    if found is not None:
        return str(found)
    try:
        with transaction.atomic(using=alias):
            row = User.from_fields(id=who.id, handle=who.handle, name=who.name, email=who.email)
            row.save_row(using=alias, force_insert=True)
    except DuplicateError:
        existing = User.objects.using(alias).filter(handle=who.handle).values_list("id", flat=True).first()
        if existing is not None:
            return str(existing)
        row = User.from_fields(id=ids.random_id(8), handle=who.handle, name=who.name, email=who.email)
        row.save_row(using=alias, force_insert=True)
    return row.id
