"""The command line `lamin`: parse, call the Python function, print. It has no logic of its own."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after `lamin`; None means `sys.argv[1:]`.

    Returns:
        The exit code: 0 done, 1 unexpected error, 2 input, 3 not found, 4 storage or database, 5 integrity,
        6 conflict, 130 interrupted, 141 output closed by its reader.
    """
    from lamindb.cli.process import run

    return run(arguments)
