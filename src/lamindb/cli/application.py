"""The group of all commands."""

from __future__ import annotations

import os
import sys
from typing import Final, NamedTuple

import click

from lamindb.cli.params import Group

_INSTANCES = "Instances and users"
_FILES = "Files"
_LINEAGE = "Lineage"
_RUNS = "Runs"
_MAINTENANCE = "Maintenance"
_OTHER = "Other"


class Entry(NamedTuple):
    """One command: its section in the overview, where it is defined, and its short help."""

    section: str
    module: str
    attribute: str
    help: str
    is_hidden: bool = False


COMMANDS: Final[dict[str, Entry]] = {
    "init": Entry(_INSTANCES, "instances", "init", "Create an instance, or connect to an existing one."),
    "info": Entry(_INSTANCES, "instances", "info", "Show the connected instance and its user."),
    "connect": Entry(_INSTANCES, "instances", "connect", "Connect this folder to an existing instance."),
    "load": Entry(_INSTANCES, "instances", "load", "Older name of connect.", is_hidden=True),
    "disconnect": Entry(_INSTANCES, "instances", "disconnect", "Disconnect this folder from its instance."),
    "close": Entry(_INSTANCES, "instances", "close", "Older name of disconnect.", is_hidden=True),
    "list": Entry(_INSTANCES, "instances", "list_instances", "List the instances registered on this machine."),
    "delete": Entry(_INSTANCES, "instances", "delete", "Delete an instance's records, but no stored file."),
    "restore": Entry(_INSTANCES, "instances", "restore", "Restore a deleted instance from its backup."),
    "backup": Entry(_INSTANCES, "instances", "backup", "Write a copy of the instance's records."),
    "login": Entry(_INSTANCES, "instances", "login", "Set who you are."),
    "logout": Entry(_INSTANCES, "instances", "logout", "Go back to the operating system's user."),
    "settings": Entry(_INSTANCES, "settings", "settings", "Show or change your settings."),
    "save": Entry(_FILES, "files", "save", "Save files or folders."),
    "get": Entry(_FILES, "files", "get", "Copy a file out of the instance."),
    "cat": Entry(_FILES, "files", "cat", "Write a file's bytes to standard output."),
    "ls": Entry(_FILES, "query", "ls", "List files by key."),
    "mv": Entry(_FILES, "trash", "mv", "Rename a file: give it another key."),
    "revert": Entry(_FILES, "trash", "revert", "Make an older version of a file the current one again."),
    "rm": Entry(_FILES, "trash", "rm", "Move files to the trash."),
    "trash": Entry(_FILES, "trash", "trash", "List, restore or purge files in the trash."),
    "describe": Entry(_LINEAGE, "query", "describe", "Show everything about a record."),
    "lineage": Entry(_LINEAGE, "query", "lineage", "Show where a record came from and what became of it."),
    "path": Entry(_LINEAGE, "query", "path", "Show how one record led to another."),
    "impact": Entry(_LINEAGE, "query", "impact", "Show what was derived from a record, and by whom."),
    "diff": Entry(_LINEAGE, "diff", "diff", "Show what differs between versions, folders or runs."),
    "why": Entry(_LINEAGE, "why", "why", "Show why a version of a file differs from the one before."),
    "stale": Entry(_LINEAGE, "query", "stale", "Show which files are stale, and why."),
    "status": Entry(_LINEAGE, "query", "status", "Show what needs attention: stale files, failed runs, edits."),
    "plan": Entry(_LINEAGE, "query", "plan", "Show what to run to make stale files fresh."),
    "flag": Entry(_LINEAGE, "flags", "flag", "Flag a version of a file as wrong."),
    "unflag": Entry(_LINEAGE, "flags", "unflag", "Remove the flags of a version of a file."),
    "export": Entry(_LINEAGE, "export", "export", "Write a project as one HTML file."),
    "bundle": Entry(_LINEAGE, "export", "bundle", "Write files with their bytes and lineage as an archive."),
    "search": Entry(_LINEAGE, "query", "search", "Find records by approximate names."),
    "history": Entry(_LINEAGE, "query", "history", "Show recent events."),
    "ui": Entry(_LINEAGE, "ui", "ui", "Show files, runs and lineage in a browser."),
    "run": Entry(_RUNS, "runs", "run", "Run a program and record its inputs and outputs."),
    "track": Entry(_RUNS, "runs", "track", "Start a run in a shell script."),
    "finish": Entry(_RUNS, "runs", "finish", "End the run of a shell script."),
    "runs": Entry(_RUNS, "runs", "runs", "List runs."),
    "show": Entry(_RUNS, "runs", "show", "Show everything about a run."),
    "code": Entry(_RUNS, "run_content", "code", "Print the code of a run."),
    "log": Entry(_RUNS, "run_content", "log", "Print the log of a run."),
    "patch": Entry(_RUNS, "run_content", "patch", "Print the uncommitted changes of a run."),
    "packages": Entry(_RUNS, "run_content", "packages", "Print the installed packages of a run."),
    "modules": Entry(_RUNS, "run_content", "modules", "Print the project's modules that a run had imported."),
    "report": Entry(_RUNS, "run_content", "report", "Print the notebook report of a run as HTML."),
    "verify": Entry(_MAINTENANCE, "maintenance", "verify", "Check stored bytes against their records."),
    "gc": Entry(_MAINTENANCE, "maintenance", "gc", "Remove stored bytes that are no longer reachable."),
    "relink": Entry(_MAINTENANCE, "maintenance", "relink", "Share the space of equal bytes again after a copy."),
    "migrate-to": Entry(_MAINTENANCE, "maintenance", "migrate_to", "Move the instance to another database or storage."),
    "completion": Entry(_OTHER, "completion", "completion", "Print the shell completion script."),
}


COMPLETION_VARIABLE = "_LAMIN_COMPLETE"

_EXAMPLES = (
    "lamin init --storage ./mydata",
    "lamin save results.csv --key study/results.csv",
    "lamin lineage study/results.csv",
)


class LazyGroup(Group):
    """A group that imports the module of a command when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of this name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        import importlib

        found: click.Command = getattr(importlib.import_module(f"lamindb.cli.{entry.module}"), entry.attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that was typed.

        Raises:
            UsageError: There is none; the message suggests the closest name.
        """
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            advice = f"did you mean `lamin {near[0]}`?" if near else "see `lamin --help`"
            raise click.UsageError(f"there is no command {ascii(args[0])}: {advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview: the commands by section."""
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

    Data goes to standard output, messages to standard error. No command prompts. Exit codes: 0 done,
    2 wrong input, 3 not found, 4 storage or database failed, 5 damaged bytes, 6 conflict.
    """


def invoke(arguments: list[str]) -> int:
    """Run a command line and return its exit code. All errors pass: click's own `main` hides a closed pipe."""
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
