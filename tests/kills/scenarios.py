"""What is killed: programs that can be run again, each on an instance that `prepare` made.

`act` is the program. Run to its end it leads from one state to another; stopped anywhere, it must leave the first or
the second (or one of `between`), and running it again must lead to the second.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lamindb as ln
from lamindb import File

LARGE = (b"0123456789abcdef" * 65_536 + b"x") * 2
"""More than one buffer: it is written in several pieces."""


def nothing() -> None:
    return None


@dataclass(frozen=True)
class Scenario:
    """A program and what it starts from."""

    act: Callable[[], None]
    prepare: Callable[[], None] = nothing
    between: Callable[[], None] | None = None
    makes_instance: bool = False
    only_local: bool = False
    repairs: bool = False
    """It starts from damage, which the program repairs; what stood in the folder is moved beside it."""


def current(key: str) -> Any:
    return File.objects.filter(key=key, is_latest=True, trashed_at__isnull=True).first()


def write(path: str, data: bytes) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data)
    return path


def some_files() -> None:
    write("src/one.txt", b"one")
    write("src/two.csv", b"a,b\n1,2\n" * 40)
    ln.File("src/one.txt", key="deep/one.txt").save()
    ln.File("src/two.csv", key="two.csv").save()


def save() -> None:
    ln.File(write("src/new.txt", b"new bytes"), key="deep/er/new.txt").save()


def save_large() -> None:
    ln.File(write("src/large.bin", LARGE), key="large.bin").save()


def save_same() -> None:
    ln.File("src/one.txt", key="copy/of/one.txt").save()


def save_many() -> None:
    for number in range(12):
        write(f"src/many/{number}.txt", f"number {number}".encode() * 20)
    ln.save(ln.File.from_dir("src/many", key="many"))


def save_in_parts() -> None:
    """As above, where the bytes, the rows and the view take several rounds each."""
    from lamindb.db import database
    from lamindb.files import save as files_save

    vars(files_save)["BATCH"] = 5
    database.AT_ONCE = 4
    save_many()


def new_version() -> None:
    ln.File(write("src/other.csv", b"a,b\n3,4\n"), key="two.csv").save()


def replace() -> None:
    file = current("deep/one.txt") or current("deep/one.md")
    file.replace(write("src/one.md", b"# one")).save()


def save_folder() -> None:
    for name in ("a.txt", "b/c.txt", "b/d"):
        write(f"src/folder/{name}", name.encode() * 3)
    ln.File("src/folder", key="results/folder.x").save()


def new_folder_version() -> None:
    write("src/folder/b/d", b"other")
    write("src/folder/new", b"new")
    Path("src/folder/a.txt").unlink(missing_ok=True)
    ln.File("src/folder", key="results/folder.x").save()


def save_in_root() -> None:
    path = (
        write("mydata/here/own.txt", b"my own") if not Path("mydata/here/own.txt").exists() else "mydata/here/own.txt"
    )
    ln.File(path).save()


def rename() -> None:
    file = current("two.csv")
    if file is not None:
        file.key = "elsewhere/zwei.csv"
        file.save()


def versions() -> None:
    some_files()
    new_version()


def delete() -> None:
    for key in ("two.csv",):
        file = File.objects.filter(key=key, trashed_at__isnull=True, version=2).first()
        if file is not None:
            file.delete()


def delete_one() -> None:
    file = current("deep/one.txt")
    if file is not None:
        file.delete()


def restore() -> None:
    file = File.objects.filter(key="two.csv", trashed_at__isnull=False).first()
    if file is not None:
        file.restore()


def trashed() -> None:
    versions()
    delete()


def purge() -> None:
    file = File.objects.filter(key="two.csv", version=2).first()
    if file is not None:
        file.delete(permanent=True, storage=True)


def purge_folder() -> None:
    file = File.objects.filter(key="results/folder.x").first()
    if file is not None:
        file.delete(permanent=True)


def trash_folder() -> None:
    file = current("results/folder.x")
    if file is not None:
        file.delete()


def folder_kept() -> None:
    some_files()
    save_folder()


def swept() -> None:
    folder_kept()
    save_many()
    for file in list(File.objects.filter(key__startswith="many/")[:9]):
        file.delete(permanent=True)
    File.objects.get(key="results/folder.x").delete(permanent=True)
    trash = File.objects.filter(key__startswith="many/").first()
    trash.delete()


def sweep() -> None:
    from lamindb.maintenance import gc

    gc.sweep(dry_run=False, grace_seconds=0)


def track() -> None:
    transform = ln.Transform(name="killed", type="pipeline")
    with ln.track(transform):
        current("two.csv").stage(is_run_input=True)
        ln.File(write("src/made.txt", b"made"), key="made.txt").save()


def edited() -> None:
    """Somebody replaced a file of the view: whatever happens, that work stays."""
    some_files()
    if os.path.exists("mydata/two.csv"):
        os.unlink("mydata/two.csv")
        write("mydata/two.csv", b"edited by hand")


def save_edit() -> None:
    ln.File("mydata/two.csv").save()


def damaged() -> None:
    """Another program wrote into files of the folder, which are the stored objects; of one the object is gone, too."""
    folder_kept()
    for path in ("mydata/two.csv", "mydata/deep/one.txt", "mydata/results/folder.x/b/c.txt"):
        os.chmod(path, 0o644)
        write(path, b"other bytes")
    one = File.objects.get(key="deep/one.txt")
    os.unlink(f"mydata/.lamindb/objects/{one.digest[:2]}/{one.digest}.txt")


def repair() -> None:
    some_files()
    save_folder()


def relink() -> None:
    from lamindb.files import view_relink

    view_relink.relink()


def copied() -> None:
    some_files()
    for path in ("mydata/two.csv", "mydata/deep/one.txt"):
        data = Path(path).read_bytes()
        os.unlink(path)
        write(path, data)


def move() -> None:
    """Move to another folder; from the new place there is nothing left to do."""
    from lamindb.core import context as instances
    from lamindb.setup import move as setup_move

    if os.path.basename(instances.instance().root_url) != "moved":
        setup_move.migrate_to(storage="./moved")


def init() -> None:
    ln.setup.init(storage=os.environ["KILLS_STORAGE"], db=os.environ.get("KILLS_DB") or None)


SCENARIOS = {
    "save": Scenario(save, some_files),
    "save_large": Scenario(save_large),
    "save_same": Scenario(save_same, some_files),
    "save_many": Scenario(save_many, some_files),
    "save_in_parts": Scenario(save_in_parts, some_files),
    "new_version": Scenario(new_version, some_files),
    "replace": Scenario(replace, some_files),
    "save_folder": Scenario(save_folder, some_files),
    "new_folder_version": Scenario(new_folder_version, folder_kept),
    "save_in_root": Scenario(save_in_root, some_files, only_local=True),
    "save_edit": Scenario(save_edit, edited, only_local=True),
    "rename": Scenario(rename, versions),
    "delete": Scenario(delete, versions),
    "delete_one": Scenario(delete_one, some_files),
    "restore": Scenario(restore, trashed),
    "purge": Scenario(purge, versions, delete),
    "purge_folder": Scenario(purge_folder, folder_kept, trash_folder),
    "sweep": Scenario(sweep, swept),
    "repair": Scenario(repair, damaged, only_local=True, repairs=True),
    "relink": Scenario(relink, copied, only_local=True),
    "move": Scenario(move, folder_kept, only_local=True),
    "init": Scenario(init, makes_instance=True),
}

SPARSE = {"move": 24}
"""Scenarios of hundreds of like steps, with the number of steps of which one is tried where time is short."""
