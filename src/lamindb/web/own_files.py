"""The style, scripts and icon of the pages: read once, named by their content, and kept by browsers for a year."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blake3 import blake3

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class OwnFile:
    """One file: its bytes, plain and compressed, and its type."""

    name: str
    digest: str
    content_type: str
    data: bytes
    compressed: bytes


class OwnFiles:
    """The files of a folder, by name. A request names one of them; no path is ever made from a request."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[str, OwnFile] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix in _TYPES:
                data = path.read_bytes()
                compressed = gzip.compress(data, mtime=0)
                digest = blake3(data).hexdigest()[:16]
                self._files[path.name] = OwnFile(path.name, digest, _TYPES[path.suffix], data, compressed)

    def path(self, name: str) -> str:
        """Return the path of a file's address, which changes with its content."""
        return f"/static/{self._files[name].digest}/{name}"

    def find(self, digest: str, name: str) -> OwnFile | None:
        """Return a file by the two parts of its address; None if there is none."""
        found = self._files.get(name)
        return found if found is not None and found.digest == digest else None

    def names(self) -> list[str]:
        """Return the names of all files."""
        return list(self._files)
