"""What every store promises. Each kind of store has a test class of its own that inherits these tests."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from lamindb.core.hashing import CHUNK_SIZE, Content, hash_bytes
from lamindb.errors import (
    IntegrityError,
    InvalidInputError,
    ReadOnlyError,
    SourceChangedError,
    SourceNotFoundError,
    StorageError,
)
from lamindb.storage.base import FileStat, Member, ObjectName, ObjectStore, Source
from lamindb.storage.manifest import folder_content, parse_manifest, read_manifest

ABSENT = ObjectName("0" * 64, ".csv")


def write(path: Path, data: bytes) -> Source:
    """Write a file; return it as a source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Source(path.suffix, str(path))


class StoreContract:
    """Needs the fixture `store`, prepared, and two helpers of the kind."""

    def overwrite(self, store: ObjectStore, name: ObjectName, data: bytes) -> None:
        """Put other bytes under the name of an object, as a failing disk would."""
        raise NotImplementedError

    def leftovers(self, store: ObjectStore) -> list[str]:
        """Name what is in the store beside complete objects."""
        raise NotImplementedError

    def reopened(self, store: ObjectStore, *, read_only: bool = False) -> ObjectStore:
        """Open the same root as another process would."""
        raise NotImplementedError

    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        folder = tmp_path / "files"
        folder.mkdir()
        return folder

    @pytest.mark.parametrize("size", [0, 1, 4096, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 9_000_001])
    def test_what_is_put_can_be_read(self, store: ObjectStore, files: Path, size: int) -> None:
        data = os.urandom(size)
        stored = store.put(write(files / "a.csv", data))
        assert stored.content == hash_bytes(data)
        assert stored.name == ObjectName(blake3(data).hexdigest(), ".csv")
        assert (stored.reused, stored.is_folder, stored.n_files, stored.members) == (False, False, 1, ())
        assert store.exists(stored.name)
        assert store.size(stored.name) == size
        assert store.read(stored.name) == data
        with store.open(stored.name) as stream:
            assert stream.read() == data
        assert list(store.list()) == [(stored.name, size)]
        assert store.check(stored.name, size) is None
        assert store.check(stored.name, None) is None
        assert self.leftovers(store) == []
        assert (files / "a.csv").read_bytes() == data

    def test_bytes_in_memory(self, store: ObjectStore) -> None:
        stored = store.put(Source(".parquet", data=b"in memory"))
        assert store.read(stored.name) == b"in memory"
        assert stored.content == hash_bytes(b"in memory")

    def test_an_object_can_be_read_in_parts(self, store: ObjectStore) -> None:
        data = os.urandom(3 * CHUNK_SIZE)
        stored = store.put(Source("", data=data))
        with store.open(stored.name) as stream:
            stream.seek(CHUNK_SIZE + 5)
            assert stream.read(100) == data[CHUNK_SIZE + 5 : CHUNK_SIZE + 105]
            stream.seek(-10, os.SEEK_END)
            assert stream.read() == data[-10:]

    def test_the_same_bytes_are_stored_once_for_each_suffix(self, store: ObjectStore, files: Path) -> None:
        first = store.put(write(files / "a.csv", b"same"))
        again = store.put(write(files / "b.csv", b"same"))
        other = store.put(write(files / "c.tsv", b"same"))
        assert again.name == first.name and again.reused
        assert other.name.digest == first.name.digest and not other.reused
        assert len(list(store.list())) == 2

    def test_many_at_once(self, store: ObjectStore, files: Path) -> None:
        data = [os.urandom(number * 37) for number in range(40)]
        data[7] = data[3]
        data.append(os.urandom(CHUNK_SIZE + 3))
        sources = [write(files / f"{number}.bin", content) for number, content in enumerate(data)]
        told: list[tuple[int, int]] = []
        stored = store.put_many(sources, progress=lambda done, total: told.append((done, total)))
        assert [each.content for each in stored] == [hash_bytes(content) for content in data]
        assert [store.read(each.name) for each in stored] == data
        assert len(list(store.list())) == 40
        assert told[-1] == (41, 41) and told == sorted(told)
        assert all(each.reused for each in store.put_many(sources))
        assert store.put_many([]) == []
        assert self.leftovers(store) == []

    def test_one_bad_source_fails_the_call_and_leaves_nothing_half_done(self, store: ObjectStore, files: Path) -> None:
        sources = [write(files / f"{number}.bin", b"%d" % number) for number in range(20)]
        sources[13] = Source(".bin", str(files / "absent.bin"))
        with pytest.raises(SourceNotFoundError, match=r"absent\.bin"):
            store.put_many(sources)
        for name, size in store.list():
            assert store.check(name, size) is None
        assert self.leftovers(store) == []

    def test_a_source_that_is_not_there(self, store: ObjectStore, files: Path) -> None:
        with pytest.raises(SourceNotFoundError, match=r"nothing\.csv"):
            store.put(Source(".csv", str(files / "nothing.csv")))
        with pytest.raises(FileNotFoundError):
            store.put(Source(".csv", str(files / "nothing.csv")))

    def test_a_source_that_cannot_be_stored(self, store: ObjectStore, files: Path) -> None:
        os.mkfifo(files / "pipe")
        with pytest.raises(InvalidInputError, match="pipe"):
            store.put(Source("", str(files / "pipe")))
        server = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        try:
            os.chdir(files)
            server.bind("socket")
        finally:
            os.chdir(here)
        with server, pytest.raises(InvalidInputError, match="socket"):
            store.put(Source("", str(files / "socket")))
        assert list(store.list()) == []

    @pytest.mark.parametrize("size", [100, CHUNK_SIZE * 2])
    def test_a_source_that_changed_since_its_record_is_refused(
        self, store: ObjectStore, files: Path, size: int
    ) -> None:
        path = files / "a.csv"
        source = write(path, bytes(size))
        seen = FileStat.of(path.stat())
        path.write_bytes(bytes(size - 1) + b"x")
        os.utime(path, ns=(seen.mtime_ns + 1, seen.mtime_ns + 1))
        with pytest.raises(SourceChangedError, match=r"a\.csv"):
            store.put(Source(".csv", source.path, stat=seen))
        with pytest.raises(SourceChangedError):
            store.put(Source(".csv", source.path, stat=seen, content=hash_bytes(bytes(size))))
        with pytest.raises(SourceChangedError):
            store.put(Source(".csv", source.path, content=hash_bytes(bytes(size))))
        assert list(store.list()) == []
        assert self.leftovers(store) == []

    def test_changed_bytes_are_refused_even_if_the_store_has_the_old_ones(
        self, store: ObjectStore, files: Path
    ) -> None:
        path = files / "a.csv"
        source = write(path, b"old")
        seen = FileStat.of(path.stat())
        stored = store.put(source)
        path.write_bytes(b"new")
        os.utime(path, ns=(seen.mtime_ns + 1, seen.mtime_ns + 1))
        with pytest.raises(SourceChangedError):
            store.put(Source(".csv", source.path, stat=seen, content=stored.content))

    def test_a_touched_file_with_the_same_bytes_is_not_changed(self, store: ObjectStore, files: Path) -> None:
        path = files / "a.csv"
        source = write(path, b"same")
        seen = FileStat.of(path.stat())
        os.utime(path, ns=(1, 1))
        assert store.put(Source(".csv", source.path, stat=seen, content=hash_bytes(b"same"))).content.size == 4
        path.chmod(0o600)
        seen_now = FileStat.of(path.stat())
        path.chmod(0o644)
        assert store.put(Source(".csv", source.path, stat=seen_now)).reused

    @pytest.mark.parametrize("size", [100, CHUNK_SIZE * 3])
    def test_a_source_that_changes_while_it_is_read_is_refused(
        self, store: ObjectStore, files: Path, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = files / "a.csv"
        source = write(path, bytes(size))
        read = os.read

        def read_and_grow(descriptor: int, count: int) -> bytes:
            with open(path, "ab") as stream:
                stream.write(b"more")
            return read(descriptor, count)

        monkeypatch.setattr(os, "read", read_and_grow)
        with pytest.raises(SourceChangedError):
            store.put(source)
        monkeypatch.undo()
        assert list(store.list()) == []
        assert self.leftovers(store) == []
        assert store.put(source).content.size > size

    @pytest.mark.parametrize("size", [100, CHUNK_SIZE * 2])
    def test_known_content_is_not_read_again(
        self, store: ObjectStore, files: Path, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = write(files / "a.csv", bytes(size))
        stat = FileStat.of((files / "a.csv").stat())
        content = store.put(source).content
        inode = stat.inode
        read = os.read

        def no_read(descriptor: int, count: int) -> bytes:
            assert os.fstat(descriptor).st_ino != inode, "the source was read again"
            return read(descriptor, count)

        monkeypatch.setattr(os, "read", no_read)
        assert store.put(Source(".csv", source.path, stat=stat, content=content)).reused

    def test_wrong_known_content_is_refused(self, store: ObjectStore) -> None:
        with pytest.raises(SourceChangedError):
            store.put(Source(".csv", data=b"bytes", content=Content("x" * 22, "1" * 64, 5)))

    @pytest.mark.parametrize("damaged", [b"", b"short", b"other bytes, of the same length"])
    def test_damage_is_found_and_healed(self, store: ObjectStore, files: Path, damaged: bytes) -> None:
        data = b"right bytes, of the same length"
        source = write(files / "a.csv", data)
        stored = store.put(source)
        self.overwrite(store, stored.name, damaged)
        store = self.reopened(store)
        found = store.check(stored.name, len(data))
        assert found is not None
        assert found.kind == ("bytes" if len(damaged) == len(data) else "size")
        assert "\n" not in found.detail
        with pytest.raises(IntegrityError):
            store.read(stored.name)
        with pytest.raises(IntegrityError):
            store.local_path(stored.name, "a.csv")
        healed = store.put(source)
        assert not healed.reused
        assert store.check(stored.name, len(data)) is None
        assert store.read(stored.name) == data

    def test_missing_objects(self, store: ObjectStore) -> None:
        assert not store.exists(ABSENT)
        assert store.size(ABSENT) is None
        damage = store.check(ABSENT, 3)
        assert damage is not None and damage.kind == "missing"
        quick = store.check(ABSENT, 3, quick=True)
        assert quick is not None and quick.kind == "missing"
        assert store.delete(ABSENT) is False
        with pytest.raises(IntegrityError, match="missing"), store.open(ABSENT):
            pass
        with pytest.raises(IntegrityError, match="missing"):
            store.read(ABSENT)
        with pytest.raises(IntegrityError, match="missing"):
            store.local_path(ABSENT, "a.csv")

    def test_quick_checks_find_a_wrong_size(self, store: ObjectStore) -> None:
        stored = store.put(Source("", data=b"12345"))
        assert store.check(stored.name, 5, quick=True) is None
        damage = store.check(stored.name, 6, quick=True)
        assert damage is not None and damage.kind == "size"

    def test_deleted_objects_are_gone(self, store: ObjectStore) -> None:
        stored = store.put(Source(".csv", data=b"x"))
        store.local_path(stored.name, "x.csv")
        assert store.delete(stored.name) is True
        assert not store.exists(stored.name)
        assert list(store.list()) == []
        with pytest.raises(IntegrityError):
            store.local_path(stored.name, "x.csv")
        assert not store.put(Source(".csv", data=b"x")).reused

    def test_local_path_has_the_name_and_the_bytes(self, store: ObjectStore) -> None:
        data = os.urandom(5000)
        stored = store.put(Source(".csv", data=data))
        for filename in ("my table.csv", "my table.csv", "ünï.csv", "weird'\"$(x).csv"):
            path = store.local_path(stored.name, filename)
            assert path.name == filename
            assert path.read_bytes() == data

    @pytest.mark.parametrize("filename", ["", ".", "..", "../x", "a/b", "a\\b", "a\0b", "/etc/passwd"])
    def test_local_path_stays_in_its_folder(self, store: ObjectStore, filename: str) -> None:
        stored = store.put(Source(".csv", data=b"x"))
        with pytest.raises(InvalidInputError):
            store.local_path(stored.name, filename)

    def test_folders(self, store: ObjectStore, files: Path) -> None:
        folder = files / "results"
        data = {
            "b.csv": b"b",
            "a/z.txt": b"z",
            "a/sub/same": b"z",
            ".hidden": b"h",
            "ü/é.tar.gz": b"",
            "a-c": bytes(CHUNK_SIZE + 1),
            **{f"many/{number}": b"%d" % number for number in range(20)},
        }
        for relative, content in data.items():
            write(folder / relative, content)
        stored = store.put(Source("", str(folder)))
        expected = tuple(
            Member(path, blake3(data[path]).hexdigest(), suffix, len(data[path]))
            for path, suffix in sorted(
                [(path, {"b.csv": ".csv", "a/z.txt": ".txt", "ü/é.tar.gz": ".tar.gz"}.get(path, "")) for path in data],
                key=lambda pair: pair[0].encode(),
            )
        )
        assert stored.is_folder and not stored.reused
        assert stored.members == expected == read_manifest(store, stored.name)
        assert stored.n_files == len(data)
        assert stored.content == folder_content(expected)
        assert stored.content.size == sum(map(len, data.values()))
        for member in expected:
            assert store.read(member.name) == data[member.path]
        staged = store.local_path(stored.name, "results", is_folder=True)
        assert staged.name == "results"
        found = {str(path.relative_to(staged)): path.read_bytes() for path in staged.rglob("*") if path.is_file()}
        assert found == data
        again = store.put(Source("", str(folder)))
        assert again.reused and again.name == stored.name
        assert self.leftovers(store) == []

    def test_the_name_of_a_folder_depends_on_names_and_bytes_alone(self, store: ObjectStore, files: Path) -> None:
        for number, (first, second) in enumerate([("x", "y"), ("x", "y"), ("y", "x")]):
            write(files / str(number) / "one", first.encode())
            write(files / str(number) / "two", second.encode())
        names = [store.put(Source(".zarr", str(files / str(number)))).name for number in range(3)]
        assert names[0] == names[1] != names[2]

    def test_an_empty_folder(self, store: ObjectStore, files: Path) -> None:
        stored = store.put(Source("", str(files)))
        assert (stored.n_files, stored.content.size, stored.members) == (0, 0, ())
        path = store.local_path(stored.name, "empty", is_folder=True)
        assert path.is_dir() and list(path.iterdir()) == []

    def test_links_in_a_folder(self, store: ObjectStore, files: Path) -> None:
        write(files / "results" / "sub" / "a.txt", b"a")
        (files / "results" / "link.txt").symlink_to("sub/a.txt")
        (files / "results" / "linked").symlink_to("sub")
        members = store.put(Source("", str(files / "results"))).members
        assert [member.path for member in members] == ["link.txt", "linked/a.txt", "sub/a.txt"]

    @pytest.mark.parametrize("kind", ["outside", "outside-folder", "broken", "circle", "pipe", "backslash", "control"])
    def test_folders_that_cannot_be_stored(self, store: ObjectStore, files: Path, kind: str) -> None:
        write(files / "secret", b"secret")
        folder = files / "results"
        write(folder / "a.txt", b"a")
        if kind == "outside":
            (folder / "bad").symlink_to(files / "secret")
        elif kind == "outside-folder":
            (folder / "bad").symlink_to(files)
        elif kind == "broken":
            (folder / "bad").symlink_to("nothing")
        elif kind == "circle":
            (folder / "sub").mkdir()
            (folder / "sub" / "bad").symlink_to("..")
        elif kind == "pipe":
            os.mkfifo(folder / "bad")
        elif kind == "backslash":
            write(folder / "bad\\name", b"")
        else:
            write(folder / "bad\nname", b"")
        with pytest.raises(InvalidInputError, match="bad"):
            store.put(Source("", str(folder)))
        assert self.leftovers(store) == []

    def test_a_folder_whose_member_is_damaged(self, store: ObjectStore, files: Path) -> None:
        write(files / "results" / "a.txt", b"a")
        write(files / "results" / "b.txt", b"b")
        stored = store.put(Source("", str(files / "results")))
        self.overwrite(store, stored.members[1].name, b"?")
        store = self.reopened(store)
        with pytest.raises(IntegrityError):
            store.local_path(stored.name, "results", is_folder=True)
        assert not store.put(Source("", str(files / "results"))).reused
        assert (store.local_path(stored.name, "results", is_folder=True) / "b.txt").read_bytes() == b"b"

    def test_a_folder_that_changed_since_its_record(self, store: ObjectStore, files: Path) -> None:
        write(files / "results" / "a.txt", b"a")
        content = store.put(Source("", str(files / "results"))).content
        write(files / "results" / "b.txt", b"b")
        with pytest.raises(SourceChangedError):
            store.put(Source("", str(files / "results"), content=content))

    def test_a_file_is_no_manifest(self, store: ObjectStore) -> None:
        for data in (b"", b"text", b'{"format":"lamindb-folder","version":2}\n'):
            name = store.put(Source("", data=data)).name
            with pytest.raises(IntegrityError, match="manifest"):
                read_manifest(store, name)
        header = b'{"format":"lamindb-folder","version":1}\n'
        for line in ('{"path":"../x"', '{"path":"/x"', '{"path":"a"'):
            digest = "../../x" if line.endswith('"a"') else "0" * 64
            data = header + (line + f',"size":1,"digest":"{digest}","suffix":""}}\n').encode()
            with pytest.raises(IntegrityError, match="manifest"):
                parse_manifest(ABSENT, data)

    def test_preparing_twice_changes_nothing(self, store: ObjectStore) -> None:
        stored = store.put(Source("", data=b"x"))
        store.prepare()
        assert store.read(stored.name) == b"x"

    def test_reading_only(self, store: ObjectStore) -> None:
        stored = store.put(Source(".csv", data=b"x"))
        reader = self.reopened(store, read_only=True)
        assert reader.read_only
        assert reader.read(stored.name) == b"x"
        assert reader.local_path(stored.name, "x.csv").read_bytes() == b"x"
        assert reader.check(stored.name, 1) is None
        with pytest.raises(ReadOnlyError):
            reader.put(Source("", data=b"y"))
        with pytest.raises(ReadOnlyError):
            reader.delete(stored.name)
        with pytest.raises(ReadOnlyError):
            reader.prepare()
        with pytest.raises(ReadOnlyError):
            reader.remove_abandoned(older_than_seconds=0)
        assert issubclass(ReadOnlyError, StorageError)

    def test_the_same_bytes_from_many_threads(self, store: ObjectStore, files: Path) -> None:
        source = write(files / "a.bin", os.urandom(200_000))
        start = threading.Barrier(8)

        def put() -> ObjectName:
            start.wait()
            return store.put(source).name

        with ThreadPoolExecutor(8) as pool:
            names = {task.result() for task in [pool.submit(put) for _ in range(8)]}
        assert len(names) == 1
        assert store.check(names.pop(), 200_000) is None
        assert self.leftovers(store) == []

    def test_sweeping_leaves_objects_alone(self, store: ObjectStore) -> None:
        stored = store.put(Source("", data=b"x"))
        assert store.remove_abandoned(older_than_seconds=time.time()) == []
        assert store.check(stored.name, 1) is None

    def test_where_an_object_lies(self, store: ObjectStore) -> None:
        name = store.put(Source(".csv", data=b"x")).name
        assert store.object_path(name) == f"{store.root_url}/.lamindb/objects/{name.path}"

    def test_the_time_of_the_last_change_of_an_object(self, store: ObjectStore) -> None:
        before = time.time()
        name = store.put(Source(".csv", data=b"x")).name
        changed_at = store.changed_at(name)
        assert changed_at is not None
        assert before - 60 < changed_at < time.time() + 60
        assert store.changed_at(ABSENT) is None

    def test_other_packages_get_paths_of_objects(self, store: ObjectStore, files: Path) -> None:
        if store.root_url.startswith("memory:"):
            pytest.skip("what is in memory has no path")
        name = store.put(Source(".csv", data=b"x")).name
        assert store.upath(name, "a.csv").read_bytes() == b"x"
        assert str(store.upath(name, "a.csv")) == store.object_path(name)
        write(files / "sub" / "b.txt", b"y")
        write(files / "a.txt", b"")
        folder = store.upath(store.put(Source("", str(files))).name, "files", is_folder=True)
        assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "sub"]
        assert (folder / "sub" / "b.txt").read_bytes() == b"y"
        assert str(store.upath_of_key("")) == store.root_url
        assert str(store.upath_of_key("x/y.csv")) == f"{store.root_url}/x/y.csv"
