"""The page `docs/cli.md`: the `--help` text of every command. `./dev docs` writes it."""

from __future__ import annotations

import click

from lamindb.cli.application import COMMANDS, lamin

_INTRODUCTION = """\
# The command line

The `--help` text of every command. `./dev docs` generates this page.

Data goes to standard output, messages to standard error, and no command prompts. `--json` prints the data for programs:
keys are never renamed or removed, new ones may be added, times are ISO 8601 in UTC, sizes are in bytes. A file is named
by its key (`study/results.csv`), a path into the storage folder (`mydata/study/results.csv`), or its id; `KEY@2` is its
version 2, unless a key has this very text.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | unexpected error; `LAMIN_DEBUG=1` shows the traceback; `lamin diff --exit-code`: something differs |
| 2 | wrong input; nothing was changed |
| 3 | not found |
| 4 | storage or database failed; retrying is safe |
| 5 | stored bytes are missing or damaged |
| 6 | conflict, or ambiguous |
| 130 | interrupted |
| 141 | the reader of the output closed it |

`lamin run` exits with the exit code of the program that it ran; with 4 where that is 0 and an output was not saved.

To complete commands, options, keys and names by Tab:

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
