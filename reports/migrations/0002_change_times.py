"""Take the time of changes from the database's clock, in every table of this app that is pulled."""

from django.db import migrations

import alliantra.change_times


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0001_initial"),
        ("workspaces", "0003_change_times"),
    ]

    operations = [
        migrations.AlterField(
            model_name="reportschedule",
            name="updated_at",
            field=alliantra.change_times.ChangeTimeField(auto_now=True),
        ),
        migrations.RunSQL(
            "CREATE TRIGGER reportschedule_takes_time BEFORE INSERT OR UPDATE OF updated_at ON reports_reportschedule "
            "FOR EACH ROW EXECUTE FUNCTION alliantra_take_time('updated_at')",
            "DROP TRIGGER reportschedule_takes_time ON reports_reportschedule",
        ),
    ]
