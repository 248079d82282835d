"""Files that any process opens below some folders, by inotify: a check of what the other layers saw.

The system does not report which process opened a file. Linux only; elsewhere, and where the system's limits are
reached, the watch is incomplete.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence
from typing import Final

from lamindb.core import messages

_OPEN: Final = 0x20
_CLOSE_WRITE: Final = 0x08
_ONLY_FOLDERS: Final = 0x01000000
_OVERFLOW: Final = 0x4000
_IS_FOLDER: Final = 0x40000000
_NON_BLOCKING: Final = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_EVENT: Final = struct.Struct("iIII")
_MOST_FOLDERS: Final = 1000


class Notice:
    """Files that were opened below folders since this was made."""

    def __init__(self, roots: Sequence[str], *, without: str) -> None:
        """Begin to watch folders and those in them.

        Args:
            roots: The folders.
            without: The name of folders that are passed over.
        """
        self.is_complete = True
        self._names: dict[int, str] = {}
        self._descriptor = -1
        if not sys.platform.startswith("linux"):
            self.is_complete = False
            return
        try:
            library = ctypes.CDLL(None, use_errno=True)
            self._descriptor = library.inotify_init1(_NON_BLOCKING)
            for root in roots:
                self._add(library, root, without)
        except (OSError, AttributeError) as error:
            messages.debug(f"inotify is not available: {error}")
            self.is_complete = False
        self.is_complete = self.is_complete and self._descriptor >= 0

    def _add(self, library: ctypes.CDLL, root: str, without: str) -> None:
        for folder, below, _ in os.walk(root):
            below[:] = [name for name in below if name != without]
            if len(self._names) >= _MOST_FOLDERS:
                self.is_complete = False
                return
            mask = _OPEN | _CLOSE_WRITE | _ONLY_FOLDERS
            number = library.inotify_add_watch(self._descriptor, os.fsencode(folder), mask)
            if number < 0:
                self.is_complete = False
                return
            self._names[number] = folder

    def stop(self) -> tuple[set[str], set[str]]:
        """End the watch; returns the files that were opened, and those of them that were closed after writing."""
        opened: set[str] = set()
        written: set[str] = set()
        if self._descriptor < 0:
            return opened, written
        try:
            while True:
                try:
                    data = os.read(self._descriptor, 1024 * 1024)
                except BlockingIOError:
                    break
                self._parse(data, opened, written)
        except OSError as error:
            messages.debug(f"inotify failed: {error}")
            self.is_complete = False
        finally:
            os.close(self._descriptor)
            self._descriptor = -1
        return opened, written

    def _parse(self, data: bytes, opened: set[str], written: set[str]) -> None:
        position = 0
        while position + _EVENT.size <= len(data):
            number, mask, _, length = _EVENT.unpack_from(data, position)
            name = data[position + _EVENT.size : position + _EVENT.size + length].rstrip(b"\0")
            position += _EVENT.size + length
            if mask & _OVERFLOW:
                self.is_complete = False
            folder = self._names.get(number)
            if folder is None or mask & _IS_FOLDER or not name:
                continue
            path = os.path.join(folder, os.fsdecode(name))
            opened.add(path)
            if mask & _CLOSE_WRITE:
                written.add(path)
