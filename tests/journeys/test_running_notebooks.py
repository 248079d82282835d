"""Notebooks as people run them, with the real tools: identity, code, parameters, results."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from tests.support.jupyter import MARIMO, Server
from tests.support.jupyter import server as server
from tests.support.processes import run_command, run_notebook, write_notebook

TRACK = "import lamindb as ln\nrun = ln.track()"
WORK = (
    "ln.File.select(key='in.txt').one().stage(is_run_input=True)\n"
    "ln.File(b'made', key='out.txt').save()\n"
    "print('shown')"
)


@pytest.fixture
def project(local_instance: Path) -> Path:
    """Make a project with one registered input; return its folder."""
    ln.File(b"ACGT", key="in.txt").save()
    return Path.cwd()


def keys(files: Any) -> list[str]:
    return [file.key for file in files]


def stored(name: str | None) -> str:
    from lamindb.core import context
    from lamindb.storage.base import ObjectName

    parsed = ObjectName.parse(name or "")
    assert parsed is not None
    return context.instance().store.read(parsed).decode()


def cells(run: ln.Run) -> list[str]:
    document = json.loads(stored(run.source_digest))
    assert all(not cell.get("outputs") for cell in document["cells"])
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == "code"]


def check(run: ln.Run, reference: str, title: str) -> None:
    assert (run.transform.type, run.transform.reference, run.transform.name) == ("notebook", reference, title)
    assert run.status == "completed"
    assert keys(run.inputs) == ["in.txt"]
    assert keys(run.outputs) == ["out.txt"]
    assert cells(run)[-2:] == [TRACK, WORK]


@pytest.mark.parametrize("driver", ["nbconvert", "jupyter-execute"])
def test_executed_as_a_whole(project: Path, driver: str) -> None:
    (project / "notebooks").mkdir()
    path = write_notebook(project / "notebooks/a.ipynb", TRACK, WORK, title="My analysis")
    before = path.read_bytes()
    run_notebook(path, driver=driver)
    check(ln.Run.select().one(), "notebooks/a.ipynb", "My analysis")
    assert path.read_bytes() == before


def test_papermill_gives_parameters(project: Path) -> None:
    path = write_notebook(project / "p.ipynb", "lr = 1\nname = 'x'", TRACK, WORK, title="Parametrised")
    document = json.loads(path.read_text())
    document["cells"][1]["metadata"] = {"tags": ["parameters"]}
    path.write_text(json.dumps(document))
    options = ["--no-progress-bar", "-p", "lr", "0.5", "-p", "name", "unet", "-p", "api_key", "abcdefgh"]
    for number in range(2):
        run_command(sys.executable, "-m", "papermill", "p.ipynb", f"out{number}.ipynb", *options, cwd=project)
    runs = list(ln.Run.select(params__lr__gt=0.01))
    assert [run.params for run in runs] == [{"lr": 0.5, "name": "unet", "api_key": "***"}] * 2
    check(runs[0], "p.ipynb", "Parametrised")
    assert runs[0].transform == runs[1].transform


def test_a_failing_notebook_has_failed(project: Path) -> None:
    path = write_notebook(project / "a.ipynb", TRACK, "raise ValueError('a deep problem')")
    run_notebook(path, check=False)
    run = ln.Run.select().one()
    assert run.status == "failed"
    assert "a deep problem" in str(run.error)


def test_renamed_copied_and_edited(project: Path) -> None:
    path = write_notebook(project / "a.ipynb", TRACK, WORK, title="One")
    run_notebook(path)
    first = ln.Run.select().one()
    shutil.copy(path, project / "copy.ipynb")
    run_notebook(project / "copy.ipynb")
    assert ln.Transform.select().count() == 2
    (project / "sub").mkdir()
    path.rename(project / "sub/b.ipynb")
    (project / "copy.ipynb").rename(project / "kept.ipynb")
    write_notebook(project / "sub/b.ipynb", TRACK, WORK, "x = 1", title="Another title")
    run_notebook(project / "sub/b.ipynb")
    assert ln.Transform.select().count() == 2
    last = ln.Run.select().order_by("created_at").list()[-1]
    assert last.transform.name == "Another title"
    assert last.transform.reference == "sub/b.ipynb"
    assert last.transform.id in {first.transform.id, *ln.Transform.select().list("id")}
    assert len(cells(last)) == 3


def test_two_notebooks_with_one_title_are_two(project: Path) -> None:
    for name in ("a", "b"):
        path = write_notebook(project / f"{name}.ipynb", TRACK, f"'{name}'", title="The same title")
        document = json.loads(path.read_text())
        for cell in document["cells"]:
            cell["id"] = f"{name}-{cell['id']}"
        path.write_text(json.dumps(document))
        run_notebook(path)
    assert sorted(ln.Transform.select(name="The same title").list("reference")) == ["a.ipynb", "b.ipynb"]


def test_what_really_ran_is_kept_when_the_file_differs(project: Path) -> None:
    path = write_notebook(
        project / "a.ipynb",
        TRACK,
        "import json, pathlib\nfile = pathlib.Path('a.ipynb')\ndocument = json.loads(file.read_text())\n"
        "document['cells'][1]['source'] = 'something else'\nfile.write_text(json.dumps(document))",
    )
    run_notebook(path)
    ran = cells(ln.Run.select().one())
    assert "something else" not in ran
    assert ran[1].startswith("import json, pathlib")


def test_a_report_shows_the_results(project: Path) -> None:
    path = write_notebook(project / "a.ipynb", "1 + 1", title="With results")
    run_notebook(path)
    shutil.copy(project / "out-a.ipynb", path)
    document = json.loads(path.read_text())
    for source in (TRACK, "password = 'hunter2222'\nln.finish(report=True)"):
        document["cells"].append({**document["cells"][1], "id": str(hash(source)), "source": source, "outputs": []})
    path.write_text(json.dumps(document))
    run_notebook(path)
    run = ln.Run.select().one()
    page = stored(run.report_digest)
    assert "<html" in page
    assert "With results" in page
    assert "hunter2222" not in page


def test_a_kernel_has_one_run_and_a_new_one_another(project: Path) -> None:
    again = "assert ln.track().id == run.id\nother = ln.track(new_run=True)\nassert other.id != run.id"
    path = write_notebook(project / "a.ipynb", TRACK, again)
    run_notebook(path)
    assert ln.Run.select().count() == 2
    assert {run.status for run in ln.Run.select()} == {"completed"}
    run_notebook(path)
    assert ln.Run.select().count() == 4
    assert ln.Transform.select().count() == 1


def test_jupyterlab_follows_a_rename(server: Server) -> None:
    folder = server.root / "tracked"
    folder.mkdir()
    setup = "import lamindb as ln, json\nln.setup.init(storage='./mydata')\nln.settings.verbosity = 0"
    tell = (
        "run = ln.track()\n"
        "told = [run.id, run.transform.id, run.transform.reference]\n"
        "with open('told.jsonl', 'a') as file:\n"
        "    file.write(json.dumps(told) + chr(10))"
    )
    write_notebook(folder / "first.ipynb", setup, tell, title="In the lab")
    session = server.session("tracked/first.ipynb")
    kernel = session["kernel"]["id"]
    server.execute(kernel, setup)
    server.execute(kernel, tell)
    server.call("PATCH", "contents/tracked/first.ipynb", path="tracked/second.ipynb")
    server.call("PATCH", f"sessions/{session['id']}", path="tracked/second.ipynb", name="second.ipynb")
    server.execute(kernel, tell)
    server.execute(kernel, "ln.File(b'1', key='made.txt').save()")
    server.call("DELETE", f"sessions/{session['id']}")
    before, after = [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]
    assert before[2] == "first.ipynb"
    assert after == [before[0], before[1], "second.ipynb"]


@pytest.mark.parametrize("command", [("-m", "marimo", "export", "html", "m.py", "-o", "out.html"), ("m.py",)])
def test_marimo(project: Path, command: tuple[str, ...]) -> None:
    body = "    import lamindb as ln\n    ln.track()\n    ln.File(b'made', key='out.txt').save()"
    (project / "m.py").write_text(MARIMO.format(body=body))
    run_command(sys.executable, *command, cwd=project)
    run = ln.Run.select().one()
    assert (run.transform.type, run.transform.reference) == ("notebook", "m.py")
    assert keys(run.outputs) == ["out.txt"]
    assert "ln.track()" in stored(run.source_digest)
    assert run.source_digest is not None
    assert run.source_digest.endswith(".py")
    assert run.status in {"completed", "aborted"}
