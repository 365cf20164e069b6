"""The function by which ingestion finds what its records name."""

from django.db import migrations

# Volatile, so that each statement in it sees what is committed when it begins: the names are looked
# up after the lock is held. A mapping_lock of null takes none.
FUNCTION = """
CREATE FUNCTION revenues_resolve(
    workspace uuid, mapping_lock bigint, source_names text[], source_ids uuid[], partner_names text[],
    partner_ids uuid[], identifiers text[]
) RETURNS TABLE (kind text, first text, second text, third text, fourth text) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF mapping_lock IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared(mapping_lock);
    END IF;
    RETURN QUERY
    SELECT 'source', found.id::text, found.name::text, '', '' FROM revenues_revenuesource AS found
    WHERE found.workspace_id = workspace AND (found.name = ANY(source_names) OR found.id = ANY(source_ids))
    UNION ALL
    SELECT 'partner', found.id::text, found.external_id::text, found.channel::text, found.program::text
    FROM partners_partner AS found
    WHERE found.workspace_id = workspace AND found.id = ANY(partner_ids)
    UNION ALL
    SELECT 'partner', found.id::text, found.external_id::text, found.channel::text, found.program::text
    FROM partners_partner AS found
    WHERE found.workspace_id = workspace AND found.external_id = ANY(partner_names)
    UNION ALL
    SELECT 'mapping', found.source_id::text, found.external_product_identifier::text, found.product_id::text, ''
    FROM revenues_productmapping AS found
    WHERE found.workspace_id = workspace AND found.external_product_identifier = ANY(identifiers)
    UNION ALL
    SELECT 'product', found.id::text, found.external_id::text, '', '' FROM revenues_product AS found
    WHERE found.workspace_id = workspace AND found.external_id = ANY(identifiers);
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("revenues", "0004_default_source")]

    operations = [
        migrations.RunSQL(
            FUNCTION, "DROP FUNCTION revenues_resolve(uuid, bigint, text[], uuid[], text[], uuid[], text[])"
        )
    ]
