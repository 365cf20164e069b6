"""Partners, what is known about them, what they cost; and the payees that are paid for what partners bring."""

from partners.models.costs import AllocationCostState, Cost, CostBasis, CostDay, CostKind, FxRate
from partners.models.imports import PartnerImport, PartnerImportPart, PartnerImportProblem, PartnerImportStatus
from partners.models.partners import (
    Partner,
    PartnerMetrics,
    PartnerQuerySet,
    PartnerScore,
    PartnerStatus,
    PartnerType,
    StatusChange,
    StatusEvaluation,
)
from partners.models.payees import (
    Payee,
    PayeeGroup,
    PayeeGroupMember,
    PayeeGroupQuerySet,
    PayeeQuerySet,
    PayeeStatus,
    PayeeType,
)

__all__ = [
    "AllocationCostState",
    "Cost",
    "CostBasis",
    "CostDay",
    "CostKind",
    "FxRate",
    "Partner",
    "PartnerImport",
    "PartnerImportPart",
    "PartnerImportProblem",
    "PartnerImportStatus",
    "PartnerMetrics",
    "PartnerQuerySet",
    "PartnerScore",
    "PartnerStatus",
    "PartnerType",
    "Payee",
    "PayeeGroup",
    "PayeeGroupMember",
    "PayeeGroupQuerySet",
    "PayeeQuerySet",
    "PayeeStatus",
    "PayeeType",
    "StatusChange",
    "StatusEvaluation",
]
