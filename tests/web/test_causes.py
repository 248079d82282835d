"""Stale and affected files by what makes them so: a link to all of a group, a page at a time."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.db import database
from lamindb.errors import DatabaseError
from lamindb.lineage import stale_marks
from lamindb.setup.read_only import open_read_only
from lamindb.web import causes, queries
from tests.support import showcase
from tests.support.histories import made
from tests.support.plans import UNBOUNDED
from tests.support.web import Client
from tests.web.test_copied_code import codes_of
from tests.web.test_queries import MOST, captured

MADE, OTHERS = 14, 3


def make(folder: Path) -> dict[str, Any]:
    """Make two files, and others from them: directly, and by way of others."""
    transform = ln.Transform("derive", type="script").save()
    made: dict[str, Any] = {}
    for name, count in (("many", MADE), ("few", OTHERS)):
        read = ln.File(name.encode(), key=f"raw/{name}.csv").save()
        files = []
        for number in range(count):
            # Each third is made from the one before.
            before = files[-1] if number % 3 == 2 else read
            run = showcase.make_run(transform, inputs=[before])
            files.append(ln.File(f"{name} {number}".encode(), key=f"made/{name}{number}.csv", run=run).save())
            ln.File(f"fresh {name} {number}".encode(), key=f"made/fresh-{name}{number}.csv").save()
        made[name] = read, [file.id for file in files]
    made["client"] = Client(open_read_only(folder))
    return made


@pytest.fixture
def project(instance: Path) -> dict[str, Any]:
    return make(instance)


def replace_all(project: dict[str, Any]) -> None:
    for name in ("many", "few"):
        ln.File(b"replaced", key=project[name][0].key).save()
        project[name][0].flag("wrong")


def shown_by_pages(client: Client, address: str, most: int = MOST) -> list[list[str]]:
    """Return the ids on each page of a list, each of which asks little."""
    pages = []
    base = address
    while address:
        answer, asked = captured(client, address)
        assert answer.status == 200 and len(asked) <= most, (address, len(asked), asked)
        assert not any(map(UNBOUNDED.search, asked))
        pages.append(re.findall(r'<tr><td>.*?/files/(\w+)"', answer.text))
        following = re.search(r'href="(\?[^"]*)" rel="next"', answer.text)
        address = f"{base}{unescape(following[1])}" if following else ""
        assert len(pages) < 40
    return pages


@pytest.mark.parametrize("kind", ["stale", "affected"])
@pytest.mark.parametrize(
    ("rows", "looked_at", "newest"), [(50, 240, 60), (4, 240, 60), (4, 5, 60), (4, 5, 3), (50, 7, 3)]
)
def test_the_rest_of_a_group_is_a_link_away(
    project: dict[str, Any], monkeypatch: pytest.MonkeyPatch, kind: str, rows: int, looked_at: int, newest: int
) -> None:
    replace_all(project)
    client = project["client"]
    page = client.get("/stale").text
    read, wanted = project["many"]
    assert f"and {MADE - 10} more" in page and f'href="/{kind}/{read.id}">Show all' in page
    # The other group is shown as a whole.
    assert f"/{kind}/{project['few'][0].id}" not in page
    monkeypatch.setattr(queries, "ROWS", rows)
    monkeypatch.setattr(queries, "_LOOKED_AT", (looked_at,))
    monkeypatch.setattr(causes, "_LOOKED_AT", looked_at)
    # With fewer, the newest stale files are looked at in turn; with more, all of them at once.
    monkeypatch.setattr(causes, "MOST_NEWEST", newest)
    for cause, ids in (project["many"], project["few"]):
        found = shown_by_pages(client, f"/{kind}/{cause.id}")
        assert [file_id for one in found for file_id in one] == ids[::-1]
        assert all(len(one) <= rows for one in found)
    is_one = len(shown_by_pages(client, f"/{kind}/{read.id}")) == 1
    python, _ = codes_of(client.get(f"/{kind}/{read.id}").text)["" if is_one else "All pages"]
    assert {one.id for one in eval(python, {"ln": ln})} == set(wanted)


def test_no_stale_file_is_left_out_between_pages(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = [ln.File(name.encode(), key=name).save() for name in ("one", "two")]
    files = [
        made(f"step {number}", [reads[number // 6 % 2]], f"{number}".encode(), f"made/{number}") for number in range(24)
    ]
    for read in reads:
        ln.File(b"replaced", key=read.key).save()
    # More of the newest files are stale than are looked at for one page.
    monkeypatch.setattr(queries, "_LOOKED_AT", (16,))
    monkeypatch.setattr(causes, "_LOOKED_AT", 4)
    monkeypatch.setattr(causes, "MOST_NEWEST", 3)
    for position, read in enumerate(reads):
        pages = shown_by_pages(Client(open_read_only(instance)), f"/stale/{read.id}")
        wanted = [file.id for number, file in enumerate(files) if number // 6 % 2 == position]
        assert [file_id for one in pages for file_id in one] == wanted[::-1]


def test_files_with_a_nearer_cause_do_not_hide_older_ones(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = ln.File(b"far", key="far").save()
    wanted = [made(f"step {number}", [far], f"{number}".encode(), f"of/far{number}") for number in range(2)]
    near = made("near", [far], b"near", "near")
    for number in range(6):
        made(f"of near {number}", [near], f"of near {number}".encode(), f"of/near{number}")
    far.flag("wrong")
    near.flag("wrong, too")
    monkeypatch.setattr(causes, "_LOOKED_AT", 3)
    pages = shown_by_pages(Client(open_read_only(instance)), f"/affected/{far.id}")
    assert [file_id for one in pages for file_id in one] == [near.id, *(file.id for file in wanted[::-1])]
    assert not pages[0]


def test_a_page_of_a_cause_speaks_of_nothing(project: dict[str, Any]) -> None:
    client, (read, _) = project["client"], project["many"]
    for kind in ("stale", "affected"):
        assert f"No current file is {kind} by this version" in client.get(f"/{kind}/{read.id}").text
        assert client.get(f"/{kind}/zzzz0000zzzz0000zzzz").status == 404
        assert client.get(f"/{kind}/{read.id}?after=x").status == 400


def test_what_takes_too_long_is_said(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(local_instance)
    replace_all(project)
    monkeypatch.setattr(causes, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(queries, "_STEPS", 1)
    read, made = project["many"]
    for kind in ("stale", "affected"):
        page = project["client"].get(f"/{kind}/{read.id}")
        assert page.status == 200 and "Stopped after 4 s" in page.text
    # A file that is not flagged affects none, however long the question takes.
    assert "No current file is affected" in project["client"].get(f"/affected/{made[0]}").text


def far_and_near(monkeypatch: pytest.MonkeyPatch, count: int = 12) -> tuple[list[Any], list[Any]]:
    """Return replaced files, and files that are stale by one or the other: directly, or some steps before.

    So little is looked at that nothing near decides most of them.
    """
    near, far = (ln.File(name.encode(), key=f"raw/{name}").save() for name in ("near", "far"))
    steps = [far]
    for number in range(5):
        steps.append(made(f"step {number}", [steps[-1]], f"step {number}".encode(), f"steps/{number}"))
    others = [ln.File(f"fresh {number}".encode(), key=f"fresh/{number}").save() for number in range(4)]
    found = []
    for number in range(count):
        read = [near] if number % 4 == 0 else [*others, steps[-1]]
        found.append(made(f"result {number}", read, f"result {number}".encode(), f"results/{number}"))
    for one in (near, far):
        ln.File(b"replaced", key=one.key).save()
    monkeypatch.setattr(stale_marks, "_FEW_OF_PAGE", (-1, -1))
    monkeypatch.setattr(stale_marks, "PAGE_LOOKS", 2)
    monkeypatch.setattr(stale_marks, "_NARROW", 0)
    monkeypatch.setattr(stale_marks, "_PAIRS", 1)
    return [near, far], [*steps[1:], *found]


@pytest.mark.parametrize(("newest", "looked_at"), [(2, 4), (3, 6), (60, 120)])
def test_no_file_is_lost_that_nothing_near_decides(
    instance: Path, monkeypatch: pytest.MonkeyPatch, newest: int, looked_at: int
) -> None:
    (near, far), files = far_and_near(monkeypatch)
    monkeypatch.setattr(queries, "_LOOKED_AT", (3, looked_at))
    monkeypatch.setattr(causes, "_LOOKED_AT", looked_at)
    monkeypatch.setattr(causes, "MOST_NEWEST", newest)
    client = Client(open_read_only(instance))
    wanted = {
        near.id: files[5::4],
        far.id: [file for number, file in enumerate(files) if number < 5 or number % 4 != 1],
    }
    for cause, of_cause in wanted.items():
        # Where nothing near decides, everything that is tried costs a question or two.
        pages = shown_by_pages(client, f"/stale/{cause}", MOST + 4)
        assert [file_id for one in pages for file_id in one] == [file.id for file in of_cause[::-1]]
    listed = shown_by_pages(client, "/files?state=stale")
    assert [file_id for one in listed for file_id in one] == [file.id for file in files[::-1]]


def test_a_nearer_cause_is_shown_whatever_is_looked_at_first(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A farther cause by way of the newest input must not hide the nearer one."""
    near, far = (ln.File(name.encode(), key=f"raw/{name}").save() for name in ("near", "far"))
    by_near = made("by near", [near], b"by near", "by/near")
    fresh = [made(f"fresh {number}", [], f"{number}".encode(), f"fresh/{number}") for number in range(3)]
    by_far = made("by far", [made("to far", [far], b"to far", "to/far")], b"by far", "by/far")
    results = [
        made(f"result {number}", [by_near, *fresh, by_far], f"result {number}".encode(), f"results/{number}")
        for number in range(5)
    ]
    for one in (near, far):
        ln.File(b"replaced", key=one.key).save()
    monkeypatch.setattr(stale_marks, "_NARROW", 0)
    monkeypatch.setattr(stale_marks, "_PAIRS", 1)
    monkeypatch.setattr(causes, "MOST_NEWEST", 3)
    client = Client(open_read_only(instance))
    shown = {file_id for one in shown_by_pages(client, f"/stale/{near.id}") for file_id in one}
    assert shown == {by_near.id, *(one.id for one in results)}
    assert {file_id for one in shown_by_pages(client, f"/stale/{far.id}") for file_id in one} == {
        by_far.id, ln.File.select(key="to/far").one().id,
    }  # fmt: skip


def test_an_interrupted_question_leaves_the_search_as_it_was(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ln.File(b"1", key="raw").save()
    first = made("clean", [source], b"first", "clean")
    ln.File(b"2", key="raw").save()
    second = ln.File(b"by hand", key="clean").save()
    merged = made("merge", [first, second], b"merged", "merged")
    connection = database.connection(first.alias)
    search = stale_marks.Search(connection, [first.id, merged.id], few=(-1, -1))
    expected = stale_marks.Search(connection, [first.id, merged.id], few=(-1, -1)).causes([first.id, merged.id], 5)

    def interrupted(*_: Any) -> Any:
        raise DatabaseError("interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(search, "_by_rules", interrupted)
        with pytest.raises(DatabaseError):
            search.causes([first.id, merged.id], 5)
    assert search.causes([first.id, merged.id], 5) == expected
