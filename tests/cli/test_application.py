"""What all commands share: help, examples, and what wrong input gives."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from lamindb.cli import application
from lamindb.cli.application import COMMANDS
from tests.cli.conftest import Cli
from tests.support.processes import run_python


def _all_commands() -> list[tuple[str, ...]]:
    context = click.Context(application.lamin)
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = application.lamin.get_command(context, name)
        found.append((name,))
        if isinstance(command, click.Group):
            found.extend((name, sub) for sub in command.list_commands(context))
    return found


@pytest.mark.parametrize("words", _all_commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...], cli: Cli) -> None:
    shown = cli(*words, "--help").out
    assert shown.startswith(f"Usage: lamin {' '.join(words)} ")
    assert f"  lamin {' '.join(words[:1])}" in shown.partition("Example")[2]


@pytest.mark.parametrize("words", _all_commands(), ids=" ".join)
def test_every_option_says_what_it_does(words: tuple[str, ...]) -> None:
    context = click.Context(application.lamin)
    command: click.Command | None = application.lamin.get_command(context, words[0])
    if len(words) == 2:
        assert isinstance(command, click.Group)
        command = command.get_command(context, words[1])
    assert command is not None
    silent = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert silent == []


def test_the_overview_says_of_each_command_what_its_help_says(cli: Cli) -> None:
    overview = cli("--help").out
    for name, entry in COMMANDS.items():
        if entry.is_hidden:
            assert f"\n  {name} " not in overview
        else:
            assert f"  {name} " in overview and entry.help in overview


def test_without_a_command_the_help_is_shown(cli: Cli) -> None:
    assert cli().out == cli("--help").out == cli("-h").out
    assert cli("trash").out == cli("trash", "--help").out


def test_the_version_is_that_of_the_package(cli: Cli) -> None:
    import lamindb

    assert cli("--version").out == f"lamin {lamindb.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["save", "--help"], ["nonsense"], ["ls", "--nonsense"]]
)
def test_help_and_mistakes_do_not_wait_for_the_database_library(arguments: list[str]) -> None:
    done = run_python(
        f"""
        import sys
        from lamindb.cli import main
        main({arguments!r})
        heavy = ("django", "pandas", "sqlite3", "asyncio", "subprocess", "blake3")
        print("LOADED", [name for name in heavy if name in sys.modules])
        """
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_an_unknown_command_names_a_near_one(cli: Cli) -> None:
    assert cli("serach", "x", code=2).err == "lamin: there is no command 'serach': did you mean `lamin search`?\n"
    assert "see `lamin --help`" in cli("\x1b[31m", code=2).err


@pytest.mark.parametrize(
    "arguments", [["save"], ["ls", "--nope"], ["ls", "--since", "soon"], ["cat", "--version", "x", "k"]]
)
def test_wrong_input_exits_2(arguments: list[str], cli: Cli) -> None:
    done = cli(*arguments, code=2)
    assert done.out == "" and done.err.startswith("lamin: ")


def test_without_an_instance_commands_say_what_to_do(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["ls"], ["info"], ["cat", "x"], ["rm", "x"], ["search", "x"], ["runs"]):
        assert "lamin init --storage" in cli(*arguments, code=3).err
