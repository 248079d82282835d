"""A bucket is one instance's: no other one is made there, and no other one removes anything from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import ConflictError, InvalidInputError, LaminError, StorageError
from lamindb.maintenance import gc, verify
from lamindb.models import Storage
from lamindb.setup import backup_restore, lifecycle, move
from lamindb.storage import ownership
from lamindb.storage.ownership import Owner
from lamindb.storage.remote import RemoteStore
from tests.storage.conftest import seaweed_root as seaweed_root
from tests.storage.conftest import seaweed_server as seaweed_server

Person = Callable[[str], None]


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Return what makes the test continue as another user, with their own settings, data and working folder."""

    def become(name: str) -> None:
        for known in context.all_connected():
            lifecycle.close_connections(known)
        context.set_instance(None)
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        for kind in ("SETTINGS", "DATA", "CACHE"):
            monkeypatch.setenv(f"LAMIN_{kind}_DIR", str(folder / kind.lower()))

    return become


def mark_of(root: str) -> Owner | None:
    return ownership.read(RemoteStore(root))


def put(root: str, path: str, data: bytes) -> None:
    import obstore

    obstore.put(RemoteStore(root).backend, path, data)


def home() -> Path:
    return context.instance().home_path


def unmark(root: str) -> None:
    """Make the bucket of the current instance one that was made before there were marks."""
    ownership.remove(RemoteStore(root))
    (home() / "marked").unlink()


def test_a_bucket_says_whose_it_is_and_no_secret(seaweed_root: str, database: str | None, person: Person) -> None:
    import obstore

    person("ada")
    made = ln.setup.init(storage=seaweed_root, name="one", db=database)
    assert mark_of(seaweed_root) == Owner(made.id, "one")
    text = bytes(obstore.get(RemoteStore(seaweed_root).backend, ownership.PATH).bytes()).decode()
    assert "postgresql" not in text and "secret" not in text
    again = ln.setup.init(storage=seaweed_root, name="one", db=database)
    assert again.id == made.id
    ln.File(b"kept", key="a.txt").save()
    assert [len(list(RemoteStore(seaweed_root).list())), gc.sweep(dry_run=False).objects] == [1, ()]
    assert verify.verify().is_clean


def test_another_instance_is_not_made_in_the_same_place(seaweed_root: str, person: Person) -> None:
    person("ada")
    made = ln.setup.init(storage=seaweed_root, name="one")
    file = ln.File(b"kept", key="a.txt").save()
    person("bob")
    with pytest.raises(ConflictError, match=rf"belongs to another instance, 'one' \(id {made.id}\): choose another"):
        ln.setup.init(storage=seaweed_root, name="two")
    assert not list(Path("data").rglob("*.toml")) and not list(Path("data").rglob("*.sqlite3"))
    person("ada")
    ln.connect(seaweed_root)
    assert ln.File.select(id=file.id).one().stage().read_bytes() == b"kept"


def test_another_database_is_not_used_in_the_same_place(
    seaweed_root: str, person: Person, postgres_url: str, migrated_postgres_url: str
) -> None:
    person("ada")
    ln.setup.init(storage=seaweed_root, name="one")
    person("bob")
    for url in (postgres_url, migrated_postgres_url):
        with pytest.raises(ConflictError, match="belongs to another instance"):
            ln.setup.init(storage=seaweed_root, db=url)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    assert Storage.objects.count() == 1
    with pytest.raises(ConflictError, match="belongs to another instance"):
        ln.setup.init(storage=seaweed_root, db=migrated_postgres_url)
    assert Storage.objects.count() == 1


def test_two_machines_share_a_bucket_by_one_database(
    seaweed_root: str, person: Person, migrated_postgres_url: str
) -> None:
    person("ada")
    made = ln.setup.init(storage=seaweed_root, db=migrated_postgres_url)
    file = ln.File(b"kept", key="a.txt").save()
    person("bob")
    assert ln.setup.init(storage=seaweed_root, db=migrated_postgres_url).id == made.id
    assert ln.File.select().one().stage().read_bytes() == b"kept"
    assert gc.sweep(dry_run=False, grace_seconds=0).objects == ()
    backup_restore.delete(context.instance().name)
    assert mark_of(seaweed_root) is not None
    person("ada")
    ln.connect(seaweed_root)
    assert ln.File.select(id=file.id).one().stage().read_bytes() == b"kept"


