"""Words for files and runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from lamindb.lineage.lineage_graph import FlaggedBy
from lamindb.lineage.render import labels
from tests.support.graphs import file_node, run_node, small_graph


@pytest.mark.parametrize(
    ("key", "name", "folder"),
    [("a/b/c.csv", "c.csv", "a/b/"), ("c.csv", "c.csv", ""), ("a/results.zarr/", "results.zarr", "a/")],
)
def test_a_key_is_a_folder_and_a_name(key: str, name: str, folder: str) -> None:
    file = file_node("f", key)
    assert (labels.file_name(file), labels.file_folder(file)) == (name, folder)


def test_a_file_without_key_has_its_name_else_its_id() -> None:
    assert labels.file_name(file_node("f", None, name="either/or")) == "either/or"
    assert labels.file_name(file_node("f", None, name="")) == "f"


def test_special_states_of_a_file_are_told() -> None:
    file = file_node("f", version=3, is_latest=False, is_trashed=True)
    assert labels.file_facts(file) == ["in trash", "v3", "29.4 kB"]
    assert labels.file_facts(replace(file, is_trashed=False)) == ["v3, older", "29.4 kB"]
    only = file_node("f", is_latest=False, is_trashed=True, made_again=2)
    assert labels.file_facts(only) == ["in trash", "29.4 kB", "+2 made again"]
    assert labels.file_facts(file_node("f")) == ["29.4 kB"]


def test_the_caption_of_an_affected_file_names_the_flagged_one_and_why() -> None:
    by = FlaggedBy("f", "screen/raw/2026/plate-07.csv", 2, ("A4 was pipetted twice; see the notebook",))
    affected = file_node("a", affected_by=by)
    assert labels.recall_caption(affected, 99, len) == "plate-07.csv v2: A4 was pipetted twice; see the notebook"
    short = labels.recall_caption(affected, 40, len)
    assert short.startswith("plate-07.csv v2: A4 was") and len(short) <= 40
    assert len(labels.recall_caption(replace(affected, affected_by=replace(by, title="x" * 99)), 40, len)) <= 40
    assert labels.recall_caption(file_node("f", flags=("wrong donor",)), 40, len) == "wrong donor"
    assert labels.recall_caption(file_node("f"), 40, len) == ""


def test_only_unusual_statuses_are_told() -> None:
    assert labels.run_facts(run_node("r", status="running"))[0] == "running"
    assert labels.run_facts(run_node("r"))[0] == "testuser1"
    assert labels.run_facts(run_node("r", status=None, user="", started_at=None)) == []


def test_versions() -> None:
    assert labels.run_version(run_node("r", transform_version="1")) == "v1"
    assert labels.run_version(run_node("r", transform_version="main")) == "main"
    assert labels.run_version(run_node("r", transform_version="")) == ""


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".fastq.gz", "sequence"),
        (".CSV", "table"),
        (".h5ad", "array"),
        (".tiff", "image"),
        ("", "document"),
        (".x", "document"),
    ],
)
def test_suffixes_have_kinds(suffix: str, kind: str) -> None:
    assert labels.suffix_kind(suffix) == kind


def test_times_are_utc() -> None:
    moment = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert labels.time_text(moment) == "2025-12-31 23:30 UTC"
    assert labels.time_text(datetime(2026, 1, 1, 0, 30)) == "2026-01-01 00:30 UTC"


def test_details_hold_everything() -> None:
    lines = labels.details(run_node("r", name="third try"))
    assert lines == [
        "Cell Ranger v7.2.0",
        "run “third try”",
        "pipeline · completed",
        "by testuser1",
        "started 2026-11-20 09:00 UTC, took 3 min",
        "id r",
    ]
    assert "storage s3://bucket" in labels.details(file_node("f", storage="s3://bucket"))


def test_headings() -> None:
    graph = small_graph()
    assert labels.heading(graph) == "Lineage of images/nuclei.jpg"
    assert labels.heading(replace(graph, focus="t2")) == "Lineage of Quality control & plots"
    assert labels.heading(replace(graph, focus=None)) == "Lineage"
    assert labels.heading(replace(graph, focus=None, asked=("f1", "t2"))) == "Lineage of 2 records"


@pytest.mark.parametrize(
    ("hidden_up", "hidden_down", "total", "says"),
    [
        ({}, {"f2": 1}, None, "1 more not shown"),
        ({"f1": 2}, {"f2": 12}, 13, "13 more not shown"),
        ({"f1": 2}, {"f2": 12}, None, "at least 12 more not shown"),
        ({}, {}, None, "more not shown"),
    ],
)
def test_what_is_left_out_is_counted_once(
    hidden_up: dict[str, int], hidden_down: dict[str, int], total: int | None, says: str
) -> None:
    graph = replace(small_graph(), hidden_up=hidden_up, hidden_down=hidden_down, hidden_total=total)
    assert labels.truncation_note(graph, "") == f"partial: {says}"
    assert labels.truncation_note(graph, "do this").endswith(f"{says}; do this")
    assert labels.truncation_note(replace(graph, hidden_up={}, hidden_down={}, is_truncated=False)) == ""
