"""Indexes of files: none of the storage, by which queries were answered row by row; digest and suffix in one."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def drop_index(apps: Any, schema_editor: Any) -> None:
    table = "lamindb_file"
    with schema_editor.connection.cursor() as cursor:
        found = schema_editor.connection.introspection.get_constraints(cursor, table)
    for name, constraint in found.items():
        if constraint["index"] and not constraint["unique"] and constraint["columns"] == ["storage_id"]:
            schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")


class Migration(migrations.Migration):
    """Changes indexes; no row is changed."""

    dependencies = [("lamindb", "0002_removed_versions")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_index, migrations.RunPython.noop)],
            state_operations=[
                migrations.AlterField(
                    model_name="file",
                    name="storage",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=models.deletion.PROTECT,
                        related_name="file_set",
                        to="lamindb.storage",
                    ),
                ),
            ],
        ),
        migrations.RemoveIndex(model_name="file", name="file_digest"),
        migrations.AddIndex(
            model_name="file", index=models.Index(fields=["digest", "suffix"], name="file_digest_suffix")
        ),
    ]
