"""The view that reads base and deltas of the rollups as one."""

from django.db import migrations

COLUMNS = (
    "workspace_id, day, source_id, partner_id, product_id, channel, program, region, currency, event_type, type, "
    "events, amount"
)
# security_invoker: row-level security of the tables holds for whoever reads the view.
VIEW = f"""
CREATE VIEW revenues_revenuerollup WITH (security_invoker = true) AS
SELECT id::text AS id, {COLUMNS} FROM revenues_rollupbase
UNION ALL
SELECT id::text AS id, {COLUMNS} FROM revenues_rollupdelta
"""


class Migration(migrations.Migration):
    dependencies = [("revenues", "0002_append_only")]

    operations = [migrations.RunSQL(VIEW, "DROP VIEW revenues_revenuerollup")]
