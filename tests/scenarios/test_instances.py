"""Instances: found from their folder, apart from each other, switched in one process, deleted and restored."""

from __future__ import annotations

import os
import pathlib
import shutil
import stat
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.db import database as databases
from lamindb.errors import ConflictError, InvalidInputError, NoInstanceError, NotUniqueError
from lamindb.maintenance import verify
from tests.support.processes import lamin, run_python


def save(text: str, key: str = "a.txt") -> ln.File:
    return ln.File(text.encode(), key=key).save()


def test_without_an_instance_importing_works_and_the_first_use_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for use in (lambda: ln.File.select().count(), lambda: ln.track(), lambda: ln.File(b"x", name="x"), ln.view):
        with pytest.raises(NoInstanceError, match="lamin init"):
            use()
    ln.setup.init(storage="./mydata")
    assert ln.File.select().count() == 0


def test_two_projects_with_the_same_folder_name_never_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = {}
    for project in ("p1", "p2"):
        (tmp_path / project).mkdir()
        monkeypatch.chdir(tmp_path / project)
        ln.setup.init(storage="./mydata")
        records[project] = save(project)
    assert records["p1"] != records["p2"]
    assert ln.File.select().one() == records["p2"]
    ln.connect(tmp_path / "p1" / "mydata")
    assert ln.File.select().one() == records["p1"]
    assert records["p2"].stage().read_text() == "p2"
    assert records["p2"].run is None
    query = ln.File.select()
    ln.connect(tmp_path / "p2")
    assert query.one() == records["p1"]
    with pytest.raises(ValueError, match="another instance"):
        ln.Run.select(inputs=records["p1"])
    records["p1"].description = "still mine"
    records["p1"].save()
    ln.connect(tmp_path / "p1")
    assert ln.File.select().one().description == "still mine"


def test_records_of_two_instances_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./one")
    run = ln.track(ln.Transform(name="in one", type="pipeline"))
    mine = save("1")
    ln.setup.init(storage="./two")
    assert ln.context.run is None
    other = save("2")
    assert other.run is None
    for wrong in (lambda: run.inputs.add(other), lambda: ln.track(run.transform)):
        with pytest.raises(ValueError, match=r"different instances|another instance"):
            wrong()
    with pytest.raises(ValueError, match="several instances"):
        ln.save([mine, other])


def test_a_closed_instance_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata")
    file = save("1")
    assert ln.disconnect() == "mydata"
    with pytest.raises(NoInstanceError, match="disconnected"):
        ln.File.select().count()
    with pytest.raises((NoInstanceError, ValueError), match="closed"):
        file.save()
    with pytest.raises((NoInstanceError, ValueError), match="closed"):
        file.stage()
    ln.connect("./mydata")
    assert ln.File.select().one() == file


def test_init_again_connects_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = ln.setup.init(storage="./mydata")
    file = save("1")
    again = ln.setup.init(storage="./mydata/")
    assert again.id == first.id
    assert ln.File.select().one() == file


@pytest.mark.parametrize(
    "arguments",
    [
        {"storage": ""}, {"storage": "./file.txt"}, {"storage": "./x", "db": "postgres://h/n"},
        {"storage": "./x", "db": "mysql://h/n"}, {"storage": "./x", "db": "postgresql://h"},
        {"storage": "./x", "name": "a/b"}, {"storage": "./x", "name": " "}, {"storage": "./x", "view": "both"},
        {"storage": "x\0y"}, {"storage": "ftp://host/x"}, {"storage": "./x", "db": "postgresql://h:port/n"},
    ],
)  # fmt: skip
def test_wrong_arguments_of_init_make_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("x")
    with pytest.raises(InvalidInputError):
        ln.setup.init(**arguments)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_the_instance_is_found_from_below_and_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project" / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    ln.setup.init(storage="./mydata")
    save("1")
    code = "import lamindb as ln; print(ln.File.select().one().key)"
    assert run_python(code, cwd=tmp_path / "project" / "deep" / "er").stdout == "a.txt\n"
    monkeypatch.setenv("LAMIN_INSTANCE", str(tmp_path / "project"))
    assert run_python(code, cwd=tmp_path).stdout == "a.txt\n"


def test_it_is_found_without_registry_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata")
    save("1")
    code = "import lamindb as ln; print(ln.File.select().one().key); ln.File(b'2', key='b.txt').save()"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LAMIN_", "XDG_", "HOME"))}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment | {"HOME": "/nonexistent"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "a.txt\n", done.stderr


def test_several_instances_in_one_folder_need_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        ln.setup.init(storage=f"./{name}")
    ln.disconnect()
    with pytest.raises(NotUniqueError, match="lamin connect"):
        ln.connect()
    ln.connect("one")
    assert ln.setup.info().name == "one"


