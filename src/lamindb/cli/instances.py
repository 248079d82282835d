"""Commands for instances and users: those of `ln.setup`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from lamindb.cli.completion import instance_names
from lamindb.cli.output import out, out_json, table
from lamindb.cli.params import command, json_option
from lamindb.core import messages
from lamindb.errors import LaminError


@command("init", "lamin init --storage ./mydata", "lamin init --storage s3://bucket/study --db postgresql://host/study")
@click.option("--storage", required=True, help="A folder, or a URL such as s3://bucket/prefix.")
@click.option("--name", help="Its name; the last part of the storage by default.")
@click.option("--db", help="postgresql://user:password@host/name; without it, records are stored in SQLite.")
@click.option(
    "--view",
    type=click.Choice(["auto", "copy", "none"]),
    default="auto",
    show_default=True,
    help="How files appear under their keys in the folder.",
)
def init(storage: str, name: str | None, db: str | None, view: str) -> None:
    """Create an instance and connect this folder to it; connect only, if it exists already.

    The storage holds the files and, without --db, the records about them.
    """
    from lamindb.setup import lifecycle

    instance = lifecycle.init(storage=storage, name=name, db=db, view=view)
    messages.info(f"connected the instance {instance.name!r}")


@command("info", "lamin info", "lamin info --json")
@json_option
def info(as_json: bool) -> None:
    """Show the connected instance and its user.

    JSON keys: name, id, storage, database, project, view, is_read_only, user.
    """
    from lamindb.setup import instance_info

    try:
        found = instance_info.info()
    except LaminError:
        _tell_unrecorded(instance_info.id_here())
        raise
    if as_json:
        out_json(asdict(found))
    else:
        out(str(found))
    _tell_unrecorded(found.id)


def _tell_unrecorded(instance_id: str | None) -> None:
    """Print which runs wait to be recorded, and which never can be."""
    from lamindb.runs import journal

    if instance_id is None:
        return
    left, never = journal.waiting(instance_id), journal.set_apart(instance_id)
    if left:
        messages.warning(f"runs that wait to be recorded: {len(left)}, in {left[0].parent}")
    if never:
        messages.warning(f"runs that can never be recorded: {len(never)}, with the reasons in {never[0].parent}")


def _connect(identifier: str | None, storage: str | None) -> None:
    from lamindb.setup import lifecycle

    instance = lifecycle.connect(identifier, storage=storage)
    messages.success(f"connected the instance {instance.name!r} in {instance.root_url}")


@command("connect", "lamin connect ./mydata", "lamin connect mydata", "lamin connect postgresql://ada@host/lab")
@click.argument("identifier", required=False, metavar="[PATH|NAME|DATABASE]", shell_complete=instance_names)
@click.option("--storage", help="With DATABASE: the storage folder or URL, if it is not found.")
def connect(identifier: str | None, storage: str | None) -> None:
    """Connect this folder to an existing instance.

    PATH is its storage folder, or a project folder that contains one; NAME is one that `lamin list` shows; DATABASE
    is postgresql://user:password@host/name. Without any, the instance is searched for in this folder and its parents.
    """
    _connect(identifier, storage)


@command("load", "lamin load mydata")
@click.argument("identifier", metavar="PATH|NAME", required=False, shell_complete=instance_names)
@click.option("--storage", help="The folder's new location, if it was moved.")
def load(identifier: str | None, storage: str | None) -> None:
    """Connect this folder to an existing instance; older name of `lamin connect`."""
    _connect(identifier, storage)


def _disconnect() -> None:
    from lamindb.setup import lifecycle

    name = lifecycle.disconnect()
    if name is None:
        messages.info("no instance is connected here")
    else:
        messages.success(f"disconnected the instance {name!r}")


@command("disconnect", "lamin disconnect")
def disconnect() -> None:
    """Disconnect this folder from its instance. Nothing is deleted."""
    _disconnect()


@command("close", "lamin close")
def close() -> None:
    """Disconnect this folder from its instance; older name of `lamin disconnect`."""
    _disconnect()


@command("list", "lamin list", "lamin list --json")
@json_option
def list_instances(as_json: bool) -> None:
    """List the instances that you have registered on this machine.

    JSON keys: name, id, storage, project, exists.
    """
    from lamindb.setup import instance_info

    found = instance_info.listed()
    if as_json:
        out_json(found)
        return
    if not found:
        messages.info("no instance is registered: create one by `lamin init --storage ./mydata`")
        return
    rows = [(one["name"], one["storage"], one["project"], "" if one["exists"] else "gone") for one in found]
    for line in table(("name", "storage", "project", "state"), rows):
        out(line)


@command("delete", "lamin delete mydata", "lamin delete ./mydata")
@click.argument("identifier", metavar="NAME|PATH", shell_complete=instance_names)
@click.option("--drop-tables", is_flag=True, help="On PostgreSQL, drop the tables too, after a dump.")
def delete(identifier: str, drop_tables: bool) -> None:
    """Delete an instance's records and registration, but no stored file.

    A backup is kept: `lamin restore NAME` brings everything back. An unknown name is no error.
    """
    from lamindb.setup import backup_restore

    backup_restore.delete(identifier, drop_tables=drop_tables)


@command("restore", "lamin restore mydata")
@click.argument("name")
def restore(name: str) -> None:
    """Restore a deleted instance from its newest backup, where it was, and connect to it.

    NAME is its name or id, its storage folder, or the folder of a backup.
    """
    from lamindb.setup import backup_restore

    backup_restore.restore(name)


@command("backup", "lamin backup", "lamin backup records.sqlite3")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@json_option
def backup(path: Path | None, as_json: bool) -> None:
    """Write a consistent copy of the records and print its path. Other processes may go on writing.

    PATH is a new file; without it, the copy goes to your data folder, where `lamin restore` finds it.

    JSON keys: path.
    """
    from lamindb.setup import backup_restore

    made = backup_restore.backup(path)
    if as_json:
        out_json({"path": str(made)})
    else:
        out(str(made))


@command("login", "lamin login ada", "lamin login ada --name 'Ada Lovelace' --email ada@example.com")
@click.argument("handle")
@click.option("--name", help="Your full name; derived from the handle by default.")
@click.option("--email", help="Your email address.")
@click.option("--password", hidden=True, help="Accepted for compatibility, and ignored.")
def login(handle: str, name: str | None, email: str | None, password: str | None) -> None:
    """Set who you are: the user of everything you save from now on. Needs no account and no network.

    HANDLE is a short name, or an email address.
    """
    from lamindb.instance import user

    del password
    person = user.login(handle, name=name, email=email)
    messages.success(f"logged in {person.handle!r} ({person.name})")


@command("logout", "lamin logout")
def logout() -> None:
    """Undo `lamin login`: you are the operating system's user again."""
    from lamindb.instance import user

    user.logout()
    messages.success(f"logged out: you are {user.current().handle!r} now")
