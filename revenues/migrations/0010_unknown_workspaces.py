"""Let the planner expect every workspace to have many events, also one that it does not know yet."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("revenues", "0009_figures")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE revenues_revenueevent ALTER COLUMN workspace_id SET STATISTICS 0",
            "ALTER TABLE revenues_revenueevent ALTER COLUMN workspace_id SET STATISTICS -1",
        )
    ]
