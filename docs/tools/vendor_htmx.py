"""Fetch htmx, check that it is the known package, and put it beside the pages: `python docs/tools/vendor_htmx.py`.

npm is needed for this only: the file is committed, and building and installing need neither npm nor a network.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

PACKAGE: Final = "htmx.org@2.0.11"
INTEGRITY: Final = "sha512-Thx/WtpeOQqSrqBCw/A1cwGJGg4UrVa3+sW0GmrM3p4gJgO89ecH4qtbnyzDDWFvBTqjnIMCgELTNt636dtamA=="
STATIC: Final = Path(__file__).parents[2] / "src" / "lamindb" / "web" / "static"
FILES: Final = {"package/dist/htmx.min.js": "htmx.min.js", "package/LICENSE": "htmx.LICENSE.txt"}


def integrity_of(data: bytes) -> str:
    """Return the digest of a package as npm writes it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"


def main() -> int:
    """Fetch the package and write its files; return an exit code."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", PACKAGE, "--silent"], cwd=folder, check=True)
        (packed,) = Path(folder).glob("*.tgz")
        data = packed.read_bytes()
    if integrity_of(data) != INTEGRITY:
        print(f"{PACKAGE} is {integrity_of(data)} instead of {INTEGRITY}: nothing was written")
        return 1
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member, name in FILES.items():
            stream = archive.extractfile(member)
            assert stream is not None
            (STATIC / name).write_bytes(stream.read())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
