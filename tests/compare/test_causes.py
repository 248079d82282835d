"""`ln.why`: equal to the rules in plain Python on random histories, and case by case, on both databases."""

from __future__ import annotations

import json
import random
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.compare.causes import Cause, Why
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound
from lamindb.models import ImportedModule, RunInput, RunOutput
from lamindb.storage.base import Source
from tests.support import depth

MODULES = {"m1": {"utils.py": "1" * 64}, "m2": {"utils.py": "2" * 64, "more.py": "3" * 64}, "m0": {}}
PACKAGES = {"numpy==2.1\n": {"numpy": "2.1"}, "numpy==2.3\nscipy==1.0\n": {"numpy": "2.3", "scipy": "1.0"}}
USUAL: dict[str, Any] = {
    "revision": 1, "modules_digest": "m1", "git_commit": "c" * 40, "git_is_dirty": False, "diff_digest": None,
    "arguments": ["a"], "params": {"n": 1}, "environment_digest": "numpy==2.1\n", "python_version": "3.11", "host": "h",
}  # fmt: skip
OTHERS: dict[str, list[Any]] = {
    "revision": [2, 3, None], "modules_digest": ["m2", "m0", None], "git_commit": [None], "git_is_dirty": [True, None],
    "diff_digest": ["d1.diff", "d2.diff"], "arguments": [["b"], [], None],
    "params": [{"n": 2}, {"n": 1, "k": "x"}, None],
    "environment_digest": ["numpy==2.3\nscipy==1.0\n", None], "python_version": ["3.12", None], "host": ["i", None],
}  # fmt: skip
"""What runs have most of the time, and what else they may have; None is what was not recorded."""


def prepare() -> dict[str, str]:
    """Write the sets of modules, store the lists of packages, and return the names of these objects."""
    instance = context.instance()
    rows = [
        ImportedModule.from_fields(set_digest=name, path=path, digest=digest, suffix=".py")
        for name, members in MODULES.items()
        for path, digest in members.items()
    ]
    with database.writing(instance.alias) as link:
        database.insert_many(link, rows)
    stored = {text: instance.store.put(Source(suffix=".txt", data=text.encode())).name for text in PACKAGES}
    return {text: name.digest + name.suffix for text, name in stored.items()}


@dataclass
class Story:
    """A history of saves and runs by chance, and all that is known of it as plain values."""

    chance: random.Random
    objects: dict[str, str]
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def usual(self) -> dict[str, Any]:
        some = self.chance.sample(sorted(OTHERS), self.chance.choice([0, 0, 0, 1, 1, 2]))
        return USUAL | {name: self.chance.choice(OTHERS[name]) for name in some}

    def new_run(self, transform: ln.Transform, facts: dict[str, Any], parent: ln.Run | None = None) -> ln.Run:
        run: ln.Run = ln.Run(transform=transform, parent=parent).save()
        self.facts[run.id] = facts
        row = {**facts, "environment_digest": self.objects.get(facts["environment_digest"] or "")}
        ln.Run.objects.using(run.alias).filter(id=run.id).order_by().update_rows(row)
        return run

    def save(self, keys: str, run: ln.Run | None = None) -> None:
        key = self.chance.choice(keys)
        ln.File(f"{key} {self.chance.randrange(3)}".encode(), key=key, run=run).save()

    def step(self) -> None:
        current = ln.File.select().order_by("id").list()
        if not current or self.chance.random() < 0.25:
            self.save("abx")
            return
        kinds = [("pipeline", "p", "1")] * 2 + [("pipeline", "p", "2"), ("command", "c", "1"), ("function", "f", "1")]
        kind, name, version = self.chance.choice(kinds)
        transform = ln.Transform(name=name, type=kind, version=version).save()
        if kind == "function":
            around = self.new_run(ln.Transform(name="around", type="script").save(), self.usual())
            lacking = dict.fromkeys(["modules_digest", "git_commit", "git_is_dirty", "diff_digest", "arguments"])
            lacking |= dict.fromkeys(["environment_digest", "python_version"])
            run = self.new_run(transform, {**self.usual(), **lacking}, around)
        else:
            run = self.new_run(transform, self.usual())
        run.inputs.add(*self.chance.sample(current, min(len(current), self.chance.choice([0, 1, 1, 2]))))
        for _ in range(self.chance.choice([1, 1, 2])):
            self.save("xyz", run)


