"""Identity and content: what the same bytes, the same key and hostile keys become. On both databases."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.errors import HashExistsError, InvalidKeyError, KeyExistsError, SourceChangedError


def write(path: str, text: str = "ACGT") -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def outside(root: Path) -> set[Path]:
    return {path for path in root.parent.rglob("*") if root not in path.parents and path != root}


def test_the_same_path_saved_again_is_the_same_record(instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write("a.txt")
    first = ln.File(source, key="a.txt").save()
    objects = sorted((instance / ".lamindb" / "objects").rglob("*.txt"))
    updated = first.updated_at
    capsys.readouterr()
    again = ln.File(source, key="a.txt").save()
    assert again == first
    assert again.id == first.id
    assert "stored already" in capsys.readouterr().err
    assert ln.File.select().count() == 1
    assert ln.File.select().one().updated_at == updated
    assert sorted((instance / ".lamindb" / "objects").rglob("*.txt")) == objects


def test_keyless_bytes_become_the_newest_record_of_them(instance: Path) -> None:
    keyed = ln.File(write("a.txt"), key="a.txt").save()
    assert ln.File("a.txt").save() == keyed
    keyless = ln.File(write("b.txt", "other")).save()
    ln.File("b.txt", key="b.txt").save()
    assert ln.File("b.txt").save() == keyless


def test_the_settings_can_forbid_the_same_bytes_or_ask_for_another_record(instance: Path) -> None:
    first = ln.File(write("a.txt"), key="a.txt").save()
    ln.settings.upon_file_create_if_hash_exists = "error"
    with pytest.raises(RuntimeError, match="stored already") as raised:
        ln.File("a.txt", key="b.txt").save()
    assert isinstance(raised.value, HashExistsError)
    assert ln.File.select().count() == 1
    ln.settings.upon_file_create_if_hash_exists = "warn_create_new"
    second = ln.File("a.txt", key="b.txt").save()
    assert second.id != first.id
    assert second.hash == first.hash
    third = ln.File("a.txt").save()
    assert ln.File.select(hash=first.hash).count() == 3
    assert third.key is None


def test_bytes_stored_without_a_key_get_a_record_under_one(instance: Path) -> None:
    keyless = ln.File(write("b.txt")).save()
    keyed = ln.File("b.txt", key="a/b.txt").save()
    assert keyed != keyless
    assert keyed.path() == instance / "a" / "b.txt"
    assert keyed.path().read_text() == "ACGT"
    assert keyless.stage().read_text() == "ACGT"


def test_other_bytes_under_a_key_are_a_new_version(instance: Path) -> None:
    first = ln.File(write("x.csv", "1"), key="x.csv").save()
    second = ln.File(write("x.csv", "2"), key="x.csv").save()
    assert second.version == 2
    assert second.stem_id == first.stem_id
    assert ln.File.select(key="x.csv").one() == second
    assert list(second.versions) == [first, second]
    assert [version.stage().read_text() for version in second.versions] == ["1", "2"]
    assert (instance / "x.csv").read_text() == "2"
    third = ln.File(write("x.csv", "1"), key="x.csv").save()
    assert third.version == 3
    assert third.hash == first.hash


def test_the_settings_can_refuse_a_new_version(instance: Path) -> None:
    first = ln.File(write("x.csv", "1"), key="x.csv").save()
    ln.settings.if_key_exists = "error"
    with pytest.raises(KeyExistsError, match=first.id):
        ln.File(write("y.csv", "2"), key="x.csv").save()
    assert ln.File.select(key="x.csv").one() == first
    assert (instance / "x.csv").read_text() == "1"


def test_empty_files_of_different_keys_are_different_records(instance: Path) -> None:
    write("folder/a.txt", "")
    write("folder/sub/b.txt", "")
    files = ln.File.from_dir("folder")
    ln.save(files)
    assert {file.key for file in ln.File.select()} == {"folder/a.txt", "folder/sub/b.txt"}


def test_a_source_that_changes_before_the_save_is_not_saved(instance: Path) -> None:
    source = write("a.txt", "before")
    file = ln.File(source, key="a.txt")
    source.write_text("after, and longer")
    with pytest.raises(SourceChangedError, match="changed"):
        file.save()
    assert ln.File.select().count() == 0
    assert not (instance / "a.txt").exists()
    assert ln.File(source, key="a.txt").save().path().read_text() == "after, and longer"


def test_suffix_hash_and_size_are_as_documented(instance: Path) -> None:
    source = write("input.fastq.gz", "Mock fastq file.")
    file = ln.File(source, key="fastqs/input.fastq.gz")
    assert (file.suffix, file.hash, file.size) == (".fastq.gz", "QDkCIyDtWe8tlrS9zG8gnw", 16)
    many_dots = ln.File(write("my.sample.v1.2.csv", "a\n1\n"), key="my.sample.v1.2.csv").save()
    assert many_dots.suffix == ".csv"
    assert many_dots.load().a.tolist() == [1]


def test_one_byte_in_the_middle_of_a_large_file_changes_the_hash(instance: Path) -> None:
    data = bytearray(70 << 20)
    Path("a.bin").write_bytes(data)
    first = ln.File("a.bin", key="big.bin").save()
    data[35 << 20] = 1
    Path("a.bin").write_bytes(data)
    second = ln.File("a.bin", key="big.bin").save()
    assert second.version == 2
    assert second.hash != first.hash
    expected = base64.urlsafe_b64encode(hashlib.md5(data).digest()).decode().rstrip("=")
    assert second.hash == expected


HOSTILE = [
    "../evil", "/abs", "", ".lamindb/x", ".", "..", "a/../../b", "a//b.txt", "dir/", "a/./b", "a\0b", "a\nb",
    "\x1b[31mred",
    "C:/windows", "back\\slash", "a/" + "x" * 256, "x/" * 600 + "y", "line\u2028sep", "\ud800", ".LAMINDB/x",
]  # fmt: skip


@pytest.mark.parametrize("key", HOSTILE, ids=[ascii(key)[:20] for key in HOSTILE])
def test_hostile_keys_are_refused_before_anything_is_written(local_instance: Path, key: str) -> None:
    source = write("a.txt")
    before = outside(local_instance)
    with pytest.raises(ValueError, match="key") as raised:
        ln.File(source, key=key)
    assert isinstance(raised.value, InvalidKeyError)
    assert "\n" not in str(raised.value)
    assert outside(local_instance) == before
    assert ln.File.select().count() == 0


def test_a_key_of_another_type_is_refused(local_instance: Path) -> None:
    with pytest.raises(ValueError, match="text"):
        ln.File(write("a.txt"), key=5)  # type: ignore[arg-type]


def test_composed_and_decomposed_spellings_of_a_key_are_one(instance: Path) -> None:
    first = ln.File(write("a.txt", "1"), key="caf\u00e9.txt").save()
    second = ln.File(write("a.txt", "2"), key="cafe\u0301.txt").save()
    assert second.stem_id == first.stem_id
    assert second.key == "caf\u00e9.txt"


@pytest.mark.parametrize("name", ["O'Hara.txt", "100%.txt", "snow ☃ 🎿.txt", '"quoted".txt', "a_b%c.txt", "-dash.txt"])
def test_odd_names_round_trip(instance: Path, name: str) -> None:
    file = ln.File(write(name), key=f"odd/{name}").save()
    assert ln.File.select(name=name).one() == file
    assert ln.File.select(key=f"odd/{name}").one().stage().name == name


def test_what_is_no_file_is_refused(instance: Path) -> None:
    os.mkfifo("pipe")
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        ln.File("pipe", key="pipe")
    os.symlink("nowhere", "dangling")
    with pytest.raises(FileNotFoundError, match="link"):
        ln.File("dangling", key="dangling")
    with pytest.raises(FileNotFoundError, match="no such file"):
        ln.File("absent.txt")
    for data in (5, {"a": 1}, None, ["a.txt"]):
        with pytest.raises((TypeError, ValueError)):
            ln.File(data, key="x")
    with pytest.raises(ValueError, match="storage of this instance"):
        ln.File(".", key="all")
    with pytest.raises(ValueError, match="belongs to lamindb"):
        ln.File(instance / ".lamindb" / "instance.toml")


def test_a_link_is_followed_and_keeps_its_own_name(instance: Path) -> None:
    write("target.csv", "a\n1\n")
    os.symlink("target.csv", "link.csv")
    file = ln.File("link.csv", key="link.csv").save()
    assert file.name == "link.csv"
    assert not file.path().is_symlink()
    assert file.path().read_text() == "a\n1\n"