def test_of_two_at_once_one_takes_the_place(seaweed_root: str) -> None:
    lost: list[LaminError] = []
    starting = threading.Barrier(8)

    def take(number: int) -> None:
        starting.wait()
        try:
            ownership.claim(seaweed_root, Owner(f"id{number}", f"name{number}"))
        except LaminError as error:
            lost.append(error)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = mark_of(seaweed_root)
    assert winner is not None
    assert len(lost) == 7 and all(winner.id in str(error) and isinstance(error, ConflictError) for error in lost)


def test_who_comes_second_while_making_leaves_nothing(
    seaweed_root: str, person: Person, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person("ada")
    ownership.create(RemoteStore(seaweed_root), Owner("first", "who was first"))
    with monkeypatch.context() as blind:
        blind.setattr(ownership, "owner", lambda root_url: None)
        with pytest.raises(ConflictError, match="who was first"):
            ln.setup.init(storage=seaweed_root, db=migrated_postgres_url)
    person("bob")
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    assert [storage.location for storage in Storage.objects.all()] == [str(Path("mydata").resolve())]


def test_one_made_before_is_marked_when_it_is_connected(seaweed_root: str, person: Person) -> None:
    person("ada")
    made = ln.setup.init(storage=seaweed_root, name="one")
    unmark(seaweed_root)
    ln.connect(seaweed_root)
    assert mark_of(seaweed_root) == Owner(made.id, "one")


def test_one_made_before_is_marked_before_anything_is_removed(seaweed_root: str, person: Person) -> None:
    person("ada")
    made = ln.setup.init(storage=seaweed_root, name="one")
    ln.File(b"gone", key="a.txt").save().delete(permanent=True)
    unmark(seaweed_root)
    assert len(gc.sweep(dry_run=True, grace_seconds=0).objects) == 1
    assert mark_of(seaweed_root) is None
    assert len(gc.sweep(dry_run=False, grace_seconds=0).objects) == 1
    assert mark_of(seaweed_root) == Owner(made.id, "one")


def test_who_lost_the_place_removes_nothing(
    seaweed_root: str, database: str | None, person: Person, capfd: pytest.CaptureFixture[str]
) -> None:
    person("ada")
    ln.setup.init(storage=seaweed_root, name="one", db=database)
    file = ln.File(b"mine", key="a.txt").save()
    ln.File(b"gone", key="b.txt").save().delete(permanent=True)
    unmark(seaweed_root)
    person("bob")
    ln.setup.init(storage=seaweed_root, name="two")
    assert "holds stored bytes of an instance that is gone" in capfd.readouterr().err
    person("ada")
    ln.connect(seaweed_root)
    assert "belongs to another instance, 'two'" in capfd.readouterr().err
    for dry_run in (True, False):
        with pytest.raises(ConflictError, match="belongs to another instance, 'two'"):
            gc.sweep(dry_run=dry_run, grace_seconds=0)
    with pytest.raises(ConflictError, match="belongs to another instance, 'two'"):
        gc.sweep_objects(context.instance(), gc.objects_of(context.instance(), file))
    with pytest.raises(ConflictError, match="belongs to another instance, 'two'"):
        ln.setup.init(storage=seaweed_root, name="one", db=database)
    assert len(list(RemoteStore(seaweed_root).list())) == 2
    move.migrate_to(storage=f"{seaweed_root}-of-ada")
    assert ln.File.select(key="a.txt").one().stage().read_bytes() == b"mine"
    found = mark_of(seaweed_root)
    assert found is not None and found.name == "two"


def test_a_prefix_in_a_prefix_is_another_place(seaweed_root: str, person: Person) -> None:
    person("ada")
    ln.setup.init(storage=seaweed_root, name="outer")
    outer = ln.File(b"outer", key="a.txt").save()
    person("bob")
    ln.setup.init(storage=f"{seaweed_root}/sub", name="inner")
    inner = ln.File(b"inner", key="a.txt").save()
    assert gc.sweep(dry_run=False, grace_seconds=0).objects == ()
    assert verify.verify().orphans == ()
    person("ada")
    ln.connect(seaweed_root)
    assert gc.sweep(dry_run=False, grace_seconds=0).objects == ()
    for root, file in ((seaweed_root, outer), (f"{seaweed_root}/sub", inner)):
        assert [name.digest for name, _ in RemoteStore(root).list()] == [file.digest]
    for inside in (".lamindb", ".lamindb/objects/ab"):
        with pytest.raises(InvalidInputError, match="inside another instance"):
            ln.setup.init(storage=f"{seaweed_root}/{inside}")


def test_deleting_gives_the_place_back_and_restoring_takes_it(seaweed_root: str, person: Person) -> None:
    person("ada")
    made = ln.setup.init(storage=seaweed_root, name="one")
    ln.File(b"kept", key="a.txt").save()
    backup_restore.delete("one")
    assert mark_of(seaweed_root) is None
    backup_restore.restore("one")
    assert mark_of(seaweed_root) == Owner(made.id, "one")
    backup_restore.delete("one")
    person("bob")
    ln.setup.init(storage=seaweed_root, name="two")
    person("ada")
    with pytest.raises(ConflictError, match="belongs to another instance, 'two'"):
        backup_restore.restore("one")
    assert not list(Path("data/instances").rglob("instance.toml"))


def test_dropping_the_tables_gives_the_place_back(
    seaweed_root: str, person: Person, migrated_postgres_url: str
) -> None:
    person("ada")
    ln.setup.init(storage=seaweed_root, name="one", db=migrated_postgres_url)
    backup_restore.delete("one", drop_tables=True)
    assert mark_of(seaweed_root) is None


def test_a_move_marks_the_new_place_and_gives_the_old_one_back(seaweed_root: str, person: Person) -> None:
    person("ada")
    made = ln.setup.init(storage=f"{seaweed_root}/old", name="one")
    ln.File(b"kept", key="a.txt").save()
    ownership.create(RemoteStore(f"{seaweed_root}/taken"), Owner("other", "theirs"))
    with pytest.raises(ConflictError, match="belongs to another instance, 'theirs'"):
        move.migrate_to(storage=f"{seaweed_root}/taken")
    assert list(RemoteStore(f"{seaweed_root}/taken").list()) == []
    move.migrate_to(storage=f"{seaweed_root}/new")
    assert mark_of(f"{seaweed_root}/new") == Owner(made.id, "one")
    assert mark_of(f"{seaweed_root}/old") is None


@pytest.mark.parametrize("data", [b"\xff", b"id = 3", b"[", b'id = "x"'])
def test_a_damaged_marker_permits_nothing(seaweed_root: str, person: Person, data: bytes) -> None:
    person("ada")
    ln.setup.init(storage=seaweed_root, name="one")
    put(seaweed_root, ownership.PATH, data)
    with pytest.raises(InvalidInputError, match="is damaged"):
        gc.sweep(dry_run=False)
    ln.connect(seaweed_root)


def test_records_are_read_without_the_bucket(
    seaweed_root: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person("ada")
    ln.setup.init(storage=seaweed_root, name="one")
    ln.File(b"kept", key="a.txt").save()
    unmark(seaweed_root)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LAMIN_STORAGE_TIMEOUT_SECONDS", "1")
    ln.connect(seaweed_root)
    ln.setup.init(storage=seaweed_root, name="one")
    assert ln.File.select().count() == 1


def test_folders_have_no_mark(local_instance: Path) -> None:
    instance: Any = context.instance()
    ownership.claim_for_removal(instance)
    ownership.check(instance)
    assert ownership.owner(instance.root_url) is None
    ownership.release(instance.root_url, instance.id, instance.home_path)
    assert not (instance.home_path / "marked").exists()


def test_a_place_that_is_given_back_meanwhile_is_taken(
    seaweed_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = ownership.create
    first = iter([True])

    def lose_once(store: RemoteStore, mark: Owner) -> bool:
        # Another instance marked the place just now, and released it before anybody could look.
        return False if next(first, False) else create(store, mark)

    monkeypatch.setattr(ownership, "create", lose_once)
    ownership.claim(seaweed_root, Owner("one", "first"), tmp_path)
    assert mark_of(seaweed_root) == Owner("one", "first")
    monkeypatch.setattr(ownership, "create", lambda store, mark: False)
    with pytest.raises(StorageError, match="keeps appearing"):
        ownership.claim(f"{seaweed_root}/other", Owner("one", "first"), tmp_path / "absent")


def test_a_move_that_dies_before_the_old_place_is_given_back_is_ended(
    seaweed_root: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person("ada")
    ln.setup.init(storage=f"{seaweed_root}/old", name="one")
    ln.File(b"kept", key="a.txt").save()

    def die(root_url: str, instance_id: str, home: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(ownership, "release", die)
        with pytest.raises(KeyboardInterrupt):
            move.migrate_to(storage=f"{seaweed_root}/new")
    assert mark_of(f"{seaweed_root}/old") is not None
    ln.connect(f"{seaweed_root}/new")
    assert mark_of(f"{seaweed_root}/old") is None
