"""Where the documents' picture comes from: a folder, the network, or a stand-in made for this library."""

from __future__ import annotations

import hashlib
import os
import threading
from importlib import resources
from pathlib import Path
from typing import Final

from lamindb.core import messages

NAME: Final = "paradisi05_laminopathic_nuclei.jpg"
MD5: Final = "af8b67aa6288fd28eb91d2f3a6e5a9e2"
FOLDER_VARIABLE: Final = "LAMIN_DATASETS_DIR"
ADDRESSES: Final = (
    "https://upload.wikimedia.org/wikipedia/commons/2/28/Laminopathic_nuclei.jpg",
    "https://commons.wikimedia.org/wiki/Special:FilePath/Laminopathic_nuclei.jpg",
)
PATIENCE_SECONDS: Final = 3.0
_MAX_BYTES: Final = 20_000_000


def is_true(content: bytes) -> bool:
    """Tell whether these are the bytes of the picture itself."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == MD5


def from_folder() -> bytes | None:
    """Return the picture from the folder that `LAMIN_DATASETS_DIR` names, if it is there."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    for name in (NAME, "Laminopathic_nuclei.jpg"):
        path = Path(folder).expanduser() / name
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if is_true(content):
            return content
        messages.warning(f"{path} is not the picture that the documents show, and is not used")
    return None


def from_network() -> bytes | None:
    """Return the picture from Wikimedia Commons, or None where that takes longer than three seconds.

    The download runs in a thread of its own, because looking up a host name cannot be told when to give up.
    """
    found: list[bytes] = []
    thread = threading.Thread(target=_download, args=(found,), name="lamindb-download", daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return found[0] if found else None


def stand_in() -> bytes:
    """Return a small generated picture."""
    return resources.files(__package__).joinpath("stand_in.jpg").read_bytes()


def _download(found: list[bytes]) -> None:
    import http.client
    import urllib.error
    import urllib.request

    for address in ADDRESSES:
        request = urllib.request.Request(address, headers={"User-Agent": "lamindb (data sets for documentation)"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                content: bytes = answer.read(_MAX_BYTES)
        except (OSError, ValueError, http.client.HTTPException) as exc:
            messages.debug(f"{address} did not answer: {exc}")
            continue
        if is_true(content):
            found.append(content)
            return
        messages.debug(f"{address} sent another picture")
