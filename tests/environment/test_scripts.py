"""Scripts in real processes, started in every way."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from lamindb.environment.scripts import read_script, script_source
from lamindb.errors import SourceNotFoundError, StorageError
from tests.support.processes import run_command

PROBE = """\
import json, os
from lamindb.environment import scripts
os.chdir("/")
called = scripts.invocation()
print(json.dumps({"file": str(scripts.main_file()), "module": called.module, "arguments": called.arguments,
                  "command": called.command}))
"""


def probe(folder: Path, *command: str | Path, stdin: str | None = None) -> dict[str, object]:
    done = run_command(*command, cwd=folder, stdin=stdin)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.fixture
def script(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").touch()
    (folder / "pkg" / "__main__.py").write_text(PROBE)
    (folder / "pkg" / "part.py").write_text(PROBE)
    path = folder / "script.py"
    path.write_text(PROBE)
    return path


def test_a_script_by_its_path(script: Path) -> None:
    found = probe(script.parent.parent, sys.executable, "project/../project/script.py", "--password", "hunter2", "x")
    assert found["file"] == str(script)
    assert found["arguments"] == ["--password", "***", "x"]
    assert found["module"] is None
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("name", "file"), [("pkg", "pkg/__main__.py"), ("pkg.part", "pkg/part.py"), ("script", "script.py")]
)
def test_a_module_by_its_name(script: Path, name: str, file: str) -> None:
    found = probe(script.parent, sys.executable, "-m", name, "arg")
    assert (found["file"], found["module"]) == (str(script.parent / file), name)
    assert found["arguments"] == ["arg"]


def test_nothing_to_name(tmp_path: Path) -> None:
    assert probe(tmp_path, sys.executable, "-c", PROBE)["file"] == "None"
    assert probe(tmp_path, sys.executable, "-", stdin=PROBE)["file"] == "None"
    assert probe(tmp_path, sys.executable, stdin=PROBE)["file"] == "None"


def test_folders_and_archives(script: Path) -> None:
    assert probe(script.parent, sys.executable, "pkg")["file"] == str(script.parent / "pkg" / "__main__.py")
    archive = script.parent / "app.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", PROBE)
    assert probe(script.parent, sys.executable, "app.pyz")["file"] == str(archive)


def test_under_the_runners_of_the_standard_library(script: Path) -> None:
    assert probe_lines(script, "-m", "trace", "--count", "-C", str(script.parent / "c"), str(script)) == str(script)
    assert probe_lines(script, "-m", "cProfile", "-o", os.devnull, str(script)) == str(script)


def probe_lines(script: Path, *command: str) -> str:
    done = run_command(sys.executable, *command, cwd=script.parent)
    line = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    return str(json.loads(line)["file"])


def test_children_of_multiprocessing_belong_to_the_script(tmp_path: Path) -> None:
    path = tmp_path / "pool.py"
    path.write_text(
        textwrap.dedent("""\
        import multiprocessing
        from lamindb.environment import scripts

        def work(queue):
            queue.put(str(scripts.main_file()))

        if __name__ == "__main__":
            for way in ("fork", "spawn", "forkserver"):
                context = multiprocessing.get_context(way)
                queue = context.SimpleQueue()
                child = context.Process(target=work, args=(queue,))
                child.start()
                print(queue.get())
                child.join()
        """)
    )
    assert run_command(sys.executable, path).stdout.split() == [str(path)] * 3


def test_a_script_that_removes_itself_has_no_file(tmp_path: Path) -> None:
    path = tmp_path / "gone.py"
    path.write_text("import os\nos.unlink(__file__)\n" + PROBE)
    assert probe(tmp_path, sys.executable, path)["file"] == "None"


def test_names_and_hashes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.py", tmp_path / "pkg" / "__main__.py"
    second.parent.mkdir()
    first.write_bytes(b"x = 1\r\ny\r\n")
    second.write_bytes(b"\xef\xbb\xbfx = 1\ny\n")
    assert (read_script(first).name, read_script(second).name) == ("a", "pkg")
    assert read_script(first).code_hash == read_script(second).code_hash
    assert script_source(first) == b"x = 1\ny\n"


def test_the_stored_source_has_no_secrets(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"password = 'hunter2'\nname = '\xe4'\n")
    assert script_source(path) == b"password = '***'\nname = '\xe4'\n"


def test_unreadable_scripts(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="no script at"):
        read_script(tmp_path / "no.py")
    with pytest.raises(StorageError, match="cannot read"):
        script_source(tmp_path)
