"""An instance's folder that another person wrote: nothing outside it is read, written or removed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.cli import main
from lamindb.core import context
from lamindb.errors import ConflictError, IntegrityError, InvalidInputError, LaminError, NoInstanceError
from lamindb.instance import config, move_note, registry
from lamindb.maintenance import gc
from lamindb.setup import lifecycle
from lamindb.storage import manifest
from lamindb.storage.base import ObjectName, Source
from lamindb.storage.local import LocalStore

DEEP = "[" * 100_000


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Make two instances, each with a file, and return their folders; the second one is current."""
    monkeypatch.chdir(tmp_path)
    for name in ("victim", "evil"):
        ln.setup.init(storage=tmp_path / name)
        ln.File(name.encode(), key=f"{name}.txt").save()
        if name == "evil":
            ln.File(b"to be removed", key="old.txt").save().delete(permanent=True)
        else:
            ln.close()
    return tmp_path / "victim", tmp_path / "evil"


def change(root: Path, **values: str) -> None:
    """Change values of an `instance.toml`."""
    path = root / ".lamindb" / config.FILE_NAME
    lines = [line for line in path.read_text().splitlines() if line.partition(" =")[0] not in values]
    lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    path.write_text("\n".join(lines) + "\n")


def objects(root: Path) -> dict[str, bytes]:
    folder = root / ".lamindb" / "objects"
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def connect(root: Path) -> Any:
    ln.close()
    return ln.connect(root)


@pytest.mark.parametrize("storage", ["{victim}", "../victim", "", "/", "s3://bucket/x", "file:///tmp", "s3://k:s@b/x"])
def test_a_folder_cannot_name_another_storage(two: tuple[Path, Path], storage: str) -> None:
    victim, evil = two
    before = objects(victim)
    change(evil, storage=storage.format(victim=victim))
    with pytest.raises(InvalidInputError, match="storage"):
        connect(evil)
    with pytest.raises(LaminError):
        gc.sweep(dry_run=False, grace_seconds=0)
    assert objects(victim) == before


@pytest.mark.parametrize("name", ["id", "storage_id"])
@pytest.mark.parametrize("value", ["../../../outside", "/tmp/x", "", "a b", "x" * 21, "é", "a\nb", "\u0661"])
def test_an_id_cannot_be_a_path(two: tuple[Path, Path], name: str, value: str) -> None:
    change(two[1], **{name: value})
    with pytest.raises(InvalidInputError, match=f"{name!r} is not an id"):
        connect(two[1])


@pytest.mark.parametrize("value", ["\x1b[31mred", "a/b", "", " ", "x" * 201, "a\nb", "\u202eb"])
def test_a_name_is_checked_as_when_it_is_given(two: tuple[Path, Path], value: str) -> None:
    change(two[1], name=value)
    with pytest.raises(InvalidInputError, match="cannot name an instance") as caught:
        connect(two[1])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", ["mysql://h/n", "postgresql://h", "postgresql://h:x/n", "/etc/passwd"])
def test_a_database_is_an_address_of_one(two: tuple[Path, Path], value: str) -> None:
    change(two[1], database=value)
    with pytest.raises(InvalidInputError, match="is damaged"):
        connect(two[1])


@pytest.mark.parametrize("name", ["id", "name", "storage", "storage_id", "database", "format", "view"])
@pytest.mark.parametrize("value", ["3.5", "true", "[]", '["."]', "{ a = 1 }", "2026-11-27", "nan", "-1"])
def test_a_value_of_another_type_is_damage(two: tuple[Path, Path], name: str, value: str) -> None:
    victim, evil = two
    before = objects(victim)
    path = evil / ".lamindb" / config.FILE_NAME
    lines = [line for line in path.read_text().splitlines() if line.partition(" =")[0] != name]
    path.write_text("\n".join([*lines, f"{name} = {value}"]) + "\n")
    with pytest.raises(LaminError) as caught:
        connect(evil)
    assert str(caught.value).isprintable() and objects(victim) == before