def test_delete_keeps_files_and_restore_brings_records_back(instance: Path, database: str | None) -> None:
    name = ln.setup.info().name
    file = save("kept", "folder/kept.txt")
    backup = ln.setup.delete(name)
    assert backup is not None
    assert (instance / "folder" / "kept.txt").read_text() == "kept"
    for found in instance.rglob("*"):
        assert not found.is_file() or os.stat(found).st_mode & 0o200
    with pytest.raises(NoInstanceError):
        ln.File.select().count()
    assert ln.setup.delete("unknown") is None
    ln.setup.restore(name)
    assert ln.File.select().one() == file
    assert file.hash == ln.File.select().one().hash
    assert ln.File.select().one().stage().read_text() == "kept"
    with pytest.raises(ConflictError, match="already"):
        ln.setup.restore(name)
    with pytest.raises(NoInstanceError):
        ln.setup.restore("unknown")


def test_an_instance_deleted_by_another_process_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata")
    run = ln.track(ln.Transform(name="p", type="pipeline"))
    save("1")
    run_python("import lamindb as ln; ln.setup.delete('mydata')", cwd=tmp_path)
    with pytest.raises(NoInstanceError, match="deleted"):
        ln.File.select().count()
    ln.finish()
    assert run is not None
    assert not (tmp_path / "mydata" / ".lamindb" / "db.sqlite3").exists()


def test_backup_is_a_copy_of_the_records(instance: Path, tmp_path: Path) -> None:
    import sqlite3

    save("1")
    target = ln.setup.backup(tmp_path / "copies" / "records.sqlite3")
    connection = sqlite3.connect(target)
    assert connection.execute("select key from lamindb_file").fetchall() == [("a.txt",)]
    connection.close()
    with pytest.raises(ConflictError, match="exists"):
        ln.setup.backup(target)


def save_in_child(text: str, key: str) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            save(text, key)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "see what the child wrote"


