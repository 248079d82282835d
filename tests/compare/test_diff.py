"""`ln.diff`: files, folders, runs and transforms of an instance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.compare.file_diff import FileDifference
from lamindb.compare.run_diff import RunDifference
from lamindb.errors import IntegrityError, InvalidInputError, InvalidTypeError, NoResultFound


def save(key: str, *contents: bytes) -> list[ln.File]:
    return [ln.File(content, key=key).save() for content in contents]


def diff_of(key: str, *contents: bytes, **options: Any) -> FileDifference:
    found = ln.diff(*save(key, *contents), **options)
    assert isinstance(found, FileDifference)
    return found


def test_two_versions_of_a_file_are_compared_by_lines(instance: Path) -> None:
    first, second = save("notes.txt", b"a\nb\n", b"a\nc\n")
    found = ln.diff(first, second)
    assert found.to_text().splitlines() == [
        f"--- notes.txt v1 ({first.id})",
        f"+++ notes.txt v2 ({second.id})",
        "",
        " text",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]
    assert repr(ln.diff(second)) == found.to_text()
    assert ln.diff(first, first).is_equal and "no differences" in ln.diff(first, first).to_text()
    shown = json.loads(found.to_json())
    assert (shown["kind"], shown["is_equal"], shown["same_bytes"]) == ("file", False, False)
    assert shown["before"] == {"kind": "file", "id": first.id, "title": "notes.txt", "version": 1}
    assert shown["content"]["hunks"][0]["lines"] == [" a", "-b", "+c"]


def test_nothing_is_recorded(instance: Path) -> None:
    first, second = save("notes.txt", b"a\n", b"b\n")
    with ln.track(ln.Transform(name="reader", type="pipeline")) as run:
        ln.settings.track_run_inputs = True
        ln.diff(first, second)
    assert list(run.inputs) == []


@pytest.mark.parametrize(
    ("key", "before", "after", "kind"),
    [
        ("t.csv", b"id,v\n1,2\n", b"id,v\n1,3\n", "table"),
        ("t.tsv", b"id\tv\n1\t2\n", b"id\tv\n1\t3\n", "table"),
        ("p.json", b'{"a": 1}', b'{"a": 2}', "tree"),
        ("n.bin", b"\0abc", b"\0abd!", "bytes"),
        ("n.dat", b"plain", b"text", "text"),
    ],
)
def test_the_format_decides_how(local_instance: Path, key: str, before: bytes, after: bytes, kind: str) -> None:
    found = diff_of(key, before, after)
    assert found.content is not None and found.content.kind == kind
    assert not found.is_equal and not found.notes


def test_bytes_by_size_and_first_offset(local_instance: Path) -> None:
    head = b"\0" * (3 << 20)
    found = diff_of("a.bin", head + b"x", head + b"yz").content
    assert found is not None and found.kind == "bytes"
    assert (found.first_offset, found.size_after - found.size_before) == (len(head), 1)
    assert "offset 3,145,728" in diff_of("b.bin", head, head + b"yz").to_text()


def test_yaml_by_path_but_not_with_aliases(local_instance: Path) -> None:
    pytest.importorskip("yaml")
    found = diff_of("c.yaml", b"a: {b: 1}\n", b"a: {b: 2}\n")
    assert found.content is not None and found.content.kind == "tree" and "a.b: 1 → 2" in found.to_text()
    bomb = b"a: &a [1]\nb: [*a, *a]\n"
    other = diff_of("d.yaml", bomb, bomb + b"c: 1\n")
    assert other.content is not None and other.content.kind == "text" and "aliases" in other.to_text()


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [("t.csv", b"a,a\n1,2\n", b"a,b\n1,2\n"), ("t.json", b"{", b"[]"), ("u.json", b"[" * 100_000, b"1")],
)
def test_what_is_not_of_its_format_is_compared_as_text(
    local_instance: Path, key: str, before: bytes, after: bytes
) -> None:
    found = diff_of(key, before, after)
    assert found.content is not None and found.content.kind == "text" and len(found.notes) == 1


def test_other_bytes_with_the_same_values_are_equal(local_instance: Path) -> None:
    found = diff_of("p.json", b'{"a": 1, "b": 2}', b'{"b": 2, "a": 1}')
    assert found.is_equal and not found.same_bytes
    assert "the bytes differ, the values do not" in found.to_text()
    assert diff_of("t.csv", b"v\n1.0\n", b"v\n1.0001\n", rtol=0.01).is_equal


def test_folders_by_their_members(instance: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)
    first = ln.File(folder, key="made").save()
    (folder / "a.txt").write_text("changed")
    (folder / "b.txt").rename(folder / "c.txt")
    second = ln.File(folder, key="made").save()
    other = ln.File(folder, key="other").save()
    text = ln.diff(first, second).to_text()
    assert "~ a.txt: 5 B → 7 B" in text and "b.txt → c.txt, the same bytes" in text
    assert ln.diff(second, other).is_equal
    (file,) = save("f.txt", b"1")
    with pytest.raises(InvalidInputError, match="different files"):
        ln.diff(first, file)


def test_wrong_input_is_named(instance: Path) -> None:
    first, second = save("a.txt", b"1", b"2")
    (other,) = save("b.txt", b"3")
    run = ln.Run(transform=ln.Transform(name="p", type="pipeline").save()).save()
    wrong: list[tuple[Any, type[Exception], str]] = [
        (lambda: ln.diff(first, other), InvalidInputError, "different files"),
        (lambda: ln.diff(first), InvalidInputError, "no version before 1"),
        (lambda: ln.diff(first, run), InvalidTypeError, "File with a Run"),
        (lambda: ln.diff(run), InvalidInputError, "is the first of"),
        (lambda: ln.diff("a.txt", "b.txt"), InvalidTypeError, "not str"),  # type: ignore[arg-type]
        (lambda: ln.diff(first, second, on="id"), InvalidInputError, "not one"),
        (lambda: ln.diff(first, second, rtol=-1), InvalidInputError, "rtol must be"),
        (lambda: ln.diff(run, run, rtol=0.1), InvalidInputError, "not for runs"),
        (lambda: ln.diff(run, run), InvalidInputError, "nothing to compare"),
        (lambda: ln.diff(run.transform, ln.Transform(name="q", type="script").save()), NoResultFound, "no run"),
        (lambda: ln.diff(ln.File(b"4", key="a.txt"), first), InvalidInputError, "not saved"),
    ]
    for call, kind, words in wrong:
        with pytest.raises(kind, match=words):
            call()
    stale = ln.File.select(id=second.id).one()
    second.delete()
    with pytest.raises(InvalidInputError, match="in the trash"):
        ln.diff(first, stale)
    with pytest.raises(InvalidInputError, match=r"version 2 of 'a.txt' is in the trash"):
        ln.diff(first, second)


def test_damaged_bytes_are_an_error(local_instance: Path) -> None:
    first, second = save("a.txt", b"1", b"2")
    (path,) = (local_instance / ".lamindb" / "objects").glob(f"*/{first.digest}.txt")
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    with pytest.raises(IntegrityError):
        ln.diff(first, second)


@pytest.fixture
def runs(instance: Path) -> tuple[ln.Run, ln.Run]:
    """Make two runs that differ in parameters, inputs and outputs."""
    old, new = save("in.txt", b"1", b"2")
    (shared,) = save("shared.txt", b"3")
    found = []
    for rate, source, content in ((0.1, old, b"x"), (0.2, new, b"y")):
        with ln.track(ln.Transform(name="train", type="pipeline"), params={"lr": rate, "on": {"gpu": True}}) as run:
            source.stage(is_run_input=True)
            shared.stage(is_run_input=True)
            ln.File(content, key="out.txt").save()
            ln.File(b"same", key="same.txt").save()
        found.append(run)
    return found[0], found[1]


def test_runs_differ_in_what_they_were_given_and_made(runs: tuple[ln.Run, ln.Run]) -> None:
    found = ln.diff(*runs)
    assert isinstance(found, RunDifference) and not found.is_equal
    assert [(one.name, one.before, one.after) for one in found.params] == [("lr", 0.1, 0.2)]
    assert [(a.title, b.title) for a, b in [(p.before, p.after) for p in found.inputs] if a and b] == [
        ("in.txt v1", "in.txt v2")
    ]
    assert [pair.same_bytes for pair in found.outputs] == [False] and found.outputs_equal == 1
    assert (found.packages, found.facts, found.arguments) == ((), (), ())
    text = found.to_text()
    assert "~ lr: 0.1 → 0.2" in text and "~ out.txt v1 → out.txt v2, other bytes" in text and "gpu" not in text
    assert ln.diff(runs[0], runs[0]).is_equal
    assert json.loads(found.to_json())["run_ids"] == [run.id for run in runs]


def test_transforms_are_compared_by_their_last_runs(runs: tuple[ln.Run, ln.Run]) -> None:
    second = ln.Transform(name="train", type="pipeline", version="2").save()
    with ln.track(second, params={"lr": 0.2, "new": None}) as run:
        pass
    found = ln.diff(runs[0].transform, second)
    assert isinstance(found, RunDifference)
    assert found.run_ids == (runs[1].id, run.id)
    assert (found.before.kind, found.after.version) == ("transform", "2")
    assert [(one.name, one.kind) for one in found.params] == [("on", "removed"), ("new", "added")]
    assert [(one.name, one.after) for one in found.facts] == [("transform version", "2")]
    assert "- in.txt v2" in found.to_text() and "- same.txt v1" in found.to_text()


def _store(run: ln.Run, **contents: bytes) -> None:
    from lamindb.core import context
    from lamindb.storage.base import Source

    for field, content in contents.items():
        stored = context.instance().store.put(Source(suffix=".txt", data=content))
        setattr(run, field, stored.name.digest + stored.name.suffix)
    run.save()


def test_code_packages_and_environment_of_runs(local_instance: Path) -> None:
    transform = ln.Transform(name="p", type="pipeline").save()
    cells = [{"cell_type": "code", "source": ["a = 1\n", "b = 2"], "outputs": []}]
    one, other = ln.Run(transform=transform).save(), ln.Run(transform=transform).save()
    _store(one, source_digest=json.dumps({"cells": cells}).encode(), environment_digest=b"a==1\nb==1\nc==1\n")
    cells[0]["source"][0] = "a = 3\n"  # type: ignore[index]
    _store(other, source_digest=json.dumps({"cells": cells}).encode(), environment_digest=b"b==2\nc==1\nd==1\n")
    one.python_version, other.python_version, one.host, other.host = "3.11", "3.12", "here", "there"
    one.save(), other.save()
    found = ln.diff(one, other)
    assert isinstance(found, RunDifference) and found.code is not None
    assert found.code.hunks[0].lines[:4] == (" # %% [code]", "-a = 1", "+a = 3", " b = 2")
    assert [(p.name, p.before, p.after) for p in found.packages] == [
        ("a", "1", None),
        ("b", "1", "2"),
        ("d", None, "1"),
    ]
    assert [p.name for p in found.facts] == ["python", "host"]
    bare = ln.Run(transform=transform, params={"a": 1}).save()
    assert f"the code of run {bare.id} was not stored" in ln.diff(one, bare).to_text()


def test_hostile_text_is_escaped(local_instance: Path) -> None:
    evil = "\x1b[31m<script>\u202e"
    files = save("a.csv", f"id,{evil}\n1,2\n".encode(), f"id,{evil}\n1,{evil}\n".encode())
    transform = ln.Transform(name=evil, type="pipeline").save()
    runs = [ln.Run(transform=transform, params={evil: evil + str(i)}, name=evil).save() for i in range(2)]
    lines = save("a.txt", b"1\n", f"{evil}\n".encode())
    for found in (ln.diff(*files), ln.diff(*runs), ln.diff(*lines)):
        text, page = found.to_text(), found._repr_html_()
        assert "\x1b" not in text and "\u202e" not in text and "\\x1b[31m" in text
        assert "<script>" not in page and "&lt;script&gt;" in page and "\x1b" not in page
        json.loads(found.to_json())


def test_long_lines_and_deep_values_are_shortened(local_instance: Path) -> None:
    line = "é\u05d0" * 500_000
    text = diff_of("a.txt", b"1\n", f"{line}\n".encode()).to_text()
    assert len(text) < 1000 and "…" in text
    deep = diff_of("a.json", b"{}", b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}")
    assert "+ a: [[[" in deep.to_text() and json.loads(deep.to_json())["content"]["count"] == 1


@pytest.mark.timeout(240)
def test_in_a_bucket(seaweed_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage=seaweed_root, name="in-a-bucket")
    found = diff_of("t.csv", b"id,v\n1,2\n", b"id,v\n1,3\n", on="id")
    assert found.content is not None and found.content.kind == "table" and found.content.rows_changed == 1
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "a.txt").write_text("1")
    first = ln.File(folder, key="made").save()
    (folder / "a.txt").write_text("22")
    assert "a.txt: 1 B → 2 B" in ln.diff(first, ln.File(folder, key="made").save()).to_text()
    run = ln.Run(transform=ln.Transform(name="p", type="pipeline").save()).save()
    _store(run, source_digest=b"code\n")
    assert run.code() == "code\n"


def _with_modules(run: ln.Run, **sources: bytes) -> None:
    from lamindb.core import context
    from lamindb.models import ImportedModule
    from lamindb.storage.base import Source

    for path, source in sources.items():
        stored = context.instance().store.put(Source(suffix=".py", data=source)).name
        row = ImportedModule.from_fields(
            set_digest=run.id, path=f"{path}.py", digest=stored.digest, suffix=stored.suffix
        )
        row.save_row(using=run.alias, force_insert=True)
    run.modules_digest = run.id
    run.save()


def test_modules_of_runs_are_compared_by_lines(instance: Path) -> None:
    transform = ln.Transform(name="p", type="pipeline").save()
    one, other, third = (ln.Run(transform=transform, params={"n": 1}).save() for _ in range(3))
    _with_modules(one, utils=b"a = 1\nb = 2\n", old=b"", same=b"s")
    _with_modules(other, utils=b"a = 1\nb = 3\n", new=b"", same=b"s")
    found = ln.diff(one, other)
    assert isinstance(found, RunDifference) and not found.is_equal
    assert [(module.path, module.kind) for module in found.modules] == [
        ("new.py", "added"), ("old.py", "removed"), ("utils.py", "changed"),
    ]  # fmt: skip
    text = found.to_text()
    assert " module utils.py\n@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3" in text
    assert " module new.py\n+ imported by the later run only" in text
    assert json.loads(found.to_json())["modules"][2]["text"]["added"] == 1
    unknown = ln.diff(one, third)
    assert isinstance(unknown, RunDifference) and unknown.modules == ()
    assert f"the modules of run {third.id} were not stored" in unknown.notes
