"""Payout rules with their versions, and calculation runs with everything they pinned."""

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
from rules.models.runs import (
    CalculationException,
    CalculationItem,
    CalculationItemQuerySet,
    CalculationRun,
    ExceptionCode,
    RunStatus,
    TieBreak,
)

__all__ = [
    "AllocationType",
    "CalculationException",
    "CalculationItem",
    "CalculationItemQuerySet",
    "CalculationRun",
    "ExceptionCode",
    "Rule",
    "RuleQuerySet",
    "RuleStatus",
    "RuleVersion",
    "RunStatus",
    "TieBreak",
    "TierMeasure",
    "TierMode",
    "TierWindow",
]
