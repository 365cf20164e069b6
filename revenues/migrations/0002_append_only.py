"""Make the ledger append-only, but for the mapped columns, and keep its references whole without row-by-row checks."""

from django.db import migrations

REFUSE_CHANGE = """
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

CHECK_REFERENCES = """
CREATE FUNCTION revenues_check_references() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stray text;
BEGIN
    SELECT 'source ' || source_id INTO stray
    FROM (SELECT DISTINCT workspace_id, source_id FROM arrived) AS wanted
    WHERE NOT EXISTS (SELECT FROM revenues_revenuesource AS found
                      WHERE found.id = wanted.source_id AND found.workspace_id = wanted.workspace_id);
    IF stray IS NULL THEN
        SELECT 'partner ' || partner_id INTO stray
        FROM (SELECT DISTINCT workspace_id, partner_id FROM arrived WHERE partner_id IS NOT NULL) AS wanted
        WHERE NOT EXISTS (SELECT FROM partners_partner AS found
                          WHERE found.id = wanted.partner_id AND found.workspace_id = wanted.workspace_id);
    END IF;
    IF stray IS NULL THEN
        SELECT 'product ' || product_id INTO stray
        FROM (SELECT DISTINCT workspace_id, product_id FROM arrived WHERE product_id IS NOT NULL) AS wanted
        WHERE NOT EXISTS (SELECT FROM revenues_product AS found
                          WHERE found.id = wanted.product_id AND found.workspace_id = wanted.workspace_id);
    END IF;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'revenues_revenueevent: no % in the workspace', stray USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;
"""

KEEP_EVENTS = """
CREATE FUNCTION revenues_keep_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_used boolean;
BEGIN
    IF current_setting('alliantra.erase_workspace', true) = OLD.workspace_id::text THEN
        RETURN OLD;
    END IF;
    -- Waits for every insert under way, and makes later ones see the row gone.
    LOCK TABLE revenues_revenueevent IN SHARE ROW EXCLUSIVE MODE;
    EXECUTE format('SELECT EXISTS (SELECT FROM revenues_revenueevent WHERE workspace_id = $1 AND %I = $2)', TG_ARGV[0])
    INTO is_used USING OLD.workspace_id, OLD.id;
    IF is_used THEN
        RAISE EXCEPTION '% % has events', TG_TABLE_NAME, OLD.id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN OLD;
END
$$;
"""

PARENTS = {"revenues_revenuesource": "source_id", "partners_partner": "partner_id", "revenues_product": "product_id"}


def _trigger(name: str, table: str, definition: str) -> migrations.RunSQL:
    return migrations.RunSQL(f"CREATE TRIGGER {name} {definition}", f"DROP TRIGGER {name} ON {table}")


class Migration(migrations.Migration):
    dependencies = [
        ("revenues", "0001_initial"),
        ("partners", "0001_initial"),
        ("workspaces", "0002_append_only"),
    ]

    operations = [
        migrations.RunSQL(REFUSE_CHANGE, "DROP FUNCTION revenues_refuse_event_change()"),
        migrations.RunSQL(CHECK_REFERENCES, "DROP FUNCTION revenues_check_references()"),
        migrations.RunSQL(KEEP_EVENTS, "DROP FUNCTION revenues_keep_events()"),
        _trigger(
            "event_update_refused",
            "revenues_revenueevent",
            "BEFORE UPDATE ON revenues_revenueevent FOR EACH ROW EXECUTE FUNCTION revenues_refuse_event_change()",
        ),
        _trigger(
            "event_delete_refused",
            "revenues_revenueevent",
            "BEFORE DELETE ON revenues_revenueevent FOR EACH ROW EXECUTE FUNCTION alliantra_refuse_change()",
        ),
        *[
            _trigger(
                f"event_references_{verb.lower()}",
                "revenues_revenueevent",
                f"AFTER {verb} ON revenues_revenueevent REFERENCING NEW TABLE AS arrived "
                "FOR EACH STATEMENT EXECUTE FUNCTION revenues_check_references()",
            )
            for verb in ("INSERT", "UPDATE")
        ],
        *[
            _trigger(
                f"{table}_keeps_events",
                table,
                f"BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION revenues_keep_events('{column}')",
            )
            for table, column in PARENTS.items()
        ],
    ]
