"""Flags of files: what is wrong with a version, who flagged it, and who removed the flag."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import lamindb.models.base


class Migration(migrations.Migration):
    """Adds an empty table; no row is changed."""

    dependencies = [("lamindb", "0004_code_revisions")]

    operations = [
        migrations.CreateModel(
            name="Flag",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("reason", models.TextField()),
                ("created_at", models.DateTimeField(default=lamindb.models.base.now)),
                ("removed_at", models.DateTimeField(blank=True, null=True)),
                ("removal_reason", models.TextField(blank=True, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="lamindb.user",
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="flag_links",
                        to="lamindb.file",
                    ),
                ),
                (
                    "removed_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="lamindb.user",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(fields=["file"], name="flag_file"),
                    models.Index(condition=models.Q(("removed_at__isnull", True)), fields=["file"], name="flag_open"),
                ],
            },
        ),
    ]
