"""Looking never writes: no row, no byte, no time of a file changes, whatever is looked at."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database as databases
from lamindb.errors import LaminError, NoInstanceError, ReadOnlyError
from lamindb.models import File, Run, RunInput
from lamindb.setup import lifecycle
from lamindb.setup.read_only import open_read_only
from tests.support import showcase
from tests.support.offline import NOBODY
from tests.support.web import Client
from tests.web.conftest import crawl
from tests.web.test_queries import MOST, captured

DEAD = {"host": "", "boot_id": "", "pid": 2**22 + 7, "started": "1", "namespace": ""}
OWN = ("db.sqlite3-wal", "db.sqlite3-shm")
"""The files that SQLite keeps beside a database which is open."""


def picture(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return all files under a folder, with times, sizes and bytes."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if name not in OWN and not path.is_symlink():
                status = path.stat()
                found[str(path)] = (status.st_mtime_ns, status.st_size, path.read_bytes())
    return found


def kill(run: Any) -> None:
    """Let a run look as if its process had died."""
    from lamindb.core import processes

    dead = {**DEAD, "host": processes.host(), "boot_id": processes.boot_id(), "namespace": processes._namespace()}
    Run.objects.using(run.alias).filter(id=run.id).order_by().update_rows({"status": "running", "process": dead})


@pytest.fixture
def made(instance: Path) -> showcase.Showcase:
    """The usual project on each database, with a run that is dead and a view that is damaged."""
    made = showcase.make()
    kill(made.runs["running"])
    shown = instance / "reports/summary.md"
    shown.unlink()
    return made


def test_a_crawl_of_all_pages_changes_nothing(instance: Path, made: showcase.Showcase) -> None:
    alias = context.instance().alias
    rows = {model: list(model.objects.using(alias).order_by("pk").values()) for model in (File, Run, RunInput)}
    client = Client(open_read_only(instance))
    with databases.connection(alias).cursor() as cursor:
        cursor.execute("SELECT 1")
    if context.instance().dialect == "sqlite":
        with databases.connection(alias).cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = picture(instance)
    bad = [(address, answer.status) for address, answer in crawl(client, each=2) if answer.status >= 400]
    assert [one for one in bad if "/lineage" not in one[0]] == []
    assert picture(instance) == before
    after = {model: list(model.objects.using(alias).order_by("pk").values()) for model in (File, Run, RunInput)}
    assert after == rows


def test_a_dead_run_is_shown_as_aborted_and_stays_as_it_is(instance: Path, made: showcase.Showcase) -> None:
    run = made.runs["running"]
    page = Client(open_read_only(instance)).get(f"/runs/{run.id}")
    assert page.status == 200 and "Aborted" in page.text
    with databases.connection(context.instance().alias).cursor() as cursor:
        cursor.execute("SELECT status FROM lamindb_run WHERE id = %s", [run.id])
        assert cursor.fetchone()[0] == "running"


def test_a_dead_run_is_found_as_aborted(instance: Path, made: showcase.Showcase) -> None:
    client = Client(open_read_only(instance))

    def shown(status: str) -> set[str]:
        return set(re.findall(r'<tr><td><a href="/runs/(\w+)"', client.get(f"/runs?status={status}").text))

    dead = made.runs["running"].id
    assert dead in shown("aborted") and dead not in shown("running")
    assert shown("failed") == {made.runs["failed"].id}
    assert "<b>1</b>" in re.search(r'status=failed">(.*?)</a>', client.get("/").text)[1]  # type: ignore[index]
    # Many of them are found without a question for each.
    for _ in range(20):
        kill(showcase.make_run(ln.Transform("died").save()))
    assert len(captured(client, "/runs?status=running")[1]) <= MOST


def test_the_database_refuses_to_be_written(instance: Path, made: showcase.Showcase) -> None:
    opened = open_read_only(instance)
    with pytest.raises(LaminError):
        File.objects.using(opened.alias).filter(id=made.files["model"].id).order_by().update_rows({"name": "x"})
    with pytest.raises(LaminError), databases.connection(opened.alias).cursor() as cursor:
        cursor.execute("DELETE FROM lamindb_flag")
    with context.using(opened), pytest.raises(ReadOnlyError):
        ln.File(b"new", key="new.txt").save()


def test_it_reads_beside_a_writer(instance: Path) -> None:
    client = Client(open_read_only(instance))
    alias = context.instance().alias
    with databases.writing(alias) as connection:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE lamindb_storage SET region = 'x'")
        assert client.get("/files").status == 200
    ln.File(b"1", key="later.txt").save()
    assert "later.txt" in client.get("/files").text.replace("<wbr>", "")


def test_looking_inside_a_tracked_run_makes_no_input(local_instance: Path) -> None:
    file = ln.File(b"a,b\n1,2\n", key="a.csv").save()
    transform = ln.Transform("look").save()
    with ln.Run(transform=transform).save() as run:
        client = Client(open_read_only(local_instance))
        for path in ("", "/preview", "?preview=1"):
            assert client.get(f"/files/{file.id}{path}").status == 200
        assert client.get(f"/raw/{file.id}/a.csv").body == b"a,b\n1,2\n"
    assert run.inputs.list() == []
    assert RunInput.objects.using(run.alias).count() == 0


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make an instance that this process can read and not write; root becomes a user who owns nothing."""
    base = Path(tempfile.mkdtemp(prefix="locked-"))
    for name in ("SETTINGS", "DATA", "CACHE"):
        monkeypatch.setenv(f"LAMIN_{name}_DIR", str(base / name.lower()))
    ln.setup.init(storage=str(base / "mydata"))
    ln.File(b"1", key="a.txt").save()
    # What is imported when it is needed is read before: the program may lie in root's home.
    assert Client(open_read_only(base / "mydata")).get("/files").status == 200
    lifecycle.reset()
    paths = [base, *base.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield base / "mydata"
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(base)


def test_a_folder_that_cannot_be_written_opens(locked: Path) -> None:
    with pytest.raises(PermissionError):
        (locked / "new.txt").touch()
    before = picture(locked)
    client = Client(open_read_only(locked))
    file = "".join(client.get("/files").text.split("<wbr>"))
    assert "a.txt" in file
    found = re.search(r"/files/(\w{20})", file)
    assert found is not None
    for address in (f"/files/{found[1]}", f"/raw/{found[1]}/a.txt", "/health", "/stale", f"/files/{found[1]}/lineage"):
        assert client.get(address).status == 200, address
    lifecycle.reset()
    assert picture(locked) == before


def test_an_older_database_is_refused_and_not_migrated(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamindb.db import migrate

    ln.disconnect()
    known = migrate.known()
    monkeypatch.setattr(migrate, "known", lambda: {*known, "9999_later"})
    before = picture(local_instance)
    with pytest.raises(ReadOnlyError, match="older lamindb"):
        open_read_only(local_instance)
    assert picture(local_instance) == before


def test_without_a_database_there_is_nothing_to_show(local_instance: Path) -> None:
    ln.disconnect()
    for path in (local_instance / ".lamindb").glob("db.sqlite3*"):
        path.unlink()
    with pytest.raises(NoInstanceError):
        open_read_only(local_instance)
    assert not list((local_instance / ".lamindb").glob("db.sqlite3*"))


def test_opening_again_takes_the_place_of_the_one_before(local_instance: Path) -> None:
    first = open_read_only(local_instance)
    second = open_read_only(local_instance)
    assert first.alias == second.alias and first.is_closed and not second.is_closed
    assert context.instance().alias != second.alias and not context.instance().is_read_only


def test_the_page_of_a_run_that_ended_is_loaded_anew(local_instance: Path) -> None:
    run = ln.track(ln.Transform("follow", type="script"))
    address = f"/runs/{run.id}/log"
    client = Client(open_read_only(local_instance))
    assert "every 2s" in client.get(address).text
    assert "HX-Refresh" not in client.get(address, hx_request="true").headers
    ln.finish()
    ended = client.get(address, hx_request="true")
    assert (ended.status, ended.headers["HX-Refresh"]) == (200, "true")
    assert "every 2s" not in client.get(address).text


def test_an_instance_that_is_gone_says_so(local_instance: Path) -> None:
    ln.File(b"1", key="a.txt").save()
    client = Client(open_read_only(local_instance))
    assert client.get("/files").status == 200
    ln.setup.disconnect()
    shutil.move(local_instance, local_instance.with_name("elsewhere"))
    for address in ("/files", "/stale", "/files?type=.csv"):
        answer = client.get(address)
        assert answer.status == 503 and "deleted, moved or replaced" in answer.text


def test_both_hashes_of_a_file_are_found(local_instance: Path) -> None:
    file = ln.File(b"1", key="a.txt").save()
    client = Client(open_read_only(local_instance))
    for text in (file.hash, file.digest, file.id):
        answer = client.get(f"/search?q={text}")
        assert (answer.status, answer.headers["Location"]) == (303, f"/files/{file.id}")


def test_each_file_of_a_list_of_stale_ones_is_marked(local_instance: Path) -> None:
    raw = ln.File(b"1", key="raw.txt").save()
    last = raw
    for n in range(3):
        run = showcase.make_run(ln.Transform(f"step {n}").save(), inputs=[last])
        last = ln.File(b"%d" % n, key=f"step{n}.txt", run=run).save()
    raw.replace(b"2").save()
    page = Client(open_read_only(local_instance)).get("/files?state=stale").text
    assert page.count('<span class="marks">') == 3
