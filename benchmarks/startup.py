"""Benchmarks of startup: the time until a program, a command or a first query works, and its memory."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from benchmarks.harness import Bench, Result, benchmark

_BARE = "pass"

_FIRST_QUERY = """
import lamindb as ln
assert ln.File.select(key="none").one_or_none() is None
"""

# The least that a program must do for one query with Django: settings, applications, one model.
_PLAIN_DJANGO = """
import sys
from django.apps import apps
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}}, USE_TZ=True
)
apps.populate([])
from django.db import models
class File(models.Model):
    key = models.TextField()
    class Meta:
        app_label = "plain"
        db_table = "file"
assert File.objects.filter(key="none").first() is None
"""


@benchmark("import lamindb, a whole process", bound=4)
def importing(bench: Bench) -> Result:
    """Compare with the start of a bare interpreter."""
    return bench.ratio(bench.python("import lamindb"), bench.python(_BARE), rounds=bench.count(15))


@benchmark("lamin --help, a whole process", bound=10)
def command_help(bench: Bench) -> Result:
    """Compare with the start of a bare interpreter."""
    lamin = Path(sys.executable).with_name("lamin")
    return bench.ratio(bench.process(lamin, "--help"), bench.python(_BARE), rounds=bench.count(15))


@benchmark("import, connect and query, a whole process", bound=1.4)
def first_query(bench: Bench) -> Result:
    """Compare with a program that makes one query with plain Django."""
    folder = _instance_folder(bench)
    plain = _plain_database(bench)
    limit = bench.process(sys.executable, "-c", _PLAIN_DJANGO, plain)
    return bench.ratio(bench.python(_FIRST_QUERY, cwd=folder), limit, rounds=bench.count(15))


# The least that a program must do to record one file with Django: write it durably, and insert its row.
_PLAIN_SAVE = (
    _PLAIN_DJANGO.rpartition("assert")[0]
    + """
import os
from django.db import transaction
with open("b.txt.tmp", "wb") as file:
    file.write(os.urandom(4096))
    file.flush()
    os.fsync(file.fileno())
os.rename("b.txt.tmp", "b.txt")
folder = os.open(".", os.O_RDONLY)
os.fsync(folder)
os.close(folder)
with transaction.atomic():
    File.objects.create(key="b.txt")
"""
)

_TRACKED_SAVE = """
import os
import lamindb as ln
ln.track()
ln.File(os.urandom(4096), key="b.bin").save()
"""

_PLAIN_LIST = (
    _PLAIN_DJANGO.rpartition("assert")[0]
    + """
for file in File.objects.order_by("key")[:10]:
    print(file.key)
"""
)


@benchmark("track, save one file and end, a whole process", bound=1.5)
def tracked_save(bench: Bench) -> Result:
    """Compare with a program that writes the bytes and inserts a row with plain Django, both durably."""
    folder = _instance_folder(bench)
    (folder / "ours.py").write_text(_TRACKED_SAVE)
    plain = _plain_database(bench)
    limit = bench.process(sys.executable, "-c", _PLAIN_SAVE, plain, cwd=bench.fresh_folder())
    return bench.ratio(bench.process(sys.executable, "ours.py", cwd=folder), limit, rounds=bench.count(15))


@benchmark("lamin ls of 10 files, a whole process", bound=1.3)
def listing(bench: Bench) -> Result:
    """Compare with a program that selects 10 rows with plain Django."""
    folder = _instance_folder(bench)
    for number in range(10):
        (folder / f"f{number}.txt").write_text(f"{number}")
    lamin = Path(sys.executable).with_name("lamin")
    bench.process(lamin, "save", *sorted(folder.glob("*.txt")), cwd=folder)()
    plain = _plain_database(bench)
    with sqlite3.connect(plain) as connection:
        connection.executemany("INSERT INTO file (key) VALUES (?)", [(f"f{number}.txt",) for number in range(10)])
    connection.close()
    limit = bench.process(sys.executable, "-c", _PLAIN_LIST, plain)
    return bench.ratio(bench.process(lamin, "ls", cwd=folder), limit, rounds=bench.count(15))


@benchmark("lamin --version, a whole process", bound=3)
def version(bench: Bench) -> Result:
    """Compare with the start of a bare interpreter."""
    lamin = Path(sys.executable).with_name("lamin")
    return bench.ratio(bench.process(lamin, "--version"), bench.python(_BARE), rounds=bench.count(15))


@benchmark("memory of import, connect and query", bound=60)
def memory(bench: Bench) -> Result:
    """Return the peak of a process in MB."""
    return bench.peak_memory(_FIRST_QUERY, cwd=_instance_folder(bench))


def _instance_folder(bench: Bench) -> Path:
    folder = bench.fresh_folder()
    bench.process(Path(sys.executable).with_name("lamin"), "init", "--storage", "./mydata", cwd=folder)()
    return folder


def _plain_database(bench: Bench) -> Path:
    path = bench.fresh_folder() / "plain.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE file (id INTEGER PRIMARY KEY, key TEXT)")
    connection.close()
    return path
