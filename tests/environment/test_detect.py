"""Detection in this process and in children; `test_detect_tools` has the tools that run notebooks."""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamindb.environment import detect as module
from lamindb.environment import jupyter, kernels, notebook_matching
from lamindb.environment.detect import Running, detect, in_ipython, in_notebook
from lamindb.errors import InvalidInputError
from tests.support.processes import clean_environment, run_command, run_python, run_script, write_notebook

PRINT = """\
import json
from lamindb.environment.detect import detect, in_ipython, in_notebook
found = detect()
print(json.dumps([found and found.kind, found and str(found.path), found and found.how, in_ipython(), in_notebook()]))
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    return write_notebook(tmp_path / "a.ipynb", "x = 1")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Make this process look like a kernel of no known front end; return its variables."""
    variables: dict[str, Any] = {}
    history = types.SimpleNamespace(input_hist_raw=["", "x = 1"])
    shell = types.SimpleNamespace(history_manager=history, user_ns=variables, kernel=object())
    monkeypatch.setattr(kernels, "shell", lambda: shell)
    monkeypatch.setattr(jupyter, "launched_notebook", lambda: None)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return variables


def test_an_argument_is_taken_at_its_word(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", "/elsewhere.ipynb")
    monkeypatch.chdir(notebook.parent)
    assert detect("a.ipynb") == Running("notebook", notebook, "argument")
    link = notebook.with_name("link.ipynb")
    link.symlink_to(notebook)
    assert detect(link) == Running("notebook", notebook, "argument")
    with pytest.raises(InvalidInputError, match=r"no notebook or script at .*nope"):
        detect("nope.ipynb")
    with pytest.raises(InvalidInputError):
        detect(notebook.parent)


@pytest.mark.parametrize("name", ["LAMIN_NOTEBOOK_PATH", "NBPRJ_TEST_NBPATH"])
def test_the_environment_overrides(notebook: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, str(notebook))
    assert detect() == Running("notebook", notebook, "LAMIN_NOTEBOOK_PATH")


def test_a_wrong_environment_is_told_and_passed_over(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", "/no/such.ipynb")
    found = detect()
    assert found is not None and found.how == "pytest"
    assert "/no/such.ipynb" in capfd.readouterr().err


def test_under_pytest_it_is_the_test_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert detect() == Running("script", Path(__file__).resolve(), "pytest")
    assert not in_ipython() and not in_notebook()
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert detect() is None, "pytest itself is not the user's script"


def test_a_test_s_children_are_not_the_test(tmp_path: Path) -> None:
    environment = {**clean_environment(), "PYTEST_CURRENT_TEST": os.environ["PYTEST_CURRENT_TEST"]}
    done = run_script(tmp_path / "x.py", "import pytest\n" + PRINT, env=environment)
    assert json.loads(done.stdout) == ["script", str(tmp_path / "x.py"), "main", False, False]


def test_vs_code(kernel: dict[str, Any], notebook: Path) -> None:
    kernel["__vsc_ipynb_file__"] = str(notebook)
    assert detect() == Running("notebook", notebook, "vscode")
    kernel["__vsc_ipynb_file__"] = "/on/another/machine.ipynb"
    assert detect() is None


def test_session_names(kernel: dict[str, Any], notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    assert detect() == Running("notebook", notebook, "JPY_SESSION_NAME")
    console = notebook.with_name("Console 1")
    console.touch()
    monkeypatch.setenv("JPY_SESSION_NAME", str(console))
    assert detect() is None
    paired = notebook.with_name("paired.py")
    paired.touch()
    monkeypatch.setenv("JPY_SESSION_NAME", str(paired))
    assert detect() == Running("notebook", paired, "JPY_SESSION_NAME")


def test_a_server_knows_better_than_the_environment(
    kernel: dict[str, Any], notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = notebook.with_name("renamed.ipynb")
    renamed.touch()
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    monkeypatch.setattr(jupyter, "session_path", lambda: renamed)
    assert detect() == Running("notebook", renamed, "jupyter-session")


def test_quarto(kernel: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "report.qmd"
    document.write_text("---\ntitle: R\n---\n\n```{python}\n#| echo: false\nx = 1\n```\n")
    monkeypatch.setenv("QUARTO_DOCUMENT_PATH", str(tmp_path))
    monkeypatch.setenv("QUARTO_DOCUMENT_FILE", "report.qmd")
    assert detect() == Running("notebook", document, "quarto")
    document.write_text("---\ntitle: another, of a kept kernel's past\n---\n\n```{python}\ny = 1\n```\n")
    assert detect() is None
    document.unlink()
    assert detect() is None


@pytest.mark.parametrize(
    "broken",
    [(jupyter, "session_path"), (jupyter, "launched_notebook"), (notebook_matching, "matching_notebook")],
    ids=lambda step: step[1],
)
def test_no_step_stops_the_others(
    kernel: dict[str, Any], notebook: Path, monkeypatch: pytest.MonkeyPatch, broken: tuple[Any, str]
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(*broken, fail)
    monkeypatch.setenv("QUARTO_DOCUMENT_FILE", str(notebook))
    assert detect() == Running("notebook", notebook, "quarto")


def test_children_of_a_kernel_are_not_the_notebook(tmp_path: Path, notebook: Path) -> None:
    environment = {
        **clean_environment(),
        "JPY_SESSION_NAME": str(notebook),
        "QUARTO_DOCUMENT_FILE": str(notebook),
        "JPY_PARENT_PID": "1",
    }
    done = run_script(tmp_path / "x.py", PRINT, env=environment)
    assert json.loads(done.stdout)[1:3] == [str(tmp_path / "x.py"), "main"]


def test_marimo_files_are_notebooks_however_they_run(tmp_path: Path) -> None:
    body = "import marimo\napp = marimo.App()\n"
    path = tmp_path / "m.py"
    path.write_text(body)
    assert detect(path) == Running("notebook", path, "argument")


def start(folder: Path, name: str) -> Callable[[], Any]:
    path = folder / "x.py"
    ways: dict[str, Callable[[], Any]] = {
        "path": lambda: run_script(path, PRINT),
        "module": lambda: (path.write_text(PRINT), run_command(sys.executable, "-m", "x", cwd=folder))[1],
        "ipython": lambda: (path.write_text(PRINT), run_command(sys.executable, "-m", "IPython", "x.py", cwd=folder))[
            1
        ],
        "code": lambda: run_python(PRINT, cwd=folder),
        "stdin": lambda: run_command(sys.executable, "-", cwd=folder, stdin=PRINT),
        "ipython-code": lambda: run_command(sys.executable, "-m", "IPython", "-c", PRINT, cwd=folder),
    }
    return ways[name]


@pytest.mark.parametrize(
    ("way", "found", "ipython"),
    [
        ("path", True, False),
        ("module", True, False),
        ("ipython", True, True),
        ("code", False, False),
        ("stdin", False, False),
        ("ipython-code", False, True),
    ],
)
def test_ways_of_starting_python(tmp_path: Path, way: str, found: bool, ipython: bool) -> None:
    done = start(tmp_path, way)()
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    expected = ["script", str(tmp_path / "x.py"), "main"] if found else [None, None, None]
    assert answer == [*expected, ipython, False]


@pytest.mark.parametrize("arguments", [["-q"], ["-q", "-n", "1"], ["-q", "--import-mode=importlib"]])
def test_pytest_in_a_process_of_its_own(tmp_path: Path, arguments: list[str]) -> None:
    test_file = tmp_path / "t" / "test_it.py"
    test_file.parent.mkdir()
    body = "\n".join(f"    {line}" for line in PRINT.replace("print(", "open('out', 'w').write(").splitlines())
    test_file.write_text(f"def test_it():\n{body}\n")
    run_command(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, "t", cwd=tmp_path)
    assert json.loads((tmp_path / "out").read_text()) == ["script", str(test_file), "pytest", False, False]


def test_looking_imports_nothing_heavy() -> None:
    code = """
    import sys
    from lamindb.environment import detect, git, notebooks, packages, process_exit, redaction, scripts
    detect.detect()
    heavy = {"asyncio", "subprocess", "http.client", "IPython", "nbformat", "importlib.metadata", "ssl"}
    print(sorted(heavy & set(sys.modules)))
    """
    assert run_python(code).stdout == "[]\n"


def test_names_of_the_module() -> None:
    assert set(module.__all__) >= {"Running", "Kind", "detect", "in_ipython", "in_notebook", "fallback_notebook"}
