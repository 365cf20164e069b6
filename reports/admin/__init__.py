"""The console's pages for reports: live figures, reports that were made, and schedules."""

from reports.admin import reports, schedules

__all__ = ["reports", "schedules"]
