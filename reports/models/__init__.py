"""Reports: what was computed, when, over what; and the schedules by which they are made and sent."""

from reports.models.reports import Report, ReportFormat, ReportGroup, ReportMail, ReportOrigin, ReportStatus, ReportType
from reports.models.schedules import ReportSchedule

__all__ = [
    "Report",
    "ReportFormat",
    "ReportGroup",
    "ReportMail",
    "ReportOrigin",
    "ReportSchedule",
    "ReportStatus",
    "ReportType",
]
