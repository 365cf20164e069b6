"""Payout rules with their versions, and calculation runs with everything they pinned, and what follows from them."""

from rules.models.results import (
    AdjustmentKind,
    CalculationAdjustment,
    CalculationException,
    CalculationItem,
    CalculationItemQuerySet,
    ExceptionCode,
    ExceptionDecision,
    TieBreak,
    TierAccumulator,
)
from rules.models.rules import (
    AllocationType,
    Rule,
    RuleQuerySet,
    RuleStatus,
    RuleVersion,
    TierMeasure,
    TierMode,
    TierWindow,
)
from rules.models.runs import WITH_RESULTS, CalculationRun, RunStatus
from rules.models.settlement import (
    BalanceEntry,
    Confirmation,
    ConfirmationBatch,
    Payout,
    PayoutStatus,
    Statement,
)

__all__ = [
    "WITH_RESULTS",
    "AdjustmentKind",
    "AllocationType",
    "BalanceEntry",
    "CalculationAdjustment",
    "CalculationException",
    "CalculationItem",
    "CalculationItemQuerySet",
    "CalculationRun",
    "Confirmation",
    "ConfirmationBatch",
    "ExceptionCode",
    "ExceptionDecision",
    "Payout",
    "PayoutStatus",
    "Rule",
    "RuleQuerySet",
    "RuleStatus",
    "RuleVersion",
    "RunStatus",
    "Statement",
    "TieBreak",
    "TierAccumulator",
    "TierMeasure",
    "TierMode",
    "TierWindow",
]
