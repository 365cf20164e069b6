"""Imports: batches, the parts of their files, their problems; and which rows of the ledger each brought."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import alliantra.fields


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0002_payee_groups"),
        ("revenues", "0006_customers"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="ImportBatch",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("lease", models.UUIDField(null=True)),
                ("leased_until", models.DateTimeField(null=True)),
                ("rows_done", models.BigIntegerField(default=0)),
                ("rows_expected", models.BigIntegerField(default=0)),
                ("number", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("analysing", "Analysing"),
                            ("needs_mapping", "Needs Mapping"),
                            ("ready", "Ready"),
                            ("importing", "Importing"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="analysing",
                        max_length=14,
                    ),
                ),
                ("failure_reason", models.CharField(blank=True, max_length=500)),
                ("file_name", models.CharField(max_length=255)),
                ("file_size", models.BigIntegerField()),
                ("file_digest", models.CharField(max_length=64)),
                ("file_format", models.CharField(blank=True, max_length=4)),
                ("encoding", models.CharField(blank=True, max_length=12)),
                ("delimiter", models.CharField(blank=True, max_length=1)),
                ("sheet", models.CharField(blank=True, max_length=100)),
                ("is_detected", models.BooleanField(default=True)),
                ("template", alliantra.fields.ExactJSONField(default=dict)),
                ("options", alliantra.fields.ExactJSONField(default=dict)),
                ("overrides", alliantra.fields.ExactJSONField(default=dict)),
                ("mapping", alliantra.fields.ExactJSONField(default=dict)),
                ("reading", alliantra.fields.ExactJSONField(default=dict)),
                ("columns", alliantra.fields.ExactJSONField(default=list)),
                ("findings", alliantra.fields.ExactJSONField(default=list)),
                ("totals", alliantra.fields.ExactJSONField(default=list)),
                ("sample", alliantra.fields.ExactJSONField(default=list)),
                ("left_out", alliantra.fields.ExactJSONField(default=dict)),
                ("rows", models.BigIntegerField(default=0)),
                ("importable_rows", models.BigIntegerField(default=0)),
                ("duplicate_rows", models.BigIntegerField(default=0)),
                ("left_out_rows", models.BigIntegerField(default=0)),
                ("problem_rows", models.BigIntegerField(default=0)),
                ("created_rows", models.BigIntegerField(default=0)),
                ("requested_by", models.CharField(blank=True, max_length=200)),
                ("confirmed_by", models.CharField(blank=True, max_length=200)),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "source",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="revenues.revenuesource",
                    ),
                ),
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
                "verbose_name": "import",
            },
        ),
        migrations.AddField(
            model_name="revenueevent",
            name="import_batch",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="revenues.importbatch",
            ),
        ),
        migrations.AddIndex(
            model_name="revenueevent",
            index=models.Index(
                condition=models.Q(("import_batch", None), _negated=True),
                fields=["workspace", "import_batch", "id"],
                name="event_import",
            ),
        ),
        migrations.AddIndex(
            model_name="importbatch",
            index=models.Index(fields=["workspace", "created_at", "id"], name="import_created"),
        ),
        migrations.AddIndex(
            model_name="importbatch",
            index=models.Index(fields=["workspace", "file_digest"], name="import_digest"),
        ),
        migrations.AddIndex(
            model_name="importbatch",
            index=models.Index(
                condition=models.Q(("status__in", ["analysing", "importing"])),
                fields=["workspace", "status"],
                name="import_waiting",
            ),
        ),
        migrations.AddConstraint(
            model_name="importbatch",
            constraint=models.UniqueConstraint(fields=("workspace", "number"), name="import_number"),
        ),
        migrations.CreateModel(
            name="ImportPart",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("number", models.PositiveIntegerField()),
                ("content", models.BinaryField()),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="revenues.importbatch",
                    ),
                ),
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
                "indexes": [models.Index(fields=["workspace", "created_at"], name="importpart_created")],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "batch", "number"), name="importpart_number")
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportProblem",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("row", models.PositiveIntegerField()),
                ("column", models.CharField(blank=True, max_length=210)),
                ("field", models.CharField(blank=True, max_length=60)),
                ("code", models.CharField(max_length=30)),
                ("detail", models.CharField(max_length=500)),
                ("value", models.CharField(blank=True, max_length=100)),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="problems",
                        to="revenues.importbatch",
                    ),
                ),
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
                "indexes": [models.Index(fields=["workspace", "batch", "row", "id"], name="importproblem_row")],
            },
        ),
    ]
