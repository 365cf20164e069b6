"""Take the time of changes from the database's clock, in every table of this app that is pulled."""

import django.utils.timezone
from django.db import migrations

import alliantra.change_times

CHANGING = ("cost", "fxrate", "partner", "partnerimport")


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0003_figures"),
        ("workspaces", "0003_change_times"),
    ]

    operations = [
        *(
            migrations.AlterField(
                model_name=model, name="updated_at", field=alliantra.change_times.ChangeTimeField(auto_now=True)
            )
            for model in CHANGING
        ),
        migrations.AlterField(
            model_name="statuschange",
            name="created_at",
            field=alliantra.change_times.ChangeTimeField(default=django.utils.timezone.now, editable=False),
        ),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {model}_takes_time BEFORE INSERT OR UPDATE OF updated_at ON partners_{model} "
                "FOR EACH ROW EXECUTE FUNCTION alliantra_take_time('updated_at')",
                f"DROP TRIGGER {model}_takes_time ON partners_{model}",
            )
            for model in CHANGING
        ),
        migrations.RunSQL(
            "CREATE TRIGGER statuschange_takes_time BEFORE INSERT ON partners_statuschange "
            "FOR EACH ROW EXECUTE FUNCTION alliantra_take_time('created_at')",
            "DROP TRIGGER statuschange_takes_time ON partners_statuschange",
        ),
    ]
