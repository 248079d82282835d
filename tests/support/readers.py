"""Twenty libraries that read and write files, each with the code that does it: what capture is measured with.

The placeholder `{path}` is a file under a registered root; `prepare` makes it without being watched.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reader:
    """A way to read and to write a file.

    Attributes:
        name: Of the library, as people know it.
        package: What has to be importable.
        suffix: Of its files.
        write: Code that writes `path`.
        read: Code that reads `path`.
    """

    name: str
    package: str
    suffix: str
    write: str
    read: str


_FRAME = "import pandas as pd; df = pd.DataFrame({'a': [1, 2, 3]})"
_ARROW = "import pyarrow as pa; table = pa.table({'a': [1, 2, 3]})"
_POLARS = "import polars as pl; df = pl.DataFrame({'a': [1, 2, 3]})"

READERS = (
    Reader("open()", "io", ".txt", "open(path, 'w').write('x')", "open(path).read()"),
    Reader("pathlib", "pathlib", ".txt", "__import__('pathlib').Path(path).write_text('x')",
           "__import__('pathlib').Path(path).read_text()"),
    Reader("gzip", "gzip", ".txt.gz", "import gzip; gzip.open(path, 'wb').write(b'x')",
           "import gzip; gzip.open(path).read()"),
    Reader("csv", "csv", ".csv", "import csv; csv.writer(open(path, 'w')).writerow([1])",
           "import csv; list(csv.reader(open(path)))"),
    Reader("pickle", "pickle", ".pkl", "import pickle; pickle.dump(1, open(path, 'wb'))",
           "import pickle; pickle.load(open(path, 'rb'))"),
    Reader("shutil.copy", "shutil", ".txt",
           "import shutil, os; open(path + '~', 'w').write('x'); shutil.copy(path + '~', path); os.remove(path + '~')",
           "import shutil, os, tempfile; shutil.copy(path, os.path.join(tempfile.mkdtemp(), 'copy'))"),
    Reader("sqlite3", "sqlite3", ".db",
           "import sqlite3; c = sqlite3.connect(path); c.execute('create table t (a)'); c.commit(); c.close()",
           "import sqlite3; c = sqlite3.connect(path); c.execute('select * from t').fetchall(); c.close()"),
    Reader("numpy", "numpy", ".npy", "import numpy as np; np.save(path, np.arange(3))",
           "import numpy as np; np.load(path)"),
    Reader("numpy.memmap", "numpy", ".npy", "import numpy as np; np.save(path, np.arange(3))",
           "import numpy as np; np.load(path, mmap_mode='r').sum()"),
    Reader("pandas csv", "pandas", ".csv", f"{_FRAME}; df.to_csv(path)", "import pandas as pd; pd.read_csv(path)"),
    Reader("pandas parquet", "pandas", ".parquet", f"{_FRAME}; df.to_parquet(path)",
           "import pandas as pd; pd.read_parquet(path)"),
    Reader("pandas excel", "openpyxl", ".xlsx", f"{_FRAME}; df.to_excel(path)",
           "import pandas as pd; pd.read_excel(path)"),
    Reader("pandas feather", "pandas", ".feather", f"{_FRAME}; df.to_feather(path)",
           "import pandas as pd; pd.read_feather(path)"),
    Reader("pyarrow.parquet", "pyarrow", ".parquet",
           f"{_ARROW}; import pyarrow.parquet as pq; pq.write_table(table, path)",
           "import pyarrow.parquet as pq; pq.read_table(path)"),
    Reader("pyarrow.dataset", "pyarrow", ".parquet",
           f"{_ARROW}; import pyarrow.parquet as pq; pq.write_table(table, path)",
           "import pyarrow.dataset as ds; ds.dataset(path).to_table()"),
    Reader("pyarrow.csv", "pyarrow", ".csv", f"{_ARROW}; import pyarrow.csv as pc; pc.write_csv(table, path)",
           "import pyarrow.csv as pc; pc.read_csv(path)"),
    Reader("h5py", "h5py", ".h5", "import h5py; f = h5py.File(path, 'w'); f['a'] = 1; f.close()",
           "import h5py; f = h5py.File(path); f['a'][()]; f.close()"),
    Reader("anndata", "anndata", ".h5ad",
           "import anndata as ad, numpy as np; ad.AnnData(np.ones((2, 2), dtype='float32')).write_h5ad(path)",
           "import anndata as ad; ad.read_h5ad(path)"),
    Reader("zarr", "zarr", ".zarr",
           "import zarr; g = zarr.open_group(path, mode='w'); g.create_array('a', shape=(3,), dtype='i4')[:] = 1",
           "import zarr; zarr.open_group(path, mode='r')['a'][:]"),
    Reader("polars csv", "polars", ".csv", f"{_POLARS}; df.write_csv(path)", "import polars as pl; pl.read_csv(path)"),
    Reader("polars scan", "polars", ".parquet", f"{_POLARS}; df.lazy().sink_parquet(path)",
           "import polars as pl; pl.scan_parquet(path).collect()"),
    Reader("duckdb read_csv", "duckdb", ".csv", "import duckdb; duckdb.sql('select 1 as a').write_csv(path)",
           "import duckdb; duckdb.read_csv(path).fetchall()"),
    Reader("duckdb SQL", "duckdb", ".parquet",
           "import duckdb; duckdb.sql(f\"copy (select 1 as a) to '{path}' (format parquet)\")",
           "import duckdb; duckdb.sql(f\"select * from '{path}'\").fetchall()"),
    Reader("Pillow", "PIL", ".png", "from PIL import Image; Image.new('RGB', (2, 2)).save(path)",
           "from PIL import Image; Image.open(path).load()"),
    Reader("fsspec", "fsspec", ".txt", "import fsspec; f = fsspec.open(path, 'w').open(); f.write('x'); f.close()",
           "import fsspec; fsspec.open(path).open().read()"),
)  # fmt: skip
