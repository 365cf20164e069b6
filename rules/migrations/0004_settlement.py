"""States of runs, refunds of sales, lines without a row, and what follows from a locked run."""

import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
from django.db import migrations, models

import alliantra.fields


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0002_payee_groups"),
        ("revenues", "0008_ledger_marks"),
        ("rules", "0003_allocations"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="calculationrun",
            name="run_adds_up",
        ),
        migrations.AddField(
            model_name="calculationitem",
            name="measured_from",
            field=alliantra.fields.MoneyField(decimal_places=6, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name="calculationitem",
            name="sale_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="calculationitem",
            name="sale_run_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="approved_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="approved_by",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="is_stale",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="locked_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="locked_by",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="pinned",
            field=alliantra.fields.ExactJSONField(null=True),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="requested_by_id",
            field=models.CharField(blank=True, max_length=60),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="snapshot_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="visiting_rows",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="void_reason",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="voided_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="calculationrun",
            name="voided_by",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AlterField(
            model_name="calculationexception",
            name="code",
            field=models.CharField(
                choices=[
                    ("unallocated", "Unallocated"),
                    ("refund_without_sale", "Refund Without Sale"),
                    ("refund_exceeds_sale", "Refund Exceeds Sale"),
                    ("sale_settled", "Sale Settled"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="calculationitem",
            name="tie_break",
            field=models.CharField(
                choices=[
                    ("only_match", "Only Match"),
                    ("priority", "Priority"),
                    ("specificity", "Specificity"),
                    ("valid_from", "Valid From"),
                    ("age", "Age"),
                    ("sale", "Sale"),
                    ("fallback", "Fallback"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="calculationrun",
            name="adjustments_total",
            field=alliantra.fields.SumField(decimal_places=6, default=0, max_digits=30),
        ),
        migrations.AlterField(
            model_name="calculationrun",
            name="allocated_total",
            field=alliantra.fields.SumField(decimal_places=6, default=0, max_digits=30),
        ),
        migrations.AlterField(
            model_name="calculationrun",
            name="basis_total",
            field=alliantra.fields.SumField(decimal_places=6, default=0, max_digits=30),
        ),
        migrations.AlterField(
            model_name="calculationrun",
            name="exceptions_total",
            field=alliantra.fields.SumField(decimal_places=6, default=0, max_digits=30),
        ),
        migrations.AlterField(
            model_name="calculationrun",
            name="remainder_total",
            field=alliantra.fields.SumField(decimal_places=6, default=0, max_digits=30),
        ),
        migrations.AlterField(
            model_name="calculationrun",
            name="status",
            field=models.CharField(
                choices=[
                    ("calculating", "Calculating"),
                    ("calculated", "Calculated"),
                    ("approved", "Approved"),
                    ("locked", "Locked"),
                    ("failed", "Failed"),
                    ("void", "Void"),
                ],
                default="calculating",
                max_length=12,
            ),
        ),
        migrations.AddIndex(
            model_name="calculationexception",
            index=models.Index(fields=["workspace", "event"], name="exception_of_event"),
        ),
        migrations.AddIndex(
            model_name="calculationitem",
            index=models.Index(fields=["workspace", "event"], name="item_event"),
        ),
        migrations.AddIndex(
            model_name="calculationitem",
            index=models.Index(
                condition=models.Q(("sale_id", None), _negated=True), fields=["workspace", "sale_id"], name="item_sale"
            ),
        ),
        migrations.AddConstraint(
            model_name="calculationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status__in", ["calculated", "approved", "locked"]), _negated=True),
                    (
                        "basis_total",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                models.F("allocated_total"), "+", models.F("remainder_total")
                            ),
                            "+",
                            models.F("exceptions_total"),
                        ),
                    ),
                    _connector="OR",
                ),
                name="run_adds_up",
            ),
        ),
        migrations.CreateModel(
            name="BalanceEntry",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("currency", alliantra.fields.CurrencyField(max_length=3)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("earnings", "Earnings"),
                            ("clawback", "Clawback"),
                            ("adjustment", "Adjustment"),
                            ("payment", "Payment"),
                        ],
                        max_length=10,
                    ),
                ),
                ("amount", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("reference", models.CharField(blank=True, max_length=200)),
                (
                    "payee",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="balance_entries",
                        to="partners.payee",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="rules.calculationrun",
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
                "verbose_name_plural": "balance entries",
                "indexes": [
                    models.Index(
                        fields=["workspace", "payee", "currency", "created_at", "id"], name="balanceentry_payee"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount", 0), _negated=True), name="balanceentry_not_zero"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CalculationAdjustment",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("allocation_index", models.PositiveSmallIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[("cap", "Cap"), ("floor", "Floor"), ("tier_correction", "Tier Correction")],
                        max_length=15,
                    ),
                ),
                ("window", models.CharField(blank=True, max_length=60)),
                ("basis", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("amount", alliantra.fields.MoneyField(decimal_places=6, max_digits=20)),
                (
                    "payee",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="partners.payee",
                    ),
                ),
                (
                    "rule_version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="rules.ruleversion",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="adjustments",
                        to="rules.calculationrun",
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
                        fields=("workspace", "run", "rule_version", "allocation_index", "payee", "kind", "window"),
                        name="adjustment_line",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ConfirmationBatch",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("shape", models.CharField(max_length=20)),
                ("file_name", models.CharField(blank=True, max_length=200)),
                ("file_digest", models.CharField(max_length=64)),
                ("rows", models.PositiveIntegerField()),
                ("problems", alliantra.fields.ExactJSONField(default=list)),
                ("imported_by", models.CharField(max_length=200)),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="confirmation_batches",
                        to="rules.calculationrun",
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
                    models.UniqueConstraint(fields=("workspace", "run", "file_digest"), name="confirmationbatch_file")
                ],
            },
        ),
        migrations.CreateModel(
            name="ExceptionDecision",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("kind", models.CharField(choices=[("settled", "Settled"), ("accepted", "Accepted")], max_length=8)),
                ("reason", models.CharField(max_length=500)),
                ("decided_by", models.CharField(max_length=200)),
                (
                    "event",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="revenues.revenueevent",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="rules.calculationrun",
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
                        condition=models.Q(("kind", "settled")),
                        fields=("workspace", "event"),
                        name="exceptiondecision_settled",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "accepted")),
                        fields=("workspace", "event", "run"),
                        name="exceptiondecision_accepted",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Payout",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("named", models.CharField(max_length=200)),
                ("currency", alliantra.fields.CurrencyField(max_length=3)),
                ("expected", alliantra.fields.SumField(decimal_places=6, default=0, max_digits=30)),
                ("confirmed", alliantra.fields.SumField(decimal_places=6, default=0, max_digits=30)),
                ("confirmations_count", models.PositiveIntegerField(default=0)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("resolved_by", models.CharField(blank=True, max_length=200)),
                ("resolved_at", models.DateTimeField(null=True)),
                (
                    "payee",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="partners.payee",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payouts",
                        to="rules.calculationrun",
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
                "indexes": [models.Index(fields=["workspace", "run", "created_at", "id"], name="payout_run")],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "run", "payee", "currency"), name="payout_payee"),
                    models.UniqueConstraint(
                        condition=models.Q(("payee", None)),
                        fields=("workspace", "run", "named", "currency"),
                        name="payout_stranger",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expected__gte", 0)), name="payout_expected_not_negative"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Confirmation",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("row", models.PositiveIntegerField()),
                ("named", models.CharField(max_length=200)),
                ("currency", alliantra.fields.CurrencyField(max_length=3)),
                ("amount", alliantra.fields.MoneyField(decimal_places=6, max_digits=20)),
                ("reference", models.CharField(blank=True, max_length=200)),
                ("paid_at", models.DateTimeField(null=True)),
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
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="confirmations",
                        to="rules.confirmationbatch",
                    ),
                ),
                (
                    "payout",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="confirmations",
                        to="rules.payout",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["workspace", "payout", "id"], name="confirmation_payout"),
                    models.Index(fields=["workspace", "batch", "row"], name="confirmation_batch"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("reference", ""), _negated=True),
                        fields=("workspace", "reference"),
                        name="confirmation_reference",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Statement",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("number", models.PositiveIntegerField()),
                ("payee_details", alliantra.fields.ExactJSONField()),
                ("currency", alliantra.fields.CurrencyField(max_length=3)),
                ("lines_count", models.BigIntegerField()),
                ("gross_basis", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("opening_balance", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("earnings", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("clawbacks", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("adjustments", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("payments", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("closing_balance", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                (
                    "payee",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="statements",
                        to="partners.payee",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="statements",
                        to="rules.calculationrun",
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
                    models.Index(fields=["workspace", "created_at", "id"], name="statement_created"),
                    models.Index(fields=["workspace", "payee", "currency", "number"], name="statement_of_payee"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "number"), name="statement_number"),
                    models.UniqueConstraint(fields=("workspace", "run", "payee"), name="statement_payee"),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "closing_balance",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                models.F("opening_balance"), "+", models.F("earnings")
                                            ),
                                            "-",
                                            models.F("clawbacks"),
                                        ),
                                        "+",
                                        models.F("adjustments"),
                                    ),
                                    "-",
                                    models.F("payments"),
                                ),
                            )
                        ),
                        name="statement_adds_up",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TierAccumulator",
            fields=[
                (
                    "id",
                    models.UUIDField(default=alliantra.fields.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("window", models.CharField(max_length=60)),
                ("count", models.BigIntegerField()),
                ("revenue", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("dues", alliantra.fields.ExactJSONField(default=dict)),
                (
                    "rule",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="rules.rule"
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="accumulators",
                        to="rules.calculationrun",
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
                    models.UniqueConstraint(fields=("workspace", "run", "rule", "window"), name="accumulator_window")
                ],
            },
        ),
    ]
