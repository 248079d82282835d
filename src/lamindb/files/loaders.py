"""From a stored file to an object in memory, and back: loaders by suffix, and serialisers for tables and AnnData.

Loaders are found through the entry-point group `lamindb.loaders`, where a package names a suffix without its first
dot (`csv`, `csv.gz`) and a function that takes a local path. The loaders of this module are registered in the same
way. A loader reads; it never writes beside the file, which may be the stored object itself.

Writers of other classes are found through the group `lamindb.writers`, where a package names a class and a suffix
(`plates.Plate:wells`) and a function that takes an object.
"""

from __future__ import annotations

import functools
import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lamindb.core.requirements import pip_install
from lamindb.errors import InvalidInputError, InvalidTypeError, LaminError, StorageError, UnsupportedError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Loader = Callable[[Path], Any]
Writer = Callable[[Any], bytes | Path]
_L = TypeVar("_L", bound=Loader)
_W = TypeVar("_W", bound=Writer)

GROUP: Final = "lamindb.loaders"
WRITERS: Final = "lamindb.writers"

_registered: dict[str | tuple[str, type], Any] = {}
"""Loaders of this process by suffix, and its writers by suffix and class."""


def load(path: Path, suffix: str, *, trust: bool = False) -> Any:
    """Read a local file or folder into memory, by the loader of its suffix.

    The longest suffix that has a loader decides: of `.csv.gz`, first `csv.gz`, then `gz`. The file is never changed.

    Args:
        path: Where the bytes are.
        suffix: What they are, such as `.parquet`; the path's own name may say something else.
        trust: Allow formats that can run code when they are read (pickle).

    Returns:
        The object, or the path itself where no loader knows the suffix, or only one for files and this is a folder.

    Raises:
        UnsupportedError: The loader needs a package that is not installed; the message says which.
        InvalidInputError: The bytes are not what the suffix says, or are a pickle and `trust` is False.
        StorageError: The file cannot be read.
    """
    found = _find(suffix)
    if found is None:
        return path
    name, loader = found
    if loader is load_pickle and not trust:
        raise InvalidInputError(
            f"{path.name} is a pickle, which can run any code when it is read: pass trust=True if you trust its maker"
        )
    if path.is_dir() and loader.__module__ == __name__ and loader not in _OF_FOLDERS:
        # Some programs write a folder `x.csv` of parts, which the library for that format cannot read.
        return path
    with _translated(f"loading {path.name} as .{name}"):
        return loader(path)


def backed(path: Path, suffix: str) -> Any:
    """Open a file so that parts of it are read when they are asked for: AnnData, HDF5 or zarr.

    Raises:
        UnsupportedError: The library that reads it is not installed.
        InvalidInputError: The bytes are not what the suffix says.
    """
    with _translated(f"opening {path.name}"):
        if suffix == ".h5ad":
            import anndata

            return anndata.read_h5ad(path, backed="r")
        if suffix in {".h5", ".hdf5"}:
            return load_hdf5(path)
        import zarr

        return zarr.open(str(path), mode="r")


def register_loader(suffix: str) -> Callable[[_L], _L]:
    """Make a function the loader of a suffix in this process; it comes before installed ones.

    Examples:
        >>> @register_loader(".fragments")
        ... def load_fragments(path):
        ...     return path.read_text().splitlines()
    """
    name = _suffix_name(suffix)

    def register(loader: _L) -> _L:
        _registered[name] = loader
        return loader

    return register


def register_writer(suffix: str, cls: type) -> Callable[[_W], _W]:
    """Make a function the writer of objects of a class in this process: it takes an object, and returns its bytes.

    Of several writers for a class, the suffix of the key, or `format=`, chooses; else the first counts.

    Examples:
        >>> @register_writer(".wells", Plate)
        ... def write_wells(plate):
        ...     return plate.to_text().encode()
    """
    name = _suffix_name(suffix)
    if not isinstance(cls, type):
        raise InvalidTypeError(f"a writer is for a class, not for a {type(cls).__name__}")

    def register(writer: _W) -> _W:
        _registered[name, cls] = writer
        return writer

    return register


def _suffix_name(suffix: str) -> str:
    name = suffix.lower().removeprefix(".")
    if not name or "/" in name:
        raise InvalidInputError(f"a suffix must look like '.csv' or '.csv.gz', not {suffix!r}")
    return name


