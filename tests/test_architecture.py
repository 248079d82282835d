"""The rooms of the package: who may import whom, and what no room does. `SHOWS` holds the only exceptions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.sources import Module, called_name, calls, cycles, functions, imports, read_modules, runtime_nodes

PACKAGE = Path(__file__).parents[1] / "src" / "lamindb"

# Room → the rooms that it may import, besides itself, from the lowest to the highest. Modules beside the rooms are
# front doors: they may import everything, and nothing imports them; `errors` lies below all rooms.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "storage": {"core"},
    "environment": {"core"},
    "instance": {"core"},
    "migrations": {"core", "models"},
    "db": {"core", "instance", "migrations"},
    "models": {"core", "db"},
    "records": {"core", "storage", "instance", "db", "models"},
    "search": {"core", "db", "models"},
    "files": {"core", "storage", "instance", "db", "models", "records"},
    "maintenance": {"core", "storage", "instance", "db", "models", "records", "files"},
    "runs": {"core", "storage", "environment", "instance", "db", "models", "records", "files"},
    "lineage": {"core", "environment", "db", "models", "records"},
    "describe": {"core", "storage", "environment", "db", "models", "records", "runs", "lineage"},
    "compare": {
        "core",
        "storage",
        "environment",
        "db",
        "models",
        "records",
        "files",
        "runs",
        "lineage",
        "describe",
    },
    "exchange": {"core", "storage", "environment", "db", "models", "records", "lineage", "describe"},
    "setup": {"core", "storage", "instance", "db", "models", "records", "files", "maintenance", "runs"},
}
MAY_IMPORT["web"] = set(MAY_IMPORT)
MAY_IMPORT["cli"] = MAY_IMPORT["dev"] = set(MAY_IMPORT)
LOWEST = {"lamindb.errors"}
FRONT_DOORS = {
    "lamindb", "lamindb.api", "lamindb.schema", "lamindb.setup", "lamindb.lineage", "lamindb.apps", "lamindb.__main__",
}  # fmt: skip
WITHOUT_DJANGO = {"core", "storage", "environment", "instance", "lamindb.lineage.render"}
HEAVY = {
    "anndata", "dnaio", "fsspec", "h5py", "IPython", "ipykernel", "marimo", "nbformat", "numpy", "obstore", "openpyxl",
    "pandas", "PIL", "polars", "pyarrow", "pysam", "upath", "yaml", "zarr",
}  # fmt: skip
ENDS_THE_PROGRAM = {"sys.exit", "exit", "quit", "os._exit", "os.abort", "SystemExit", "breakpoint"}
PRINTS = {"print", "sys.stdout.write", "sys.stdout.writelines", "sys.stdout.buffer.write"}
SHOWS = {
    "lamindb.api": "outside notebooks, what `ln.view` was asked to show is its result",
}
"""The modules beside `cli` that write to standard output, and why they may."""
MAX_FILE_LINES = 700
MAX_FUNCTION_LINES = 70


def wrong_imports(modules: dict[str, Module]) -> list[str]:
    """Return imports that point the wrong way."""
    found = []
    for module in modules.values():
        if module.name in FRONT_DOORS:
            continue
        for name, line in imports(module, modules):
            if name.partition(".")[0] != "lamindb":
                continue
            target = modules.get(name) or modules.get(name.rpartition(".")[0])
            if target is not None and target.name in LOWEST:
                continue
            allowed = MAY_IMPORT.get(module.room, set()) | {module.room}
            if target is None or target.name in FRONT_DOORS or target.room not in allowed:
                found.append(f"{module.name}:{line} imports {name}")
    return found


def import_cycles(modules: dict[str, Module]) -> list[list[str]]:
    """Return groups of modules that import each other, front doors aside."""
    edges = {
        module.name: {name for name, _ in imports(module, modules) if name in modules and name != module.name}
        for module in modules.values()
    }
    return cycles(edges)


def heavy_imports(modules: dict[str, Module]) -> list[str]:
    """Return what would make `import lamindb`, or the first query, load a heavy package."""
    return [
        f"{module.name}:{node.lineno}"
        for module in modules.values()
        for node in _module_level(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and _packages(node) & HEAVY
    ]


def foreign_imports(modules: dict[str, Module]) -> list[str]:
    """Return where a room that knows no database imports Django."""
    return [
        f"{module.name}:{node.lineno}"
        for module in modules.values()
        if module.room in WITHOUT_DJANGO or module.name.startswith(tuple(WITHOUT_DJANGO))
        for node in runtime_nodes(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and "django" in _packages(node)
    ]


def wrong_calls(modules: dict[str, Module]) -> list[str]:
    """Return where the library asks, prints, ends the program, or opens a transaction on no particular database.

    What runs only when a module is itself the program is no library.
    """
    found = []
    for module in modules.values():
        for node in calls(module):
            name = called_name(node)
            asks = name == "input"
            ends = module.room != "cli" and name in ENDS_THE_PROGRAM
            prints = module.room != "cli" and module.name not in SHOWS and name in PRINTS
            aimless = name.endswith("atomic") and not (node.args or any(word.arg == "using" for word in node.keywords))
            if asks or ends or prints or aimless:
                found.append(f"{module.name}:{node.lineno} calls {name}")
    return found


def swallowed_errors(modules: dict[str, Module]) -> list[str]:
    """Return handlers that catch everything and do nothing."""
    return [
        f"{module.name}:{node.lineno}"
        for module in modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
    ]


def too_long(modules: dict[str, Module]) -> list[str]:
    """Return files and functions that hold more than one responsibility, as far as length can tell."""
    own = [module for module in modules.values() if module.room != "migrations"]
    files = [f"{module.name}: {module.line_count} lines" for module in own if module.line_count > MAX_FILE_LINES]
    lengths = [(module, node, (node.end_lineno or 0) - node.lineno + 1) for module in own for node in functions(module)]
    return files + [
        f"{module.name}:{node.lineno} {node.name} has {length} lines"
        for module, node, length in lengths
        if length > MAX_FUNCTION_LINES
    ]


def undocumented(modules: dict[str, Module]) -> list[str]:
    """Return modules that do not say what they are for."""
    return [m.name for m in modules.values() if m.room != "migrations" and not ast.get_docstring(m.tree)]


def strangers(modules: dict[str, Module]) -> list[str]:
    """Return modules that stand in no known room and are no front door."""
    return [m.name for m in modules.values() if m.name not in FRONT_DOORS | LOWEST and m.room not in MAY_IMPORT]


def _packages(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return {(node.module or "").partition(".")[0]} if not node.level else set()


def _module_level(tree: ast.Module) -> list[ast.AST]:
    inside = {id(child) for node in ast.walk(tree) if _is_function(node) for child in ast.walk(node)}
    return [node for node in runtime_nodes(tree) if id(node) not in inside]


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


CHECKS = (
    wrong_imports, import_cycles, heavy_imports, foreign_imports, wrong_calls, swallowed_errors,
    too_long, undocumented, strangers,
)  # fmt: skip


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    return read_modules(PACKAGE)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_package_keeps_to_its_rooms(check: object, modules: dict[str, Module]) -> None:
    assert callable(check)
    assert check(modules) == []


LONG = "def f():\n" + "    x = 1\n" * (MAX_FUNCTION_LINES + 1)

BROKEN = {
    "upwards": (wrong_imports, {"core/a.py": "from lamindb.models import file", "models/file.py": ""}),
    "inside a function": (wrong_imports, {"storage/a.py": "def f():\n    import lamindb.models.file"}),
    "by relative name": (wrong_imports, {"instance/a.py": "from ..files import save", "files/save.py": ""}),
    "by text": (wrong_imports, {"core/a.py": "import importlib\nimportlib.import_module('lamindb.cli')"}),
    "a front door": (wrong_imports, {"files/a.py": "import lamindb"}),
    "between upper rooms": (
        wrong_imports,
        {"lineage/a.py": "from lamindb.runs import b", "runs/b.py": ""},
    ),
    "a cycle": (
        import_cycles,
        {"core/a.py": "from lamindb.core import b", "core/b.py": "def f():\n    from . import a"},
    ),
    "heavy": (heavy_imports, {"files/a.py": "try:\n    import pandas.api\nexcept ImportError: raise"}),
    "foreign": (foreign_imports, {"storage/a.py": "def f():\n    from django.db import models"}),
    "asking": (wrong_calls, {"cli/a.py": "input('sure?')"}),
    "printing": (wrong_calls, {"files/a.py": "print(1)"}),
    "printing by hand": (wrong_calls, {"files/a.py": "sys.stdout.write('1')"}),
    "ending": (wrong_calls, {"core/a.py": "raise SystemExit(1)"}),
    "aimless": (wrong_calls, {"models/a.py": "with transaction.atomic(): ..."}),
    "swallowing": (swallowed_errors, {"core/a.py": "try:\n    f()\nexcept Exception:\n    pass"}),
    "a long file": (too_long, {"core/a.py": "x = 1\n" * (MAX_FILE_LINES + 1)}),
    "a long function": (too_long, {"core/a.py": LONG}),
    "undocumented": (undocumented, {"core/a.py": "x = 1"}),
    "another room": (strangers, {"attic/a.py": ""}),
    "beside the rooms": (strangers, {"helpers.py": ""}),
}

FINE = {
    "models/file.py": '"""m"""\nif TYPE_CHECKING:\n    from lamindb.files import a\n',
    "files/a.py": '"""m"""\nfrom lamindb.models import file\nwith atomic(using=1): ...\n',
    "api.py": '"""m"""\nsys.stdout.write("1")\n',
    "runs/steps/a.py": '"""m"""\nfrom lamindb.errors import c\nfrom lamindb.files import a\n',
    "runs/b.py": '"""m"""\n',
    "errors.py": '"""m"""\n',
    "records/b.py": '"""m"""\ndef f():\n    import pandas\n',
    "cli/a.py": '"""m"""\nfrom lamindb.files import a\nprint(1)\n',
    "schema.py": '"""m"""\nfrom lamindb.models import file\n',
}


def _package(folder: Path, files: dict[str, str]) -> dict[str, Module]:
    for name, text in files.items():
        path = folder / "lamindb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_modules(folder / "lamindb")


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_rules_is_found(name: str, tmp_path: Path) -> None:
    check, files = BROKEN[name]
    assert check(_package(tmp_path, files))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_keeps_the_rules_is_not_found(check: object, tmp_path: Path) -> None:
    assert callable(check)
    assert check(_package(tmp_path, FINE)) == []