@pytest.mark.parametrize(
    "option",
    [
        "sslkey=/etc/passwd",
        "sslrootcert=x",
        "service=x",
        "passfile=x",
        "options=-c%20x",
        "host=attacker",
        "hostaddr=1.2.3.4",
    ],
)
def test_an_option_of_a_database_contacts_nobody(two: tuple[Path, Path], option: str, monkeypatch: Any) -> None:
    def contacted(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a server was contacted")

    monkeypatch.setattr("psycopg.connect", contacted)
    change(two[1], database=f"postgresql://ada@127.0.0.1/lab?{option}")
    with pytest.raises(LaminError, match=r"not registered here|is damaged"):
        connect(two[1])


@pytest.mark.parametrize("text", [f"id = {DEEP}", DEEP, "# " + "x" * 2_000_000, "id = " + "9" * 10_000])
def test_a_description_that_is_too_much(two: tuple[Path, Path], text: str) -> None:
    path = two[1] / ".lamindb" / config.FILE_NAME
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="is damaged") as caught:
        connect(two[1])
    assert len(str(caught.value)) < 500


def test_notes_and_registry_that_are_too_much_mean_nothing(two: tuple[Path, Path]) -> None:
    victim, evil = two
    (evil / ".lamindb" / "moving.json").write_text(DEEP)
    (evil / ".lamindb" / "incoming" / "h.000000000000.1.1.0.writer").touch()
    (evil / ".lamindb" / "incoming" / "h.000000000000.1.1.0.notes").write_text(DEEP)
    Path(os.environ["LAMIN_SETTINGS_DIR"], "registry.json").write_text(DEEP)
    assert registry.entries() == []
    assert connect(evil).name == "evil"
    assert ln.File.select(key="evil.txt").one().stage().read_bytes() == b"evil"
    assert objects(victim)


@pytest.mark.parametrize(
    "values",
    [
        {"id": "../x"}, {"root_url": "s3://k:s@b/x"}, {"root_url": "relative"}, {"old_root_url": "ftp://x"},
        {"home": "relative"}, {"project": 3}, {"database": "mysql://x/y"}, {"id": None},
    ],
)  # fmt: skip
def test_a_note_of_a_move_is_checked(tmp_path: Path, values: dict[str, Any]) -> None:
    good = move_note.Move("abc", str(tmp_path), str(tmp_path / "new"), str(tmp_path), None, str(tmp_path), None)
    move_note.write(tmp_path, good)
    assert move_note.read(tmp_path) == good
    path = tmp_path / "moving.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    assert move_note.read(tmp_path) is None


HOSTILE = [
    'id = "../../../outside"', 'id = "/tmp/outside"', 'storage_id = "../x"', f"id = {DEEP}", DEEP, "id = 7",
    "name = []", 'name = "../outside"', 'name = "\\u001b]0;x\\u0007"', 'storage = "/"', 'storage = "../victim"',
    'storage = "s3://lab/x"', 'storage = "file:///"', "storage = 3", 'database = "postgresql://ada@192.0.2.1/lab"',
    'database = "postgresql://ada@192.0.2.1/lab?passfile=/etc/passwd"', 'database = "sqlite:////etc/passwd"',
    "database = 1", "format = 10e400", 'format = "1"', 'view = "../x"', "view = {}", "\0", "id",
]  # fmt: skip
COMMANDS = (
    "info", "ls", "verify", "gc --yes --grace-seconds 0", "backup", "save note.txt --key new.txt", "run -- true",
    "status", "relink", "connect {evil}", "init --storage {evil}", "migrate-to --storage {new}", "delete {evil}",
    "restore {evil}", "list",
)  # fmt: skip


