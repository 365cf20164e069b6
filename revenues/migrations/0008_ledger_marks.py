"""Marks along the ledger, by which deep pages are found."""

import django.db.models.deletion
from django.db import migrations, models

import alliantra.fields


class Migration(migrations.Migration):
    dependencies = [
        ("revenues", "0007_imports"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="LedgerMark",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("position", models.BigIntegerField()),
                ("row_created_at", models.DateTimeField()),
                ("row_id", models.UUIDField()),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("workspace", "position"), name="ledgermark_position")],
            },
        ),
    ]
