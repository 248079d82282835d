"""What happened to files after they were saved: renamed, removed to the trash, restored."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

import lamindb.models.base

_REMOVED = """
    INSERT INTO lamindb_fileevent (file_id, kind, created_at, created_by_id)
    SELECT id, 'removed', trashed_at, trashed_by_id FROM lamindb_file WHERE trashed_at IS NOT NULL
    ORDER BY trashed_at, id
"""


def _key(to: str, on_delete: Any, **options: Any) -> Any:
    return models.ForeignKey(db_index=False, on_delete=on_delete, related_name="+", to=to, **options)


class Migration(migrations.Migration):
    """Adds a table, with a row for each file in the trash; no row of others is changed."""

    dependencies = [("lamindb", "0007_search_index")]

    operations = [
        migrations.CreateModel(
            name="FileEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", models.TextField()),
                ("old_key", models.TextField(blank=True, null=True)),
                ("new_key", models.TextField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=lamindb.models.base.now)),
                ("created_by", _key("lamindb.user", django.db.models.deletion.PROTECT, null=True)),
                ("file", _key("lamindb.file", django.db.models.deletion.CASCADE)),
                ("run", _key("lamindb.run", django.db.models.deletion.SET_NULL, blank=True, null=True)),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(fields=["file", "id"], name="file_event_file"),
                    models.Index(fields=["created_at", "id"], name="file_event_created_at"),
                    models.Index(
                        condition=models.Q(("old_key__isnull", False)), fields=["old_key"], name="file_event_old_key"
                    ),
                    models.Index(condition=models.Q(("run__isnull", False)), fields=["run"], name="file_event_run"),
                ],
            },
        ),
        migrations.RunSQL([_REMOVED], migrations.RunSQL.noop),
    ]