class Rules:
    """The sentences of the documentation one by one, without any thought of speed."""

    def __init__(self, story: Story) -> None:
        self.files = {file.id: file for file in ln.File.objects.all()}
        self.runs = {run.id: run for run in ln.Run.objects.all()}
        self.facts = story.facts
        self.read, self.made = (
            list(model.objects.get_queryset().order_by("id").values_list("run_id", "file_id"))
            for model in (RunInput, RunOutput)
        )
        self.causes: dict[Any, int] = {}
        self.unknown: set[tuple[str, str]] = set()

    def producers(self, file: str) -> list[str]:
        return [run for run, made in self.made if made == file] or [*filter(None, [self.files[file].run_id])]

    def around(self, run: str) -> str:
        """A step has the environment of the run around it."""
        is_step = self.runs[run].transform.type == "function"
        return str(self.runs[run].parent_id) if is_step else run

    def ask(self, old: str, new: str) -> None:
        seen, generation, length = {(old, new)}, [(old, new)], 1
        while generation:
            following = []
            for pair in generation:
                found, unknown, followed = self.compare(*pair)
                for cause in found:
                    self.causes.setdefault(cause, length)
                self.unknown |= unknown
                for inner in followed:
                    if inner not in seen:
                        seen.add(inner)
                        following.append(inner)
            generation, length = following, length + 1

    def compare(self, old: str, new: str) -> tuple[set[Any], set[tuple[str, str]], list[tuple[str, str]]]:
        """Return the causes of one pair, what is unknown, and which inputs to follow."""
        pair = (old, new)
        # The last run that made the old bytes and the first that made the new ones.
        before, after = self.producers(old)[-1:], self.producers(new)[:1]
        if not before and not after:
            return {("saved", "", self.files[old].version, self.files[new].version, pair)}, set(), []
        if not before or not after:
            return {("producer", "", None, None, pair)}, set(), []
        a, b = before[0], after[0]
        if a == b:
            return {("same run", "", None, None, pair)}, set(), []
        one, other = self.runs[a].transform, self.runs[b].transform
        if (one.type, one.name) != (other.type, other.name):
            return {("transform", pair)}, set(), []
        found: set[Any] = set()
        unknown: set[tuple[str, str]] = set()
        x, y = self.facts[a], self.facts[b]
        a2, b2 = self.around(a), self.around(b)
        x2, y2 = self.facts[a2], self.facts[b2]

        def lacks(what: str, name: str, *sides: tuple[str, dict[str, Any]]) -> bool:
            missing = {(what, run) for run, facts in sides if facts[name] is None}
            unknown.update(missing)
            return bool(missing)

        has_arguments = x["arguments"] is not None and y["arguments"] is not None
        if one.version != other.version:
            found.add(("version", "", one.version, other.version, one.name))
        elif one.type == "command" and has_arguments and x["revision"] is None is y["revision"]:
            pass
        elif not lacks("code", "revision", (a, x), (b, y)) and x["revision"] != y["revision"]:
            found.add(("code", "", x["revision"], y["revision"], one.name))
        if not lacks("modules", "modules_digest", (a2, x2), (b2, y2)):
            mine, theirs = MODULES[x2["modules_digest"]], MODULES[y2["modules_digest"]]
            for path in mine.keys() | theirs.keys():
                if mine.get(path) != theirs.get(path):
                    found.add(("module", path, mine.get(path), theirs.get(path), ""))
        is_code = bool(found)
        unasked = [(run, facts) for run, facts in ((a2, x2), (b2, y2)) if facts["git_commit"] is not None]
        patches = [facts["diff_digest"] if facts["git_is_dirty"] else None for facts in (x2, y2)]
        if not lacks("patch", "git_is_dirty", *unasked) and patches[0] != patches[1] and not is_code:
            found.add(("patch", "", *patches, ""))
        if one.type != "function":
            lacks("arguments", "arguments", (a, x), (b, y))
        if has_arguments and one.type != "function" and x["arguments"] != y["arguments"]:
            found.add(("arguments", "", str(x["arguments"]), str(y["arguments"]), one.name))
        mine, theirs = x["params"] or {}, y["params"] or {}
        for name in mine.keys() | theirs.keys():
            if mine.get(name) != theirs.get(name):
                found.add(("parameter", name, mine.get(name), theirs.get(name), one.name))
        followed = self.inputs(pair, a, b, found)
        if not lacks("packages", "environment_digest", (a2, x2), (b2, y2)):
            mine, theirs = PACKAGES[x2["environment_digest"]], PACKAGES[y2["environment_digest"]]
            for name in mine.keys() | theirs.keys():
                if mine.get(name) != theirs.get(name):
                    found.add(("package", name, mine.get(name), theirs.get(name), ""))
        if not lacks("python", "python_version", (a2, x2), (b2, y2)) and x2["python_version"] != y2["python_version"]:
            found.add(("python", "", x2["python_version"], y2["python_version"], ""))
        is_known = not lacks("host", "host", (a, x), (b, y)) and not unknown
        if not found and not followed:
            found |= self.renamed
        if not found and not followed:
            if None not in (x["host"], y["host"]) and x["host"] != y["host"]:
                found.add(("host", "", x["host"], y["host"], ""))
            elif is_known:
                found.add(("not deterministic", "", None, None, pair))
        return found, unknown, followed

    def inputs(self, pair: tuple[str, str], a: str, b: str, found: set[Any]) -> list[tuple[str, str]]:
        """Pair inputs by version, then by file, then by key, then by bytes."""
        left = [file for run, file in self.read if run == a]
        right = [file for run, file in self.read if run == b]
        paired: list[tuple[str | None, str | None]] = []
        for name in (
            lambda file: file, lambda file: file[:16], lambda file: self.files[file].key,
            lambda file: self.files[file].digest,
        ):  # fmt: skip
            for mine in list(left):
                same = [theirs for theirs in right if name(theirs) == name(mine)]
                if same:
                    paired.append((mine, same[0]))
                    left.remove(mine)
                    right.remove(same[0])
        paired += [(mine, None) for mine in left] + [(None, theirs) for theirs in right]
        followed = []
        self.renamed = set()
        for mine, theirs in paired:
            if mine and theirs and self.files[mine].digest == self.files[theirs].digest:
                if self.files[mine].key != self.files[theirs].key:
                    self.renamed.add(("input", theirs, mine, theirs, pair))
                continue
            if theirs is not None and self.files[theirs].key == self.files[pair[1]].key:
                found.add(("continued", "", mine, theirs, pair))
            elif mine and theirs:
                followed.append((mine, theirs))
            else:
                found.add(("input", mine or theirs, mine, theirs, pair))
        return followed


