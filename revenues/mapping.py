"""Which product a row of the ledger belongs to, kept right when products and mappings change."""

from collections.abc import Collection
from typing import Any, Final

from django.db import connection

from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from revenues.conversions import CONVERSION_LOCK
from revenues.models import MAPPING_LOCK
from revenues.rollups import CONVERTED_DELTA_INSERT

# The product an identifier of a source stands for: by mapping (null: ignored), else by its own external id.
_WANTED: Final = """
SELECT event.id, event.product_id AS old_product_id,
       CASE WHEN mapping.id IS NOT NULL THEN mapping.product_id ELSE product.id END AS new_product_id
FROM revenues_revenueevent AS event
LEFT JOIN revenues_productmapping AS mapping
       ON mapping.workspace_id = event.workspace_id AND mapping.source_id = event.source_id
      AND mapping.external_product_identifier = event.external_product_identifier
LEFT JOIN revenues_product AS product
       ON product.workspace_id = event.workspace_id AND product.external_id = event.external_product_identifier
WHERE event.workspace_id = %(workspace)s AND event.external_product_identifier = ANY(%(identifiers)s)
"""
_UNMAPPED_ONLY: Final = "AND event.product_id IS NULL AND event.external_product_identifier <> ''"
_REMAP: Final = """
WITH wanted AS (
    {wanted}
), moved AS (
    UPDATE revenues_revenueevent AS event SET product_id = wanted.new_product_id, updated_at = clock_timestamp()
    FROM wanted
    WHERE event.id = wanted.id AND wanted.old_product_id IS DISTINCT FROM wanted.new_product_id
    RETURNING event.*, wanted.old_product_id
), change AS (
    SELECT *, old_product_id AS counted_product_id, -1 AS sign FROM moved
    UNION ALL SELECT *, product_id, 1 FROM moved
), valued AS (
    SELECT change.*, sign * CASE WHEN change.currency = %(base)s THEN change.amount
                                 ELSE coalesce(conversion.base_amount, 0) END AS base_amount,
           CASE WHEN change.currency <> %(base)s AND conversion.base_amount IS NULL THEN sign ELSE 0 END AS unconverted
    FROM change LEFT JOIN revenues_conversion AS conversion
         ON conversion.workspace_id = %(workspace)s AND conversion.event_id = change.id
), summed AS (
    SELECT workspace_id, (occurred_at AT TIME ZONE %(timezone)s)::date AS day, source_id, partner_id,
           counted_product_id AS product_id, channel, program, territory AS region, currency, event_type, type,
           sum(sign)::bigint AS events, coalesce(sum(sign * amount), 0) AS amount,
           coalesce(sum(base_amount), 0) AS base_amount, sum(unconverted)::bigint AS unconverted
    FROM valued
    GROUP BY workspace_id, day, source_id, partner_id, counted_product_id, channel, program, territory, currency,
             event_type, type
), delta AS ({delta})
SELECT count(*) FROM moved
"""


def lock_mapping(workspace: Workspace) -> None:
    """Until the transaction ends no row arrives that names a product, and none that waited is converted.

    Taken before products and mappings change: what moves a row must know what it counts, and what counts it, where.
    """
    lock_name(workspace, MAPPING_LOCK)
    lock_name(workspace, CONVERSION_LOCK)


def remap(workspace: Workspace, identifiers: Collection[str], *, only_unmapped: bool = False) -> int:
    """Give rows with these identifiers the product they stand for now; how many changed.

    The caller holds `lock_mapping`. With `only_unmapped`, rows that have a product keep it, and the
    rows are found by an index; without, the workspace's whole ledger is read.
    """
    wanted = f"{_WANTED} {_UNMAPPED_ONLY if only_unmapped else ''}"
    parameters: dict[str, Any] = {
        "workspace": workspace.pk,
        "identifiers": list(identifiers),
        "timezone": workspace.timezone,
        "base": workspace.base_currency,
    }
    with connection.cursor() as cursor:
        cursor.execute(_REMAP.format(wanted=wanted, delta=CONVERTED_DELTA_INSERT), parameters)
        return int(cursor.fetchone()[0])
