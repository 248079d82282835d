"""What the program offers is in the documentation: names, settings, variables, errors, commands, loaders, tables."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.cli.application import COMMANDS
from tests.docs import pages

_SOURCES = pages.ROOT / "src" / "lamindb"
_FOR_TESTS_ONLY = frozenset({"LAMIN_TEST_DEPTH"})


def _page(name: str) -> str:
    return (pages.DOCS / name).read_text(encoding="utf-8")


def _everything() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in pages.all_pages())


def _missing(names: Any, text: str) -> list[str]:
    return [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is None]


def test_every_public_name_is_in_the_reference() -> None:
    names = [name for name in ln.__all__ if name != "__version__"]
    assert _missing([f"ln.{name}" for name in names], _page("api.md")) == []


@pytest.mark.parametrize("module", ["setup", "schema", "lineage"])
def test_every_name_of_a_module_is_in_the_reference(module: str) -> None:
    prefix = {"schema": "lns"}.get(module, f"ln.{module}")
    found: Any = getattr(ln, module)
    names = [name for name in found.__all__ if not (module == "setup" and name in {"InstanceInfo", "Person"})]
    assert _missing([f"{prefix}.{name}" for name in names], _page("api.md")) == []


def test_every_data_set_is_in_the_reference() -> None:
    from lamindb.dev import datasets

    assert _missing(datasets.__all__, _page("api.md")) == []


@pytest.mark.parametrize("name", ["File", "Run", "Transform", "User", "Storage"])
def test_every_method_and_property_of_a_record_is_documented(name: str) -> None:
    model: Any = getattr(ln, name)
    own = {
        attribute
        for cls in model.__mro__
        if cls.__module__.startswith("lamindb.")
        for attribute, value in vars(cls).items()
        if attribute.islower()
        and not attribute.startswith("_")
        and (callable(value) or isinstance(value, property | classmethod | staticmethod))
    }
    inside = set().union(*(vars(cls).get("INTERNAL", ()) for cls in model.__mro__)) | {
        "adopt",
        "computed_filter",
        "delete_row",
        "save_row",
        "from_db",
        "rewrite_filters",
        "objects",
        "rebase",
        "settle",
    }
    related = {attribute for attribute in own if attribute.endswith(("_links", "_set"))}
    assert _missing(sorted(own - inside - related - set(model.ALIASES)), _everything()) == []


@pytest.mark.parametrize("name", ["File", "Run", "Transform", "User", "Storage"])
def test_every_field_is_in_the_table_of_fields(name: str) -> None:
    model: Any = getattr(ln, name)
    row = next(line for line in _page("queries.md").splitlines() if line.startswith(f"| `{name}` |"))
    assert _missing([field.name for field in model._meta.concrete_fields], row) == []


def test_every_setting_is_documented() -> None:
    text = _page("settings.md")
    assert [name for name in ln.settings.names() if f"`{name}`" not in text] == []


def test_every_environment_variable_is_documented() -> None:
    assert _missing(sorted(_variables()), _page("settings.md")) == []


def test_no_other_environment_variable_is_documented() -> None:
    named = set(re.findall(r"\bLAMIN_[A-Z_]*[A-Z]\b", _everything()))
    assert sorted(named - _variables()) == []


def _variables() -> set[str]:
    from lamindb.core.settings import PREFERENCES

    written = {text for path in _SOURCES.rglob("*.py") for text in _texts(path)}
    found = {text for text in written if re.fullmatch(r"LAMIN_[A-Z_]*[A-Z]", text)}
    return (found | {one.variable for one in PREFERENCES.values()}) - _FOR_TESTS_ONLY


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_table_of_errors_is_the_tree() -> None:
    rows = re.findall(r"^\| [├└ ]*`(\w+)` \| (?:`(\w+)`)? ?\| (\d+) \|", _page("errors.md"), re.M)
    found = {name: int(code) for name, _, code in rows}
    assert found == {name: getattr(ln.errors, name).exit_code for name in ln.errors.__all__}
    for name, builtin, _ in rows:
        if builtin:
            assert builtin in [cls.__name__ for cls in getattr(ln.errors, name).__mro__]


def test_every_command_is_documented() -> None:
    text = _page("cli.md")
    assert _missing([f"lamin {name}" for name in _commands()], text) == []


def test_no_page_names_a_command_that_there_is_not() -> None:
    named = set(re.findall(r"(?:^\$ |`)lamin ([a-z][a-z-]*)", _everything(), re.M))
    assert sorted(named - set(COMMANDS)) == []


def _commands() -> list[str]:
    import click

    from lamindb.cli.application import lamin

    found: list[str] = []

    def walk(group: Any, prefix: str) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            hidden = not prefix and COMMANDS[name].is_hidden
            if command is None or hidden:
                continue
            found.append(f"{prefix}{name}")
            if isinstance(command, click.Group):
                walk(command, f"{prefix}{name} ")

    walk(lamin, "")
    return found


def test_every_format_that_is_loaded_is_documented() -> None:
    declared = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    text = _page("reading.md")
    missing = [
        name
        for name in declared["lamindb.loaders"]
        if f"`.{name}`" not in text
        and not (name.endswith(".gz") and f"`.{name[:-3]}`" in text and "also `.gz`" in text)
    ]
    assert missing == []


def test_every_extra_is_documented() -> None:
    extras = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name for name in extras if f"[{name}]" not in _page("design.md")] == []


def test_every_table_of_the_database_is_documented() -> None:
    from django.apps import apps

    import lamindb.models  # noqa: F401  configures Django

    tables = {model._meta.db_table for model in apps.get_app_config("lamindb").get_models()}
    assert _missing(sorted(tables), _page("design.md")) == []


def test_the_tests_that_pages_name_are_there() -> None:
    named = set(re.findall(r"`((?:tests|benchmarks)(?:/[\w.]+)*)`", _everything()))
    assert named
    for name in named:
        place = pages.ROOT / name
        assert place.is_file() or any(place.glob("test_*.py")) or any(place.glob("[a-z]*.py")), name
