"""The view that reads base and deltas of the rollups as one."""

from django.db import migrations

KEY = "day, source_id, partner_id, product_id, channel, program, region, currency, event_type, type, events, amount"
ARRAYS = (
    "days, source_ids, partner_ids, product_ids, channels, programs, regions, currencies, event_types, types, events, "
    "amounts"
)
# security_invoker: row-level security of the tables holds for whoever reads the view.
VIEW = f"""
CREATE VIEW revenues_revenuerollup WITH (security_invoker = true) AS
SELECT id::text AS id, workspace_id, {KEY} FROM revenues_rollupbase
UNION ALL
SELECT delta.id || '.' || one.position, delta.workspace_id, {", ".join(f"one.{name}" for name in KEY.split(", "))}
FROM revenues_rollupdelta AS delta
CROSS JOIN LATERAL unnest({", ".join(f"delta.{name}" for name in ARRAYS.split(", "))})
    WITH ORDINALITY AS one ({KEY}, position)
"""  # noqa: S608 - built of our own names
# Written once, read a few times, deleted within a minute: compressing them is not worth it.
STORAGE = "ALTER TABLE revenues_rollupdelta " + ", ".join(
    f"ALTER COLUMN {name} SET STORAGE EXTERNAL" for name in ARRAYS.split(", ")
)


class Migration(migrations.Migration):
    dependencies = [("revenues", "0002_append_only")]

    operations = [
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
        migrations.RunSQL(VIEW, "DROP VIEW revenues_revenuerollup"),
    ]
