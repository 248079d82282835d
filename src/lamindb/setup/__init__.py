"""Instances and users, from Python: the same as `lamin init`, `connect`, `disconnect`, `delete` and `login`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lamindb.core import context as _context

_HOMES = {
    "InstanceInfo": "lamindb.setup.instance_info",
    "Person": "lamindb.instance.user",
    "backup": "lamindb.setup.backup_restore",
    "close": "lamindb.setup.lifecycle",
    "connect": "lamindb.setup.lifecycle",
    "delete": "lamindb.setup.backup_restore",
    "disconnect": "lamindb.setup.lifecycle",
    "info": "lamindb.setup.instance_info",
    "init": "lamindb.setup.lifecycle",
    "listed": "lamindb.setup.instance_info",
    "login": "lamindb.instance.user",
    "logout": "lamindb.instance.user",
    "restore": "lamindb.setup.backup_restore",
}

if TYPE_CHECKING:
    from lamindb.core.settings import StorageSettings
    from lamindb.instance.user import Person as Person
    from lamindb.instance.user import login as login
    from lamindb.instance.user import logout as logout
    from lamindb.setup.backup_restore import backup as backup
    from lamindb.setup.backup_restore import delete as delete
    from lamindb.setup.backup_restore import restore as restore
    from lamindb.setup.instance_info import InstanceInfo as InstanceInfo
    from lamindb.setup.instance_info import info as info
    from lamindb.setup.instance_info import listed as listed
    from lamindb.setup.lifecycle import close as close
    from lamindb.setup.lifecycle import connect as connect
    from lamindb.setup.lifecycle import disconnect as disconnect
    from lamindb.setup.lifecycle import init as init

    load = connect

__all__ = [
    "InstanceInfo",
    "Person",
    "backup",
    "close",
    "connect",
    "delete",
    "disconnect",
    "info",
    "init",
    "listed",
    "load",
    "login",
    "logout",
    "restore",
    "settings",
]


def __getattr__(name: str) -> Any:
    """Load a function when it is first used; `load` and `close` are older names of `connect` and `disconnect`.

    Raises:
        AttributeError: There is no such function.
    """
    known = "connect" if name == "load" else name
    if known not in _HOMES:
        raise AttributeError(f"lamindb.setup has no {name!r}: it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[known]), known)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)


class SetupSettings:
    """The user and the instance: `ln.setup.settings`."""

    @property
    def user(self) -> Person:
        """The user."""
        from lamindb.instance import user

        return user.current()

    @property
    def instance(self) -> Any:
        """The connected instance."""
        return _context.instance()

    @property
    def storage(self) -> StorageSettings:
        """Its storage."""
        from lamindb.core.settings import StorageSettings

        return StorageSettings()

    def __repr__(self) -> str:
        return f"Settings(user={self.user.handle!r}, instance={getattr(_context.instance_or_none(), 'name', None)!r})"


settings = SetupSettings()
