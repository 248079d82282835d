"""Benchmarks of the pages of `lamin ui` in a big instance, beside one Django page with one query."""

from __future__ import annotations

import io
import statistics
import subprocess
import sys
import time
import types
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, urlsplit

from benchmarks import big
from benchmarks.harness import Bench, Result, benchmark

_ROUNDS: Final = 40
_REQUESTS: Final = 10_000
_SHOWN: Final = 50

_HUB: Final = "00000000000000010001"
_USER: Final = "user1"
_TRANSFORM: Final = f"{1:016}"

_Pages = dict[str, Callable[[big.Sizes, float], str]]
"""The address of each kind of page, by a share from 0 to 1 that chooses a record."""


def _file(sizes: big.Sizes, share: float) -> str:
    """Return the id of the first version of a file that has two."""
    return f"{int(sizes.files * 0.8 * share) // 200 * 200:016}0001"


def _run(sizes: big.Sizes, share: float) -> str:
    return f"r{int(sizes.runs * share):019}"


def _transform(sizes: big.Sizes, share: float) -> str:
    return f"{int(sizes.transforms * share):016}"


def _older(sizes: big.Sizes, share: float) -> str:
    """Return the cursor of a place in the list of files."""
    return f"{(big.START + int(sizes.files * share) * big.SECONDS) * 1_000_000}-{_HUB}"


_RECORDS: _Pages = {
    "home": lambda sizes, share: "/",
    "files": lambda sizes, share: "/files",
    "older files": lambda sizes, share: f"/files?after={_older(sizes, share)}",
    "files by type": lambda sizes, share: "/files?type=.bam",
    "files by a type that none has": lambda sizes, share: "/files?type=.none",
    "files in a folder": lambda sizes, share: "/files?folder=imaging/plate00",
    "files of a user": lambda sizes, share: f"/files?who={_USER}",
    "files of a transform": lambda sizes, share: f"/files?transform={_TRANSFORM}",
    "stale files": lambda sizes, share: "/files?state=stale",
    "flagged files": lambda sizes, share: "/files?state=flagged",
    "files in the trash": lambda sizes, share: "/files?state=trash",
    "folders": lambda sizes, share: "/folders",
    "a folder of folders": lambda sizes, share: "/folders?p=project0",
    "a folder of files": lambda sizes, share: "/folders?p=imaging/plate00",
    "a file": lambda sizes, share: f"/files/{_file(sizes, share)}",
    "a file that many runs read": lambda sizes, share: f"/files/{_HUB}",
    "why versions differ": lambda sizes, share: f"/files/{_file(sizes, share)[:16]}0002/why",
    "runs": lambda sizes, share: "/runs",
    "failed runs": lambda sizes, share: "/runs?status=failed",
    "runs that read a file": lambda sizes, share: f"/runs?reads={_HUB}",
    "a run": lambda sizes, share: f"/runs/{_run(sizes, share)}",
    "changes of a run": lambda sizes, share: f"/runs/{_run(sizes, share)}/changes",
    "steps of a run": lambda sizes, share: f"/runs/{_run(sizes, share)}/steps",
    "inputs of a run": lambda sizes, share: f"/runs/{_run(sizes, share)}/inputs",
    "transforms": lambda sizes, share: "/transforms",
    "a transform": lambda sizes, share: f"/transforms/{_transform(sizes, share)}",
    "a user": lambda sizes, share: f"/users/{_USER}",
    "storages": lambda sizes, share: "/storages",
    "two transforms": lambda sizes, share: f"/compare?a={_TRANSFORM}&b={_transform(sizes, share)}",
    "flags": lambda sizes, share: "/flags",
    "health": lambda sizes, share: "/health",
}

_TEXTS: Final = (
    "sample", "sample000999", "counts_012345.csv", "metrics project7 batch47", "sampel 000999", "zebrafish", "ce",
)  # fmt: skip

