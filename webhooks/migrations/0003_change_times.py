"""Take the time of changes from the database's clock, in every table of this app that is pulled."""

from django.db import migrations

import alliantra.change_times

CHANGING = ("delivery", "endpoint")


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0002_endpoints"),
        ("workspaces", "0003_change_times"),
    ]

    operations = [
        *(
            migrations.AlterField(
                model_name=model, name="updated_at", field=alliantra.change_times.ChangeTimeField(auto_now=True)
            )
            for model in CHANGING
        ),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {model}_takes_time BEFORE INSERT OR UPDATE OF updated_at ON webhooks_{model} "
                "FOR EACH ROW EXECUTE FUNCTION alliantra_take_time('updated_at')",
                f"DROP TRIGGER {model}_takes_time ON webhooks_{model}",
            )
            for model in CHANGING
        ),
    ]
