"""Reads formats of C libraries in a child process with limits, so that hostile bytes harm neither pages nor machine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from lamindb.core.requirements import pip_install
from lamindb.web.previews.refused import RefusedError

_SECONDS: Final = 10
_MOST_MEMORY: Final = 3 << 30
"""Of addresses, not of bytes in use: libraries reserve far more than they use."""
_MOST_ANSWER: Final = 4 << 20
_MOST_ROW_GROUP: Final = 64 << 20
_MOST_ROWS: Final = 100
_MOST_COLUMNS: Final = 50
_MOST_CELL: Final = 200
_MOST_NODES: Final = 300
_MOST_VALUES: Final = 20
_MOST_PIXELS: Final = 50_000_000
_PICTURE_SIDE: Final = 800
_NEEDS: Final = {"parquet": "pyarrow", "feather": "pyarrow", "hdf5": "h5py", "tiff": "PIL"}


def ask(kind: str, path: Path) -> dict[str, Any]:
    """Return what a child process reads from a file.

    Raises:
        RefusedError: The library is not installed, or the file cannot be read within the limits.
    """
    import importlib.util

    if importlib.util.find_spec(_NEEDS[kind]) is None:
        raise RefusedError(f"A preview of this format needs {_NEEDS[kind]}: {pip_install(_NEEDS[kind])}")
    words = [sys.executable, "-I", "-m", "lamindb.web.previews.child", kind, os.fspath(path)]
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "SYSTEMROOT", "LANG")}
    # Each thread of a numerical library would reserve memory of its own.
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=2 * _SECONDS, check=False, env=environment
        )
        found = json.loads(done.stdout) if done.returncode == 0 and len(done.stdout) <= _MOST_ANSWER else None
    except (OSError, subprocess.SubprocessError, ValueError, RecursionError) as error:
        raise RefusedError("It could not be read within the limits of a preview.") from error
    if not isinstance(found, dict):
        raise RefusedError("It could not be read within the limits of a preview.")
    if "refused" in found:
        raise RefusedError(str(found["refused"])[:_MOST_CELL])
    return found


def _limit() -> None:
    """Limit the time and memory of this process, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text[:_MOST_CELL]


def _parquet(path: str) -> dict[str, Any]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    if file.num_row_groups and file.metadata.row_group(0).total_byte_size > _MOST_ROW_GROUP:
        return {"refused": "Its first rows are stored in one piece that is too large for a preview."}
    first = next(file.iter_batches(_MOST_ROWS, columns=names[:_MOST_COLUMNS]), None) if file.num_row_groups else None
    return _arrow(first, file.schema_arrow, file.metadata.num_rows)


def _feather(path: str) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import ipc

    with pa.memory_map(path) as source:
        reader = ipc.open_file(source)
        first = reader.get_batch(0).slice(0, _MOST_ROWS) if reader.num_record_batches else None
        return _arrow(first, reader.schema, first.num_rows if first is not None else 0)


def _arrow(batch: Any, schema: Any, n_rows: int) -> dict[str, Any]:
    shown = list(schema)[:_MOST_COLUMNS]
    columns = [(_short(one.name), _short(str(one.type))) for one in shown]
    values = [batch.column(n).slice(0, _MOST_ROWS).to_pylist() for n in range(len(shown))] if batch is not None else []
    rows = [["" if value is None else _short(value) for value in row] for row in zip(*values, strict=True)]
    return {"columns": columns, "rows": rows, "n_rows": n_rows, "n_columns": len(schema)}


def _hdf5(path: str) -> dict[str, Any]:
    import h5py

    nodes: list[tuple[int, str, str]] = []
    with h5py.File(path, "r") as file:
        is_cut = _walk(file, 0, nodes, h5py)
        facts = list(_anndata_facts(file, h5py))
    return {"facts": facts, "nodes": nodes, "is_cut": is_cut}


def _walk(group: Any, depth: int, nodes: list[tuple[int, str, str]], h5py: Any) -> bool:
    """Add what is in a group; links that lead out of the file are named and not followed."""
    for name in group:
        if len(nodes) >= _MOST_NODES:
            return True
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            nodes.append((depth, _short(name), "a link"))
            continue
        found = group[name]
        if isinstance(found, h5py.Group):
            nodes.append((depth, _short(name), f"group of {len(found):,}"))
            if depth < 5 and _walk(found, depth + 1, nodes, h5py):
                return True
        elif isinstance(found, h5py.Dataset):
            nodes.append((depth, _short(name), f"{' × '.join(map(str, found.shape or ())) or 'one'} {found.dtype}"))
    return False


def _anndata_facts(file: Any, h5py: Any) -> Any:
    """Yield the size of an AnnData table, and the first names of its rows and columns."""
    for axis in ("obs", "var"):
        group = file.get(axis)
        if not isinstance(group, h5py.Group):
            continue
        index = group.attrs.get("_index", "_index")
        names = group.get(index) if isinstance(index, str) else None
        if isinstance(names, h5py.Dataset) and names.ndim == 1 and not names.external:
            first = [
                one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in names[:_MOST_VALUES]
            ]
            yield f"n_{axis}", f"{names.shape[0]:,}"
            yield f"{axis} names", _short(", ".join(first))
        yield f"{axis} columns", _short(", ".join(name for name in group if name != index))


def _tiff(path: str) -> dict[str, Any]:
    """Return the size of a picture and, unless it is very large, a smaller one as PNG."""
    import base64
    import io

    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(path, formats=("TIFF",)) as stored:
        image: Any = stored
        width, height = image.size
        facts = [("Size", f"{width:,} × {height:,}"), ("Pixels", _short(image.mode))]
        if width * height > _MOST_PIXELS:
            return {"facts": [*facts, ("Preview", f"none: it has over {_MOST_PIXELS // 1_000_000} million pixels")]}
        if image.mode.startswith("I;"):
            # Numbers of 16 bits in the other order of bytes, as ImageJ writes them, have no extrema in Pillow.
            image = image.convert("I")
        if image.mode[:1] in ("I", "F"):
            low, high = image.getextrema()
            facts.append(("Values", f"{low:g} to {high:g}"))
            scale = 255 / (high - low) if high > low else 0
            small = image.convert("F").resize(_smaller(width, height)).point(lambda one: one * scale - low * scale)
            small = small.convert("L")
        else:
            small = image.convert("RGB").resize(_smaller(width, height))
    stream = io.BytesIO()
    small.save(stream, "PNG")
    return {"facts": facts, "picture": base64.b64encode(stream.getvalue()).decode("ascii")}


def _smaller(width: int, height: int) -> tuple[int, int]:
    factor = min(1, _PICTURE_SIDE / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def main(words: list[str]) -> None:
    """Read one file and write what is in it to standard output, as JSON."""
    _limit()
    kind, path = words
    found = {"parquet": _parquet, "feather": _feather, "hdf5": _hdf5, "tiff": _tiff}[kind](path)
    os.write(1, json.dumps(found).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
