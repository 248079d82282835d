"""`lamin verify`, `gc`, `relink` and `migrate-to`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import lamindb as ln
from tests.cli.conftest import Cli


@pytest.fixture
def project(local_instance: Path) -> Path:
    for name in ("a/one.txt", "a/two.txt", "b.txt"):
        ln.File(name.encode(), key=name).save()
    return local_instance.parent


def _object(project: Path, key: str) -> Path:
    digest = ln.File.select(key=key).one().digest
    (found,) = (project / "mydata" / ".lamindb" / "objects").rglob(f"{digest}*")
    return found


def test_what_is_right_verifies(cli: Cli, project: Path) -> None:
    found = cli("verify", "--json").json
    assert found["is_clean"] is True and found["is_complete"] is True and found["checked"] == 3
    assert {"missing", "corrupt", "edited", "untracked", "orphans", "incoming", "n_bytes", "seconds"} <= set(found)
    assert cli("verify", "a", "--json").json["checked"] == 2
    assert "checked 3" in cli("verify", "--quick").out
    cli("verify", "--seconds", "0", code=2)


def test_damage_exits_5_and_names_the_file(cli: Cli, project: Path) -> None:
    path = _object(project, "a/one.txt")
    path.chmod(0o644)
    path.write_bytes(b"broken")
    _object(project, "b.txt").unlink()
    done = cli("verify", code=5)
    assert "a/one.txt" in done.out and "b.txt" in done.out
    found = cli("verify", "--json", code=5).json
    assert (len(found["corrupt"]), len(found["missing"])) == (1, 1)


def test_gc_says_first_and_removes_when_told(cli: Cli, project: Path) -> None:
    path = _object(project, "b.txt")
    cli("rm", "b.txt", "--permanent")
    done = cli("gc", "--grace-seconds", "0")
    assert "would be removed" in done.out and "lamin gc --yes" in done.err
    assert path.exists()
    assert cli("gc", "--yes", "--dry-run", "--grace-seconds", "0", "--json").json["is_dry_run"] is True
    assert path.exists()
    removed = cli("gc", "--yes", "--grace-seconds", "0", "--json").json
    assert (removed["is_dry_run"], removed["objects"]) == (False, [path.name])
    assert not path.exists()
    assert cli("gc", "--yes").code == 0


def test_relink_after_a_copy(cli: Cli, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project / "mydata", copy / "mydata")
    monkeypatch.chdir(copy)
    cli("connect", copy / "mydata")
    found = cli("relink", "--json").json
    assert found["checked"] == 3
    assert cli("cat", "b.txt").out == "b.txt"
    assert "looked at" in cli("relink").out


def test_migrate_to_another_folder_keeps_ids(cli: Cli, project: Path, tmp_path: Path) -> None:
    before = [(f["id"], f["key"]) for f in cli("ls", "--json").json]
    cli("migrate-to", code=2)
    report = cli("migrate-to", "--storage", tmp_path / "moved", "--json").json
    assert report["objects"] == 3 and report["storage"] == str(tmp_path / "moved")
    assert [(f["id"], f["key"]) for f in cli("ls", "--json").json] == before
    assert cli("info", "--json").json["storage"] == str(tmp_path / "moved")
    assert cli("cat", "a/one.txt").out == "a/one.txt"
