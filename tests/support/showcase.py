"""A project with one of everything that pages show, made in this process; and names that try to break a page."""

from __future__ import annotations

import datetime
import io
import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import lamindb as ln
from lamindb.core import context, processes
from lamindb.db import database as databases
from lamindb.models import Run, User
from lamindb.models.base import now
from lamindb.runs import metadata

SOURCE = '''\
"""Fit a classifier to four batches, drawn by the seed."""
import lamindb as ln

run = ln.track(params={"lr": lr, "depth": depth, "seed": seed})
# four batches, drawn by the seed
frames = [ln.File.select(key=key).one().load() for key in keys]
model = fit(pd.concat(frames), lr=lr, depth=depth)
ln.File(model.to_bytes(), key=f"models/run{seed}.bin").save()
ln.finish()
'''
PATCH = """\
diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -6,3 +6,3 @@
 frames = [ln.File.select(key=key).one().load() for key in keys]
-model = fit(pd.concat(frames), lr=0.1, depth=depth)
+model = fit(pd.concat(frames), lr=lr, depth=depth)
"""
LOG = "".join(f"epoch {n:3d}  loss {1 / (n + 1):.4f}\n" for n in range(60)) + "saved models/run3.bin\n"
PACKAGES = "anndata==0.12.1\nnumpy==2.3.5\npandas==3.0.1\npyarrow==22.0.0\nscikit-learn==1.8.0\n"
ERROR = """\
Traceback (most recent call last):
  File "report.py", line 12, in <module>
    table = table.loc[:, "signal"]
KeyError: 'signal'
"""
REPORT = "<!doctype html><title>Report</title><h1>Training report</h1><p>Loss fell from 1.0 to 0.016.</p>"

HOSTILE = (
    "<img src=x onerror=alert(1)>.csv",
    '"><svg onload=alert(1)>',
    "</script><script>document.title='owned'</script>",
    "{{7*7}}{% debug %}",
    "javascript:alert(1)",
    "a\u202egnp.exe",
    "'; DROP TABLE lamindb_file; --",
    "<style>*{display:none}</style>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "&lt;b&gt; & \" ' `",
    "-->]]><!--",
    "hx-get=/x hx-trigger=load",
    "\u0645\u0631\u062d\u0628\u0627.csv",
    "very-" + "long-" * 60 + "name.csv",
    "unbroken" * 40,
    "🧬\u200dzero\u200bwidth",
)


@dataclass
class Showcase:
    """What was made: records by a short name."""

    files: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Any] = field(default_factory=dict)
    transforms: dict[str, Any] = field(default_factory=dict)


def png(width: int = 320, height: int = 200) -> bytes:
    """Return a picture: a smooth gradient."""
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 160)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def notebook(*sources: str) -> bytes:
    """Return a notebook with a heading, code and results of several kinds."""
    code = [
        {
            "cell_type": "code",
            "execution_count": n + 1,
            "metadata": {},
            "source": source,
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["fitted 4 batches\n"]},
                {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<b onclick=alert(1)>bold</b>"}},
            ],
        }
        for n, source in enumerate(sources)
    ]
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Umap of batch 7\nBy cluster."},
        *code,
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def table(rows: int = 40) -> bytes:
    """Return a table as CSV."""
    return ("cell,cluster,signal\n" + "".join(f"c{n},{n % 5},{n * 1.7:.2f}\n" for n in range(rows))).encode()


def parquet(rows: int = 200) -> bytes:
    """Return a table as Parquet."""
    import pandas as pd

    stream = io.BytesIO()
    frame = pd.DataFrame({"cell": [f"c{n}" for n in range(rows)], "signal": [n * 0.5 for n in range(rows)]})
    frame.to_parquet(stream)
    return stream.getvalue()


def make_run(
    transform: Any, *, inputs: Any = (), status: str | None = "completed", minutes: int = 1, **fields: Any
) -> Any:
    """Save a run with a status, times and, by `source=`, `log=`, `patch=`, `packages=`, `report=`, what it kept."""
    stored = {
        "source": ("source_digest", ".py"),
        "log": ("log_digest", ".log"),
        "patch": ("diff_digest", ".patch"),
        "packages": ("environment_digest", ".txt"),
        "report": ("report_digest", ".html"),
    }
    data = {stored[name][0]: (fields.pop(name).encode(), stored[name][1]) for name in list(fields) if name in stored}
    params = fields.pop("params", None)
    name = fields.pop("name", None)
    parent = fields.pop("parent", None)
    run = ln.Run(transform=transform, inputs=list(inputs), params=params, name=name, parent=parent).save()
    instance = context.instance()
    values = metadata.kept(instance, data)
    started = run.created_at
    values |= {"status": status, "started_at": started} | fields
    if status in ("completed", "failed", "aborted"):
        values["finished_at"] = started + datetime.timedelta(minutes=minutes, seconds=12)
    Run.objects.using(run.alias).filter(id=run.id).order_by().update_rows(values)
    run.refresh_from_db()
    return run