def in_memory_kind(data: object) -> str | None:
    """Return which kind of object can be stored from memory, such as "table"; None for any other. Imports nothing."""
    for kind, (module, name, _) in _KINDS.items():
        cls = getattr(sys.modules.get(module), name, None)
        if cls is not None and isinstance(data, cls):
            return kind
    return type(data).__name__ if _own_writers(data) else None


def _own_writers(data: object) -> dict[str, Writer]:
    """Return the writers that are not ours for an object, by suffix: those of this process, then those of packages."""
    found: dict[str, Writer] = {
        name[0]: writer for name, writer in _registered.items() if isinstance(name, tuple) and isinstance(data, name[1])
    }
    for (module, name, suffix), point in _installed_writers().items():
        cls = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type) and isinstance(data, cls):
            found.setdefault(suffix, functools.partial(_write_by, point))
    return found


def _write_by(point: EntryPoint, data: object) -> bytes | Path:
    content: bytes | Path = point.load()(data)
    return content


def is_written(suffix: str) -> bool:
    """Return True if objects in memory can be written with a suffix such as `.csv`."""
    name = suffix.lower().removeprefix(".")
    own = {key[0] for key in _registered if isinstance(key, tuple)} | {key[2] for key in _installed_writers()}
    return name in own or any(name in writers for _, _, writers in _KINDS.values())


def is_read(suffix: str) -> bool:
    """Return True if a loader knows a suffix; it is not imported."""
    return any(name in _registered or name in _installed() for name in _endings(suffix.lower().removeprefix(".")))


def to_bytes(data: object, format: str | None = None) -> tuple[bytes | Path, str]:
    """Turn an object in memory into what is stored, leaving it as it is.

    A table's index and column types survive the way through parquet; csv keeps only what text can.

    Args:
        data: A table of pandas, polars or pyarrow, an AnnData, a numpy array, a matplotlib figure, a dict or list, or
            an object of a class that has a writer.
        format: `parquet` (default), `csv` or `tsv` for a table, `h5ad` (default) or `zarr` for an AnnData, `npy` for an
            array, `png` (default), `svg` or `pdf` for a figure. `json` for a dict or list has to be said.

    Returns:
        The bytes, or for an AnnData the path of a file or folder that stands alone in a new temporary folder,
        which the caller removes (`path.parent`); and the suffix.

    Raises:
        InvalidTypeError: The object is nothing of that.
        InvalidInputError: The format is unknown, or cannot hold this object. Nothing is left behind.
        UnsupportedError: The format needs a package that is not installed.
    """
    kind = in_memory_kind(data)
    shown = type(data).__name__
    if kind is None:
        raise InvalidTypeError(f"a {shown} cannot be saved from memory, as a table, an array, an AnnData or a dict can")
    writers = {**_own_writers(data), **(_KINDS[kind][2] if kind in _KINDS else {})}
    if format is None and kind in _SAID:
        raise InvalidInputError(
            f"a {shown} is stored as JSON where that is said: by a key ending in .json, or format='json'"
        )
    chosen = (format or next(iter(writers))).lower().removeprefix(".")
    if chosen not in writers:
        formats = " or ".join(writers)
        raise InvalidInputError(
            f"{shown} is saved as {formats}, not as {format!r}: give the key such a suffix, or pass format="
        )
    with _translated(f"writing {shown} as .{chosen}"):
        content = writers[chosen](data)
        if not isinstance(content, (bytes, Path)):
            raise InvalidTypeError(f"the writer of .{chosen} must return bytes, not {type(content).__name__}")
        return content, f".{chosen}"


