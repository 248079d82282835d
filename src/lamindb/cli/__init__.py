"""The command line `lamin`: it parses, calls its twin in Python and prints; it holds no rule of its own."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows `lamin`; None takes the arguments of this process.

    Returns:
        The exit code: 0, 1 for what nobody foresaw, 2 input, 3 not found, 4 storage or database, 5 integrity,
        6 conflict, 130 interrupted, 141 when the reader of the output went away.
    """
    from lamindb.cli.application import run

    return run(arguments)
