"""Short previews of stored files for a page in one file: text, tables, pictures."""

from __future__ import annotations

import base64
import csv
import io

from lamindb.core.text import printable, size_text
from lamindb.errors import LaminError
from lamindb.exchange.markup import card, code_block, shown, table
from lamindb.exchange.pages import Part
from lamindb.exchange.privacy import Privacy
from lamindb.models import File
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName

_HEAD = 8 << 10
_MOST_PICTURE = 512 << 10
_ROWS, _COLUMNS, _CELL = 20, 12, 80

_TABLES = {".csv": ",", ".tsv": "\t"}
_TEXTS = {
    ".txt",
    ".md",
    ".json",
    ".jsonl",
    ".yaml",
    ".yml",
    ".toml",
    ".py",
    ".r",
    ".sh",
    ".log",
    ".fasta",
    ".fa",
    ".bed",
}
_PICTURES = {
    ".png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    ".jpg": ("image/jpeg", b"\xff\xd8\xff"),
    ".jpeg": ("image/jpeg", b"\xff\xd8\xff"),
    ".gif": ("image/gif", b"GIF8"),
    ".webp": ("image/webp", b"RIFF"),
}


def preview_of(file: File, instance: Instance, privacy: Privacy) -> Part | None:
    """Return the beginning of a text or table, or a small picture; None for other formats, and for damaged files.

    Only files in a local storage are read.
    """
    suffix = file.suffix.lower()
    is_picture = suffix in _PICTURES and file.size <= _MOST_PICTURE
    if file.is_folder or not file.size or not (is_picture or suffix in _TABLES or suffix in _TEXTS):
        return None
    store = instance.open_root(instance.root_of(instance.storage(file.storage_id)))
    if not store.is_local:
        return None
    try:
        with store.open(ObjectName(file.digest, file.suffix)) as stream:
            data = stream.read(_MOST_PICTURE if is_picture else _HEAD)
    except (LaminError, OSError):
        return None
    inner = _picture(suffix, data) if is_picture else _text(suffix, data, privacy)
    if not inner:
        return None
    note = "" if len(data) >= file.size else f"first {size_text(len(data))} of {size_text(file.size)}"
    without = card("Preview", '<p class="pad mute">Left out to keep this file small.</p>')
    return Part("preview", card("Preview", inner, note), without)


def _picture(suffix: str, data: bytes) -> str:
    kind, begins = _PICTURES[suffix]
    if not data.startswith(begins):
        return ""
    coded = base64.b64encode(data).decode("ascii")
    return f'<p class="pad"><img alt="The picture that is stored" src="data:{kind};base64,{coded}"></p>'


def _text(suffix: str, data: bytes, privacy: Privacy) -> str:
    if b"\0" in data:
        return ""
    text = data.decode("utf-8", "replace")
    if len(data) == _HEAD:
        # The last line is cut, and perhaps its last character, too.
        text = text.rpartition("\n")[0] or text[:-1]
    if suffix not in _TABLES:
        return code_block(privacy.lines(text))
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=_TABLES[suffix]))[: _ROWS + 1]
    except csv.Error:
        return code_block(privacy.lines(text))
    cells = [[shown(printable(privacy.clean(cell[:_CELL]))) for cell in row[:_COLUMNS]] for row in rows]
    return table(cells[0], cells[1:], "data") if len(cells) > 1 else code_block(privacy.lines(text))
