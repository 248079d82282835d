"""Who moved a file to the trash, and which version numbers were given to files that were removed for good."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a column that may be empty and an empty table; no row is changed."""

    dependencies = [("lamindb", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="LastVersion",
            fields=[
                ("id", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("version", models.IntegerField()),
            ],
        ),
        migrations.AddField(
            model_name="file",
            name="trashed_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="lamindb.user",
            ),
        ),
    ]
