"""A notebook as cells: code with colours, Markdown and results as text, pictures as they are; no HTML of its own."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from lamindb.web import highlight
from lamindb.web.previews import markdown
from lamindb.web.previews.refused import RefusedError

MOST_BYTES: Final = 10 << 20
_MOST_CELLS: Final = 500
_MOST_OUTPUTS: Final = 20
_MOST_TEXT: Final = 20_000
_MOST_PICTURE: Final = 4 << 20
_PICTURES: Final = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


def cells(data: bytes, *, with_outputs: bool = True) -> list[dict[str, Any]]:
    """Return the cells of a notebook: `kind`, `number`, `lines` of code or `text`, and `outputs`.

    Raises:
        RefusedError: It is no notebook.
    """
    try:
        found = json.loads(data)
        listed = found["cells"]
        suffix = _suffix(found)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedError("It cannot be read as a notebook.") from error
    if not isinstance(listed, list):
        raise RefusedError("It cannot be read as a notebook.")
    return [_cell(one, suffix, with_outputs=with_outputs) for one in listed[:_MOST_CELLS] if isinstance(one, dict)]


def _suffix(found: Any) -> str:
    info = found.get("metadata", {}).get("language_info", {})
    suffix = info.get("file_extension", ".py") if isinstance(info, dict) else ".py"
    return suffix if isinstance(suffix, str) and len(suffix) < 10 and suffix.startswith(".") else ".py"


def _cell(cell: dict[str, Any], suffix: str, *, with_outputs: bool) -> dict[str, Any]:
    text = _joined(cell.get("source"))
    is_code = cell.get("cell_type") == "code"
    number = cell.get("execution_count")
    return {
        "kind": "code" if is_code else "text",
        "number": number if isinstance(number, int) else None,
        "lines": highlight.code(text, f"cell{suffix}") if is_code else "",
        "text": "" if is_code else markdown.html(text) if cell.get("cell_type") == "markdown" else _plain(text),
        "outputs": list(_outputs(cell.get("outputs"))) if is_code and with_outputs else [],
    }


def _plain(text: str) -> SafeString:
    return format_html('<pre class="words">{}</pre>', highlight.shown_text(text))


def _joined(value: Any) -> str:
    parts = value if isinstance(value, list) else [value]
    return "".join(part for part in parts if isinstance(part, str))[:_MOST_TEXT]


def _outputs(found: Any) -> Iterator[dict[str, str]]:
    for one in found[:_MOST_OUTPUTS] if isinstance(found, list) else []:
        if not isinstance(one, dict):
            continue
        if one.get("output_type") == "stream":
            yield {"text": highlight.shown_text(_joined(one.get("text")))}
        elif one.get("output_type") == "error":
            yield {"text": highlight.shown_text("\n".join(_joined(line) for line in _listed(one.get("traceback"))))}
        else:
            data = one.get("data")
            yield _shown(data if isinstance(data, dict) else {})


def _listed(value: Any) -> list[Any]:
    return value[:200] if isinstance(value, list) else []


def _shown(data: dict[str, Any]) -> dict[str, str]:
    """Return the form of a result that is safe: a picture, or text; its HTML is named and not shown."""
    for kind in _PICTURES:
        if (found := picture(kind, data.get(kind))) is not None:
            return {"picture": found}
    if "text/plain" in data:
        return {"text": highlight.shown_text(_joined(data["text/plain"]))}
    return {"note": "A result in HTML is not shown here." if "text/html" in data else "This result is not shown here."}


def picture(kind: str, given: Any) -> str | None:
    """Return a picture in base 64 as an address of its bytes; None if it is not one of this kind, or too large."""
    text = "".join(part for part in (given if isinstance(given, list) else [given]) if isinstance(part, str))
    try:
        data = base64.b64decode("".join(text.split()), validate=True) if len(text) < _MOST_PICTURE else b""
    except binascii.Error:
        return None
    return f"data:{kind};base64,{base64.b64encode(data).decode()}" if data.startswith(_PICTURES[kind]) else None
