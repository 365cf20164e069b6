"""Make the ledger append-only, but for the columns that product and partner mapping fill in."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION revenues_refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    mapped revenues_revenueevent := NEW;
BEGIN
    mapped.product_id := OLD.product_id;
    mapped.partner_id := OLD.partner_id;
    mapped.updated_at := OLD.updated_at;
    IF mapped IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'revenues_revenueevent is append-only: UPDATE refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("revenues", "0001_initial"), ("workspaces", "0002_append_only")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION revenues_refuse_event_change()"),
        migrations.RunSQL(
            "CREATE TRIGGER event_update_refused BEFORE UPDATE ON revenues_revenueevent "
            "FOR EACH ROW EXECUTE FUNCTION revenues_refuse_event_change()",
            "DROP TRIGGER event_update_refused ON revenues_revenueevent",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER event_delete_refused BEFORE DELETE ON revenues_revenueevent "
            "FOR EACH ROW EXECUTE FUNCTION alliantra_refuse_change()",
            "DROP TRIGGER event_delete_refused ON revenues_revenueevent",
        ),
    ]