def make() -> Showcase:
    """Make the project in the current instance."""
    made = Showcase()
    sequencer = ln.Transform("sequencer", type="instrument").save()
    merge = ln.Transform("merge batch", type="script", reference="merge.py").save()
    train = ln.Transform("train classifier", type="notebook", reference="train.ipynb").save()
    report = ln.Transform("report", type="script", reference="report.py").save()
    made.transforms |= {"sequencer": sequencer, "merge": merge, "train": train, "report": report}
    machine = make_run(sequencer, status=None)
    raw = [ln.File(table(40 + n), key=f"raw/batch{n}/sample0.csv", run=machine).save() for n in range(4)]
    merged = []
    for n, file in enumerate(raw):
        run = make_run(merge, inputs=[file], params={"batch": n}, source="import pandas\n", packages=PACKAGES)
        merged.append(ln.File(parquet(100 + n), key=f"merged/batch{n}.parquet", run=run).save())
        made.runs[f"merge{n}"] = run
    common = {
        "source": SOURCE,
        "packages": PACKAGES,
        "git_commit": "a48dd75" + "0" * 33,
        "git_repository": "https://git.example/analysis",
        "git_is_dirty": True,
        "python_version": "3.11.7",
        "host": "gpu-04",
        "exit_code": 0,
        "revision": 1,
    }
    params = {"lr": 0.01, "depth": 7, "seed": 3}
    first = make_run(train, inputs=merged, params={**params, "seed": 2}, log=LOG, **common)
    second = make_run(train, inputs=merged, params=params, log=LOG, patch=PATCH, report=REPORT, **common)
    made.runs |= {"train2": first, "train": second}
    made.files["model"] = ln.File(b"\0model" * 50, key="models/run3.bin", run=second).save()
    made.files["metrics"] = ln.File(b"epoch,loss\n1,0.5\n2,0.25\n", key="metrics/run3.csv", run=second).save()
    made.files["metrics2"] = ln.File(b"epoch,loss\n1,0.5\n2,0.35\n", key="metrics/run3.csv", run=first).save()
    made.files["figure"] = ln.File(png(), key="figures/umap-batch7.png", run=second, description="By cluster").save()
    made.files["notebook"] = ln.File(notebook(SOURCE), key="notebooks/umap.ipynb").save()
    made.files["summary"] = ln.File(
        b"# Summary\n\nFour batches, one model.\n",
        key="reports/summary.md",
        run=make_run(report, inputs=[made.files["model"], made.files["metrics"]], source="print(1)\n", log="done\n"),
    ).save()
    made.files["html"] = ln.File(REPORT.encode(), key="drafts/training.html").save()
    made.files["html"].key = "reports/training.html"
    made.files["html"].save()
    made.runs["failed"] = make_run(report, inputs=[made.files["metrics"]], status="failed", error=ERROR, log=ERROR)
    made.runs["failed"].refresh_from_db()
    made.runs["running"] = make_run(
        train, inputs=merged, status="running", host=processes.host(), process=_this_process(), heartbeat_at=now()
    )
    made.files["bad"] = ln.File(b"plate,signal\nA1,NaN\n", key="raw/plate.csv").save()
    run = make_run(merge, inputs=[made.files["bad"]], source="import csv\n")
    made.files["from_bad"] = ln.File(b"mean\nNaN\n", key="qc/plate-mean.csv", run=run).save()
    made.files["bad"].flag("contaminated: wells swapped")
    made.files["trashed"] = ln.File(b"old\n", key="scratch/notes.txt").save()
    made.files["trashed"].delete()
    made.files["raw0"] = raw[0]
    made.files["raw0v2"] = ln.File(table(99), key="raw/batch0/sample0.csv", run=machine).save()
    made.files["merged0"] = merged[0]
    made.files["code"] = ln.File(SOURCE.encode(), key="src/train.py").save()
    return made


def _this_process() -> dict[str, Any]:
    return processes.this_process()._asdict()


def make_hostile() -> Showcase:
    """Make files, runs and transforms with names, texts and contents that try to break a page."""
    made = Showcase()
    for n, name in enumerate(HOSTILE):
        transform = ln.Transform(name, type="script", reference=f"hostile{n}.py", description=name).save()
        run = make_run(
            transform,
            params={name: name, "nested": {name: [name]}},
            name=name,
            error=f"Error: {name}\x1b[31m",
            status="failed",
            source=f"# {name}\nprint({name!r})\n",
            log=f"\x1b[31m{name}\x1b[0m\x07\n" * 3,
            patch=f"+{name}\n-{name}\n",
            packages=f"{name}==1\n",
            report=f"<script>alert(1)</script>{name}",
            host=name,
            git_repository=name,
            git_commit=name,
        )
        suffix = (".csv", ".html", ".svg", ".ipynb", ".md", ".json", ".xml", ".txt")[n % 8]
        data = notebook(name) if suffix == ".ipynb" else f"{name},{name}\n<script>alert(1)</script>\n".encode()
        key = f"hostile/{n}/{name.replace('/', '_')[:150].strip()}{suffix}"
        file = ln.File(data, key=f"before/{key}", run=run, description=name).save()
        file.key = key
        file.save()
        made.transforms[str(n)], made.runs[str(n)], made.files[str(n)] = transform, run, file
        if n % 4 == 0:
            file.flag(name)
        _give_to_hostile_user(run, n, name)
    return made


def _give_to_hostile_user(run: Any, number: int, name: str) -> None:
    """Let a user have made a run whose handle and name no login would take."""
    user = User.from_fields(id=f"bad{number:05d}", handle=name.replace("/", "_")[:100], name=name, email=name)
    with databases.writing(run.alias) as connection:
        databases.insert_many(connection, [user])
    Run.objects.using(run.alias).filter(id=run.id).order_by().update_rows({"created_by_id": user.id})
