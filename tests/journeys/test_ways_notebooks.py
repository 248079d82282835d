"""Notebooks that a program runs as a whole, with the real tools: what is recorded of each, and that no file changes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

import lamindb as ln
from tests.support.jupyter import MARIMO
from tests.support.processes import clean_environment, run_command, run_notebook, run_together, write_notebook
from tests.support.ways import TRACK, WORK, cells_kept, check, keys, run_that_made, stored


@pytest.fixture
def project(local_instance: Path) -> Path:
    """Make a project with one registered input; return its folder."""
    ln.File(b"ACGT", key="in.txt").save()
    return local_instance.parent


def cells(way: str) -> list[str]:
    # The first cell is one of this notebook alone: that of others might tell nobody where it lies.
    return [f"way = {way!r}", TRACK, WORK.replace("WAY", way).strip(), "print('shown')"]


def notebook(path: Path, way: str, *more: str, title: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_notebook(path, *cells(way), *more, title=title)


CLIENT = """
import sys, nbformat
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], as_version=4), kernel_name="python3").execute()
"""


def test_nbconvert_jupyter_execute_and_nbclient(project: Path) -> None:
    paths = {
        "nbconvert": notebook(project / "a folder/with spaces.ipynb", "nbconvert", title="Converted"),
        "execute": notebook(project / "executed.ipynb", "execute", title="Executed"),
        "client": notebook(project / "sub/client.ipynb", "client"),
        "far": notebook(project / "sub/far.ipynb", "far", "assert ln.track().id == run.id", title="From afar"),
        "vscode": notebook(project / "code.ipynb", "vscode", title="In the editor"),
    }
    (project / "elsewhere").mkdir()
    before = {way: path.read_bytes() for way, path in paths.items()}
    jupyter = (sys.executable, "-m", "jupyter")
    commands: list[tuple[Path, list[str | Path]]] = [
        (project, [*jupyter, "nbconvert", "--to", "notebook", "--execute", paths["nbconvert"], "--output", "out"]),
        (project / "sub", [*jupyter, "execute", "../executed.ipynb", "--output=../out-executed.ipynb"]),
        (project / "sub", [sys.executable, "-c", CLIENT, "client.ipynb"]),
        (project / "elsewhere", [sys.executable, "-c", CLIENT, "../sub/far.ipynb"]),
        (project / "elsewhere", [sys.executable, "-c", EDITOR, "../code.ipynb"]),
    ]
    for cwd, command in commands:
        run_command(*command, cwd=cwd)
    assert {way: path.read_bytes() for way, path in paths.items()} == before
    check("nbconvert", "notebook", "a folder/with spaces.ipynb", "Converted", cells=cells("nbconvert"), exit_code=None)
    check("execute", "notebook", "executed.ipynb", "Executed", cells=cells("execute"), exit_code=None)
    check("client", "notebook", "sub/client.ipynb", "client", cells=cells("client"), exit_code=None)
    check("vscode", "notebook", "code.ipynb", "In the editor", cells=cells("vscode"), exit_code=None)
    # Nothing tells where this one lies: it is what ran, under a name of its own.
    far = run_that_made("far")
    assert (far.transform.type, far.status, cells_kept(far)[:-1]) == ("notebook", "completed", cells("far"))
    assert far.transform.reference.startswith("notebook without a file in elsewhere, code ")
    assert far.transform.name.startswith("notebook in elsewhere (")
    run_command(sys.executable, "-c", CLIENT, "../sub/far.ipynb", cwd=project / "elsewhere")
    assert far.transform.runs.count() == 2
    assert ln.Transform.select().count() == 5


EDITOR = """
import sys, nbformat
from pathlib import Path
from jupyter_client.manager import start_new_kernel
path = Path(sys.argv[1]).resolve()
manager, client = start_new_kernel(kernel_name="python3")
client.execute_interactive(f"__vsc_ipynb_file__ = {str(path)!r}", store_history=False, silent=True)
for cell in nbformat.read(path, as_version=4).cells:
    if cell.cell_type == "code":
        reply = client.execute_interactive(cell.source, output_hook=lambda message: None)
        assert reply["content"]["status"] == "ok", reply["content"]
