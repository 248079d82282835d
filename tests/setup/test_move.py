"""An instance moves to another database or storage with everything that it knows, or stays as it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database as databases
from lamindb.errors import ConflictError, IntegrityError, LaminError
from lamindb.instance import registry
from lamindb.maintenance import gc, verify
from lamindb.models import File, Run, RunInput, RunOutput, Storage
from lamindb.setup import copy_tables, finish_move, lifecycle
from lamindb.setup import move as setup_move
from lamindb.storage.remote import RemoteStore
from tests.storage.conftest import seaweed_root as seaweed_root
from tests.storage.conftest import seaweed_server as seaweed_server
from tests.support.processes import clean_environment, run_python


def fill() -> dict[str, bytes]:
    """Make a small history: versions, a folder, runs with inputs, a file in place, one in the trash, flags."""
    Path("src").mkdir()
    for name in ("a", "b"):
        Path(f"src/{name}.csv").write_text(f"{name}\n1\n")
    run = ln.track(ln.Transform(name="first", type="pipeline"), params={"lr": 1e22, "n": [1, 2.5, None], "s": "ü"})
    one = ln.File("src/a.csv", key="in/a.csv").save()
    ln.track(ln.Transform(name="second", type="pipeline"))
    one.stage(is_run_input=True)
    ln.File(b"first", key="out.txt").save()
    ln.File(b"second", key="out.txt", description="a\ttab").save()
    ln.File("src", key="folder").save()
    gone = ln.File(b"gone", key="going.txt").save()
    gone.key = "gone.txt"
    gone.save().delete()
    one.flag("mislabelled").unflag("a mistake").flag("contaminated")
    ln.finish()
    place = Path("archive").resolve()
    place.mkdir()
    (place / "big.bin").write_bytes(b"0123")
    ln.Storage(root=str(place)).save()
    ln.File(place / "big.bin").save()
    run.name = "renamed"
    run.save()
    return {"in/a.csv": b"a\n1\n", "out.txt": b"second", "big.bin": b"0123"}


def check(wanted: dict[str, bytes], ids: set[str]) -> None:
    """Look at everything as a user would, with another process, too."""
    assert {file.id for file in File.objects.all()} == ids
    for key, data in wanted.items():
        assert ln.File.select(key=key).one().stage().read_bytes() == data
    assert sorted(path.name for path in ln.File.select(key="folder").one().stage().iterdir()) == ["a.csv", "b.csv"]
    second = ln.File.select(key="out.txt").one()
    assert [version.stage().read_bytes() for version in second.versions] == [b"first", b"second"]
    assert [file.key for file in second.run.inputs] == ["in/a.csv"]
    assert Run.objects.get(name="renamed").params == {"lr": 1e22, "n": [1, 2.5, None], "s": "ü"}
    assert File.objects.filter(key="gone.txt", trashed_at__isnull=False).count() == 1
    gone = File.objects.get(key="gone.txt")
    assert [event.kind for event in gone.history()] == ["removed", "renamed", "saved"]
    assert [event.run for event in gone.history()] == [gone.run_id] * 3
    flags = ln.File.select(key="in/a.csv").one().flags
    assert flags.list("reason") == ["mislabelled", "contaminated"]
    assert flags.list("removal_reason") == ["a mistake", None]
    assert second.is_affected
    found = verify.verify()
    assert found.is_clean and not found.orphans, str(found)
    more = ln.File(b"third", key="out.txt").save()
    assert (more.version, more.stem_id) == (3, second.stem_id)
    run = ln.track(ln.Transform(name="third"))
    more.stage(is_run_input=True)
    assert [file.id for file in run.inputs] == [more.id]
    ln.finish()
    code = (
        "import lamindb as ln; print(ln.File.select(key='out.txt').one().stage().read_text(), ln.File.select().count())"
    )
    assert run_python(code).stdout.split() == ["third", str(ln.File.select().count())]


def test_sqlite_moves_to_postgres(local_instance: Path, migrated_postgres_url: str) -> None:
    wanted = fill()
    ids = {file.id for file in File.objects.all()}
    links = [list(model.objects.values_list("id", "run_id", "file_id")) for model in (RunInput, RunOutput)]
    told: list[tuple[int, int]] = []
    report = setup_move.migrate_to(migrated_postgres_url, progress=lambda done, total: told.append((done, total)))
    assert report.objects == 0 and told[-1][0] == told[-1][1] > 0
    assert context.instance().dialect == "postgresql"
    assert [list(model.objects.values_list("id", "run_id", "file_id")) for model in (RunInput, RunOutput)] == links
    check(wanted, ids)
    assert not (local_instance / ".lamindb/db.sqlite3").exists()
    assert (local_instance / ".lamindb/backups/before-moving.sqlite3").exists()
    again = setup_move.migrate_to(migrated_postgres_url)
    assert (again.database, again.home) == (report.database, report.home)


def test_a_folder_moves_to_another_folder(instance: Path, tmp_path: Path) -> None:
    wanted = fill()
    ids = {file.id for file in File.objects.all()}
    gc.sweep(dry_run=False, grace_seconds=0)
    orphan = ln.File(b"orphan", key="orphan.txt").save()
    orphan.delete(permanent=True)
    report = setup_move.migrate_to(storage="elsewhere")
    new = tmp_path / "elsewhere"
    assert report.storage == context.instance().root_url == str(new)
    assert report.objects == sum(path.is_file() for path in (new / ".lamindb/objects").rglob("*")) > 5
    assert (new / "out.txt").read_bytes() == b"second"
    check(wanted, ids)
    assert (instance / "in/a.csv").read_bytes() == b"a\n1\n"
    assert [entry.home for entry in registry.entries() if entry.project == str(tmp_path)] == [str(new / ".lamindb")]


def test_both_move_at_once(local_instance: Path, migrated_postgres_url: str, tmp_path: Path) -> None:
    wanted = fill()
    ids = {file.id for file in File.objects.all()}
    setup_move.migrate_to(migrated_postgres_url, tmp_path / "elsewhere")
    assert Storage.objects.get(id=context.instance().storage_id).location == str(tmp_path / "elsewhere")
    check(wanted, ids)


def test_other_records_are_never_overwritten(local_instance: Path, migrated_postgres_url: str) -> None:
    fill()
    before = copy_tables.described(context.instance().alias)
    os.mkdir("other")
    run_python(
        f"import lamindb as ln; ln.setup.init(storage='./theirs', db={migrated_postgres_url!r}); "
        "ln.File(b'theirs', key='t.txt').save()",
        cwd=Path("other"),
    )
    with pytest.raises(ConflictError, match="other records"):
        setup_move.migrate_to(migrated_postgres_url)
    assert copy_tables.described(context.instance().alias) == before
    assert ln.File(b"on", key="on.txt").save().stage().read_bytes() == b"on"


def test_another_instance_is_never_overwritten(local_instance: Path) -> None:
    fill()
    os.mkdir("other")
    run_python("import lamindb as ln; ln.setup.init(storage='./theirs')", cwd=Path("other"))
    with pytest.raises(ConflictError, match="another instance"):
        setup_move.migrate_to(storage="other/theirs")


def test_damage_stops_a_move(local_instance: Path, tmp_path: Path) -> None:
    file = ln.File(b"right", key="a.txt").save()
    path = local_instance / ".lamindb/objects" / file.digest[:2] / f"{file.digest}.txt"
    path.chmod(0o644)
    path.write_bytes(b"wrong")
    with pytest.raises(IntegrityError, match="repair it first"):
        setup_move.migrate_to(storage=tmp_path / "elsewhere")
    assert context.instance().root_url == str(local_instance)
    ln.File(b"right", key="a.txt").save()
    setup_move.migrate_to(storage=tmp_path / "elsewhere")
    assert ln.File.select(key="a.txt").one().stage().read_bytes() == b"right"


def test_what_arrives_otherwise_stops_a_move(
    local_instance: Path, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill()
    copy = copy_tables.copy

    def careless(source: str, target: str, **options: Any) -> None:
        copy(source, target, **options)
        Run.objects.using(target).filter(name="renamed").order_by().update_rows({"name": "Renamed"})

    monkeypatch.setattr(copy_tables, "copy", careless)
    with pytest.raises(LaminError, match="lamindb_run differ from their source"):
        setup_move.migrate_to(migrated_postgres_url)
    monkeypatch.undo()
    assert context.instance().dialect == "sqlite"
    assert ln.File(b"on", key="on.txt").save().stage().read_bytes() == b"on"


def test_a_new_database_keeps_counting(local_instance: Path, migrated_postgres_url: str) -> None:
    fill()
    setup_move.migrate_to(migrated_postgres_url)
    with databases.connection().cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('lamindb_runoutput', 'id'))")
        assert cursor.fetchone()[0] == max(RunOutput.objects.values_list("id", flat=True)) + 1


def test_a_dump_holds_every_row(tmp_path: Path, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    fill()
    instance = context.instance()
    target = tmp_path / "dump.sqlite3"
    setup_move.dump_to_sqlite(instance.home_path, migrated_postgres_url, target)
    databases.register("lamindb:look", databases.sqlite_config(target))
    try:
        assert copy_tables.described("lamindb:look") == copy_tables.described(instance.alias)
    finally:
        databases.unregister("lamindb:look")
    assert [path.name for path in tmp_path.iterdir() if "dump" in path.name] == ["dump.sqlite3"]


def test_dropped_tables_are_gone_and_others_stay(
    tmp_path: Path, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    home = context.instance().home_path
    with psycopg.connect(migrated_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (x int)")
        lifecycle.close()
        setup_move.drop_tables(home, migrated_postgres_url)
        left = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert left == [("theirs",)]


def test_the_report_can_be_written_down(local_instance: Path, tmp_path: Path) -> None:
    ln.File(b"x", key="x.txt").save()
    report = setup_move.migrate_to(storage=tmp_path / "elsewhere")
    assert json.loads(json.dumps(report.to_dict()))["objects"] == 1
    assert "1 object " in str(report)


def test_a_move_that_is_killed_goes_on(
    local_instance: Path, postgres_server: Any, migrated_template: str, tmp_path: Path
) -> None:
    """Kill a move to PostgreSQL at some of its steps: the old instance stays until the new one is complete."""
    import signal

    from django.db import connections

    from tests.kills import stepping

    wanted = fill()
    lifecycle.close()
    home = local_instance / ".lamindb"
    kept = {name: (home / name).read_bytes() for name in ("db.sqlite3", "instance.toml")}
    outcomes = set()
    for step in (3, 6, 9, 12, 20, 22, 24, 26, 28, 30, 31, 32, 33, 34, 35, 36):
        for name, data in kept.items():
            (home / name).write_bytes(data)
        name = postgres_server.create(migrated_template)
        url = postgres_server.url(name)
        lifecycle.connect(local_instance)
        connections.close_all()
        pid = os.fork()
        if pid == 0:
            try:
                stepping.install(stepping.Steps(stepping.die_at(step)))
                setup_move.migrate_to(url)
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        lifecycle.close()
        moved = "postgresql" in (home / "instance.toml").read_text()
        outcomes.add(moved)
        instance = lifecycle.connect(local_instance, database_url=url if moved else None)
        assert (instance.dialect == "postgresql") == moved
        for key, data in wanted.items():
            assert ln.File.select(key=key).one().stage().read_bytes() == data
        if not moved:
            setup_move.migrate_to(url)
        assert context.instance().dialect == "postgresql"
        assert verify.verify().is_clean
        assert Run.objects.count() == 2
        lifecycle.close()
        registry.forget(home=str(home))
        postgres_server.drop(name)
    assert outcomes == {False, True}


def test_a_folder_moves_to_a_bucket_and_back(seaweed_root: str, instance: Path, tmp_path: Path) -> None:
    wanted = fill()
    ids = {file.id for file in File.objects.all()}
    links = [list(model.objects.values_list("id", "run_id", "file_id")) for model in (RunInput, RunOutput)]
    shown = {key: (instance / key).read_bytes() for key in ("in/a.csv", "out.txt")}
    instance_id = context.instance().id
    there = setup_move.migrate_to(storage=seaweed_root)
    assert there.storage == context.instance().root_url == seaweed_root
    assert there.objects > 5 and there.n_bytes > 0
    assert context.instance().id == instance_id
    assert Storage.objects.get(id=context.instance().storage_id).location == seaweed_root
    assert [list(model.objects.values_list("id", "run_id", "file_id")) for model in (RunInput, RunOutput)] == links
    assert {key: (instance / key).read_bytes() for key in shown} == shown
    assert not (instance / ".lamindb/instance.toml").exists()
    file = ln.File.select(key="out.txt").one()
    assert str(file.path()).startswith(seaweed_root)
    assert [version.stage().read_bytes() for version in file.versions] == [b"first", b"second"]
    assert verify.verify().is_clean
    ids.add(ln.File(b"in the bucket", key="bucket.txt").save().id)
    links = [list(model.objects.values_list("id", "run_id", "file_id")) for model in (RunInput, RunOutput)]
    back = setup_move.migrate_to(storage=tmp_path / "back")
    assert back.objects == there.objects + 1
    assert (tmp_path / "back/bucket.txt").read_bytes() == b"in the bucket"
    assert [list(model.objects.values_list("id", "run_id", "file_id")) for model in (RunInput, RunOutput)] == links
    assert len(list(RemoteStore(seaweed_root).list())) == back.objects
    check(wanted, ids)


def test_a_move_to_a_bucket_that_fails_goes_on(
    seaweed_root: str, instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = fill()
    for where, name in ((copy_tables, "described"), (finish_move, "switch"), (finish_move, "_register_projects")):
        with monkeypatch.context() as failing:
            failing.setattr(where, name, lambda *args, **options: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                setup_move.migrate_to(storage=seaweed_root)
        lifecycle.close()
        lifecycle.connect(instance)
        if name != "_register_projects":
            assert context.instance().root_url == str(instance)
            ln.File(name.encode(), key=f"{name}.txt").save()
    assert context.instance().root_url == seaweed_root
    ids = {file.id for file in File.objects.all()}
    assert {"described.txt", "switch.txt"} <= {file.key for file in File.objects.all()}
    setup_move.migrate_to(storage=tmp_path / "back")
    check(wanted, ids)


WORKER = """
import sys
import lamindb as ln
ln.settings.verbosity = 0
ln.File(b"early", key="early.txt").save()
print("ready", flush=True)
sys.stdin.readline()
for what in (lambda: ln.File(b"late", key="late.txt").save(), lambda: ln.File.select(key="early.txt").one().delete()):
    try:
        what()
        print("done")
    except ln.errors.NoInstanceError as error:
        print("no instance:", error)
    except ln.errors.ConflictError as error:
        print("conflict:", error)
