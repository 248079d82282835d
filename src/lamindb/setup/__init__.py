"""Instances and people, from Python: the twins of `lamin init`, `connect`, `close`, `delete` and `login`."""

from __future__ import annotations

from typing import Any

from lamindb.db.database import setup as _set_up

_set_up()

from lamindb.core import context as _current  # noqa: E402
from lamindb.instance import user as _people  # noqa: E402
from lamindb.instance.user import Person, login, logout  # noqa: E402
from lamindb.setup.backup_restore import backup, delete, restore  # noqa: E402
from lamindb.setup.lifecycle import InstanceInfo, close, connect, info, init, listed  # noqa: E402

load = connect
"""The older name of `connect`."""

__all__ = [
    "InstanceInfo",
    "Person",
    "backup",
    "close",
    "connect",
    "delete",
    "info",
    "init",
    "listed",
    "load",
    "login",
    "logout",
    "restore",
    "settings",
]


class StorageSettings:
    """The storage of the connected instance."""

    @property
    def root(self) -> Any:
        """The root: a `Path`, or a `UPath` on an object store."""
        from lamindb.records import stores

        return stores.own_store().upath_of_key("")

    @property
    def root_as_str(self) -> str:
        """The root as text."""
        return _current.instance().root_url

    @property
    def type(self) -> str:
        """`local`, or the kind of object store, such as `s3`."""
        root = _current.instance().root_url
        return root.split("://", 1)[0] if "://" in root else "local"

    @property
    def is_cloud(self) -> bool:
        """Whether it is an object store."""
        return not _current.instance().is_local

    @property
    def id(self) -> str:
        """The id of its record."""
        return _current.instance().storage_id

    def key_to_filepath(self, key: str) -> Any:
        """Return where a key stands under the root."""
        from lamindb.core.keys import check_key

        return self.root / check_key(key)

    def __repr__(self) -> str:
        return f"Storage(root={self.root_as_str!r}, type={self.type!r})"


class SetupSettings:
    """Who works here, and with what: `ln.setup.settings`."""

    @property
    def user(self) -> Person:
        """Who works here."""
        return _people.current()

    @property
    def instance(self) -> Any:
        """The connected instance."""
        return _current.instance()

    @property
    def storage(self) -> StorageSettings:
        """Its storage."""
        return StorageSettings()

    def __repr__(self) -> str:
        return f"Settings(user={self.user.handle!r}, instance={getattr(_current.instance_or_none(), 'name', None)!r})"


settings = SetupSettings()
