"""The classes of commands and groups, and the types of their parameters."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from typing import Any

import click

JSON_HELP = "Print JSON with stable keys."
_SPANS = {"min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


_MOST = 10**18
"""What a larger number of results or generations means: every database can hold it."""


_DEEPEST = 10**9


class Count(click.IntRange):
    """A number from 1; a very large one means all."""

    def __init__(self) -> None:
        super().__init__(min=1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        return min(int(super().convert(value, param, ctx)), _MOST)


class Command(click.Command):
    """A command with examples in its help. Settings are read just before it runs, not for `--help`."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        import lamindb.core.settings  # noqa: F401  applies the user's settings, such as the verbosity

        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_examples(self.examples, formatter)


class Group(click.Group):
    """Commands under one word, such as `lamin trash list`."""

    command_class = Command

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help if no command is named; that is no error."""
        return super().parse_args(ctx, args or ["--help"])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_examples(self.examples, formatter)


def write_examples(examples: tuple[str, ...], formatter: click.HelpFormatter) -> None:
    """Write examples, one a line, without wrapping."""
    if not examples:
        return
    with formatter.section("Examples" if len(examples) > 1 else "Example"):
        for example in examples:
            formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def command(name: str, *examples: str, **options: Any) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a command; the first line of the docstring is its short help.

    Args:
        name: The word after `lamin`.
        *examples: Whole command lines for its help.
        **options: Passed on to `click.command`.
    """
    return click.command(name, cls=Command, examples=examples, **options)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, passed as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=JSON_HELP)(function)


class Time(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A date, a time, or a duration before now such as `7d`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime.datetime:
        """Return an aware time; a date without a zone is local."""
        if isinstance(value, datetime.datetime):
            return value
        text = str(value).strip()
        span = re.fullmatch(r"([0-9]+)\s*(min|h|d|w)", text)
        try:
            if span:
                seconds = int(span[1]) * _SPANS[span[2]]
                return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
            return datetime.datetime.fromisoformat(text).astimezone()
        except OverflowError:
            self.fail(f"{text!a} is before the year 1: pass a shorter duration")
        except ValueError:
            self.fail(
                f"{text!a} is not a time: pass a date such as 2026-01-31, or a duration such as 30min, 12h, 7d, 2w"
            )


class Size(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A number of bytes: `500`, `10k`, `1.5MB`, `2GiB`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]i?)?b?", str(value).strip().lower())
        if not found:
            self.fail(f"{value!a} is not a size: pass bytes, or a number with a unit such as 10k, 1.5MB, 2GiB")
        size = float(found[1]) * _UNITS[found[2] or ""]
        if math.isinf(size):
            self.fail(f"{value!a} is larger than any file: pass a smaller size")
        return math.ceil(size)


class Depth(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A number of generations, or `all`."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "all"."""
        text = str(value).strip()
        if text == "all":
            return text
        if not re.fullmatch(r"[0-9]+", text):
            self.fail(f"{value!a} is not a depth: pass a number from 0, or all")
        return int(text) if len(text) < len(str(_DEEPEST)) else _DEEPEST
