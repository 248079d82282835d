"""What has to be run: following a plan by hand makes files fresh, on random histories and case by case."""

from __future__ import annotations

import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context, processes
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound
from tests.support import depth
from tests.support.histories import History

PROGRAM = {"host": processes.host(), "source_digest": "some code"}


def tracked(
    name: str, inputs: list[ln.File], *, kind: str = "script", parent: ln.Run | None = None, **facts: Any
) -> Any:
    """Return a run of a program that can be started here, unless the facts say something else."""
    reference = f"{name}.py:{name}" if kind == "function" else f"{name}.py" if kind == "script" else name
    transform = ln.Transform(name=name, type=kind, reference=reference).save()
    run = ln.Run(transform=transform, parent=parent).save()
    values = {"arguments": None if kind == "function" and parent is not None else ["--fast"], **PROGRAM, **facts}
    ln.Run.objects.filter(id=run.id).update_rows(values)
    run.inputs.extend(inputs)
    return ln.Run.objects.get(id=run.id)


def made(name: str, inputs: list[ln.File], key: str | None, data: bytes = b"", **facts: Any) -> ln.File:
    run = tracked(name, inputs, **facts)
    return ln.File(data or f"{key} {run.id}".encode(), key=key, name="data", run=run).save()


_serial = itertools.count()


def current(file: ln.File) -> ln.File | None:
    if file.key is None:
        return file.versions.filter(trashed_at__isnull=True).order_by("-version").first()
    now = ln.File.objects.get(id=file.id)
    return ln.File.select(key=now.key).first() if now.key is not None else None


def follow(found: Any, *, same_bytes: Any = lambda: False) -> None:
    """Start each unit by hand: it reads what is current under each key that it read, and writes its files anew."""
    for unit in found:
        by_run: dict[str, list[ln.File]] = {}
        for file in unit.files:
            by_run.setdefault(file.producers.list()[-1].id, []).append(file)
        for run_id in sorted(by_run):
            old = ln.Run.objects.get(id=run_id)
            run = ln.Run(transform=old.transform, parent=old.parent).save()
            ln.Run.objects.filter(id=run.id).update_rows({**PROGRAM, "arguments": old.arguments})
            inputs = dict.fromkeys(filter(None, map(current, old.inputs)))
            run.inputs.extend(inputs)
            for file in by_run[run_id]:
                data = file.load() if same_bytes() else None
                data = Path(data).read_bytes() if data is not None else f"made anew {next(_serial)}".encode()
                if file.key is not None:
                    ln.File(data, key=file.key, run=ln.Run.objects.get(id=run.id)).save()
                else:
                    ln.File.objects.get(id=file.id).replace(data, run=ln.Run.objects.get(id=run.id)).save()


class Programs(History):
    """A history whose runs are of programs: most can be started here, some are steps, or ran elsewhere."""

    flow: ln.Run | None = None

    def run(self) -> None:
        before = set(ln.Run.objects.get_queryset().values_list("id", flat=True))
        super().run()
        (new,) = set(ln.Run.objects.get_queryset().values_list("id", flat=True)) - before
        chance, script = self.chance.random(), ln.Transform(name="s.py", type="script").save()
        values: dict[str, Any] = {**PROGRAM, "transform_id": script.id, "arguments": []}
        if chance < 0.07:
            values |= {"host": "elsewhere"}
        elif chance < 0.1:
            values = {}
        elif chance < 0.4:
            if self.flow is None or chance < 0.2:
                self.flow = tracked("main", [], kind="function")
            values |= {"parent_id": self.flow.id, "transform_id": self.transform.id, "arguments": None}
            self.transform.__class__.objects.filter(id=self.transform.id).update_rows({"type": "function"})
        if values:
            ln.Run.objects.filter(id=new).update_rows(values)


def check(history: Programs) -> int:
    stale = set(ln.lineage.stale().list("id"))
    found = ln.lineage.plan()
    in_units = [file.id for unit in found for file in unit.files]
    left = [file.id for one in found.left_out for file in one.files]
    assert len(in_units) == len(set(in_units)) and len(left) == len(set(left))
    assert set(in_units) | set(left) == stale and not set(in_units) & set(left)
    assert bool(found) == bool(stale)
    assert len({unit.run.id for unit in found}) == len(found)
    for number, unit in enumerate(found):
        assert unit.files and unit.reasons and (unit.command or unit.notebook)
        assert all(before < number for before in unit.after)
    for file in list(stale)[:3]:
        one = ln.lineage.plan(file)
        # A process that is left out for another of its files may still be started for this one.
        left_out = {group.run.id for group in found.left_out}
        assert {unit.run.id for unit in one} <= {unit.run.id for unit in found} | left_out
        assert file in {f.id for group in (*one.units, *one.left_out) for f in group.files}
    follow(found, same_bytes=lambda: history.chance.random() < 0.3)
    assert set(ln.lineage.stale().list("id")) & stale <= set(left)
    # What was fresh because the current version had the same bytes as the one that it read may be stale by now.
    for _ in range(5):
        follow(again := ln.lineage.plan())
    assert not again.units
    assert set(ln.lineage.stale().list("id")) == {file.id for one in again.left_out for file in one.files}
    return len(found)


