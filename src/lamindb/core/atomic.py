"""Small files that are either the old or the new text, never half of each."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_text(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace the text of a file in one step: written beside it, flushed, renamed.

    Args:
        path: The file; its folder must exist.
        text: The new content, stored as UTF-8.
        mode: Permissions of the new file, narrowed by the umask.

    Raises:
        OSError: The disk failed or is full. The file is as it was, and nothing is left beside it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
