"""The beginning of an id, as pages show it, stands for the one record that it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import ids
from lamindb.setup.read_only import open_read_only
from tests.support import showcase
from tests.support.web import Client
from tests.web.test_copied_code import card_of, codes_of, ids_of, run_python

LETTERS = "ozjPoHrI"
"""Of the beginnings of ids, many have no digit."""
ALIKE = "ozjPoHrQ"
MANY = "ozjPoHrZ"


@pytest.fixture
def project(instance: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A run whose id begins as no other, two runs and two versions of a file whose ids begin alike, and 22 others."""

    def begin(text: str) -> None:
        monkeypatch.setattr(ids, "timed_id", lambda length: f"{text}{ids.random_id(length - len(text))}")

    begin(LETTERS)
    transform = ln.Transform("fit", type="script", reference="fit.py").save()
    run = showcase.make_run(transform, source="print(1)\n")
    begin(ALIKE)
    alike = [showcase.make_run(transform) for _ in range(2)]
    versions = [ln.File(str(n).encode(), key="a/b.txt", run=run).save() for n in range(2)]
    begin(MANY)
    for _ in range(22):
        ln.Run(transform=transform).save()
    begin("")
    ln.File(b"elsewhere", key=LETTERS.lower()).save()
    versions[1].delete()
    client = Client(open_read_only(instance))
    return {"run": run, "alike": alike, "versions": versions, "transform": transform, "client": client}


def moved(client: Any, address: str) -> str:
    """Return where an address leads."""
    answer = client.get(address)
    assert answer.status == 303, (address, answer.text)
    return str(answer.headers["Location"])


def test_a_search_and_forms_find_the_one_record(project: dict[str, Any]) -> None:
    client, run, transform = project["client"], project["run"], project["transform"]
    for typed, record, folder in (
        (LETTERS, run, "runs"),
        (run.id[:19], run, "runs"),
        (transform.id[:8], transform, "transforms"),
    ):
        assert moved(client, f"/search?q={typed}") == f"/{folder}/{record.id}"
        assert moved(client, f"/lineage?of={typed}") == f"/{folder}/{record.id}/lineage"
        assert moved(client, f"/lineage/impact?id={typed}") == f"/lineage/impact?id={record.id}"
    page = client.get(f"/lineage/path?a={LETTERS}&b={project['versions'][0].id}").text
    assert run.id in page and "in the field" not in page
    # A key goes before the beginning of an id, and letters of another case begin another id.
    assert moved(client, f"/lineage?of={LETTERS.lower()}").startswith("/files/")
    assert client.get(f"/search?q={LETTERS.upper()}").status == 200


def test_a_search_lists_ids_that_begin_alike_with_their_code(project: dict[str, Any]) -> None:
    client = project["client"]
    page = client.get(f"/search?q={ALIKE}").text
    codes = codes_of(page)
    assert ids_of(card_of(page, "Runs"), "runs") == sorted(run.id for run in project["alike"])
    assert ids_of(card_of(page, "Files"), "files") == [file.id for file in project["versions"]]
    for part, kind in (("Runs", "runs"), ("Files", "files")):
        assert [one.id for one in run_python(client, codes[part][0])] == ids_of(card_of(page, part), kind)
    assert "There are more" not in page and "What to search" not in page
    page = client.get(f"/search?q={MANY}").text
    assert len(ids_of(page, "runs")) == 20 and "There are more: type more of the id." in page
    assert len(run_python(client, codes_of(page)["Runs"][0])) == 20


def test_forms_say_how_many_ids_begin_alike(project: dict[str, Any]) -> None:
    client = project["client"]
    for typed, said in ((ALIKE, ">4 ids begin"), (MANY, ">More than 20 ids begin")):
        for form in ("/lineage?of=", "/lineage/impact?id=", "/lineage/path?b=none&a="):
            assert said in client.get(form + typed).text, form
    assert client.get(f"/lineage?of={ALIKE}").status == client.get(f"/lineage/impact?id={ALIKE}").status == 404


def test_a_redirect_stays_below_the_prefix(local_instance: Path) -> None:
    file = ln.File(b"1", key="a.txt").save()
    client = Client(open_read_only(local_instance), prefix="/lab")
    assert moved(client, f"/lab/files/{file.id[:9]}/lineage?as=tree") == f"/lab/files/{file.id}/lineage?as=tree"


def test_an_address_with_the_beginning_of_an_id_leads_to_the_whole(project: dict[str, Any]) -> None:
    client, run = project["client"], project["run"].id
    assert moved(client, f"/runs/{LETTERS}") == f"/runs/{run}"
    assert moved(client, f"/runs/{LETTERS}/code?module=1&x=%2F") == f"/runs/{run}/code?module=1&x=%2F"
    assert moved(client, f"/runs/{LETTERS}/lineage?depth=2") == f"/runs/{run}/lineage?depth=2"
    assert moved(client, f"/raw/runs/{LETTERS}/code") == f"/raw/runs/{run}/code"
    assert moved(client, f"/transforms/{project['transform'].id[:8]}") == f"/transforms/{project['transform'].id}"
    other = ln.File.select(key=LETTERS.lower()).one().id
    for address in ("/files/{}", "/files/{}/why", "/affected/{}", "/raw/{}/file"):
        assert moved(client, address.format(other[:17])) == address.format(other)
    answer = client.get(f"/runs/{ALIKE}")
    assert answer.status == 404 and "2 runs have ids that begin with" in answer.text and "deleted" not in answer.text
    for address in (f"/runs/{LETTERS[:7]}", f"/files/{LETTERS}", f"/runs/{LETTERS}_", f"/runs/{run}x"):
        answer = client.get(address)
        assert answer.status == 404 and "deleted for good" in answer.text
