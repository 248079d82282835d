"""What pages ask the database: few queries, each served by an index, none for a total."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

import lamindb as ln
from lamindb.db import database as databases
from lamindb.errors import InvalidInputError
from lamindb.lineage import recall, stale_marks
from lamindb.models import File, Run, Transform
from lamindb.setup.read_only import open_read_only
from lamindb.web import queries
from lamindb.web.queries import FileFilter
from tests.support import depth, large_records, showcase
from tests.support.histories import History, made
from tests.support.plans import UNBOUNDED
from tests.support.stale_rules import Rows
from tests.support.web import Client
from tests.web.conftest import Made, Parsed, crawl, open_client

MOST = 12


def captured(client: Client, address: str) -> tuple[Any, list[str]]:
    connection = databases.connection(client.site.instance.alias)
    connection.ensure_connection()
    connection.queries_log.clear()
    with CaptureQueriesContext(connection) as found:
        answer = client.get(address)
    return answer, [one["sql"] for one in found.captured_queries]


def test_no_page_asks_much(usual: Made) -> None:
    client = open_client(usual.folder)
    for address, _ in crawl(open_client(usual.folder), each=3):
        answer, asked = captured(client, address)
        assert answer.status < 500
        assert len(asked) <= MOST, (address, len(asked))
        assert len({*asked}) == len(asked), address
        for statement in asked if "/lineage" not in address else []:
            assert not UNBOUNDED.search(statement), (address, statement)


def test_no_lineage_asks_much_whatever_is_shown_of_it(usual: Made) -> None:
    client = open_client(usual.folder)
    alias = client.site.instance.alias
    records = [
        f"/{model.__name__.lower()}s/{record_id}/lineage?"
        for model in (File, Run, Transform)
        for record_id in model.objects.using(alias).order_by("id").values_list("id", flat=True)
    ]
    options = [
        "&".join(filter(None, words))
        for words in itertools.product(("", "dir=down"), ("", "depth=4"), ("", "plumbing=hide"), ("", "group=parent"))
    ]
    for address in depth.spread(5, [record + option for record in records for option in options]):
        answer, asked = captured(client, address)
        assert answer.status == 200
        assert len(asked) <= MOST, (address, asked)


def test_a_search_finds_what_the_library_finds(instance: Path) -> None:
    file = ln.File(b"1.5", key="results/signal.txt").save()
    ln.Transform(name="summarise", type="pipeline").save()
    page = Client(open_read_only(instance))
    assert [found.id for found in ln.File.search("signl")] == [file.id]
    assert f"/files/{file.id}" in page.get("/search?q=signl").text
    assert "summarise" in page.get("/search?q=sumarise").text
    assert "Nothing was found" in page.get("/search?q=zzzz").text


def test_what_a_search_says_is_true_of_what_it_finds(instance: Path) -> None:
    file = ln.File(b"1", key="results/signal.txt").save()
    page = Client(open_read_only(instance))
    for typed in ("signl", "results signla"):
        text = page.get(f"/search?q={typed}").text
        assert f"/files/{file.id}" in text and "that are like it: the closest first" in text and "contain" not in text
    # What it advises finds the file: three letters in a row.
    text = page.get("/search?q=sgqnxl").text
    assert "Nothing was found" in text and "three letters in a row" in text
    assert f"/files/{file.id}" in page.get("/search?q=gna").text
    assert "Type three letters or more" in page.get("/search?q=zz").text
    assert "Runs whose name" in page.get("/search?q=signl&kind=runs").text


@pytest.fixture
def filled(instance: Path) -> Client:
    """An instance on each database, with statistics and enough rows for its planner."""
    showcase.make()
    return Client(open_read_only(instance))


LISTS = [
    "/files", "/files?after={cursor}", "/files?type=.csv", "/files?transform={transform}", "/files?state=trash",
    "/runs", "/runs?after={cursor}", "/runs?status=failed", "/runs?transform={transform}", "/folders", "/folders?p=raw",
]  # fmt: skip


def test_lists_are_served_by_an_index(local_instance: Path) -> None:
    made = showcase.make()
    client = Client(open_read_only(local_instance))
    connection = databases.connection(client.site.instance.alias)
    place = queries.cursor(made.files["model"])
    for address in LISTS:
        _, asked = captured(client, address.format(cursor=place, transform=made.transforms["train"].id))
        for statement in asked:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
                steps = [row[3] for row in cursor.fetchall()]
            bad = [one for one in steps if re.fullmatch(r"SCAN (lamindb_file|lamindb_run|f|r|i)", one)]
            assert bad == [], (address, statement, steps)


@pytest.mark.parametrize("after", ["", "1", "x-y", "1-", "-a", "99999999999999999999-a", "1-a b", "1-a'"])
def test_a_cursor_is_a_time_and_an_id(after: str) -> None:
    with pytest.raises(InvalidInputError):
        queries.read_cursor(after)


@pytest.mark.usefixtures("instance")
def test_levels_of_the_tree_are_those_of_the_keys(instance: Path) -> None:
    keys = ["a", "b/x", "b/y/z", "b0", "b/y!", "ä/ö", "b/y/w/deep", "c d/e", "b.txt", "B/x", "b-/x"]
    for key in keys:
        ln.File(key.encode(), key=key).save()
    opened = open_read_only(instance)
    for folder in ("", "b", "b/y", "ä", "nothing"):
        prefix = f"{folder}/" if folder else ""
        below = [key[len(prefix) :] for key in keys if key.startswith(prefix)]
        wanted = {one.partition("/")[0] + ("/" if "/" in one else "") for one in below}
        found, after = queries.children(opened, folder)
        assert sorted(one.name + ("/" if one.folder else "") for one in found) == sorted(wanted)
        assert after == ""


@pytest.mark.usefixtures("instance")
def test_a_level_continues_where_it_stopped(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"d{n}/x" for n in range(7)] + [f"f{n}" for n in range(6)]
    for key in keys:
        ln.File(key.encode(), key=key).save()
    opened = open_read_only(instance)
    monkeypatch.setattr(queries, "_MOST_CHILDREN", 3)
    names, after = [], ""
    while True:
        found, after = queries.children(opened, "", after)
        names += [one.name for one in found]
        if not after:
            break
    assert names == [*(f"d{n}" for n in range(7)), *(f"f{n}" for n in range(6))]


def test_marks_of_lists_are_those_of_the_library(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = filled.site.instance
    files = list(File.objects.using(instance.alias).filter(is_latest=True, trashed_at__isnull=True))
    ids = [one.id for one in files]
    direct = {one.id for one in files if any(reason.is_direct for reason in one.staleness().reasons)}
    marks = queries.marks_among(instance, ids)
    assert marks.stale == {one.id for one in files if one.is_stale} > direct and marks.is_whole
    assert marks.affected & {*ids} == {one.id for one in files if one.is_affected}
    note = "only by way of other files"
    assert note not in filled.get("/files").text
    # Where much is replaced, only what the runs themselves read is looked at.
    monkeypatch.setattr(stale_marks, "_FEW_OF_PAGE", (-1, -1))
    marks = queries.marks_among(instance, ids)
    assert direct and marks.stale == direct and not marks.is_whole
    assert note in filled.get("/files").text


@pytest.mark.parametrize("most", [2, 100])
def test_types_are_offered_that_a_file_has(instance: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(queries, "_MOST_SUFFIXES", most)
    for key in ("a.csv", "b.csv", "c.zarr", "d.bam", "none", "old.gz"):
        ln.File(key.encode(), key=key).save()
    ln.File.select(key="old.gz").one().delete()
    page = Client(open_read_only(instance))
    monkeypatch.setattr(queries, "ROWS", 1)
    known = sorted([".csv", ".zarr", ".bam"])
    assert queries.suffixes(page.site.instance) == known[:most]

    def offered(address: str) -> set[str]:
        return set(re.findall(r"[?&;]type=([^&\"]+)\"", page.get(address).text))

    # The newest file is in the trash, the one before it has no suffix.
    assert offered("/files") == set(known[:most])
    assert offered("/files?state=trash") == {*known[:most], ".gz"}


def test_direct_affected_marks_are_those_of_the_library(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "_FEW", -1)
    instance = filled.site.instance
    again = showcase.make_run(ln.Transform("again").save(), inputs=[ln.File.select(key="raw/plate.csv").one()])
    written = ln.File.select(key="metrics/run3.csv").one()
    again.outputs.add(written)
    alone = ln.File(b"nothing of this", key="alone.txt").save()
    farther = showcase.make_run(ln.Transform("farther").save(), inputs=[ln.File.select(key="qc/plate-mean.csv").one()])
    ln.File(b"far", key="far.txt", run=farther).save()
    files = list(File.objects.using(instance.alias).filter(is_latest=True, trashed_at__isnull=True))
    direct = {one.id for one in files if any(cause.is_direct for cause in one.affected_by().reasons)}
    assert written.id in direct and alone.id not in direct
    marks = queries.marks_among(instance, [one.id for one in files])
    assert marks.affected == direct and not marks.is_whole
    page = filled.get("/files").text
    rows = {found[1]: one for one in page.split("<tr>") if (found := re.search(r"/files/(\w+)", one)) is not None}
    assert {record_id for record_id, row in rows.items() if ">Affected<" in row} == direct & set(rows) != set()
    for flag in ln.File.select(key="raw/plate.csv").one().flags:
        flag.file.unflag()
        break
    assert queries.marks_among(instance, [one.id for one in files]).affected == set()


def test_a_run_that_appends_to_its_input_is_not_stale(local_instance: Path) -> None:
    first = ln.File(b"1", key="table.csv").save()
    transform = ln.Transform("append").save()
    run = showcase.make_run(transform, inputs=[first])
    second = ln.File(b"1\n2", key="table.csv", run=run).save()
    log = ln.File(b"log", key="log.txt", run=run).save()
    opened = open_read_only(local_instance)
    assert queries.marks_among(opened, [second.id, log.id]).stale == set()
    assert not second.is_stale and not log.is_stale


def test_what_was_written_from_a_file_does_not_make_it_stale(instance: Path) -> None:
    table = ln.File(b"1", key="table.csv").save()
    chosen = made("choose", [table], b"chosen", "chosen.csv")
    made("go on", [chosen], b"2", "table.csv")
    other = made("other", [table], b"other", "other.csv")
    opened = open_read_only(instance)
    assert other.is_stale and not chosen.is_stale
    assert queries.marks_among(opened, [chosen.id, other.id]).stale == {other.id}


@pytest.mark.parametrize("seed", [1, 7, 8])
def test_direct_marks_follow_the_rules(instance: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale_marks, "_FEW_OF_PAGE", (-1, -1))
    history = History(seed)
    for _ in range(40):
        history.step()
    rules = Rows.read()
    direct = {
        file
        for file in rules.files
        if (run := rules.newest_producer(file)) is not None
        and any(rules.reason(run, read) for read in rules.last_read(run))
    }
    assert direct and queries.marks_among(open_read_only(instance), list(rules.files)).stale == direct


def test_what_takes_too_long_is_stopped_and_said(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(30):
        ln.File(b"%d" % n, key=f"{n}.txt").save()
    opened = open_read_only(local_instance)
    monkeypatch.setattr(queries, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(queries, "_STEPS", 1)
    found = queries.files(opened, FileFilter(suffix=".none"))
    assert found.is_cut and found.rows == []
    assert "Stopped after 2 s" in Client(opened).get("/files?type=.none").text
    monkeypatch.undo()
    assert not queries.files(opened, FileFilter(suffix=".none")).is_cut


LARGE = large_records.FULL if depth.FULL else large_records.Sizes(2_000, 4 << 20)


def test_much_of_everything_stays_a_small_page(instance: Path) -> None:
    made = large_records.make(LARGE)
    client = Client(open_read_only(instance))
    for address in made.lists:
        answer, asked = captured(client, address)
        assert answer.status == 200 and len(asked) <= MOST, address
        assert len(answer.body) < 500_000, (address, len(answer.body))
    for address in made.lineage:
        answer, _ = captured(client, address)
        assert answer.status == 200 and len(answer.body) < 500_000, (address, len(answer.body))
    assert "and 4900 more" in client.get(made.run).text
    page = Parsed(client.get(f"{made.run}/log").text)
    assert any("?end=" in found.get("href", "") for _, found in page.tags)


def test_the_pieces_of_a_log_are_the_log(local_instance: Path) -> None:
    text = "".join(f"line {n}\n" for n in range(30_000))
    run = showcase.make_run(ln.Transform("long").save(), log=text)
    client = Client(open_read_only(local_instance))
    pieces, address = [], f"/runs/{run.id}/log"
    while True:
        page = client.get(address).text
        shown = re.search(r'<pre class="log[^>]*>(.*?)</pre>', page, re.DOTALL)
        assert shown is not None
        pieces.insert(0, shown[1])
        earlier = re.search(r'href="(\?end=\d+)">Earlier', page)
        if earlier is None:
            break
        address = f"/runs/{run.id}/log{earlier[1]}"
    assert len(pieces) > 3 and "".join(pieces) == text


def test_nothing_is_a_whole_page_too(local_instance: Path) -> None:
    client = Client(open_read_only(local_instance))
    for address, answer in crawl(client, each=2):
        assert answer.status in (200, 303), address
    assert "Nothing is here yet" in client.get("/").text and "No files" in client.get("/files").text


def test_odd_records_are_whole_pages(local_instance: Path, tmp_path: Path) -> None:
    transform = ln.Transform("bare").save()
    run = showcase.make_run(transform, status=None)
    Run.objects.using(run.alias).filter(id=run.id).order_by().update_rows({"started_at": None, "created_by_id": None})
    file = ln.File(b"no key", name="loose", run=run).save()
    File.objects.using(file.alias).filter(id=file.id).order_by().update_rows({"created_by_id": None})
    trashed = ln.File(b"x", key="gone.txt").save()
    trashed.delete()
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_text("1")
    folder = ln.File(tmp_path / "d", key="d").save()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.csv").write_text("a,b\n1,2\n")
    ln.Storage(root=str(elsewhere)).save()
    far = ln.File(elsewhere / "far.csv").save()
    client = Client(open_read_only(local_instance))
    for one in (file, trashed, folder, far):
        assert client.get(f"/files/{one.id}?preview=1&reasons=1").status == 200
    for address in (
        f"/runs/{run.id}",
        f"/transforms/{transform.id}",
        f"/storages/{far.storage_id}",
        "/storages",
        "/health",
    ):
        assert client.get(address).status == 200
    assert "In trash" in client.get(f"/files/{trashed.id}").text
    assert client.get(f"/raw/{far.id}/x").body == b"a,b\n1,2\n"
    (elsewhere / "far.csv").unlink()
    assert client.get(f"/raw/{far.id}/x").status == 409


@pytest.mark.parametrize("looked_at", [1, 1_000])
def test_pages_of_a_folder_and_of_the_trash_show_each_file_once(
    instance: Path, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    names = ["a/1", "a/2", "b", "a/c/3", "a0", "a/4", "a/5", "c/6", "a/7"]
    saved = [ln.File(name.encode(), key=name).save() for name in names]
    for name in ("a/4", "a/1", "c/6", "b"):
        next(file for file in saved if file.key == name).delete()
    opened = open_read_only(instance)
    monkeypatch.setattr(queries, "ROWS", 2)
    monkeypatch.setattr(queries, "_LOOKED_AT_FIRST", looked_at)

    def listed(**chosen: str) -> list[str]:
        keys: list[str] = []
        after = ""
        while True:
            found = queries.files(opened, FileFilter(**chosen), after)
            keys += [str(file.key) for file in found.rows]
            after = found.after
            if not after:
                return keys

    assert listed(folder="a") == ["a/7", "a/5", "a/c/3", "a/2"]
    assert listed(state="trash") == ["b", "c/6", "a/1", "a/4"]
    assert listed(state="trash", folder="a/") == ["a/1", "a/4"]
    assert listed(folder="a", suffix=".none") == []


def test_the_page_of_a_run_marks_what_it_read_and_made(filled: Client) -> None:
    stale = ln.File.select(key="metrics/run3.csv").one()
    page = filled.get(f"/runs/{stale.run_id}").text
    read, made = (re.search(rf'<ul aria-label="{name}">(.*?)</ul>', page, re.DOTALL)[1] for name in ("Read", "Made"))  # type: ignore[index]
    assert ", stale" in read and ", stale" in made
    assert "An input, or what it came from, is no longer current." in page


def test_affected_files_are_a_filter(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transform = ln.Transform("clean", type="script", reference="clean.py").save()
    bad = ln.File(b"bad", key="raw/0.txt").save()
    made = [bad]
    for n in range(4):
        run = ln.Run(transform=transform, inputs=[made[-1]]).save()
        made.append(ln.File(str(n).encode(), key=f"clean/{n}.txt", run=run).save())
    other = ln.File(b"other", key="clean/other.txt").save()
    client = Client(open_read_only(instance))
    site = client.site.instance
    assert queries.files(site, FileFilter(state="affected")).rows == []
    bad.flag("wrong")
    derived = [file.id for file in reversed(made[1:])]

    def found(**chosen: str) -> tuple[list[str], bool]:
        rows = queries.files(site, FileFilter(state="affected", **chosen))
        return [file.id for file in rows.rows], rows.is_cut

    page = client.get("/files?state=affected").text
    assert all(file_id in page for file_id in derived) and other.id not in page and bad.id not in page
    assert page.count("Affected</span>") == 4 and 'href="/files?state=affected"' in client.get("/files").text
    assert found() == found(folder="clean") == (derived, False) and found(folder="raw") == ([], False)
    # Many files are affected: they are not listed by their ids.
    monkeypatch.setattr("lamindb.lineage.recall._FEW", 2)
    assert found() == found(folder="clean") == (derived, False) and found(suffix=".csv") == ([], False)
    # It takes too long to find all of them: what is directly affected is found, and the page says that it is a part.
    monkeypatch.setattr(queries, "_page", lambda *_, **__: queries.Rows([], is_cut=True))
    assert found() == ([made[1].id], True)
