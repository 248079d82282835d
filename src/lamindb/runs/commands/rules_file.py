"""The file with the rules that a workflow engine or a build tool follows: it is the code of such a command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Final


@dataclass(frozen=True, slots=True)
class _Engine:
    """How a program finds its rules.

    Attributes:
        options: The options that name the file.
        names: Where it is otherwise; the first that exists.
        folders: The options that name a folder to start from.
    """

    options: tuple[str, ...]
    names: tuple[str, ...]
    folders: tuple[str, ...] = ()


_MAKE: Final = _Engine(("-f", "--file", "--makefile"), ("GNUmakefile", "makefile", "Makefile"), ("-C", "--directory"))
_ENGINES: Final = {
    "snakemake": _Engine(("-s", "--snakefile"), ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")),
    "make": _MAKE,
    "gmake": _MAKE,
}


def is_engine(argv: Sequence[str]) -> bool:
    """Return True if a command starts a program that follows rules: `snakemake …`, `python -m snakemake …`."""
    return _engine(argv) is not None


def named(argv: Sequence[str], folder: Path) -> Path | None:
    """Return the file of rules that the words of a command name; None if they name none, or it is not there."""
    engine = _engine(argv)
    return next(_files(argv, folder, engine.options), None) if engine is not None else None


def find(argv: Sequence[str], folder: Path) -> Path | None:
    """Return the file of rules that a command follows: the named one, or where its program looks for it.

    Args:
        argv: The command.
        folder: Where it is run.
    """
    engine = _engine(argv)
    if engine is None:
        return None
    for value in _values(argv, engine.folders):
        folder = folder / value
    if next(_values(argv, engine.options), None) is not None:
        return next(_files(argv, folder, engine.options), None)
    return next((path.resolve() for name in engine.names if (path := folder / name).is_file()), None)


def _engine(argv: Sequence[str]) -> _Engine | None:
    module = next((name for option, name in pairwise(argv) if option == "-m"), "")
    return _ENGINES.get(PurePath(argv[0]).name) or _ENGINES.get(module)


def _files(argv: Sequence[str], folder: Path, options: Sequence[str]) -> Iterator[Path]:
    return ((folder / value).resolve() for value in _values(argv, options) if (folder / value).is_file())


def _values(argv: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """Yield the values of some options: `-s FILE`, `-sFILE`, `--snakefile FILE`, `--snakefile=FILE`."""
    for word, following in pairwise([*argv[1:], ""]):
        for option in options:
            if word == option and following:
                yield following
            elif option.startswith("--") and word.startswith(f"{option}="):
                yield word[len(option) + 1 :]
            elif not option.startswith("--") and word.startswith(option) and word != option:
                yield word[len(option) :]