"""


def meanwhile(act: Callable[[Callable[[], None]], None]) -> list[str]:
    """Act while another program has the instance open, which is asked to go on; return what that one is told then."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        assert worker.stdin is not None
        told: list[str] = []

        def go_on() -> None:
            told.extend(worker.communicate("\n", timeout=60)[0].splitlines())

        act(go_on)
        if not told:
            go_on()
    return told


def found_after_the_move() -> None:
    """Nothing is missing, nothing was removed; saving goes on."""
    assert ln.File.select(key="early.txt").one().stage().read_bytes() == b"early"
    assert not File.objects.filter(key="late.txt").exists()
    assert verify.verify().is_clean
    ln.File(b"late", key="late.txt").save()
    assert verify.verify().is_clean


def test_who_has_the_old_database_open_writes_nothing_that_would_be_lost(
    instance: Path, postgres_url: str, tmp_path: Path
) -> None:
    is_sqlite = context.instance().dialect == "sqlite"
    url = context.instance().database_url
    told = meanwhile(lambda go_on: setup_move.migrate_to(postgres_url) and None)
    wanted = "no instance: the database .* (replaced|gone)" if is_sqlite else "no instance: this instance has moved to"
    assert len(told) == 2 and all(re.match(wanted, line) for line in told), told
    found_after_the_move()
    if url is not None:
        import psycopg

        with psycopg.connect(url) as link:
            assert link.execute("SELECT count(*) FROM lamindb_file").fetchone() == (1,)
        with pytest.raises(ConflictError, match="other records"):
            setup_move.migrate_to(url)
        setup_move.drop_tables(tmp_path, url)
        setup_move.migrate_to(url)
        assert ln.File.select().count() == 2


