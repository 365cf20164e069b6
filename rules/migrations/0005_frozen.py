"""Freeze locked runs with all that belongs to them, and what is only ever appended."""

from django.db import migrations

# Once per statement, not per row: the rows of one statement are mostly of one run.
REFUSE_LOCKED = """
CREATE FUNCTION rules_refuse_locked_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    frozen rules_calculationrun;
BEGIN
    SELECT run.* INTO frozen
    FROM (SELECT DISTINCT run_id FROM changed) AS touched
    JOIN rules_calculationrun AS run ON run.id = touched.run_id
    WHERE run.status = 'locked' LIMIT 1;
    IF frozen.id IS NOT NULL
       AND (TG_OP = 'INSERT'
            OR current_setting('alliantra.erase_workspace', true) IS DISTINCT FROM frozen.workspace_id::text) THEN
        RAISE EXCEPTION '%: run % is locked: % refused', TG_TABLE_NAME, frozen.number, TG_OP
        USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
"""

REFUSE_RUN = """
CREATE FUNCTION rules_refuse_locked_run_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('alliantra.erase_workspace', true) = OLD.workspace_id::text THEN
        RETURN OLD;
    END IF;
    IF OLD.status = 'locked' THEN
        RAISE EXCEPTION 'run % is locked: % refused', OLD.number, TG_OP USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
"""

FROZEN = (
    "rules_calculationitem",
    "rules_calculationexception",
    "rules_calculationadjustment",
    "rules_tieraccumulator",
)
APPENDED = ("rules_statement", "rules_balanceentry", "rules_confirmation", "rules_exceptiondecision")


def _trigger(name: str, table: str, definition: str) -> migrations.RunSQL:
    return migrations.RunSQL(f"CREATE TRIGGER {name} {definition}", f"DROP TRIGGER {name} ON {table}")


def _refuse(table: str, verb: str) -> migrations.RunSQL:
    name = f"{table}_frozen_{verb.lower()}"
    rows = "OLD" if verb == "DELETE" else "NEW"
    return _trigger(
        name,
        table,
        f"AFTER {verb} ON {table} REFERENCING {rows} TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION rules_refuse_locked_change()",
    )


class Migration(migrations.Migration):
    dependencies = [("rules", "0004_settlement"), ("workspaces", "0002_append_only")]

    operations = [
        migrations.RunSQL(REFUSE_LOCKED, "DROP FUNCTION rules_refuse_locked_change()"),
        migrations.RunSQL(REFUSE_RUN, "DROP FUNCTION rules_refuse_locked_run_change()"),
        *[_refuse(table, verb) for table in FROZEN for verb in ("INSERT", "DELETE")],
        *[
            _trigger(
                f"{table}_never_updated",
                table,
                f"BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION alliantra_refuse_change()",
            )
            for table in FROZEN
        ],
        _trigger(
            "run_frozen",
            "rules_calculationrun",
            "BEFORE UPDATE OR DELETE ON rules_calculationrun "
            "FOR EACH ROW EXECUTE FUNCTION rules_refuse_locked_run_change()",
        ),
        *[
            _trigger(
                f"{table}_append_only",
                table,
                f"BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION alliantra_refuse_change()",
            )
            for table in APPENDED
        ],
    ]
