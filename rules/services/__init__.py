"""Use cases of rules and calculation runs."""

from rules.allocations import AllocationValues
from rules.services.payouts import Imported, export_payouts, import_confirmations, resolve_payouts
from rules.services.rules import SPOKEN, TOGGLED, create_rule, toggle_status, update_rule
from rules.services.runs import (
    approve_run,
    decide_exceptions,
    lock_run,
    recalculate_run,
    request_run,
    void_run,
)

__all__ = [
    "SPOKEN",
    "TOGGLED",
    "AllocationValues",
    "Imported",
    "approve_run",
    "create_rule",
    "decide_exceptions",
    "export_payouts",
    "import_confirmations",
    "lock_run",
    "recalculate_run",
    "request_run",
    "resolve_payouts",
    "toggle_status",
    "update_rule",
    "void_run",
]
