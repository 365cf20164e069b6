"""Take the time of audit entries from the database's clock, and give every app the trigger function for it."""

import django.utils.timezone
from django.db import migrations

import alliantra.change_times

# In BEFORE triggers, of which each names the column: by then the statement holds the lock of the table.
FUNCTION = """
CREATE FUNCTION alliantra_take_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_ARGV[0] = 'created_at' THEN
        NEW.created_at = clock_timestamp();
    ELSE
        NEW.updated_at = clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0002_append_only")]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="created_at",
            field=alliantra.change_times.ChangeTimeField(default=django.utils.timezone.now, editable=False),
        ),
        migrations.RunSQL(FUNCTION, "DROP FUNCTION alliantra_take_time()"),
        migrations.RunSQL(
            "CREATE TRIGGER auditentry_takes_time BEFORE INSERT ON workspaces_auditentry "
            "FOR EACH ROW EXECUTE FUNCTION alliantra_take_time('created_at')",
            "DROP TRIGGER auditentry_takes_time ON workspaces_auditentry",
        ),
    ]
