"""Let the planner expect every workspace to have many events, also one that it does not know yet."""

from django.db import migrations

# ANALYZE leaves a column without target alone, with the statistics that it has. To name its type anew forgets them;
# as the type is the same, neither the table nor an index is written again.
FORGET = """
ALTER TABLE revenues_revenueevent ALTER COLUMN workspace_id SET STATISTICS 0;
ALTER TABLE revenues_revenueevent ALTER COLUMN workspace_id TYPE uuid;
"""


class Migration(migrations.Migration):
    dependencies = [("revenues", "0009_figures")]

    operations = [
        migrations.RunSQL(FORGET, "ALTER TABLE revenues_revenueevent ALTER COLUMN workspace_id SET STATISTICS -1"),
    ]