def test_who_has_the_old_storage_open_saves_no_row_without_bytes(instance: Path, tmp_path: Path) -> None:
    is_sqlite = context.instance().dialect == "sqlite"
    told = meanwhile(lambda go_on: setup_move.migrate_to(storage=tmp_path / "other") and None)
    wanted = "no instance: the database .* replaced" if is_sqlite else "conflict: the storage .* has moved to"
    assert re.match(wanted, told[0]), told
    if not is_sqlite:
        assert told[1] == "done"
        File.objects.get(key="early.txt").restore()
    found_after_the_move()


def test_a_shared_folder_may_have_another_name_on_another_machine(instance: Path, tmp_path: Path) -> None:
    url = context.instance().database_url
    os.rename(instance, tmp_path / "renamed")
    connect = f"ln.connect('renamed', database_url={url!r})"
    code = f"import lamindb as ln; {connect}; print(ln.File(b'1', key='a').save().path())"
    assert run_python(code, cwd=tmp_path).stdout.split() == [str(tmp_path / "renamed/a")]


@pytest.mark.parametrize("what", ["db", "storage"])
def test_who_waited_for_the_move_is_refused_before_the_old_place_is_out_of_use(
    instance: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    finish = finish_move.finish

    def move(go_on: Callable[[], None]) -> None:
        def late(home: Path) -> Any:
            monkeypatch.setattr(finish_move, "finish", finish)
            go_on()
            return finish(home)

        monkeypatch.setattr(finish_move, "finish", late)
        setup_move.migrate_to(**{"db": postgres_url} if what == "db" else {"storage": tmp_path / "new"})

    told = meanwhile(move)
    assert len(told) == 2 and all(line.startswith("no instance: this instance has moved to") for line in told), told
    found_after_the_move()
    assert registry.entries()


def test_who_writes_while_an_instance_moves_loses_nothing(instance: Path, postgres_url: str, tmp_path: Path) -> None:
    """Three programs save as fast as they can; what they were told is saved is there after the move."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", BUSY, str(number)], env=clean_environment(), stdout=subprocess.PIPE, text=True
        )
        for number in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None and worker.stdout.readline() == "0\n"
    setup_move.migrate_to(db=postgres_url)
    saved = 0
    for number, worker in enumerate(workers):
        told, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0
        for line in told.splitlines():
            assert File.objects.filter(key=f"busy/{number}/{line}").exists(), (number, line)
            saved += 1
    assert saved
    assert verify.verify().is_clean


BUSY = """
import sys
import lamindb as ln
ln.settings.verbosity = 0
number = 0
try:
    while True:
        ln.File(b"%d" % number, key=f"busy/{sys.argv[1]}/{number}").save()
        print(number, flush=True)
        number += 1
except ln.errors.NoInstanceError:
    pass
"""


NUMBERS: list[Any] = [
    *(6.02214076e23, 1e23, 1e22, 1.7e308, -1.7976931348623157e308, 9007199254740993.0, 123456789012345680000.0),
    *(5e-324, 2.2250738585072014e-308, 0.1, 1 / 3, -0.0, 0.0, 1.0, 1e16, -1e15, 1.5e300),
    *(2**53 + 1, 2**60 + 1, 2**63, 10**23, -(10**30), True, False),
]


def test_numbers_of_any_size_move_there_and_back(
    local_instance: Path, migrated_postgres_url: str, tmp_path: Path
) -> None:
    run = ln.track(ln.Transform(name="n", type="pipeline"), params={"all": NUMBERS, "avogadro": 6.02214076e23})
    ln.finish()
    setup_move.migrate_to(migrated_postgres_url)
    there = Run.objects.get(id=run.id).params
    assert there is not None
    assert [float(number) for number in there["all"]] == [float(number) for number in NUMBERS]
    assert [number for number in there["all"] if isinstance(number, int)][-7:] == NUMBERS[-7:]
    setup_move.dump_to_sqlite(context.instance().home_path, migrated_postgres_url, tmp_path / "dump.sqlite3")
    databases.register("lamindb:look", databases.sqlite_config(tmp_path / "dump.sqlite3"))
    try:
        assert Run.objects.using("lamindb:look").get(id=run.id).params == there
    finally:
        databases.unregister("lamindb:look")


def test_numbers_that_differ_are_found_to(local_instance: Path) -> None:
    alias = context.instance().alias
    run = ln.track(ln.Transform(name="n", type="pipeline"), params={"x": 0})
    ln.finish()

    def digests(value: Any) -> list[copy_tables.Table]:
        Run.objects.filter(id=run.id).order_by().update_rows({"params": {"x": value}})
        return copy_tables.described(alias)

    different: list[Any] = [
        *(6.02214076e23, int(6.02214076e23), 6.022140760000001e23, 10**23, 10**23 + 1, 2**60, 2**60 + 1),
        *(0.1, 0.10000000000000002, 5e-324, 0, 1, True, False, None, "1", "0.1", 1.5, -1.5),
    ]
    found = [digests(value) for value in different]
    for position, one in enumerate(found):
        assert all(copy_tables.differing(one, other) == ["lamindb_run"] for other in found[:position]), different[
            position
        ]
    assert digests(10**23) == digests(1e23)


def test_rows_of_older_versions_that_no_other_database_holds_are_moved_as_they_are_shown(
    local_instance: Path, migrated_postgres_url: str, tmp_path: Path
) -> None:
    run = ln.track(ln.Transform(name="n", type="pipeline"))
    ln.finish()
    alias = context.instance().alias
    odd = {"caf\udce9": ["\0", {"a\0": "b\ud800"}], "caf\\udce9": 1}
    # As they were written before, past what cleans them now.
    with databases.writing(alias) as link, link.cursor() as cursor:
        cursor.execute(
            "UPDATE lamindb_run SET params = %s, arguments = %s, error = %s, capture = %s WHERE id = %s",
            [json.dumps(odd), json.dumps(["caf\udce9\0"]), "broken\0here", '{"x": 1e999}', run.id],
        )
    setup_move.migrate_to(migrated_postgres_url)
    row = Run.objects.get(id=run.id)
    assert row.params == {"caf\\udce9_": ["\\0", {"a\\0": "b\\ud800"}], "caf\\udce9": 1}
    assert (row.arguments, row.error, row.capture) == (["caf\\udce9\\0"], "broken\\0here", {"x": "inf"})
    setup_move.dump_to_sqlite(context.instance().home_path, migrated_postgres_url, tmp_path / "dump.sqlite3")


def test_such_rows_do_not_stop_a_move_to_another_folder(local_instance: Path, tmp_path: Path) -> None:
    run = ln.track(ln.Transform(name="n", type="pipeline"))
    ln.finish()
    with databases.writing(context.instance().alias) as link, link.cursor() as cursor:
        cursor.execute("UPDATE lamindb_run SET params = %s WHERE id = %s", ['{"\\udce9\\u0000": 1}', run.id])
    setup_move.migrate_to(storage=tmp_path / "elsewhere")
    assert Run.objects.get(id=run.id).params == {"\\udce9\\0": 1}


def test_a_server_that_forbids_to_close_the_old_database_is_told_and_the_move_is_done(
    instance: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    is_sqlite = context.instance().dialect == "sqlite"
    ln.File(b"1", key="a.txt").save()
    monkeypatch.setattr(copy_tables, "_CLOSED", "no_such_schema.lamindb_has_moved")
    setup_move.migrate_to(postgres_url)
    assert ln.File.select(key="a.txt").one().stage().read_bytes() == b"1"
    assert ln.File(b"2", key="a.txt").save().version == 2
    assert ("can still be written to" in capsys.readouterr().err) is not is_sqlite