def told(cause: Cause) -> Any:
    """Return a cause as the rules write it."""
    pair = tuple(file.id for file in cause.files)
    if cause.kind == "transform":
        return ("transform", pair)
    of_transform = {"code", "version", "arguments", "parameter"}
    subject: Any = "" if cause.kind in {"module", "patch", "package", "python", "host"} else pair
    if cause.kind in of_transform:
        subject = ln.Run.objects.get(id=str(cause.run_ids[1])).transform.name
    values = (str(cause.before), str(cause.after)) if cause.kind == "arguments" else (cause.before, cause.after)
    return (cause.kind, cause.name, *values, subject)


def play(seed: int, steps: int, questions: int = 4) -> set[str]:
    """Play a history, ask about pairs of versions, and return the kinds of causes that there were."""
    chance = random.Random(seed)
    story = Story(chance, prepare())
    for _ in range(steps):
        story.step()
    kinds: set[str] = set()
    for file in ln.File.select().order_by("id"):
        versions = file.versions.list()
        for _ in range(min(len(versions) - 1, questions)):
            place = chance.randrange(len(versions) - 1)
            old, new = chance.choice([chance.sample(versions, 2), versions[place : place + 2]])
            rules = Rules(story)
            if old.digest != new.digest:
                rules.ask(old.id, new.id)
            found = ln.why(new, old)
            assert {told(cause): len(cause.way) for cause in found.causes} == rules.causes
            assert len(found.causes) == len(rules.causes)
            assert {(one.what, one.run_id) for one in found.unknown} == rules.unknown
            for cause in found.causes:
                assert (cause.way[0], cause.way[-1].id) == (cause.files[1], new.id)
                for inner, outer in zip(cause.way, cause.way[1:], strict=False):
                    assert (rules.producers(outer.id)[0], inner.id) in rules.read
            kinds |= {cause.kind for cause in found.causes}
    return kinds


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_equal_the_rules(instance: Path, seed: int) -> None:
    assert play(seed, 30)


