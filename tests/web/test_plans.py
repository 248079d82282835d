"""How the databases answer what pages ask, of some thousand files: by an index that the limit ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import big
from lamindb.db import database
from lamindb.models import File, Run
from lamindb.setup.read_only import open_read_only
from lamindb.web import queries
from lamindb.web.views import lineage
from tests.support import plans
from tests.support.plans import MANY, UNBOUNDED, plans_of
from tests.support.web import Client

MOST = 12
"""The most statements of a page."""

USER, TRANSFORM, RUN, FILE = "user3", "0000000000000002", "r0000000000000000300", "00000000000000010001"
LAST = "00000000000000390001"
OPENED = ",".join(f"r{number:019}:{side}" for number in (1, 3, 5, 300) for side in ("up", "down"))
PAGES = [
    "/", "/files", "/files?after={file}", "/files?type=.bam", "/files?type=.none", "/files?who=" + USER,
    "/files?transform=" + TRANSFORM, "/files?since=2023-01-03", "/files?old=1", "/files?state=trash",
    "/files?state=affected", "/files?state=affected&after={file}", "/files?state=affected&folder=project0",
    "/files?folder=imaging", "/files?folder=project0/batch0", "/folders", "/folders?p=imaging/plate00",
    "/runs", "/runs?after={run}", "/runs?status=failed", "/runs?status=running", "/runs?transform=" + TRANSFORM,
    "/runs?who=" + USER, "/runs?since=2023-01-03", "/runs?reads=" + FILE,
    "/transforms", f"/transforms/{TRANSFORM}", f"/users/{USER}", "/stale", "/stale/count", "/flags", "/health",
    f"/files/{FILE}", f"/files/{FILE}/lineage", f"/files/{FILE}/why", f"/runs/{RUN}", f"/runs/{RUN}/inputs",
    f"/runs/{RUN}/outputs", f"/runs/{RUN}/steps", f"/runs/{RUN}/changes", f"/runs/{RUN}/lineage",
    f"/transforms/{TRANSFORM}/lineage", "/lineage", f"/lineage/impact?id={RUN}", f"/lineage/impact?id={FILE}",
    f"/lineage/impact?id={LAST}", f"/lineage/impact?id={TRANSFORM}", f"/files/{LAST}/lineage?dir=up&depth=6",
    f"/files/{LAST}/lineage?group=folder&plumbing=hide", f"/files/{LAST}/lineage?group=parent&as=tree",
    f"/runs/{RUN}/lineage?depth=8&as=table", f"/files/{LAST}/lineage?at=2023-06-01",
    f"/runs/{RUN}/lineage?depth=4&group=folder", f"/files/{LAST}/lineage?depth=2&open=" + OPENED,
    f"/lineage/path?a={FILE}&b={LAST}", f"/lineage/path?a={FILE}&b={LAST}&all=1", "/search?q=plate00",
    "/search?q=00000000", "/search?q=r0000000", "/lineage/path?a=00000000&b=r0000000",
    f"/stale/{FILE}", f"/affected/{FILE}",
    f"/compare?a={RUN}&b=r0000000000000000301", "/storages",
]  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[big.Big]:
    """A project with some thousand files, of which the database has statistics."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    yield from plans.project(tmp_path_factory.mktemp("plans"), server)


@pytest.fixture
def client(made: big.Big, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of the project."""
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(made.root.parent / "settings"))
    # A page whose time is over is read again, without what took the time.
    monkeypatch.setattr(lineage, "_PATIENCE_SECONDS", 600.0)
    return Client(open_read_only(made.root))


@pytest.mark.parametrize("address", PAGES)
def test_a_page_asks_little_and_each_statement_ends_by_an_index(client: Client, address: str) -> None:
    alias = client.site.instance.alias
    middle = {
        "file": queries.cursor(File.objects.using(alias).get(id=FILE)),
        "run": queries.cursor(Run.objects.using(alias).get(id=RUN)),
    }
    answers: list[Any] = []
    found = plans_of(database.connection(alias), lambda: answers.append(client.get(address.format(**middle))))
    assert answers[0].status == 200, answers[0].text
    assert len(found) <= MOST, "\n".join(f"{len(found)}: {sql[:100]} … {sql[-200:]}" for sql, _ in found)
    for sql, plan in found:
        # Of the nodes of a picture, producers and neighbours are counted, and what a record became up to a limit.
        assert "lineage" in address or not UNBOUNDED.search(sql), sql
        assert MANY.search(plan) is None, f"{sql}\n{plan}"
        if 'U0."key" >=' in sql:
            # The files of a folder are found by their keys: in the order of times they may be the last of all.
            assert re.search(r"\(key>|Index Cond: .*key.* >= ", plan), f"{sql}\n{plan}"
            assert 'ORDER BY U0."' not in sql, sql
