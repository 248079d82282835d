"""The lineage pages: what they show, what their links lead to, and that their code gives what they show."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from django.test.utils import CaptureQueriesContext

import lamindb as ln
from lamindb.cli.application import lamin
from lamindb.db import database as databases
from lamindb.lineage import stale_marks
from lamindb.lineage.render.page_svg import page_style_sheet
from lamindb.setup.read_only import open_read_only
from tests.support.lineages import Plain, write

pytest.importorskip("pygments", reason="the pages need pygments")

NODE = re.compile(r'<a class="(node[^"]*)" href="([^"]*)" data-id="([^"]*)"[^>]*>\s*<g transform="([^"]*)"')
STUB = re.compile(r'<a class="stub" href="([^"]*)" data-id="([^"]*)" aria-label="([^"]*)"')


def opened(folder: Path) -> Any:
    """Return a client of an instance, opened for reading."""
    from tests.support.web import Client

    return Client(open_read_only(folder))


def nodes(text: str) -> dict[str, tuple[str, str]]:
    """Return where each node of a picture is, and its address."""
    return {found[2]: (found[3], html.unescape(found[1])) for found in NODE.findall(text)}


def code(text: str, which: str) -> str:
    """Return the code at the foot of a page; "" if there is none."""
    found = re.search(rf'<code tabindex="0" id="code-{which}">(.*?)</code>', text, re.DOTALL)
    return html.unescape(found[1]) if found else ""


@pytest.fixture
def project(local_instance: Path) -> dict[str, Any]:
    """Make raw files, what was merged of them, and a report; return the records by name."""
    raw = []
    with ln.track(ln.Transform(name="import", type="script")):
        for number in range(3):
            raw.append(ln.File(str(number).encode(), key=f"raw/{number}.csv").save())
    merged = []
    for number in range(2):
        with ln.track(ln.Transform(name="merge", type="pipeline"), params={"part": number}) as run:
            for file in raw:
                file.stage(is_run_input=True)
            merged.append(ln.File(f"m{number}".encode(), key=f"merged/{number}.csv").save())
    with ln.track(ln.Transform(name="report", type="notebook")):
        merged[0].stage(is_run_input=True)
        report = ln.File(b"report", key="report.md").save()
    ln.File.select(id=raw[2].id).one().replace(b"new").save()
    return {"raw": raw, "merged": merged, "report": report, "run": run, "client": opened(local_instance)}


def test_it_shows_one_generation_and_marks_what_is_stale(project: dict[str, Any]) -> None:
    merged, report = project["merged"][0], project["report"]
    answer = project["client"].get(f"/files/{merged.id}/lineage")
    assert answer.status == 200
    wanted = {merged.id, merged.run_id, report.id, report.run_id, *(file.id for file in project["raw"])}
    assert set(nodes(answer.text)) == wanted
    assert 'class="why g">stale<' in answer.text
    # Runs of one transform show in which parameters they differ.
    assert "part=0" in project["client"].get(f"/files/{project['raw'][0].id}/lineage").text
    assert len(STUB.findall(answer.text)) == 3


@pytest.mark.parametrize("form", ["picture", "tree", "table"])
def test_picture_tree_and_table_have_the_same_records(project: dict[str, Any], form: str) -> None:
    merged = project["merged"][0]
    text = project["client"].get(f"/files/{merged.id}/lineage?as={form}").text
    shown = set(nodes(text)) if form == "picture" else set(re.findall(r'href="/(?:files|runs)/(\w+)"><bdi>', text))
    assert {merged.run_id, project["report"].id, *(file.id for file in project["raw"])} <= shown
    assert ('class="lnv' in text) == (form == "picture")


def test_selecting_moves_no_node(project: dict[str, Any]) -> None:
    client, merged = project["client"], project["merged"][0]
    before = nodes(client.get(f"/files/{merged.id}/lineage").text)
    for node_id, (_, address) in before.items():
        text = client.get(address).text
        assert {one: place for one, (place, _) in nodes(text).items()} == {
            one: place for one, (place, _) in before.items()
        }
        assert f'<dd class="mono">{node_id}</dd>' in text


def test_a_link_clears_the_selection_and_the_keys_name_it(project: dict[str, Any]) -> None:
    client, merged, report = project["client"], project["merged"][0], project["report"]
    base = f"/files/{merged.id}/lineage"
    link = re.compile(r'href="([^"]*)" data-id="[^"]*" data-clear')
    for selected in (report.id, "elsewhere"):
        (address,) = link.findall(client.get(f"{base}?depth=2&sel={selected}&mark=way").text)
        assert address == f"{base}?depth=2"
    assert link.findall(client.get(f"{base}?sel={report.id}").text) == [base]
    assert not link.findall(client.get(base).text)
    # The page of keys has the dialog, too.
    assert client.get("/keys").text.count("Clear the selection") == 2


def test_all_state_is_in_the_address(project: dict[str, Any]) -> None:
    client, merged = project["client"], project["merged"][0]
    first = client.get(f"/files/{merged.id}/lineage").text
    address, stub, label = STUB.findall(first)[0]
    assert label == "Show 1 more before this"
    opened_text = client.get(html.unescape(address)).text
    assert len(nodes(opened_text)) == len(nodes(first)) + 1
    # The links of what was opened keep it open.
    for _, link in nodes(opened_text).values():
        assert parse_qs(urlsplit(link).query)["open"] == [stub]
        assert set(nodes(client.get(link).text)) == set(nodes(opened_text))


def test_a_form_gives_depth_plumbing_and_date(project: dict[str, Any]) -> None:
    client, report = project["client"], project["report"]
    base = f"/files/{report.id}/lineage"
    assert len(nodes(client.get(f"{base}?depth=2&at=").text)) > len(nodes(client.get(base).text))
    hidden = client.get(f"{base}?depth=2&plumbing=hide").text
    # What has a key may be a result.
    assert "No file is plumbing here. Plumbing was made by one run" in hidden and "0 files" not in hidden
    assert project["merged"][0].id in nodes(hidden)
    assert set(nodes(client.get(f"{base}?at=2001-01-01").text)) == {report.id}


def test_the_code_of_an_impact_and_of_a_way_gives_what_is_shown(project: dict[str, Any]) -> None:
    client, raw, report = project["client"], project["raw"][0], project["report"]
    page = client.get(f"/lineage/impact?id={raw.id}").text
    found = eval(code(page, "python"), {"ln": ln})
    shown = set(re.findall(r'<li><a href="/files/(\w+)"', page.partition('class="rows"')[2]))
    assert shown == {file.id for file in found.files} != set()
    done = CliRunner().invoke(lamin, [*shlex.split(code(page, "shell"))[1:], "--json"])
    assert {file["id"] for group in json.loads(done.stdout)["transforms"] for file in group["files"]} == shown
    for more in ("", "&all=1"):
        page = client.get(f"/lineage/path?a={raw.id}&b={report.id}{more}").text
        found = eval(code(page, "python"), {"ln": ln})
        assert {node.id for node in found.graph.nodes()} == set(nodes(page)) != set()


def test_what_has_nothing_around_it_is_said_in_words(local_instance: Path) -> None:
    transform = ln.Transform("count", type="script").save()
    file = ln.File(b"alone", key="alone.csv").save()
    client = opened(local_instance)
    page = client.get(f"/transforms/{transform.id}/lineage").text
    assert "It has not been run yet" in page and "0 files" not in page
    assert "It has not been run." in client.get(f"/lineage/impact?id={transform.id}").text
    assert "no run has read it" in client.get(f"/lineage/impact?id={file.id}").text
    for address in ("/lineage/path", f"/lineage/path?a={file.id}", f"/lineage/path?a={file.id}&b={file.id}"):
        page = client.get(address).text
        assert "on a shortest way" not in page and ("Both are the same" in page) is ("&b=" in address)
    run = ln.Run(transform=transform, inputs=[file]).save()
    page = client.get(f"/lineage/impact?id={run.id}").text
    assert "It made no file." in page and "0 files" not in page
    page = client.get(f"/lineage/impact?id={file.id}").text
    assert "what read it made none" in page and "0 files of" not in page
    assert 'name="q"' in client.get("/search").text.partition("<main")[2]


def test_a_saved_picture_says_what_is_left_out_and_nothing_of_python(project: dict[str, Any]) -> None:
    client, merged = project["client"], project["merged"][0]
    base = f"/files/{merged.id}/lineage?dir=up&depth=0"
    assert "more beside them" in client.get(base).text
    for form in ("svg", "txt"):
        saved = client.get(f"{base}&save={form}").text
        assert "partial: 1 more not shown" in saved and "depth" not in saved and "max_nodes" not in saved
        assert "depth" not in ln.lineage.part(merged, "dir=up&depth=0").to_text()
    assert "use depth=None" in merged.view_lineage(depth=0).to_svg()


def test_a_page_speaks_of_what_it_shows_only(project: dict[str, Any]) -> None:
    client, merged, raw = project["client"], project["merged"][1], project["raw"][0]
    down = client.get(f"/files/{merged.id}/lineage?dir=down&as=tree").text
    assert "Nothing was made from it." in down and "made from nothing" not in down and "no more" not in down
    up = client.get(f"/files/{raw.id}/lineage?dir=up&depth=0&as=tree").text
    assert "nothing was made" not in up and "there is no more" not in up


def test_a_day_before_a_record_was_made_says_so(project: dict[str, Any]) -> None:
    address = f"/files/{project['report'].id}/lineage"
    assert "was not there yet" in project["client"].get(f"{address}?at=2020-01-01").text
    for at in ("", "?at=2030-01-01", "?at=2030-01-01T10:00:00"):
        assert "was not there yet" not in project["client"].get(f"{address}{at}").text


@pytest.mark.parametrize("form", ["picture", "tree", "table"])
def test_every_date_is_answered_by_a_sentence(project: dict[str, Any], form: str) -> None:
    report = project["report"]
    for kind, record in (("file", report), ("run", report.run), ("transform", report.run.transform)):
        address = f"/{kind}s/{record.id}/lineage?as={form}&at="
        for at in ("0001-01-01", "0020-03-14", "1969-12-31"):
            text = project["client"].get(address + at).text
            assert f'<p class="lead">It was not there yet on {at}</p>' in text
            assert f"This {kind} was not there yet" in text
            assert (
                "file shown" not in text
                and "run shown" not in text
                and "made from nothing" not in text
                and "recorded then" not in text
            )
        for at in ("9999-12-31", "2999-01-01T10:00:00"):
            text = project["client"].get(address + at).text
            assert f"{at[:10]} is in the future" in text and "recorded then" not in text
    today = ln.File.select(id=report.id).one().created_at.date().isoformat()
    text = project["client"].get(f"/files/{report.id}/lineage?at={today}").text
    assert "As it was recorded then." in text and "in the future" not in text
    assert f'min="{today}" max="' in text


def test_a_way_is_highlighted(project: dict[str, Any]) -> None:
    client, report, merged = project["client"], project["report"], project["merged"][0]
    text = client.get(f"/files/{report.id}/lineage?sel={merged.id}&mark=way").text
    marked = {found[2] for found in NODE.findall(text) if "marked" in found[0]}
    assert marked == {report.id, report.run_id, merged.id}
    assert 'class="lm"' in text


@pytest.mark.parametrize("query", ["", "depth=2", "dir=up&depth=3", "group=folder", "plumbing=hide&depth=2", "depth=0"])
def test_the_code_gives_what_is_shown(project: dict[str, Any], query: str) -> None:
    for record in (project["merged"][0], project["run"], project["run"].transform):
        kind = type(record).__name__.lower()
        text = project["client"].get(f"/{kind}s/{record.id}/lineage?{query}").text
        picture = eval(code(text, "python"), {"ln": ln})
        assert {node.id for node in picture.drawn.nodes()} == set(nodes(text))
        shell = code(text, "shell")
        if shell:
            result = CliRunner().invoke(lamin, [*shell.split()[1:], "--json"])
            graph = json.loads(result.stdout)
            assert {node["id"] for node in (*graph["files"], *graph["runs"])} == set(nodes(text))


def test_a_hub_is_paged_and_the_page_needs_few_queries(instance: Path) -> None:
    written = write(Plain([None], [0] * 300, {(run, 0) for run in range(300)}))
    client = opened(instance)
    base = f"/files/{written.files[0]}/lineage"
    with CaptureQueriesContext(databases.connection(client.site.instance.alias)) as queries:
        text = client.get(base).text
    assert len(queries) <= 12
    assert ">+280 more<" in text
    address, _, label = STUB.findall(text)[0]
    assert label == "Show 20 of 280 more after this"
    assert ">+260 more<" in client.get(html.unescape(address)).text
    assert "300 runs" in client.get(f"{base}?group=transform").text


def test_the_way_between_two_records(project: dict[str, Any]) -> None:
    client, raw, report = project["client"], project["raw"][0], project["report"]
    for a, b in ((raw.id, report.id), (report.id, raw.id), (raw.key, report.key)):
        text = client.get(f"/lineage/path?a={a}&b={b}").text
        assert {raw.id, report.id, report.run_id, project["merged"][0].id} <= set(nodes(text))
        assert len(nodes(text)) == 5
    picture = eval(code(text, "python"), {"ln": ln})
    assert {node.id for node in picture.graph.nodes()} == set(nodes(text))
    assert "Neither was made from the other" in client.get(f"/lineage/path?a={raw.id}&b={project['raw'][1].id}").text
    assert "in the field “To”" in client.get(f"/lineage/path?a={raw.id}&b=nothing/here").text
    assert client.get("/lineage/path").status == 200


def test_the_entry_in_the_head_leads_to_a_lineage(project: dict[str, Any]) -> None:
    client, merged = project["client"], project["merged"][0]
    assert 'href="/lineage"' in client.get("/").text
    page = client.get("/lineage").text
    assert f'href="/files/{merged.id}/lineage"' in page
    for given in (merged.id, merged.key):
        answer = client.get(f"/lineage?of={given}")
        assert (answer.status, answer.headers["Location"]) == (303, f"/files/{merged.id}/lineage")
    answer = client.get("/lineage?of=no/such/key")
    assert answer.status == 404 and 'href="/search?q=no/such/key"' in answer.text


def test_what_would_change(project: dict[str, Any]) -> None:
    client, raw = project["client"], project["raw"][0]
    text = client.get(f"/lineage/impact?id={raw.id}").text
    assert "3 files of 2 transforms come from it" in text
    assert all(file.id in text for file in (*project["merged"], project["report"]))
    assert "Nothing was made from it" in client.get(f"/lineage/impact?id={project['report'].id}").text
    assert client.get("/lineage/impact?id=nothing").status == 404
    # Of a version that nothing was made from, the others are a link away.
    second = ln.File(b"second", key=raw.key).save()
    text = client.get(f"/lineage/impact?id={second.id}").text
    assert "3 more files come from version 1 of it" in text and f'/lineage/impact?id={raw.id}">version 1</a>' in text


def test_the_same_drawing_is_saved(project: dict[str, Any]) -> None:
    client, merged = project["client"], project["merged"][0]
    base = f"/files/{merged.id}/lineage"
    answer = client.get(f"{base}?save=svg&depth=2")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="lineage-{merged.id}.svg"'
    assert set(re.findall(r'data-id="(\w+)"', answer.text)) == set(nodes(client.get(f"{base}?depth=2").text))
    assert json.loads(client.get(f"{base}?save=json").text)["focus"] == merged.id
    assert client.get(f"{base}?save=png").status == 400


def test_what_is_not_there_is_an_error_page(project: dict[str, Any]) -> None:
    client, merged = project["client"], project["merged"][0]
    assert client.get("/files/nosuchid/lineage").status == 404
    for query in ("depth=99", "dir=x", "open=a", "at=soon", "n=501", "sel=%3Cb%3E", "as=film"):
        assert client.get(f"/files/{merged.id}/lineage?{query}").status == 400


def test_hostile_names_stay_text(local_instance: Path) -> None:
    names = ["<img src=x onerror=alert(1)>.csv", '"><svg onload=alert(1)>', "{{7*7}}{% debug %}", "javascript:alert(1)"]
    files = [ln.File(name.encode(), key=f"a/{name}").save() for name in names]
    with ln.track(ln.Transform(name=names[0], type="script"), params={names[1]: names[2]}):
        for file in files:
            file.stage(is_run_input=True)
        made = ln.File(b"x", key=f"b/{names[1]}").save()
    client = opened(local_instance)
    pages = [f"/files/{made.id}/lineage?as={form}" for form in ("picture", "tree", "table")]
    pages += [f"/lineage/path?a={files[0].id}&b={made.id}", f"/lineage/impact?id={files[0].id}"]
    for address in pages:
        text = client.get(address).text
        assert "<img" not in text and "<svg onload" not in text and 'href="javascript' not in text
        assert "style=" not in text and " onload" not in re.sub(r"&quot;&gt;&lt;svg onload", "", text)


def test_the_style_sheet_is_that_of_the_drawing() -> None:
    from lamindb.web import site

    sheet = Path(site.__file__).parent / "static" / "lineage.css"
    assert sheet.read_text() == page_style_sheet(), "write page_style_sheet() to lineage.css"


def test_a_page_says_where_it_did_not_look_for_staleness_to_the_end(
    project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    merged, report = project["merged"][0], project["report"]
    addresses = [
        f"/files/{report.id}/lineage?dir=down",
        f"/lineage/impact?id={merged.id}",
        f"/lineage/path?a={merged.id}&b={report.id}",
    ]
    for address in addresses:
        answer = project["client"].get(address)
        assert answer.status == 200 and "stale<" in answer.text and "Older staleness" not in answer.text, address
    monkeypatch.setattr(stale_marks, "_FEW_OF_PAGE", (-1, -1))
    monkeypatch.setattr(stale_marks, "PAGE_LOOKS", 0)
    for address in addresses[:1]:
        answer = project["client"].get(address)
        assert answer.status == 200 and "Older staleness was not looked for" in answer.text, address
        assert "stale<" not in answer.text
