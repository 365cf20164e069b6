"""The ledger: where revenue comes from, what was sold, every event, the rollups over them, and imports of files."""

from revenues.models.attribution import (
    ATTRIBUTION_MODELS,
    AttributionModel,
    AttributionTask,
    CreditRollup,
    Touchpoint,
)
from revenues.models.conversions import Conversion
from revenues.models.imports import ImportBatch, ImportPart, ImportProblem, ImportStatus
from revenues.models.ledger import EventType, RevenueEvent, RevenueEventQuerySet, RevenueType
from revenues.models.products import (
    DEFAULT_SOURCE,
    MAPPING_LOCK,
    Product,
    ProductMapping,
    ProductQuerySet,
    ProductStatus,
    RevenueSource,
    SourceKind,
)
from revenues.models.rollups import (
    ROLLUP_KEY,
    LedgerMark,
    LedgerTotal,
    RevenueRollup,
    RollupBase,
    RollupDelta,
    RollupKey,
)

__all__ = [
    "ATTRIBUTION_MODELS",
    "DEFAULT_SOURCE",
    "MAPPING_LOCK",
    "ROLLUP_KEY",
    "AttributionModel",
    "AttributionTask",
    "Conversion",
    "CreditRollup",
    "EventType",
    "ImportBatch",
    "ImportPart",
    "ImportProblem",
    "ImportStatus",
    "LedgerMark",
    "LedgerTotal",
    "Product",
    "ProductMapping",
    "ProductQuerySet",
    "ProductStatus",
    "RevenueEvent",
    "RevenueEventQuerySet",
    "RevenueRollup",
    "RevenueSource",
    "RevenueType",
    "RollupBase",
    "RollupDelta",
    "RollupKey",
    "SourceKind",
    "Touchpoint",
]
