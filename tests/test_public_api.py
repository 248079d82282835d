"""The front door: which names there are, that they load on first use, and that they carry their types."""

from __future__ import annotations

import ast
import gc
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lamindb as ln
from tests.support.processes import clean_environment, run_python

PUBLIC = """
    DObject File LaminError MultipleResultsFound NoResultFound Notebook Pipeline Q Run Session Storage Transform User
    __version__ add close connect context delete dev diff disconnect errors finish flow lineage register_loader
    register_writer save
    schema select settings setup step track view why
""".split()

HEAVY = ("django", "pandas", "numpy", "pyarrow", "anndata", "obstore", "fsspec", "psycopg", "asyncio", "subprocess",
         "sqlite3", "urllib.request", "IPython")  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert sorted(ln.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_loads_without_an_instance(name: str) -> None:
    assert getattr(ln, name) is not None
    assert name in dir(ln)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(ln.__file__).read_text(encoding="utf-8"))
    guarded = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for block in guarded for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname for node in imports for alias in node.names if node.module != "typing"}
    assert seen == set(PUBLIC) - {"__version__"}
    assert Path(ln.__file__).with_name("py.typed").is_file()


def test_an_unknown_name_is_an_attribute_error_that_helps() -> None:
    with pytest.raises(AttributeError, match="File"):
        ln.Fil  # noqa: B018


@pytest.mark.parametrize("is_enabled", [True, False])
def test_loading_a_name_leaves_the_search_for_garbage_as_it_was(is_enabled: bool) -> None:
    assert gc.isenabled()
    if not is_enabled:
        gc.disable()
    try:
        frozen = gc.get_freeze_count()
        assert ln._load("lamindb.errors").__name__ == "lamindb.errors"
        assert (gc.isenabled(), gc.get_freeze_count()) == (is_enabled, frozen)
        with pytest.raises(ModuleNotFoundError):
            ln._load("lamindb.no_such_module")
        assert gc.isenabled() == is_enabled
    finally:
        gc.enable()


@pytest.mark.parametrize("do", [gc.disable, lambda: gc.set_threshold(900, 5, 5)])
def test_what_another_thread_chooses_for_garbage_while_a_name_is_loaded_stays(
    do: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, chosen = gc.get_threshold(), []

    def importing(name: str) -> None:
        assert gc.get_threshold()[0] > 10**6
        do()
        chosen.append((gc.isenabled(), gc.get_threshold()[0]))

    monkeypatch.setattr(importlib, "import_module", importing)
    try:
        ln._load("lamindb.errors")
        [(is_enabled, threshold)] = chosen
        assert gc.isenabled() == is_enabled
        assert gc.get_threshold()[0] == (before[0] if threshold > 10**6 else threshold)
    finally:
        gc.enable()
        gc.set_threshold(*before)


def test_forms_of_django_are_loaded_when_they_are_used(isolated_home: Path) -> None:
    code = """
import sys
import lamindb as ln
ln.File, ln.track
from pathlib import Path
from lamindb.environment import own_modules
own_modules.imported_files(Path.cwd())
assert "django.template" not in sys.modules
from django import forms
assert forms.CharField().clean("x") == "x"
assert "django.template" in sys.modules
"""
    assert run_python(code).returncode == 0


def test_threads_that_use_forms_of_django_first_wait_until_they_are_loaded(isolated_home: Path) -> None:
    code = """
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
import lamindb as ln
ln.File
forms, together = sys.modules["django.forms"], threading.Barrier(4)
assert "CharField" not in vars(forms)
sys.setswitchinterval(1e-6)

def use(number):
    together.wait()
    return forms.CharField

with ThreadPoolExecutor(4) as pool:
    assert list(pool.map(use, range(4))) == [forms.CharField] * 4
assert not hasattr(forms, "no_such_name")
"""
    assert run_python(code).returncode == 0


def test_importing_loads_nothing_heavy_and_touches_no_file_of_the_user(isolated_home: Path) -> None:
    done = run_python(
        f"""
        import sys
        opened = []
        watched = ("open", "sqlite3.connect")
        sys.addaudithook(lambda event, details: opened.append(details) if event in watched else None)
        import lamindb
        print([name for name in {HEAVY!r} if name in sys.modules])
        print([path for path, *_ in opened if str(path).startswith({str(isolated_home)!r})])
        import lamindb.models
        rooms = ("lamindb.web", "lamindb.exchange", "lamindb.cli", "waitress", "pygments")
        print([name for name in sys.modules if name.startswith(rooms)])
        """
    )
    assert done.stdout == "[]\n[]\n[]\n"
    assert [path.name for path in isolated_home.iterdir()] == ["runtime"]


def test_the_older_names_are_the_same_things() -> None:
    import lamindb.schema as lns

    for name in ("File", "Notebook", "Pipeline", "Run", "Storage", "Transform", "User"):
        assert getattr(lns, name) is getattr(ln, name)
    assert ln.close is ln.disconnect is ln.setup.close is ln.setup.disconnect
    assert ln.setup.load is ln.setup.connect


SCRIPT = """
from pathlib import Path

import pandas as pd

import lamindb as ln

ln.settings.verbosity = 3
run: ln.Run = ln.track()
transform = ln.Transform(name="Cell Ranger", version="7.2.0", type="pipeline").save()
ln.track(transform)
file = ln.File(Path("a.csv"), key="tables/a.csv", run=run).save()
reveal_type(file)
reveal_type(ln.File.select(key="tables/a.csv").one())
reveal_type(ln.File.select(size__gt=1).first())
reveal_type(file.key)
reveal_type(file.run)
reveal_type(file.stage(is_run_input=True))
reveal_type(ln.File.select().df())
ln.File(pd.DataFrame({"a": [1]}), key="tables/b.parquet").save()
for other in ln.File.select(created_by__handle="testuser1").order_by("-created_at")[:5]:
    reveal_type(other)
"""

REVEALED = [
    "lamindb.models.file.File",
    "lamindb.models.file.File",
    "lamindb.models.file.File | None",
    "str | None",
    "lamindb.models.run.Run | None",
    "pathlib.Path",
    "Any",
    "lamindb.models.file.File",
]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_users_script_is_typed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "--no-error-summary",
         "--disable-error-code", "import-untyped", str(script)],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert [line for line in lines if ": error:" in line] == []
    assert [line.split('"')[1] for line in lines if "Revealed type" in line] == REVEALED
