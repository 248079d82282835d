"""How the databases answer what people ask all day: by an index that the limit ends, without a scan or a sort."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import lamindb as ln
from benchmarks import big
from lamindb.core import context
from lamindb.db import database
from lamindb.describe import record
from lamindb.describe.history import history
from lamindb.files import levels
from tests.support import plans
from tests.support.plans import MANY, check


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[big.Big]:
    """Make a project with some thousand files, of which the database has statistics."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    yield from plans.project(tmp_path_factory.mktemp("plans"), server)


@pytest.fixture
def project(made: big.Big, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the project."""
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(made.root.parent / "settings"))
    ln.connect(made.root)


USER, TRANSFORM, RUN = "00000003", "0000000000000002", "r0000000000000000300"

LISTS: dict[str, Callable[[], Any]] = {
    "newest files": lambda: ln.File.select(),
    "files by suffix": lambda: ln.File.select(suffix=".bam"),
    "files by suffix that none has": lambda: ln.File.select(suffix=".none"),
    "files by user": lambda: ln.File.select(created_by_id=USER),
    "files by transform": lambda: ln.File.select(transform_id=TRANSFORM),
    "files by run": lambda: ln.File.select(run_id=RUN),
    "files by storage": lambda: ln.File.select(storage_id=context.instance().storage_id),
    "files since": lambda: ln.File.select(created_at__gte="2023-01-03"),
    "newest runs": lambda: ln.Run.select(),
    "runs by status": lambda: ln.Run.select(status="failed"),
    "runs by status that none has": lambda: ln.Run.select(status="running"),
    "runs by transform": lambda: ln.Run.select(transform_id=TRANSFORM),
    "runs by user": lambda: ln.Run.select(created_by_id=USER),
    "runs of a run": lambda: ln.Run.select(parent_id=RUN),
    "runs since": lambda: ln.Run.select(created_at__gte="2023-01-03"),
    "newest transforms": lambda: ln.Transform.select(),
    "trash": lambda: ln.File.select(trashed_at__isnull=False),
}


def plans_of(work: Callable[[], Any]) -> list[tuple[str, str]]:
    """Run something and return its statements that read, each with its plan."""
    return plans.plans_of(database.connection(context.instance().alias), work)


@pytest.mark.parametrize("name", LISTS)
def test_pages_of_lists_end_with_their_limit(project: None, name: str) -> None:
    by = "trashed_at" if name == "trash" else "created_at"
    page = LISTS[name]().page(size=3, by=by)
    check(plans_of(lambda: LISTS[name]().page(size=3, by=by)))
    if page.next is not None:
        later = plans_of(lambda: LISTS[name]().page(after=page.next, size=3, by=by))
        check(later)
        for sql, plan in later:
            # The index is searched for the time, besides what the list is filtered by.
            assert re.search(rf"{by}<\?|Index Cond: .*{by} <= ", plan), f"{sql}\n{plan}"


def test_levels_are_read_by_ranges_of_keys(project: None) -> None:
    for prefix in ("", "project0", "imaging/plate00/"):
        found = plans_of(lambda prefix=prefix: levels.level(ln.File.select(), prefix))  # type: ignore[misc]
        # PostgreSQL sorts the few hundred rows of a range.
        check(found, may_sort=True)
        for sql, plan in found:
            if '"key" >=' in sql:
                assert re.search(r"file_key \(key>|Index Cond: .*key.* >= ", plan), f"{sql}\n{plan}"


SINCE = datetime.datetime(2023, 1, 3, tzinfo=datetime.UTC)


@pytest.mark.parametrize("arguments", [{}, {"handle": "user3"}, {"since": SINCE}])
def test_history_ends_with_its_limit(project: None, arguments: dict[str, Any]) -> None:
    found = plans_of(lambda: history(5, **arguments))
    # The versions of one file are few, and so are transforms, flags by a user, and users with one handle.
    few = ("BETWEEN", 'FROM "lamindb_transform"', 'FROM "lamindb_user"', "removed_by_id", "trashed_by_id")
    check([(sql, plan) for sql, plan in found if not any(part in sql for part in few)])
    for sql, plan in found:
        assert MANY.search(plan) is None, f"{sql}\n{plan}"


def test_a_search_reads_the_index_of_names(project: None) -> None:
    for text in ("sample000012 batch1", "smaple000012", "features", "zz"):
        found = plans_of(lambda text=text: ln.File.search(text))  # type: ignore[misc]
        samples = [(sql, plan) for sql, plan in found if "TABLESAMPLE" in sql]
        assert all("Sample Scan on lamindb_file" in plan for _, plan in samples)
        found = [one for one in found if one not in samples]
        by_trigrams = [plan for sql, plan in found if "MATCH" in sql or "LIKE" in sql]
        check([(sql, plan) for sql, plan in found if plan not in by_trigrams], may_sort=True)
        assert bool(by_trigrams) == (text != "zz")
        for plan in by_trigrams:
            assert "VIRTUAL TABLE INDEX" in plan or "Bitmap Index Scan on lamindb_file_search" in plan, plan


def test_describing_a_hub_reads_a_bounded_number_of_rows(project: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MOST_COUNTED", 20)
    hub = ln.File.select(id="00000000000000010001").one()
    assert hub.input_of.count() > 40
    sections = {section.title: section for section in record.describe(hub).sections}
    assert (sections["read by"].count, sections["read by"].is_counted) == (20, False)
    assert not sections["derived from it"].is_counted
    page = record.page(hub)
    assert "read by: over 20" in page.to_text()
    assert page.as_dict()["sections"]["read_by"]["is_counted"] is False
    newest = hub.input_of.order_by("-id")[: record.FEW]
    assert [entry.id for entry in sections["read by"].entries] == [run.id for run in newest]
    readers = [(sql, plan) for sql, plan in plans_of(lambda: record.describe(hub)) if "runinput" in sql]
    assert any("LIMIT 21" in sql for sql, _ in readers)
    for sql, plan in readers:
        assert MANY.search(plan) is None, f"{sql}\n{plan}"
