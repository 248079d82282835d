"""Which instance belongs to which folder, on this machine and for this user.

An instance folder describes itself, and is found without the registry too. A database on a server is opened only at the
address that is registered for the folder. The file may hold passwords, so only its owner can read it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lamindb.core import database_url, documents, filesystem, messages, paths
from lamindb.errors import LaminError
from lamindb.instance import config as folders

if TYPE_CHECKING:
    from lamindb.records.open_instance import Instance


class Entry(NamedTuple):
    """An instance that was made or connected here."""

    home: str
    """The folder that holds `instance.toml`."""
    id: str
    name: str
    root_url: str
    database_url: str | None
    """With its password, if it has one."""
    project: str
    """The folder in which `init` or `connect` was run; its instance is found from there."""

    def __repr__(self) -> str:
        """Leave out what may have a password."""
        return f"Entry(home={self.home!r}, id={self.id!r}, name={self.name!r}, project={self.project!r})"

    @property
    def exists(self) -> bool:
        """Whether its folder is still there."""
        return (Path(self.home) / folders.FILE_NAME).is_file()


class Server(NamedTuple):
    """The database server of an instance folder, as the user named it by `init` or `connect`."""

    home: str
    """The folder that holds `instance.toml`."""
    id: str
    url: str
    """With its password, if it has one."""
    stated: str
    """The address that `instance.toml` had then."""

    def __repr__(self) -> str:
        """Leave out what may have a password."""
        return f"Server(home={self.home!r}, id={self.id!r}, stated={self.stated!r})"


def entries() -> list[Entry]:
    """Return everything that is registered, sorted by project.

    A damaged registry counts as an empty one, a damaged entry as none.
    """
    return sorted(_read()[0], key=lambda entry: entry.project)


def _read() -> tuple[list[Entry], list[Server]]:
    folder = paths.settings_folder()
    if folder is None:
        return [], []
    try:
        raw: Any = documents.parse_json((folder / "registry.json").read_text(encoding="utf-8"))
        found = [_entry(values) for values in raw["entries"]]
        servers = [_server(values) for values in raw.get("servers", [])]
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except (OSError, ValueError, TypeError, KeyError) as error:
        messages.warning(f"the registry {folder / 'registry.json'} cannot be read and is ignored: {error}")
        return [], []
    if None in found or None in servers:
        messages.warning(f"the registry {folder / 'registry.json'} has damaged entries, which are ignored")
    return [entry for entry in found if entry is not None], [server for server in servers if server is not None]


def _entry(values: Any) -> Entry | None:
    """Read an entry; what a newer version added is left out."""
    try:
        entry = Entry(**{name: values[name] for name in Entry._fields})
    except (KeyError, TypeError):
        return None
    texts = [value for name, value in entry._asdict().items() if name != "database_url" or value is not None]
    return entry if all(isinstance(text, str) for text in texts) else None


def _server(values: Any) -> Server | None:
    try:
        server = Server(**{name: values[name] for name in Server._fields})
    except (KeyError, TypeError):
        return None
    return server if all(isinstance(text, str) for text in server) else None


def remember(entry: Entry, stated: str | None = None) -> None:
    """Register an instance as the one of its project folder; log if the registry cannot be written.

    Args:
        entry: The instance and the folder.
        stated: The database's address in `instance.toml`; it is opened at the entry's address while that says so.
    """

    def change(known: list[Entry], servers: list[Server]) -> tuple[list[Entry], list[Server]]:
        if entry.database_url is not None and stated is not None:
            new = Server(entry.home, entry.id, entry.database_url, stated)
            servers = [*(one for one in servers if (one.home, one.stated) != (entry.home, stated)), new]
        return [*(one for one in known if one.project != entry.project), entry], servers

    _rewrite(change)


def register(instance: Instance, project: str) -> None:
    """Register a connected instance as the one of a project folder, as `remember` does."""
    remember(
        Entry(
            home=str(instance.home_path),
            id=instance.id,
            name=instance.name,
            root_url=instance.root_url,
            database_url=instance.database_url,
            project=project,
        ),
        folders.read(instance.home_path).database if instance.database_url is not None else None,
    )


def forget(*, project: str | None = None, home: str | None = None) -> None:
    """Remove the entry of a project folder, or the entries of an instance and the address of its server."""
    _rewrite(
        lambda known, servers: (
            [one for one in known if one.project != project and one.home != home],
            [one for one in servers if one.home != home],
        )
    )


def for_project(folder: Path) -> Entry | None:
    """Return the entry of a folder, if its instance is still there."""
    entry = by_project().get(str(folder))
    return entry if entry is not None and entry.exists else None


def by_project() -> dict[str, Entry]:
    """Return all entries by their project folders, also of instances that are gone."""
    return {entry.project: entry for entry in entries()}


def database_url_of(home: Path) -> str | None:
    """Return the database address that the user gave for an instance folder, with its password; None if there is none.

    It counts for this folder only, and only while its `instance.toml` has the id and address that it had then. So
    another person who can write the folder cannot have the password sent to another server.
    """
    known, servers = _read()
    candidates = [one for one in servers if one.home == str(home)]
    # Registries of older versions have entries only.
    candidates += [
        Server(one.home, one.id, one.database_url, database_url.shown(one.database_url))
        for one in known
        if one.home == str(home) and one.database_url is not None
    ]
    if not candidates:
        return None
    try:
        there = folders.read(home)
    except LaminError:
        return None
    return next((one.url for one in candidates if (one.id, one.stated) == (there.id, there.database)), None)


def homes_on(url: str) -> list[Path]:
    """Return the registered instance folders whose records are in a database, for every user."""
    known, servers = _read()
    urls = {one.home: one.url for one in servers} | {one.home: one.database_url for one in known if one.database_url}
    return [Path(home) for home, one in urls.items() if database_url.is_same(one, url)]


def _rewrite(change: Callable[[list[Entry], list[Server]], tuple[list[Entry], list[Server]]]) -> None:
    folder = paths.settings_folder()
    if folder is None:
        messages.debug("no settings folder: the instance is found by its own folder only")
        return
    try:
        paths.make_private_folder(folder)
        with paths.settings_lock(folder):
            entries, servers = change(*_read())
            values = {"entries": [one._asdict() for one in entries], "servers": [one._asdict() for one in servers]}
            text = json.dumps(values, indent=1, ensure_ascii=False)
            filesystem.write_text(folder / "registry.json", text + "\n", mode=0o600)
    except OSError as error:
        messages.debug(f"cannot write the registry in {folder}: {error}")