def load_arrow(path: Path) -> Any:
    """Read an Arrow IPC file or stream into a `pyarrow.Table`."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as source:
        try:
            return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_stream(source).read_all()


def load_alignments(path: Path) -> Any:
    """Open BAM, SAM or CRAM as a `pysam.AlignmentFile`."""
    import pysam

    return pysam.AlignmentFile(str(path), check_sq=False)


def load_csv(path: Path) -> Any:
    """Read comma-separated values, compressed or not, into a DataFrame."""
    import pandas as pd

    return pd.read_csv(path)


def load_excel(path: Path) -> Any:
    """Read the first sheet of a workbook into a DataFrame."""
    # Imported by name, so that what is missing can be named.
    import openpyxl  # noqa: F401
    import pandas as pd

    return pd.read_excel(path, engine="openpyxl")


def load_fasta(path: Path) -> Any:
    """Open FASTA, compressed or not, as a reader of sequence records."""
    import dnaio

    return dnaio.open(path, fileformat="fasta")


def load_feather(path: Path) -> Any:
    """Read Feather into a DataFrame."""
    import pandas as pd
    import pyarrow  # noqa: F401

    return pd.read_feather(path)


def load_h5ad(path: Path) -> Any:
    """Read an h5ad file into an AnnData."""
    import anndata

    return anndata.read_h5ad(path)


def load_hdf5(path: Path) -> Any:
    """Open HDF5, read-only, as an `h5py.File`."""
    import h5py

    return h5py.File(path, "r")


def load_image(path: Path) -> Any:
    """Read a picture into a `PIL.Image`."""
    from PIL import Image

    with Image.open(path) as image:
        image.load()
        return image


def load_json(path: Path) -> Any:
    """Read JSON into dicts and lists."""
    import json

    return json.loads(path.read_bytes())


def load_jsonl(path: Path) -> Any:
    """Read JSON lines into a DataFrame."""
    import pandas as pd

    return pd.read_json(path, lines=True)


def load_numpy(path: Path) -> Any:
    """Read `.npy` into an array, `.npz` into a dict of arrays; pickled content is refused."""
    import numpy as np

    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return found
    with found:
        return dict(found)


def load_parquet(path: Path) -> Any:
    """Read parquet into a DataFrame, with its index."""
    import pandas as pd
    import pyarrow  # noqa: F401

    return pd.read_parquet(path)


def load_pickle(path: Path) -> Any:
    """Unpickle; `load` comes here only for callers that trust the file."""
    import pickle

    return pickle.loads(path.read_bytes())


def load_text(path: Path) -> str:
    """Read UTF-8 text."""
    return path.read_text(encoding="utf-8-sig")


def load_tsv(path: Path) -> Any:
    """Read tab-separated values, compressed or not, into a DataFrame."""
    import pandas as pd

    return pd.read_csv(path, sep="\t")


def load_variants(path: Path) -> Any:
    """Open VCF or BCF, compressed or not, as a `pysam.VariantFile`."""
    import pysam

    return pysam.VariantFile(str(path))


def load_yaml(path: Path) -> Any:
    """Read YAML into dicts and lists; tags that would make other objects are refused."""
    import yaml

    return yaml.safe_load(path.read_bytes())


def load_zarr(path: Path) -> Any:
    """Read an AnnData from a zarr folder that holds one; open any other as a read-only array or group."""
    import zarr

    node = zarr.open(str(path), mode="r")
    if node.attrs.get("encoding-type") != "anndata":
        return node
    import anndata

    return anndata.read_zarr(str(path))


_OF_FOLDERS: Final = (load_parquet, load_zarr)
"""Our loaders that read folders, too."""


def _find(suffix: str) -> tuple[str, Loader] | None:
    for name in _endings(suffix.lower().removeprefix(".")):
        if name in _registered:
            return name, _registered[name]
        if name in _installed():
            with _translated(f"finding the loader of .{name}"):
                return name, _installed()[name].load()
    return None


def _endings(name: str) -> Iterator[str]:
    """Yield a suffix and its shorter endings: of `csv.gz`, first itself, then `gz`."""
    parts = name.split(".")
    for start in range(len(parts)):
        yield ".".join(parts[start:])


@functools.cache
def _installed() -> Mapping[str, EntryPoint]:
    """Return the loaders of installed packages; another package's comes before ours, as it was installed for that."""
    from importlib.metadata import entry_points

    ordered = sorted(entry_points(group=GROUP), key=lambda found: (found.module != __name__, found.value))
    return {found.name.lower().removeprefix("."): found for found in ordered}


@functools.cache
def _installed_writers() -> Mapping[tuple[str, str, str], EntryPoint]:
    """Return the writers of installed packages, by module, class and suffix; one with another name is left out."""
    from importlib.metadata import entry_points

    found = {}
    for point in sorted(entry_points(group=WRITERS), key=lambda point: point.value):
        path, _, suffix = point.name.partition(":")
        module, _, name = path.strip().rpartition(".")
        suffix = suffix.strip().lower().removeprefix(".")
        if module and name and suffix:
            found[module, name, suffix] = point
    return found


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn what a format's library raises, which may be anything, into errors that say what was being done."""
    try:
        with _warnings_as_warnings():
            yield
    except (LaminError, MemoryError):
        raise
    except ImportError as exc:
        advice = f": {pip_install(exc.name)}" if exc.name else ""
        raise UnsupportedError(f"{doing} needs {exc.name or exc}{advice}") from exc
    except Exception as exc:
        cause = " ".join(str(exc).split()) or type(exc).__name__
        if isinstance(exc, OSError) and exc.errno is not None:
            raise StorageError(f"{doing} failed: {cause}") from exc
        raise InvalidInputError(f"{doing} failed, the content does not fit the format: {cause}") from exc


