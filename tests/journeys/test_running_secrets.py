"""Secrets that people leave in arguments, the environment and code: nothing that is stored or told holds them."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from tests.support.processes import BIN_FOLDER, clean_environment, run_command, write_notebook

PLANTED = {
    "argument": "planted-argument-7431",
    "environment": "planted-environment-8817",
    "source": "planted-source-5523",
    "address": "planted-address-9902",
    "param": "planted-param-3321",
    "printed": "planted-environment-8817",
    "shape": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "step": "planted-step-1207",
    "cell": "planted-cell-6671",
}


def test_nothing_that_is_stored_holds_a_planted_secret(local_instance: Path) -> None:
    project = Path.cwd()
    environment = clean_environment(SERVICE_TOKEN=PLANTED["environment"])
    (project / "work.py").write_text(
        f"""
import os, sys
import lamindb as ln
api_key = "{PLANTED["source"]}"
url = "postgresql://me:{PLANTED["address"]}@host/db"
token = "{PLANTED["shape"]}"
@ln.step
def connect(password):
    return None
run = ln.track(params={{"password": "{PLANTED["param"]}", "lr": 1}})
connect(password="{PLANTED["step"]}")
print("the token is", os.environ["SERVICE_TOKEN"])
raise ValueError(f"cannot log in with {{os.environ['SERVICE_TOKEN']}}")
"""
    )
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    run_command(*git, "init", "-q", cwd=project)
    (project / "config.py").write_text("x = 1\n")
    run_command(*git, "add", "config.py", cwd=project)
    run_command(*git, "commit", "-q", "-m", "Begin", cwd=project)
    (project / "config.py").write_text(f"SECRET_KEY = '{PLANTED['source']}'\n")
    arguments = ["--password", PLANTED["argument"], f"--token={PLANTED['argument']}"]
    run_command(sys.executable, "work.py", *arguments, cwd=project, env=environment, check=False)
    run_command(
        BIN_FOLDER / "lamin", "run", "--param", f"password={PLANTED['param']}", "--capture", "--",
        sys.executable, "work.py", *arguments, cwd=project, env=environment, check=False,
    )  # fmt: skip
    write_notebook(
        project / "a.ipynb",
        f"import lamindb as ln\npassword = '{PLANTED['cell']}'\nln.track()",
        "import os\nprint(os.environ['SERVICE_TOKEN'])",
    )
    run_command(
        sys.executable, "-m", "papermill", "a.ipynb", "out.ipynb", "--no-progress-bar", "-p", "api_key",
        PLANTED["argument"], cwd=project, env=environment,
    )  # fmt: skip
    _merge(local_instance / ".lamindb/db.sqlite3")
    found = []
    for path in local_instance.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found += [(name, str(path)) for name, secret in PLANTED.items() if secret.encode() in data]
    assert found == []
    # The records are there: their absence is not what hides the secrets.
    rows = sqlite3.connect(local_instance / ".lamindb/db.sqlite3")
    try:
        count, kept = rows.execute("SELECT count(*), sum(source_digest IS NOT NULL) FROM lamindb_run").fetchone()
        logs = rows.execute("SELECT count(*) FROM lamindb_run WHERE log_digest IS NOT NULL").fetchone()[0]
    finally:
        rows.close()
    assert count >= 6
    assert kept >= 5
    assert logs >= 2
    shown = run_command(BIN_FOLDER / "lamin", "runs", "--json", cwd=project, env=environment).stdout
    assert not [secret for secret in PLANTED.values() if secret in shown]


def _merge(database: Path) -> None:
    """Move what stands in the journal into the database file, so that both are looked at."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
