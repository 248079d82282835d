"""The last results of `verify` and `gc`, left for pages."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.maintenance import gc, last_report, verify


def test_verify_and_gc_leave_their_last_result(local_instance: Path) -> None:
    instance = context.instance()
    assert last_report.read(instance, "verify") is None and last_report.read(instance, "gc") is None
    ln.File(b"1", key="a.txt").save()
    verify.verify()
    found = last_report.read(instance, "verify")
    assert found is not None and found["report"]["is_clean"] and found["report"]["checked"] == 1
    for path in (local_instance / ".lamindb/objects").rglob("*.txt"):
        path.unlink()
    verify.verify(quick=True)
    found = last_report.read(instance, "verify")
    assert found is not None and not found["report"]["is_clean"] and found["counts"]["missing"] == 1
    assert "a.txt" in found["report"]["missing"][0]["needed_by"][0]
    gc.sweep()
    found = last_report.read(instance, "gc")
    assert found is not None and found["report"]["is_dry_run"] and found["counts"]["objects"] == 0


def test_long_lists_are_cut_and_counted(local_instance: Path) -> None:
    instance = context.instance()
    last_report.leave(instance, "gc", {"objects": [str(n) for n in range(1_000)], "n_bytes": 7})
    found = last_report.read(instance, "gc")
    assert found is not None and len(found["report"]["objects"]) == 50 and found["counts"] == {"objects": 1_000}
    assert (local_instance / ".lamindb/last-gc.json").is_file()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format":2}', '{"format":1,"at":3}', "[" * 100_000, "x" * (2 << 20)]
)
def test_what_is_damaged_is_no_result(local_instance: Path, text: str) -> None:
    (local_instance / ".lamindb/last-verify.json").write_text(text)
    assert last_report.read(context.instance(), "verify") is None