client.stop_channels()
manager.shutdown_kernel()
"""
"""What VS Code does: a kernel without a server, whose namespace names the file."""


def test_papermill_with_other_parameters(project: Path) -> None:
    (project / "sub").mkdir()
    use = "ln.File.select(key='in.txt').one().stage(is_run_input=True)"
    make = "ln.File(f'{lr}'.encode(), key=f'lr-{lr}.txt').save()"
    path = write_notebook(project / "sub/p.ipynb", "lr = 1", TRACK, use, make, title="Parametrised")
    document = json.loads(path.read_text())
    document["cells"][1]["metadata"] = {"tags": ["parameters"]}
    path.write_text(json.dumps(document))
    before = path.read_bytes()
    options = ["--no-progress-bar", "-p", "password", "hunter2hunter2"]
    for value in ("0.5", "0.25"):
        run_command(
            sys.executable, "-m", "papermill", "sub/p.ipynb", f"out-{value}.ipynb", "-p", "lr", value, *options,
            cwd=project,
        )  # fmt: skip
    assert path.read_bytes() == before
    transform = ln.Transform.select().one()
    assert (transform.type, transform.reference, transform.name) == ("notebook", "sub/p.ipynb", "Parametrised")
    for value in ("0.5", "0.25"):
        run = run_that_made(f"lr-{value}")
        assert (run.transform, run.status) == (transform, "completed")
        assert run.params == {"lr": float(value), "password": "***"}
        assert (keys(run.inputs), keys(run.outputs)) == (["in.txt"], [f"lr-{value}.txt"])
        # The parameters are the run's; the code is that of the notebook.
        assert cells_kept(run)[0] == "lr = 1"
    assert ln.Run.select(params__lr__gt=0.3).one() == run_that_made("lr-0.5")
    assert ln.Run.select().count() == 2


def test_a_notebook_over_its_life(project: Path) -> None:
    path = notebook(project / "a.ipynb", "life", title="First title")
    run_notebook(path)
    run_notebook(path)
    transform = ln.Transform.select().one()
    assert transform.runs.count() == 2
    assert {run.status for run in transform.runs} == {"completed"}

    notebook(path, "life", title="Second title")
    run_notebook(path, driver="jupyter-execute")
    renamed = ln.Transform.select().one()
    assert (renamed.id, renamed.name, renamed.reference) == (transform.id, "Second title", "a.ipynb")
    assert [found.id for found in ln.Transform.search("Second title")] == [transform.id]
    assert ln.Transform.search("Second title", top_hit=True) == renamed
    assert ln.Transform.select(name="First title").count() == 0

    (project / "out-a.ipynb").unlink()
    moved = project / "later/b.ipynb"
    moved.parent.mkdir()
    path.rename(moved)
    run_notebook(moved)
    same = ln.Transform.select().one()
    assert (same.id, same.reference) == (transform.id, "later/b.ipynb")
    assert same.runs.count() == 4

    # A rename together with a change of some cells is recognised by the others.
    third = project / "c.ipynb"
    moved.rename(third)
    (project / "later/out-b.ipynb").unlink()
    notebook(third, "life", "new = 'cell'", title="Third title")
    run_notebook(third)
    same = ln.Transform.select().one()
    assert (same.id, same.reference, same.name) == (transform.id, "c.ipynb", "Third title")

    copy = Path(shutil.copy(third, project / "copy.ipynb"))
    run_notebook(copy)
    other = ln.Transform.select(reference="copy.ipynb").one()
    assert (other.id != transform.id, other.runs.count(), other.name) == (True, 1, "Third title")
    assert transform.runs.count() == 5
    assert ln.Transform.select().count() == 2
    # The file that all of them made is one, of whoever made it first.
    assert ln.File.select(key="life.txt").one().run == transform.runs.order_by("started_at").first()


def test_a_cell_that_fails(project: Path) -> None:
    path = notebook(project / "failing.ipynb", "failing", "raise ValueError('a deep problem')", "never = 1")
    done = run_notebook(path, check=False)
    untracked = write_notebook(project / "plain.ipynb", "raise ValueError('a deep problem')", "never = 1")
    plain = run_notebook(untracked, check=False)
    assert done.returncode == plain.returncode == 1
    run = run_that_made("failing")
    assert (run.status, run.transform.reference) == ("failed", "failing.ipynb")
    assert str(run.error).endswith("ValueError: a deep problem")
    assert cells_kept(run) == [*cells("failing"), "raise ValueError('a deep problem')", "never = 1"]


def test_marimo(project: Path) -> None:
    ways = {"exported": "app/exported.py", "scripted": "scripted.py"}
    (project / "app").mkdir()
    sources = {}
    for way, name in ways.items():
        body = "\n".join(f"    {line}" for line in (f"{TRACK}\n{WORK.replace('WAY', way)}").splitlines())
        sources[way] = MARIMO.format(body=body)
        (project / name).write_text(sources[way])
    environment = clean_environment(HOME=str(project.parent))
    export = [sys.executable, "-m", "marimo", "export", "html", "app/exported.py", "-o", "out.html"]
    script = [sys.executable, "scripted.py"]
    for done in run_together([export, script], cwd=project, env=environment):
        assert done.returncode == 0, done.stderr
    for way, name in ways.items():
        assert (project / name).read_text() == sources[way]
        run = check(way, "notebook", name, "Title of `it`", source=sources[way], exit_code=run_that_made(way).exit_code)
        assert str(run.source_digest).endswith(".py")
    assert stored(run_that_made("scripted").source_digest) == sources["scripted"]
