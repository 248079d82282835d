"""What is in a file, as far as it can be shown quickly and safely: drawn from data, or framed without any rights.

Everything is bounded: the bytes that are read, rows, columns, cells and time. Nothing is unpickled. What C libraries
parse is read by a child process with limits of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.utils.safestring import SafeString, mark_safe

from lamindb.errors import IntegrityError, LaminError
from lamindb.files import read
from lamindb.web import highlight
from lamindb.web.previews import child, folder, markdown, notebook, structure, tables
from lamindb.web.previews.refused import RefusedError

if TYPE_CHECKING:
    from lamindb.models import File
    from lamindb.web.site import Site

_log: Final = logging.getLogger("lamindb.web")

_MOST_PICTURE: Final = 20 << 20
_MOST_SVG: Final = 2 << 20
_MOST_PAGE: Final = 20 << 20
_PICTURES: Final = frozenset({"png", "jpg", "jpeg", "gif", "webp"})
_TEXTS: Final = frozenset(
    """
    txt md rst log py r rmd qmd jl sh bash json jsonl ndjson yaml yml toml ini cfg xml sql js ts css c h cpp rs go java
    nf smk wdl tex bib gtf gff gff3 bed vcf fasta fa fastq fq sam patch diff dot mmd
    """.split()
)


def html(site: Site, file: File) -> SafeString:
    """Return what is in a file as a part of a page; a format without a preview has the command that reads it."""
    template, values = _content(file)
    return mark_safe(site.render(f"previews/{template}.html", {"site": site, "file": file, **values}))


def _content(file: File) -> tuple[str, dict[str, Any]]:
    """Return the template of a preview, and what it shows."""
    try:
        return _drawn(file)
    except RefusedError as error:
        return "none", {"why": str(error)}
    except IntegrityError:
        return "none", {"why": "The stored bytes are missing or damaged.", "is_damaged": True}
    except LaminError as error:
        _log.info("no preview of file %s: %s", file.id, error)
        return "none", {"why": "It cannot be read here."}
    except Exception as error:
        # Whatever a parser makes of hostile bytes ends here.
        _log.info("no preview of file %s: %s", file.id, error)
        return "none", {"why": "These bytes are not what the suffix says, or cannot be read."}


def _drawn(file: File) -> tuple[str, dict[str, Any]]:
    suffix = file.suffix.lower().removeprefix(".")
    last = suffix.rpartition(".")[2]
    if file.is_trashed:
        raise RefusedError("It is in the trash.")
    if file.is_folder:
        return "folder", folder.content(file)
    if last in _PICTURES or last == "svg":
        if file.size > (_MOST_SVG if last == "svg" else _MOST_PICTURE):
            raise RefusedError("This picture is too large for a preview.")
        return "picture", {}
    if last in ("html", "htm"):
        if file.size > _MOST_PAGE:
            raise RefusedError("This page is too large for a preview.")
        return "frame", {}
    reader = _READERS.get(suffix) or _READERS.get(last)
    if reader is not None:
        return reader(file)
    if last in _TEXTS or (not last and _is_text(file)):
        return _text(file)
    raise RefusedError("There is no preview of this format.")


def _text(file: File) -> tuple[str, dict[str, Any]]:
    with read.checked_path(file).open("rb") as stream:
        data = stream.read(highlight.MOST_SHOWN)
    text = data.decode("utf-8", "replace")
    if file.suffix.lower() == ".md":
        return "markdown", {"text": markdown.html(text), "is_cut": file.size > len(data)}
    name = f"file{file.suffix or '.txt'}"
    return "text", {"lines": highlight.code(text, name), "is_cut": file.size > len(data)}


def _is_text(file: File) -> bool:
    with read.checked_path(file).open("rb") as stream:
        data = stream.read(1_024)
    return bool(data) and b"\0" not in data


def _table(kind: str) -> Callable[[File], tuple[str, dict[str, Any]]]:
    return lambda file: ("table", tables.content(read.checked_path(file), kind))


def _structure(kind: str) -> Callable[[File], tuple[str, dict[str, Any]]]:
    return lambda file: ("structure", structure.content(read.checked_path(file), kind))


def _notebook(file: File) -> tuple[str, dict[str, Any]]:
    if file.size > notebook.MOST_BYTES:
        raise RefusedError("This notebook is too large for a preview.")
    return "notebook", {"cells": notebook.cells(read.checked_path(file).read_bytes())}


def _drawing(file: File) -> tuple[str, dict[str, Any]]:
    found = child.ask("tiff", read.checked_path(file))
    facts = [(tables.cell(name), tables.cell(value)) for name, value in found["facts"]]
    return "drawing", {"facts": facts, "picture": notebook.picture("image/png", found.get("picture"))}


_READERS: Final[dict[str, Callable[[File], tuple[str, dict[str, Any]]]]] = {
    **{name: _table("csv") for name in ("csv", "csv.gz")},
    **{name: _table("tsv") for name in ("tsv", "tsv.gz", "tab")},
    "parquet": _table("parquet"),
    "feather": _table("feather"),
    "arrow": _table("feather"),
    "h5ad": _structure("hdf5"),
    "h5": _structure("hdf5"),
    "hdf5": _structure("hdf5"),
    "h5mu": _structure("hdf5"),
    "ipynb": _notebook,
    "tif": _drawing,
    "tiff": _drawing,
}
