"""Which instance belongs to which folder, on this machine and for this user.

A convenience: an instance folder describes itself, and is found without the registry, too. The file may hold database
passwords, so that only its owner can read it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamindb.core import documents, filesystem, messages, paths
from lamindb.errors import LaminError
from lamindb.instance import config as folders

if TYPE_CHECKING:
    from lamindb.records.open_instance import Instance


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance that was made or connected here."""

    home: str
    """The folder that holds `instance.toml`."""
    id: str
    name: str
    root_url: str
    database_url: str | None = field(repr=False)
    """With its password, if it has one."""
    project: str
    """The folder in which `init` or `connect` was run; its instance is found from there."""

    @property
    def exists(self) -> bool:
        """Whether its folder is still there."""
        return (Path(self.home) / folders.FILE_NAME).is_file()

    @property
    def own_database_url(self) -> str | None:
        """The database's address, unless the folder holds another instance by now."""
        if self.database_url is None:
            return None
        try:
            return self.database_url if folders.read(Path(self.home)).id == self.id else None
        except LaminError:
            return None


def entries() -> list[Entry]:
    """Return everything that is registered, sorted by project.

    A damaged registry counts as an empty one, a damaged entry as none.
    """
    folder = paths.settings_folder()
    if folder is None:
        return []
    try:
        raw: Any = documents.parse_json((folder / "registry.json").read_text(encoding="utf-8"))
        found = [_entry(values) for values in raw["entries"]]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        messages.warning(f"the registry {folder / 'registry.json'} cannot be read and is ignored: {error}")
        return []
    known = [entry for entry in found if entry is not None]
    if len(known) < len(found):
        messages.warning(f"the registry {folder / 'registry.json'} has damaged entries, which are ignored")
    return sorted(known, key=lambda entry: entry.project)


def _entry(values: Any) -> Entry | None:
    """Read an entry; what a newer version added is left out."""
    try:
        entry = Entry(**{one.name: values[one.name] for one in fields(Entry)})
    except (KeyError, TypeError):
        return None
    texts = [value for name, value in asdict(entry).items() if name != "database_url" or value is not None]
    return entry if all(isinstance(text, str) for text in texts) else None


def remember(entry: Entry) -> None:
    """Register an instance for its project folder; a registry that cannot be written is left as it is."""
    _rewrite(lambda known: [*(e for e in known if e.project != entry.project), entry])


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
        )
    )


def forget(*, project: str | None = None, home: str | None = None) -> None:
    """Remove the entries of a project folder, or of an instance."""
    _rewrite(lambda known: [e for e in known if e.project != project and e.home != home])


def for_project(folder: Path) -> Entry | None:
    """Return the entry of a folder, if its instance is still there."""
    entry = by_project().get(str(folder))
    return entry if entry is not None and entry.exists else None


def by_project() -> dict[str, Entry]:
    """Return all entries by their project folders, also of instances that are gone."""
    return {entry.project: entry for entry in entries()}


def database_url_of(home: Path) -> str | None:
    """Return the registered database address of an instance, with its password."""
    for entry in entries():
        if entry.home == str(home) and entry.own_database_url:
            return entry.database_url
    return None


def _rewrite(change: Any) -> None:
    folder = paths.settings_folder()
    if folder is None:
        messages.debug("no settings folder: the instance is found by its own folder only")
        return
    try:
        paths.make_private_folder(folder)
        with paths.settings_lock(folder):
            new = change(entries())
            text = json.dumps({"entries": [asdict(entry) for entry in new]}, indent=1, ensure_ascii=False)
            filesystem.write_text(folder / "registry.json", text + "\n", mode=0o600)
    except OSError as error:
        messages.debug(f"cannot write the registry in {folder}: {error}")
