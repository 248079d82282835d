"""Files in storage: keys, versions, in place, replace, rename, trash. On both databases."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.errors import ConflictError, IntegrityError, KeyExistsError, ViewConflictError


def write(path: str | Path, text: str = "ACGT") -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def test_a_file_in_the_root_is_registered_where_it_is(instance: Path) -> None:
    source = write(instance / "raw" / "a.csv", "a\n1\n")
    file = ln.File(source).save()
    assert file.key == "raw/a.csv"
    assert file.path() == source
    assert source.read_text() == "a\n1\n"
    assert len(list((instance / ".lamindb" / "objects").rglob("*.csv"))) == 1
    assert ln.File(source).save() == file


def test_an_edit_in_the_view_becomes_a_version_when_it_is_saved(instance: Path) -> None:
    first = ln.File(write("a.csv", "1"), key="a.csv").save()
    shown = instance / "a.csv"
    shown.unlink()
    shown.write_text("edited")
    assert first.stage().read_text() == "1"
    with pytest.raises(ViewConflictError, match="not saved"):
        ln.File(write("b.csv", "other"), key="a.csv").save()
    assert shown.read_text() == "edited"
    second = ln.File(shown).save()
    assert second.version == 2
    assert shown.read_text() == "edited"
    assert first.stage().read_text() == "1"


def test_a_file_in_the_root_saved_under_another_key_is_copied(instance: Path) -> None:
    source = write(instance / "raw.csv", "1")
    file = ln.File(source, key="clean/raw.csv").save()
    assert file.path() == instance / "clean" / "raw.csv"
    assert file.path().read_text() == "1"
    assert source.read_text() == "1"


def test_another_root_keeps_its_files_where_they_are(instance: Path) -> None:
    root = Path("archive").resolve()
    source = write(root / "deep" / "big.bin", "0123")
    ln.Storage(root=root).save()
    file = ln.File(source).save()
    assert (file.key, file.storage.root) == ("deep/big.bin", str(root))
    assert file.path() == file.stage() == source
    assert source.stat().st_mode & 0o200
    assert not list((instance / ".lamindb" / "objects").rglob("*.bin"))
    source.write_text("4567 and more")
    with pytest.raises(IntegrityError, match="changed"):
        file.stage()
    second = ln.File(source).save()
    assert second.version == 2
    assert second.stage().read_text() == "4567 and more"
    with pytest.raises(IntegrityError):
        file.stage()
    source.unlink()
    with pytest.raises(IntegrityError, match="gone"):
        second.load()
    copied = ln.File(write(root / "c.bin", "c"), key="copied.bin").save()
    assert copied.path() == instance / "copied.bin"


def test_replace_makes_a_version_whose_key_takes_the_suffix(instance: Path) -> None:
    file = ln.File(write("a.csv", "a\n1\n"), key="tables/a.csv", description="kept").save()
    first = file.id
    file.replace(write("b.csv", "a\n2\n"))
    file.save()
    assert (file.version, file.key, file.description) == (2, "tables/a.csv", "kept")
    file.replace(write("c.tsv", "a\n3\n")).save()
    assert (file.version, file.key, file.suffix) == (3, "tables/a.tsv", ".tsv")
    assert not (instance / "tables" / "a.csv").exists()
    assert (instance / "tables" / "a.tsv").read_text() == "a\n3\n"
    assert ln.File.select(key="tables/a.csv").count() == 0
    assert [v.load().a.tolist() for v in file.versions] == [[1], [2], [3]]
    assert file.versions[0].id == first
    ln.File(write("other.txt", "x"), key="tables/a.txt").save()
    with pytest.raises(KeyExistsError):
        file.replace(write("d.txt", "y")).save()
    assert ln.File.select(key="tables/a.tsv").one().version == 3


def test_renaming_a_key_takes_the_view_and_all_versions_along(instance: Path) -> None:
    write("a.csv", "1")
    first = ln.File("a.csv", key="old/a.csv").save()
    write("a.csv", "2")
    file = ln.File("a.csv", key="old/a.csv").save()
    file.key = "new/b.csv"
    file.save()
    assert not (instance / "old").exists()
    assert (instance / "new" / "b.csv").read_text() == "2"
    assert ln.File.select(key="new/b.csv").one() == file
    assert ln.File.select(id=first.id, is_latest=False).one().key == "new/b.csv"
    assert file.name == "b.csv"
    taken = ln.File(write("c.csv", "3"), key="taken.csv").save()
    file.key = "taken.csv"
    with pytest.raises(KeyExistsError, match=taken.id):
        file.save()
    file.key = "../out.csv"
    with pytest.raises(ValueError, match="key"):
        file.save()
    assert (instance / "new" / "b.csv").read_text() == "2"


def test_only_what_the_user_may_change_is_changed(instance: Path) -> None:
    file = ln.File(write("a.csv"), key="a.csv").save()
    before = file.updated_at
    assert file.save().updated_at == before
    file.description = "text"
    assert file.save().updated_at > before
    file.hash = "forged"
    with pytest.raises(ValueError, match="hash"):
        file.save()
    assert ln.File.select(key="a.csv").one().hash != "forged"


def test_the_trash_keeps_and_gives_back(instance: Path) -> None:
    write("a.csv", "1")
    first = ln.File("a.csv", key="a.csv").save()
    write("a.csv", "2")
    second = ln.File("a.csv", key="a.csv").save()
    second.delete()
    assert (instance / "a.csv").read_text() == "1"
    assert ln.File.select(key="a.csv").one() == first
    first = ln.File.select(key="a.csv").one()
    first.delete()
    assert not (instance / "a.csv").exists()
    assert ln.File.select(key="a.csv").count() == 0
    assert second.stage().read_text() == "2"
    second.restore()
    assert (instance / "a.csv").read_text() == "2"
    with pytest.raises(ValueError, match="not in the trash"):
        second.restore()
    other = ln.File(write("b.csv", "3"), key="b.csv").save()
    other.delete()
    taker = ln.File(write("b.csv", "4"), key="b.csv").save()
    assert taker.stem_id != other.stem_id
    other.restore()
    assert ln.File.select(key="b.csv").one() == taker
    assert other.stage().read_text() == "3"


def test_deleting_for_good(instance: Path) -> None:
    file = ln.File(write("a.csv"), key="a.csv").save()
    stored = Path(str(file.path()))
    keep = ln.File("a.csv", key="copy.csv").save()
    file.delete(storage=True)
    assert not stored.exists()
    assert keep.stage().read_text() == "ACGT"
    assert ln.File.select(id=file.id, is_latest=True).count() == 0
    keep.delete(storage=True)
    assert not list((instance / ".lamindb" / "objects").rglob("*.csv"))
    with pytest.raises(ValueError, match="not saved"):
        ln.File(b"x", name="x").delete()
    with pytest.raises(ConflictError):
        keep.restore()


def test_a_missing_object_does_not_keep_its_row(instance: Path) -> None:
    file = ln.File(write("a.csv"), key="a.csv").save()
    for found in (instance / ".lamindb" / "objects").rglob("*.csv"):
        found.unlink()
    (instance / "a.csv").unlink()
    with pytest.raises(IntegrityError, match=r"a\.csv|missing"):
        file.stage()
    file.delete(permanent=True)
    assert ln.File.select().count() == 0


def test_saving_the_right_bytes_repairs_a_damaged_object(instance: Path) -> None:
    file = ln.File(write("a.csv", "right"), key="a.csv").save()
    (found,) = (instance / ".lamindb" / "objects").rglob("*.csv")
    os.chmod(found, 0o644)
    found.write_text("wrong")
    with pytest.raises(IntegrityError):
        file.stage()
    assert ln.File("a.csv", key="a.csv").save() == file
    assert file.stage().read_text() == "right"


def test_a_folder_is_one_file(instance: Path) -> None:
    write("results/a.csv", "1")
    write("results/sub/b.csv", "2")
    Path("results/empty").mkdir()
    folder = ln.File("results", key="runs/results").save()
    assert (folder.is_folder, folder.n_files, folder.size) == (True, 2, 2)
    assert (instance / "runs" / "results" / "sub" / "b.csv").read_text() == "2"
    assert (folder.stage() / "a.csv").read_text() == "1"
    assert ln.File("results", key="runs/results").save() == folder
    os.rename("results/a.csv", "results/c.csv")
    renamed = ln.File("results", key="runs/results").save()
    assert renamed.version == 2
    assert renamed.hash != folder.hash
    assert sorted(p.name for p in (instance / "runs" / "results").iterdir() if p.is_file()) == ["c.csv"]
    assert (folder.stage() / "a.csv").read_text() == "1"
    os.symlink("/etc", "results/link")
    with pytest.raises((ValueError, OSError), match="link"):
        ln.File("results", key="runs/results").save()
    assert ln.File.select(key="runs/results").one() == renamed


def test_keys_that_the_folder_cannot_show_are_found_before(instance: Path) -> None:
    ln.File(write("a.txt"), key="a").save()
    with pytest.raises(ViewConflictError, match="choose another key"):
        ln.File(write("b.txt", "2"), key="a/b").save()
    write(instance / "mine.txt", "unsaved work")
    with pytest.raises(ViewConflictError, match="not saved"):
        ln.File(write("b.txt", "2"), key="mine.txt").save()
    assert (instance / "mine.txt").read_text() == "unsaved work"
    assert ln.File.select().count() == 1


def test_a_symlinked_root_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk").mkdir()
    os.symlink("disk", "link")
    ln.setup.init(storage="./link/mydata")
    source = write("link/mydata/a.txt")
    file = ln.File(source).save()
    assert file.key == "a.txt"
    assert file.path().samefile(source)


def test_tables_and_bytes_are_saved_from_memory(instance: Path) -> None:
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="row"))
    with pytest.raises(ValueError, match="key or a name"):
        ln.File(table)
    file = ln.File(table, key="tables/a.parquet")
    assert file.load() is table
    file.save()
    assert file.load().equals(table)
    assert ln.File(table.rename(columns={"a": "b"}), name="named").save().name == "named"
    with ln.File(b"bytes", key="b.bin").save().open() as stream:
        assert stream.read() == b"bytes"
    with file.open("rb") as stream:
        assert not stream.writable()
    with pytest.raises(ValueError, match="mode"):
        file.open("w")


def test_anndata_is_saved_and_read_in_parts(instance: Path) -> None:
    anndata = pytest.importorskip("anndata")
    np = pytest.importorskip("numpy")
    data = anndata.AnnData(np.eye(3, dtype="float32"))
    file = ln.File(data, key="cells.h5ad").save()
    assert file.suffix == ".h5ad"
    assert file.load().shape == (3, 3)
    backed = file.backed()
    assert backed.isbacked
    backed.file.close()
    zarr = ln.File(data, key="cells.zarr", format="zarr").save()
    assert zarr.is_folder
    assert zarr.load().shape == (3, 3)
    with pytest.raises(ValueError, match="parts"):
        ln.File(b"x", name="a.txt").save().backed()


def test_a_moved_project_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    ln.setup.init(storage="./mydata")
    file = ln.File(write("a.txt", "1"), key="a.txt").save()
    ln.disconnect()
    monkeypatch.chdir(tmp_path)
    shutil.copytree("one", "copied")
    os.rename("one", "moved")
    for place in ("copied", "moved"):
        monkeypatch.chdir(tmp_path / place)
        ln.connect(".")
        found = ln.File.select(key="a.txt").one()
        assert found == file
        assert found.stage() == tmp_path / place / "mydata" / "a.txt"
        assert found.storage.root == str(tmp_path / place / "mydata")
        ln.File(write("b.txt", place), key=f"{place}.txt").save()
        assert ln.File.select().count() == 2
        ln.disconnect()


def test_keys_of_one_save_that_need_the_same_place_are_refused_together(instance: Path) -> None:
    files = [ln.File(b"1", key="a"), ln.File(b"2", key="other/x"), ln.File(b"3", key="a/b/c")]
    with pytest.raises(ViewConflictError, match="folder too"):
        ln.save(files)
    assert ln.File.select().count() == 0
