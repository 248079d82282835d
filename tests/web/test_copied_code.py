"""Copy as code: the Python and the command at the foot of a page give what the page shows."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from html import unescape
from typing import Any

import pytest
from click.testing import CliRunner

import lamindb as ln
from lamindb.cli.application import lamin
from lamindb.core import context
from lamindb.setup.read_only import open_read_only
from lamindb.web.copied_code import command, literal
from tests.support import processes
from tests.support.web import Client
from tests.web.conftest import Made, Parsed

FILES = [
    "/files", "/files?type=.csv", "/files?folder=raw", "/files?old=1", "/files?state=trash", "/files?state=flagged",
    "/files?state=stale", "/files?state=affected", "/files?state=affected&folder=qc",
    "/files?state=affected&folder=raw", "/files?state=affected&old=1",
    "/files?since=2020-01-01", "/files?since=2020-01-01&until=2099-01-01", "/files?who=ada",
    "/files?who=nobody", "/files?transform={train}", "/files?type=.csv&folder=raw/batch0&old=1", "/files?type=.none",
]  # fmt: skip
RUNS = [
    "/runs", "/runs?status=failed", "/runs?status=running", "/runs?transform={merge}", "/runs?who=ada",
    "/runs?since=2020-01-01",
    "/runs?reads={model}", "/runs?status=completed&transform={train}&until=2099-01-01",
]  # fmt: skip


def codes_of(page: str) -> dict[str, tuple[str, str]]:
    """Return the Python and the command at the foot of a page, by the part of the page that they give."""
    found: dict[str, dict[str, str]] = {}
    part = ""
    for name, kind, text in re.findall(
        r'class="code-part">(.*?)</h2>|id="code-(python|shell)\d*">(.*?)</code>', page, re.DOTALL
    ):
        part = unescape(name) or part
        if kind:
            found.setdefault(part, {})[kind] = unescape(text)
    return {part: (one.get("python", ""), one.get("shell", "")) for part, one in found.items()}


def code_of(page: str) -> tuple[str, str]:
    """Return the Python and the command at the foot of a page that has no parts."""
    return codes_of(page).get("", ("", ""))


def card_of(page: str, title: str) -> str:
    """Return the card of a page that has this title."""
    cards = re.findall(r"<section class=\"card.*?</section>", page, re.DOTALL)
    return next((one for one in cards if f">{title}</h2>" in one), "")


def ids_of(page: str, kind: str) -> list[str]:
    """Return the ids that the list of a page shows, in its order."""
    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    first = re.findall(r"<tr><td>(.*?)</td>", table, re.DOTALL)
    return [re.search(rf"/{kind}/(\w+)", one)[1] for one in first]  # type: ignore[index]


def run_python(client: Any, text: str) -> Any:
    """Evaluate what was copied, in the instance of the page."""
    with context.using(client.site.instance):
        found = eval(text, {"ln": ln})
        return list(found) if hasattr(found, "model") or isinstance(found, list) else found


def run_command(client: Any, text: str, *words: str) -> Any:
    """Run a copied command in the instance of the page; return its JSON."""
    arguments = shlex.split(text)
    assert arguments.pop(0) == "lamin"
    end = arguments.index("--") if "--" in arguments else len(arguments)
    with context.using(client.site.instance):
        done = CliRunner().invoke(lamin, [*arguments[:end], *words, "--json", *arguments[end:]])
    assert done.exit_code == 0, (text, done.output, done.exception)
    return json.loads(done.stdout)


def filled(address: str, usual: Made) -> str:
    return address.format(**usual.transforms, model=usual.files["model"])


@pytest.mark.parametrize("address", FILES)
def test_a_list_of_files(client: Any, usual: Made, address: str) -> None:
    page = client.get(filled(address, usual)).text
    python, shell = code_of(page)
    shown = ids_of(page, "files")
    assert [one.id for one in run_python(client, python)] == shown
    if shell:
        found = run_command(client, shell)
        assert {one["id"] for one in found} == set(shown), shell


@pytest.mark.parametrize("address", RUNS)
def test_a_list_of_runs(client: Any, usual: Made, address: str) -> None:
    page = client.get(filled(address, usual)).text
    python, shell = code_of(page)
    shown = ids_of(page, "runs")
    assert [one.id for one in run_python(client, python)] == shown
    if shell:
        found = run_command(client, shell)
        # A run whose process is gone is `running` in its row, and `aborted` by now.
        assert {one["id"] for one in found} == set(shown) or "status" in address, shell


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    ("address", "kind"), [("/files?old=1", "files"), ("/runs", "runs"), ("/transforms", "transforms")]
)
def test_pages_of_a_list_show_each_record_once(client: Any, address: str, kind: str) -> None:
    seen: list[str] = []
    for _ in range(60):
        page = client.get(address).text
        shown = ids_of(page, kind)
        python, _ = code_of(page)
        if python:
            assert [one.id for one in run_python(client, python)] == shown
        seen += shown
        following = re.search(r'href="([^"]*)" rel="next"', page)
        if following is None:
            break
        address = f"/{kind}{unescape(following[1])}"
    model = {"files": ln.File, "runs": ln.Run, "transforms": ln.Transform}[kind]
    query = model.objects.using(client.site.instance.alias)
    query = query.filter(trashed_at__isnull=True) if kind == "files" else query
    assert len(seen) > 3 and seen == [one.id for one in query.order_by("-created_at", "-id")]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamindb.web.queries.ROWS", 3)


def test_pages_of_records(client: Any, usual: Made) -> None:
    file, run, transform = usual.files["model"], usual.runs["train"], usual.transforms["train"]
    for kind, record_id in (("files", file), ("runs", run), ("transforms", transform)):
        page = client.get(f"/{kind}/{record_id}").text
        python, shell = code_of(page)
        if kind == "transforms":
            python, shell = codes_of(page)["Facts"]
        assert record_id in python and record_id in shell
        run_python(client, python)
        assert run_command(client, f"lamin describe {record_id}")["id"] == record_id
    for tab in ("log", "code", "packages", "changes", "report"):
        python, shell = code_of(client.get(f"/runs/{run}/{tab}").text)
        found = run_python(client, python)
        assert found, tab
        with context.using(client.site.instance):
            done = CliRunner().invoke(lamin, shlex.split(shell)[1:])
        first = next(iter(found)) if isinstance(found, dict) else found.splitlines()[0]
        assert done.exit_code == 0 and first in done.stdout, (shell, done.output)


def test_comparisons_and_reasons(client: Any, usual: Made) -> None:
    a, b = usual.runs["train2"], usual.runs["train"]
    page = client.get(f"/compare?a={a}&b={b}").text
    python, shell = code_of(page)
    assert run_python(client, python).run_ids == (a, b)
    assert run_command(client, shell)["run_ids"] == [a, b]
    metrics = usual.files["metrics2"]
    page = client.get(f"/files/{metrics}/why").text
    python, shell = code_of(page)
    found = run_python(client, python)
    assert found.causes and all(one.text in Parsed(page).words for one in found.causes)
    assert len(run_command(client, shell)["causes"]) == len(found.causes)


PARTS = [
    ("/", "Last runs", "runs"), ("/", "Newest files", "files"),
    ("/users/ada", "Last runs", "runs"), ("/users/ada", "Last files", "files"),
    ("/transforms/{train}", "Last runs", "runs"), ("/transforms/{train}", "Last files made", "files"),
    ("/search?q=batch", "Files", "files"), ("/search?q=trian&kind=runs", "Runs", "runs"),
    ("/search?q=train", "Transforms", "transforms"), ("/search?q=ada", "Users", "users"),
    ("/search?q=metrics", "Files", "files"), ("/search?q=zzzz", "Files", "files"),
]  # fmt: skip


@pytest.mark.parametrize(("address", "part", "kind"), PARTS)
def test_each_part_of_a_page_has_its_code(client: Any, usual: Made, address: str, part: str, kind: str) -> None:
    page = client.get(filled(address, usual)).text
    card = card_of(page, part)
    shown = list(dict.fromkeys(re.findall(rf'(?:<tr><td>|<li>).*?/{kind}/(\w+)"', card)))
    assert shown or "zzzz" in address
    python, shell = codes_of(page)[part]
    name = "handle" if kind == "users" else "id"
    assert [getattr(one, name) for one in run_python(client, python)] == shown
    assert {one[name] for one in run_command(client, shell)} == set(shown)


def test_a_page_has_code_for_all_its_parts(client: Any, usual: Made) -> None:
    for address in ("/search?q=train", "/users/ada", filled("/transforms/{merge}", usual)):
        page = client.get(address).text
        titles = set(re.findall(r'<h2 id="h-\w+">(.*?)</h2>', page)) & {"Files", "Transforms", "Runs", "Users"}
        assert titles <= set(codes_of(page)), address
    assert len(codes_of(client.get("/search?q=train").text)) > 1


def test_the_numbers_of_the_first_page(client: Any) -> None:
    page = client.get("/").text
    counts = {name: number for number, name in re.findall(r"<b>(\d+)</b><span>.*?</svg>([\w ]+)</span>", page)}
    codes = codes_of(page)
    for part in ("Running", "Stale", "Flagged"):
        assert len(run_python(client, codes[part][0])) == int(counts[part.lower()]) > 0, part
    assert len(run_command(client, codes["Stale"][1])) == int(counts["stale"])


def test_stale_and_affected(client: Any) -> None:
    page = client.get("/stale").text
    codes = codes_of(page)
    cards = re.findall(r'<section class="card"><header><h2>.*?</section>', page, re.DOTALL)
    for part, mark, status in (("Stale", "was read;", "stale"), ("Affected", "is flagged:", "affected")):
        shown = {
            found
            for card in cards
            if mark in card.partition("</header>")[0]
            for found in re.findall(r'<li><span class="item">.*?/files/(\w+)"', card)
        }
        assert shown and {one.id for one in run_python(client, codes[part][0])} == shown
        if part == "Stale":
            assert {one["id"] for one in run_command(client, codes[part][1])} == shown
        groups = run_command(client, "lamin status")[status]
        assert {file["id"] for group in groups for file in group["files"]} == shown
    assert codes["Affected"][1] == "lamin status"


def test_flags_and_their_reasons(local_instance: Any) -> None:
    files = [ln.File(str(n).encode(), key=f"{n}.csv").save() for n in range(4)]
    for file in files[:3]:
        file.flag(f"wrong {file.key}")
    files[1].unflag()
    files[1].flag("wrong again")
    files[2].unflag()
    files[0].delete()
    page = Client(open_read_only(local_instance)).get("/flags").text
    for part in ("Open", "Removed"):
        found = eval(codes_of(page)[part][0], {"ln": ln})
        shown = {
            (record_id, unescape(reason))
            for record_id, reason in re.findall(r'/files/(\w+)">.*?<bdi>(wrong.*?)</bdi>', card_of(page, part))
        }
        assert {(record_id, reason) for record_id, reasons in found.items() for reason in reasons} == shown != set()


@pytest.mark.parametrize("most", [1, 2, 100])
def test_levels_of_the_tree(local_instance: Any, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("lamindb.web.queries._MOST_CHILDREN", most)
    for key in ("a/b/1", "a/b/2", "a/b.txt", "a/c", "a/d/1", "a0", 'a/"x"/1', "ä/ö"):
        ln.File(key.encode(), key=key).save()
    ln.File(b"no key", name="loose").save()
    client = Client(open_read_only(local_instance))
    for folder in ("", "a/", "a/b/"):
        address = f"/folders?p={folder.rstrip('/')}"
        while address:
            page = client.get(address).text
            shown = set(re.findall(r'<tr><td>.*?/files/(\w+)"', page))
            folders = set(map(unescape, re.findall(r"<bdi><b>(.*?)</b>/", page.replace("<wbr>", ""))))
            codes = codes_of(page)
            assert {one.id for one in run_python(client, codes["Files here"][0])} == shown
            below = run_python(client, codes["With those in its folders"][0])
            names = [one.key[len(folder) :].partition("/") for one in below]
            assert {name for name, slash, _ in names if slash} == folders
            assert {one.id for one, (_, slash, _) in zip(below, names, strict=True) if not slash} == shown
            shell = codes["With those in its folders"][1]
            if shell:
                assert {one["id"] for one in run_command(client, shell)} == {one.id for one in below}
            following = re.search(r'href="(\?[^"]*)" rel="next"', page)
            address = f"/folders{unescape(following[1])}" if following else ""


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("tab", ["inputs", "outputs"])
def test_files_of_a_run(client: Any, usual: Made, tab: str) -> None:
    address = f"/runs/{usual.runs['train']}/{tab}"
    while address:
        page = client.get(address).text
        python, _ = code_of(page)
        shown = ids_of(page, "files")
        assert [one.id for one in run_python(client, python)] == shown != []
        following = re.search(r'href="(\?[^"]*)" rel="next"', page)
        address = f"/runs/{usual.runs['train']}/{tab}{unescape(following[1])}" if following else ""


def test_what_health_shows(client: Any) -> None:
    page = client.get("/health").text
    codes = codes_of(page)
    trash = run_python(client, codes["Trash"][0])
    assert {one["id"] for one in run_command(client, codes["Trash"][1])} == {one.id for one in trash}
    assert f"<dt>Files</dt><dd>{len(trash)}," in page
    dead = set(re.findall(r'<tr><td><a href="/runs/(\w+)"', page))
    assert dead == ({one.id for one in run_python(client, codes["Runs whose process is gone"][0])} if dead else set())


def test_storages(client: Any) -> None:
    page = client.get("/storages").text
    found = run_python(client, code_of(page)[0])
    assert [one.id for one in found] == re.findall(r'/storages/(\w+)"', page)
    page = client.get(f"/storages/{found[0].id}").text
    assert [one.id for one in run_python(client, code_of(page)[0])] == ids_of(page, "files")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_what_cannot_be_seen_is_an_escape_in_a_command() -> None:
    words = ["plain", "a b", "it's", "a\u202egnp.exe", "zero\u200bwidth\\", "'\n\x1b[31m", "🧬\u200d"]
    text = command(*words)
    assert text.isprintable() and text.startswith("lamin plain 'a b' ")
    script = f"lamin() {{ printf '%s\\0' \"$@\"; }}; {text}"
    done = processes.run_command("bash", "-c", script, env=processes.clean_environment(LC_ALL="C.UTF-8"))
    assert done.stdout.split("\0")[:-1] == words


@pytest.mark.parametrize("text", ["", "a", 'a"b', "a'b", "a\"'b", "a\\b", "\n", "\u202e", "é", "{x}", '\\"'])
def test_text_is_written_as_python(text: str) -> None:
    assert eval(literal(text)) == text
    assert literal(text).startswith('"')
