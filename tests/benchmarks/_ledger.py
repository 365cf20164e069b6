"""A ledger filled by one statement: rows of May 2026, for every partner and territory in turn."""

FILL = """
INSERT INTO revenues_revenueevent (id, workspace_id, created_at, updated_at, source_id, external_id, event_type, type,
    amount, currency, occurred_at, partner_id, external_product_identifier, customer_id, payee_hint, territory,
    channel, program, original_external_id, reason, metadata)
SELECT (lpad(to_hex(1780000000000 + total + n), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid,
    workspace, happened, happened, source, 'tx_' || n, 'transaction', 'sale',
    (100 + (n::bigint * 7919) %% 100000) / 100.0, 'USD', happened,
    partners[1 + (n::bigint * 31) %% cardinality(partners)], '', '', '', territories[1 + n %% cardinality(territories)],
    '', '', '', '', '{}'
FROM (SELECT %s::uuid AS workspace, %s::uuid AS source, %s::uuid[] AS partners, %s::text[] AS territories,
    %s::bigint * 2 AS total) AS given, generate_series(1, total / 2) AS n,
    LATERAL (SELECT timestamptz '2026-05-01 12:00+00' + n * interval '2.5 seconds' AS happened) AS moment
"""
"""Ids in the order of time, as version 7 gives them to rows that are posted as they happen."""
