"""The page `docs/cli.md`: the `--help` text of every command. `./dev docs` writes it."""

from __future__ import annotations

import click

from lamindb.cli.application import COMMANDS, lamin

_INTRODUCTION = """\
# The command line

This page is what `lamin COMMAND --help` says, for every command; `./dev docs` writes it.

What commands print as data goes to standard output, what they tell you to standard error, and nothing ever asks a
question. `--json` prints the same data for programs: keys are never renamed or taken away, new ones may come, times are
ISO 8601 in UTC, sizes are bytes. A name may be a key (`study/results.csv`), a path into the storage folder
(`mydata/study/results.csv`), or an id.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | something that nobody foresaw; `LAMIN_DEBUG=1` shows where |
| 2 | the input was wrong; nothing was changed |
| 3 | what was asked for does not exist |
| 4 | the storage or the database failed; calling again is safe |
| 5 | stored bytes are missing or damaged |
| 6 | something stands in the way, or several things fit |
| 130 | interrupted |
| 141 | the reader of the output went away |

`lamin run` ends with the exit code of the program that it ran.

Let your shell complete commands, options, keys and names:

```text
lamin completion bash > ~/.local/share/bash-completion/completions/lamin
lamin completion zsh > ~/.zfunc/_lamin
lamin completion fish > ~/.config/fish/completions/lamin.fish
```
"""


def markdown() -> str:
    """Return the page. It is the same on every machine and in every terminal."""
    top = _context(lamin, "lamin", None)
    parts = [_INTRODUCTION, "## lamin", "", _block(top)]
    section = ""
    for name, entry in COMMANDS.items():
        command = lamin.get_command(top, name)
        if entry.is_hidden or command is None:
            continue
        if entry.section != section:
            section = entry.section
            parts += ["", f"## {section}"]
        parts += ["", *_described(command, name, top)]
    return "\n".join(parts) + "\n"


def _described(command: click.Command, name: str, parent: click.Context) -> list[str]:
    context = _context(command, name, parent)
    lines = [f"### {context.command_path}", "", _block(context)]
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            assert found is not None, "a group lists what it has"
            lines += ["", *_described(found, sub, context)]
    return lines


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": 96, "max_content_width": 96}
    return click.Context(command, info_name=name, parent=parent, **settings)


def _block(context: click.Context) -> str:
    return f"```text\n{context.get_help()}\n```"


if __name__ == "__main__":
    print(markdown(), end="")