_LINEAGE: _Pages = {
    "stale and affected files": lambda sizes, share: "/stale",
    "a lineage": lambda sizes, share: f"/files/{_file(sizes, share)}/lineage",
    "a lineage as a tree": lambda sizes, share: f"/files/{_file(sizes, share)}/lineage?as=tree",
    "a lineage as a table": lambda sizes, share: f"/files/{_file(sizes, share)}/lineage?as=table",
    "a lineage by folders": lambda sizes, share: f"/files/{_file(sizes, share)}/lineage?group=folder",
    "the lineage of a file that many runs read": lambda sizes, share: f"/files/{_HUB}/lineage",
    "the lineage of a run": lambda sizes, share: f"/runs/{_run(sizes, share)}/lineage",
    "the lineage of a transform": lambda sizes, share: f"/transforms/{_transform(sizes, share)}/lineage",
    "the way between two files": lambda sizes, share: f"/lineage/path?a={_HUB}&b={_file(sizes, share)}",
    "what would change with a file": lambda sizes, share: f"/lineage/impact?id={_file(sizes, share)}",
    "a search for runs": lambda sizes, share: "/search?q=align&kind=runs",
    **{
        f"a search for {text!r}": lambda sizes, share, text=text: f"/search?q={quote(text)}"  # type: ignore[misc]
        for text in _TEXTS
    },
}


@contextmanager
def _client(made: big.Big) -> Iterator[Any]:
    """Yield a client of an instance that is opened for reading, and look for garbage as rarely as `lamin ui` does."""
    import gc
    import os

    os.environ["LAMIN_SETTINGS_DIR"] = str(made.root.parent / "settings")
    from lamindb.cli.process import OBJECTS_BETWEEN_COLLECTIONS
    from lamindb.setup import lifecycle
    from lamindb.setup.read_only import open_read_only
    from tests.support.web import Client

    instance = open_read_only(made.root)
    thresholds = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    try:
        yield Client(instance)
    finally:
        gc.set_threshold(*thresholds)
        lifecycle.close_connections(instance)


def _django_page(alias: str) -> Callable[[], None]:
    """Return a function that asks Django's own handler for a page: the newest files, by one query and one template."""
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.template import Context, Engine
    from django.urls import clear_url_caches, path

    from benchmarks import plain_models

    template = Engine().from_string(_TEMPLATE)

    def show(request: Any) -> HttpResponse:
        del request
        current = plain_models.File.objects.using(alias).filter(is_latest=True, trashed_at__isnull=True)
        newest = current.select_related("transform", "created_by").order_by("-created_at", "-id")[:_SHOWN]
        return HttpResponse(template.render(Context({"files": newest})))

    urls = types.ModuleType("urls_of_the_django_page")
    urls.urlpatterns = [path("files", show)]  # type: ignore[attr-defined]
    sys.modules[urls.__name__] = urls
    settings.ROOT_URLCONF, settings.ALLOWED_HOSTS = urls.__name__, ["127.0.0.1"]
    # The page of an instance that was measured before has the same name.
    clear_url_caches()
    handler = WSGIHandler()

    def ask() -> None:
        statuses: list[str] = []
        answer = handler(_environ("/files"), lambda status, *_: statuses.append(status))
        assert b"".join(answer)
        answer.close()
        assert statuses == ["200 OK"]

    return ask


_TEMPLATE = """<!doctype html><title>Files</title><table>{% for file in files %}<tr>
<td><a href="/files/{{ file.id }}">{{ file.key }}</a></td><td>{{ file.version }}</td>
<td>{{ file.size|filesizeformat }}</td><td><a href="/runs/{{ file.run_id }}">{{ file.transform.name }}</a></td>
<td>{{ file.created_by.handle }}</td><td>{{ file.created_at|date:"Y-m-d H:i" }}</td></tr>{% endfor %}</table>"""


def _environ(path: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "127.0.0.1", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.multithread": True,
        "wsgi.multiprocess": False, "wsgi.run_once": False, "wsgi.version": (1, 0),
    }  # fmt: skip


def _p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def _slowest(bench: Bench, pages: _Pages, *, on_postgres: bool = False) -> Result:
    """Return the 95th percentile of the slowest kind of page, and that of the Django page.

    Both answer in this process and in turn. On SQLite processor time counts: others may use the machine meanwhile, and
    no page waits for anything.
    """
    made = big.instance(big.sizes_of(bench.scale), on_postgres=on_postgres)
    clock = time.perf_counter if on_postgres else time.process_time
    rounds = max(3, bench.count(_ROUNDS))
    results: dict[str, Result] = {}
    with _client(made) as client:
        django_page = _django_page(client.site.instance.alias)
        for name, address in pages.items():
            ours: list[float] = []
            limit: list[float] = []
            for number in range(rounds + 1):
                at = address(made.sizes, (number + 1) / (rounds + 2))

                def ask(at: str = at) -> None:
                    assert client.get(at).status == 200, at

                for function, kept in ((ask, ours), (django_page, limit)):
                    begun = clock()
                    function()
                    # The first one compiles the templates.
                    kept[len(kept) :] = [clock() - begun] * (number > 0)
            results[name] = Result(_p95(ours), _p95(limit), note=name)
            medians = [statistics.median(times) * 1e3 for times in (ours, limit)]
            print(
                f"  {name}: {_p95(ours) * 1e3:.1f} ms, {results[name].value:.1f} ×; "
                f"half of them {medians[0]:.1f} ms, {medians[0] / medians[1]:.1f} ×",
                file=sys.stderr,
                flush=True,
            )
    return max(results.values(), key=lambda result: result.value)


