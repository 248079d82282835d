"""What a shell offers after Tab."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import lamindb as ln
from tests.cli.conftest import Cli
from tests.support.processes import BIN_FOLDER, clean_environment, run_command


def _offers(folder: Path, words: str) -> list[str]:
    env = clean_environment(
        _LAMIN_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1)
    ) | {"_LAMIN_COMPLETE": "bash_complete"}
    done = run_command(BIN_FOLDER / "lamin", cwd=folder, env=env)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(shell: str, cli: Cli) -> None:
    assert "_LAMIN_COMPLETE" in cli("completion", shell).out


def test_the_bash_script_is_valid(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(cli("completion", "bash").out)
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", f". {script}; complete -p lamin"], capture_output=True, text=True
    )
    assert "_lamin_completion" in done.stdout


def test_keys_are_offered_folder_by_folder(local_instance: Path) -> None:
    for key in ("study/a.csv", "study/b.csv", "other.csv", "gone.csv"):
        ln.File(key.encode(), key=key).save()
    ln.File.select(key="gone.csv").one().delete()
    folder = local_instance.parent
    assert _offers(folder, "lamin cat s") == ["study/a.csv", "study/b.csv"]
    assert _offers(folder, "lamin get ") == ["other.csv", "study/"]
    assert _offers(folder, "lamin trash restore ") == ["gone.csv"]


def test_of_a_folder_with_many_files_its_name_is_offered(local_instance: Path) -> None:
    ln.save([ln.File(f"{n}".encode(), key=f"{folder}/{n}.txt") for folder in ("a", "a.b", "ab") for n in range(150)])
    folder = local_instance.parent
    assert _offers(folder, "lamin cat ") == ["a.b/", "a/", "ab/"]
    assert len(_offers(folder, "lamin cat a/")) == 150
    assert _offers(folder, "lamin cat a/14") == ["a/14.txt", *(f"a/14{n}.txt" for n in range(10))]


def test_keys_on_a_server_are_offered(tmp_path: Path, migrated_postgres_url: str) -> None:
    ln.setup.init(storage=tmp_path / "far", db=migrated_postgres_url)
    for key in ("B/x.txt", "a/x.txt", "ä.txt"):
        ln.File(key.encode(), key=key).save()
    assert _offers(tmp_path, "lamin cat ") == ["B/", "a/", "ä.txt"]
    assert _offers(tmp_path, "lamin cat a") == ["a/x.txt"]


def test_names_are_offered(local_instance: Path) -> None:
    folder = local_instance.parent
    assert _offers(folder, "lamin connect my") == ["mydata"]
    assert _offers(folder, "lamin settings set verb") == ["verbosity"]
    assert "save" in _offers(folder, "lamin s")
    run = ln.Run(transform=ln.Transform(name="t", type="pipeline").save()).save()
    assert _offers(folder, f"lamin log {run.id[:8]}") == [run.id]


@pytest.mark.parametrize(
    "words", ["lamin dis", "lamin gc --gr", "lamin settings set verb", "lamin connect my", "lamin cat a"]
)
def test_completion_does_not_wait_for_the_database_library(words: str, local_instance: Path) -> None:
    ln.File(b"a", key="a.txt").save()
    env = clean_environment(COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1))
    env |= {"_LAMIN_COMPLETE": "bash_complete", "PYTHONPROFILEIMPORTTIME": "1"}
    done = run_command(BIN_FOLDER / "lamin", cwd=local_instance.parent, env=env)
    assert done.stdout != ""
    assert "lamindb.cli.completion" in done.stderr and "django" not in done.stderr


def test_without_an_instance_nothing_is_offered_and_nothing_printed(tmp_path: Path) -> None:
    assert _offers(tmp_path, "lamin cat s") == []
