"""Keep what live reports had once and have no more, for those who pull changes."""

from django.db import migrations

import alliantra.fields


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0002_change_times"),
    ]

    operations = [
        migrations.AddField(
            model_name="report",
            name="gone_rows",
            field=alliantra.fields.ExactJSONField(default=list),
        ),
    ]