def test_threads_and_forks_share_an_instance(instance: Path) -> None:
    run = ln.track(ln.Transform(name="p", type="pipeline"))
    threads = [threading.Thread(target=save, args=(str(i), f"{i}.txt")) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    save_in_child("from the child", "child.txt")
    save("after", "after.txt")
    assert {file.key for file in run.outputs} == {*(f"{i}.txt" for i in range(6)), "child.txt", "after.txt"}


def test_a_fork_waits_for_the_transactions_of_other_threads(instance: Path) -> None:
    begun, alias = threading.Event(), save("1").alias

    def write() -> None:
        with databases.writing(alias):
            begun.set()
            time.sleep(0.3)

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait()
    save_in_child("from the child", "child.txt")
    thread.join()
    save("after", "after.txt")
    assert {file.key for file in ln.File.select()} == {"a.txt", "child.txt", "after.txt"}


def test_it_works_under_an_event_loop(instance: Path) -> None:
    import asyncio

    async def work() -> str | None:
        return save("1").key

    assert asyncio.run(work()) == "a.txt"


def test_a_newer_database_is_refused(local_instance: Path) -> None:
    import sqlite3

    ln.disconnect()
    connection = sqlite3.connect(local_instance / ".lamindb" / "db.sqlite3")
    with connection:
        connection.execute(
            "insert into django_migrations (app, name, applied) values ('lamindb', '9999_future', '2030-01-01')"
        )
    connection.close()
    with pytest.raises(ln.errors.NewerDatabaseError, match="9999_future"):
        ln.connect(local_instance)


def test_login_is_offline_and_changes_who_saves(instance: Path) -> None:
    ln.setup.login("testuser1")
    one = save("1")
    ln.setup.login("ada.lovelace@example.org")
    two = save("2", "b.txt")
    assert (one.created_by.handle, one.created_by.id) == ("testuser1", "DzTjkKse")
    assert (two.created_by.handle, two.created_by.email) == ("ada.lovelace", "ada.lovelace@example.org")
    assert ln.setup.settings.user.name == "Ada Lovelace"
    for wrong in ("", "a b", "a/b", "x" * 200):
        with pytest.raises(ValueError, match="handle"):
            ln.setup.login(wrong)


def test_settings_refuse_what_is_wrong_and_keep_the_old(instance: Path) -> None:
    for name, value in (
        ("verbosity", 9), ("verbosity", "loud"), ("track_run_inputs", 1), ("if_key_exists", "x"),
        ("upon_file_create_if_hash_exists", None), ("capture", "yes"),
    ):  # fmt: skip
        before = getattr(ln.settings, name)
        with pytest.raises(ValueError, match=name):
            setattr(ln.settings, name, value)
        assert getattr(ln.settings, name) == before
    with pytest.raises(AttributeError, match="verbosity"):
        ln.settings.verbosty = 3  # type: ignore[attr-defined]
    assert ln.settings.storage == pathlib.Path(instance)
    assert pathlib.Path(instance) == ln.settings.storage and hash(ln.settings.storage) == hash(str(instance))
    assert ln.settings.storage.root == ln.setup.settings.storage.root == pathlib.Path(instance)
    assert ln.settings.storage / "a" == pathlib.Path(instance, "a") and ln.settings.storage.exists()
    assert f"{ln.settings.storage}" == str(instance) and ln.settings.storage != instance.parent


def test_passwords_never_show(local_instance: Path) -> None:
    from lamindb.db.database import shown_url

    assert shown_url("postgresql://ada:s3cret@host:5432/db") == "postgresql://ada@host:5432/db"
    assert "s3cret" not in repr(ln.context.instance)


def test_a_copy_that_lost_its_empty_folders_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata")
    ln.disconnect()
    for folder in sorted((tmp_path / "mydata").rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    ln.connect("./mydata")
    file = ln.File(b"1", key="a.csv").save()
    ln.save([ln.File(str(number).encode(), key=f"{number}.txt") for number in range(12)])
    assert file.stage().read_bytes() == b"1"


def test_connecting_from_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    made = ln.setup.init(storage=tmp_path / "mydata")
    assert ln.File(b"1", key="a.csv").save().stage().read_bytes() == b"1"
    ln.disconnect()
    assert ln.connect(tmp_path / "mydata").id == made.id


def test_restore_prefers_what_was_deleted_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {}
    for project in ("one", "two"):
        (tmp_path / project).mkdir()
        monkeypatch.chdir(tmp_path / project)
        ids[project] = ln.setup.init(storage="./mydata", name="same").id
        ln.setup.delete("same")
    monkeypatch.chdir(tmp_path / "one")
    shutil.rmtree("mydata")
    assert ln.setup.restore("same").id == ids["one"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotUniqueError, match="name one of these"):
        ln.setup.restore("same")


def test_a_folder_shared_by_a_group_has_a_database_that_the_group_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shared = tmp_path / "mydata"
    shared.mkdir()
    shared.chmod(0o2775)
    before = os.umask(0o077)
    try:
        name = ln.setup.init(storage=shared).name
        ln.File(b"1", key="a.csv").save()

        def modes() -> dict[str, int]:
            return {path.name: stat.S_IMODE(path.stat().st_mode) & 0o060 for path in (shared / ".lamindb").iterdir()}

        assert set(modes().values()) == {0o060}
        ln.setup.delete(name)
        ln.setup.restore(name)
        assert set(modes().values()) == {0o060}
    finally:
        os.umask(before)


def test_asking_for_the_storage_first_opens_the_instance(instance: Path, tmp_path: Path) -> None:
    done = run_python("import lamindb as ln; print(ln.settings.storage)", cwd=tmp_path)
    assert done.stdout.strip() == str(instance)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_database_that_was_emptied_or_replaced_is_refused_and_comes_back(
    tmp_path: Path, is_replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata")
    save("saved")
    ln.setup.backup()
    ln.close()
    database = tmp_path / "mydata/.lamindb/db.sqlite3"
    for ending in ("-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)
    if is_replaced:
        ln.setup.init(storage="./other")
        ln.close()
        shutil.copyfile("other/.lamindb/db.sqlite3", database)
    else:
        database.write_bytes(b"")
    before = database.read_bytes()
    for command in (["ls"], ["verify"], ["gc", "--yes", "--grace-seconds", "0"], ["init", "--storage", "."]):
        done = lamin(*command, cwd=tmp_path / "mydata", check=False)
        assert done.returncode == 3, done
        assert "lamin restore mydata" in done.stderr
    assert database.read_bytes() == before
    if is_replaced:
        with pytest.raises(ConflictError, match="already"):
            ln.setup.restore("mydata")
        database.unlink()
    ln.setup.restore("mydata")
    assert ln.File.select().one().stage().read_text() == "saved"


def test_a_lost_database_can_be_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata")
    save("saved")
    ln.setup.close()
    hidden = tmp_path / "mydata" / ".lamindb"
    for path in hidden.glob("db.sqlite3*"):
        path.unlink()
    told = lamin("init", "--storage", "mydata", cwd=tmp_path, check=False).stderr
    assert f"move {hidden} away and start anew by `lamin init`" in told
    hidden.rename(tmp_path / "away")
    lamin("init", "--storage", "mydata", cwd=tmp_path)


def test_an_emptied_postgres_database_is_refused(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    instance = ln.setup.init(storage="./mydata", db=postgres_url)
    save("saved")
    with databases.connection(instance.alias).cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    ln.setup.close()
    with pytest.raises(NoInstanceError, match=r"is empty.*lamin restore"):
        ln.connect("mydata")


def test_a_storage_in_a_git_repository_is_ignored_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    ln.setup.init(storage="./mydata")
    save("x")
    status = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    assert status == ""
    report = verify.verify()
    assert report.is_clean and report.untracked == ()
    file = ln.File(b"mine", key=".gitignore").save()
    assert Path("mydata/.gitignore").read_text() == "mine" and file.stage().read_text() == "mine"
    assert verify.verify().edited == ()
    Path("own").mkdir()
    Path("own/tracked.txt").write_text("tracked")
    ln.setup.init(storage="./own")
    assert not Path("own/.gitignore").exists()


def test_a_storage_outside_of_git_has_no_gitignore(local_instance: Path) -> None:
    assert not (local_instance / ".gitignore").exists()
