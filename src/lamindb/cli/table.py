"""All commands, with what the overview says of them; known without importing any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
    "close": Entry(_INSTANCES, "instances", "close", "Disconnect this folder from its instance."),
    "list": Entry(_INSTANCES, "instances", "list_instances", "List the instances that are registered here."),
    "delete": Entry(_INSTANCES, "instances", "delete", "Delete an instance's records, never a stored file."),
    "restore": Entry(_INSTANCES, "instances", "restore", "Bring back a deleted instance from its backup."),
    "backup": Entry(_INSTANCES, "instances", "backup", "Copy the records of the instance."),
    "login": Entry(_INSTANCES, "people", "login", "Say who you are."),
    "logout": Entry(_INSTANCES, "people", "logout", "Be the operating system's user again."),
    "settings": Entry(_INSTANCES, "settings", "settings", "Show and keep settings for every process."),
    "save": Entry(_FILES, "files", "save", "Save files or folders."),
    "get": Entry(_FILES, "files", "get", "Copy a file out of the instance."),
    "cat": Entry(_FILES, "files", "cat", "Write a file's bytes to standard output."),
    "ls": Entry(_FILES, "listing", "ls", "List files by their keys."),
    "mv": Entry(_FILES, "removing", "mv", "Give a file another key."),
    "rm": Entry(_FILES, "removing", "rm", "Move files to the trash."),
    "trash": Entry(_FILES, "removing", "trash", "List, restore or purge what is in the trash."),
    "describe": Entry(_LINEAGE, "looking", "describe", "Show everything about a record on one page."),
    "lineage": Entry(_LINEAGE, "looking", "lineage", "Show where something came from and what became of it."),
    "path": Entry(_LINEAGE, "looking", "path", "Show by which way one record led to another."),
    "impact": Entry(_LINEAGE, "looking", "impact", "Show what was derived from something, and by whom."),
    "search": Entry(_LINEAGE, "looking", "search", "Find records by what you remember of their names."),
    "history": Entry(_LINEAGE, "looking", "history", "Show what happened lately."),
    "run": Entry(_RUNS, "running", "run", "Run a program and record what it read and made."),
    "track": Entry(_RUNS, "running", "track", "Begin a run in a shell script."),
    "finish": Entry(_RUNS, "running", "finish", "End the run of a shell script."),
    "runs": Entry(_RUNS, "runs", "runs", "List runs."),
    "show": Entry(_RUNS, "runs", "show", "Show everything about a run."),
    "log": Entry(_RUNS, "runs", "log", "Print what a run printed."),
    "verify": Entry(_CARE, "caring", "verify", "Compare stored bytes with what was saved."),
    "gc": Entry(_CARE, "caring", "gc", "Free the space of bytes that nothing needs."),
    "relink": Entry(_CARE, "caring", "relink", "Let equal bytes share their space again after a copy."),
    "migrate-to": Entry(_CARE, "caring", "migrate_to", "Move the instance to another database or storage."),
    "completion": Entry(_OTHER, "completion", "completion", "Print the script for completion by Tab."),
}