@pytest.mark.slow
@pytest.mark.timeout(900)
@depth.on_one_database()
def test_many_random_histories_equal_the_rules(instance: Path) -> None:
    kinds = play(100, 300, questions=60)
    assert len(kinds) >= 12, sorted(kinds)


def made(name: str, inputs: list[ln.File], key: str, data: bytes, **facts: Any) -> ln.File:
    """Return the output of a new run of a pipeline about which everything is known."""
    run = ln.Run(transform=ln.Transform(name=name, type="pipeline").save()).save()
    run.inputs.extend(inputs)
    stored = context.instance().store.put(Source(suffix=".txt", data=facts.pop("packages", b"numpy==2.1\n")))
    row = {**USUAL, "environment_digest": stored.name.digest + ".txt", "modules_digest": None, **facts}
    ln.Run.objects.using(run.alias).filter(id=run.id).order_by().update_rows(row)
    return ln.File(data, key=key, run=run).save()


def texts(found: Why) -> list[str]:
    return [str(cause) for cause in found.causes]


def test_another_file_with_the_same_bytes_counts_where_nothing_else_differs(instance: Path) -> None:
    one, other = (ln.File(b"the same", key=key).save() for key in ("raw/a.csv", "raw/b.csv"))
    made("name", [one], "name.txt", b"of a")
    found = ln.why(made("name", [other], "name.txt", b"of b"))
    assert texts(found) == ["input is raw/b.csv v1, was raw/a.csv v1, with the same bytes"]
    (cause,) = found.causes
    assert (cause.kind, cause.before, cause.after) == ("input", one.id, other.id)
    found = ln.why(made("name", [one], "name.txt", b"of a, twice", params={"n": 2}))
    assert texts(found) == ["parameter n: 1 → 2"]


def test_the_code_of_a_workflow_counts_where_nothing_else_differs(instance: Path) -> None:
    workflow = ln.Transform(name="snakemake", type="command").save()
    rule = ln.Transform(name="count", type="command").save()
    made_by = []
    for revision in (1, 2, 2):
        above = ln.Run(transform=workflow).save()
        ln.Run.objects.filter(id=above.id).order_by().update_rows({**USUAL, "revision": revision})
        made_by.append(ln.Run(transform=rule, parent=above).save())
        row = {**USUAL, "revision": 1, "arguments": ["count"]}
        ln.Run.objects.filter(id=made_by[-1].id).order_by().update_rows(row)
        file = ln.File(b"%d" % len(made_by), key="count.txt", run=made_by[-1]).save()
    assert texts(ln.why(file, 1)) == ["code of snakemake changed (1 → 2)"]
    assert "snakemake" not in str(ln.why(file, 2).causes)
    ln.Run.objects.filter(id=made_by[0].id).order_by().update_rows({"arguments": ["count", "--all"]})
    assert [cause.kind for cause in ln.why(file, 1).causes] == ["arguments"]


