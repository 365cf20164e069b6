"""Make the audit log append-only, and give every app the trigger function for it."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION alliantra_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('alliantra.erase_workspace', true) = OLD.workspace_id::text THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION alliantra_refuse_change()"),
        migrations.RunSQL(
            "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON workspaces_auditentry "
            "FOR EACH ROW EXECUTE FUNCTION alliantra_refuse_change()",
            "DROP TRIGGER audit_append_only ON workspaces_auditentry",
        ),
    ]
