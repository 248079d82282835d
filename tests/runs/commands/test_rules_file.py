"""Which file of rules a workflow engine or build tool follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamindb.runs.commands import rules_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Snakefile", "workflow/Snakefile", "other.smk", "Makefile", "sub/GNUmakefile", "sub/Makefile"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("snakemake --cores 2", "Snakefile"),
        ("/opt/bin/snakemake --cores 2 other.smk", "Snakefile"),
        ("python -m snakemake --cores 2", "Snakefile"),
        ("snakemake -s other.smk", "other.smk"),
        ("snakemake -sother.smk --cores 1", "other.smk"),
        ("snakemake --snakefile=other.smk", "other.smk"),
        ("snakemake --snakefile workflow/Snakefile", "workflow/Snakefile"),
        ("snakemake -s missing.smk", None),
        ("snakemake -s", "Snakefile"),
        ("make", "Makefile"),
        ("make -j 4 all", "Makefile"),
        ("make -C sub", "sub/GNUmakefile"),
        ("make -C sub -f Makefile", "sub/Makefile"),
        ("gmake --directory=sub", "sub/GNUmakefile"),
        ("python other.smk", None),
    ],
)
def test_the_file_is_the_one_that_the_program_takes(folder: Path, command: str, wanted: str | None) -> None:
    found = rules_file.find(command.split(), folder)
    assert (found.relative_to(folder.resolve()).as_posix() if found is not None else None) == wanted


def test_a_workflow_may_stand_in_its_folder(folder: Path) -> None:
    (folder / "Snakefile").unlink()
    assert rules_file.find(["snakemake"], folder) == folder.resolve() / "workflow" / "Snakefile"
    assert rules_file.find(["snakemake"], folder / "sub") is None
