"""What the methods of records name by dotted path exists, and takes and returns what the methods say."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lamindb.models  # noqa: F401  configures Django
from lamindb.core.verbs import verb

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "lamindb"
CALL = re.compile(r'\bverb\("(lamindb\.[\w.]+)"\)')


def _named() -> dict[str, set[str]]:
    """Return the modules that name functions by path, with these paths."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        paths = set(CALL.findall(path.read_text(encoding="utf-8")))
        if paths:
            found[str(path.relative_to(PACKAGE))] = paths
    return found


NAMED = _named()


def test_only_records_and_the_context_name_functions_of_higher_rooms() -> None:
    assert {name.split("/")[0] for name in NAMED} <= {"core", "models", "records"}
    assert [name for name in NAMED if name.startswith("core/")] == ["core/context.py"]


def test_every_call_names_its_function_by_a_literal_path() -> None:
    for name in NAMED:
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "verb"]
        assert len(calls) == len([call for call in calls if CALL.fullmatch(ast.unparse(call).replace("'", '"'))]), name


@pytest.mark.parametrize("path", sorted(set().union(*NAMED.values())))
def test_every_path_is_a_function_of_the_module_that_it_names(path: str) -> None:
    function = verb(path)
    assert inspect.isfunction(function)
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name) is function
    assert inspect.unwrap(function).__module__ == module


@pytest.mark.slow
def test_every_call_has_the_types_of_its_function(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    shutil.copytree(PACKAGE, folder / "lamindb", ignore=shutil.ignore_patterns("__pycache__"))
    for name, paths in NAMED.items():
        file = folder / "lamindb" / name
        text = CALL.sub(lambda found: found.group(1), file.read_text(encoding="utf-8"))
        imports = "".join(f"import {path.rpartition('.')[0]}\n" for path in sorted(paths))
        head = "from __future__ import annotations\n"
        assert head in text
        file.write_text(text.replace(head, head + imports, 1), encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *(f"src/lamindb/{name}" for name in NAMED)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    # The casts and annotations that an untyped verb needs are needless once its type is known.
    errors = [line for line in done.stdout.splitlines() if ": error:" in line and "redundant-cast" not in line]
    assert errors == [], done.stdout + done.stderr
