"""Secrets that programs are given, hold and print: each is one text, and no file that is ours has it anywhere."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path

import lamindb as ln
from tests.support.processes import BIN_FOLDER, clean_environment, run_command, write_notebook
from tests.support.ways import texts_in

LAMIN = BIN_FOLDER / "lamin"
ENVIRONMENT = {"DB_PASSWORD": "env-Xw7qLmR2", "OPENAI_API_KEY": "env-9fKd02mzQp", "DATABASE_URL": ""}
ENVIRONMENT["DATABASE_URL"] = "postgresql://user:env-pQ55rTz@db.example.org/lab"
IN_ENVIRONMENT = ["env-Xw7qLmR2", "env-9fKd02mzQp", "env-pQ55rTz"]

SCRIPT = '''\
import argparse, logging, os, sys, warnings
import lamindb as ln
API_TOKEN = "src-1aB2cD3eF4"
settings = {"password": "src-Gh56Ij78", "user": "me"}
KEY = """-----BEGIN RSA PRIVATE KEY-----
c3JjLXByaXZhdGUta2V5LWJvZHktb2YtbWFueS1ieXRlcw==
-----END RSA PRIVATE KEY-----"""
url = "https://me:src-Kl90Mn12@example.org/data?token=src-Op34Qr56"
headers = {"Authorization": "Bearer src-St78Uv90Wx12"}
aws = "AKIASRCSRCSRCSRC1234"
@ln.step
def log_in(user, password):
    raise PermissionError(f"no: {os.environ['DB_PASSWORD']}")
ln.track(params={"lr": 1, "password": "par-Yz12Ab34", "deep": {"api_key": "par-Cd56Ef78"}})
print("printed", os.environ["OPENAI_API_KEY"], f"password={settings['password']}")
logging.warning("logged %s", os.environ["DATABASE_URL"])
warnings.warn(f"warned with {headers}")
sys.stderr.write(f"{url}\\n")
ln.File(b"made", key="made.txt", description="of the one").save()
try:
    log_in("me", password="par-Gh90Ij12")
except PermissionError:
    pass
raise RuntimeError(f"cannot open {url} with {os.environ['DB_PASSWORD']}")
'''
IN_SCRIPT = [
    *("src-1aB2cD3eF4", "src-Gh56Ij78", "c3JjLXByaXZhdGUta2V5", "src-Kl90Mn12", "src-Op34Qr56", "src-St78Uv90Wx12"),
    *("AKIASRCSRCSRCSRC1234", "par-Yz12Ab34", "par-Cd56Ef78", "par-Gh90Ij12"),
]
ARGUMENTS = ["--password", "arg-Kl34Mn56", "--api-key=arg-Op78Qr90", "-p", "token", "arg-St12Uv34"]
ARGUMENTS += [
    "https://me:arg-Wx56Yz78@example.org",
    "--header",
    "Authorization: Bearer arg-Ab90Cd12Ef34",
    "TOKEN=arg-Gh56Ij7",
]
IN_ARGUMENTS = ["arg-Kl34Mn56", "arg-Op78Qr90", "arg-St12Uv34", "arg-Wx56Yz78", "arg-Ab90Cd12Ef34", "arg-Gh56Ij7"]
SHELL = """\
export LAMIN_RUN_ID=$(lamin track --transform nightly --param password=sh-Mn12Op34 --param day=3)
MY_SECRET=sh-Qr56St78
echo "token: sh-Uv90Wx12"
curl_password='sh-Yz34Ab56'
lamin finish --exit-code 3
"""
IN_SHELL = ["sh-Mn12Op34", "sh-Qr56St78", "sh-Yz34Ab56"]
CELLS = [
    "api_key = 'nb-Ef12Gh34'",
    "import lamindb as ln\nrun = ln.track(params={'secret': 'nb-Ij56Kl78'})",
    "import os\nprint(os.environ['DB_PASSWORD'])\nos.environ['SERVICE_PASSWORD'] = 'nb-Mn90Op12'",
    "raise ValueError('login failed: password=nb-Qr34St56 and ' + os.environ['DB_PASSWORD'])",
]
IN_CELLS = ["nb-Ef12Gh34", "nb-Ij56Kl78", "nb-Mn90Op12", "nb-Qr34St56"]
INJECTED = "nb-Uv78Wx90"


def test_no_secret_is_in_any_file_of_ours(local_instance: Path) -> None:
    project = local_instance.parent
    environment = clean_environment(**ENVIRONMENT)
    home = Path(os.environ["HOME"])
    script, inner = project / "work.py", project / "tool.sh"
    script.write_text(SCRIPT)
    inner.write_text("#!/bin/sh\nSECRET_KEY=sh-Cd78Ef90\necho password=sh-Cd78Ef90 $DB_PASSWORD >&2\nexit 3\n")
    inner.chmod(0o755)
    (project / "nightly.sh").write_text(SHELL)
    notebook = write_notebook(project / "a.ipynb", *CELLS, title="With secrets")
    document = json.loads(notebook.read_text())
    document["cells"][1]["metadata"] = {"tags": ["parameters"]}
    notebook.write_text(json.dumps(document))
    for command in (
        [sys.executable, "work.py", *ARGUMENTS],
        [LAMIN, "run", "--capture", "--param", "password=par-Kl99Mn11", "--out", "made.txt", "--", sys.executable,
         "work.py", *ARGUMENTS],
        [LAMIN, "run", "--", "./tool.sh", *ARGUMENTS],
        [LAMIN, "run", "--", "sh", "-c", "echo api_key=arg-Qr22St33; exit 1", "--token", "arg-Uv44Wx55"],
        ["sh", "nightly.sh"],
        [sys.executable, "-m", "papermill", "a.ipynb", "out.ipynb", "--no-progress-bar", "-p", "api_key", INJECTED],
    ):  # fmt: skip
        run_command(*command, cwd=project, env=environment, check=False)
    runs = list(ln.Run.select())
    names = sorted(run.transform.name for run in runs)
    # All were recorded, and their secrets with them, if anywhere: their absence hides nothing.
    assert len(runs) == 9 and names.count("work") == 2 and names.count("log_in") == 2, names
    assert {run.status for run in runs} == {"failed"}, [(run.transform.name, run.status) for run in runs]
    database = local_instance / ".lamindb/db.sqlite3"
    link = sqlite3.connect(database)
    link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    link.close()
    planted = [*IN_ENVIRONMENT, *IN_SCRIPT, *IN_ARGUMENTS, *IN_SHELL, *IN_CELLS, INJECTED]
    planted += ["par-Kl99Mn11", "sh-Cd78Ef90", "arg-Qr22St33", "arg-Uv44Wx55"]
    assert texts_in(local_instance, *planted) == []
    # Nor in the user's settings, caches and logs.
    assert texts_in(home, *planted) == []
    # Nor in what is shown of them.
    for command in (["runs", "--json"], *(["show", run.id] for run in runs), *(["log", run.id] for run in runs)):
        shown = run_command(LAMIN, *command, cwd=project, check=False)
        assert not [secret for secret in planted if secret in shown.stdout + shown.stderr], command
    # What is no secret is still there.
    for kept in ('"user": "me"', "printed ***", "cannot open", "With secrets", "of the one"):
        assert texts_in(local_instance, kept), kept
