"""The page that compares: only what differs, unless asked for all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import lamindb as ln
from lamindb.setup.read_only import open_read_only
from tests.support import showcase
from tests.support.web import Client
from tests.web.conftest import Made, Parsed


def rows(page: str) -> int:
    table = page.partition('aria-label="Parameters"')[2].partition("</section>")[0]
    return table.count("<tr") - 1


def test_of_117_parameters_one_is_shown(local_instance: Path) -> None:
    transform = ln.Transform("train", type="script", reference="train.py").save()
    params = {f"p{n}": n for n in range(117)}
    a = showcase.make_run(transform, params=params)
    b = showcase.make_run(transform, params={**params, "p50": -1})
    client = Client(open_read_only(local_instance))
    page = client.get(f"/compare?a={a.id}&b={b.id}").text
    assert rows(page) == 1 and "p50" in page and "p51" not in page
    everything = client.get(f"/compare?a={a.id}&b={b.id}&all=1").text
    assert rows(everything) == 117 and everything.count('class="differs"') == 1


def test_two_versions_of_a_file(client: Any, usual: Made) -> None:
    page = client.get(f"/compare?a={usual.files['metrics']}&b={usual.files['metrics2']}")
    assert page.status == 200 and "0.35" in page.text


def test_rows_that_are_not_shown_are_counted(local_instance: Path) -> None:
    a, b = (ln.File(showcase.table(rows), key="t.csv").save() for rows in (40, 99))
    page = Client(open_read_only(local_instance)).get(f"/compare?a={a.id}&b={b.id}").text
    assert "59 rows added" in page and "… and 54 more" in page


def test_the_columns_say_which_one_is_earlier(client: Any, usual: Made) -> None:
    earlier, later = sorted((usual.runs["train"], usual.runs["train2"]))
    for a, b, heads in ((earlier, later, ["Earlier", "Later"]), (later, earlier, ["Later", "Earlier"])):
        page = client.get(f"/compare?a={a}&b={b}").text
        found = [one for one in re.findall(r'<th scope="col">(\w+)</th>', page) if one in heads]
        assert found and found[:2] == heads
        assert re.findall(r"\d\d:\d\d:\d\d · (\w{8})", page) == [a[:8], b[:8]]


def test_what_cannot_be_compared_says_so(client: Any, usual: Made) -> None:
    file, run = usual.files["model"], usual.runs["train"]
    answer = client.get(f"/compare?a={file}&b={run}")
    assert answer.status == 400 and "Two records of one kind" in answer.text
    assert {file, run} <= {found.get("value") for tag, found in Parsed(answer.text).tags if tag == "input"}
    assert client.get(f"/compare?a={file}&b={usual.files['figure']}").status == 400
    assert client.get(f"/compare?a={file}&b={usual.files['trashed']}").status == 400
    assert client.get(f"/compare?a={file}&b=nothing").status == 404
    page = client.get(f"/compare?a={file}").text
    assert ("input", file) in [(tag, found.get("value")) for tag, found in Parsed(page).tags]
    assert "No differences" in client.get(f"/compare?a={run}&b={run}").text


@pytest.mark.parametrize("kind", ["key", "beginning", "id"])
def test_the_fields_take_keys_ids_and_beginnings_of_ids(instance: Path, kind: str) -> None:
    transform = ln.Transform("train", type="script", reference="train.py").save()
    runs = [showcase.make_run(transform, params={"seed": n}) for n in range(2)]
    first = ln.File(b"a,b\n1,2\n", key="my results/t.csv", run=runs[0]).save()
    second = ln.File(b"a,b\n1,3\n", key="my results/t.csv", run=runs[1]).save()
    client = Client(open_read_only(instance))
    a, b = {
        "key": (first.id, second.key),
        "beginning": tuple(run.id[:16] for run in runs),
        "id": tuple(f" {run.id} " for run in runs),
    }[kind]
    whole = (first.id, second.id) if kind == "key" else tuple(run.id for run in runs)
    address = "/compare?" + urlencode({"a": a, "b": b, "all": 1})
    if kind != "id":
        answer = client.get(address)
        assert (answer.status, answer.headers["Location"]) == (303, f"/compare?a={whole[0]}&b={whole[1]}&all=1")
        address = answer.headers["Location"]
    page = client.get(address)
    assert page.status == 200 and "h-others" not in page.text and 'name="a"' not in page.text
    answer = client.get("/compare?" + urlencode({"b": b}))
    assert answer.status == (200 if kind == "id" else 303)


@pytest.mark.parametrize(
    ("a", "b", "named"),
    [("metrics/run3.csv", "no/such", {"Later"}), ("zzzzzzzz", "", {"Earlier"}), ("no", "none", {"Earlier", "Later"})],
)
def test_what_names_nothing_is_asked_again(client: Any, a: str, b: str, named: set[str]) -> None:
    answer = client.get("/compare?" + urlencode({"a": a, "b": b}))
    assert answer.status == 404
    main = answer.text.partition("<main")[2]
    inputs = {found["name"]: found["value"] for tag, found in Parsed(main).tags if tag == "input"}
    assert inputs == {"a": a, "b": b}
    assert set(re.findall("field “(.*?)”", main)) == named
    assert ("h-others" in main) == (a == "metrics/run3.csv")


def test_of_ids_that_begin_alike_their_number_is_said(local_instance: Path) -> None:
    few, many = ([ln.File(b"%d" % n, key=f"{count}.txt").save().id for n in range(count)][-1][:16] for count in (3, 22))
    client = Client(open_read_only(local_instance))
    assert ">3 ids begin with" in client.get(f"/compare?a={few}").text
    assert ">More than 20 ids begin with" in client.get(f"/compare?a={many}").text


def test_one_record_is_offered_those_that_it_can_be_compared_with(client: Any, usual: Made) -> None:
    for kind, record, other in (
        ("runs", usual.runs["train"], usual.runs["train2"]),
        ("files", usual.files["metrics"], usual.files["metrics2"]),
    ):
        for name in ("a", "b"):
            page = client.get(f"/compare?{name}={record}").text
            earlier, later = sorted((record, other))
            assert f'href="/compare?a={earlier}&amp;b={later}"' in page, (kind, name)
            assert f"a={record}&amp;b={record}" not in page
    assert f'href="/compare?b={usual.runs["train"]}"' in client.get(f"/runs/{usual.runs['train']}").text
    assert "compared with" not in client.get(f"/compare?a={usual.transforms['train']}").text
    assert client.get("/compare?b=nothing").status == 404


@pytest.mark.parametrize("page", ["", "/why", "/preview"])
def test_each_page_of_a_file_has_its_marks(instance: Path, page: str) -> None:
    transform = ln.Transform("clean", type="script", reference="clean.py").save()
    raw = ln.File(b"1", key="raw.txt").save()
    run = showcase.make_run(transform, inputs=[raw])
    old, made = (ln.File(data, key="clean.txt", run=run).save() for data in (b"2", b"3"))
    raw.flag("wrong")
    made.flag("wrong, too")
    ln.File(b"2", key="raw.txt").save()
    client = Client(open_read_only(instance))

    def marks(file: Any) -> list[str]:
        head = client.get(f"/files/{file.id}{page}").text.partition("<h1>")[2].partition("</h1>")[0]
        return re.findall(r"</svg>([\w ]+)</span>", head)

    assert set(marks(made)) == {"Stale", "Flagged", "Affected"}
    assert set(marks(old)) == {"Older version", "Stale", "Affected"} and marks(raw) == ["Older version", "Flagged"]


def test_why_a_version_differs(client: Any, usual: Made) -> None:
    page = "".join(Parsed(client.get(f"/files/{usual.files['metrics2']}/why").text).words)
    assert "Why it differs from v1" in page and "seed" in page
    assert "no earlier version" in client.get(f"/files/{usual.files['model']}/why").text