@contextmanager
def _warnings_as_warnings() -> Iterator[None]:
    """Show what the format's library warns of where the program makes warnings errors: it cannot act on these."""
    if not any(action == "error" for action, *_ in warnings.filters):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


def _table_to_parquet(data: Any) -> bytes:
    import pyarrow  # noqa: F401

    buffer = io.BytesIO()
    data.to_parquet(buffer, engine="pyarrow")
    return buffer.getvalue()


def _table_to_csv(data: Any, separator: str = ",") -> bytes:
    import pandas as pd

    unnamed_rows = isinstance(data.index, pd.RangeIndex) and data.index.name is None
    text: str = data.to_csv(sep=separator, index=not unnamed_rows, lineterminator="\n")
    return text.encode()


def _anndata_to_h5ad(data: Any) -> Path:
    return _in_new_folder("data.h5ad", lambda path: data.write_h5ad(path, convert_strings_to_categoricals=False))


def _anndata_to_zarr(data: Any) -> Path:
    import anndata
    import zarr  # noqa: F401

    # The format is said outright, because its default differs between versions and the same data should give the
    # same bytes; what anndata has to say about its future defaults is nothing that the user could act on.
    with anndata.settings.override(zarr_write_format=3), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return _in_new_folder("data.zarr", lambda path: data.write_zarr(path, convert_strings_to_categoricals=False))


def _in_new_folder(name: str, write: Callable[[Path], object]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lamindb-"))
    try:
        write(folder / name)
    except BaseException:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder / name


def _json(data: Any) -> bytes:
    import json

    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _array(data: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, data, allow_pickle=False)
    return buffer.getvalue()


def _figure(data: Any, format: str, **metadata: None) -> bytes:
    matplotlib: Any = sys.modules["matplotlib"]
    buffer = io.BytesIO()
    # Without times and random names, so that the same figure gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "lamindb"}):
        data.savefig(buffer, format=format, metadata=metadata)
    return buffer.getvalue()


def _polars(data: Any, format: str, **options: str) -> bytes:
    buffer = io.BytesIO()
    getattr(data, f"write_{format}")(buffer, **options)
    return buffer.getvalue()


def _arrow_to_parquet(data: Any) -> bytes:
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(data, buffer)
    return buffer.getvalue()


def _arrow_to_csv(data: Any, separator: str = ",") -> bytes:
    import pyarrow.csv

    buffer = io.BytesIO()
    pyarrow.csv.write_csv(data, buffer, pyarrow.csv.WriteOptions(delimiter=separator))
    return buffer.getvalue()


_KINDS: Final[Mapping[str, tuple[str, str, Mapping[str, Writer]]]] = {
    "table": (
        "pandas",
        "DataFrame",
        {"parquet": _table_to_parquet, "csv": _table_to_csv, "tsv": lambda data: _table_to_csv(data, "\t")},
    ),
    "anndata": ("anndata", "AnnData", {"h5ad": _anndata_to_h5ad, "zarr": _anndata_to_zarr}),
    "polars": (
        "polars",
        "DataFrame",
        {
            "parquet": lambda data: _polars(data, "parquet"),
            "csv": lambda data: _polars(data, "csv"),
            "tsv": lambda data: _polars(data, "csv", separator="\t"),
        },
    ),
    "arrow": (
        "pyarrow",
        "Table",
        {"parquet": _arrow_to_parquet, "csv": _arrow_to_csv, "tsv": lambda data: _arrow_to_csv(data, "\t")},
    ),
    "array": ("numpy", "ndarray", {"npy": _array}),
    "figure": (
        "matplotlib.figure",
        "Figure",
        {
            "png": lambda data: _figure(data, "png"),
            "svg": lambda data: _figure(data, "svg", Date=None),
            "pdf": lambda data: _figure(data, "pdf", CreationDate=None),
        },
    ),
    "dict": ("builtins", "dict", {"json": _json}),
    "list": ("builtins", "list", {"json": _json}),
}
"""What can be stored from memory: module and name of the class, and the writers by format, the first by default."""

_SAID: Final = ("dict", "list")
"""Kinds of which no format is taken for granted."""
