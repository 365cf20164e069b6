"""The console's pages for rules, calculation runs, and what follows from locked ones."""

from rules.admin import balances, lines, payouts, rules, runs, statements

__all__ = ["balances", "lines", "payouts", "rules", "runs", "statements"]
