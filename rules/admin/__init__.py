"""The console's pages for rules and calculation runs."""

from rules.admin import rules, runs

__all__ = ["rules", "runs"]
