"""What a run holds can be read: code, log, patch, packages, report."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.errors import IntegrityError, InvalidInputError
from tests.support.processes import run_script

SCRIPT = """
import lamindb as ln

ln.track()
print("counted 3")
ln.File(b"3", key="count.txt").save()
"""


@pytest.fixture
def run(instance: Path) -> ln.Run:
    project = instance.parent
    for words in (["init", "-q"], ["config", "user.email", "a@b.c"], ["config", "user.name", "a"]):
        subprocess.run(["git", *words], cwd=project, check=True)
    script = project / "count.py"
    script.write_text("# first\n")
    subprocess.run(["git", "add", "count.py"], cwd=project, check=True)
    subprocess.run(["git", "commit", "-qm", "first"], cwd=project, check=True)
    run_script(script, SCRIPT)
    found: ln.Run = ln.Run.select().one()
    return found


def test_what_a_script_stored_is_returned_as_text(run: ln.Run) -> None:
    code, log, patch, packages = run.code(), run.log(), run.patch(), run.packages()
    assert code is not None and 'print("counted 3")' in code
    assert log is not None and log == "counted 3\n"
    assert patch is not None and '+print("counted 3")' in patch and "-# first" in patch
    assert packages is not None and packages["django"] and list(packages) == sorted(packages)
    assert run.report() is None


def test_a_run_made_by_hand_has_nothing(instance: Path) -> None:
    run = ln.Run(transform=ln.Transform(name="by hand", type="pipeline").save()).save()
    assert [run.code(), run.log(), run.patch(), run.packages(), run.report()] == [None] * 5


def test_bytes_that_are_not_text_are_replaced(local_instance: Path) -> None:
    from lamindb.core import context
    from lamindb.storage.base import Source

    stored = context.instance().store.put(Source(suffix=".log", data=b"caf\xe9\n"))
    run = ln.Run(transform=ln.Transform(name="p", type="pipeline").save())
    run.log_digest = stored.name.digest + stored.name.suffix
    assert run.save().log() == "caf\ufffd\n"


def test_damaged_code_is_an_error(run: ln.Run, instance: Path) -> None:
    (path,) = (instance / ".lamindb" / "objects").glob(f"*/{run.source_digest}")
    path.chmod(0o644)
    path.write_bytes(b"other")
    with pytest.raises(IntegrityError):
        run.code()


def test_a_run_of_an_instance_that_was_disconnected_cannot_be_read(run: ln.Run) -> None:
    ln.disconnect()
    with pytest.raises(InvalidInputError, match="connect"):
        run.code()
