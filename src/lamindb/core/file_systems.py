"""What kind of file system a path lies on."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_NETWORK: Final = (
    "nfs", "cifs", "smb", "9p", "afs", "ceph", "fuse.ceph", "lustre", "glusterfs", "fuse.glusterfs", "beegfs", "gpfs",
    "fuse.sshfs",
)  # fmt: skip


def kind_of(path: str | Path) -> str:
    """Return the system's word for the file system that holds a path, such as `ext4`; empty where it does not tell."""
    try:
        device = os.stat(path).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            mounts = [_mount(line) for line in stream]
    except (OSError, ValueError, IndexError):
        return ""
    mark = f"{os.major(device)}:{os.minor(device)}"
    for number, _, kind in mounts:
        if number == mark:
            return kind
    # Some file systems give their files other device numbers than their mounts have: the deepest folder counts then.
    folders = {Path(point): kind for _, point, kind in mounts}
    wanted = Path(path).resolve()
    return next((folders[folder] for folder in (wanted, *wanted.parents) if folder in folders), "")


def _mount(line: str) -> tuple[str, str, str]:
    """Return device number, folder and kind of a mount."""
    fields = line.split(" ")
    folder = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
    return fields[2], folder, fields[fields.index("-") + 1]


def is_network(kind: str) -> bool:
    """Tell whether files on such a file system lie on another machine."""
    return kind.startswith(_NETWORK)
