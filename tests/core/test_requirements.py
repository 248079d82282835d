"""What is missing is named itself, with the bound of the extra; never a package that may be another product."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from lamindb.core.requirements import pip_install

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
MODULES = {"pillow": "PIL", "universal-pathlib": "upath", "pyyaml": "yaml"}


@pytest.mark.parametrize("wanted", sorted({one for extra in EXTRAS.values() for one in extra if "lamindb[" not in one}))
def test_the_bounds_are_those_of_the_extras(wanted: str) -> None:
    name = re.match(r"[\w-]+", wanted)
    assert name is not None
    assert pip_install(MODULES.get(name.group(), name.group())) == f"pip install '{wanted}'"


def test_what_has_no_bound_is_named_alone() -> None:
    assert pip_install("nbconvert", "yaml.scanner") == "pip install nbconvert 'pyyaml>=6'"


def test_no_message_and_no_page_installs_this_package_by_its_name() -> None:
    pages = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    found = [page.name for page in pages if re.search(r"pip install [^\n`]*lamindb", page.read_text(encoding="utf-8"))]
    assert found == []
