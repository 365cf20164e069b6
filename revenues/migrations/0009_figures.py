"""The base currency, attribution, and what reads need of both."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import alliantra.fields

KEY = (
    "day, source_id, partner_id, product_id, channel, program, region, currency, event_type, type, events, amount, "
    "base_amount, unconverted"
)
ARRAYS = (
    "days, source_ids, partner_ids, product_ids, channels, programs, regions, currencies, event_types, types, events, "
    "amounts, base_amounts, unconverted"
)
OF_ONE = ", ".join(f"one.{name}" for name in KEY.split(", ")[:-2])
# A delta without base amounts is in the base currency throughout.
VIEW = f"""
CREATE VIEW revenues_revenuerollup WITH (security_invoker = true) AS
SELECT id::text AS id, workspace_id, {KEY} FROM revenues_rollupbase
UNION ALL
SELECT delta.id || '.' || one.position, delta.workspace_id, {OF_ONE},
       coalesce(one.base_amount, one.amount), coalesce(one.unconverted, 0)
FROM revenues_rollupdelta AS delta
CROSS JOIN LATERAL unnest({", ".join(f"delta.{name}" for name in ARRAYS.split(", "))})
    WITH ORDINALITY AS one ({KEY}, position)
"""  # noqa: S608 - built of our own names
STORAGE = (
    "ALTER TABLE revenues_rollupdelta ALTER COLUMN base_amounts SET STORAGE EXTERNAL, "
    "ALTER COLUMN unconverted SET STORAGE EXTERNAL"
)
# Rows that are here already: those in other currencies wait for their rates, customers for their credits.
FOLD_ALL = """
INSERT INTO revenues_rollupbase AS base (id, workspace_id, day, source_id, partner_id, product_id, channel, program,
                                         region, currency, event_type, type, events, amount)
SELECT gen_random_uuid(), delta.workspace_id, one.day, one.source_id, one.partner_id, one.product_id, one.channel,
       one.program, one.region, one.currency, one.event_type, one.type, sum(one.events), sum(one.amount)
FROM revenues_rollupdelta AS delta
CROSS JOIN LATERAL unnest(days, source_ids, partner_ids, product_ids, channels, programs, regions, currencies,
                          event_types, types, delta.events, amounts)
     AS one (day, source_id, partner_id, product_id, channel, program, region, currency, event_type, type, events,
             amount)
GROUP BY 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
ON CONFLICT (workspace_id, day, partner_id, source_id, product_id, channel, program, region, currency, event_type, type)
DO UPDATE SET events = base.events + EXCLUDED.events, amount = base.amount + EXCLUDED.amount;
INSERT INTO revenues_ledgertotal AS total (id, workspace_id, revenues)
SELECT gen_random_uuid(), workspace_id, sum(revenues) FROM revenues_rollupdelta GROUP BY workspace_id
ON CONFLICT (workspace_id) DO UPDATE SET revenues = total.revenues + EXCLUDED.revenues;
DELETE FROM revenues_rollupdelta;
"""
IN_BASE_CURRENCY = """
UPDATE revenues_rollupbase AS base
SET base_amount = CASE WHEN base.currency = workspace.base_currency THEN base.amount ELSE 0 END,
    unconverted = CASE WHEN base.currency <> workspace.base_currency THEN base.events ELSE 0 END
FROM workspaces_workspace AS workspace WHERE workspace.id = base.workspace_id AND base.currency IS NOT NULL;
INSERT INTO revenues_conversion (workspace_id, created_at, event_id, currency, day, amount, awaits_sale)
SELECT event.workspace_id, now(), event.id, event.currency, (event.occurred_at AT TIME ZONE workspace.timezone)::date,
       event.amount, event.original_external_id <> ''
