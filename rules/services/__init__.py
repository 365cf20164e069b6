"""Use cases of rules and calculation runs."""

from rules.allocations import AllocationValues
from rules.services.rules import SPOKEN, TOGGLED, create_rule, toggle_status, update_rule
from rules.services.runs import recalculate_run, request_run

__all__ = [
    "SPOKEN",
    "TOGGLED",
    "AllocationValues",
    "create_rule",
    "recalculate_run",
    "request_run",
    "toggle_status",
    "update_rule",
]
