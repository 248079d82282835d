"""The process of a command: its standard streams, and how an error becomes one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

DEBUG_VARIABLE = "LAMIN_DEBUG"
INTERRUPTED, PIPE_CLOSED = 130, 141

OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""How many objects a command makes until garbage is looked for: more than its modules do, all of which stay."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; errors are one line on standard error."""
    _open_standard_streams()
    _escape_unencodable()
    words = sys.argv[1:] if arguments is None else list(arguments)
    if arguments is None:
        # This process is the command's own.
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    try:
        code = _show_version() if words == ["--version"] else _invoke(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return PIPE_CLOSED
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE, "") not in {"", "0"}:
            import traceback

            traceback.print_exc()
        return _report(error)
    if arguments is None:
        # All that is left ends with the process, which would look through it for garbage once more.
        gc.freeze()
    return code


def _show_version() -> int:
    """Write the version. Here, as it is asked for by scripts, and the commands take longer to import."""
    sys.stdout.write(f"lamin {sys.modules['lamindb'].__version__}\n")
    return 0


def _invoke(words: list[str]) -> int:
    from lamindb.cli.application import invoke

    return invoke(words)


def _report(error: Exception) -> int:
    """Write an error as one line and return its exit code."""
    from lamindb.errors import DatabaseError, InvalidInputError, LaminError, StorageError

    click: Any = sys.modules.get("click")
    if click is not None and isinstance(error, click.Abort):
        return INTERRUPTED
    if click is not None and isinstance(error, click.ClickException):
        say(error.format_message())
        return InvalidInputError.exit_code
    if isinstance(error, LaminError):
        say(str(error))
        return error.exit_code
    if isinstance(error, UnicodeEncodeError):
        say("an argument is not valid UTF-8")
        return InvalidInputError.exit_code
    if isinstance(error, OSError) and error.errno == errno.EBADF and error.filename is None:
        _silence_stdout()
        say("standard output is closed")
        return StorageError.exit_code
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
    """Write one line to standard error."""
    from lamindb.core.text import printable

    line = printable(" ".join(text.split()))
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"lamin: {_lower_start(line)}\n")


def _lower_start(text: str) -> str:
    """Return text with a lower-case start, unless its first word is a name such as `URL` or `PostgreSQL`."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _escape_unencodable() -> None:
    """Write characters that the terminal cannot encode as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _open_standard_streams() -> None:
    """Put something in the place of standard streams that are closed.

    Otherwise the next file that is opened, such as the database, would become the standard output of what we start.
    Writing to the standard output fails as before, since it is open for reading only; messages are dropped.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(descriptor)
                continue
            null = os.open(os.devnull, os.O_WRONLY if descriptor == 2 else os.O_RDONLY)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _silence_stdout() -> None:
    """Redirect standard output to `/dev/null`: the interpreter would report the closed pipe when it flushes."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