def play(seed: int, steps: int) -> int:
    history, found = Programs(seed), 0
    for _ in range(steps):
        history.step()
        if history.chance.random() < 0.15:
            found += check(history)
    return found + check(history)


@pytest.mark.parametrize("seed", range(4))
def test_following_a_plan_leaves_nothing_stale(instance: Path, seed: int) -> None:
    play(seed, 25)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", depth.part(range(100, 130), 6))
def test_following_a_plan_leaves_nothing_stale_in_many_histories(local_instance: Path, seed: int) -> None:
    play(seed, 60)


def test_a_plan_names_what_to_start_in_order_and_why(instance: Path) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    clean = made("clean", [raw], "clean.csv")
    plot = made("plots/figure", [clean], "plot.png", kind="notebook")
    made("other", [ln.File(b"2", key="other.csv").save()], "fresh.csv")
    assert not ln.lineage.plan() and repr(ln.lineage.plan()) == "nothing to run: no file is stale"
    ln.File(b"3", key="raw.csv").save()
    found = ln.lineage.plan()
    first, second = found
    assert (first.command, first.files, first.after) == ("python clean.py --fast", (clean,), ())
    assert first.reasons == ("version 1 of raw.csv was read; version 2 is current",)
    assert (second.command, second.notebook, second.files) == (None, "plots/figure", (plot,))
    assert (second.reasons, second.after) == (("clean.csv is stale",), (0,))
    assert ln.lineage.plan("clean.csv").units == (first,)
    assert len(ln.lineage.plan(plot)) == 2 and not ln.lineage.plan("fresh.csv", "raw.csv")
    assert repr(found).splitlines()[:4] == [
        "1. python clean.py --fast",
        "   makes clean.csv",
        "   version 1 of raw.csv was read; version 2 is current",
        "2. notebook plots/figure",
    ]
    plain = json.loads(found.to_json())
    assert [unit["transform_type"] for unit in plain["units"]] == ["script", "notebook"]
    assert plain["left_out"] == []
    follow(found)
    assert not ln.lineage.plan() and not ln.lineage.stale().exists()


def test_steps_and_rules_belong_to_the_run_above_them(instance: Path) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    flow = tracked("main", [], kind="function")
    clean = made("clean", [raw], "clean.csv", kind="function", parent=flow)
    made("plot", [clean], "plot.png", kind="function", parent=flow)
    workflow = tracked("snakemake", [], kind="command", arguments=["snakemake", "--cores", "2"])
    rule = made("sort", [raw], "sorted.csv", kind="command", parent=workflow, arguments=["sort", "raw.csv"])
    made("tables", [rule], "table.csv", parent=workflow)
    wrapper = tracked("python model.py", [], kind="command", arguments=["python", "model.py"])
    made("model", [raw], "model.pkl", parent=wrapper)
    ln.File(b"2", key="raw.csv").save()
    assert {unit.command: len(unit.files) for unit in ln.lineage.plan()} == {
        "python main.py --fast": 2,
        "lamin run -- snakemake --cores 2": 2,
        "lamin run -- python model.py": 1,
    }


def test_a_command_keeps_its_name_and_parameters(instance: Path) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    params = {"n": 3, "how": "mean", "code": "007", "text": "7"}
    made("nightly import", [raw], "out.csv", kind="command", arguments=["python", "load.py"], params=params)
    ln.File(b"2", key="raw.csv").save()
    (unit,) = ln.lineage.plan()
    assert shlex.split(str(unit.command)) == [
        *["lamin", "run", "--transform", "nightly import", "--param", "n=3", "--param", "how=mean"],
        *["--param", "code=007", "--param", 'text="7"', "--in", "raw.csv", "--", "python", "load.py"],
    ]


def test_a_command_is_told_its_inputs_and_outputs(instance: Path) -> None:
    raw = ln.File(b"1", key="raw data.csv").save()
    facts = {"arguments": ["sort", "raw data.csv"], "capture": {"mode": "off", "declared": ["/data/out.csv"]}}
    made("sort", [raw], "out.csv", kind="command", **facts)
    ln.File(b"2", key="raw data.csv").save()
    expected = "lamin run --in 'raw data.csv' --out /data/out.csv -- sort 'raw data.csv'"
    assert [unit.command for unit in ln.lineage.plan()] == [expected]


