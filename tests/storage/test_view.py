"""The view shows current files under their keys, and never loses what the user put there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lamindb.core.hashing import hash_bytes
from lamindb.errors import IntegrityError, InvalidKeyError, ReadOnlyError, StorageError, ViewConflictError
from lamindb.storage import hash_cache, reflink, view
from lamindb.storage.base import ObjectName, Source
from lamindb.storage.hash_cache import HashCache, NoHashCache
from lamindb.storage.local import LocalStore
from lamindb.storage.remote import RemoteStore
from lamindb.storage.view import Shown, View
from tests.storage.contract import write


@pytest.fixture(params=["cache", "no cache"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalStore]:
    cache = HashCache(tmp_path / "cache") if request.param == "cache" else NoHashCache()
    store = LocalStore(str(tmp_path / "root"), hash_cache=cache)
    store.prepare()
    yield store
    cache.close()


@pytest.fixture(params=["auto", "copy", "no links", "no flags"])
def shows(store: LocalStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> View:
    """Return views of all kinds: linked, copied, and copied because links fail."""
    if request.param in {"no links", "no flags"}:
        number = errno.EXDEV if request.param == "no links" else errno.EMLINK

        def no_link(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "link", no_link)
    return View(store, "copy" if request.param == "copy" else "auto")


def put(store: LocalStore, data: bytes, suffix: str = ".csv") -> ObjectName:
    return store.put(Source(suffix, data=data)).name


def put_folder(store: LocalStore, folder: Path, **files: str) -> ObjectName:
    for name, text in files.items():
        write(folder / name.replace("__", "/"), text.encode())
    folder.mkdir(exist_ok=True)
    return store.put(Source("", str(folder))).name


def shown_files(view: View) -> dict[str, bytes]:
    root = Path(view.store.root_url)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".lamindb" not in path.parts
    }


def edit(path: Path, data: bytes) -> None:
    """Write as editors do: a new file in place of the old one."""
    new = path.with_name("editor.tmp")
    new.write_bytes(data)
    new.replace(path)


def test_shows_hides_and_returns_the_state(shows: View) -> None:
    store = shows.store
    name = put(store, b"one")
    assert shows.state("a/b/c.csv", name) == "missing"
    assert shows.conflict("a/b/c.csv", name) is None
    shows.show("a/b/c.csv", name)
    assert shows.path("a/b/c.csv").read_bytes() == b"one"
    assert shows.state("a/b/c.csv", name) == "ours"
    assert shows.conflict("a/b/c.csv", name) is None
    shows.show("a/b/c.csv", name)
    assert os.listdir(store.objects.temp_folder) == []
    assert shows.hide("a/b/c.csv", name) is True
    assert shows.state("a/b/c.csv", name) == "missing"
    assert not Path(store.root_url, "a").exists()
    assert shows.hide("a/b/c.csv", name) is True
    assert store.read(name) == b"one"


def test_a_new_version_takes_the_place_of_the_old_one(shows: View) -> None:
    old, new = put(shows.store, b"old"), put(shows.store, b"new")
    shows.show("a.csv", old)
    shows.show("a.csv", new, replaces=old)
    assert shows.path("a.csv").read_bytes() == b"new"
    assert shows.state("a.csv", new) == "ours"
    assert shows.state("a.csv", old) == "edited"
    assert shows.store.read(old) == b"old"
    assert os.listdir(shows.store.objects.temp_folder) == []


def test_an_edited_file_is_never_lost(shows: View) -> None:
    old, new = put(shows.store, b"old"), put(shows.store, b"new")
    shows.show("a.csv", old)
    edit(shows.path("a.csv"), b"edited")
    assert shows.state("a.csv", old) == "edited"
    with pytest.raises(ViewConflictError, match=r"a\.csv"):
        shows.show("a.csv", new, replaces=old)
    assert "not saved" in (shows.conflict("a.csv", new, [old.digest]) or "")
    assert shows.hide("a.csv", old) is False
    assert shows.path("a.csv").read_bytes() == b"edited"
    shows.show("a.csv", new, replaces=old, move_aside=True)
    assert shown_files(shows) == {"a.csv": b"new", "a.csv.edited-1": b"edited"}


def test_an_edit_of_the_same_length_and_time_is_seen(shows: View) -> None:
    name = put(shows.store, b"right")
    shows.show("a.csv", name)
    path = shows.path("a.csv")
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.write(b"wrong")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shows.state("a.csv", name) == "edited"
    assert shows.hide("a.csv", name) is False


def test_a_foreign_file_stays(shows: View) -> None:
    name = put(shows.store, b"ours")
    write(Path(shows.store.root_url, "a.csv"), b"theirs")
    assert shows.conflict("a.csv", name) is not None
    assert shows.conflict("a.csv", None) is not None
    with pytest.raises(ViewConflictError):
        shows.show("a.csv", name)
    assert shown_files(shows) == {"a.csv": b"theirs"}


def test_a_file_with_the_same_bytes_becomes_ours(shows: View) -> None:
    name = put(shows.store, b"same")
    write(Path(shows.store.root_url, "a.csv"), b"same")
    assert shows.conflict("a.csv", name) is None
    shows.show("a.csv", name)
    assert shows.state("a.csv", name) == "ours"
    assert shows.path("a.csv").read_bytes() == b"same"


def test_keys_in_each_others_way(shows: View) -> None:
    name = put(shows.store, b"x")
    shows.show("a/b.csv", name)
    assert "folder" in (shows.conflict("a", name) or "")
    assert "folder" in (shows.conflict("a/b.csv/c.csv", name) or "")
    for key in ("a", "a/b.csv/c.csv"):
        with pytest.raises(ViewConflictError):
            shows.show(key, name)
    assert shown_files(shows) == {"a/b.csv": b"x"}


def test_names_that_the_disk_refuses(shows: View, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.lstat

    def short_names_only(path: str, **options: Any) -> os.stat_result:
        if len(os.path.basename(path)) > 100:
            raise OSError(errno.ENAMETOOLONG, "File name too long", path)
        return real(path, **options)

    monkeypatch.setattr(os, "lstat", short_names_only)
    assert "too long" in (shows.conflict("a" * 143, None) or "")


def test_an_empty_folder_is_replaced(shows: View) -> None:
    name = put(shows.store, b"x")
    Path(shows.store.root_url, "a", "b", "c").mkdir(parents=True)
    assert shows.conflict("a/b", name) is None
    shows.show("a/b", name)
    assert shown_files(shows) == {"a/b": b"x"}


@pytest.mark.parametrize("key", ["../x", "/x", ".lamindb/x", "a/../../x", "", "a\\b"])
def test_keys_that_lead_elsewhere(store: LocalStore, key: str) -> None:
    name = put(store, b"x")
    for act in (View(store).path, lambda key: View(store).show(key, name), lambda key: View(store).hide(key, name)):
        with pytest.raises(InvalidKeyError):
            act(key)


def test_linked_folders_are_not_followed(shows: View, tmp_path: Path) -> None:
    name = put(shows.store, b"x")
    outside = tmp_path / "outside"
    write(outside / "b.csv", b"x")
    Path(shows.store.root_url, "a").symlink_to(outside)
    assert shows.conflict("a/b.csv", name) is not None
    assert shows.conflict("a/new.csv", name) is not None
    with pytest.raises(ViewConflictError):
        shows.show("a/new.csv", name)
    assert shows.state("a/b.csv", name) == "foreign"
    assert shows.hide("a/b.csv", name) is False
    assert [path.name for path in outside.iterdir()] == ["b.csv"]


def test_a_link_in_the_place_of_a_file_stays(shows: View, tmp_path: Path) -> None:
    name = put(shows.store, b"x")
    write(tmp_path / "outside", b"x")
    Path(shows.store.root_url, "a.csv").symlink_to(tmp_path / "outside")
    assert shows.conflict("a.csv", name) is not None
    assert shows.state("a.csv", name) == "foreign"
    with pytest.raises(ViewConflictError):
        shows.show("a.csv", name)
    assert shows.hide("a.csv", name) is False
    assert (tmp_path / "outside").read_bytes() == b"x"


def test_a_link_in_a_folder_is_foreign(shows: View, tmp_path: Path) -> None:
    name = put(shows.store, b"x")
    Path(shows.store.root_url, "a").mkdir()
    Path(shows.store.root_url, "a", "link").symlink_to(tmp_path)
    assert shows.conflict("a", name) is not None
    with pytest.raises(ViewConflictError):
        shows.show("a", name)


def test_the_root_itself_may_be_reached_by_a_link(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.root_url)
    linked = View(LocalStore(str(tmp_path / "link"), hash_cache=store.hash_cache))
    name = put(store, b"x")
    linked.show("a/b.csv", name)
    assert linked.state("a/b.csv", name) == "ours"


def test_folders(shows: View, tmp_path: Path) -> None:
    old = put_folder(shows.store, tmp_path / "old", a="a", sub__b="b", gone__c="c")
    new = put_folder(shows.store, tmp_path / "new", a="a2", sub__b="b", d="d")
    assert shows.state("results", old, is_folder=True) == "missing"
    shows.show("results", old, is_folder=True)
    assert shown_files(shows) == {"results/a": b"a", "results/sub/b": b"b", "results/gone/c": b"c"}
    assert shows.state("results", old, is_folder=True) == "ours"
    assert shows.conflict("results", new, [old.digest]) is None
    shows.show("results", new, is_folder=True, replaces=old)
    assert shown_files(shows) == {"results/a": b"a2", "results/sub/b": b"b", "results/d": b"d"}
    assert not shows.path("results/gone").exists()
    assert shows.state("results", new, is_folder=True) == "ours"
    assert shows.state("results", old, is_folder=True) == "edited"
    write(shows.path("results") / "mine", b"mine")
    assert shows.state("results", new, is_folder=True) == "edited"
    assert shows.conflict("results", new, [old.digest]) is not None
    assert shows.hide("results", new, is_folder=True) is False
    assert shown_files(shows) == {"results/mine": b"mine"}


def test_an_edited_member_stays(shows: View, tmp_path: Path) -> None:
    old = put_folder(shows.store, tmp_path / "old", a="a", b="b")
    new = put_folder(shows.store, tmp_path / "new", a="a2")
    shows.show("results", old, is_folder=True)
    edit(shows.path("results/b"), b"edited")
    edit(shows.path("results/a"), b"edited too")
    with pytest.raises(ViewConflictError):
        shows.show("results", new, is_folder=True, replaces=old)
    files = shown_files(shows)
    assert files["results/b"] == b"edited" and files["results/a"] == b"edited too"


def test_a_folder_and_a_file_take_each_others_place(shows: View, tmp_path: Path) -> None:
    folder = put_folder(shows.store, tmp_path / "folder", a="a", sub__b="b")
    file = put(shows.store, b"file")
    shows.show("x", folder, is_folder=True)
    assert shows.conflict("x", file, [folder.digest]) is None
    shows.show("x", file, replaces=folder)
    assert shown_files(shows) == {"x": b"file"}
    shows.show("x", folder, is_folder=True, replaces=file)
    assert shown_files(shows) == {"x/a": b"a", "x/sub/b": b"b"}


def test_an_empty_folder_is_shown(shows: View, tmp_path: Path) -> None:
    name = put_folder(shows.store, tmp_path / "empty")
    shows.show("x", name, is_folder=True)
    assert shows.path("x").is_dir()
    assert shows.state("x", name, is_folder=True) == "ours"
    assert shows.hide("x", name, is_folder=True)
    assert not shows.path("x").exists()


def test_many_at_once_go_on_after_a_conflict(shows: View) -> None:
    names = [put(shows.store, b"%d" % number) for number in range(10)]
    write(Path(shows.store.root_url, "3.csv"), b"theirs")
    conflicts = shows.show_many([Shown(f"{number}.csv", name) for number, name in enumerate(names)])
    assert len(conflicts) == 1 and "3.csv" in str(conflicts[0])
    assert shown_files(shows) == {f"{number}.csv": b"theirs" if number == 3 else b"%d" % number for number in range(10)}


def test_showing_and_hiding_side_by_side(shows: View) -> None:
    names = [put(shows.store, b"%d" % number) for number in range(4)]

    def show_and_hide(number: int) -> None:
        for _ in range(50):
            shows.show(f"a/b/{number}.csv", names[number])
            assert shows.hide(f"a/b/{number}.csv", names[number])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(show_and_hide, range(4)))
    assert shown_files(shows) == {}
    assert os.listdir(shows.store.objects.temp_folder) == []


def test_a_missing_object_is_an_error_of_integrity(shows: View) -> None:
    with pytest.raises(IntegrityError, match="missing"):
        shows.show("a.csv", ObjectName("0" * 64, ".csv"))
    assert shown_files(shows) == {}


def test_a_copied_project_gets_its_links_back(store: LocalStore) -> None:
    auto = View(store)
    if store.objects.can_clone:
        pytest.skip("files share blocks here, not inodes")
    name = put(store, b"x")
    auto.show("a.csv", name)
    edit(auto.path("a.csv"), b"x")
    assert auto.state("a.csv", name) == "ours"
    auto.show("a.csv", name)
    assert auto.path("a.csv").stat().st_ino == Path(store.object_path(name)).stat().st_ino


def test_a_damaged_object_is_not_taken_for_ours(store: LocalStore) -> None:
    auto = View(store)
    name = put(store, b"right")
    auto.show("a.csv", name)
    path = auto.path("a.csv")
    path.chmod(0o644)
    path.write_bytes(b"wrong")
    assert auto.state("a.csv", name) == "edited"
    store.put(Source(".csv", data=b"right"))
    with pytest.raises(ViewConflictError):
        auto.show("a.csv", name)
    auto.show("a.csv", name, move_aside=True)
    assert shown_files(auto) == {"a.csv": b"right", "a.csv.edited-1": b"wrong"}


def test_a_copied_view_can_be_written_without_harm(store: LocalStore) -> None:
    copy = View(store, "copy")
    name = put(store, b"right")
    copy.show("a.csv", name)
    copy.path("a.csv").chmod(0o644)
    copy.path("a.csv").write_bytes(b"edit!")
    assert store.check(name, 5) is None
    assert copy.state("a.csv", name) == "edited"


def test_no_view(store: LocalStore) -> None:
    none = View(store, "none")
    name = put(store, b"x")
    none.show("a.csv", name)
    assert none.conflict("a.csv", name) is None
    assert shown_files(none) == {}
    assert none.state("a.csv", name) == "missing"
    assert none.hide("a.csv", name) is True


def test_large_files_are_not_doubled_unasked(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if store.objects.can_clone:
        pytest.skip("files share blocks here")

    def no_link(*_: object) -> None:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(view, "COPY_BELOW", 10)
    monkeypatch.setattr(os, "link", no_link)
    large, small = put(store, b"x" * 11), put(store, b"x" * 10)
    auto = View(store)
    assert auto.show_many([Shown("large", large), Shown("larger", large), Shown("small", small)]) == []
    assert set(shown_files(auto)) == {"small"}
    assert capsys.readouterr().err.count("large files are not shown") == 1
    View(store, "copy").show("large", large)
    assert set(shown_files(auto)) == {"small", "large"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failing_disk_leaves_the_old_file(shows: View, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    old, new = put(shows.store, b"old"), put(shows.store, b"new")
    shows.show("a.csv", old)

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(StorageError, match=r"a\.csv"):
            shows.show("a.csv", new, replaces=old)
    assert shown_files(shows) == {"a.csv": b"old"}
    assert os.listdir(shows.store.objects.temp_folder) == []


def test_a_read_only_store_shows_nothing_new(store: LocalStore) -> None:
    name = put(store, b"x")
    View(store).show("a.csv", name)
    reader = View(LocalStore(store.root_url, hash_cache=store.hash_cache, read_only=True))
    assert reader.state("a.csv", name) == "ours"
    with pytest.raises(ReadOnlyError):
        reader.show("b.csv", name)
    with pytest.raises(ReadOnlyError):
        reader.hide("a.csv", name)


def test_a_clone_is_preferred_to_a_link(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(source: int, target: int) -> bool:
        os.pwrite(target, os.pread(source, 1 << 20, 0), 0)
        return True

    monkeypatch.setattr(reflink, "clone", pretend)
    path = Path(store.root_url, "a.csv")
    source = write(path, b"mine")
    name = store.put(Source(".csv", source.path, take_over=True)).name
    auto = View(store)
    auto.show("a.csv", name)
    assert path.stat().st_ino != Path(store.object_path(name)).stat().st_ino
    assert auto.state("a.csv", name) == "ours"
    auto.show("b.csv", name)
    assert auto.path("b.csv").stat().st_nlink == 1
    assert auto.path("b.csv").read_bytes() == b"mine"


def test_a_storage_without_a_folder_shows_nothing() -> None:
    none, name = View(RemoteStore("memory://no-folder"), "auto"), ObjectName("0" * 64, ".csv")
    assert none.mode == "none"
    assert none.conflict("a.csv", name) is None
    none.show("a.csv", name, move_aside=True)
    assert none.show_many([Shown("a.csv", name)]) == []
    assert none.state("a.csv", name) == "missing"
    assert none.hide("a.csv", name)


def _rows(names: dict[str, ObjectName]) -> list[tuple[str, str, str, bool]]:
    return [(key, name.digest, name.suffix, False) for key, name in names.items()]


def test_edits_are_found_and_files_that_are_as_before_take_one_stat_and_one_look_up(
    shows: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hash_cache, "RACY_NS", -(10**18))
    names = {f"{number % 7}/{number}.csv": put(shows.store, b"%d" % number) for number in range(600)}
    shows.show_many([Shown(key, name) for key, name in names.items()])
    assert list(shows.changed(_rows(names))) == []
    if not isinstance(shows.store.hash_cache, NoHashCache):
        with monkeypatch.context() as patch:
            patch.delattr(HashCache, "digests")
            patch.delattr(view.ViewInspector, "digest")
            assert list(shows.changed(_rows(names))) == []
    edit(shows.path("3/10.csv"), b"19")
    shows.path("4/11.csv").unlink()
    shows.path("5/12.csv").unlink()
    shows.path("5/12.csv").mkdir()
    edit(shows.path("6/13.csv"), b"13")
    assert sorted(shows.changed(_rows(names))) == ["3/10.csv", "5/12.csv"]
    # What is to be shown may differ, too, while every file is as before.
    names["1/1.csv"], names["2/2.csv"] = names["2/2.csv"], names["1/1.csv"]
    assert sorted(shows.changed(_rows(names))) == ["1/1.csv", "2/2.csv", "3/10.csv", "5/12.csv"]


def test_a_list_of_files_that_had_just_changed_is_not_remembered(shows: View, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"a.csv": put(shows.store, b"a")}
    shows.show("a.csv", names["a.csv"])
    assert list(shows.changed(_rows(names))) == []
    remembered: list[bool] = []
    whether = HashCache.is_right
    monkeypatch.setattr(HashCache, "is_right", lambda *told: remembered.append(whether(*told)) or remembered[-1])
    assert list(shows.changed(_rows(names))) == [] and not any(remembered)


def test_a_list_stays_the_same_where_files_are_added_elsewhere() -> None:
    digests = [hash_bytes(b"%d" % number).digest for number in range(5_000)]
    rows = [(str(number), digest, "", False) for number, digest in enumerate(digests)]
    before = {tuple(part) for part in view._parts(rows)}
    after = {tuple(part) for part in view._parts([*rows[:2_000], ("new", digests[0], "", False), *rows[2_000:]])}
    assert sum(map(len, before)) == 5_000 and len(before) > 5 and len(before - after) == 1
