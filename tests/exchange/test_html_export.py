"""A project in one file: what is in it, what is not, and that it stays below its size."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.errors import InvalidInputError, NoResultFound
from lamindb.exchange.html_export import Export, export_html

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "</script><script>alert(1)</script>",
    "{{7*7}}{% debug %}",
    "javascript:alert(1)",
    "a\u202egnp.exe",
    "<style>*{display:none}</style>",
    "--><!-- ]]>",
)


# The code of a run is that of this file, so the secret does not stand in it.
HOME = "/home" + "/ada"
SECRET = "hunter" + "22xyz" * 2


class Parsed(HTMLParser):
    """The tags of a page with their attributes, and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def values(self, *names: str) -> list[str]:
        """Return the values of attributes."""
        return [found[name] for _, found in self.tags for name in names if name in found]


def data(made: Export) -> dict[str, Any]:
    """Return what the script of a page reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', made.text, re.DOTALL)
    assert found is not None
    parsed: dict[str, Any] = json.loads(found[1])
    return parsed


def study() -> tuple[ln.File, ln.File]:
    """Save a raw file and a result; return both."""
    with ln.track(ln.Transform(name="import", type="script")):
        raw = ln.File(b"a,b\n1,2\n", key="raw/table.csv").save()
    with ln.track(ln.Transform(name="count", type="script"), params={"depth": 7, "api_token": SECRET}):
        raw.stage(is_run_input=True)
        result = ln.File(b"# Result\n", key="results/summary.md", description=f"at {HOME}/notes.txt").save()
    return raw, result


def test_it_has_all_records_and_leads_to_each(local_instance: Path) -> None:
    raw, result = study()
    made = export_html()
    assert (made.n_files, made.n_runs, made.left_out) == (2, 2, {})
    parsed = Parsed(made.text)
    anchors = set(parsed.values("id"))
    assert {f"f-{raw.id}", f"f-{result.id}", f"r-{result.run_id}", "files", "runs", "transforms", "home"} <= anchors
    assert {link[1:] for link in parsed.values("href")} <= anchors
    found = data(made)
    by_id = {node["i"]: number for number, node in enumerate(found["nodes"])}
    assert [by_id[raw.id], by_id[str(result.run_id)]] in found["edges"]
    assert '<th scope="col">a</th>' in made.text and "depth" in made.text


def test_it_loads_nothing_and_runs_its_own_script_only(local_instance: Path) -> None:
    study()
    text = export_html().text
    parsed = Parsed(text)
    assert not re.search(r"https?://", text)
    assert all(one.startswith("#") for one in parsed.values("href", "action", "xlink:href"))
    assert all(one.startswith("data:") for one in parsed.values("src"))
    assert not any(name.startswith("on") or name == "style" for _, found in parsed.tags for name in found)
    policy = html.unescape(next(one for one in parsed.values("content") if "default-src" in one))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'")
    assert "unsafe" not in policy and "connect-src" not in policy


def test_names_and_texts_are_never_markup(local_instance: Path) -> None:
    for number, name in enumerate(HOSTILE):
        with ln.track(ln.Transform(name=name, type="script", description=name), params={name: name}) as run:
            file = ln.File(name.encode(), key=f"{number}/{name.replace('/', '_')}.csv", description=name).save()
            file.flag(name)
        run.name = name
        run.save()
    made = export_html()
    tags = {tag for tag, _ in Parsed(made.text).tags}
    assert not tags & {"img", "iframe", "object", "form"}
    assert made.text.count("<script") == 2 and made.text.count("<style") == 1
    assert "\u202e" not in made.text
    assert "onload" not in {name for _, found in Parsed(made.text).tags for name in found}


def test_secrets_hosts_and_paths_are_not_in_it(local_instance: Path) -> None:
    from lamindb.core import processes

    study()
    made = export_html()
    assert SECRET not in made.text
    assert HOME not in made.text and str(local_instance) not in made.text
    assert not re.search(rf"(?<![\w.-]){re.escape(processes.host())}(?![\w-])", made.text) or len(processes.host()) < 3
    assert "Left out for privacy: host names and addresses, e-mail addresses, absolute paths" in made.text
    asked = export_html(with_hosts=True, with_emails=True, with_paths=True)
    assert f"{HOME}/notes.txt" in asked.text and "<p>Left out for privacy" not in asked.text
    assert SECRET not in asked.text


def test_a_part_has_what_is_before_and_after(local_instance: Path) -> None:
    _, result = study()
    other = ln.File(b"other", key="other.txt").save()
    made = export_html([result])
    assert made.n_files == 2
    assert other.id not in made.text
    assert "what is before and after results/summary.md" in html.unescape(made.text)


def test_marks_versions_and_reasons_are_in_it(local_instance: Path) -> None:
    raw, _ = study()
    raw.flag("wrong plate")
    ln.File.select(id=raw.id).one().replace(b"a,b\n3,4\n").save()
    text = html.unescape(export_html().text)
    assert "wrong plate" in text
    assert "version 1 of raw/table.csv was read; version 2 is current" in text
    assert 'class="st stale"' in text and 'class="st affected"' in text and 'class="st flagged"' in text
    assert "Now there is" in text


def test_renames_are_in_it_without_what_is_private(local_instance: Path) -> None:
    file = ln.File(b"data", key="of ada@example.org/table.csv").save()
    file.key = "table.csv"
    file.save()
    made = export_html()
    assert "renamed from of " in made.text and "to table.csv, by" in made.text
    assert "ada@example.org" not in made.text


def test_what_is_too_large_is_left_out_in_order(local_instance: Path) -> None:
    text = "x" * 7_000
    for number in range(40):
        ln.File(f"{number} {text}".encode(), key=f"notes/{number}.txt").save()
    ln.File(b"new", key="notes/0.txt").save()
    whole = export_html()
    assert whole.left_out == {}
    small = export_html(max_bytes=len(whole.text) - 100_000)
    assert small.left_out == {"preview": 40}
    assert len(small.text.encode()) <= len(whole.text) - 100_000
    assert "Left out to keep this file small: 40 previews" in small.text
    smaller = export_html(max_bytes=len(small.text) - 500)
    assert smaller.left_out == {"preview": 40, "old version": 1}
    assert all(link[1:] in Parsed(smaller.text).values("id") for link in Parsed(smaller.text).values("href"))
    with pytest.raises(InvalidInputError, match="name the keys or runs to show, or allow more"):
        export_html(max_bytes=60_000)


def test_nothing_to_show_is_an_error(local_instance: Path) -> None:
    with pytest.raises(NoResultFound, match="has no file and no run yet"):
        export_html()


def test_damaged_bytes_are_said_and_stop_nothing(local_instance: Path) -> None:
    raw, _ = study()
    path = next((local_instance / ".lamindb" / "objects").rglob(f"{raw.digest}*"))
    path.chmod(0o644)
    path.unlink()
    assert export_html().n_files == 2