@benchmark("lists and records as pages, a million files, against a Django page", bound=6)
def records(bench: Bench) -> Result:
    """Compare the slowest kind of page with a Django page with one query, by the 95th percentile."""
    return _slowest(bench, _RECORDS)


@benchmark("lineage and search as pages, a million files, against a Django page", bound=9)
def lineage(bench: Bench) -> Result:
    """Compare the slowest kind of page with a Django page with one query, by the 95th percentile."""
    return _slowest(bench, _LINEAGE)


@benchmark("lists and records as pages, a million files on PostgreSQL, against a Django page", bound=6)
def records_on_postgres(bench: Bench) -> Result:
    """Compare as above on PostgreSQL."""
    return _slowest(bench, _RECORDS, on_postgres=True)


@benchmark("lineage and search as pages, a million files on PostgreSQL, against a Django page", bound=9)
def lineage_on_postgres(bench: Bench) -> Result:
    """Compare as above on PostgreSQL."""
    return _slowest(bench, _LINEAGE, on_postgres=True)


def _most_queries(bench: Bench, *, on_postgres: bool) -> Result:
    from lamindb.db import database

    made = big.instance(big.sizes_of(bench.scale), on_postgres=on_postgres)
    counts: dict[str, int] = {}
    with _client(made) as client:
        for name, address in (_RECORDS | _LINEAGE).items():
            for share in (0.1, 0.35, 0.8):
                asked: list[str] = []

                def count(execute: Any, sql: str, *rest: Any, asked: list[str] = asked) -> Any:
                    asked.append(sql)
                    return execute(sql, *rest)

                with database.connection(client.site.instance.alias).execute_wrapper(count):
                    client.get(address(made.sizes, share))
                counts[name] = max(counts.get(name, 0), len(asked))
    most = max(counts, key=lambda name: counts[name])
    return Result(counts[most], unit="queries", note=most)


@benchmark("queries of a page, a million files", bound=12)
def queries(bench: Bench) -> Result:
    """Return the most queries that any page asks."""
    return _most_queries(bench, on_postgres=False)


@benchmark("queries of a page, a million files on PostgreSQL", bound=12)
def queries_on_postgres(bench: Bench) -> Result:
    """Return as above on PostgreSQL."""
    return _most_queries(bench, on_postgres=True)


@benchmark("memory of lamin ui after 10,000 requests, a million files", bound=120)
def memory(bench: Bench) -> Result:
    """Return the memory of the server's process in MB, after all kinds of pages in turn over HTTP."""
    made = big.instance(big.sizes_of(bench.scale))
    env = bench.environment() | {"LAMIN_SETTINGS_DIR": str(made.root.parent / "settings")}
    command = [sys.executable, "-m", "lamindb", "ui", "--no-browser"]
    with subprocess.Popen(command, cwd=made.root, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            link = next(word for word in server.stdout.readline().split() if "token=" in word)
            jar = urllib.request.HTTPCookieProcessor()
            opener = urllib.request.build_opener(jar)
            opener.open(link).read()
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(link))
            pages = list((_RECORDS | _LINEAGE).values())
            count = max(len(pages), bench.count(_REQUESTS))
            for number in range(count):
                opener.open(origin + pages[number % len(pages)](made.sizes, (number + 1) / (count + 1))).read()
            with open(f"/proc/{server.pid}/status", encoding="ascii") as status:
                resident = next(line.split()[1] for line in status if line.startswith("VmRSS"))
        finally:
            server.terminate()
    return Result(int(resident) * 1024 / 1e6, unit="MB", note=f"{count:,} requests")
