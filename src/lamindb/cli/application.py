"""The command group: which commands there are, and how errors become one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from lamindb.cli.params import Group
from lamindb.errors import DatabaseError, InvalidInputError, LaminError, StorageError

_INSTANCES = "Instances and people"
_FILES = "Files"
_LINEAGE = "Where things came from"
_RUNS = "Running"
_CARE = "Care"
_OTHER = "Other"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its heading in the overview, where it is declared, and its short help."""

    section: str
    module: str
    attribute: str
    help: str
    is_hidden: bool = False


COMMANDS: Final[dict[str, Entry]] = {
    "init": Entry(_INSTANCES, "instances", "init", "Make an instance, or connect the one that is there."),
    "info": Entry(_INSTANCES, "instances", "info", "Show the connected instance and its user."),
    "connect": Entry(_INSTANCES, "instances", "connect", "Make an existing instance the one of this folder."),
    "load": Entry(_INSTANCES, "instances", "load", "Older name of connect.", is_hidden=True),
    "disconnect": Entry(_INSTANCES, "instances", "disconnect", "Disconnect this folder from its instance."),
    "close": Entry(_INSTANCES, "instances", "close", "Older name of disconnect.", is_hidden=True),
    "list": Entry(_INSTANCES, "instances", "list_instances", "List the instances that are registered here."),
    "delete": Entry(_INSTANCES, "instances", "delete", "Delete an instance's records, never a stored file."),
    "restore": Entry(_INSTANCES, "instances", "restore", "Bring back a deleted instance from its backup."),
    "backup": Entry(_INSTANCES, "instances", "backup", "Copy the records of the instance."),
    "login": Entry(_INSTANCES, "instances", "login", "Say who you are."),
    "logout": Entry(_INSTANCES, "instances", "logout", "Be the operating system's user again."),
    "settings": Entry(_INSTANCES, "settings", "settings", "Show and keep settings for every process."),
    "save": Entry(_FILES, "files", "save", "Save files or folders."),
    "get": Entry(_FILES, "files", "get", "Copy a file out of the instance."),
    "cat": Entry(_FILES, "files", "cat", "Write a file's bytes to standard output."),
    "ls": Entry(_FILES, "query", "ls", "List files by their keys."),
    "mv": Entry(_FILES, "trash", "mv", "Give a file another key."),
    "rm": Entry(_FILES, "trash", "rm", "Move files to the trash."),
    "trash": Entry(_FILES, "trash", "trash", "List, restore or purge what is in the trash."),
    "describe": Entry(_LINEAGE, "query", "describe", "Show everything about a record on one page."),
    "lineage": Entry(_LINEAGE, "query", "lineage", "Show where something came from and what became of it."),
    "path": Entry(_LINEAGE, "query", "path", "Show by which way one record led to another."),
    "impact": Entry(_LINEAGE, "query", "impact", "Show what was derived from something, and by whom."),
    "search": Entry(_LINEAGE, "query", "search", "Find records by what you remember of their names."),
    "history": Entry(_LINEAGE, "query", "history", "Show what happened lately."),
    "run": Entry(_RUNS, "runs", "run", "Run a program and record what it read and made."),
    "track": Entry(_RUNS, "runs", "track", "Begin a run in a shell script."),
    "finish": Entry(_RUNS, "runs", "finish", "End the run of a shell script."),
    "runs": Entry(_RUNS, "runs", "runs", "List runs."),
    "show": Entry(_RUNS, "runs", "show", "Show everything about a run."),
    "log": Entry(_RUNS, "runs", "log", "Print what a run printed."),
    "verify": Entry(_CARE, "maintenance", "verify", "Compare stored bytes with what was saved."),
    "gc": Entry(_CARE, "maintenance", "gc", "Free the space of bytes that nothing needs."),
    "relink": Entry(_CARE, "maintenance", "relink", "Let equal bytes share their space again after a copy."),
    "migrate-to": Entry(_CARE, "maintenance", "migrate_to", "Move the instance to another database or storage."),
    "completion": Entry(_OTHER, "completion", "completion", "Print the script for completion by Tab."),
}


DEBUG_VARIABLE = "LAMIN_DEBUG"
COMPLETION_VARIABLE = "_LAMIN_COMPLETE"
INTERRUPTED, PIPE_CLOSED = 130, 141

_EXAMPLES = (
    "lamin init --storage ./mydata",
    "lamin save results.csv --key study/results.csv",
    "lamin lineage study/results.csv",
)


class LazyGroup(Group):
    """A group that imports a command's module when the command is used, and not to list what there is."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of this name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        import importlib

        found: click.Command = getattr(importlib.import_module(f"lamindb.cli.{entry.module}"), entry.attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed.

        Raises:
            UsageError: There is none; the message names the nearest one.
        """
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            advice = f"did you mean `lamin {near[0]}`?" if near else "see `lamin --help`"
            raise click.UsageError(f"there is no command {ascii(args[0])}: {advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            if not entry.is_hidden:
                sections.setdefault(entry.section, []).append((name, entry.help))
        width = max(len(name) for name in COMMANDS)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"lamin {getattr(sys.modules['lamindb'], '__version__', '')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    examples=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def lamin() -> None:
    """Know where every file came from and what became of it.

    Data goes to standard output, messages to standard error. Nothing ever asks a question. Exit codes: 0 done,
    2 wrong input, 3 not found, 4 storage or database failed, 5 damaged bytes, 6 conflict.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; errors are one line on standard error."""
    _let_streams_take_everything()
    try:
        code = _invoke(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return PIPE_CLOSED
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE, "") not in {"", "0"}:
            import traceback

            traceback.print_exc()
        return _report(error)
    return code


def _invoke(arguments: list[str]) -> int:
    """Parse and run; unlike click's own `main`, which hides closed pipes, let every error pass."""
    instruction = os.environ.get(COMPLETION_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(lamin, {}, "lamin", COMPLETION_VARIABLE, instruction)
    try:
        with lamin.make_context("lamin", arguments) as context:
            lamin.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def _report(error: Exception) -> int:
    """Tell an error in one line and return its exit code."""
    if isinstance(error, click.ClickException):
        say(error.format_message())
        return InvalidInputError.exit_code
    if isinstance(error, LaminError):
        say(str(error))
        return error.exit_code
    if isinstance(error, UnicodeEncodeError):
        say("an argument has bytes that are not UTF-8, which no name has: mend it")
        return InvalidInputError.exit_code
    if isinstance(error, OSError):
        where = f"{os.fspath(error.filename)!r}: " if isinstance(error.filename, str) else ""
        say(f"{where}{error.strerror or error}")
        return StorageError.exit_code
    database = sys.modules.get("django.db")
    if database is not None and isinstance(error, database.Error):
        say(f"the database failed: {error}")
        return DatabaseError.exit_code
    say(f"unexpected {type(error).__name__}: {error} (set {DEBUG_VARIABLE}=1 to see where)")
    return 1


def say(text: str) -> None:
    """Write an error on standard error, in one line."""
    from lamindb.core.text import printable

    line = printable(" ".join(text.split()))
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"lamin: {_lower_start(line)}\n")


def _lower_start(text: str) -> str:
    """Begin in lower case, unless the first word is a name such as `URL`."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _let_streams_take_everything() -> None:
    """Let an old terminal show what it cannot encode as escapes, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    """Keep the interpreter from complaining about a closed pipe when it flushes at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
