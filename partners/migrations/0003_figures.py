"""What partners cost, how well they are, and imports of many at once."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import alliantra.fields


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0002_payee_groups"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="AllocationCostState",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("stamp", models.CharField(blank=True, max_length=200)),
                ("runs", alliantra.fields.ExactJSONField(default=dict)),
                ("simulated_at", models.DateTimeField(null=True)),
                ("as_of", models.DateTimeField()),
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
                "constraints": [models.UniqueConstraint(fields=("workspace",), name="allocationcoststate_workspace")],
            },
        ),
        migrations.AddIndex(
            model_name="partner",
            index=models.Index(fields=["workspace", "updated_at", "id"], name="partner_updated"),
        ),
        migrations.CreateModel(
            name="Cost",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("external_id", models.CharField(blank=True, max_length=200, null=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[("fee", "Fee"), ("media", "Media"), ("bonus", "Bonus"), ("other", "Other")],
                        default="other",
                        max_length=10,
                    ),
                ),
                ("period_start", models.DateField()),
                ("period_end", models.DateField()),
                ("amount", alliantra.fields.MoneyField(decimal_places=6, max_digits=20)),
                ("currency", alliantra.fields.CurrencyField(max_length=3)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("rate", models.DecimalField(decimal_places=10, editable=False, max_digits=20)),
                ("rate_on", models.DateField(editable=False, null=True)),
                ("base_amount", alliantra.fields.MoneyField(decimal_places=6, editable=False, max_digits=20)),
                (
                    "partner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="costs",
                        to="partners.partner",
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
                "indexes": [
                    models.Index(fields=["workspace", "created_at", "id"], name="cost_created"),
                    models.Index(fields=["workspace", "updated_at", "id"], name="cost_updated"),
                    models.Index(fields=["workspace", "partner"], name="cost_partner"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "external_id"), name="cost_external_id"),
                    models.CheckConstraint(
                        condition=models.Q(("external_id", ""), _negated=True), name="cost_external_id_not_blank"
                    ),
                    models.CheckConstraint(condition=models.Q(("amount", 0), _negated=True), name="cost_not_zero"),
                    models.CheckConstraint(
                        condition=models.Q(("period_end__gte", models.F("period_start"))), name="cost_period_order"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CostDay",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("day", models.DateField()),
                (
                    "basis",
                    models.CharField(
                        choices=[
                            ("recorded", "Recorded"),
                            ("locked", "Locked"),
                            ("calculated", "Calculated"),
                            ("simulated", "Simulated"),
                        ],
                        max_length=10,
                    ),
                ),
                ("run_id", models.UUIDField(null=True)),
                ("channel", models.CharField(blank=True, max_length=100)),
                ("program", models.CharField(blank=True, max_length=100)),
                ("region", models.CharField(blank=True, max_length=100)),
                ("base_amount", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("as_of", models.DateTimeField()),
                (
                    "cost",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="days",
                        to="partners.cost",
                    ),
                ),
                (
                    "partner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cost_days",
                        to="partners.partner",
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
                "indexes": [
                    models.Index(fields=["workspace", "day"], name="costday_day"),
                    models.Index(
                        condition=models.Q(("cost", None), _negated=True),
                        fields=["workspace", "cost"],
                        name="costday_cost",
                    ),
                    models.Index(fields=["workspace", "basis", "run_id"], name="costday_run"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            "workspace",
                            "partner",
                            "day",
                            "basis",
                            "cost",
                            "run_id",
                            "channel",
                            "program",
                            "region",
                        ),
                        name="costday_source",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="FxRate",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("from_currency", alliantra.fields.CurrencyField(max_length=3)),
                ("to_currency", alliantra.fields.CurrencyField(max_length=3)),
                ("on", models.DateField()),
                ("rate", models.DecimalField(decimal_places=10, max_digits=20)),
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
                "verbose_name": "exchange rate",
                "indexes": [
                    models.Index(fields=["workspace", "created_at", "id"], name="fxrate_created"),
                    models.Index(fields=["workspace", "updated_at", "id"], name="fxrate_updated"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "from_currency", "to_currency", "on"), name="fxrate_day"
                    ),
                    models.CheckConstraint(condition=models.Q(("rate__gt", 0)), name="fxrate_above_zero"),
                    models.CheckConstraint(
                        condition=models.Q(("from_currency", models.F("to_currency")), _negated=True),
                        name="fxrate_two_currencies",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PartnerImport",
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
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("importing", "Importing"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                        ],
                        default="queued",
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("format", models.CharField(max_length=6)),
                ("actor", alliantra.fields.ExactJSONField(default=dict)),
                ("created", models.PositiveIntegerField(default=0)),
                ("updated", models.PositiveIntegerField(default=0)),
                ("unchanged", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("failure", models.CharField(blank=True, max_length=500)),
                ("finished_at", models.DateTimeField(null=True)),
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
                "indexes": [models.Index(fields=["workspace", "created_at", "id"], name="partnerimport_created")],
            },
        ),
        migrations.CreateModel(
            name="PartnerImportPart",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("position", models.PositiveIntegerField()),
                ("records", alliantra.fields.ExactJSONField()),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="partners.partnerimport",
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
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "batch", "position"), name="partnerimportpart_position"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PartnerImportProblem",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("index", models.PositiveIntegerField()),
                ("external_id", models.CharField(blank=True, max_length=200)),
                ("problem", alliantra.fields.ExactJSONField()),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="problems",
                        to="partners.partnerimport",
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
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "batch", "index"), name="partnerimportproblem_index")
                ],
            },
        ),
        migrations.CreateModel(
            name="PartnerMetrics",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("score", models.DecimalField(decimal_places=2, max_digits=5, null=True)),
                ("score_reason", models.CharField(blank=True, max_length=40)),
                ("score_factors", alliantra.fields.ExactJSONField(default=list)),
                ("scored_on", models.DateField()),
                (
                    "partner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="metrics",
                        to="partners.partner",
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
                "verbose_name_plural": "partner metrics",
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "partner"), name="partnermetrics_partner"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("score", None), models.Q(("score__gte", 0), ("score__lte", 100)), _connector="OR"
                        ),
                        name="score_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PartnerScore",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("day", models.DateField()),
                ("score", models.DecimalField(decimal_places=2, max_digits=5)),
                (
                    "partner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scores",
                        to="partners.partner",
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
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "partner", "day"), name="partnerscore_day")
                ],
            },
        ),
        migrations.CreateModel(
            name="StatusChange",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("day", models.DateField()),
                (
                    "previous_status",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("at_risk", "At Risk"),
                            ("optimized", "Optimized"),
                            ("inactive", "Inactive"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("at_risk", "At Risk"),
                            ("optimized", "Optimized"),
                            ("inactive", "Inactive"),
                        ],
                        max_length=12,
                    ),
                ),
                ("evidence", alliantra.fields.ExactJSONField(default=dict)),
                (
                    "partner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="status_changes",
                        to="partners.partner",
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
                "indexes": [
                    models.Index(fields=["workspace", "partner", "created_at", "id"], name="statuschange_partner")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "partner", "day"), name="statuschange_day")
                ],
            },
        ),
        migrations.CreateModel(
            name="StatusEvaluation",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("day", models.DateField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("at_risk", "At Risk"),
                            ("optimized", "Optimized"),
                            ("inactive", "Inactive"),
                        ],
                        max_length=12,
                    ),
                ),
                ("evidence", alliantra.fields.ExactJSONField(default=dict)),
                (
                    "partner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="evaluations",
                        to="partners.partner",
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
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "partner", "day"), name="statusevaluation_day")
                ],
            },
        ),
        migrations.RunSQL(
            "CREATE TRIGGER statuschange_append_only BEFORE UPDATE OR DELETE ON partners_statuschange "
            "FOR EACH ROW EXECUTE FUNCTION alliantra_refuse_change()",
            "DROP TRIGGER statuschange_append_only ON partners_statuschange",
        ),
    ]