def everything(*folders: Path) -> dict[str, bytes]:
    """Return all files below folders but SQLite's beside a database, and what is kept of the instance that goes."""
    names = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    passing = ("registry.json", "registry.lock", "-shm", "-wal")
    names = {path for path in names if not path.name.endswith(passing) and "/backups/evil-" not in str(path)}
    return {str(path): path.read_bytes() for path in names}


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: ascii(line[:40]))
def test_no_command_in_a_hostile_folder_touches_anything_else(
    two: tuple[Path, Path], line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, evil = two
    Path("note.txt").write_text("note")
    ln.close()
    path = evil / ".lamindb" / config.FILE_NAME
    lines = [one for one in path.read_text().splitlines() if one.partition(" =")[0] != line.partition(" =")[0]]
    path.write_text("\n".join([*lines, line]) + "\n")
    others = (victim, Path(os.environ["LAMIN_SETTINGS_DIR"]), Path(os.environ["HOME"]))
    before = everything(*others)
    monkeypatch.chdir(evil.parent)
    monkeypatch.setenv("LAMIN_INSTANCE", str(evil))
    for command in COMMANDS:
        code = main(command.format(evil=evil, new=evil.parent / "new").split())
        written = capsys.readouterr()
        assert code in {0, 2, 3, 4, 6} and "unexpected" not in written.err, (command, code, written.err)
        assert "\x1b" not in written.out + written.err and "Traceback" not in written.err
        lifecycle.reset()
    assert everything(*others) == before
    assert not any(one.name.startswith("outside") for one in Path("/tmp").iterdir())
    assert {one.name for one in evil.parent.iterdir()} <= {"victim", "evil", "note.txt"}
    monkeypatch.setenv("LAMIN_INSTANCE", str(victim))
    assert main(["verify"]) == 0


@pytest.mark.parametrize("link", ["objects", "incoming", "staged", "objects/shard"])
def test_nothing_is_removed_through_a_link(two: tuple[Path, Path], link: str) -> None:
    victim, evil = two
    before = objects(victim)
    shard = next(iter(before))[:2]
    link = link.replace("shard", shard)
    folder, target = evil / ".lamindb" / link, victim / ".lamindb" / link
    target.mkdir(exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.symlink_to(target)
    connect(evil)
    for dry_run in (True, False):
        with pytest.raises(InvalidInputError, match="symbolic link"):
            gc.sweep(dry_run=dry_run, grace_seconds=0)
    assert objects(victim) == before


def test_nothing_is_removed_from_a_folder_that_is_another_instances_by_now(two: tuple[Path, Path]) -> None:
    victim, evil = two
    opened = context.instance()
    shutil.rmtree(evil)
    shutil.copytree(victim, evil, symlinks=True)
    before = objects(evil)
    for dry_run in (True, False):
        with pytest.raises(ConflictError, match="another instance"):
            gc.sweep(dry_run=dry_run, grace_seconds=0)
    assert objects(evil) == before
    (evil / ".lamindb" / config.FILE_NAME).unlink()
    with pytest.raises(NoInstanceError, match="nothing was removed"):
        gc.sweep(dry_run=False, grace_seconds=0)
    assert objects(evil) == before
    assert context.instance() == opened


@pytest.mark.parametrize(
    "line",
    [
        DEEP, "{" * 100_000, "3", "[]", '{"path":"a"}', '{"path":"../a","size":1,"digest":"D","suffix":""}',
        '{"path":"/a","size":1,"digest":"D","suffix":""}', '{"path":"a","size":-1,"digest":"D","suffix":""}',
        '{"path":"a","size":true,"digest":"D","suffix":""}', '{"path":"a","size":"1","digest":"D","suffix":""}',
        '{"path":"a","size":1e400,"digest":"D","suffix":""}', '{"path":"a","size":1,"digest":"../../x","suffix":""}',
        '{"path":"a","size":1,"digest":"D","suffix":"/x"}', '{"path":3,"size":1,"digest":"D","suffix":""}',
        '{"path":"e\\u0301","size":1,"digest":"D","suffix":""}', '{"path":"a","size":1,"digest":"D","suffix":3}',
    ],
)  # fmt: skip
def test_a_manifest_that_lies_is_damage(tmp_path: Path, line: str) -> None:
    store = LocalStore(str(tmp_path / "root"))
    store.prepare()
    text = f'{{"format":"lamindb-folder","version":1}}\n{line.replace("D", "0" * 64)}\n'
    name = store.put(Source("", data=text.encode())).name
    with pytest.raises(IntegrityError, match="not the manifest"):
        manifest.read_manifest(store, name)
    assert isinstance(name, ObjectName)
