"""Leave the product and the partner of a row as they were when a locked run took it."""

from django.db import migrations

# Skipped, not refused: a new mapping is for the rows that are still open.
FUNCTION = """
CREATE FUNCTION rules_keep_locked_mapping() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.product_id IS DISTINCT FROM OLD.product_id OR NEW.partner_id IS DISTINCT FROM OLD.partner_id)
       AND EXISTS (SELECT FROM rules_calculationitem AS item JOIN rules_calculationrun AS run ON run.id = item.run_id
                   WHERE item.workspace_id = OLD.workspace_id AND item.event_id = OLD.id
                   AND run.status = 'locked') THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("rules", "0005_frozen"), ("revenues", "0002_append_only")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION rules_keep_locked_mapping()"),
        # Triggers fire in the order of their names: what may not change at all is refused before.
        migrations.RunSQL(
            "CREATE TRIGGER event_update_skipped_once_locked BEFORE UPDATE ON revenues_revenueevent "
            "FOR EACH ROW EXECUTE FUNCTION rules_keep_locked_mapping()",
            "DROP TRIGGER event_update_skipped_once_locked ON revenues_revenueevent",
        ),
    ]
