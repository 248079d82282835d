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
from lamindb.web.copied_code import command, literal
from tests.support import processes
from tests.web.conftest import Made, Parsed

FILES = [
    "/files", "/files?type=.csv", "/files?folder=raw", "/files?old=1", "/files?state=trash", "/files?state=flagged",
    "/files?state=stale", "/files?since=2020-01-01", "/files?since=2020-01-01&until=2099-01-01", "/files?who=ada",
    "/files?who=nobody", "/files?transform={train}", "/files?type=.csv&folder=raw/batch0&old=1", "/files?type=.none",
]  # fmt: skip
RUNS = [
    "/runs", "/runs?status=failed", "/runs?status=running", "/runs?transform={merge}", "/runs?who=ada",
    "/runs?since=2020-01-01",
    "/runs?reads={model}", "/runs?status=completed&transform={train}&until=2099-01-01",
]  # fmt: skip


def code_of(page: str) -> tuple[str, str]:
    """Return the Python and the command at the foot of a page."""
    found = {kind: unescape(text) for kind, text in re.findall(r'id="code-(\w+)">(.*?)</code>', page)}
    return found.get("python", ""), found.get("shell", "")


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
    with context.using(client.site.instance):
        done = CliRunner().invoke(lamin, [*arguments, *words, "--json"])
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
    for address, record_id in (
        (f"/files/{file}", file),
        (f"/runs/{run}", run),
        (f"/transforms/{transform}", transform),
    ):
        python, shell = code_of(client.get(address).text)
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
    python, shell = code_of(client.get("/stale").text)
    assert {one.id for one in run_python(client, python)} == {one["id"] for one in run_command(client, shell)}


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
