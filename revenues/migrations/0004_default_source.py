"""Give every workspace its revenue source `API`, however the workspace is made."""

from django.db import migrations

# The id is a UUID of version 7: milliseconds since 1970 over the first 48 bits, then the version.
FUNCTION = """
CREATE FUNCTION revenues_make_default_source() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO revenues_revenuesource (id, workspace_id, created_at, updated_at, name, kind)
    VALUES (
        encode(
            set_bit(set_bit(overlay(
                uuid_send(gen_random_uuid())
                PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6
            ), 52, 1), 53, 1),
            'hex'
        )::uuid,
        NEW.id, NEW.created_at, NEW.created_at, 'API', 'api'
    );
    RETURN NULL;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("revenues", "0003_rollup_view")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION revenues_make_default_source()"),
        migrations.RunSQL(
            "CREATE TRIGGER workspace_makes_default_source AFTER INSERT ON workspaces_workspace "
            "FOR EACH ROW EXECUTE FUNCTION revenues_make_default_source()",
            "DROP TRIGGER workspace_makes_default_source ON workspaces_workspace",
        ),
    ]
