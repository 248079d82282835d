"""Inside somebody's Django project: an app among others, whose tables stay apart from theirs."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.support.processes import clean_environment, run_python

SETTINGS = """
    SECRET_KEY = "x"
    USE_TZ = {use_tz}
    TIME_ZONE = "America/Chicago"
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
    DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "host.sqlite3"}}}}
    INSTALLED_APPS = {apps}
    """


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "models.py").write_text(
        "from django.db import models\n\nclass Item(models.Model):\n    name = models.TextField()\n"
    )
    configure(tmp_path)
    return tmp_path


def configure(project: Path, *, use_tz: bool = True, apps: tuple[str, ...] = ("shop", "lamindb")) -> None:
    (project / "host_settings.py").write_text(textwrap.dedent(SETTINGS.format(use_tz=use_tz, apps=list(apps))))


def run(project: Path, code: str, *, settings: str | None = "host_settings") -> tuple[str, str]:
    environment = clean_environment(DJANGO_SETTINGS_MODULE=settings, PYTHONPATH=str(project))
    done = run_python(code, cwd=project, env=environment, check=False)
    return done.stdout, done.stderr


TABLES = """
import sqlite3
def tables(path):
    connection = sqlite3.connect(path)
    found = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    connection.close()
    return sorted({name.split("_")[0] for name in found - {"sqlite_sequence"}})
"""


@pytest.mark.parametrize("first", ["django", "lamindb"])
def test_each_has_its_tables_in_its_own_databases(project: Path, first: str) -> None:
    begin = "import lamindb as ln; ln.File" if first == "lamindb" else "import django; django.setup()"
    out, err = run(
        project,
        f"{begin}\n"
        + TABLES
        + """if True:
        from django.core.management import call_command
        call_command("makemigrations", "shop", verbosity=0)
        call_command("migrate", verbosity=0)
        import lamindb as ln
        from shop.models import Item
        ln.setup.init(storage="./mydata")
        run = ln.track(ln.Transform(name="p", type="pipeline"))
        ln.File(b"x", key="x.txt").save()
        Item.objects.create(name="theirs")
        call_command("migrate", database=ln.context.instance.alias, verbosity=0)
        print(tables("host.sqlite3"), tables("mydata/.lamindb/db.sqlite3"))
        print(Item.objects.get().name, type(Item.objects.get().id).__name__, ln.File.select().one().key)
        print(ln.File.select().one().created_at.tzinfo, ln.Run.select(started_at__date=run.started_at.date()).count())
        """,
    )
    assert out.splitlines() == [
        "['django', 'shop'] ['django', 'lamindb']",
        "theirs int x.txt",
        "UTC 1",
    ], err


def test_their_migrate_before_our_first_use_makes_none_of_our_tables(project: Path) -> None:
    out, err = run(
        project,
        TABLES
        + """if True:
        import sys
        from django.core.management import execute_from_command_line
        execute_from_command_line(["manage.py", "migrate", "--run-syncdb", "-v0"])
        print(tables("host.sqlite3"))
        """,
    )
    assert out == "['django', 'shop']\n", err


@pytest.mark.parametrize(
    ("changes", "settings", "said"),
    [
        ({"use_tz": False}, "host_settings", "USE_TZ"),
        ({"apps": ("shop",)}, "host_settings", "INSTALLED_APPS"),
        ({}, "no_such_settings", "DJANGO_SETTINGS_MODULE"),
    ],
)
def test_a_project_that_cannot_hold_our_records_is_told_what_to_change(
    project: Path, changes: dict[str, object], settings: str, said: str
) -> None:
    configure(project, **changes)  # type: ignore[arg-type]
    out, err = run(
        project,
        """
        import lamindb as ln
        for attempt in range(2):
            try:
                ln.File
            except ln.errors.ConflictError as error:
                print(error)
        """,
        settings=settings,
    )
    lines = out.splitlines()
    assert len(lines) == 2, err
    assert all(said in line for line in lines)
    assert not (project / "host.sqlite3").exists()


def test_their_settings_stay_theirs(project: Path) -> None:
    out, err = run(
        project,
        """
        import os, logging
        before = dict(os.environ), list(logging.getLogger("django").handlers)
        import lamindb as ln
        ln.setup.init(storage="./mydata")
        from django.conf import settings
        from django.db import router
        print(settings.TIME_ZONE, [type(one).__name__ for one in router.routers], dict(os.environ) == before[0] or
              {k: v for k, v in os.environ.items() if before[0].get(k) != v})
        """,
    )
    assert out.startswith("America/Chicago ['Router']"), err


def test_without_a_project_nothing_of_the_surroundings_is_changed(tmp_path: Path) -> None:
    out, err = run(
        tmp_path,
        """
        import logging, os, warnings
        before = dict(os.environ), list(logging.root.handlers), list(warnings.filters)
        import lamindb as ln
        ln.setup.init(storage="./mydata")
        ln.File(b"x", key="x").save()
        print(dict(os.environ) == before[0], logging.root.handlers == before[1], logging.getLogger("django").handlers)
        """,
        settings=None,
    )
    assert out == "True True []\n", err
