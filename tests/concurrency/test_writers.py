"""Many processes write to one instance at the same moment: nothing is lost, nothing is doubled, nobody fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.maintenance import verify
from lamindb.models import File, Run, RunOutput, User
from tests.storage import servers
from tests.support import depth
from tests.support.processes import run_python_together

PROCESSES = 8
TIMES = 50 if depth.FULL else 12
"""How often each process does its work."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VERSIONS = """
import sys
import lamindb as ln
me = int(sys.argv[1])
for number in range({times}):
    file = ln.File(f"bytes {{number}} of {{me}}".encode(), key="shared/table.csv").save()
    with file.open() as stream:
        assert stream.read() == f"bytes {{number}} of {{me}}".encode()
"""

SAME = """
import lamindb as ln
for number in range(10):
    print(ln.File(f"the same {number}".encode(), key=f"same/{number}.txt").save().id)
"""

RUNS = """
import sys
import lamindb as ln
me = sys.argv[1]
for number in range({times}):
    with ln.track(ln.Transform(name="shared", type="pipeline"), new_run=True):
        ln.File(f"{{me}} {{number}}".encode(), key=f"runs/{{me}}/{{number}}.txt").save()
"""

BESIDE = """
import sys
import lamindb as ln
import lamindb.setup
from lamindb.errors import ConflictError
from lamindb.maintenance import gc
me = int(sys.argv[1])
if me == 0:
    removed = 0
    for _ in range({sweeps}):
        try:
            removed += len(gc.sweep(dry_run=False, grace_seconds=0).objects)
        except ConflictError:
            pass
    print(removed)
else:
    for number in range({times}):
        # Everybody saves the same few contents, and removes them again: what is removed is wanted at once.
        file = ln.File(f"content {{number % 5}}".encode(), key=f"beside/{{me}}/{{number % 3}}.txt").save()
        with file.open() as stream:
            assert stream.read() == f"content {{number % 5}}".encode()
        if number % 2:
            file.delete(permanent=True)
    print("done")
"""


def together(code: str, count: int, folder: Path) -> list[str]:
    ended = run_python_together(code, count, cwd=folder)
    for done in ended:
        assert done.returncode == 0, done.stderr[-3000:]
    return [done.stdout for done in ended]


def is_clean() -> bool:
    report = verify.verify()
    assert report.is_clean, str(report)
    assert report.edited == report.untracked == report.incoming == ()
    return True


def check_versions(total: int) -> None:
    files = list(File.objects.filter(key="shared/table.csv").order_by("version"))
    assert [file.version for file in files] == list(range(1, total + 1))
    assert len({file.stem_id for file in files}) == 1
    assert [file.version for file in files if file.is_latest] == [total]
    assert len({file.stage().read_bytes() for file in files}) == total
    assert is_clean()


def test_versions_of_one_key(instance: Path) -> None:
    together(VERSIONS.format(times=TIMES), PROCESSES, instance.parent)
    check_versions(PROCESSES * TIMES)
    shown = (instance / "shared/table.csv").read_bytes()
    assert shown == ln.File.select(key="shared/table.csv").one().stage().read_bytes()


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with servers.seaweed(tmp_path / "seaweed") as server:
        server.make_bucket("many")
        for variable, value in server.environment.items():
            monkeypatch.setenv(variable, value)
        yield "s3://many/study"


def test_versions_of_one_key_in_a_bucket(
    bucket: str, database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage=bucket, db=database)
    together(VERSIONS.format(times=TIMES), PROCESSES, tmp_path)
    check_versions(PROCESSES * TIMES)


def test_the_same_bytes_under_the_same_key_are_one_record(instance: Path) -> None:
    printed = together(SAME, PROCESSES, instance.parent)
    assert len(set(printed)) == 1
    assert File.objects.count() == 10
    assert is_clean()


@pytest.mark.timeout(400)
def test_16_processes_with_runs_and_files(instance: Path) -> None:
    together(RUNS.format(times=TIMES), 16, instance.parent)
    assert Run.objects.count() == File.objects.count() == RunOutput.objects.count() == 16 * TIMES
    assert set(Run.objects.values_list("status", flat=True)) == {"completed"}
    assert (ln.Transform.select().count(), User.objects.count()) == (1, 1)
    assert all(file.run.outputs.list() == [file] for file in File.objects.all()[::40])
    assert is_clean()


def test_garbage_collection_beside_writers(instance: Path) -> None:
    # Whatever the writers get to, there is one object that nobody needs.
    ln.File(b"garbage", key="garbage.txt").save().delete(permanent=True)
    printed = together(BESIDE.format(times=TIMES, sweeps=TIMES), 5, instance.parent)
    assert [text.strip() for text in printed[1:]] == ["done"] * 4
    assert int(printed[0]) > 0
    assert is_clean()
    for file in File.objects.all():
        assert file.stage().read_bytes().startswith(b"content ")