def test_a_command_is_run_where_it_ran(local_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    away = tmp_path_factory.mktemp("away")
    ln.File(b"1", key="raw.csv").save()
    project = context.instance().project_path
    assert project is not None
    expected = {
        project: "lamin run --in raw.csv --out 'a b.csv' -- sh make.sh",
        project / "sub dir": "(cd 'sub dir' && lamin run --in raw.csv --out 'a b.csv' -- sh make.sh)",
        away: f"(cd {away} && lamin run --in raw.csv --out 'a b.csv' -- sh make.sh)",
        project / "moved": "lamin run --in raw.csv --out 'a b.csv' -- sh make.sh",
    }
    for number, folder in enumerate(expected):
        if folder.name != "moved":
            folder.mkdir(exist_ok=True)
        capture = {"mode": "off", "declared": [str(folder / "a b.csv")], "cwd": str(folder)}
        raw = ln.File.select(key="raw.csv").one()
        made("sh make.sh", [raw], f"{number}.csv", kind="command", arguments=["sh", "make.sh"], capture=capture)
    ln.File(b"2", key="raw.csv").save()
    assert {unit.command for unit in ln.lineage.plan()} == set(expected.values())


@pytest.mark.parametrize(
    ("path", "shown"), [("steps/all.py", "python steps/all.py --fast"), ("a.ipynb", "notebook a.ipynb")]
)
def test_a_transform_that_a_script_tracks_is_run_by_the_script(local_instance: Path, path: str, shown: str) -> None:
    made("align", [ln.File(b"1", key="raw.csv").save()], "aligned.bam", kind="pipeline", code_path=path)
    ln.File(b"2", key="raw.csv").save()
    assert [str(unit) for unit in ln.lineage.plan()] == [shown]


def test_a_notebook_is_shown_with_its_parameters(local_instance: Path) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    made("n.ipynb", [raw], "out.csv", kind="notebook", params={"k": 2, "how": "mean"})
    ln.File(b"2", key="raw.csv").save()
    (unit,) = ln.lineage.plan()
    assert str(unit) == 'notebook n.ipynb with k=2, how="mean"'
    assert unit.as_dict()["params"] == {"k": 2, "how": "mean"}


@pytest.mark.parametrize(
    ("facts", "kind", "reason"),
    [
        ({"host": "gpu7"}, "elsewhere", "'make' ran on 'gpu7', not on this machine"),
        ({"source_digest": None}, "no program", "no code of 'make' was kept"),
        ({"host": None, "arguments": None}, "no program", "its run of 'make' was recorded by hand"),
        ({"kind": "pipeline"}, "no program", "the program that ran 'make' is not recorded"),
    ],
)
def test_what_cannot_be_started_is_left_out(instance: Path, facts: Any, kind: str, reason: str) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    result = made("make", [raw], "made.csv", **facts)
    made("plot", [result], "plot.png")
    ln.File(b"2", key="raw.csv").save()
    found = ln.lineage.plan()
    assert not found.units
    assert [(one.kind, one.reason) for one in found.left_out] == [
        (kind, reason),
        ("waits", "it is made from made.csv, which is left out"),
    ]
    assert f"left out:\n  made.csv: {reason}" in repr(found)


def test_a_removed_input_and_a_loop_are_left_out(instance: Path) -> None:
    raw, gone = (ln.File(key.encode(), key=key).save() for key in ("raw.csv", "gone.csv"))
    made("clean", [gone], "clean.csv")
    table = made("append", [raw], "table.csv")
    made("append", [table, raw], "table.csv")
    gone.delete()
    ln.File(b"2", key="raw.csv").save()
    kinds = {one.files[0].key: (one.kind, one.reason) for one in ln.lineage.plan().left_out}
    assert kinds["clean.csv"] == ("removed", "it was made from gone.csv, which is in the trash")
    assert kinds["table.csv"][0] == "loop" and "an earlier version of itself" in kinds["table.csv"][1]


def renamed(file: ln.File, key: str | None) -> ln.File:
    file = ln.File.objects.get(id=file.id)
    file.key = key
    return file.save()


def test_files_whose_keys_were_exchanged_are_both_made_fresh(instance: Path) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    run = tracked("split", [raw])
    one, two = (ln.File(key.encode(), key=key, run=run).save() for key in ("one.csv", "two.csv"))
    one, two = renamed(one, "between.csv"), renamed(two, "one.csv")
    one = renamed(one, "two.csv")
    ln.File(b"2", key="raw.csv").save()
    (unit,) = ln.lineage.plan()
    assert (unit.stays_stale, unit.notes) == ((), ())
    assert {file.key for file in unit.files} == {"one.csv", "two.csv"}


def test_a_file_that_was_renamed_since_it_was_made_stays_stale(instance: Path) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    clean = made("clean", [raw], "clean.csv")
    made("plot", [clean], "plot.png")
    clean = renamed(renamed(clean, "old.csv"), "tidy/clean.csv")
    made("late", [clean], "late.txt")
    ln.File(b"2", key="raw.csv").save()
    first, plot, late = found = ln.lineage.plan()
    assert first.notes == ("writes clean.csv; tidy/clean.csv was renamed from it and stays stale",)
    assert first.stays_stale == first.files == (clean,)
    assert plot.notes == ("reads clean.csv, which was renamed to tidy/clean.csv",)
    assert late.notes == () and plot.stays_stale == late.stays_stale == ()
    assert repr(found).splitlines()[:3] == [
        "1. python clean.py --fast",
        "   version 1 of raw.csv was read; version 2 is current",
        f"   {first.notes[0]}",
    ]
    plain = json.loads(found.to_json())["units"][0]
    assert plain["notes"] == list(first.notes) and plain["stays_stale"] == plain["files"]
    # The programs write and read the keys that they know.
    made("clean", [ln.File.get("raw.csv")], "clean.csv")
    made("plot", [ln.File.get("clean.csv")], "plot.png")
    assert {file.key for unit in ln.lineage.plan() for file in unit.files} == {"tidy/clean.csv", "late.txt"}
    ln.File.get("clean.csv").delete()
    renamed(clean, "clean.csv")
    assert [(unit.files[0].key, unit.notes) for unit in ln.lineage.plan()] == [
        ("clean.csv", ()),
        ("late.txt", ("reads tidy/clean.csv, which was renamed to clean.csv",)),
        ("plot.png", ()),
    ]


def test_a_rename_before_a_run_or_back_is_not_noted(instance: Path) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    renamed(made("one", [raw], "a.csv"), "b.csv")
    made("two", [raw], "b.csv")
    back = renamed(renamed(made("three", [raw], "c.csv"), "d.csv"), "c.csv")
    keyless = renamed(made("four", [raw], None), "named.csv")
    ln.File(b"2", key="raw.csv").save()
    notes = {unit.files[0].key: unit.notes for unit in ln.lineage.plan()}
    assert notes == {
        "b.csv": (),
        "c.csv": (),
        "named.csv": ("writes a file without a key; named.csv was renamed from it and stays stale",),
    }
    assert back.key == "c.csv" and keyless.key == "named.csv"


def test_a_version_that_was_brought_back_after_a_rename_is_noted(instance: Path) -> None:
    raw = ln.File(b"1", key="raw.csv").save()
    first = made("clean", [raw], "clean.csv", b"first")
    renamed(made("again", [raw], "clean.csv", b"second"), "tidy.csv")
    third = ln.File.objects.get(id=first.id).make_current()
    ln.File(b"2", key="raw.csv").save()
    (unit,) = ln.lineage.plan()
    assert (unit.command, unit.files) == ("python clean.py --fast", (third,))
    assert unit.notes == ("writes clean.csv; tidy.csv was renamed from it and stays stale",)


def test_what_a_flag_affects_is_left_out_until_the_file_is_replaced(instance: Path) -> None:
    raw, settings = (ln.File(key.encode(), key=key).save() for key in ("raw.csv", "settings.json"))
    clean = made("clean", [raw, settings], "clean.csv")
    made("plot", [clean], "plot.png")
    raw.flag("contaminated")
    assert not ln.lineage.plan()
    ln.File(b"2", key="settings.json").save()
    found = ln.lineage.plan()
    assert not found.units
    assert {(one.kind, one.reason) for one in found.left_out} == {
        ("flagged", "version 1 of raw.csv is flagged: contaminated; replace or unflag it")
    }
    ln.File(b"good", key="raw.csv").save()
    assert [unit.command for unit in ln.lineage.plan()] == ["python clean.py --fast", "python plot.py --fast"]
    follow(ln.lineage.plan())
    assert not ln.lineage.plan() and not ln.lineage.affected().exists()


def test_a_new_version_that_is_flagged_is_not_read(instance: Path) -> None:
    made("clean", [ln.File(b"1", key="raw.csv").save()], "clean.csv")
    bad = ln.File(b"2", key="raw.csv").save().flag("wrong plate")
    assert [one.kind for one in ln.lineage.plan().left_out] == ["flagged"]
    bad.unflag()
    assert len(ln.lineage.plan()) == 1


def test_bad_input_is_a_clear_error(instance: Path) -> None:
    with pytest.raises(NoResultFound, match="the id or key 'rwa'"):
        ln.lineage.plan("rwa")
    with pytest.raises(InvalidTypeError, match="can be made fresh, not a Transform"):
        ln.lineage.plan(ln.Transform(name="step").save())
    with pytest.raises(InvalidInputError, match="not saved"):
        ln.lineage.plan(ln.File(b"new", key="new"))
