"""Which revision of its code each run executed, and which modules it had imported."""

from __future__ import annotations

import shlex
from typing import Any

import django.db.models.deletion
from blake3 import blake3
from django.db import migrations, models

import lamindb.models.base

_FOUND = """
    SELECT r.transform_id, substr(r.source_digest, 1, 64) AS digest, MIN(r.created_at) AS first_at, MIN(r.id) AS first_id,
        t.type
    FROM lamindb_run r JOIN lamindb_transform t ON t.id = r.transform_id
    WHERE r.source_digest IS NOT NULL
    GROUP BY r.transform_id, substr(r.source_digest, 1, 64), t.type
    ORDER BY r.transform_id, first_at, first_id
"""
_NUMBERED = """
    UPDATE lamindb_run SET revision = (
        SELECT c.number FROM lamindb_coderevision c
        WHERE c.transform_id = lamindb_run.transform_id AND c.digest = substr(lamindb_run.source_digest, 1, 64)
    ) WHERE source_digest IS NOT NULL
"""


def number_sources(apps: Any, schema_editor: Any) -> None:
    """Number the sources of each transform in the order of their first runs, told apart by the digests in the rows."""
    run, revision = apps.get_model("lamindb", "Run"), apps.get_model("lamindb", "CodeRevision")
    alias = schema_editor.connection.alias
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_FOUND)
        found = cursor.fetchall()
    # Of a command without a script, the command line was stored, which is no source.
    commands = [row[3] for row in found if row[4] == "command"]
    arguments = {}
    for start in range(0, len(commands), 500):
        query = run.objects.using(alias).filter(id__in=commands[start : start + 500])
        arguments.update(query.values_list("id", "arguments"))
    made, last = [], None
    for transform_id, digest, _, first_id, _ in found:
        if _is_command_line(arguments.get(first_id), digest):
            continue
        number = 1 if last is None or last.transform_id != transform_id else last.number + 1
        last = revision(transform_id=transform_id, number=number, digest=digest)
        made.append(last)
    revision.objects.using(alias).bulk_create(made, batch_size=500)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_NUMBERED)


def _is_command_line(arguments: Any, digest: str) -> bool:
    if not arguments:
        return False
    line = shlex.join(str(word) for word in arguments) + "\n"
    return blake3(line.encode("utf-8", "surrogateescape")).hexdigest() == digest


class Migration(migrations.Migration):
    """Adds columns that may be empty and two tables; gives each run whose source is known its number."""

    dependencies = [("lamindb", "0003_file_indexes")]

    operations = [
        migrations.CreateModel(
            name="CodeRevision",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("number", models.IntegerField()),
                ("digest", models.TextField()),
                ("created_at", models.DateTimeField(default=lamindb.models.base.now)),
                (
                    "transform",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="code_revisions",
                        to="lamindb.transform",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("transform", "number"), name="one_revision_per_number"),
                    models.UniqueConstraint(fields=("transform", "digest"), name="one_revision_per_source"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportedModule",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("set_digest", models.TextField()),
                ("path", models.TextField()),
                ("digest", models.TextField(db_index=True)),
                ("suffix", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("set_digest", "path"), name="one_module_per_path"),
                ],
            },
        ),
        migrations.AddField("run", "revision", models.IntegerField(blank=True, null=True)),
        migrations.AddField("run", "code_path", models.TextField(blank=True, null=True)),
        migrations.AddField("run", "modules_digest", models.TextField(blank=True, null=True)),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("modules_digest__isnull", False)), fields=["modules_digest"], name="run_modules"
            ),
        ),
        migrations.RunPython(number_sources, migrations.RunPython.noop),
    ]
