"""The mark at the root of a bucket that says whose it is, as `instance.toml` does in a folder; it holds no secret."""

from __future__ import annotations

import contextlib
import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lamindb.core import messages
from lamindb.errors import InvalidInputError

if TYPE_CHECKING:
    from lamindb.storage.remote import RemoteStore

PATH: Final = ".lamindb/instance.toml"
"""Where the mark lies below the root."""

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a bucket, or a prefix of it, is.

    Attributes:
        id: The instance's id.
        name: What it was called when it took the place.
    """

    id: str
    name: str


def read(store: RemoteStore) -> Mark | None:
    """Return whose a root is, None if nobody has marked it.

    Raises:
        InvalidInputError: The mark is damaged.
        StorageError: The bucket cannot be read.
    """
    import obstore

    with store.failing(f"read '{store.root_url}/{PATH}'"):
        try:
            data = bytes(obstore.get(store.backend, PATH).bytes())
        except FileNotFoundError:
            return None
    try:
        values: dict[str, Any] = tomllib.loads(data.decode())
        mark = Mark(values["id"], values["name"])
    except (ValueError, KeyError) as error:
        raise InvalidInputError(f"'{store.root_url}/{PATH}' is damaged, so that nobody knows whose it is") from error
    return mark


def create(store: RemoteStore, mark: Mark) -> bool:
    """Mark a root in one step; of several at once, one succeeds.

    A server that knows no such step gets the mark by a plain write, and is asked whose it is afterwards: two that come
    in the same moment may both succeed there, and the user is told so.

    Returns:
        False if there is a mark already, whosever it is.

    Raises:
        StorageError: The bucket cannot be written.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    store.check_writable()
    lines = [
        "# What lies below .lamindb/ belongs to this instance of lamindb, and only it may remove anything here.",
        f"format = {_FORMAT}",
        f"id = {json.dumps(mark.id)}",
        f"name = {json.dumps(mark.name, ensure_ascii=False)}",
    ]
    text = "\n".join(lines) + "\n"
    with store.failing(f"write to '{store.root_url}'", writing=True):
        try:
            if store.create(PATH, text.encode()) is not None:
                return True
        except (AlreadyExistsError, PreconditionError):
            return False
    if read(store) is not None:
        return False
    with store.failing(f"write to '{store.root_url}'", writing=True):
        obstore.put(store.backend, PATH, text.encode())
    messages.warning(
        f"the server of {store.root_url} cannot keep two instances from taking it in the same moment: "
        "make them there one after another"
    )
    return read(store) == mark


def remove(store: RemoteStore) -> None:
    """Take the mark away; without one, do nothing.

    Raises:
        StorageError: The bucket cannot be written.
    """
    import obstore

    store.check_writable()
    with store.failing(f"write to '{store.root_url}'", writing=True), contextlib.suppress(FileNotFoundError):
        obstore.delete(store.backend, PATH)