def test_the_first_divergent_ancestors_are_named(instance: Path) -> None:
    plates = [ln.File(data, key="raw/plate.csv").save() for data in (b"1", b"2")]
    for number, plate in enumerate(plates, start=1):
        clean = made("clean", [plate], "clean.csv", f"clean {number}".encode(), revision=number, params={"how": number})
        counts = made("count", [clean], "counts.csv", f"counts {number}".encode())
    found = ln.why(counts)
    assert texts(found) == [
        "code of clean changed (1 → 2)",
        "parameter how: 1 → 2",
        f"input raw/plate.csv is v2, was v1, saved by {plates[1].created_by.handle} without a run",
    ]
    assert [[file.key for file in cause.way] for cause in found.causes] == [
        ["clean.csv", "counts.csv"], ["clean.csv", "counts.csv"], ["raw/plate.csv", "clean.csv", "counts.csv"],
    ]  # fmt: skip
    assert "by way of raw/plate.csv v2 → clean.csv v2 → counts.csv v2" in found.to_text()
    assert found.to_text().splitlines()[0].startswith("--- counts.csv v1 (")
    assert repr(found) == found.to_text() and "<pre" in found._repr_html_()
    shown = json.loads(found.to_json())
    assert (shown["format"], shown["same_bytes"], len(shown["causes"])) == ("lamindb-why", False, 3)
    assert shown["causes"][0]["name"] == "" and shown["causes"][1]["after"] == 2
    with pytest.raises(FrozenInstanceError):
        found.causes[0].kind = "host"  # type: ignore[misc]
    assert texts(ln.why("counts.csv", 1)) == texts(ln.why(counts, counts.versions[0])) == texts(found)


def test_packages_and_python_in_words(instance: Path) -> None:
    made("p", [], "x.csv", b"1")
    new = made("p", [], "x.csv", b"2", packages=b"numpy==2.3\nzarr==3\n", python_version="3.12")
    found = ln.why(new)
    assert texts(found) == ["numpy 2.1 → 2.3", "package zarr 3 is new", "Python 3.11 → 3.12"]
    assert {one.what for one in found.unknown} == {"modules"}
    assert "modules of run" in found.to_text()


def test_only_what_is_known_to_be_the_same_is_not_deterministic(instance: Path) -> None:
    made("p", [], "x.csv", b"1")
    found = ln.why(made("p", [], "x.csv", b"2"))
    assert (found.causes, {one.what for one in found.unknown}) == ((), {"modules"})
    assert "unknown: what was recorded is the same" in found.to_text()
    known = {"modules_digest": "an empty set"}
    made("p", [], "y.csv", b"1", **known)
    found = ln.why(made("p", [], "y.csv", b"2", **known))
    assert [cause.kind for cause in found.causes] == ["not deterministic"] and found.unknown == ()
    found = ln.why(made("p", [], "y.csv", b"3", **known, host="elsewhere"))
    assert texts(found) == ["host h → elsewhere"]


def test_a_table_that_is_appended_to(instance: Path) -> None:
    table = ln.File(b"0", key="table").save()
    for day in (1, 2, 3):
        table = made("append", [table], "table", f"{day}".encode(), params={"day": day})
    assert texts(ln.why(table)) == ["parameter day: 2 → 3", "append made table v4 from table v3"]


def test_the_same_bytes_have_no_cause(instance: Path) -> None:
    for data in (b"1", b"2", b"1"):
        file = ln.File(data, key="x").save()
    found = ln.why(file, 1)
    assert (found.same_bytes, found.causes) == (True, ()) and "no differences" in found.to_text()


def test_wrong_input_is_named(instance: Path) -> None:
    first, second = (ln.File(data, key="a.txt").save() for data in (b"1", b"2"))
    other = ln.File(b"3", key="b.txt").save()
    run = ln.Run(transform=ln.Transform(name="p", type="pipeline").save()).save()
    wrong: list[tuple[Any, type[Exception], str]] = [
        (lambda: ln.why(first), InvalidInputError, "no version before 1"),
        (lambda: ln.why(second, second), InvalidInputError, "both are version 2"),
        (lambda: ln.why(second, other), InvalidInputError, "different files"),
        (lambda: ln.why(second, 7), NoResultFound, "no version 7: its versions are 1, 2"),
        (lambda: ln.why("c.txt"), NoResultFound, "c.txt"),
        (lambda: ln.why(run), InvalidTypeError, "not a Run"),  # type: ignore[arg-type]
        (lambda: ln.why(ln.File(b"4", key="a.txt")), InvalidInputError, "not saved"),
    ]
    for call, kind, words in wrong:
        with pytest.raises(kind, match=words):
            call()
    first.delete()
    with pytest.raises(InvalidInputError, match=r"version 1 of 'a.txt' is in the trash"):
        ln.why(second, 1)
    with pytest.raises(InvalidInputError, match="no version before 2"):
        ln.why(second)