FROM revenues_revenueevent AS event JOIN workspaces_workspace AS workspace ON workspace.id = event.workspace_id
WHERE event.currency <> workspace.base_currency;
INSERT INTO revenues_attributiontask (workspace_id, created_at, customer_ids, event_ids, first_at, last_at)
SELECT workspace_id, now(), array_agg(DISTINCT customer_id), '{}', min(occurred_at), max(occurred_at)
FROM revenues_revenueevent WHERE customer_id <> '' GROUP BY workspace_id, abs(hashtext(customer_id)) % 1000;
INSERT INTO revenues_attributiontask (workspace_id, created_at, customer_ids, event_ids)
SELECT workspace_id, now(), '{}', array_agg(id)
FROM revenues_revenueevent WHERE original_external_id <> '' GROUP BY workspace_id, date_trunc('day', occurred_at);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0003_figures"),
        ("revenues", "0008_ledger_marks"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.RunSQL("DROP VIEW revenues_revenuerollup", migrations.RunSQL.noop),
        migrations.RunSQL(FOLD_ALL, migrations.RunSQL.noop),
        migrations.RemoveIndex(
            model_name="revenueevent",
            name="event_partner",
        ),
        migrations.AddField(
            model_name="ledgertotal",
            name="deltas",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="rollupbase",
            name="base_amount",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=30),
        ),
        migrations.AddField(
            model_name="rollupbase",
            name="unconverted",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="rollupdelta",
            name="base_amounts",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.DecimalField(decimal_places=6, max_digits=30), null=True, size=None
            ),
        ),
        migrations.AddField(
            model_name="rollupdelta",
            name="unconverted",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), null=True, size=None),
        ),
        migrations.AddIndex(
            model_name="revenueevent",
            index=models.Index(fields=["workspace", "updated_at", "id"], name="event_updated"),
        ),
        migrations.AddIndex(
            model_name="revenueevent",
            index=models.Index(fields=["workspace", "partner", "occurred_at", "id"], name="event_partner"),
        ),
        migrations.AddIndex(
            model_name="revenueevent",
            index=models.Index(
                condition=models.Q(("original_external_id", ""), _negated=True),
                fields=["workspace", "source", "original_external_id"],
                name="event_original",
            ),
        ),
        migrations.CreateModel(
            name="AttributionTask",
            fields=[
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "customer_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
                ),
                (
                    "event_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, size=None),
                ),
                ("first_at", models.DateTimeField(null=True)),
                ("last_at", models.DateTimeField(null=True)),
                (
                    "workspace",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["workspace", "id"], name="attributiontask_workspace")],
            },
        ),
        migrations.CreateModel(
            name="Conversion",
            fields=[
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("currency", alliantra.fields.CurrencyField(max_length=3)),
                ("day", models.DateField()),
                ("amount", alliantra.fields.MoneyField(decimal_places=6, max_digits=20)),
                ("rate", models.DecimalField(decimal_places=10, max_digits=20, null=True)),
                ("rate_on", models.DateField(null=True)),
                ("base_amount", alliantra.fields.MoneyField(decimal_places=6, max_digits=20, null=True)),
                ("awaits_sale", models.BooleanField(default=False)),
                (
                    "event",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="conversions",
                        to="revenues.revenueevent",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_constraint=False,
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
                    models.Index(
                        condition=models.Q(("rate", None)),
                        fields=["workspace", "currency", "day", "id"],
                        name="conversion_waiting",
                    ),
                    models.Index(
                        condition=models.Q(("awaits_sale", True)),
                        fields=["workspace", "id"],
                        name="conversion_awaits_sale",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "event"), name="conversion_event"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("base_amount", None), ("rate", None)),
                            models.Q(("base_amount__isnull", False), ("rate__isnull", False)),
                            _connector="OR",
                        ),
                        name="conversion_whole",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CreditRollup",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("day", models.DateField()),
                ("channel", models.CharField(blank=True, max_length=100)),
                ("program", models.CharField(blank=True, max_length=100)),
                ("region", models.CharField(blank=True, max_length=100)),
                ("last_touch", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("first_touch", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("linear", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("time_decay", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                ("position_based", alliantra.fields.SumField(decimal_places=6, max_digits=30)),
                (
                    "partner",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="partners.partner",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["workspace", "partner", "day"], name="creditrollup_partner")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "day", "partner", "channel", "program", "region"),
                        name="creditrollup_key",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Touchpoint",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("event_occurred_at", models.DateTimeField()),
                ("position", models.PositiveSmallIntegerField()),
                ("touched_at", models.DateTimeField()),
                ("channel", models.CharField(blank=True, max_length=100)),
                ("program", models.CharField(blank=True, max_length=100)),
                ("region", models.CharField(blank=True, max_length=100)),
                (
                    "credits",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DecimalField(decimal_places=12, max_digits=13), size=None
                    ),
                ),
                (
                    "amounts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=alliantra.fields.MoneyField(decimal_places=6, max_digits=20), size=None
                    ),
                ),
                (
                    "base_amounts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=alliantra.fields.MoneyField(decimal_places=6, max_digits=20), null=True, size=None
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="touchpoints",
                        to="revenues.revenueevent",
                    ),
                ),
                (
                    "partner",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="touchpoints",
                        to="partners.partner",
                    ),
                ),
                (
                    "touch",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="revenues.revenueevent",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_constraint=False,
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
                    models.Index(
                        fields=["workspace", "partner", "event_occurred_at", "event"], name="touchpoint_partner"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "event", "position"), name="touchpoint_position")
                ],
            },
        ),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
        migrations.RunSQL(VIEW, "DROP VIEW revenues_revenuerollup"),
        migrations.RunSQL(IN_BASE_CURRENCY, migrations.RunSQL.noop),
    ]
